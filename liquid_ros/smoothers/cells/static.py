# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""No memory: one layer of tanh units."""

from typing import Tuple

from liquid_ros.arrays import Array, namespace
from liquid_ros.smoothers.cells.base import CellKind, Weights


def step(w: Weights, x: Array, h: Array, pace: Array) -> Tuple[Array, Array]:
    """Return tanh(x W^T)."""
    h = namespace(x).tanh(x @ w['weight_in'].T)
    return h, h


KIND = CellKind(step, lambda hidden, features: {'weight_in': (hidden, features)})
