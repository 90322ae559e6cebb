# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What swings to and fro within a few messages, which no filter of constant velocity can follow.

Whatever the motion, independent noise of variance R leaves the best prediction of a move d by the
two before it, a d1 + b d2, an error V of at least R (1 + (1 + a)^2 + (a - b)^2 + b^2). So V tells
how large R can be at most. Where the filter leaves out far more of the messages than that, what
it takes for noise is none. Noise that lasts is no independent one, but its moves do not swing: b
is above -1/2, that of independent noise at rest is -1/3, and that of a swing -1.
"""

import math
from types import ModuleType
from typing import NamedTuple

from liquid_ros.arrays import Array, clip, ramp, unstack

MEMORY = 40.0  # messages
EVEN = (0.5, 1.5)  # mean dt: a move over any other time counts for nothing
BELIEVED = 0.5  # a weight beyond; after any other message all is counted anew
WILD, FEW = 9.0, 5.5  # of the mean square of what is left out, of so many messages and more
KNOWN = (20.0, 30.0)  # messages from which on, and in full
SWINGS = (0.5, 0.7)  # -b
TOO_MUCH = (math.log(3.0), math.log(6.0))  # what is left out, squared, over the most that R can be
LEAST, SURE = 1e-30, 1e-5  # m^2 or rad^2; of the squares of moves: less are no better known


class Swings(NamedTuple):
    """
    What is known of an axis, each (B, A), packed (B, A, 10).

    move, older: the last two. s00 to s22: means of products of moves, by how many messages ago.
    left: mean square of what the filter leaves out. count: of messages.
    """

    move: Array
    older: Array
    s00: Array
    s01: Array
    s02: Array
    s11: Array
    s12: Array
    s22: Array
    left: Array
    count: Array

    @classmethod
    def of(cls, packed: Array) -> 'Swings':
        """Return what stack(*swings) packed."""
        return cls(*unstack(packed))


def watched(xp: ModuleType, before: Swings, moved: Array, left: Array, weight: Array, pace: Array
            ) -> Swings:
    """Return what is known after a message; moved, left, weight: (B, A), pace: (B, 1)."""
    one, zero = xp.ones_like(moved), xp.zeros_like(moved)
    # one outlier swings like nothing else, whatever its weight
    lost = (weight < BELIEVED) | ((left * left > WILD * before.left) & (before.count > FEW))
    heard = ~lost & (pace > EVEN[0]) & (pace < EVEN[1])
    share = xp.where(heard, 1.0 / clip(before.count + 1.0, 1.0, MEMORY), zero)
    d, d1, d2 = moved, before.move, before.older

    def mean(old: Array, new: Array) -> Array:
        return old + share * (new - old)
    return Swings(
        xp.where(heard, d, zero), xp.where(heard, d1, zero), mean(before.s00, d * d),
        mean(before.s01, d * d1), mean(before.s02, d * d2), mean(before.s11, d1 * d1),
        mean(before.s12, d1 * d2), mean(before.s22, d2 * d2), mean(before.left, left * left),
        xp.where(lost, zero, xp.minimum(before.count + xp.where(heard, one, zero), MEMORY * one)))


def swinging(xp: ModuleType, known: Swings) -> Array:
    """Return how surely (B, A) an axis swings, 0 to 1."""
    size = known.s00 + known.s11 + known.s22 + LEAST
    s00, s01, s02, s11, s12, s22 = (one / size for one in known[2:8])
    s11, s22 = s11 + SURE, s22 + SURE
    det = s11 * s22 - s12 * s12 + SURE * SURE
    a, b = (s01 * s22 - s02 * s12) / det, (s02 * s11 - s01 * s12) / det
    error = xp.maximum(s00 - a * s01 - b * s02, SURE * (s00 + SURE))
    most = error / (1.0 + (1.0 + a)**2 + (a - b)**2 + b * b)
    much = xp.log(clip(known.left / size, LEAST, 1e9) / most)
    return ramp(-b, *SWINGS) * ramp(much, *TOO_MUCH) * ramp(known.count, *KNOWN)
