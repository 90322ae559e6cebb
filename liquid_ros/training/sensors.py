# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Sensors that go wrong: noise of unit size (N, T, A), its colour, outliers and clocks."""

from typing import Tuple

import numpy as np

from liquid_ros.training.motions import Clock, log_uniform, sometimes

# Shares of the sensors' kinds of noise; an outlier or a changing level may come on top.
KINDS = {'white': 0.46, 'coloured': 0.16, 'mixed': 0.14, 'heavy': 0.08, 'quantised': 0.08,
         'flips': 0.08}


def clock(rng: np.random.Generator, streams: int, steps: int, axes: int) -> Clock:
    """Return message times: 1 to 1000 Hz, even or not, with drops and gaps."""
    dt0 = 1.0 / log_uniform(rng, 1.0, 1000.0, streams, 1)
    uneven = rng.uniform(0.0, 0.5, (streams, 1)) * sometimes(rng, 0.5, streams, 1)
    dt = dt0 * np.exp(uneven * rng.standard_normal((streams, steps)))
    missing = sometimes(rng, 0.4, streams, 1) & (
        rng.random((streams, steps)) < log_uniform(rng, 0.003, 0.1, streams, 1))
    dt = np.where(missing, dt * np.floor(log_uniform(rng, 2.0, 40.0, streams, steps)), dt)
    bunched = sometimes(rng, 0.05, streams, 1) & sometimes(rng, 0.3, streams, steps)
    dt = np.where(bunched, dt * 0.02, dt)
    return Clock(dt, np.cumsum(dt, axis=1) - dt[:, :1], dt0, axes)


def first_order(white: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """Return noise (N, T, A) of unit variance with correlation memory (N, 1, 1) a message."""
    out = white.copy()
    fresh = np.sqrt(1.0 - memory**2)[:, 0]
    for k in range(1, white.shape[1]):
        out[:, k] = memory[:, 0] * out[:, k - 1] + fresh * white[:, k]
    return out


def noise(rng: np.random.Generator, truth: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Return truth plus noise of about unit size; kind (N,) indexes KINDS."""
    n, steps, axes = truth.shape
    names = list(KINDS)
    chosen = {name: (kind == i)[:, None, None] for i, name in enumerate(names)}
    white = rng.standard_normal(truth.shape)
    memory = 1.0 - log_uniform(rng, 0.01, 0.8, n, 1, 1)
    coloured = first_order(rng.standard_normal(truth.shape), memory)
    share = rng.uniform(0.2, 0.95, (n, 1, 1))
    freedom = rng.uniform(2.5, 6.0, (n, 1, 1))
    heavy = white / np.sqrt(rng.chisquare(np.broadcast_to(freedom, (n, steps, 1))) / freedom)
    error = np.where(chosen['coloured'], coloured, white)
    both = np.sqrt(share) * coloured + np.sqrt(1.0 - share) * white
    error = np.where(chosen['mixed'], both, error)
    error = np.where(chosen['heavy'], heavy, error)
    # a marker seen from the wrong side: a second place, held for a while
    away = (rng.standard_normal((n, 1, axes)) * log_uniform(rng, 4.0, 100.0, n, 1, 1)
            * np.repeat(sometimes(rng, 0.7, n, 1, axes // 3), 3, axis=2))
    error = error + np.where(chosen['flips'], away * runs(rng, n, steps, 0.02, 12.0)[..., None], 0)
    # anisotropic, and a level that changes
    level = np.where(sometimes(rng, 0.2, n, 1, axes), log_uniform(rng, 0.2, 5.0, n, 1, axes), 1.0)
    # a simulator's ground truth, or nearly
    level = level * np.where(sometimes(rng, 0.08, n, 1, 1), log_uniform(rng, 1e-5, 0.3, n, 1, 1),
                             1.0)
    restless = sometimes(rng, 0.2, n, 1)
    changes = np.cumsum(sometimes(rng, 0.008, n, steps) & restless, axis=1)
    levels = log_uniform(rng, 0.2, 5.0, n, changes.max() + 1)
    levels[:, 0] = 1.0
    level = level * np.take_along_axis(levels, changes, 1)[..., None]
    measured = truth + level * error
    # noise of a fraction of a grain still makes the last digit flicker
    grain = log_uniform(rng, 0.5, 4.0, n, 1, 1)
    rough = grain * np.round((truth + 0.7 * error) / grain)
    return np.where(chosen['quantised'], rough, measured)


def runs(rng: np.random.Generator, n: int, steps: int, rate: float, length: float) -> np.ndarray:
    """Return (n, steps) bool: runs of geometric length, each stream with its own figures."""
    begin = rng.random((n, steps)) < log_uniform(rng, 0.1 * rate, 3.0 * rate, n, 1)
    stay = rng.random((n, steps)) < 1.0 - 1.0 / log_uniform(rng, 1.01, 3.0 * length, n, 1)
    on = begin.copy()
    for k in range(1, steps):
        on[:, k] |= on[:, k - 1] & stay[:, k]
    return on


def outliers(rng: np.random.Generator, times: Clock) -> Tuple[np.ndarray, np.ndarray]:
    """
    Return gross errors (N, T, A) and where they stand (N, T, A), singly or in bursts.

    A burst's errors are drawn anew each message, or stay with one wrong place.
    """
    (n, steps), axes = times.dt_s.shape, times.axes
    single = rng.random((n, steps)) < log_uniform(rng, 0.002, 0.12, n, 1)
    burst = runs(rng, n, steps, 0.01, 8.0)
    at = np.where(sometimes(rng, 0.4, n, 1), burst, single)
    # a tracker that has only just found its target
    settling = np.arange(steps) < log_uniform(rng, 2.0, 60.0, n, 1) * sometimes(rng, 0.25, n, 1)
    at = at | (settling & (rng.random((n, steps)) < rng.uniform(0.1, 0.6, (n, 1))))
    # what hides the target also spoils it: messages around a gap are suspect
    late = times.dt_s > 3.0 * times.dt0_s
    late[:, :-1] |= late[:, 1:]
    late &= sometimes(rng, 0.4, n, 1)
    at = at | (late & (rng.random((n, steps)) < rng.uniform(0.03, 0.5, (n, 1))))
    size = log_uniform(rng, 4.0, 1000.0, n, 1, 1) * log_uniform(rng, 0.3, 3.0, n, steps, 1)
    fresh = rng.standard_normal((n, steps, axes))
    held = rng.standard_normal((n, 1, axes)) * np.ones((1, steps, 1))
    drawn = np.where(sometimes(rng, 0.3, n, 1, 1), held, fresh)
    where = np.repeat(at[..., None] & sometimes(rng, 0.85, n, 1, axes // 3), 3, axis=2)
    where = where & sometimes(rng, 0.4, n, 1, 1)
    return size * drawn * where, where
