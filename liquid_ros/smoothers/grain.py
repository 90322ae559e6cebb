# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The grain: the smallest change that a group of axes has ever shown.

A sensor that counts in steps d can repeat itself to the last digit and still be wrong by d / 2.
Of continuous noise the smallest change is next to nothing.
"""

from types import ModuleType

from liquid_ros.arrays import Array, each_axis
from liquid_ros.smoothers.units import UNKNOWN_VARIANCE

UNSEEN = 1e18  # m or rad: the grain of a group that has never moved


def finest(xp: ModuleType, before: Array, moved: Array) -> Array:
    """Return the grain (B, A) after a change (B, A)."""
    size = xp.abs(moved)
    size = xp.where(size > 0.0, size, UNSEEN + 0.0 * size)
    least = xp.minimum(xp.minimum(size[:, ::3], size[:, 1::3]), size[:, 2::3])
    return xp.minimum(before, each_axis(least))


def at_least(xp: ModuleType, variance: Array, grain: Array) -> Array:
    """Return the variance (B, A), d^2 / 12 or more; unknown where nothing has ever moved."""
    return xp.where(grain < UNSEEN, xp.maximum(variance, grain * grain / 12.0),
                    UNKNOWN_VARIANCE + 0.0 * grain)
