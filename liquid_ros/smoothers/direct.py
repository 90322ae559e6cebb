# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The plain readout: absolute coordinates in, Linear(h) out.

It is here to be measured, not to be used: a position read out of tanh units knows only places
it was trained in. Tests show that it is not equivariant to translation or scale.
"""

from dataclasses import dataclass
from typing import Dict, Optional, Tuple

from liquid_ros.arrays import Array, cast, namespace, stack
from liquid_ros.manifold import minus
from liquid_ros.smoothers import cell
from liquid_ros.smoothers.base import Estimate, State
from liquid_ros.smoothers.ema import unjudged
from liquid_ros.smoothers.tuning import Tuning

SHARE = 0.05  # of a new message in the running square of what was taken away


@dataclass(frozen=True)
class DirectConfig:
    """Shape of the cell."""

    hidden: int = 32


class LiquidDirect:
    """
    A liquid cell from positions in m to positions in m; orientations pass as they came.

    weights: weight_in (H, 4) for x y z 1, weight_rec (H, H), alpha (H,) in 1/s, weight_out (3, H),
    bias_out (3,).
    """

    alike = 1  # its matrix products are over all streams at once, and round by how many there are

    def __init__(self, config: DirectConfig, weights: Dict[str, Array]) -> None:
        """Keep the weights; nothing here changes afterwards."""
        self.config = config
        self.weights = weights

    def init(self, rows: Array, variances: Optional[Array] = None) -> Tuple[State, Estimate]:
        """Return the state after the first message of B streams, which is the first answer."""
        zero = cast(0.0 * minus(rows, rows), self.weights['bias_out'])
        ones = zero[:, ::3] + 1.0
        state = {'rows': cast(rows, zero), 'square': zero + 1.0,
                 'hidden': stack(*[zero[:, 0]] * self.config.hidden)}
        return state, Estimate(rows, zero + 1.0, zero, 3.0 * ones, ones)

    def step(self, state: State, rows: Array, dt_s: Array, variances: Optional[Array] = None
             ) -> Tuple[State, Estimate]:
        """Return the state after one more message; rows (B, 3) or (B, 7), dt_s (B, 1) > 0."""
        xp, w = namespace(rows), self.weights
        given = cast(rows[:, :3], w['bias_out'])
        dt_s = cast(dt_s, w['bias_out'])
        hidden = cell.exponential(xp.concatenate([given, 0.0 * given[:, :1] + 1.0], -1),
                                  state['hidden'], w['weight_in'], w['weight_rec'], w['alpha'],
                                  dt_s)
        position = (w['alpha'] * hidden) @ w['weight_out'].T + w['bias_out']
        quat = cast(rows[:, 3:], position)
        turned = (quat * state['rows'][:, 3:]).sum(-1)[:, None] < 0.0  # -q is the same
        answer = xp.concatenate([position, xp.where(turned, -quat, quat)], -1)
        taken = minus(answer, cast(rows, answer))
        square = state['square'] + SHARE * (taken * taken - state['square'])
        zero = 0.0 * taken
        ones = zero[:, ::3] + 1.0
        following = {'rows': answer, 'hidden': hidden, 'square': square}
        return following, Estimate(answer, square + 1e-12, zero, 3.0 * ones, ones)

    def predict(self, state: State, dt_s: Array) -> Estimate:
        """Return the last estimate."""
        zero = 0.0 * state['square']
        return Estimate(state['rows'], state['square'] + 1e-12, zero, *unjudged(zero))

    def tuned(self, tuning: Tuning) -> 'LiquidDirect':
        """Return the same: it has neither R nor a gate."""
        return self
