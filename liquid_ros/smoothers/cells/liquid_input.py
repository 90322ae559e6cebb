# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The liquid cell with rates that depend on the input: alpha exp(2 tanh(x A^T))."""

from typing import Tuple

from liquid_ros.arrays import Array, namespace
from liquid_ros.smoothers import cell
from liquid_ros.smoothers.cells import liquid
from liquid_ros.smoothers.cells.base import Shapes, Weights


def step(w: Weights, x: Array, h: Array, pace: Array, activation: str = 'tanh'
         ) -> Tuple[Array, Array]:
    """Advance exactly for a frozen drive and frozen rates."""
    h = cell.exponential(x, h, w['weight_in'], w['weight_rec'], rates(w, x), pace, activation)
    return h, w['alpha'] * h


def rates(w: Weights, x: Array) -> Array:
    """Return alpha exp(2 tanh(x A^T)), (B, A, H)."""
    xp = namespace(x)
    return w['alpha'] * xp.exp(2.0 * xp.tanh(x @ w['weight_alpha'].T))


def shapes(hidden: int, features: int) -> Shapes:
    """Return the liquid cell's and A."""
    return {**liquid.shapes(hidden, features), 'weight_alpha': (hidden, features)}


def tau(w: Weights, x: Array, h: Array) -> Array:
    """Return one over the rates."""
    return 1.0 / rates(w, x) + 0.0 * h


KIND = liquid.KIND._replace(step=step, shapes=shapes, tau=tau)
