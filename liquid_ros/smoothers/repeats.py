# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Values that are sent again: a camera of 10 Hz on a topic of 50 is no sensor of 50.

A message that repeats the last one to the last digit is no measurement where that is the stream's
habit: where as many repeats came between one new value and the next time and again. More of them
than that are one: something rests.

Nor is it one where it never happened before and noise would not let it: then the sensor is lost,
and sends what it saw last, or zeros.
"""

import math
from types import ModuleType
from typing import NamedTuple, Tuple

from liquid_ros.arrays import Array, clip, columns
from liquid_ros.smoothers.base import State

HABIT = 8.0  # new values one after the other with about as many repeats behind each
ABOUT, ONE_MORE = 0.6, 1.5  # share of the usual repeats, and how many, that are about as many
LEAST = 1e-30  # what is less has not moved, or varied, in float32, too
MOST = 40.0  # repeats of a value: beyond it that is a rest
FORGOTTEN = 0.005  # of the usual repeats, by each new value without any
NEVER = 30.0  # new values one after the other without any: then it is as if it never repeated one
CHANCE = 1e-4  # the square of it, at most
LEVEL = -3.0  # of R in units, a logarithm: less may be motion
MOVES = 25.0  # squared velocity over its variance: more does not stop from one to the next
NEAR = 9.0  # R: the mean square of a move that may be noise
PUT_OFF = 10.0  # new values for each repeat of what rested: it may rest again
LONG, PATIENCE = 8.0, 300.0  # repeats that say that something is wrong; how many of nonsense


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


class Stream(NamedTuple):
    """
    What is known of a stream, each (B, 1) bool.

    noisy: it would not repeat itself by chance, even at rest. moves: beyond doubt. astray: its
    last message was held off. near: this one is where the last one was, within the noise.
    """

    noisy: Array
    moves: Array
    astray: Array
    near: Array

    @classmethod
    def of(cls, xp: ModuleType, state: State, moved: Array, held_off: Array) -> 'Stream':
        """Return what a state says; moved, held_off (B, A)."""
        noise, grain, velocity = state['process'][..., 4], state['grain'], state['motion'][..., 0]
        one, zero, some = xp.ones_like(noise), xp.zeros_like(noise), noise + LEAST
        # of a deviation s one step d of the last digit has a share of 0.4 d / s at most
        share = xp.log(clip(grain * grain / some, CHANCE, 1.0))
        speed = velocity * velocity / (state['covariance'][..., 3] + LEAST)
        return cls(_sum(xp.where(state['said'][..., 0] > LEVEL, share, zero)) < math.log(CHANCE),
                   _sum(speed) > MOVES, _sum(xp.where(held_off, one, zero)) > 0.5,
                   _sum(moved * moved / some) < NEAR * moved.shape[-1])


class Sent(NamedTuple):
    """
    What is sent, each (B, 1) bool.

    echo: it is no measurement. stuck: nor that, but nothing better is known. found: what comes
    behind a sensor that was lost.
    """

    echo: Array
    stuck: Array
    found: Array

    def heed(self, xp: ModuleType, weight: Array) -> Array:
        """Return the weight (B, A) of a message that would have this one."""
        return xp.where(self.stuck, xp.ones_like(weight),
                        xp.where(self.echo, 0.0 * weight, weight))

    def doubt(self, xp: ModuleType, state: State, more: Array, now: Array) -> Array:
        """Return what of the error (B, A) is in no P; more: by each repeat of what is stuck."""
        more = xp.where(self.stuck, more, 0.0 * more)
        return xp.where(self.echo, state['output_besides'] + more, now)


def repeated(xp: ModuleType, before: Repeats, stream: Stream, moved: Array, dt_s: Array
             ) -> Tuple[Repeats, Sent]:
    """Return the counters at a message, and what it is; moved (B, A)."""
    row, usual, alike, waited = before
    zero, one = xp.zeros_like(row), xp.ones_like(row)
    same = _sum(xp.abs(moved)) < LEAST
    again, more = row > 0.5, row > ONE_MORE
    lost = (usual < 0.5) & (alike > NEVER - 0.5) & stream.noisy  # where it repeats itself
    leads = (stream.moves & (row < MOST)) | (stream.astray & (row < PATIENCE))
    about = (xp.abs(row - usual) < xp.maximum(ABOUT * usual, ONE_MORE * one)) & (
        (usual > 0.5) | ~again)
    rested = ((row > MOST) & ~lost) | (lost & more & stream.near)
    stays = same | (lost & again & ~rested)
    less = xp.where(again, usual, xp.maximum(usual - FORGOTTEN, zero))
    other = xp.where(rested, -PUT_OFF * row, xp.where(again, zero, xp.minimum(alike, zero)))
    following = Repeats(
        xp.where(same, row + one, zero),
        xp.where(stays, usual, xp.where(about, xp.maximum(less, row), row)),
        xp.where(stays, alike, xp.where(about & ~rested, alike + one, other)),
        zero)
    echo = same & (lost | ((alike > HABIT - 0.5) & (row + one < usual + 0.5)
                           & (usual < MOST + 0.5)))
    return following._replace(waited=xp.where(echo, waited + dt_s, zero)), Sent(
        echo, same & lost & again & ~leads,
        ~same & lost & ((more & ~leads) | (row > LONG)))


def unlearned(xp: ModuleType, echo: Array, before: State, after: State) -> State:
    """Return what a message taught, or, where it is an echo (B, 1), what was known before."""
    out = {}
    for name, array in after.items():
        where = echo
        for _ in range(len(array.shape) - 2):
            where = where[..., None]
        out[name] = xp.where(where, before[name], array)
    return out


def _sum(values: Array) -> Array:
    return values.sum(-1)[:, None]
