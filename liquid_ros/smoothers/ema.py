# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Exponential moving average, right for irregular dt."""

from dataclasses import dataclass, replace
from typing import Optional, Tuple

from liquid_ros.arrays import Array, namespace
from liquid_ros.errors import ParameterError
from liquid_ros.manifold import minus, plus
from liquid_ros.smoothers.base import Estimate, State
from liquid_ros.smoothers.tuning import Tuning

MEMORY = 64.0  # messages that the innovation variance is averaged over


@dataclass(frozen=True)
class Ema:
    """
    First-order low pass with time constant tau_s; positions and rotations alike.

    y' = y + (1 - exp(-dt / tau)) (z - y). The model is a point at rest, so the twist is zero.
    tau_s: seconds, a float or (B, 1) with one value per stream.
    Errors: ParameterError where tau_s is not positive.
    """

    tau_s: Array = 0.1

    def __post_init__(self) -> None:
        """Check the setting."""
        require_positive(tau_s=self.tau_s)

    def init(self, rows: Array, variances: Optional[Array] = None) -> Tuple[State, Estimate]:
        """Return the state after the first message; the estimate is the measurement."""
        zero = namespace(rows).zeros_like(minus(rows, rows))
        first = plus(rows, zero)
        state = {'rows': first, **no_spread(zero)}
        return state, Estimate(first, zero, zero, *unjudged(zero))

    def step(self, state: State, rows: Array, dt_s: Array, variances: Optional[Array] = None
             ) -> Tuple[State, Estimate]:
        """Return the state after one more message."""
        xp = namespace(rows)
        gain = -xp.expm1(-dt_s / self.tau_s)
        innovation = minus(rows, state['rows'])
        filtered = plus(state['rows'], gain * innovation)
        spread = next_spread(state, innovation, gain)
        return {'rows': filtered, **spread}, Estimate(
            filtered, spread['share'] * spread['square'], xp.zeros_like(innovation),
            nis(innovation, spread['square']), unjudged(innovation)[1])

    def predict(self, state: State, dt_s: Array) -> Estimate:
        """Return the last estimate: the model is a point at rest."""
        zero = namespace(state['square']).zeros_like(state['square'])
        return Estimate(state['rows'], state['share'] * state['square'], zero, *unjudged(zero))

    def tuned(self, tuning: Tuning) -> 'Ema':
        """Return the filter with another time constant; there is no gate."""
        return replace(self, tau_s=self.tau_s * tuning.time_factor)


def no_spread(zero: Array) -> State:
    """Return the innovation statistics of streams with one message; zero (B, A)."""
    return {'square': zero, 'share': zero + 1.0, 'count': zero[:, :1]}


def next_spread(state: State, innovation: Array, gain: Array) -> State:
    """
    Return the innovation statistics after a message that was followed with this gain.

    square: (B, A) S, the mean of innovation^2 over the last MEMORY messages, roughly.
    share: (B, A) w, the error's variance over S. One message alone has w = 1; a constant gain g
    leads to w = g, the prior variance of the random-walk Kalman filter with that gain. On white
    noise around a point at rest the error is half of it; the lag behind a motion is not in it.
    """
    count = namespace(gain).clip(state['count'] + 1.0, 0.0, MEMORY)
    square = state['square'] + (innovation * innovation - state['square']) / count
    share = state['share'] + gain * (gain - state['share'])
    return {'square': square, 'share': share, 'count': count}


def nis(innovation: Array, square: Array) -> Array:
    """Return (B, G) sums of innovation^2 / S over groups of three axes; 0 where S is 0."""
    xp = namespace(square)
    ratio = innovation * innovation / xp.where(square > 0.0, square, xp.ones_like(square))
    return ratio.reshape(len(ratio), -1, 3).sum(-1)


def unjudged(tangent: Array) -> Tuple[Array, Array]:
    """Return NIS (B, G) at its expected value 3 and weight (B, G) 1; tangent (B, A)."""
    ones = namespace(tangent).ones_like(tangent[:, ::3])
    return 3.0 * ones, ones


def require_positive(**settings: Array) -> None:
    """Raise ParameterError where a float or any number of an array is not above zero."""
    for name, value in settings.items():
        above = value > 0.0
        if not (above if isinstance(above, bool) else bool(above.all())):
            raise ParameterError(f'got {name} {value!r}, expected more than 0')
