# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A message before anybody judges it: in the stream's own time and unit, beside what was due."""

from types import ModuleType
from typing import Any, Dict, NamedTuple, Tuple

from liquid_ros.arrays import Array, cast, clip
from liquid_ros.manifold import minus
from liquid_ros.smoothers import bank
from liquid_ros.smoothers.base import State
from liquid_ros.smoothers.rejects import Rejects
from liquid_ros.smoothers.repeats import noisy, repeated, Repeats, Same
from liquid_ros.smoothers.scale import alive, bound, measure, Scale, unit_size
from liquid_ros.smoothers.sight import heard, mean
from liquid_ros.smoothers.stamps import CRAWL, measured_after, Stamps
from liquid_ros.smoothers.track import ahead, Prior, Track
from liquid_ros.smoothers.units import Clock, tick, Unit

FAR = 1e6  # a normalised innovation beyond this is as good as infinite
GAP = 1.5  # mean dt: beyond it a message may be nearer to the last one than to where two led
TRUSTED = 0.3  # of a message that the bank trusts less it does not measure from


class Reading(NamedTuple):
    """
    A message in the stream's own time and unit; B streams, A axes.

    rejects: counters before it. moved: (B, A) from the last one. same: whether it repeats that.
    now_s: (B, 1) between their stamps. stamps: what is known of them now. clock: time since the
    last measurement. lately: since the last message, which is what a filter has to predict over.
    theirs: (B, A, M) the bank's innovations. agile: (B, A) the most agile filter's, over a gap no
    more than the way from the anchor. accident: (B, A) whether a jump here would be one.
    sizes: now, left: (B, A) of the old ones. scale: (B, A) the unit, and unit: its square.
    average: (B, A, A) means over a group's moving axes.
    """

    rows: Array
    rejects: Rejects
    moved: Array
    same: Same
    now_s: Array
    stamps: Stamps
    clock: Clock
    lately: Clock
    theirs: Array
    agile: Array
    accident: Array
    sizes: Scale
    left: Array
    scale: Array
    unit: Unit
    average: Array


class Innovation(NamedTuple):
    """
    A message beside the prediction, each (B, A) but for that.

    nu: the innovation. expected: R of last time, with the factor that is stated. spread: S that
    was predicted, P11 + R. normal: nu over its root. seen: asinh of that. listens: whether the
    stream is learned of from it, 1 or 0.
    """

    prior: Prior
    nu: Array
    expected: Array
    spread: Array
    normal: Array
    seen: Array
    listens: Array


def read(xp: ModuleType, state: State, rows: Array, dt_s: Array, weights: Dict[str, Array]
         ) -> Reading:
    """Return the message; rows (B, 3) or (B, 7), dt_s (B, 1) since the last one's stamp."""
    like = weights['bias_out']
    moved, away = (cast(minus(rows, state[name]), like) for name in ('measured', 'anchor'))
    axes = moved.shape[1]
    group, now_s = weights['group'][:axes, :axes], cast(dt_s, like)
    filters, before, waiting = (bank.unpacked(state), Rejects.of(state['rejects']),
                                Repeats.of(state['repeats']))
    size = Scale.of(state['size'])
    same = repeated(xp, waiting, noisy(xp, state), moved)
    # but for the filter itself time stands still where nothing was measured
    stamps, since_s = measured_after(xp, Stamps.of(state['stamps']), state['clock'],
                                     now_s + waiting.waited, moved, size.slow)
    clock = tick(xp, state['clock'], since_s)
    lately = clock._replace(dt_s=xp.where(
        same.echo, now_s, xp.maximum(since_s - waiting.waited, CRAWL * now_s)))
    theirs = bank.innovations(xp, filters, away, clock.dt_s, axes == 6)
    agile, velocity = theirs[..., bank.AGILE], filters.velocity[..., bank.MIDDLE]
    # over a gap the agile filter's velocity, which is mostly noise, leads anywhere
    agile = xp.where(clock.pace > GAP, xp.minimum(xp.abs(agile), xp.abs(away)), agile)
    # messages that are held off and agree say nothing of the size of the noise
    accident = before.accident(size.age) | same.back
    calm = xp.where(before.held_off() & accident, xp.minimum(xp.abs(agile), xp.abs(moved)), agile)
    sizes, left = measure(xp, size, calm, velocity * xp.minimum(clock.dt_s, clock.mean_dt), group)
    scale = unit_size(xp, sizes)
    return Reading(rows, before, moved, same, now_s, stamps, clock, lately, theirs, agile,
                   accident, sizes, left, scale, Unit(scale * scale, clock.mean_dt),
                   alive(xp, scale, group, weights['turning'][:axes, 0]))


def compare(xp: ModuleType, state: State, names: Track, got: Reading) -> Tuple[Prior, Array]:
    """Return a filter's prediction of the message, by its names in the state, and nu (B, A)."""
    prior = ahead(xp, state, names, got.lately, got.unit)
    return prior, cast(minus(got.rows, prior.rows), got.moved)


def innovation(xp: ModuleType, state: State, names: Track, got: Reading, told: Any) -> Innovation:
    """Return what it is beside the prediction; told: (B, A) or one, a factor on R."""
    prior, nu = compare(xp, state, names, got)
    expected = prior.noise * told
    spread = prior.covariance[0] + expected
    normal = clip(nu / xp.sqrt(spread), -FAR, FAR)
    return Innovation(prior, nu, expected, spread, normal, xp.arcsinh(normal),
                      heard(xp, got.average, normal, state['past'][..., 0], got.clock.count))


def taught(xp: ModuleType, state: State, got: Reading, listens: Array, table: Array
           ) -> Tuple[bank.Bank, bank.Trust]:
    """Return the bank after the message, and what it thinks of that; listens (B, A)."""
    filters, clock = bank.unpacked(state), got.clock
    share = listens * bound(xp, Scale.of(state['size']),
                            got.agile / bank.wider(xp, filters, clock))**2
    # from a wild rotation nothing can be measured: its neighbours may lie on either side
    trust = bank.Trust(share, (clock.pace > GAP) & (listens > 0.5),
                       mean(got.average, share) > TRUSTED, got.left, got.sizes.age)
    return bank.advance(xp, filters, got.theirs, trust, clock, table), trust
