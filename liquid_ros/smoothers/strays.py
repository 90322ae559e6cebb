# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What becomes of wild messages: where those that follow are back again, they were stray ones.

A stream that strays and comes back time and again has a second place, as a marker has that is
seen from the wrong side: less is believed of it. One whose wild messages lead somewhere moves so.
"""

from types import ModuleType
from typing import NamedTuple, Tuple

from liquid_ros.arrays import Array, unstack
from liquid_ros.manifold import shortest
from liquid_ros.smoothers.sight import mean

FAR_OFF = 9.0  # a mean nu^2 / S beyond which a message may be a stray one
BACK_BY = 3.5  # messages after a wild one: who is not back by then has gone
BACK = 0.1  # of the square of the way there: what is left of it on the way back
TWICE, RARELY = 1.5, 0.3  # so often it came back, and of those did not
MEMORY = 1500.0  # messages
ALONG = 0.8  # of a squared cosine: beyond it a step goes on in the same direction
SHORTEST, LONGEST = 0.1, 9.0  # of the square of the way so far: such a step goes on from it
WARY, STRICT = 40.0, 25.0  # the gate is no wider while messages are held off, of one that strays


class Strays(NamedTuple):
    """
    What is known of a group's axes, each (B, A), packed (B, A, 6).

    since: messages since a wild one that may yet come back, from one on; zero for none. away: the
    way since before it. back, gone: how often it was back of late, and how often not. far: square
    of the way that it went. noise: usual R before messages were held off.
    """

    since: Array
    away: Array
    back: Array
    gone: Array
    far: Array
    noise: Array

    @classmethod
    def of(cls, packed: Array) -> 'Strays':
        """Return what stack(*strays) packed."""
        return cls(*unstack(packed))

    def come_back(self) -> Array:
        """Return (B, A) bool: True where a stream strays and comes back."""
        return (self.back > TWICE) & (self.gone < RARELY * self.back)


def outcome(xp: ModuleType, before: Strays, average: Array, moved: Array
            ) -> Tuple[Strays, Array]:
    """Return what is known after a move (B, A), and where it was the way back."""
    zero, keep, out = xp.zeros_like(moved), 1.0 - 1.0 / MEMORY, before.since > 0.5
    away = shortest(xp, before.away + moved)  # half a turn there, half a turn on: back
    back = out & (mean(average, away * away) < BACK * before.far)
    gone = out & ~back & (before.since > BACK_BY)
    return before._replace(
        since=xp.where(out & ~back & ~gone, before.since + 1.0, zero), away=away,
        back=keep * before.back + xp.where(back, zero + 1.0, zero),
        gone=keep * before.gone + xp.where(gone, zero + 1.0, zero)), back


def goes_on(before: Strays, average: Array, moved: Array) -> Array:
    """Return (B, A) where a stream that never came back moves on from a wild message."""
    stride = mean(average, moved * moved)
    made = mean(average, before.away * before.away)
    along = mean(average, before.away * moved)
    straight = (along > 0.0) & (along * along > ALONG * made * stride)
    return ((before.since > 0.5) & (before.back < 0.5) & straight & (stride > SHORTEST * made)
            & (stride < LONGEST * made))


def undisturbed(xp: ModuleType, strays: Strays, held_off: Array, told: Array, expected: Array,
                noise: Array) -> Array:
    """
    Return R to judge a message by: of a stream that strays that from before it, and no more.

    told: factor on R that is stated. expected: (B, A) of the message before, noise: of this one,
    which had its say in it; both with that factor.
    """
    calm = xp.where(held_off, strays.noise * told, expected)
    return xp.where(strays.come_back(), xp.minimum(noise, calm), noise)


def narrowed(xp: ModuleType, gate: Array, wary: Array, strays: Array) -> Array:
    """Return the gate: of two messages that agree the second is not believed for that."""
    gate = xp.where(wary, xp.minimum(gate, WARY + 0.0 * gate), gate)
    return xp.where(strays, xp.minimum(gate, STRICT + 0.0 * gate), gate)


def noted(xp: ModuleType, strays: Strays, average: Array, normal: Array, moved: Array,
          returned: Array, noise: Array) -> Strays:
    """
    Return what is known after a message; normal (B, A): nu over the root of the predicted S.

    returned: as outcome() has it. noise: R to judge by while messages are held off, the usual one.
    """
    wild = mean(average, normal * normal) > FAR_OFF
    begins = wild & ~returned & (strays.since < 0.5)
    return strays._replace(
        since=xp.where(begins, xp.ones_like(moved), strays.since),
        away=xp.where(begins, moved, strays.away),
        far=xp.where(begins, mean(average, moved * moved), strays.far), noise=noise)
