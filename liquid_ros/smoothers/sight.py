# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What the cell sees at a message, all of it dimensionless.

First what changes slowly (SLOW features), which alone sets the noise levels in the long run,
then what is new. Of most it sees its own axis and the mean over its group.
"""

from types import ModuleType
from typing import NamedTuple, Tuple

from liquid_ros.arrays import Array, clip, stack
from liquid_ros.smoothers.bank import MEMORIES, MOVING
from liquid_ros.smoothers.likelihood import Judgement
from liquid_ros.smoothers.units import Clock

SHOWN = MOVING // 2  # every second filter
SLOW = 2 * (6 + SHOWN) + 1 + 4 + 4
FEATURES = SLOW + 6 + SHOWN + 4 + 2 * 6 + 3
WIDE = 6.0  # ratios of sizes beyond exp(this) tell the cell nothing more
INDEX_AT, NOISE_AT = 0, 2 * (len(MEMORIES) - 1)  # of the middle memory: log index and log R
HABITS = (30.0, 400.0)  # messages that habits go back
INDEX_MIDDLE, INDEX_SHARE, LEVEL_SHARE = -4.0, 0.3, 0.3  # of what the features show
WALK_MIDDLE = -2.0
SPEED, MOST_GAIN = 100.0, 0.91  # indices; of a walk of the longest step
WILD, AGAIN = 25.0, 4.0  # a mean nu^2 / S beyond which, and beyond so much of the last one's
FAMILIAR = 10.5  # messages after which a stream is known well enough to say so


class Glance(NamedTuple):
    """
    One message, each (B, A).

    seen: asinh of the innovation over its root S; past, older: of the two messages before.
    gain: P11 / S. noise: log R over unit^2. level: log unit. restless: log fast over slow size.
    rejects: messages rejected in a row.
    """

    seen: Array
    past: Array
    older: Array
    gain: Array
    noise: Array
    level: Array
    restless: Array
    rejects: Array


def mean(average: Array, values: Array) -> Array:
    """Return (B, A): of the values (B, A), each group's mean over its moving axes."""
    return (average @ values[..., None])[..., 0]


def below(xp: ModuleType, average: Array, values: Array, bound: float) -> Array:
    """Return (B, A) where one of a group's moving axes is: the others may be as they were."""
    one, zero = xp.ones_like(values), xp.zeros_like(values)
    return mean(average, xp.where(values < bound, one, zero)) > 0.0


def heard(xp: ModuleType, average: Array, normal: Array, past: Array, count: Array) -> Array:
    """
    Return (B, A) whether to learn of the stream from a message: 0 where it alone is wild, else 1.

    A second one may be what the stream has become. normal: nu over the root of S, past: asinh of
    that of the message before.
    """
    before = 0.5 * (xp.exp(past) - xp.exp(-past))  # sinh
    wild = mean(average, normal * normal) > xp.maximum(
        AGAIN * mean(average, before * before), WILD + 0.0 * normal)
    return xp.where(wild & (count > FAMILIAR), xp.zeros_like(normal), xp.ones_like(normal))


def habits(before: Array, seen: Array, past: Array, count: Array, listens: Array) -> Array:
    """
    Return running means (B, A, 4) of seen^2 and seen past, over 30 and over 400 messages.

    listens: as heard() has it; a message that is not heard is not in the longer ones.
    """
    square, product = clip(seen * seen, 0.0, 9.0), clip(seen * past, -9.0, 9.0)
    shares = [1.0 / clip(count + 20.0, 1.0, memory) + 0.0 * seen for memory in HABITS]
    once = stack(square, product, square, product)
    long = listens * shares[1]
    return before + stack(shares[0], shares[0], long, long) * (once - before)


def strolling(xp: ModuleType, bank: Judgement, noise: Array, shake: Array
              ) -> Tuple[Array, Array, Array]:
    """
    Return how far the best walk is behind, its log step and R, of streams that are no faster.

    A stream seen from a train is as smooth as ever, but all walks lose it. So what they say is at
    most what they would say of one that moves by v = SPEED index of the noise a message: K of the
    best walk has the least v^2 / K^2 + K, its R is larger by 1 + v^2 (1 - K) / K^2, and it is
    behind by some 3 log(1 + 0.6 v^(2/3)).
    """
    speed = clip(SPEED * xp.exp(bank.index), 1e-6, 1e6)
    third = xp.exp(xp.log(speed) / 1.5)
    gain = xp.minimum(1.26 * third, MOST_GAIN + 0.0 * third)
    most = 3.0 * xp.log(1.0 + 0.6 * third)
    high = noise + LEVEL_SHARE * xp.log(1.0 + speed * speed * (1.0 - gain) / (gain * gain))
    fast = bank.lag > most
    return (xp.minimum(bank.lag, most),
            xp.where(fast, xp.minimum(bank.walk, xp.log(1.5 * gain)), bank.walk),
            xp.where(fast, xp.minimum(shake, high), shake))


def sight(xp: ModuleType, bank: Judgement, habit: Array, glance: Glance, average: Array,
          clock: Clock) -> Array:
    """Return what the cell sees (B, A, FEATURES)."""
    index = INDEX_SHARE * (bank.index - INDEX_MIDDLE)
    doubt = 0.5 * xp.log(0.05 + bank.doubt)
    unit = 2.0 * glance.level[..., None]
    noise, shake = (LEVEL_SHARE * clip(log_r - unit, -2.0 * WIDE, 2.0 * WIDE)
                    for log_r in (bank.noise, bank.shake))
    behind, walk, shake = strolling(xp, bank, noise, shake)
    lag, walk = 0.5 * xp.arcsinh(30.0 * behind), INDEX_SHARE * (walk - WALK_MIDDLE)
    curve = 0.3 * xp.arcsinh(30.0 * bank.behind[..., ::2])
    curves = [curve[:, :, k] for k in range(len(MEMORIES))]
    zero, count = 0.0 * glance.seen, clock.count
    steady = stack(xp.log(0.05 + habit[..., 2]), 3.0 * habit[..., 3])
    lively = stack(xp.log(0.05 + habit[..., 0]), 3.0 * habit[..., 1])
    alone = INDEX_SHARE * (bank.own - INDEX_MIDDLE) - index[..., 1]
    now = stack(xp.abs(glance.seen), glance.seen * glance.past, glance.seen * glance.older,
                0.3 * xp.log(glance.gain), 0.3 * clip(glance.noise, -2.0 * WIDE, 2.0 * WIDE),
                clip(glance.restless, -WIDE, WIDE))
    everywhere = mean(average, xp.abs(glance.seen)).mean(1)[:, None]
    return xp.concatenate([
        index[..., 1:], doubt[..., 1:], noise[..., 1:], lag[..., 1:], walk[..., 1:],
        shake[..., 1:], *curves[1:], alone[..., None],
        steady, average @ steady,
        stack(zero + 1.0, zero + 1.0 / (1.0 + 0.1 * count), zero + 1.0 / (1.0 + 0.01 * count),
              clip(glance.level - mean(average, glance.level), -WIDE, WIDE)),
        # -- and what is new
        index[..., :1], doubt[..., :1], noise[..., :1], lag[..., :1], walk[..., :1],
        shake[..., :1], curves[0], lively, average @ lively,
        now, average @ now,
        stack(zero + xp.log(clock.pace), zero + everywhere, 0.2 * glance.rejects)], -1)
