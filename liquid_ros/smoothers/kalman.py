# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Constant-velocity Kalman filters with fixed noise levels, with and without a gate."""

from dataclasses import dataclass
from functools import cached_property
import math
from typing import NamedTuple, Tuple

from liquid_ros.arrays import Array, namespace
from liquid_ros.errors import ParameterError
from liquid_ros.manifold import minus, plus
from liquid_ros.smoothers.base import Estimate, State
from liquid_ros.smoothers.ema import require_positive, unjudged


class Prior(NamedTuple):
    """A stream predicted to its next message; B streams, A axes, G groups of three."""

    rows: Array  # (B, 3 | 7)
    innovation: Array  # (B, A)
    position: Array  # (B, G) P11
    slope: Array  # (B, G) P12 / P11
    rest: Array  # (B, G) P22 - P12^2 / P11
    noise: Array  # (B, G) R


@dataclass(frozen=True)
class Kalman:
    """
    Constant velocity driven by white acceleration, continuous in time: right for any dt.

    Rotations run in the body's tangent space. The axes of a group share one covariance, kept
    as P11, P12 / P11 and P22 - P12^2 / P11: every update is a sum of positive terms, so it
    stays positive definite at any dt, and measuring the position changes P11 alone.
    Settings are floats or (B, 1) with one value per stream.
    sigma_m, sigma_rad: standard deviation of the measured position (m) and rotation (rad).
    accel_density: sqrt of the acceleration's spectral density, m/s^2 per sqrt(Hz): after a
    time t the speed has wandered by accel_density sqrt(t).
    accel_density_rad: the same of the angular acceleration, rad/s^2 per sqrt(Hz).
    speed_sigma_m_s, speed_sigma_rad_s: standard deviation of the speed before the first message.
    Errors: ParameterError where a setting is not positive.
    Source: Bar-Shalom, Li & Kirubarajan, Estimation with Applications to Tracking and
    Navigation, 2001, section 6.2; Bierman, Factorization Methods, 1977, chapter V.
    """

    sigma_m: Array = 0.01
    sigma_rad: Array = 0.02
    accel_density: Array = 0.5
    accel_density_rad: Array = 1.0
    speed_sigma_m_s: Array = 1.0
    speed_sigma_rad_s: Array = 1.0

    def __post_init__(self) -> None:
        """Check the settings."""
        require_positive(**{name: getattr(self, name) for name in self.__dataclass_fields__})

    def init(self, rows: Array) -> Tuple[State, Estimate]:
        """Return the state after the first message; the estimate is the measurement."""
        zero = namespace(rows).zeros_like(minus(rows, rows))
        noise = self._noise(rows)
        state = {'rows': plus(rows, zero), 'twist': zero, 'position': noise,
                 'slope': namespace(rows).zeros_like(noise), 'rest': self._speed_variance(rows)}
        return state, Estimate(state['rows'], _per_axis(noise, zero), zero, *unjudged(zero))

    def step(self, state: State, rows: Array, dt_s: Array) -> Tuple[State, Estimate]:
        """Return the state after one more message."""
        prior = self._predict(state, rows, dt_s)
        scale = prior.position + prior.noise
        gain = prior.position / scale
        nu = prior.innovation
        state = {'rows': plus(prior.rows, _per_axis(gain, nu) * nu),
                 'twist': state['twist'] + _per_axis(gain * prior.slope, nu) * nu,
                 'position': gain * prior.noise, 'slope': prior.slope, 'rest': prior.rest}
        return state, Estimate(state['rows'], _per_axis(state['position'], nu), state['twist'],
                               _group_sum(nu * nu) / scale, unjudged(nu)[1])

    def _predict(self, state: State, rows: Array, dt_s: Array) -> Prior:
        # [1 + d c, c] P11, [d, 1] rest, q [d^3/3 d^2/2; d^2/2 d] added as rank-one terms
        p, c, s = state['position'], state['slope'], state['rest']
        density = self._per_group(rows, self.accel_density, self.accel_density_rad)
        q_dt = density * density * dt_s
        reach = 1.0 + dt_s * c
        ahead = p * reach * reach + dt_s * dt_s * (s + q_dt / 3.0)
        cross = p * reach * c + dt_s * (s + q_dt / 2.0)
        rest = q_dt / 4.0 + (p * s + q_dt * (p * (2.0 + reach) * (2.0 + reach)
                                             + s * dt_s * dt_s) / 12.0) / ahead
        predicted = plus(state['rows'], state['twist'] * dt_s)
        return Prior(predicted, minus(rows, predicted), ahead, cross / ahead, rest,
                     self._noise(rows))

    def _noise(self, rows: Array) -> Array:
        sigma = self._per_group(rows, self.sigma_m, self.sigma_rad)
        return sigma * sigma

    def _speed_variance(self, rows: Array) -> Array:
        sigma = self._per_group(rows, self.speed_sigma_m_s, self.speed_sigma_rad_s)
        return sigma * sigma

    @staticmethod
    def _per_group(rows: Array, position: Array, rotation: Array) -> Array:
        xp = namespace(rows)
        ones = xp.ones_like(rows[:, :1])
        if rows.shape[1] == 3:
            return ones * position
        return xp.concatenate([ones * position, ones * rotation], -1)


