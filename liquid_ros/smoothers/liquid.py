# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The liquid-gain smoother: a Kalman filter an axis whose noise levels a liquid cell sets.

Everything the cell sees and says is dimensionless, its time is dt over the stream's mean dt: the
result is equivariant to translation, to scale and to the clock's rate, and the gain stays in
(0, 1), whatever the weights are.
Shapes: B streams, A axes in groups of three (position, rotation), M probes, H units.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Dict, Tuple

from liquid_ros.arrays import Array, cast, namespace
from liquid_ros.manifold import minus, plus
from liquid_ros.smoothers import cell
from liquid_ros.smoothers.base import Estimate, State
from liquid_ros.smoothers.motion import Covariance, Process, propagate, transition
from liquid_ros.smoothers.probes import probe, PROBES, Probes

OUTPUTS = 8  # R, q_v, q_a, friction, fade, gate, inflation, what the covariance leaves out
LOWER = (-9.0, -30.0, -44.0, -12.0, -7.0, 1.0, -12.0, -3.0)
UPPER = (4.0, 6.0, 6.0, 3.0, 2.0, 6.0, 6.0, 8.0)
FEATURES = 2 * (2 * PROBES - 1 + 5) + 7

FAR = 1e6  # a normalised innovation beyond this is as good as infinite
UNKNOWN_VARIANCE = 1.0  # of the first estimate, before a second message gives a scale
AGREE = 0.25  # two rejected messages agree when they are this close, in squared distance


@dataclass(frozen=True)
class LiquidConfig:
    """Shape of the cell and the constants that are not learned."""

    hidden: int = 48
    reacquire_after: int = 5  # rejected messages in a row that agree with one another
    give_up_after: int = 30  # rejected messages in a row, agreeing or not


