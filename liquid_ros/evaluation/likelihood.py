# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
How well a smoother expects the next message: an honest ranking where there is no truth.

    log p = log t_4(nu; 0, c s),   per group of axes (position; rotation), nats a message

nu is the innovation, the message less what was predicted of it from those before. Student's t
with four degrees of freedom: a gross outlier costs every smoother about the same. s: each axis's
level, from the second differences of the messages. c: one factor a group, fitted to the
recording by maximum likelihood. All of it is the same for every smoother, so what is compared is
the prediction alone; how honest a smoother's own variance is, NIS tells.
"""

import math
from typing import NamedTuple

import numpy as np

DEGREES = 4.0
FITS = 12  # steps of expectation maximisation; the last ones change c by less than 1e-3
FIT_MOST = 3000  # messages that c is fitted to, every n-th of more
LEAST_MESSAGES = 20


class Level(NamedTuple):
    """
    What the innovations of a group are measured in.

    variance: (A,) of an axis, 0 where it never moves. least: c cannot be smaller.
    """

    variance: np.ndarray
    least: float

    @property
    def live(self) -> np.ndarray:
        """Return (A,) bool: the axes that move."""
        return self.variance > 0.0


def level(steps: np.ndarray) -> Level:
    """
    Return the level of a group of axes.

    steps: (N, A) changes from message to message. An axis's variance is that of white noise
    whose second differences have the same median; of a stream in grains of d at least d^2 / 12.
    """
    if len(steps) < 2:
        return Level(np.zeros(steps.shape[1]), 1.0)
    second = np.abs(np.diff(steps, axis=0))
    robust = (np.median(second, axis=0) / 0.6745)**2 / 6.0
    size = np.abs(steps).max(0)
    moves = size > 0.0
    # sensors that count in grains of d: second differences are whole multiples of it
    grain = np.where(second > 1e-9 * size, second, np.inf).min(0)
    grain = np.where(np.isfinite(grain), grain, 0.0)**2 / 12.0
    usual = np.where(robust > 0.0, robust, np.mean(second**2, axis=0) / 6.0)
    variance = np.where(moves, np.maximum(np.maximum(usual, grain), 1e-18 * size**2), 0.0)
    live = variance > 0.0
    return Level(variance, float(np.max(grain[live] / variance[live])) if live.any() else 1.0)


def distances(missed: np.ndarray, unit: Level) -> np.ndarray:
    """Return sum_a nu_a^2 / s_a of innovations (N, A, ...), (N, ...)."""
    out = np.zeros(missed.shape[:1] + missed.shape[2:])
    for axis in np.flatnonzero(unit.live):
        out += np.square(missed[:, axis]) / unit.variance[axis]
    return out


def mean_log_likelihood(square: np.ndarray, unit: Level) -> np.ndarray:
    """
    Return mean log p (S,); NaN where the messages are too few.

    square: (N, S) distances.
    Source of the fit: Liu & Rubin, Statistica Sinica 5, 1995, for known degrees of freedom.
    """
    size = int(unit.live.sum())
    if not size or len(square) < LEAST_MESSAGES:
        return np.full(square.shape[1], np.nan)
    some = square[::-(-len(square) // FIT_MOST)]
    factor = np.maximum(np.median(some, axis=0) / size, unit.least)
    for _ in range(FITS):
        weight = (DEGREES + size) / (DEGREES + some / factor)
        factor = np.maximum(np.mean(weight * some, axis=0) / size, max(unit.least, 1e-12))
    constant = (math.lgamma(0.5 * (DEGREES + size)) - math.lgamma(0.5 * DEGREES)
                - 0.5 * size * math.log(DEGREES * math.pi)
                - 0.5 * float(np.sum(np.log(unit.variance[unit.live]))))
    return (constant - 0.5 * size * np.log(factor) - 0.5 * (DEGREES + size)
             * np.mean(np.log1p(square / (DEGREES * factor)), axis=0))
