# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The closed-form continuous-time cell (Hasani et al., Nature Machine Intelligence 2022).

z = lecun(B [x, h]) and h' = (1 - t) tanh(F1 z) + t tanh(F2 z), t = sigmoid(a(z) dt + b(z)): the
default mode of the ncps library's CfCCell with one layer of H backbone units.
"""

from typing import Tuple

from liquid_ros.arrays import Array, namespace
from liquid_ros.smoothers.cell import sigmoid
from liquid_ros.smoothers.cells.base import CellKind, Shapes, Weights

HEADS = ('ff1', 'ff2', 'time_a', 'time_b')
LEAST = 1e-9  # of |a|, where a time constant is told


def step(w: Weights, x: Array, h: Array, pace: Array) -> Tuple[Array, Array]:
    """Advance in closed form; dt is one value a row."""
    h = mix(w, backbone(w, x, h), pace)
    return h, h


def backbone(w: Weights, x: Array, h: Array) -> Array:
    """Return 1.7159 tanh(0.666 B [x, h]), LeCun's tanh."""
    xp = namespace(x)
    given = xp.concatenate([x, h], -1)
    return 1.7159 * xp.tanh(0.666 * (given @ w['backbone'].T + w['backbone_bias']))


def head(w: Weights, name: str, z: Array, layer: str = '') -> Array:
    """Return what one of HEADS makes of z."""
    return z @ w[name + layer].T + w[name + '_bias' + layer]


def mix(w: Weights, z: Array, pace: Array, layer: str = '') -> Array:
    """Return what the heads of a layer make of z."""
    xp = namespace(z)
    ff1, ff2, a, b = (head(w, name, z, layer) for name in HEADS)
    share = sigmoid(a * pace + b)
    return xp.tanh(ff1) * (1.0 - share) + share * xp.tanh(ff2)


def shapes(hidden: int, features: int) -> Shapes:
    """Return the backbone and four heads, each with its bias."""
    return {'backbone': (hidden, features + hidden), 'backbone_bias': (hidden,),
            **dict.fromkeys(HEADS, (hidden, hidden)),
            **{f'{name}_bias': (hidden,) for name in HEADS}}


def tau(w: Weights, x: Array, h: Array) -> Array:
    """Return 1 / |a(z)|, what the gate's argument takes to change by one."""
    return slowness(w, backbone(w, x, h))


def slowness(w: Weights, z: Array, layer: str = '') -> Array:
    """Return 1 / |a(z)| of a layer."""
    return 1.0 / (namespace(z).abs(head(w, 'time_a', z, layer)) + LEAST)


KIND = CellKind(step, shapes, tau=tau)
