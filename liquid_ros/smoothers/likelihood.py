# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What the filters of the bank say of a stream, each by how likely its messages were."""

from types import ModuleType
from typing import NamedTuple, Tuple

from liquid_ros.arrays import Array, clip, each_axis, stack
from liquid_ros.smoothers.bank import AGILE, Bank, LEAST, MOST, MOVING

SHORT, MIDDLE = 0, 1  # of the bank's memories
COUNTS = (20.0, 60.0, 120.0)  # no more messages than these speak for a filter
SHAKEN = 2.0  # of log index: an axis so far above its group is a case of its own
RESTS, LOWEST = 4.0, -1e3  # of it: an axis so far below another one of its group rests beside it


class Walks(NamedTuple):
    """
    What random walks say of each axis (B, A), by those of its group that do not rest beside it.

    lag: how far the best one is behind the best filter of constant velocity, in -2 log likelihood
    a message and axis. step: log of its step, late: by the short memory. leads: how far the
    slowest one is behind it: where it leads away. own_lag, own_step: by one axis alone. agile: log
    R by the most agile filter. All but one of the middle memory.
    """

    lag: Array
    step: Array
    late: Array
    leads: Array
    own_lag: Array
    own_step: Array
    agile: Array


class Judgement(NamedTuple):
    """
    What the filters say of each axis, by its whole group or by itself alone, K memories.

    index: (B, A, K) log of the index, its root's mean under the posterior squared: in doubt the
    larger one, which errs less. doubt: (B, A, K) mean square of log index about it. noise:
    (B, A, K) log R. behind: (B, A, K, M) -2 log likelihood a message and axis, less the best
    filter's. own: (B, A) the index by one axis alone, of the middle memory. All of them of the
    filters of constant velocity.
    lag: (B, A, K) how far the best random walk is behind, walk: (B, A, K) log of its step,
    shake: (B, A, K) log of its R. walks: what they say where what rests is left out.
    """

    index: Array
    doubt: Array
    noise: Array
    behind: Array
    own: Array
    lag: Array
    walk: Array
    shake: Array
    walks: Walks


def judge(xp: ModuleType, bank: Bank, age: Array, average: Array, table: Array) -> Judgement:
    """
    Return what the filters say; average (B, A, A): means over a group's moving axes.

    Axes that rest in noise would outvote one that is shaken: it is judged by itself where its
    index is far above the group's.
    """
    level = xp.log(clip(bank.power, LEAST, MOST))
    cost = level + bank.log_s[:, None]
    among = average[:, ::3]  # (B, G, A)
    pooled, axes, seen = _pooled(among, cost, age)
    moving, walking = table[:, :MOVING], table[:, MOVING:]
    own = _index(xp, cost[:, :, MIDDLE, :MOVING], clip(age, 0.0, COUNTS[MIDDLE]), moving)
    group = _index(xp, pooled[:, :, MIDDLE, :MOVING], axes * clip(seen, 0.0, COUNTS[MIDDLE]),
                   moving)
    alone = own - each_axis(group) > SHAKEN
    walks = _walks(xp, level, cost, age, _awake(xp, among, own), alone, walking)
    cost = xp.where(alone[..., None, None], cost, each_axis(pooled))
    axes = xp.where(alone, xp.ones_like(age), each_axis(axes))
    counts = _counts(axes, xp.where(alone, age, each_axis(seen)), len(COUNTS))
    behind, behind_walks = _behind(xp, cost[..., :MOVING]), _behind(xp, cost[..., MOVING:])
    posterior, steps = _posterior(xp, behind, counts), _posterior(xp, behind_walks, counts)
    index = _log_index(xp, posterior, moving)
    doubt = (posterior * (moving[0] - index[..., None])**2).sum(-1)
    noise = (posterior * level[..., :MOVING]).sum(-1)
    return Judgement(index, doubt, noise, behind, own, _lag(xp, cost),
                     _log_index(xp, steps, walking), (steps * level[..., MOVING:]).sum(-1), walks)


def _awake(xp: ModuleType, among: Array, own: Array) -> Array:
    """Return the shares (B, G, A) of a group's axes that do not rest beside another one."""
    top = xp.amax(xp.where(among > 0.0, own[:, None], LOWEST + 0.0 * among), -1)
    share = xp.where(own[:, None] > (top - RESTS)[..., None], among, 0.0 * among)
    return share / share.sum(-1)[..., None]  # never of none: the most agile one is awake


def _walks(xp: ModuleType, level: Array, cost: Array, age: Array, among: Array, alone: Array,
           table: Array) -> Walks:
    """Return what they say, by the axes that among (B, G, A) has; level, cost (B, A, K, M)."""
    middle, count = cost[:, :, MIDDLE], clip(age, 0.0, COUNTS[MIDDLE])
    own_lag, own_behind = _lag(xp, middle), _behind(xp, middle[..., MOVING:])
    own_step = _log_index(xp, _posterior(xp, own_behind, count), table)
    pooled, axes, seen = _pooled(among, cost[:, :, :MIDDLE + 1], age)
    behind = _behind(xp, pooled[..., MOVING:])
    step = _log_index(xp, _posterior(xp, behind, _counts(axes, seen, 2)), table)

    def of_each(group: Array, own: Array) -> Array:
        return xp.where(alone, own, each_axis(group))
    return Walks(of_each(_lag(xp, pooled[:, :, MIDDLE]), own_lag),
                 of_each(step[..., MIDDLE], own_step), of_each(step[..., SHORT], own_step),
                 of_each(behind[:, :, MIDDLE, 0], own_behind[..., 0]), own_lag, own_step,
                 level[:, :, MIDDLE, AGILE])


def _pooled(among: Array, cost: Array, age: Array) -> Tuple[Array, Array, Array]:
    """Return each group's mean cost (B, G, K, M), its axes and how long they moved (B, G)."""
    size = cost.shape
    pooled = (among @ cost.reshape(size[0], size[1], -1)).reshape(
        size[0], size[1] // 3, size[2], size[3])
    axes = 1.0 / (among * among).sum(-1)  # n entries of 1 / n
    return pooled, axes, (among * age[:, None]).sum(-1)


def _counts(axes: Array, seen: Array, memories: int) -> Array:
    """Return how many messages (..., K) of so many axes speak for a filter."""
    return axes[..., None] * stack(*(clip(seen, 0.0, most) for most in COUNTS[:memories]))


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
