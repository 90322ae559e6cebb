# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The liquid time-constant cell (Hasani et al., AAAI 2021) with its fused semi-implicit solver.

A synapse from i to j carries w_ij sigma(s_ij (v_i - mu_ij)) (e_ij - v_j); of those from features
the weights are sensory_*. With g_j = leak + sum of the conductances and d = dt / UNFOLDS,

    v' = (c v + d (leak v_leak + sum w sigma e)) / (c + d (leak + sum w sigma)),

UNFOLDS times. The ncps library divides by d, which is NaN at dt = 0 where this is v.
"""

from typing import Tuple

from liquid_ros.arrays import Array
from liquid_ros.smoothers.cells.base import CellKind, Shapes, sigmoid, Weights

UNFOLDS = 6
EPSILON = 1e-8  # the library's, on the denominator over d
SYNAPSES = ('w', 'mu', 'sigma', 'erev')  # of a wiring; each also as sensory_


def step(w: Weights, x: Array, h: Array, pace: Array) -> Tuple[Array, Array]:
    """Advance by UNFOLDS semi-implicit steps, right for any dt >= 0."""
    part = pace / UNFOLDS
    pull, conductance = _currents(w, x, 'sensory_')
    pull = pull + w['gleak'] * w['vleak']
    conductance = conductance + w['gleak'] + EPSILON
    for _ in range(UNFOLDS):
        own_pull, own = _currents(w, h)
        h = ((w['cm'] * h + part * (pull + own_pull))
             / (w['cm'] + part * (conductance + own)))
    return h, h


def _currents(w: Weights, source: Array, kind: str = '') -> Tuple[Array, Array]:
    """Return the sums over sources (B, A, H) of w sigma e and of w sigma."""
    active = w[kind + 'w'] * sigmoid(w[kind + 'sigma'] * (source[..., None] - w[kind + 'mu']))
    return (active * w[kind + 'erev']).sum(-2), active.sum(-2)


def shapes(hidden: int, features: int) -> Shapes:
    """Return the synapses from features (F, H) and from units (H, H), and what a unit has."""
    return {**{f'sensory_{name}': (features, hidden) for name in SYNAPSES},
            **dict.fromkeys(SYNAPSES, (hidden, hidden)),
            'gleak': (hidden,), 'vleak': (hidden,), 'cm': (hidden,)}


def tau(w: Weights, x: Array, h: Array) -> Array:
    """Return c / (leak + sum of the conductances)."""
    return w['cm'] / (w['gleak'] + _currents(w, x, 'sensory_')[1] + _currents(w, h)[1])


KIND = CellKind(step, shapes, positive=('gleak', 'cm'), tau=tau)
