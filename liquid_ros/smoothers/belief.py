# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
How far a message is believed: one weight a group of axes, so a wrong rotation moves no position.

An outlier is held off, a stream that is elsewhere is found again. The rules are in design.md.
"""

from types import ModuleType
from typing import NamedTuple

from liquid_ros.arrays import Array, clip
from liquid_ros.smoothers.bank import Trust
from liquid_ros.smoothers.base import State
from liquid_ros.smoothers.reading import FAR, GAP, Innovation, Reading, TRUSTED
from liquid_ros.smoothers.rejects import adrift, believed, count, jumped, Rejects, remember
from liquid_ros.smoothers.repeats import Sent
from liquid_ros.smoothers.sight import below, mean, WILD
from liquid_ros.smoothers.strays import goes_on, narrowed, noted, outcome, Strays, undisturbed
from liquid_ros.smoothers.track import SURE, surely, Verdict
from liquid_ros.smoothers.units import BURST

SLACK = 0.3  # of the way since the last message
CLEAN, TURN = 0.05, 5.0  # of it: noise below is as good as none; its square, a way back
STALE = 1e8  # a squared miss beyond so many times P
NEW, YOUNG = 100.0, 3.5  # the same so many messages after a stream that rested first moved
FOUND = 0.01  # of a squared miss: R of a stream that rested, where it is found again
SURPRISE, UNUSUAL = 3.0, 25.0  # of a mean nu^2 / S, or nu^2 over the unit's square, beyond
MOMENT = 6.0  # mean dt; in more of them a body may have gone elsewhere
AGREE = 0.3  # two rejected messages agree when they are this close, in squared distance


class Words(NamedTuple):
    """
    What is said of a message, each (B, A).

    usual: R without, told: the factor on it that is stated. gate: the cell's own, asked: the one
    that is stated, 0 for none. wider: P's inflation.
    """

    usual: Array
    told: Array
    gate: Array
    asked: Array
    wider: Array


class Belief(NamedTuple):
    """
    What is made of a message, each (B, A).

    verdict: what the filters do with it. noise: R that they take. surprise: mean of nu^2 / S.
    weight: in [0, 1]. rash: whether it is believed against all that is usual. anew: whether what
    went before says nothing any more. jump: whether the stream is elsewhere.
    """

    verdict: Verdict
    noise: Array
    surprise: Array
    weight: Array
    rash: Array
    anew: Array
    jump: Array
    rejects: Rejects
    strays: Strays


def believe(xp: ModuleType, state: State, got: Reading, due: Innovation, words: Words, sent: Sent,
            trust: Trust, way: Array, reacquire_after: int, give_up_after: int) -> Belief:
    """
    Return what is made of a message.

    way: (B, A) since the last one by the bank's velocity. reacquire_after, give_up_after: rejected
    messages in a row, of those that agree and of all.
    """
    average, clock, moved, p11 = got.average, got.clock, got.moved, due.prior.covariance[0]
    before, strayed = got.rejects, Strays.of(state['strays'])
    held_off, noise = before.held_off(), words.usual * words.told
    square, unit_square = due.nu * due.nu, mean(average, got.unit.square)
    miss, made = mean(average, square), mean(average, way * way)
    shift = moved - surely(due.prior) * clock.dt_s
    strays, returned = outcome(xp, strayed, average, shift)
    # a stated gate is of the S that was predicted, before this message had its say in R
    judged = p11 + xp.where(
        words.asked > 0.0, due.expected,
        undisturbed(xp, strays, held_off, words.told, due.expected, noise))
    # a fraction of the way since the last message is no surprise
    surprise = mean(average, square / (judged + SLACK**2 * made))
    # what hides a target for a moment spoils what is seen of it behind that
    hidden = (clock.pace > GAP) & (clock.pace < MOMENT)
    gate = narrowed(xp, xp.where(words.asked > 0.0, words.asked, words.gate), held_off | hidden,
                    strays.come_back())
    near = mean(average, xp.minimum(moved * moved, got.agile * got.agile)) < AGREE * miss
    # a filter that has only ever seen one value has a P of nothing: it can but wait
    awake = mean(average, got.sizes.age)
    far = xp.where((awake < YOUNG) & (clock.count > awake + 1.5), NEW + 0.0 * miss,
                   STALE + 0.0 * miss)
    stale = miss > far * mean(average, p11)
    # a stream of next to no noise, or one that was lost, knows where it is, not the filter
    bent = sent.found | ((mean(average, square / (p11 + noise)) > gate)
                         & (miss < TURN * made) & (mean(average, noise) < CLEAN**2 * made))
    rejects, again = count(xp, before, (surprise > gate) | stale, surprise > WILD, near,
                           goes_on(strayed, average, shift), got.sizes.age, reacquire_after,
                           give_up_after)
    again = again | bent | adrift(before, mean(average, moved * moved), miss, unit_square)
    # a stream that rested has no noise to hold against where it is found again
    noise = xp.where(again & (awake < YOUNG), xp.minimum(noise, FOUND * miss), noise)
    nothing = due.spread > SURE * due.expected  # is what the prediction counts for
    weight = believed(xp, clip(surprise / gate, 0.0, FAR), stale, again, nothing)
    unusual = miss > UNUSUAL * unit_square
    jump = jumped(before, again, weight, unusual, trust.anchor,
                  below(xp, average, trust.share, TRUSTED))
    rejects = remember(xp, rejects, jump & ~sent.found)
    # not where the prediction counts for nothing already, or a stray message is held off
    kept = nothing | sent.echo | (strays.come_back() & rejects.held_off())
    opened = again & ~sent.echo
    verdict = Verdict(sent.heed(xp, weight), xp.where(kept, 0.0 * gate, words.wider), opened,
                      xp.maximum(clock.dt_s, BURST * clock.mean_dt))
    strays = noted(xp, strays, average, due.normal, shift, returned,
                   xp.where(rejects.held_off(), strays.noise, words.usual))
    return Belief(verdict, noise, surprise, weight, (surprise > SURPRISE) | unusual,
                  opened & ~(sent.found & (surprise < gate)), jump, rejects, strays)
