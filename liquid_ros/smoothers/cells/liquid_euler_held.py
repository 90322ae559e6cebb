# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The liquid cell by Euler's step, no further than it is monotone: dt alpha <= 1."""

from typing import Tuple

from liquid_ros.arrays import Array, namespace
from liquid_ros.smoothers import cell
from liquid_ros.smoothers.cells import liquid
from liquid_ros.smoothers.cells.base import Weights


def step(w: Weights, x: Array, h: Array, pace: Array, activation: str = 'tanh'
         ) -> Tuple[Array, Array]:
    """Advance by Euler's step over at most 1 / alpha."""
    dt = namespace(x).minimum(pace + 0.0 * w['alpha'], 1.0 / w['alpha'])
    h = cell.euler(x, h, w['weight_in'], w['weight_rec'], w['alpha'], dt, activation)
    return h, w['alpha'] * h


KIND = liquid.KIND._replace(step=step)
