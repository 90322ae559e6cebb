# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The liquid cell: dh/dt = -alpha h + phi(x W^T + h U^T), a continuous-time recurrent network."""

from typing import Tuple

from liquid_ros.arrays import Array
from liquid_ros.smoothers import cell
from liquid_ros.smoothers.cells.base import CellKind, Shapes, Weights


def step(w: Weights, x: Array, h: Array, pace: Array, activation: str = 'tanh'
         ) -> Tuple[Array, Array]:
    """Advance exactly for a frozen drive; alpha h is of unit size."""
    h = cell.exponential(x, h, w['weight_in'], w['weight_rec'], w['alpha'], pace, activation)
    return h, w['alpha'] * h


def shapes(hidden: int, features: int) -> Shapes:
    """Return W, U and one rate a unit."""
    return {'weight_in': (hidden, features), 'weight_rec': (hidden, hidden), 'alpha': (hidden,)}


def tau(w: Weights, x: Array, h: Array) -> Array:
    """Return 1 / alpha."""
    return 1.0 / w['alpha'] + 0.0 * h


KIND = CellKind(step, shapes, positive=('alpha',), activations=tuple(cell.ACTIVATIONS), tau=tau)
