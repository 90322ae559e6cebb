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

from liquid_ros.arrays import Array, clip, columns, summed
from liquid_ros.smoothers.base import State
from liquid_ros.smoothers.track import Prior, Track

HABIT = 8.0  # new values one after the other with about as many repeats behind each
ABOUT, ONE_MORE = 0.6, 1.5  # share of the usual repeats, and how many, that are about as many
LEAST = 1e-30  # what is less has not moved, or varied, in float32, too
MOST = 40.0  # repeats of a value: beyond it that is a rest
NEVER, ENDLESS = 30.0, 1e6  # new values without any, from which on none is expected; at most
CHANCE = 1e-4  # squared, at most: that noise falls on the same digits again
LEVEL = -3.0  # of R in units, a logarithm: less may be motion
BEYOND, WILD = 25.0, 100.0  # sums of squares over variances: beyond doubt, and beyond belief
NEAR, NEARER = 9.0, 4.0  # of R: the mean square of a move that may be noise; how many in a miss
PUT_OFF = 1000.0  # new values behind what rested, which may rest again
SOME, LONG = 4.5, 8.0  # repeats that may be a rest, and that are too many for chance
PATIENCE = 300.0  # of nonsense
SLOWER = 0.9  # of its motion is left, by a message, of what was led for MOST of them


class Repeats(NamedTuple):
    """
    Counters of a stream, each (B, 1), packed (B, 6).

    row: repeats in a row. usual: the most that there were of late. alike: new values for which it
    has been so. waited: s since the last measurement. fresh: new values without any, less than
    none where it has rested. held: 1 where it was stuck.
    """

    row: Array
    usual: Array
    alike: Array
    waited: Array
    fresh: Array
    held: Array

    @classmethod
    def of(cls, packed: Array) -> 'Repeats':
        """Return the counters that concatenate(repeats) packed."""
        return cls(*columns(packed))


class Same(NamedTuple):
    """
    What a message is to the one before, each (B, 1) bool.

    same: it repeats it. echo: and is no measurement. lost: for noise would not repeat itself.
    back: it is the first other one behind that.
    """

    same: Array
    echo: Array
    lost: Array
    back: Array


class Sent(NamedTuple):
    """
    What is made of it, each (B, 1) bool.

    stuck: nothing speaks against it. found: it is believed. slows: what is led comes to rest.
    """

    echo: Array
    stuck: Array
    found: Array
    slows: Array

    def heed(self, xp: ModuleType, weight: Array) -> Array:
        """Return the weight (B, A) of a message that would have this one."""
        return xp.where(self.stuck, xp.ones_like(weight),
                        xp.where(self.echo, 0.0 * weight, weight))

    def slowed(self, xp: ModuleType, names: Track, track: Track) -> State:
        """Return a filter's state by its names, its motion less where it was led for long."""
        rows, moving, covariance = track
        moving = xp.where(self.slows[..., None], SLOWER * moving, moving)
        return dict(zip(names, (rows, moving, covariance)))

    def doubt(self, xp: ModuleType, state: State, square: Array, noise: Array, now: Array
              ) -> Array:
        """Return what of the error (B, A) is in no P: R more by a repeat that is stuck."""
        more = square + xp.where(state['repeats'][:, :1] < MOST, noise, 0.0 * noise)
        more = state['output_besides'] + xp.where(self.stuck, more, 0.0 * more)
        return xp.where(self.echo, more, now)


def blind_s(state: State) -> float:
    """Return for how long a stream has been lost, of the state of one (1, ...), NumPy."""
    now = Repeats.of(state['repeats'])
    return now.waited.item() if now.fresh.item() > NEVER - 0.5 else 0.0


def noisy(xp: ModuleType, state: State) -> Array:
    """Return where (B, 1) a stream would not repeat itself by chance, not at rest either."""
    noise, grain = state['process'][..., 4], state['grain']
    # of a deviation s one step d of the last digit has a share of 0.4 d / s at most
    share = xp.log(clip(grain * grain / (noise + LEAST), CHANCE, 1.0))
    share = xp.where(state['said'][..., 0] > LEVEL, share, 0.0 * share)
    return summed(share) < math.log(0.9 * CHANCE)  # not of one axis alone


def repeated(xp: ModuleType, before: Repeats, never: Array, moved: Array) -> Same:
    """Return what a message is; never: what noisy() says. moved (B, A)."""
    row, usual, alike, _, fresh, _ = before
    same, alert = summed(xp.abs(moved)) < LEAST, never & (fresh > NEVER - 0.5)
    habit = (alike > HABIT - 0.5) & (row + 1.0 < usual + 0.5) & (usual < MOST + 0.5)
    return Same(same, same & (alert | habit), same & alert, ~same & alert & (row > 0.5))


def settled(xp: ModuleType, before: Repeats, same: Same, prior: Prior, innovation: Array,
            moved: Array, held_off: Array, dt_s: Array) -> Tuple[Repeats, Sent]:
    """Return the counters now, and what is made of a message; held_off: (B, A) the last one."""
    row, usual, alike, waited, fresh, held = before
    zero, one, axes = xp.zeros_like(row), xp.ones_like(row), moved.shape[-1]
    p, noise, velocity = prior.covariance, prior.noise + LEAST, prior.velocity
    miss = summed(innovation * innovation / (p[0] + noise))
    astray = summed(xp.where(held_off, xp.ones_like(noise), xp.zeros_like(noise))) > 0.5
    moves = summed(velocity * velocity / (p[3] + LEAST)) > BEYOND
    led = xp.where(astray, xp.where(row < PATIENCE, miss, zero) > BEYOND, moves & (row < MOST))
    was_led = held < 0.5
    stuck = same.lost & (row > 0.5) & ~(led & was_led)
    move = summed(moved * moved / noise)
    found = same.back & (~was_led | ((row > LONG) & (miss < WILD)))
    # where the last one was, or nearer to that than to where it was led: it did not move
    rested = same.back & (row > SOME) & ~astray & ((move < NEAR * axes) | (
        was_led & (NEARER * move < summed(innovation * innovation / noise))))
    kept = same.same | (same.back & ~rested)
    about = xp.abs(row - usual) < xp.maximum(ABOUT * usual, ONE_MORE * one)
    least = xp.minimum(fresh, zero)
    less = xp.where(rested | (row > MOST), -PUT_OFF * one, least)
    return Repeats(
        xp.where(same.same, row + one, zero),
        xp.where(kept, usual, xp.where(about, xp.maximum(usual, row), row)),
        xp.where(kept, alike, xp.where(about & (usual > 0.5), alike + one, zero)),
        xp.where(same.echo, waited + dt_s, zero),
        xp.where(kept, fresh, xp.where(row > 0.5, less, xp.minimum(fresh + one, ENDLESS * one))),
        xp.where(stuck, one, zero),
    ), Sent(same.echo, stuck, found, same.lost & ~stuck & (row > MOST - 0.5))


def unlearned(xp: ModuleType, echo: Array, before: State, after: State) -> State:
    """Return what a message taught, or, where it is an echo (B, 1), what was known before."""
    out = {}
    for name, array in after.items():
        where = echo
        for _ in range(len(array.shape) - 2):
            where = where[..., None]
        out[name] = xp.where(where, before[name], array)
    return out
