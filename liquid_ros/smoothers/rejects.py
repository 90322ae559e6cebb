# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What is held off: messages in a row, whether they agree, and the jumps that were believed at last.

A jump is an accident, which says nothing of how the stream moves or how noisy it is, until there
have been several of them.
"""

from types import ModuleType
from typing import NamedTuple, Tuple

from liquid_ros.arrays import Array, unstack

FEW = 1.5  # jumps, of which each counts the less the longer ago it was
MEMORY = 1500.0  # messages
KNOWN = 60.0  # messages after which a stream is known well enough to call one an accident
BELIEVED = 0.5  # a weight beyond
LONG = 2.5  # rejected messages in a row
ONWARD = 3  # that agree and lead away: outliers seldom do
NEAR, ADRIFT = 1e-4, 1e6  # of a squared miss: the move; of the unit's square: a miss
MOST = 1e6  # gates: more are as good as infinitely many


class Rejects(NamedTuple):
    """
    Counters of a group's axes, each (B, A), packed (B, A, 3).

    row: rejected messages in a row. agreeing: of them those that agree with one another. jumps:
    of late.
    """

    row: Array
    agreeing: Array
    jumps: Array

    @classmethod
    def of(cls, packed: Array) -> 'Rejects':
        """Return the counters that stack(*rejects) packed."""
        return cls(*unstack(packed))

    def held_off(self) -> Array:
        """Return (B, A) bool: True where the last message was rejected."""
        return self.row > 0.5

    def accident(self, age: Array) -> Array:
        """Return (B, A) bool: True where a jump would be one; age: messages of the axis."""
        return (self.jumps < FEW) & (age > KNOWN)


def count(xp: ModuleType, before: Rejects, rejected: Array, wild: Array, near: Array,
          onward: Array, age: Array, reacquire_after: int, give_up_after: int
          ) -> Tuple[Rejects, Array]:
    """
    Return the counters and where (B, A) the stream is to be re-acquired.

    rejected, wild, near to the message before, onward from it: (B, A) bool, the same on a group's
    axes.
    age: messages since the axis first moved; a young stream has little to hold against two.
    """
    zero, goes_on = xp.zeros_like(before.row), (near | onward) & before.held_off()
    # a wild one that goes on from them is one of them, however far the gate has opened
    rejected = rejected | (goes_on & wild)
    agreeing = xp.where(rejected, xp.where(goes_on, before.agreeing + 1.0, zero + 1.0), zero)
    row = xp.where(rejected, before.row + 1.0, zero)
    enough = xp.minimum(zero + reacquire_after, xp.maximum(age, zero + 2.0))
    again = ((agreeing > enough - 0.5) | (onward & (agreeing > ONWARD - 0.5))
             | (row > give_up_after - 0.5))
    return Rejects(xp.where(again, zero, row), xp.where(again, zero, agreeing),
                   before.jumps), again


def adrift(before: Rejects, move: Array, miss: Array, unit: Array) -> Array:
    """
    Return (B, A) where the prediction has flown off: the message is where the one before it was.

    move, miss, unit: squares, means over a group.
    """
    return (move < NEAR * miss) & (miss > ADRIFT * unit) & ~before.held_off()


def believed(xp: ModuleType, ratio: Array, refused: Array, again: Array, unknown: Array) -> Array:
    """
    Return the weight (B, A) of a message whose surprise is so many gates.

    unknown: where the prediction may lie anywhere: of what is believed at all nothing is left out.
    """
    one = xp.ones_like(ratio)
    weight = xp.where((ratio < MOST) & ~refused, 1.0 / (1.0 + ratio**4), 0.0 * ratio)
    return xp.where(again | (unknown & (weight > BELIEVED)), one, weight)


def jumped(before: Rejects, again: Array, weight: Array, far: Array, anchored: Array, lost: Array
           ) -> Array:
    """
    Return (B, A) where a stream is believed to be elsewhere.

    far: from where it should be. anchored: where the bank follows most axes, lost: not all.
    """
    apart = ~anchored | (lost & (before.row > LONG))  # what moves again and again is held off less
    return again | (before.held_off() & (weight > BELIEVED) & far & apart)


def remember(xp: ModuleType, rejects: Rejects, jump: Array) -> Rejects:
    """Return the counters with this jump (B, A), where there was one."""
    zero = xp.zeros_like(rejects.row)
    return rejects._replace(jumps=rejects.jumps * (1.0 - 1.0 / MEMORY)
                            + xp.where(jump, zero + 1.0, zero))
