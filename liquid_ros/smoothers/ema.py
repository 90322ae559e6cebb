# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Exponential moving average, right for irregular dt."""

from dataclasses import dataclass
from typing import Tuple

from liquid_ros.arrays import Array, namespace, tangent_size
from liquid_ros.manifold import minus, plus
from liquid_ros.smoothers.base import Estimate, State


@dataclass(frozen=True)
class Ema:
    """
    First-order low pass with time constant tau_s; positions and rotations alike.

    y' = y + (1 - exp(-dt / tau)) (z - y).
    """

    tau_s: float = 0.1

    def init(self, rows: Array) -> Tuple[State, Estimate]:
        """Return the state after the first message; the estimate is the measurement."""
        zero = 0.0 * minus(rows, rows)
        return {'rows': rows, 'square': zero}, self._estimate(rows, zero, zero, 1.0)

    def step(self, state: State, rows: Array, dt_s: Array) -> Tuple[State, Estimate]:
        """Return the state after one more message."""
        xp = namespace(rows)
        gain = -xp.expm1(-dt_s / self.tau_s)
        innovation = minus(rows, state['rows'])
        filtered = plus(state['rows'], gain * innovation)
        square = state['square'] + gain * (innovation * innovation - state['square'])
        return ({'rows': filtered, 'square': square},
                self._estimate(filtered, square * gain, 0.0 * innovation, gain))

    def _estimate(self, rows: Array, variance: Array, twist: Array, gain: object) -> Estimate:
        groups = tangent_size(rows.shape[-1]) // 3
        ones = 0.0 * variance[..., :groups] + 1.0
        return Estimate(rows, variance, twist, 3.0 * ones, ones)