class Liquid:
    """
    The default smoother.

    weights: weight_in (H, F), weight_rec (H, H), alpha (H,), weight_out (8, H + F),
    bias_out (8,), all on the same namespace and device as the rows.
    """

    def __init__(self, config: LiquidConfig, weights: Dict[str, Array]) -> None:
        """Keep the weights; nothing here changes afterwards."""
        self.config = config
        self.weights = weights

    def init(self, rows: Array) -> Tuple[State, Estimate]:
        """Return the state after the first message of B streams; rows (B, 3) or (B, 7)."""
        xp = namespace(rows)
        zero = cast(0.0 * minus(rows, rows), self.weights['alpha'])
        hidden = xp.stack([zero] * self.config.hidden, -1)
        groups = zero[:, ::3]
        unknown = zero + UNKNOWN_VARIANCE
        state = {
            'rows': rows, 'measured': rows, 'hidden': hidden,
            'motion': xp.stack([zero, zero], -1),
            'covariance': xp.stack([unknown, zero, zero, zero, zero, zero], -1),
            'process': xp.stack([zero] * 5, -1),
            'past': xp.stack([zero, zero], -1),
            'clock': zero[:, :2],
            'rejects': xp.stack([groups, groups], -1),
            **Probes.zeros(zero)._asdict(),
        }
        return state, Estimate(rows, unknown, zero, groups + 3.0, groups + 1.0)

    def step(self, state: State, rows: Array, dt_s: Array) -> Tuple[State, Estimate]:
        """Return the state after one more message; rows (B, 3) or (B, 7), dt_s (B, 1) > 0."""
        xp = namespace(rows)
        w = self.weights
        dt_s = cast(dt_s, w['alpha'])
        moved = cast(minus(rows, state['measured']), w['alpha'])  # float64 up to here
        count = state['clock'][:, :1] + 1.0
        first = count < 1.5  # the second message: only now is there a scale
        mean_dt = state['clock'][:, 1:]
        share = xp.clip(1.0 / count, 0.02, 1.0)
        mean_dt = xp.where(first, dt_s, mean_dt + share * (
            xp.minimum(dt_s, 5.0 * mean_dt) - mean_dt))
        pace = dt_s / mean_dt
        probes = probe(Probes(*(state[n] for n in Probes._fields)), moved, dt_s, pace, count,
                       w['probes'])
        log_scale = xp.log(probes.slow)
        # the size of second differences; a change of regime shows in the fast one
        scale = xp.maximum(probes.slow[..., 0], 0.1 * probes.fast[..., 0])
        # -- predict with what the cell said last time
        process = _process(xp, state['process'], first, scale, mean_dt)
        noise = xp.where(first, scale * scale, state['process'][..., 4])
        moves = transition(process, dt_s)
        p = propagate(_covariance(xp, state['covariance'], first, scale, mean_dt),
                      moves, process, dt_s)
        velocity, acceleration = state['motion'][..., 0], state['motion'][..., 1]
        predicted = plus(state['rows'], moves.pv * velocity + moves.pa * acceleration)
        velocity = moves.vv * velocity + moves.va * acceleration
        acceleration = moves.aa * acceleration
        innovation = cast(minus(rows, predicted), w['alpha'])
        # -- what the cell sees: (B, A, F)
        spread = p[0] + noise
        normal = xp.clip(innovation / xp.sqrt(spread), -FAR, FAR)
        seen = xp.arcsinh(normal)
        e1, e2 = state['past'][..., 0], state['past'][..., 1]
        own = xp.concatenate([
            log_scale[..., 1:] - log_scale[..., :1],
            xp.log(probes.fast) - log_scale,
            xp.stack([xp.abs(seen), seen * e1, seen * e2, 0.3 * xp.log(p[0] / spread),
                      xp.log(noise / (scale * scale))], -1)], -1)
        level = log_scale[..., :1]
        clues = xp.stack([
            0.0 * pace + 1.0, xp.log(pace), 1.0 / (1.0 + 0.1 * count),
            1.0 / (1.0 + 0.01 * count)], -1)  # (B, 1, 4)
        features = xp.concatenate([
            own, _group_mean(xp, own), level - _group_mean(xp, level), clues + 0.0 * own[..., :4],
            xp.abs(seen).mean(1)[:, None, None] + 0.0 * level,
            0.2 * _repeat(xp, state['rejects'][..., 0])[..., None]], -1)
        # -- the cell, in the stream's own time: dt over its mean
        hidden = cell.exponential(
            features, state['hidden'], w['weight_in'], w['weight_rec'], w['alpha'],
            pace[..., None])
        said = (xp.concatenate([w['alpha'] * hidden, features], -1) @ w['weight_out'].T
                + w['bias_out'])
        said = _soft_clip(xp, said, w['lower'], w['upper'])
        # -- how far to believe this message: one weight a group
        square = scale * scale
        noise = square * xp.exp(said[..., 0])
        surprise = _group_mean(xp, (innovation * innovation / (p[0] + noise))[..., None])[..., 0]
        gate = xp.exp(_group_mean(xp, said[..., 5:6])[..., 0])
        ratio = xp.clip(surprise / gate, 0.0, FAR)
        weight = 1.0 / (1.0 + ratio * ratio)
        rejects, again = self._count_rejects(xp, state, surprise, gate, moved, innovation)
        weight = xp.where(again, xp.ones_like(weight), weight)
        p = _inflate(xp, p, xp.exp(said[..., 6]), again, innovation, pace * mean_dt)
        # -- update
        total = p[0] + noise / xp.clip(weight, 1e-8, 1.0)
        gains = p[0] / total, p[1] / total, p[2] / total
        filtered = plus(predicted, gains[0] * innovation)
        velocity = velocity + gains[1] * innovation
        acceleration = acceleration + gains[2] * innovation
        p = _condition(xp, p, gains)
        process = Process(square / mean_dt**3 * xp.exp(said[..., 1]),
                          square / mean_dt**5 * xp.exp(said[..., 2]),
                          xp.exp(said[..., 3]) / mean_dt, xp.exp(said[..., 4]) / mean_dt)
        following = {
            'rows': filtered, 'measured': rows, 'hidden': hidden,
            'motion': xp.stack([velocity, acceleration], -1),
            'covariance': xp.stack(list(p), -1),
            'process': xp.stack([*process, noise], -1),
            'past': xp.stack([seen, e1], -1),
            'clock': xp.concatenate([count, mean_dt], -1),
            'rejects': rejects,
            **probes._asdict(),
        }
        nis = 3.0 * surprise[..., ::3]
        # errors that last are not in P: how large they are is learned from the likelihood
        variance = p[0] * xp.exp(said[..., 7])
        return following, Estimate(filtered, variance, velocity, nis, weight[..., ::3])

    def _count_rejects(self, xp: ModuleType, state: State, surprise: Array, gate: Array,
                       moved: Array, innovation: Array) -> Tuple[Array, Array]:
        """Return the counters (B, G, 2) and where (B, A) the stream is to be re-acquired."""
        rejected = (surprise > gate)[..., ::3]
        apart = _group_mean(xp, (moved * moved)[..., None])[..., ::3, 0]
        away = _group_mean(xp, (innovation * innovation)[..., None])[..., ::3, 0]
        row, agreeing = state['rejects'][..., 0], state['rejects'][..., 1]
        zero = xp.zeros_like(row)
        near = (apart < AGREE * away) & (row > 0.5)
        row = xp.where(rejected, row + 1.0, zero)
        agreeing = xp.where(rejected, xp.where(near, agreeing + 1.0, zero + 1.0), zero)
        again = ((agreeing > self.config.reacquire_after - 0.5)
                 | (row > self.config.give_up_after - 0.5))
        counters = xp.stack([xp.where(again, zero, row), xp.where(again, zero, agreeing)], -1)
        return counters, _repeat(xp, xp.where(again, zero + 1.0, zero)) > 0.5


