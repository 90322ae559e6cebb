# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Motions x sensors: batches of simulated streams with their truth."""

from typing import NamedTuple, Optional, Tuple

import numpy as np

from liquid_ros.training import motions
from liquid_ros.training.motions import Clock, MOTIONS, sometimes, surges
from liquid_ros.training.sensors import clock, KINDS, noise, outliers

SHARES = {'white_acceleration': 0.18, 'wander': 0.09, 'switching_acceleration': 0.14,
          'singer': 0.22, 'harmonic': 0.12, 'minimum_jerk': 0.1, 'steps': 0.05, 'turns': 0.1}
SURGES = 0.08  # have sudden moves on top
PLAIN = 0.12  # white acceleration in white noise, with nothing that goes wrong


MOST_NOISE_M, MOST_REACH_M = 0.02, 2.0  # of streams in metres


class Batch(NamedTuple):
    """N simulated streams: dt_s (N, T), truth and measured (N, T, A) in units of the noise."""

    dt_s: np.ndarray
    truth: np.ndarray
    measured: np.ndarray
    motion: np.ndarray
    sensor: np.ndarray


def simulate(rng: np.random.Generator, streams: int, steps: int, axes: int = 3,
             motion: Optional[str] = None, sensor: Optional[str] = None,
             rough: float = 0.0) -> Batch:
    """
    Return simulated streams of all kinds, or of one motion and one sensor.

    axes: a multiple of three; groups of three share outliers and message times.
    sensor: a name of KINDS; a named sensor has no outliers and no drops of its own.
    rough: share of the streams whose axes beyond the third move as bodies turn.
    """
    times = clock(rng, streams, steps, axes)
    names = list(MOTIONS)
    shares = np.array([SHARES[name] for name in names])
    kinds = rng.choice(len(names), streams, p=shares / shares.sum())
    if motion is not None:
        kinds[:] = names.index(motion)
    plain = sometimes(rng, PLAIN if motion is sensor is None else 0.0, streams)
    kinds[plain] = names.index('white_acceleration')
    truth = np.zeros((streams, steps, axes))
    for i in np.unique(kinds):
        rows = np.flatnonzero(kinds == i)
        truth[rows] = MOTIONS[names[i]](rng, _of(times, rows))
    if rough:
        rows = np.flatnonzero(sometimes(rng, rough, streams) & ~plain)
        truth[rows, :, 3:] = motions.rough(rng, _of(times, rows)._replace(axes=axes - 3))
    if motion is None:
        truth += surges(rng, times) * (sometimes(rng, SURGES, streams) & ~plain)[:, None, None]
    weights = np.array(list(KINDS.values()))
    sensors = rng.choice(len(weights), streams, p=weights / weights.sum())
    if sensor is not None:
        sensors[:] = list(KINDS).index(sensor)
    measured = noise(rng, truth, sensors)
    gross, where = outliers(rng, times)
    if sensor is None:
        measured = np.where(where, truth + gross, measured)
    measured[plain] = truth[plain] + rng.standard_normal(truth[plain].shape)
    dead = idle(rng, streams, axes)[:, None]
    return Batch(times.dt_s, np.where(dead, 0.0, truth), np.where(dead, 0.0, measured), kinds,
                 sensors)


def _of(times: Clock, rows: np.ndarray) -> Clock:
    return times._replace(dt_s=times.dt_s[rows], t_s=times.t_s[rows], dt0_s=times.dt0_s[rows])


def idle(rng: np.random.Generator, streams: int, axes: int) -> np.ndarray:
    """Return (N, A) bool: axes that never move, as a planar robot's z, its roll and pitch."""
    kind = rng.choice(3, (streams, axes // 3), p=(0.76, 0.14, 0.1))
    table = np.array([[False, False, False], [False, False, True], [True, True, False]])
    return table[kind].reshape(streams, axes)


def in_metres(batch: Batch) -> Tuple[Batch, np.ndarray]:
    """
    Return streams that a smoother of absolute coordinates can learn, and their unit (N,) in m.

    They stay within 2 m, and their noise within 2 cm.
    """
    reach = np.abs(batch.truth).max(axis=(1, 2))
    unit_m = np.minimum(MOST_NOISE_M, MOST_REACH_M / np.maximum(reach, 1e-9))
    scale = unit_m[:, None, None]
    return batch._replace(truth=scale * batch.truth, measured=scale * batch.measured), unit_m
