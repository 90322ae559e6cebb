# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The cells that can set the gains: a new one is a function, its shapes and a registry line.

A cell takes features x (B, A, F), its state h (B, A, H) and the pace dt / mean dt (B, 1, 1), and
gives the next state and what is read out of it, both (B, A, H).
"""

from typing import Callable, Dict, NamedTuple, Tuple

from liquid_ros.arrays import Array, namespace
from liquid_ros.smoothers import cell

Shapes = Dict[str, Tuple[int, ...]]
Step = Callable[[Dict[str, Array], Array, Array, Array], Tuple[Array, Array]]


class CellKind(NamedTuple):
    """A cell's step and, for H units and F features, the shapes of its weights."""

    step: Step
    shapes: Callable[[int, int], Shapes]


def liquid(w: Dict[str, Array], x: Array, h: Array, pace: Array) -> Tuple[Array, Array]:
    """Advance the liquid cell exactly for a frozen drive; alpha h is of unit size."""
    h = cell.exponential(x, h, w['weight_in'], w['weight_rec'], w['alpha'], pace)
    return h, w['alpha'] * h


def liquid_euler(w: Dict[str, Array], x: Array, h: Array, pace: Array) -> Tuple[Array, Array]:
    """Advance the liquid cell by Euler's step, no further than it is monotone: dt alpha <= 1."""
    xp = namespace(x)
    h = cell.euler(x, h, w['weight_in'], w['weight_rec'], w['alpha'],
                   xp.minimum(pace + 0.0 * w['alpha'], 1.0 / w['alpha']))
    return h, w['alpha'] * h


def liquid_input(w: Dict[str, Array], x: Array, h: Array, pace: Array) -> Tuple[Array, Array]:
    """Advance the liquid cell with rates that depend on the input: alpha exp(2 tanh(x A^T))."""
    rate = w['alpha'] * namespace(x).exp(2.0 * namespace(x).tanh(x @ w['weight_alpha'].T))
    h = cell.exponential(x, h, w['weight_in'], w['weight_rec'], rate, pace)
    return h, w['alpha'] * h


def gru(w: Dict[str, Array], x: Array, h: Array, pace: Array) -> Tuple[Array, Array]:
    """Advance a gated recurrent unit (Cho et al. 2014), which knows no dt."""
    xp = namespace(x)
    size = h.shape[-1]
    given, own = x @ w['weight_in'].T, h @ w['weight_rec'].T
    gates = 0.5 + 0.5 * xp.tanh(0.5 * (given[..., :2 * size] + own[..., :2 * size]))
    new = xp.tanh(given[..., 2 * size:] + gates[..., :size] * own[..., 2 * size:])
    h = new + gates[..., size:] * (h - new)
    return h, h


def static(w: Dict[str, Array], x: Array, h: Array, pace: Array) -> Tuple[Array, Array]:
    """Keep no memory: one layer of tanh units."""
    h = namespace(x).tanh(x @ w['weight_in'].T)
    return h, h


def _liquid_shapes(hidden: int, features: int) -> Shapes:
    return {'weight_in': (hidden, features), 'weight_rec': (hidden, hidden), 'alpha': (hidden,)}


CELLS: Dict[str, CellKind] = {
    'liquid': CellKind(liquid, _liquid_shapes),
    'liquid_euler': CellKind(liquid_euler, _liquid_shapes),
    'liquid_input': CellKind(liquid_input, lambda h, f: {
        **_liquid_shapes(h, f), 'weight_alpha': (h, f)}),
    'gru': CellKind(gru, lambda h, f: {'weight_in': (3 * h, f), 'weight_rec': (3 * h, h)}),
    'static': CellKind(static, lambda h, f: {'weight_in': (h, f)}),
}
