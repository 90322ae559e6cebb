# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
A memory cell beside a continuous-time one: ODE-LSTM (Lechner & Hasani 2020, arXiv 2006.04418).

An LSTM, whose memory c no interval touches, says where the continuous-time state starts from,
h0 = o tanh(c), and that state then runs for dt by the liquid cell's exact step in coordinates of
unit size: h' = phi + exp(-alpha dt) (h0 - phi), phi = tanh(x W^T + h0 U^T).
"""

from typing import Tuple

from liquid_ros.arrays import Array, namespace
from liquid_ros.smoothers.cell import sigmoid
from liquid_ros.smoothers.cells.base import CellKind, Shapes, Weights


def step(w: Weights, x: Array, h: Array, pace: Array) -> Tuple[Array, Array]:
    """Advance the memory by one message and the continuous-time state by dt."""
    xp = namespace(x)
    size = h.shape[-1] // 2
    gates = x @ w['lstm_in'].T + h[..., size:] @ w['lstm_rec'].T
    take, forget, show = (sigmoid(gates[..., k * size:(k + 1) * size] + bias)
                          for k, bias in ((1, 0.0), (2, 1.0), (3, 0.0)))
    memory = forget * h[..., :size] + take * xp.tanh(gates[..., :size])
    start = show * xp.tanh(memory)
    phi = xp.tanh(x @ w['weight_in'].T + start @ w['weight_rec'].T)
    now = phi + xp.exp(-w['alpha'] * pace) * (start - phi)
    return xp.concatenate([memory, now], -1), now


def shapes(hidden: int, features: int) -> Shapes:
    """Return the LSTM's input, take, forget and show gates, and the liquid cell's weights."""
    return {'lstm_in': (4 * hidden, features), 'lstm_rec': (4 * hidden, hidden),
            'weight_in': (hidden, features), 'weight_rec': (hidden, hidden), 'alpha': (hidden,)}


def tau(w: Weights, x: Array, h: Array) -> Array:
    """Return 1 / alpha of the continuous-time state."""
    return 1.0 / w['alpha'] + 0.0 * h[..., h.shape[-1] // 2:]


KIND = CellKind(step, shapes, state=lambda hidden: 2 * hidden, positive=('alpha',), tau=tau)
