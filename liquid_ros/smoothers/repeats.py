# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Values that are sent again: a camera of 10 Hz on a topic of 50 is no sensor of 50.

A message that repeats the last one to the last digit is no measurement where that is the stream's
habit: where as many repeats came between one new value and the next time and again. More of them
than that are one: something rests, or is lost.
"""

from types import ModuleType
from typing import NamedTuple, Tuple

from liquid_ros.arrays import Array, columns
from liquid_ros.smoothers.base import State

HABIT = 8.0  # new values one after the other with about as many repeats behind each
ABOUT, ONE_MORE = 0.6, 1.5  # share of the usual repeats, and how many, that are about as many
LEAST = 1e-30  # what is less has not moved, in float32, too
MOST = 40.0  # repeats of a value: beyond it that is a rest


class Repeats(NamedTuple):
    """
    Counters of a stream, each (B, 1), packed (B, 4).

    row: repeats in a row. usual: the most that there were of late. alike: new values for which it
    has been so. waited: s since the last measurement.
    """

    row: Array
    usual: Array
    alike: Array
    waited: Array

    @classmethod
    def of(cls, packed: Array) -> 'Repeats':
        """Return the counters that concatenate(repeats) packed."""
        return cls(*columns(packed))


def repeated(xp: ModuleType, before: Repeats, moved: Array, dt_s: Array
             ) -> Tuple[Repeats, Array]:
    """Return the counters and whether (B, 1) a message is no measurement; moved (B, A)."""
    row, usual, alike, waited = before
    zero, one = xp.zeros_like(row), xp.ones_like(row)
    same = xp.abs(moved).sum(-1)[:, None] < LEAST
    about = xp.abs(row - usual) < xp.maximum(ABOUT * usual, ONE_MORE * one)
    following = Repeats(
        xp.where(same, row + one, zero),
        xp.where(same, usual, xp.where(about, xp.maximum(usual, row), row)),
        xp.where(same, alike, xp.where(about & (usual > 0.5), alike + one, zero)),
        zero)
    echo = (same & (alike > HABIT - 0.5) & (row + one < usual + 0.5) & (usual < MOST + 0.5))
    return following._replace(waited=xp.where(echo, waited + dt_s, zero)), echo


def unlearned(xp: ModuleType, echo: Array, before: State, after: State) -> State:
    """Return what a message taught, or, where it is an echo (B, 1), what was known before."""
    out = {}
    for name, array in after.items():
        where = echo
        for _ in range(len(array.shape) - 2):
            where = where[..., None]
        out[name] = xp.where(where, before[name], array)
    return out
