# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Constant-velocity Kalman filters with fixed noise levels, with and without a gate."""

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import ClassVar, Dict, NamedTuple, Optional, Tuple

from liquid_ros.arrays import Array, namespace, stack
from liquid_ros.errors import ParameterError
from liquid_ros.manifold import minus, plus
from liquid_ros.smoothers.base import Estimate, Known, LEAST_S, Link, LOST, State
from liquid_ros.smoothers.ema import require_positive, unjudged
from liquid_ros.smoothers.tuning import chi2_quantile, Tuning


class Prior(NamedTuple):
    """A stream predicted to its next message; B streams, A axes."""

    rows: Array  # (B, 3 | 7)
    position: Array  # (B, A) P11
    slope: Array  # (B, A) P12 / P11
    rest: Array  # (B, A) P22 - P12^2 / P11


@dataclass(frozen=True)
class Kalman:
    """
    Constant velocity driven by white acceleration, continuous in time: right for any dt.

    Rotations run in the body's tangent space. The covariance of an axis is kept as P11,
    P12 / P11 and P22 - P12^2 / P11: every update is a sum of positive terms, so it stays
    positive definite at any dt, and measuring the position changes P11 alone.
    A message's own variances take the place of sigma^2.
    Settings are floats or (B, 1) with one value per stream.
    sigma_m, sigma_rad: standard deviation of the measured position (m) and rotation (rad).
    accel_density: sqrt of the acceleration's spectral density, m/s^2 per sqrt(Hz): after a
    time t the speed has wandered by accel_density sqrt(t).
    accel_density_rad: the same of the angular acceleration, rad/s^2 per sqrt(Hz).
    speed_sigma_m_s, speed_sigma_rad_s: standard deviation of the speed before the first message.
    noise_factor: on every measurement's variance.
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
    noise_factor: Array = field(default=1.0, kw_only=True)

    linked: ClassVar[Tuple[str, ...]] = ('rows', 'twist', 'position', 'slope', 'rest')

    def __post_init__(self) -> None:
        """Check the settings."""
        require_positive(**{entry.name: getattr(self, entry.name) for entry in fields(self)})

    def init(self, rows: Array, variances: Optional[Array] = None) -> Tuple[State, Estimate]:
        """Return the state after the first message; the estimate is the measurement."""
        zero = namespace(rows).zeros_like(minus(rows, rows))
        noise = self._noise(zero, variances)
        state = {'rows': plus(rows, zero), 'twist': zero, 'position': noise, 'slope': zero,
                 'rest': self._speed_variance(zero)}
        return state, Estimate(state['rows'], noise, zero, *unjudged(zero))

    def step(self, state: State, rows: Array, dt_s: Array, variances: Optional[Array] = None
             ) -> Tuple[State, Estimate]:
        """Return the state after one more message."""
        prior = self._ahead(state, dt_s)
        nu = minus(rows, prior.rows)
        noise = self._noise(nu, variances)
        scale = prior.position + noise
        gain = prior.position / scale
        state = {'rows': plus(prior.rows, gain * nu),
                 'twist': state['twist'] + gain * prior.slope * nu,
                 'position': gain * noise, 'slope': prior.slope, 'rest': prior.rest}
        return state, Estimate(state['rows'], state['position'], state['twist'],
                               _group_sum(nu * nu / scale), unjudged(nu)[1])

    def predict(self, state: State, dt_s: Array) -> Estimate:
        """Return the estimate dt_s after the last message, at the same velocity."""
        safe = namespace(dt_s).maximum(dt_s, namespace(dt_s).zeros_like(dt_s) + LEAST_S)
        prior = self._ahead(state, safe)
        return Estimate(prior.rows, prior.position, state['twist'], *unjudged(state['twist']))

    def known(self, state: State) -> Known:
        """Return what the filter knows after messages."""
        p, twist = state['position'], state['twist']
        return Known(state['rows'], twist[..., None], _full(p, state['slope'], state['rest']),
                     0.0 * p + 1.0, 0.0 * p, 0.0 * p, p)

    def link(self, before: State, after: State, dt_s: Array) -> Link:
        """Return what states predicted for the following ones."""
        prior = self._ahead(before, dt_s)
        one = namespace(dt_s).ones_like(prior.slope)
        # a slope of nought is a new start, for which nothing before counts
        lost = namespace(dt_s).where(after['slope'] == 0.0, LOST * one, one)
        start = _full(before['position'], before['slope'], before['rest'])
        moves = stack(stack(one, 0.0 * one), stack(one * dt_s, one))  # columns of F
        return Link(prior.rows, before['twist'][..., None], lost[..., None, None] * _full(
            prior.position, prior.slope, prior.rest), start, moves)

    def tuned(self, tuning: Tuning) -> 'Kalman':
        """Return the filter with a larger R, or a larger q to be responsive; it has no gate."""
        return replace(self, **self._turned(tuning))

    def _turned(self, tuning: Tuning) -> Dict[str, Array]:
        # gains know q / R alone; of the two, the larger one leaves P and S on the large side
        more, wilder = max(tuning.noise_factor, 1.0), max(tuning.noise_factor**-0.5, 1.0)
        return {'noise_factor': self.noise_factor * more,
                'accel_density': self.accel_density * wilder,
                'accel_density_rad': self.accel_density_rad * wilder}

    def _ahead(self, state: State, dt_s: Array) -> Prior:
        # [1 + d c, c] P11, [d, 1] rest, q [d^3/3 d^2/2; d^2/2 d] added as rank-one terms
        p, c, s = state['position'], state['slope'], state['rest']
        density = _per_axis(p, self.accel_density, self.accel_density_rad)
        q_dt = density * density * dt_s
        reach = 1.0 + dt_s * c
        ahead = p * reach * reach + dt_s * dt_s * (s + q_dt / 3.0)
        cross = p * reach * c + dt_s * (s + q_dt / 2.0)
        rest = q_dt / 4.0 + (p * s + q_dt * (p * (2.0 + reach) * (2.0 + reach)
                                             + s * dt_s * dt_s) / 12.0) / ahead
        return Prior(plus(state['rows'], state['twist'] * dt_s), ahead, cross / ahead, rest)

    def _noise(self, tangent: Array, variances: Optional[Array]) -> Array:
        sigma = _per_axis(tangent, self.sigma_m, self.sigma_rad)
        noise = sigma * sigma
        if variances is not None:
            noise = namespace(tangent).where(variances > 0.0, variances, noise)  # not for NaN
        return noise * self.noise_factor

    def _speed_variance(self, tangent: Array) -> Array:
        sigma = _per_axis(tangent, self.speed_sigma_m_s, self.speed_sigma_rad_s)
        return sigma * sigma


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
            return chi2_quantile(tail, 3)
        each = [0.0 * one + chi2_quantile(float(one), 3) for one in tail.reshape(-1)]
        return namespace(tail).stack(each).reshape(tail.shape)

    def init(self, rows: Array, variances: Optional[Array] = None) -> Tuple[State, Estimate]:
        """Return the state after the first message; the estimate is the measurement."""
        state, estimate = super().init(rows, variances)
        state['rejects'] = namespace(rows).zeros_like(estimate.weight)
        return state, estimate

    def step(self, state: State, rows: Array, dt_s: Array, variances: Optional[Array] = None
             ) -> Tuple[State, Estimate]:
        """Return the state after one more message."""
        xp = namespace(rows)
        prior = self._ahead(state, dt_s)
        nu = minus(rows, prior.rows)
        noise = self._noise(nu, variances)
        scale = prior.position + noise
        nis = _group_sum(nu * nu / scale)
        zero = xp.zeros_like(nis)
        rejects = xp.where(nis <= self.gate, zero, state['rejects'] + 1.0)
        anew = rejects >= self.patience
        weight = xp.where((rejects == 0.0) | anew, zero + 1.0, zero)
        again, believed = _spread(anew, nu), _spread(weight, nu)
        nought = xp.zeros_like(nu)
        gain = xp.where(again, nought + 1.0, believed * prior.position / scale)
        position = xp.where(believed > 0.0, gain * noise, prior.position)
        state = {'rows': plus(prior.rows, gain * nu),
                 'twist': xp.where(again, nought, state['twist'] + gain * prior.slope * nu),
                 'position': position,  # again: the gain is 1, so this is R
                 'slope': xp.where(again, nought, prior.slope),
                 'rest': xp.where(again, self._speed_variance(nu), prior.rest),
                 'rejects': xp.where(anew, zero, rejects)}
        return state, Estimate(state['rows'], position, state['twist'], nis, weight)

    def tuned(self, tuning: Tuning) -> 'KalmanGated':
        """Return the filter with another R or q and, where one is asked for, another gate."""
        return replace(self, **self._turned(tuning), reject_probability=(
            tuning.gate_probability or self.reject_probability))


def _per_axis(tangent: Array, position: Array, rotation: Array) -> Array:
    """Return the settings of position and rotation, floats or (B, 1), for each axis (B, A)."""
    xp = namespace(tangent)
    ones = xp.ones_like(tangent[:, :3])
    if tangent.shape[1] == 3:
        return ones * position
    return xp.concatenate([ones * position, ones * rotation], -1)


def _full(position: Array, slope: Array, rest: Array) -> Array:
    """Return covariances (B, A, 2, 2)."""
    cross = position * slope
    return stack(stack(position, cross), stack(cross, cross * slope + rest))


def _spread(group: Array, tangent: Array) -> Array:
    """Return what holds of a group (B, G) for each of its axes (B, A)."""
    wide = namespace(tangent).broadcast_to(group[:, :, None], tuple(group.shape) + (3,))
    return wide.reshape(tangent.shape)


def _group_sum(tangent: Array) -> Array:
    return tangent.reshape(len(tangent), -1, 3).sum(-1)
