# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A stream's own clock and unit of length, and what is guessed in them at the second message."""

from types import ModuleType
from typing import NamedTuple, Tuple

import numpy as np

from liquid_ros.arrays import Array, clip, unstack
from liquid_ros.smoothers.motion import Covariance, Process
from liquid_ros.smoothers.scale import YOUNG

BURST = 0.1  # of the mean dt: messages closer than this came together
MISSED = 30.0  # messages: more that come together would take the mean dt for nothing
UNKNOWN_VARIANCE = 1.0  # of the first estimate, before a second message gives a scale


class Clock(NamedTuple):
    """
    The stream's own time, each (B, 1): first is True at the second message.

    pace: dt over the mean dt. stretch: that mean over what it was a message before.
    """

    count: Array
    first: Array
    mean_dt: Array
    dt_s: Array
    pace: Array
    stretch: Array = 1.0


class Unit(NamedTuple):
    """What the cell's words are in: the square of the size of second differences, mean dt."""

    square: Array
    dt: Array


def tick(xp: ModuleType, before: Array, dt_s: Array) -> Clock:
    """Return the clock at this message; before (B, 2): messages so far and their mean dt."""
    count = before[:, :1] + 1.0
    first = count < 1.5
    mean_dt = last = before[:, 1:]
    share = clip(1.0 / count, 0.02, 1.0)
    # once it is known what a message's dt is, a gap counts as so many
    usual = xp.where(count < YOUNG / 3, dt_s, xp.minimum(dt_s, MISSED * mean_dt))
    mean_dt = xp.where(first, dt_s, mean_dt + share * (usual - mean_dt))
    stretch = mean_dt / xp.where(first, mean_dt, last)
    return Clock(count, first, mean_dt, dt_s, dt_s / mean_dt, stretch)


def recall(xp: ModuleType, process: Array, covariance: Array, first: Array, unit: Unit
           ) -> Tuple[Process, Array, Covariance]:
    """Return the process, R and P of last time; at the second message guesses in the unit."""
    known, p = unstack(process)[:5], unstack(covariance)
    if not isinstance(first, np.ndarray) or first.any():  # torch cannot ask without waiting
        square, dt = unit
        one, zero = xp.ones_like(square), xp.zeros_like(square)
        guesses = (0.01 * square / dt**3, 1e-6 * square / dt**5, 1e-3 * one / dt, 0.05 * one / dt,
                   square)
        known = [xp.where(first, guess, packed) for guess, packed in zip(guesses, known)]
        guesses_p = (square, zero, zero, 4.0 * square / dt**2, zero, 0.01 * square / dt**4)
        p = [xp.where(first, guess, packed) for guess, packed in zip(guesses_p, p)]
    p11, p12, p13, p22, p23, p33 = p
    return Process(*known[:4]), known[4], (p11, p12, p13, p22, p23, p33)


def measures(xp: ModuleType, said: Array, unit: Unit) -> Tuple[Process, Array]:
    """Return the process and R (B, A) that the cell's words mean in the stream's units."""
    square, dt = unit
    said = xp.exp(said)
    return (Process(square / dt**3 * said[..., 1], square / dt**5 * said[..., 2],
                    said[..., 3] / dt, said[..., 4] / dt), square * said[..., 0])
