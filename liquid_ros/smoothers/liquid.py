# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The liquid-gain smoother: a Kalman filter an axis whose noise levels a liquid cell sets.

Everything the cell sees and says is dimensionless, its time is dt over the stream's mean dt: the
result is equivariant to translation, to scale and to the clock's rate, and the gain stays in
(0, 1), whatever the weights are.
Shapes: B streams, A axes in groups of three (position, rotation), H units.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Dict, Optional, Tuple

from liquid_ros.arrays import Array, cast, clip, namespace, pick, stack
from liquid_ros.manifold import minus
from liquid_ros.smoothers import bank, track
from liquid_ros.smoothers.base import Estimate, LEAST_S, LOST, State
from liquid_ros.smoothers.cells import CELLS
from liquid_ros.smoothers.grain import at_least, finest, UNSEEN
from liquid_ros.smoothers.rejects import adrift, believed, count, jumped, Rejects, remember
from liquid_ros.smoothers.repeats import noisy, repeated, Repeats, settled, unlearned
from liquid_ros.smoothers.scale import alive, bound, measure, Scale, unit_size
from liquid_ros.smoothers.sight import below, Glance, habits, heard, mean, sight, SLOW, WILD
from liquid_ros.smoothers.stamps import CRAWL, measured_after, Stamps
from liquid_ros.smoothers.stated import heed, unheard
from liquid_ros.smoothers.strays import goes_on, narrowed, noted, outcome, Strays, undisturbed
from liquid_ros.smoothers.track import ahead, follow, MAIN, OUTPUT, SURE, surely, Verdict
from liquid_ros.smoothers.tuning import gate_for, Tuning
from liquid_ros.smoothers.units import BURST, Clock, measures, tick, Unit, UNKNOWN_VARIANCE

MAX_AXES = 6
LEVELS = 5  # outputs that hold: R, q_v, q_a, friction, fade
# then gate, inflation, what the covariance leaves out, rate, doubt
OUTPUTS = LEVELS + 5
LOWER = (-9.0, -30.0, -44.0, -12.0, -7.0, 1.0, -12.0, -3.0, -7.0, -9.0)
UPPER = (4.0, 6.0, 6.0, 3.0, 2.0, 6.0, 6.0, 8.0, 0.0, 2.0)
INFLATION = 6
STATED = (7, 9)  # what the stated variance follows, and nothing else

SLACK = 0.3  # of the way since the last message
CLEAN, TURN = 0.05, 5.0  # of it: noise below is as good as none; its square, a way back
STALE = 1e8  # a squared miss beyond so many times P
NEW, YOUNG = 100.0, 3.5  # the same so many messages after a stream that rested first moved
FOUND = 0.01  # of a squared miss: R of a stream that rested, where it is found again
SURPRISE, UNUSUAL = 3.0, 25.0  # of a mean nu^2 / S, or nu^2 over the unit's square, beyond
RASH = 2e-3  # so much of nu^2 is in the variance
FAR = 1e6  # a normalised innovation beyond this is as good as infinite
GAP = 1.5  # mean dt: beyond it a message may be nearer to the last one than to where two led
TRUSTED = 0.3  # of a message that the bank trusts less it does not measure from
AXES = [0, 1, 2, 3, 3, 3, 3]  # of a row's columns
AGREE = 0.3  # two rejected messages agree when they are this close, in squared distance


@dataclass(frozen=True)
class LiquidConfig:
    """Shape of the cell and the constants that are not learned."""

    cell: str = 'liquid'  # a name of CELLS
    hidden: int = 48
    reacquire_after: int = 5  # rejected messages in a row that agree with one another
    give_up_after: int = 30  # rejected messages in a row, agreeing or not
    activation: str = 'tanh'  # one that the cell has


