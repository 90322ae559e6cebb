# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What the filters of the bank say of a stream, each by how likely its messages were."""

from types import ModuleType
from typing import NamedTuple

from liquid_ros.arrays import Array, clip, each_axis, stack
from liquid_ros.smoothers.bank import AGILE, Bank, LEAST, MOST, MOVING

MIDDLE = 1  # of the bank's memories
COUNTS = (20.0, 60.0, 120.0)  # no more messages than these speak for a filter
SHAKEN = 2.0  # of log index: an axis so far above its group is a case of its own


class Judgement(NamedTuple):
    """
    What the filters say of each axis, by its whole group or by itself alone, K memories.

    index: (B, A, K) log of the index, its root's mean under the posterior squared: in doubt the
    larger one, which errs less. doubt: (B, A, K) mean square of log index about it. noise:
    (B, A, K) log R. behind: (B, A, K, M) -2 log likelihood a message and axis, less the best
    filter's. own: (B, A) the index by one axis alone, of the middle memory. All of them of the
    filters of constant velocity.
    lag: (B, A, K) how far the best random walk is behind, walk: (B, A, K) log of its step,
    shake: (B, A, K) log of its R. leads: (B, A, K) how far the slowest walk is behind the best
    one: where it leads away.
    own_lag, own_walk: (B, A) by one axis alone, and agile: log R by the most agile filter, all of
    the middle memory.
    """

    index: Array
    doubt: Array
    noise: Array
    behind: Array
    own: Array
    lag: Array
    walk: Array
    shake: Array
    leads: Array
    own_lag: Array
    own_walk: Array
    agile: Array


def judge(xp: ModuleType, bank: Bank, age: Array, average: Array, table: Array) -> Judgement:
    """
    Return what the filters say; average (B, A, A): means over a group's moving axes.

    Axes that rest in noise would outvote one that is shaken: it is judged by itself where its
    index is far above the group's.
    """
    size = bank.power.shape
    level = xp.log(clip(bank.power, LEAST, MOST))
    cost = level + bank.log_s[:, None]
    among = average[:, ::3]  # (B, G, A)
    pooled = (among @ cost.reshape(size[0], size[1], -1)).reshape(
        size[0], size[1] // 3, size[2], size[3])
    axes = 1.0 / (among * among).sum(-1)  # n entries of 1 / n
    seen = (among * age[:, None]).sum(-1)
    moving = table[:, :MOVING]
    middle, count = cost[:, :, MIDDLE], clip(age, 0.0, COUNTS[MIDDLE])
    own = _index(xp, middle[..., :MOVING], count, moving)
    own_walk = _index(xp, middle[..., MOVING:], count, table[:, MOVING:])
    group = _index(xp, pooled[:, :, MIDDLE, :MOVING], axes * clip(seen, 0.0, COUNTS[MIDDLE]),
                   moving)
    alone = own - each_axis(group) > SHAKEN
    cost = xp.where(alone[..., None, None], cost, each_axis(pooled))
    axes = xp.where(alone, xp.ones_like(age), each_axis(axes))
    seen = xp.where(alone, age, each_axis(seen))
    counts = axes[..., None] * stack(*(clip(seen, 0.0, most) for most in COUNTS))
    behind, walking = _behind(xp, cost[..., :MOVING]), _behind(xp, cost[..., MOVING:])
    posterior, walks = _posterior(xp, behind, counts), _posterior(xp, walking, counts)
    index = _log_index(xp, posterior, moving)
    doubt = (posterior * (moving[0] - index[..., None])**2).sum(-1)
    noise = (posterior * level[..., :MOVING]).sum(-1)
    return Judgement(index, doubt, noise, behind, own, _lag(xp, cost),
                     _log_index(xp, walks, table[:, MOVING:]),
                     (walks * level[..., MOVING:]).sum(-1), walking[..., 0], _lag(xp, middle),
                     own_walk, level[:, :, MIDDLE, AGILE])


def _least(xp: ModuleType, cost: Array) -> Array:
    """Return the least (...) of costs (..., M)."""
    return -xp.amax(-cost, -1)


def _lag(xp: ModuleType, cost: Array) -> Array:
    """Return how far (...) the best walk is behind the best filter with a velocity."""
    return _least(xp, cost[..., MOVING:]) - _least(xp, cost[..., :MOVING])


def _behind(xp: ModuleType, cost: Array) -> Array:
    """Return the costs (..., M) less the least of them."""
    return cost - _least(xp, cost)[..., None]


def _posterior(xp: ModuleType, behind: Array, count: Array) -> Array:
    """Return the filters' probabilities (..., M) after that many messages, all alike before."""
    odds = xp.exp(-0.5 * count[..., None] * behind)
    return odds / odds.sum(-1)[..., None]


def _log_index(xp: ModuleType, posterior: Array, table: Array) -> Array:
    """Return the log of the squared mean of the index's root (...)."""
    return 2.0 * xp.log((posterior * table[1]).sum(-1))


def _index(xp: ModuleType, cost: Array, count: Array, table: Array) -> Array:
    """Return the log index (...) by costs (..., M), whose filters the table has."""
    return _log_index(xp, _posterior(xp, _behind(xp, cost), count), table)
