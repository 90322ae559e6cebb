# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
A neural circuit policy (Lechner et al. 2020) of CfC neurons, as the ncps library's WiredCfCCell.

A layer (inter, command, motor, in this order in the state) takes the one before and itself
through CfC heads without a backbone; ff1 and ff2 are 0 where the wiring has no synapse. Within a
layer every neuron knows every other, as the library has it.
"""

from typing import List, Tuple

from liquid_ros.arrays import Array, namespace
from liquid_ros.smoothers.cells import cfc, wiring
from liquid_ros.smoothers.cells.base import CellKind, Shapes, Weights


def step(w: Weights, x: Array, h: Array, pace: Array) -> Tuple[Array, Array]:
    """Advance layer by layer; the motor neurons are read."""
    xp = namespace(x)
    found: List[Array] = []
    for layer, z in enumerate(_own(w, h)):
        found.append(cfc.mix(w, xp.concatenate([found[-1] if found else x, z], -1), pace,
                             f'_{layer}'))
    return xp.concatenate(found, -1), found[-1]


def _own(w: Weights, h: Array) -> List[Array]:
    """Return the layers' own states."""
    at, parts = 0, []
    for layer in range(3):
        size = w[f'ff1_{layer}'].shape[0]
        parts.append(h[..., at:at + size])
        at += size
    return parts


def shapes(hidden: int, features: int) -> Shapes:
    """Return four heads a layer, each with its bias."""
    found: Shapes = {}
    before = features
    for layer, size in enumerate(wiring.layers(hidden)):
        for name in cfc.HEADS:
            found[f'{name}_{layer}'] = (size, before + size)
            found[f'{name}_bias_{layer}'] = (size,)
        before = size
    return found


def tau(w: Weights, x: Array, h: Array) -> Array:
    """Return 1 / |a(z)|, the layers before as they are in the state."""
    xp, found, before = namespace(x), [], x
    for layer, own in enumerate(_own(w, h)):
        found.append(cfc.slowness(w, xp.concatenate([before, own], -1), f'_{layer}'))
        before = own
    return xp.concatenate(found, -1)


KIND = CellKind(step, shapes, read=wiring.motors, tau=tau, library=True)
