# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The stream's own unit of length: how far a message usually lies from where two led to.

A running mean of the size of the bank's most agile innovation, which no outlier, rest or coarse
digit can take away. Every length the cell sees or says is in this unit.
"""

from types import ModuleType
from typing import NamedTuple, Tuple

from liquid_ros.arrays import Array, clip, stack, unstack

FAST, SLOW = 0.25, 0.004  # shares of a new size
CLIP = 5.0  # an innovation counts at most as so many usual ones
PEAK_DECAY = 2e-4  # a message
YOUNG, BRISK = 60, 10.0  # so long the slow size is at most so many times the fast one
FLOOR, HUGE = 1e-12, 1e18  # m or rad: of the size, where nothing has ever moved or all is lost
LEAST = 1e-30  # stands for an innovation of nothing where it divides
WAY = 1e-3  # of a message's way: no sensor is believed to resolve less
IDLE = 3e-4  # of its group's mean: an axis that does not move has at least this size
ALIVE, TURNS = 1e-3, 0.05  # of its group's mean size: below it an axis does not move, or turn
RESTING = 0.01  # of the largest usual size: below it a still, coarse sensor is not believed


class Scale(NamedTuple):
    """
    Running sizes of an axis, each (B, A), packed (B, A, 4).

    fast and slow: means of clipped sizes. peak bounds the slow one from below. age: messages
    since the axis first moved.
    """

    fast: Array
    slow: Array
    peak: Array
    age: Array

    @classmethod
    def of(cls, packed: Array) -> 'Scale':
        """Return the sizes that stack(*scale) packed."""
        return cls(*unstack(packed))

    @classmethod
    def zeros(cls, zero: Array) -> Array:
        """Return the packed sizes before a first innovation; zero (B, A)."""
        return stack(zero, zero, zero, zero)

    def unmoved(self) -> Array:
        """Return (B, A) bool: True where every measurement so far was the same."""
        return self.slow < 2.0 * FLOOR


def bound(xp: ModuleType, scale: Scale, innovation: Array) -> Array:
    """Return the share (B, A) in (0, 1] of an innovation that is no more than CLIP usual ones."""
    size = xp.abs(innovation)
    most = xp.where(scale.unmoved(), size, CLIP * xp.maximum(scale.slow, scale.fast))
    return xp.minimum(xp.ones_like(size), most / (size + LEAST))


def measure(xp: ModuleType, scale: Scale, innovation: Array, way: Array, average: Array
            ) -> Tuple[Scale, Array]:
    """
    Return the sizes after one more innovation (B, A), and the share of the old ones that is left.

    That share is below one where an early outlier is forgotten.

    way: (B, A) what an axis moves from message to message. average: (A, A), the mean over groups
    of axes.
    """
    unknown = scale.unmoved()
    age = xp.where(unknown, xp.ones_like(scale.age), scale.age + 1.0)
    size = xp.abs(innovation)
    # an axis that has not moved says nothing of its size yet
    start = xp.where(unknown & (size > 0.0), size @ average, size)
    fast = xp.where(unknown, start, scale.fast)
    slow = xp.where(unknown, start, scale.slow)
    usual = xp.maximum(slow, fast)
    fast = fast + xp.maximum(1.0 / age, FAST + 0.0 * age) * (
        xp.minimum(start, CLIP * usual) - fast)
    slow = slow + xp.maximum(1.0 / age, SLOW + 0.0 * age) * (xp.minimum(start, CLIP * slow) - slow)
    # an outlier among the first few must not set the size for long
    young = age < YOUNG
    left = xp.where(young, xp.minimum(xp.ones_like(slow), BRISK * fast / (slow + LEAST)),
                    xp.ones_like(slow))
    slow = slow * left
    peak = xp.where(young, slow, xp.maximum(scale.peak * (1.0 - PEAK_DECAY), slow))
    slow = xp.maximum(xp.maximum(slow, WAY * (xp.abs(way) @ average)),
                      xp.maximum(RESTING * peak, IDLE * (slow @ average)))
    return Scale(clip(fast, FLOOR, HUGE), clip(slow, FLOOR, HUGE), peak, age), left


def unit_size(xp: ModuleType, scale: Scale) -> Array:
    """Return the unit (B, A); a change of regime shows in the fast size."""
    return xp.maximum(scale.slow, 0.1 * scale.fast)


def alive(xp: ModuleType, scale: Array, group: Array, turning: Array) -> Array:
    """
    Return the (B, A, A) means over the axes of each group that move at all.

    A planar robot's z and a vehicle's roll never do; they must not dilute the others.
    turning: (A,) one for an axis of rotation: a roll that moves by a hundredth of the yaw is none
    to judge it by.
    """
    least = ALIVE + (TURNS - ALIVE) * turning
    moving = xp.where(scale > least * (scale @ group), xp.ones_like(scale), 0.0 * scale)
    return group * (moving / (moving @ group))[:, None, :]
