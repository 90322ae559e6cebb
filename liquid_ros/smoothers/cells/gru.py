# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The gated recurrent unit (Cho et al. 2014), which knows no dt."""

from typing import Tuple

from liquid_ros.arrays import Array, namespace
from liquid_ros.smoothers.cell import sigmoid
from liquid_ros.smoothers.cells.base import CellKind, Shapes, Weights


def step(w: Weights, x: Array, h: Array, pace: Array) -> Tuple[Array, Array]:
    """Advance by one message, however long it took."""
    reset, keep, new = _gates(w, x, h)
    h = new + keep * (h - new)
    return h, h


def _gates(w: Weights, x: Array, h: Array) -> Tuple[Array, Array, Array]:
    xp = namespace(x)
    size = h.shape[-1]
    given, own = x @ w['weight_in'].T, h @ w['weight_rec'].T
    gates = sigmoid(given[..., :2 * size] + own[..., :2 * size])
    new = xp.tanh(given[..., 2 * size:] + gates[..., :size] * own[..., 2 * size:])
    return gates[..., :size], gates[..., size:], new


def shapes(hidden: int, features: int) -> Shapes:
    """Return the weights of reset, update and candidate, side by side."""
    return {'weight_in': (3 * hidden, features), 'weight_rec': (3 * hidden, hidden)}


def tau(w: Weights, x: Array, h: Array) -> Array:
    """Return -1 / log of what is kept, in messages."""
    xp = namespace(x)
    keep = _gates(w, x, h)[1]
    return -1.0 / xp.log(xp.maximum(keep, 1e-30 + 0.0 * keep))


KIND = CellKind(step, shapes, tau=tau)