class Liquid:
    """
    The default smoother.

    weights: the cell's, weight_out (10, R + F) of the R numbers read out of it and the features,
    weight_slow (5, SLOW), bias_out (10,), bias_turn (5,) of rotations, and the constants lower,
    upper (10,), bank (4, M), group (6, 6), turning (6, 1); all on the rows' namespace and device.
    """

    linked = track.LINKED
    known = staticmethod(track.known)
    link = staticmethod(track.link)

    def __init__(self, config: LiquidConfig, weights: Dict[str, Array],
                 tuning: Tuning = Tuning()) -> None:
        """Keep the weights; nothing here changes afterwards."""
        self.config = config
        self.weights = weights
        self.tuning = tuning
        self.cell = CELLS[config.cell].stepper(config.activation)
        self._middle = 0.5 * (weights['upper'] + weights['lower'])
        self._reach = 0.5 * (weights['upper'] - weights['lower'])
        self._gates = tuning.gates

    def tuned(self, tuning: Tuning) -> 'Liquid':
        """Return the smoother with another R and, where one is asked for, another gate."""
        return Liquid(self.config, self.weights, tuning)

    def init(self, rows: Array, variances: Optional[Array] = None) -> Tuple[State, Estimate]:
        """Return the state after the first message of B streams; rows (B, 3) or (B, 7)."""
        zero = cast(0.0 * minus(rows, rows), self.weights['bias_out'])
        hidden = stack(*[zero] * CELLS[self.config.cell].state(self.config.hidden))
        groups = zero[:, ::3]
        unknown = zero + UNKNOWN_VARIANCE
        begun = rows, stack(zero, zero), stack(unknown, zero, zero, zero, zero, zero)
        state = {
            **dict(zip(MAIN, begun)), **dict(zip(OUTPUT, begun)),
            'measured': rows, 'anchor': rows, 'hidden': hidden,
            'process': stack(*[zero] * LEVELS, zero + 1.0, zero),  # and variance over P, inflation
            'output_besides': zero,
            'past': stack(zero, zero),
            'clock': zero[:, :2],
            'repeats': namespace(rows).concatenate([zero[:, :1]] * 6, -1),
            'habits': stack(zero + 0.8, zero, zero + 0.8, zero),
            'said': stack(*[zero] * LEVELS),
            'grain': zero + UNSEEN,
            'rejects': stack(zero, zero, zero),
            'strays': stack(*[zero] * 6),
            'stamps': Stamps.zeros(namespace(rows), zero),
            'stated': unheard(zero),
            'size': Scale.zeros(zero),
            **bank.packed(bank.Bank.zeros(namespace(rows), zero)),
        }
        if variances is not None:
            state['stated'] = heed(state['stated'], variances)[1]
        return state, Estimate(rows, unknown, zero, groups + 3.0, groups + 1.0)

    def step(self, state: State, rows: Array, dt_s: Array, variances: Optional[Array] = None
             ) -> Tuple[State, Estimate]:
        """Return the state after one more message; rows (B, 3) or (B, 7), dt_s (B, 1) > 0."""
        xp, w = namespace(rows), self.weights
        moved, away = (cast(minus(rows, state[name]), w['bias_out'])  # float64 up to here
                       for name in ('measured', 'anchor'))
        group = w['group'][:moved.shape[1], :moved.shape[1]]
        filters, seen_size = bank.unpacked(state), Scale.of(state['size'])
        before, waiting = Rejects.of(state['rejects']), Repeats.of(state['repeats'])
        now_s, held_off = cast(dt_s, w['bias_out']), before.held_off()
        same = repeated(xp, waiting, noisy(xp, state), moved)
        # but for the filter itself time stands still where nothing was measured
        stamps, since_s = measured_after(xp, Stamps.of(state['stamps']), state['clock'],
                                         now_s + waiting.waited, moved, seen_size.slow)
        clock = tick(xp, state['clock'], since_s)
        lately = clock._replace(dt_s=xp.where(
            same.echo, now_s, xp.maximum(since_s - waiting.waited, CRAWL * now_s)))
        accident = before.accident(seen_size.age) | same.back
        theirs = bank.innovations(xp, filters, away, clock.dt_s, rows.shape[1] == 7)
        agile, velocity = theirs[..., bank.AGILE], filters.velocity[..., bank.MIDDLE]
        # over a gap the agile filter's velocity, which is mostly noise, leads anywhere
        agile = xp.where(clock.pace > GAP, xp.minimum(xp.abs(agile), xp.abs(away)), agile)
        # messages that are held off and agree say nothing of the size of the noise
        calm = xp.where(held_off & accident, xp.minimum(xp.abs(agile), xp.abs(moved)), agile)
        sizes, left = measure(xp, seen_size, calm,
                              velocity * xp.minimum(clock.dt_s, clock.mean_dt), group)
        scale = unit_size(xp, sizes)
        average = alive(xp, scale, group, w['turning'][:moved.shape[1], 0])
        unit = Unit(scale * scale, clock.mean_dt)
        prior = ahead(xp, state, MAIN, lately, unit)
        innovation = cast(minus(rows, prior.rows), w['bias_out'])
        repeats, sent = settled(xp, waiting, same, prior, innovation, moved, held_off, now_s)
        told, stated = (1.0, state['stated']) if variances is None else heed(
            state['stated'], variances)
        expected = prior.noise * told
        spread = prior.covariance[0] + expected
        nothing = spread > SURE * expected  # is what the prediction counts for
        normal = clip(innovation / xp.sqrt(spread), -FAR, FAR)
        seen, past = xp.arcsinh(normal), state['past']
        listens = heard(xp, average, normal, past[..., 0], clock.count)
        trust = listens * bound(xp, seen_size, agile / bank.wider(xp, filters, clock))**2
        # from a wild rotation nothing can be measured: its neighbours may lie on either side
        anchored = mean(average, trust) > TRUSTED
        filters = bank.advance(xp, filters, theirs, bank.Trust(
            trust, (clock.pace > GAP) & (listens > 0.5), anchored, left, sizes.age), clock,
            w['bank'])
        habit = habits(state['habits'], seen, past[..., 0], clock.count, listens)
        hidden, said = self._ask(xp, state, clock.pace, sight(
            xp, bank.judge(xp, filters, sizes.age, average, w['bank']), habit,
            Glance(seen, past[..., 0], past[..., 1], prior.covariance[0] / spread,
                   xp.log(prior.noise / unit.square), xp.log(scale),
                   xp.log(sizes.fast / sizes.slow), before.row),
            average, clock))
        # the second message of a burst says next to nothing of the levels
        apart = clip(clock.pace / BURST, 0.0, 1.0)[..., None]
        rate = apart * xp.maximum(xp.exp(said[..., 8:9]), (1.0 / clock.count)[..., None])
        held = state['said'] + rate * (said[..., :LEVELS] - state['said'])
        process, usual = measures(xp, held, unit)
        noise = usual * told
        # -- how far to believe this message: one weight a group
        square = innovation * innovation
        # a fraction of the way since the last message is no surprise
        made = mean(average, (filters.velocity[..., bank.MIDDLE] * clock.dt_s)**2)
        strayed, shift = Strays.of(state['strays']), moved - surely(prior) * clock.dt_s
        strays, returned = outcome(xp, strayed, average, shift)
        # a stated gate is of the S that was predicted, before this message had its say in R
        asked = gate_for(self._gates, average)  # 0 where none is stated
        judged = prior.covariance[0] + xp.where(
            asked > 0.0, expected, undisturbed(xp, strays, held_off, told, expected, noise))
        surprise = mean(average, square / (judged + SLACK**2 * made))
        gate = xp.where(asked > 0.0, asked, xp.exp(mean(average, said[..., 5])))
        gate = narrowed(xp, gate, held_off, strays.come_back())
        miss = mean(average, square)
        near = mean(average, xp.minimum(moved * moved, agile * agile)) < AGREE * miss
        # a filter that has only ever seen one value has a P of nothing: it can but wait
        awake = mean(average, sizes.age)
        far = xp.where((awake < YOUNG) & (clock.count > awake + 1.5), NEW + 0.0 * miss,
                       STALE + 0.0 * miss)
        stale = miss > far * mean(average, prior.covariance[0])
        # a stream of next to no noise, or one that was lost, knows where it is, not the filter
        bent = sent.found | ((mean(average, square / (prior.covariance[0] + noise)) > gate)
                             & (miss < TURN * made) & (mean(average, noise) < CLEAN**2 * made))
        rejects, again = count(xp, before, (surprise > gate) | stale, surprise > WILD, near,
                               goes_on(strayed, average, shift), sizes.age,
                               self.config.reacquire_after, self.config.give_up_after)
        unit_square = mean(average, unit.square)
        again = again | bent | adrift(before, mean(average, moved * moved), miss, unit_square)
        # a stream that rested has no noise to hold against where it is found again
        noise = xp.where(again & (awake < YOUNG), xp.minimum(noise, FOUND * miss), noise)
        weight = believed(xp, clip(surprise / gate, 0.0, FAR), stale, again, nothing)
        unusual = miss > UNUSUAL * unit_square
        jump = jumped(before, again, weight, unusual, anchored, below(xp, average, trust, TRUSTED))
        filters = bank.carried(xp, filters, jump & accident)
        anchored, rejects = anchored | (jump & accident), remember(xp, rejects, jump & ~sent.found)
        # not where the prediction counts for nothing already, or a stray message is held off
        kept = nothing | sent.echo | (strays.come_back() & rejects.held_off())
        wider = xp.where(kept, 0.0 * gate, xp.exp(said[..., INFLATION]))
        again, anew = again & ~sent.echo, again & ~sent.echo & ~(sent.found & (surprise < gate))
        verdict = Verdict(sent.heed(xp, weight), wider, again,
                          xp.maximum(clock.dt_s, BURST * clock.mean_dt))
        main = output = follow(xp, prior, innovation, noise, verdict)
        # what is left of the innovation may be error as well as noise
        besides = xp.exp(said[..., 9]) * ((1.0 - main.gain) * innovation)**2
        if self.tuning.smoothing:
            # what the cell sees stays as it was trained: it would take any other R back
            prior = ahead(xp, state, OUTPUT, lately, unit)
            innovation = cast(minus(rows, prior.rows), w['bias_out'])
            output = follow(xp, prior, innovation, noise * self.tuning.noise_factor, verdict)
        # what is believed against all that is usual, or over a gap alone, may yet be an outlier
        rash = xp.where((surprise > SURPRISE) | unusual, RASH * square, besides)
        besides = sent.doubt(xp, state, square, noise, xp.maximum(besides, rash))
        grain = finest(xp, state['grain'], moved)
        # the last: errors that last are not in P, how large they are the likelihood has taught
        words = xp.where(sent.echo[..., None], state['process'][..., :6],
                         stack(*process, usual, xp.exp(said[..., 7])))
        learned = {
            'measured': rows, 'hidden': hidden, 'past': stack(seen, past[..., 0]),
            'anchor': xp.where(pick(anchored, AXES[:rows.shape[1]]), rows, state['anchor']),
            'clock': xp.concatenate([clock.count, clock.mean_dt], -1),
            'rejects': stack(*rejects), 'grain': grain, 'habits': habit, 'said': held,
            'strays': stack(*noted(xp, strays, average, normal, shift, returned, xp.where(
                rejects.held_off(), strays.noise, usual))),
            'stamps': xp.concatenate([*stamps], -1), 'stated': stated, 'size': stack(*sizes),
            **bank.packed(filters),
        }
        following = {
            **sent.slowed(xp, MAIN, main.track), **sent.slowed(xp, OUTPUT, output.track),
            'process': xp.concatenate([words, xp.where(anew, LOST, wider)[..., None]], -1),
            'output_besides': besides, 'repeats': xp.concatenate([*repeats], -1),
            **unlearned(xp, sent.echo, state, learned),
        }
        variance = (main.variance * words[..., 5] + besides
                    + self._aside(main.track.rows, output.track.rows))
        surprise, weight = (xp.where(sent.echo, 1.0, one)[..., ::3] for one in (surprise, weight))
        return following, Estimate(output.track.rows, at_least(xp, variance, grain),
                                   output.velocity, 3.0 * surprise, weight)

    def predict(self, state: State, dt_s: Array) -> Estimate:
        """Return the estimate dt_s (B, 1) >= 0 after the last message, by the motion model."""
        xp, packed = namespace(dt_s), state['clock']
        passed = cast(dt_s, packed) + Stamps.of(state['stamps']).behind
        dt_s = xp.maximum(passed, 0.0 * passed + LEAST_S)
        clock = Clock(packed[:, :1], packed[:, :1] < 0.5, packed[:, 1:], dt_s, dt_s)
        unknown = Unit(0.0 * dt_s + UNKNOWN_VARIANCE, 0.0 * dt_s + 1.0)
        prior = ahead(xp, state, OUTPUT, clock, unknown)
        known = MAIN if self.tuning.smoothing else OUTPUT
        best = ahead(xp, state, MAIN, clock, unknown) if self.tuning.smoothing else prior
        groups = 0.0 * prior.velocity[:, ::3]
        now, lasting = state[known.covariance][..., 0], state['process'][..., 5]
        more = xp.maximum(best.covariance[0] - now, 0.0 * now)
        # that the present error is less than P says nothing of what is still to come
        variance = (now * lasting + state['output_besides'] + self._aside(best.rows, prior.rows)
                    + more * xp.maximum(lasting, xp.ones_like(lasting)))
        return Estimate(prior.rows, at_least(xp, variance, state['grain']), prior.velocity,
                        groups + 3.0, groups + 1.0)

    def _aside(self, best: Array, given: Array) -> Array:
        """Return the squares (B, A) of the way to the best estimate: E[e^2] is more than its P."""
        if not self.tuning.smoothing:
            return 0.0
        return cast(minus(best, given), self.weights['bias_out'])**2

    def _ask(self, xp: ModuleType, state: State, pace: Array, features: Array
             ) -> Tuple[Array, Array]:
        """Return the hidden state (B, A, H) and what the cell says (B, A, 10), within bounds."""
        w = self.weights
        # in the stream's own time: dt over its mean
        hidden, read = self.cell(w, features, state['hidden'], pace[..., None])
        quick = xp.concatenate([read, features], -1) @ w['weight_out'].T
        levels = quick[..., :LEVELS]
        # small swings of the cell do not shake the levels: next to 0 this is next to 0
        held = (features[..., :SLOW] @ w['weight_slow'].T + levels**3 / (1.0 + levels * levels)
                + w['turning'][:features.shape[1]] * w['bias_turn'])
        said = xp.concatenate([held, quick[..., LEVELS:]], -1) + w['bias_out']
        # bent into (lower, upper): the gradient never dies
        return hidden, self._middle + self._reach * xp.tanh((said - self._middle) / self._reach)