@dataclass(frozen=True)
class KalmanGated(Kalman):
    """
    Reject what a constant-velocity filter finds too unlikely; start anew when it goes on.

    Position and rotation are gated each for itself, over their three axes together.
    reject_probability: how often a message that fits the model is rejected, in (0, 1); the
    gate is that tail of the chi-square distribution with three degrees of freedom. It holds
    while nothing is rejected: a good message that is left out makes the next one less likely.
    patience: the message that is the patience-th rejected in a row is where the filter starts
    anew. A rejected message has weight 0, one that starts the filter anew has weight 1.
    """

    reject_probability: Array = 1e-4
    patience: Array = 5

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        below = self.reject_probability < 1.0
        if not (below if isinstance(below, bool) else bool(below.all())):
            raise ParameterError(f'got reject_probability {self.reject_probability!r}, '
                                 'expected less than 1')

    @cached_property
    def gate(self) -> Array:
        """Largest NIS that is accepted, float or (B, 1)."""
        tail = self.reject_probability
        if isinstance(tail, (int, float)):
            return chi2_3_quantile(tail)
        each = [0.0 * one + chi2_3_quantile(float(one)) for one in tail.reshape(-1)]
        return namespace(tail).stack(each).reshape(tail.shape)

    def init(self, rows: Array) -> Tuple[State, Estimate]:
        """Return the state after the first message; the estimate is the measurement."""
        state, estimate = super().init(rows)
        state['rejects'] = namespace(rows).zeros_like(state['slope'])
        return state, estimate

    def step(self, state: State, rows: Array, dt_s: Array) -> Tuple[State, Estimate]:
        """Return the state after one more message."""
        xp = namespace(rows)
        prior = self._predict(state, rows, dt_s)
        nu, zero = prior.innovation, xp.zeros_like(prior.noise)
        scale = prior.position + prior.noise
        nis = _group_sum(nu * nu) / scale
        rejects = xp.where(nis <= self.gate, zero, state['rejects'] + 1.0)
        again = rejects >= self.patience
        weight = xp.where((rejects == 0.0) | again, zero + 1.0, zero)
        gain = xp.where(again, zero + 1.0, weight * prior.position / scale)
        twist = state['twist'] + _per_axis(gain * prior.slope, nu) * nu
        position = xp.where(weight > 0.0, gain * prior.noise, prior.position)
        state = {'rows': plus(prior.rows, _per_axis(gain, nu) * nu),
                 'twist': xp.where(_per_axis(again, nu), xp.zeros_like(nu), twist),
                 'position': position,  # again: the gain is 1, so this is R
                 'slope': xp.where(again, zero, prior.slope),
                 'rest': xp.where(again, self._speed_variance(rows), prior.rest),
                 'rejects': xp.where(again, zero, rejects)}
        return state, Estimate(state['rows'], _per_axis(position, nu), state['twist'],
                               nis, weight)


def chi2_3_quantile(tail: float) -> float:
    """Return the x that a chi-square variable of three degrees exceeds with this probability."""
    low, high = 0.0, 1500.0  # the tail at 1500 is below the smallest float64
    while True:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            return middle
        # erfc(sqrt(x / 2)) + sqrt(2 x / pi) exp(-x / 2)
        beyond = math.erfc(math.sqrt(middle / 2.0)) + math.sqrt(
            2.0 * middle / math.pi) * math.exp(-middle / 2.0)
        low, high = (middle, high) if beyond > tail else (low, middle)


def _per_axis(group: Array, tangent: Array) -> Array:
    wide = namespace(tangent).broadcast_to(group[:, :, None], tuple(group.shape) + (3,))
    return wide.reshape(tangent.shape)


def _group_sum(tangent: Array) -> Array:
    return tangent.reshape(len(tangent), -1, 3).sum(-1)
