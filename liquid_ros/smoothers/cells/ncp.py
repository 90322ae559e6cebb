# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
A neural circuit policy (Lechner et al., Nature Machine Intelligence 2020) of LTC neurons.

Features reach inter neurons, those command neurons, which know one another, those motor neurons,
which are read out; w is 0 where the wiring, drawn by ncps.wirings.AutoNCP, has no synapse.
"""

from typing import Tuple

from liquid_ros.arrays import Array
from liquid_ros.smoothers.cells import ltc, wiring
from liquid_ros.smoothers.cells.base import Weights


def step(w: Weights, x: Array, h: Array, pace: Array) -> Tuple[Array, Array]:
    """Advance as LTC does; the motor neurons, numbered first, are read."""
    h, _ = ltc.step(w, x, h, pace)
    return h, h[..., :wiring.motors(h.shape[-1])]


KIND = ltc.KIND._replace(step=step, read=wiring.motors, library=True)