def _process(xp: ModuleType, said: Array, first: Array, scale: Array, mean_dt: Array) -> Process:
    """Return the process of last time; at the second message a guess at the stream's scale."""
    one = xp.ones_like(scale)
    square = scale * scale
    guesses = (0.01 * square / mean_dt**3, 1e-6 * square / mean_dt**5, 1e-3 * one / mean_dt,
               0.05 * one / mean_dt)
    return Process(*(xp.where(first, guess, said[..., i]) for i, guess in enumerate(guesses)))


def _covariance(xp: ModuleType, packed: Array, first: Array, scale: Array, mean_dt: Array
                ) -> Covariance:
    zero = xp.zeros_like(scale)
    square = scale * scale
    guesses = (square, zero, zero, 4.0 * square / mean_dt**2, zero,
               0.01 * square / mean_dt**4)
    return tuple(xp.where(first, guess, packed[..., i]) for i, guess in enumerate(guesses))


def _inflate(xp: ModuleType, p: Covariance, factor: Array, again: Array, innovation: Array,
             dt: Array) -> Covariance:
    """
    Return P (1 + factor), or, where the stream is re-acquired, a P as wide as the miss.

    The factor is the fading memory of the strong tracking filter.
    """
    p11, p12, p13, p22, p23, p33 = (entry * (1.0 + factor) for entry in p)
    zero = xp.zeros_like(p11)
    miss = 100.0 * innovation * innovation
    return (xp.where(again, p11 + miss, p11), xp.where(again, zero, p12),
            xp.where(again, zero, p13), xp.where(again, p22 + 1e-3 * miss / dt**2, p22),
            xp.where(again, zero, p23), p33)


def _condition(xp: ModuleType, p: Covariance, gains: Tuple[Array, Array, Array]) -> Covariance:
    """Return P - K H P; with this K it equals Joseph's form."""
    k1, k2, k3 = gains
    p11, p12, p13, p22, p23, p33 = p
    zero = xp.zeros_like(p11)
    return ((1.0 - k1) * p11, (1.0 - k1) * p12, (1.0 - k1) * p13,
            xp.maximum(p22 - k2 * p12, zero), p23 - k2 * p13, xp.maximum(p33 - k3 * p13, zero))


def _group_mean(xp: ModuleType, values: Array) -> Array:
    """Return the mean over each group of three axes, repeated to (B, A, F)."""
    batch, axes, size = values.shape
    mean = values.reshape(batch, axes // 3, 3, size).mean(2)
    return xp.stack([mean, mean, mean], 2).reshape(batch, axes, size)


def _repeat(xp: ModuleType, groups: Array) -> Array:
    """Return (B, A) from one value a group (B, G)."""
    return xp.stack([groups, groups, groups], -1).reshape(groups.shape[0], -1)


def _soft_clip(xp: ModuleType, x: Array, lower: Array, upper: Array) -> Array:
    """Return x bent into (lower, upper): the gradient never dies."""
    middle, reach = 0.5 * (upper + lower), 0.5 * (upper - lower)
    return middle + reach * xp.tanh((x - middle) / reach)
