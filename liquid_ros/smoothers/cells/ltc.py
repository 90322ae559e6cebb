# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The liquid time-constant cell (Hasani et al., AAAI 2021) with its fused semi-implicit solver.

A synapse from i to j carries w_ij sigma(s_ij (v_i - mu_ij)) (e_ij - v_j); of those from features
the weights are sensory_*. With g_j = leak + sum of the conductances and d = dt / UNFOLDS,

    v' = (c v + d (leak v_leak + sum w sigma e)) / (c + d (leak + sum w sigma)),

UNFOLDS times. The ncps library divides by d, which is NaN at dt = 0 where this is v. With
sigma(u) = (1 + tanh(u / 2)) / 2 a sum over sources is that of w / 2 and that of w / 2 tanh.
"""

from typing import NamedTuple, Tuple

from liquid_ros.arrays import Array, namespace
from liquid_ros.smoothers.cells.base import CellKind, Shapes, Weights

UNFOLDS = 6
EPSILON = 1e-8  # the library's, on the denominator over d
ALL = slice(None)
NAMES = ('w', 'mu', 'sigma', 'erev')  # of a wiring; each also as sensory_


def step(w: Weights, x: Array, h: Array, pace: Array) -> Tuple[Array, Array]:
    """Advance by UNFOLDS semi-implicit steps, right for any dt >= 0."""
    part = pace / UNFOLDS
    given, own = synapses(w, 'sensory_'), synapses(w)
    pull, conductance = currents(given, x)
    pull = part * (pull + own.pull + w['gleak'] * w['vleak'])
    conductance = w['cm'] + part * (conductance + own.conductance + w['gleak'] + EPSILON)
    for _ in range(UNFOLDS):
        more_pull, more = swings(own, h)
        h = (w['cm'] * h + pull + part * more_pull) / (conductance + part * more)
    return h, h


class Synapses(NamedTuple):
    """Of sources S to units H: s / 2, s mu / 2, w / 2, w e / 2, all (S, H), and the sums (H,)."""

    steep: Array
    middle: Array
    half: Array
    half_pull: Array
    conductance: Array
    pull: Array


def synapses(w: Weights, kind: str = '', sources: slice = ALL, targets: slice = ALL) -> Synapses:
    """Return what of the synapses no state changes, of some sources and targets alone."""
    strength, mu, sigma, erev = (w[kind + name][sources, targets] for name in NAMES)
    steep, half = 0.5 * sigma, 0.5 * strength
    pull = half * erev
    return Synapses(steep, steep * mu, half, pull, half.sum(0), pull.sum(0))


def swings(of: Synapses, source: Array) -> Tuple[Array, Array]:
    """Return the sums over sources (B, A, H) of w e / 2 tanh and of w / 2 tanh."""
    swing = namespace(source).tanh(source[..., None] * of.steep - of.middle)
    return (swing * of.half_pull).sum(-2), (swing * of.half).sum(-2)


def currents(of: Synapses, source: Array) -> Tuple[Array, Array]:
    """Return the sums over sources (B, A, H) of w sigma e and of w sigma."""
    pull, conductance = swings(of, source)
    return pull + of.pull, conductance + of.conductance


def shapes(hidden: int, features: int) -> Shapes:
    """Return the synapses from features (F, H) and from units (H, H), and what a unit has."""
    return {**{f'sensory_{name}': (features, hidden) for name in NAMES},
            **dict.fromkeys(NAMES, (hidden, hidden)),
            'gleak': (hidden,), 'vleak': (hidden,), 'cm': (hidden,)}


def tau(w: Weights, x: Array, h: Array) -> Array:
    """Return c / (leak + sum of the conductances)."""
    return w['cm'] / (w['gleak'] + currents(synapses(w, 'sensory_'), x)[1]
                      + currents(synapses(w), h)[1])


KIND = CellKind(step, shapes, positive=('gleak', 'cm'), tau=tau)
