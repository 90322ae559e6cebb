# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
A neural circuit policy (Lechner et al., Nature Machine Intelligence 2020) of LTC neurons.

Features reach inter neurons, those command neurons, which know one another, those motor neurons,
which are read out; w is 0 where the wiring, drawn by ncps.wirings.AutoNCP, has no synapse.
"""

from typing import Tuple

from liquid_ros.arrays import Array, namespace
from liquid_ros.smoothers.cells import ltc, wiring
from liquid_ros.smoothers.cells.base import Weights


def step(w: Weights, x: Array, h: Array, pace: Array) -> Tuple[Array, Array]:
    """
    Advance as ltc.step() does, without the blocks that no wiring has; the motor neurons are read.

    Neurons are numbered motor, command, inter: features reach inter alone, inter and command
    reach command and motor.
    """
    xp, part = namespace(x), pace / ltc.UNFOLDS
    count = wiring.layers(h.shape[-1])
    outer = count.motor + count.command
    own = ltc.synapses(w, '', slice(count.motor, None), slice(None, outer))
    pull, conductance = ltc.currents(ltc.synapses(w, 'sensory_', targets=slice(outer, None)), x)
    leak = w['gleak'] + ltc.EPSILON
    rest = w['gleak'] * w['vleak']
    inner_pull = part * (pull + rest[outer:])
    inner_all = w['cm'][outer:] + part * (conductance + leak[outer:])
    outer_pull = part * (own.pull + rest[:outer])
    outer_all = w['cm'][:outer] + part * (own.conductance + leak[:outer])
    front, inter = h[..., :outer], h[..., outer:]
    for _ in range(ltc.UNFOLDS):
        more_pull, more = ltc.swings(own, xp.concatenate([front[..., count.motor:], inter], -1))
        front = (w['cm'][:outer] * front + outer_pull + part * more_pull) / (
            outer_all + part * more)
        inter = (w['cm'][outer:] * inter + inner_pull) / inner_all
    return xp.concatenate([front, inter], -1), front[..., :count.motor]


KIND = ltc.KIND._replace(step=step, read=wiring.motors, library=True)
