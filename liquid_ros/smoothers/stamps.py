# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Stamps of receipt: what a radio or a bus hands on in bursts was not measured in bursts.

A stream that moves by u from message to message moves by u dt / T where dt is the time between
the measurements, T its mean, and by u whatever dt is where the stamps are of receipt. So the
regression of m - u dt / T on u (1 - dt / T), m the move, has the slope 0 for the one and 1 for
the other. Once it is 1, time goes on by T, drawn towards the stamps a little, as by a
phase-locked loop.
"""

from types import ModuleType
from typing import NamedTuple, Tuple

from liquid_ros.arrays import Array, clip, columns, summed
from liquid_ros.smoothers.base import LEAST_S, State
from liquid_ros.smoothers.scale import FLOOR

USUAL = 0.1  # share of a new move in u
SOON = 0.3  # mean dt: what comes sooner tells; a clock that drifts and a turn over a gap do not
MEMORY, ENOUGH = 300.0, 20.0  # messages that the sums go back, and how many of those are to tell
LEAST, MOST = 0.5, 2.0  # the slope
BEGINS, GOES_ON = 0.05, 0.01  # its squared correlation: more than that
FAR = 30.0  # usual sizes, or mean dt, that count at most
OUTAGE = 8.0  # mean dt: time that is further behind goes on with the stamps
# who sends only what moves has pauses: beyond so many mean dt, and for so few that tell
PAUSE, SELDOM = 12.0, 0.02
TIGHT, TOLD = 0.03, 0.1  # mean dt, and the share of a pause that one so soon takes back
SETTLED = 30.5  # messages after which the mean dt is one
PULL, CRAWL = 0.05, 0.1  # share of what time is behind; the least of T or dt that passes


class Stamps(NamedTuple):
    """
    What is known of a stream's stamps, packed (B, A + 6).

    usual: (B, A) u. number: of the messages that told. pauses: long ones. across, along, whole:
    sums of products of what is explained and what explains it, of the one's squares and of the
    other's. behind: s that time is behind the stamps. Each (B, 1).
    """

    usual: Array
    number: Array
    pauses: Array
    across: Array
    along: Array
    whole: Array
    behind: Array

    @classmethod
    def of(cls, packed: Array) -> 'Stamps':
        """Return what concatenate(stamps) packed."""
        axes = packed.shape[1] - 6
        return cls(packed[:, :axes], *columns(packed[:, axes:]))

    @classmethod
    def zeros(cls, xp: ModuleType, zero: Array) -> Array:
        """Return them packed, after a first message; zero (B, A)."""
        return xp.concatenate([zero] + [zero[:, :1]] * 6, -1)


def measured_after(xp: ModuleType, before: Stamps, clock: Array, dt_s: Array, moved: Array,
                   size: Array) -> Tuple[Stamps, Array]:
    """
    Return what is known now, and the time (B, 1) between the measurements; dt_s: of their stamps.

    clock: (B, 2) messages so far and their mean dt. moved, size: (B, A) the move, and how far a
    message usually lies from where it should.
    """
    count, mean_dt = clock[:, :1], xp.maximum(clock[:, 1:], LEAST_S + 0.0 * dt_s)
    pace, zero, one = clip(dt_s / mean_dt, 0.0, FAR), xp.zeros_like(dt_s), xp.ones_like(dt_s)
    soon = xp.where(pace < SOON, one, zero)
    size = xp.maximum(size, FLOOR + 0.0 * size)
    rest = soon * clip((moved - pace * before.usual) / size, -FAR, FAR)
    lead = soon * clip((1.0 - pace) * before.usual / size, -FAR, FAR)
    paused = xp.where((pace > PAUSE) & (count > SETTLED), one, zero)
    # but within a few hundredths of the mean dt nothing can be measured in turn
    paused = paused - TOLD * xp.where(pace < TIGHT, one, zero)
    number, pauses, across, along, whole = ((1.0 - 1.0 / MEMORY) * old + new for old, new in (
        (before.number, soon), (before.pauses, paused), (before.across, summed(rest * lead)),
        (before.along, summed(lead * lead)), (before.whole, summed(rest * rest))))
    pauses = xp.maximum(pauses, zero)
    least = xp.where(before.behind == 0.0, BEGINS * one, GOES_ON * one)
    passed = dt_s + before.behind
    received = ((number > ENOUGH) & (pauses < SELDOM * number)
                & (across > LEAST * along) & (across < MOST * along)
                & (across * across > least * along * whole)
                & (xp.abs(passed - mean_dt) < OUTAGE * mean_dt))
    spent = xp.where(received,
                     xp.maximum(mean_dt + PULL * (passed - mean_dt), CRAWL * mean_dt),
                     xp.maximum(passed, CRAWL * dt_s))
    share = xp.maximum(1.0 / (count + 1.0), USUAL * one)
    return Stamps(before.usual + share * (moved - before.usual), number, pauses, across, along,
                  whole, xp.where(received, passed - spent, zero)), spent


def measured_between(xp: ModuleType, before: State, after: State, dt_s: Array) -> Array:
    """Return the time (B, 1) between two states' measurements; dt_s: of their stamps."""
    behind = Stamps.of(before['stamps']).behind - Stamps.of(after['stamps']).behind
    return xp.maximum(dt_s + behind, CRAWL * dt_s)
