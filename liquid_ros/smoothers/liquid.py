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
from liquid_ros.manifold import minus, plus
from liquid_ros.smoothers import bank, track
from liquid_ros.smoothers.base import Estimate, LEAST_S, LOST, State
from liquid_ros.smoothers.belief import Belief, believe, Words
from liquid_ros.smoothers.cells import CELLS
from liquid_ros.smoothers.grain import at_least, finest, UNSEEN
from liquid_ros.smoothers.likelihood import judge
from liquid_ros.smoothers.reading import compare, Innovation, innovation, read, Reading, taught
from liquid_ros.smoothers.repeats import Repeats, settled, unlearned
from liquid_ros.smoothers.roams import calm, LEFT, roaming
from liquid_ros.smoothers.scale import Scale
from liquid_ros.smoothers.sight import Glance, habits, mean, sight, SLOW
from liquid_ros.smoothers.stamps import Stamps
from liquid_ros.smoothers.stated import claimed, heed, unheard
from liquid_ros.smoothers.swings import swinging, Swings, watched
from liquid_ros.smoothers.track import ahead, follow, given, MAIN, OUTPUT, Posterior
from liquid_ros.smoothers.tuning import gate_for, Tuning
from liquid_ros.smoothers.units import BURST, Clock, measures, Unit, UNKNOWN_VARIANCE

MAX_AXES = 6
LEVELS = 5  # outputs that hold: R, q_v, q_a, friction, fade
OUTPUTS = LEVELS + 5  # then gate, inflation, what the covariance leaves out, rate, doubt
LOWER = (-9.0, -30.0, -44.0, -12.0, -7.0, 1.0, -12.0, -3.0, -7.0, -9.0)
UPPER = (4.0, 6.0, 6.0, 3.0, 2.0, 6.0, 6.0, 8.0, 0.0, 2.0)
GATE, INFLATION, LASTING, RATE, DOUBT = range(LEVELS, OUTPUTS)
STATED = (LASTING, DOUBT)  # what the stated variance follows, and nothing else

