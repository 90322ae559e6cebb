# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The liquid cell by Euler's step, h + dt (-alpha h + phi): as it was first written down."""

from typing import Tuple

from liquid_ros.arrays import Array
from liquid_ros.smoothers import cell
from liquid_ros.smoothers.cells import liquid
from liquid_ros.smoothers.cells.base import Weights


def step(w: Weights, x: Array, h: Array, pace: Array, activation: str = 'tanh'
         ) -> Tuple[Array, Array]:
    """Advance by Euler's step, which is stable only for dt alpha < 2."""
    h = cell.euler(x, h, w['weight_in'], w['weight_rec'], w['alpha'], pace, activation)
    return h, w['alpha'] * h


KIND = liquid.KIND._replace(step=step)
