# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The grain: the smallest change that an axis has ever shown, of one that never moved its group's.

A sensor that counts in steps d can repeat itself to the last digit and still be wrong by d / 2.
Of continuous noise the smallest change is next to nothing.
"""

from types import ModuleType
from typing import Sequence

import numpy as np

from liquid_ros.arrays import Array, each_axis

UNSEEN = 1e18  # m or rad: the grain of an axis that has never moved
ROUNDING = 1e-14  # a turn about one axis moves the others by so much


def finest(xp: ModuleType, before: Array, moved: Array) -> Array:
    """Return the grain (B, A) after a change (B, A)."""
    size = xp.abs(moved)
    return xp.minimum(before, xp.where(size > ROUNDING, size, UNSEEN + 0.0 * size))


def at_least(xp: ModuleType, variance: Array, grain: Array, unknown: Array) -> Array:
    """Return the variance (B, A), d^2 / 12 or more; unknown (B, A) where nothing ever moved."""
    least = each_axis(xp.minimum(xp.minimum(grain[:, ::3], grain[:, 1::3]), grain[:, 2::3]))
    d = xp.where(grain < UNSEEN, grain, least)
    return xp.where(d < UNSEEN, xp.maximum(variance, d * d / 12.0), unknown)


def known_later(grain: np.ndarray, stops: Sequence[int]) -> np.ndarray:
    """Return grains (T, A) of runs that end before stops, as each is known at its end."""
    out = grain.copy()
    for start, stop in zip([0, *stops], stops):
        out[start:stop] = grain[stop - 1]
    return out