RASH = 2e-3  # so much of nu^2 is in the variance
GIVEN = 0.1  # how surely there is no noise, from which on the output leads itself
AXES = [0, 1, 2, 3, 3, 3, 3]  # of a row's columns


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
            'shrunk': zero + 1.0,
            'output_besides': zero,
            'past': stack(zero, zero),
            'clock': zero[:, :2],
            'repeats': namespace(rows).concatenate([zero[:, :1]] * 6, -1),
            'habits': stack(zero + 0.8, zero, zero + 0.8, zero),
            'said': stack(*[zero] * LEVELS),
            'grain': zero + UNSEEN,
            'rejects': stack(zero, zero, zero),
            'strays': stack(*[zero] * 6),
            'swings': stack(*[zero] * 10),
            'stamps': Stamps.zeros(namespace(rows), zero),
            'stated': unheard(zero),
            'size': Scale.zeros(zero),
            **bank.packed(bank.Bank.zeros(namespace(rows), zero)),
        }
        if variances is not None:
            state['stated'] = heed(state['stated'], variances)[1]
        return state, Estimate(rows, claimed(state['stated']), zero, groups + 3.0, groups + 1.0)

    def step(self, state: State, rows: Array, dt_s: Array, variances: Optional[Array] = None
             ) -> Tuple[State, Estimate]:
        """Return the state after one more message; rows (B, 3) or (B, 7), dt_s (B, 1) > 0."""
        xp, w = namespace(rows), self.weights
        told, stated = (1.0, state['stated']) if variances is None else heed(
            state['stated'], variances)
        got = read(xp, state, rows, dt_s, w)
        due = innovation(xp, state, MAIN, got, told)
        repeats, sent = settled(
            xp, Repeats.of(state['repeats']), got.same, due.prior, due.nu, got.moved,
            got.rejects.held_off(), got.now_s)
        filters, trust = taught(xp, state, got, due.listens, w['bank'])
        habit = habits(state['habits'], due.seen, state['past'][..., 0], got.clock.count,
                       due.listens)
        judged = judge(xp, filters, got.sizes.age, got.average, w['bank'])
        hidden, said = self._ask(
            xp, state, got.clock.pace,
            sight(xp, judged, habit, self._glance(xp, state, got, due), got.average, got.clock))
        held = self._held(xp, state, got.clock, said)
        process, usual = measures(xp, held, got.unit)
        belief = believe(
            xp, state, got, due,
            Words(usual, told, xp.exp(mean(got.average, said[..., GATE])),
                  gate_for(self._gates, got.average), xp.exp(said[..., INFLATION])),
            sent, trust, filters.velocity[..., bank.MIDDLE] * got.clock.dt_s,
            self.config.reacquire_after, self.config.give_up_after)
        main = follow(xp, due.prior, due.nu, belief.noise, belief.verdict)
        left = (1.0 - main.gain) * due.nu
        swings = watched(xp, Swings.of(state['swings']), got.moved, left, belief.weight,
                         got.clock.pace)
        no_noise = calm(belief.strays.back) * xp.maximum(roaming(xp, got, judged),
                                                         swinging(xp, swings))
        output, shrunk = self._output(xp, state, got, due, belief, main, no_noise)
        # what is left of the innovation may be error as well as noise
        square, besides = due.nu * due.nu, xp.exp(said[..., DOUBT]) * left**2
        # what is believed against all that is usual, or over a gap alone, may yet be an outlier
        rash = xp.where(belief.rash, RASH * square, besides)
        besides = sent.doubt(xp, state, square, belief.noise, xp.maximum(besides, rash))
        carried = belief.jump & got.accident
        anchored = pick(trust.anchor | carried, AXES[:rows.shape[1]])
        grain = finest(xp, state['grain'], got.moved)
        # the last: errors that last are not in P, how large they are the likelihood has taught
        words = xp.where(sent.echo[..., None], state['process'][..., :6],
                         stack(*process, usual, xp.exp(said[..., LASTING])))
        learned = {
            'measured': rows, 'hidden': hidden,
            'past': stack(due.seen, state['past'][..., 0]),
            'anchor': xp.where(anchored, rows, state['anchor']),
            'clock': xp.concatenate([got.clock.count, got.clock.mean_dt], -1),
            'rejects': stack(*belief.rejects), 'grain': grain, 'habits': habit, 'said': held,
            'strays': stack(*belief.strays), 'swings': stack(*swings),
            'stamps': xp.concatenate([*got.stamps], -1), 'stated': stated,
            'size': stack(*got.sizes),
            **bank.packed(bank.carried(xp, filters, carried)),
        }
        wider = xp.where(belief.anew, LOST, belief.verdict.wider)
        following = {
            **sent.slowed(xp, MAIN, main.track), **sent.slowed(xp, OUTPUT, output.track),
            'process': xp.concatenate([words, wider[..., None]], -1),
            'shrunk': shrunk, 'output_besides': besides,
            'repeats': xp.concatenate([*repeats], -1),
            **unlearned(xp, sent.echo, state, learned),
        }
        variance = (main.variance * words[..., 5] + besides
                    + _aside(main.track.rows, output.track.rows, w['bias_out']))
        nis, weight = (xp.where(sent.echo, 1.0, one)[..., ::3]
                       for one in (belief.surprise, belief.weight))
        variance = at_least(xp, variance, grain, claimed(stated))
        return following, Estimate(output.track.rows, variance, output.velocity, 3.0 * nis, weight)

    def predict(self, state: State, dt_s: Array) -> Estimate:
        """Return the estimate dt_s (B, 1) >= 0 after the last message, by the motion model."""
        xp, packed = namespace(dt_s), state['clock']
        passed = cast(dt_s, packed) + Stamps.of(state['stamps']).behind
        dt_s = xp.maximum(passed, 0.0 * passed + LEAST_S)
        clock = Clock(packed[:, :1], packed[:, :1] < 0.5, packed[:, 1:], dt_s, dt_s)
        unknown = Unit(0.0 * dt_s + UNKNOWN_VARIANCE, 0.0 * dt_s + 1.0)
        prior = ahead(xp, state, OUTPUT, clock, unknown)
        best = ahead(xp, state, MAIN, clock, unknown)
        groups = 0.0 * prior.velocity[:, ::3]
        now, lasting = state[MAIN.covariance][..., 0], state['process'][..., 5]
        more = xp.maximum(best.covariance[0] - now, 0.0 * now)
        # that the present error is less than P says nothing of what is still to come
        variance = (now * lasting + state['output_besides'] + _aside(best.rows, prior.rows, packed)
                    + more * xp.maximum(lasting, xp.ones_like(lasting)))
        variance = at_least(xp, variance, state['grain'], claimed(state['stated']))
        return Estimate(prior.rows, variance, prior.velocity, groups + 3.0, groups + 1.0)

    @staticmethod
    def _glance(xp: ModuleType, state: State, got: Reading, due: Innovation) -> Glance:
        """Return what is new to the cell."""
        past = state['past']
        return Glance(
            due.seen, past[..., 0], past[..., 1], due.prior.covariance[0] / due.spread,
            xp.log(due.prior.noise / got.unit.square), xp.log(got.scale),
            xp.log(got.sizes.fast / got.sizes.slow), got.rejects.row)

    @staticmethod
    def _held(xp: ModuleType, state: State, clock: Clock, said: Array) -> Array:
        """Return the levels (B, A, 5), which follow what is said of them."""
        # the second message of a burst says next to nothing of the levels
        apart = clip(clock.pace / BURST, 0.0, 1.0)[..., None]
        rate = apart * xp.maximum(xp.exp(said[..., RATE:RATE + 1]),
                                  (1.0 / clock.count)[..., None])
        return state['said'] + rate * (said[..., :LEVELS] - state['said'])

    def _output(self, xp: ModuleType, state: State, got: Reading, due: Innovation,
                belief: Belief, main: Posterior, no_noise: Array) -> Tuple[Posterior, Array]:
        """
        Return what is given out, and the share (B, A) of P that is left to it.

        no_noise: (B, A) how surely what the filter leaves out is none, 0 to 1.
        """
        weight = belief.verdict.weight
        if self.tuning.smoothing:
            # what the cell sees stays as it was trained: it would take any other R back
            prior, nu = compare(xp, state, OUTPUT, got)
            factor, one = self.tuning.noise_factor, xp.ones_like(no_noise)
            best = follow(xp, prior, nu, belief.noise * factor, belief.verdict)
            share = xp.exp(LEFT * (no_noise / xp.maximum(factor * one, one)))
            return given(best, prior.rows, nu, weight, share, one), one
        # what is given out stays where it is while nothing is measured
        away = cast(minus(state[OUTPUT.rows], state[MAIN.rows]), due.nu)
        leads = plus(due.prior.rows, xp.where(no_noise > GIVEN, away, 0.0 * away))
        share = xp.exp(LEFT * no_noise)
        shrunk = 1.0 - (1.0 - share) * weight
        nu = cast(minus(got.rows, leads), due.nu)
        return given(main, leads, nu, weight, share, shrunk), shrunk

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


def _aside(best: Array, given: Array, like: Array) -> Array:
    """Return the squares (B, A) of the way to the best estimate: E[e^2] is more than its P."""
    return cast(minus(best, given), like)**2
