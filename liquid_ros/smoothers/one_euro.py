# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The One-Euro filter: a low pass whose cutoff rises with speed."""

from dataclasses import dataclass, replace
import math
from typing import Optional, Tuple

from liquid_ros.arrays import Array, namespace
from liquid_ros.errors import ParameterError
from liquid_ros.manifold import minus, plus
from liquid_ros.smoothers.base import Estimate, State
from liquid_ros.smoothers.ema import next_spread, nis, no_spread, require_positive, unjudged
from liquid_ros.smoothers.tuning import Tuning


@dataclass(frozen=True)
class OneEuro:
    """
    Low pass each axis with cutoff min_cutoff_hz + beta |speed|; more speed, less lag.

    Settings are floats or (B, 1) with one value per stream.
    min_cutoff_hz: cutoff at rest. d_cutoff_hz: cutoff of the speed's own low pass.
    beta: Hz per m/s. beta_rotation: Hz per rad/s, about the axes of the body.
    The speed is the paper's, (z - y) / dt: it reads high by the lag. The twist is the rate
    of the output under the same low pass.
    Errors: ParameterError where a cutoff is not positive or a beta is negative.
    Source: Casiez, Roussel & Vogel, CHI 2012, doi 10.1145/2207676.2208639.
    """

    min_cutoff_hz: Array = 1.0
    beta: Array = 10.0
    beta_rotation: Array = 2.0
    d_cutoff_hz: Array = 1.0

    def __post_init__(self) -> None:
        """Check the settings."""
        require_positive(min_cutoff_hz=self.min_cutoff_hz, d_cutoff_hz=self.d_cutoff_hz)
        for name, beta in (('beta', self.beta), ('beta_rotation', self.beta_rotation)):
            if not (beta >= 0.0 if isinstance(beta, (int, float)) else bool((beta >= 0.0).all())):
                raise ParameterError(f'got {name} {beta!r}, expected 0 or more')

    def init(self, rows: Array, variances: Optional[Array] = None) -> Tuple[State, Estimate]:
        """Return the state after the first message; the estimate is the measurement."""
        zero = namespace(rows).zeros_like(minus(rows, rows))
        first = plus(rows, zero)
        state = {'rows': first, 'speed': zero, 'twist': zero, **no_spread(zero)}
        return state, Estimate(first, zero, zero, *unjudged(zero))

    def step(self, state: State, rows: Array, dt_s: Array, variances: Optional[Array] = None
             ) -> Tuple[State, Estimate]:
        """Return the state after one more message."""
        innovation = minus(rows, state['rows'])
        follow = _gain(self.d_cutoff_hz, dt_s)
        speed = state['speed'] + follow * (innovation / dt_s - state['speed'])
        gain = _gain(self._cutoff_hz(speed), dt_s)
        moved = gain * innovation
        filtered = plus(state['rows'], moved)
        twist = state['twist'] + follow * (moved / dt_s - state['twist'])
        spread = next_spread(state, innovation, gain)
        state = {'rows': filtered, 'speed': speed, 'twist': twist, **spread}
        return state, Estimate(filtered, spread['share'] * spread['square'], twist,
                               nis(innovation, spread['square']), unjudged(innovation)[1])

    def predict(self, state: State, dt_s: Array) -> Estimate:
        """Return the last estimate: a low pass has no motion to go on with."""
        return Estimate(state['rows'], state['share'] * state['square'], state['twist'],
                        *unjudged(state['twist']))

    def tuned(self, tuning: Tuning) -> 'OneEuro':
        """Return the filter with all cutoffs of the output lower or higher; there is no gate."""
        return replace(self, **{name: getattr(self, name) / tuning.time_factor
                                for name in ('min_cutoff_hz', 'beta', 'beta_rotation')})

    def _cutoff_hz(self, speed: Array) -> Array:
        xp = namespace(speed)
        extra = self.beta * xp.abs(speed[:, :3])
        if speed.shape[1] == 6:
            extra = xp.concatenate([extra, self.beta_rotation * xp.abs(speed[:, 3:])], -1)
        return self.min_cutoff_hz + extra


def _gain(cutoff_hz: Array, dt_s: Array) -> Array:
    ratio = 2.0 * math.pi * cutoff_hz * dt_s  # dt / tau
    return ratio / (1.0 + ratio)
