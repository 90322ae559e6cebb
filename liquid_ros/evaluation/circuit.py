# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is wired to what in a smoother's cell: features, neurons by layer, the words they set."""

from typing import Callable, Dict, List, NamedTuple, Tuple

import numpy as np

from liquid_ros.errors import InputError
from liquid_ros.smoothers.bank import MEMORIES, MOVING
from liquid_ros.smoothers.cells import cfc, wiring
from liquid_ros.smoothers.liquid import Liquid
from liquid_ros.smoothers.sight import FEATURES, SHOWN

Weights = Dict[str, np.ndarray]
SENSORY, MOTOR, WORDS = 'sensory', 'motor', 'words'
WORD_NAMES = ('R', 'q velocity', 'q acceleration', 'friction', 'fade', 'gate', 'inflation',
              'lasting', 'rate', 'doubt')


class Layer(NamedTuple):
    """Neurons side by side: their names, and for neurons of the cell their places in its state."""

    name: str
    labels: Tuple[str, ...]
    places: Tuple[int, ...] = ()


class Synapses(NamedTuple):
    """From one layer to another (or itself), weights (S, T): above 0 excites, 0 is none."""

    source: str
    target: str
    weights: np.ndarray


class Circuit(NamedTuple):
    """Layers from features to words, the synapses between them, and the cell's name."""

    cell: str
    layers: Tuple[Layer, ...]
    synapses: Tuple[Synapses, ...]

    def neurons(self) -> List[Tuple[str, str]]:
        """Return (layer, label) of the cell's neurons as its state has them."""
        found = {place: (layer.name, label) for layer in self.layers
                 for place, label in zip(layer.places, layer.labels)}
        return [found[place] for place in sorted(found)]


def features() -> Tuple[str, ...]:
    """Return the names of what the cell sees, as sight() has them."""
    older, newest = MEMORIES[1:], MEMORIES[:1]
    shown = range(0, MOVING, MOVING // SHOWN)

    def of_bank(memories: Tuple[float, ...]) -> List[str]:
        words = ('index', 'its doubt', 'log R', 'walk behind', 'its step', 'its log R')
        names = [f'{word} {m:g}' for word in words for m in memories]
        return names + [f'filter {k} behind {m:g}' for m in memories for k in shown]
    now = ['surprise', 'times the last', 'times the one before', 'gain', 'R in use', 'restless']
    return (
        *of_bank(older), 'own index', 'square 400', 'product 400', 'square 400 (group)',
        'product 400 (group)', 'one', 'young 10', 'young 100', 'size in the group',
        *of_bank(newest), 'square 30', 'product 30', 'square 30 (group)', 'product 30 (group)',
        *now, *(f'{name} (group)' for name in now), 'log pace', 'surprise of all', 'rejects')


def circuit_of(smoother: Liquid) -> Circuit:
    """
    Return the circuit of a liquid smoother.

    Errors: InputError for a cell that has no neurons to be drawn.
    """
    name, w = smoother.config.cell, smoother.weights
    if name not in READERS:
        raise InputError(f'got a checkpoint of cell {name!r}, expected one of neurons: '
                         f'{", ".join(READERS)}')
    layers, synapses = READERS[name](w, smoother.config.hidden)
    read = len(w['weight_out'].T) - FEATURES
    last = layers[-1]
    return Circuit(name, (Layer(SENSORY, features()), *layers, Layer(WORDS, WORD_NAMES)),
                   (*synapses, Synapses(last.name, WORDS, w['weight_out'][:, :read].T)))


Read = Tuple[Tuple[Layer, ...], Tuple[Synapses, ...]]


def _layer(name: str, first: int, count: int) -> Layer:
    return Layer(name, tuple(f'{name[0]}{k}' for k in range(count)),
                 tuple(range(first, first + count)))


def _one_layer(weight_in: np.ndarray, weight_rec: np.ndarray) -> Read:
    """Return a layer of units that know one another; weights (H, F), (H, H)."""
    layer = _layer('units', 0, len(weight_in))
    return (layer,), (Synapses(SENSORY, 'units', weight_in.T),
                      Synapses('units', 'units', weight_rec.T))


def _rates(w: Weights, hidden: int) -> Read:
    # what acts is U / alpha on alpha h, of unit size
    return _one_layer(w['weight_in'], w['weight_rec'] / w['alpha'])


def _mixed(w: Weights, hidden: int) -> Read:
    return _one_layer(w['weight_in'], w['weight_rec'])


def _gru(w: Weights, hidden: int) -> Read:
    """Return the candidate's weights; the gates are not drawn."""
    return _one_layer(w['weight_in'][2 * hidden:], w['weight_rec'][2 * hidden:])


def _cfc(w: Weights, hidden: int) -> Read:
    """Return the way through the backbone to the mean of both heads, as if it were linear."""
    way = 0.5 * (w['ff1'] + w['ff2']) @ w['backbone']
    return _one_layer(way[:, :FEATURES], way[:, FEATURES:])


def _conductances(w: Weights) -> Tuple[np.ndarray, np.ndarray]:
    """Return w with the sign of its pull, from features and from units; (S, H)."""
    signed = [w[kind + 'w'] * np.sign(w[kind + 'erev']) * np.sign(w[kind + 'sigma'])
              for kind in ('sensory_', '')]
    return signed[0], signed[1]


def _ltc(w: Weights, hidden: int) -> Read:
    sensory, own = _conductances(w)
    return _one_layer(sensory.T, own.T)


def _ncp(w: Weights, hidden: int) -> Read:
    count = wiring.layers(hidden)
    motor = _layer(MOTOR, 0, count.motor)
    command = _layer('command', count.motor, count.command)
    inter = _layer('inter', count.motor + count.command, count.inter)
    sensory, own = _conductances(w)

    def between(a: Layer, b: Layer) -> Synapses:
        return Synapses(a.name, b.name, own[np.ix_(a.places, b.places)])
    return (inter, command, motor), (
        Synapses(SENSORY, 'inter', sensory[:, inter.places]), between(inter, command),
        between(command, command), between(command, motor))


def _ncp_cfc(w: Weights, hidden: int) -> Read:
    first, before, size = 0, SENSORY, FEATURES
    layers, synapses = [], []
    for k, (name, count) in enumerate(wiring.layers(hidden)._asdict().items()):
        way = 0.5 * (w[f'{cfc.HEADS[0]}_{k}'] + w[f'{cfc.HEADS[1]}_{k}']).T
        layers.append(_layer(name, first, count))
        synapses += [Synapses(before, name, way[:size]), Synapses(name, name, way[size:])]
        first, before, size = first + count, name, count
    return tuple(layers), tuple(synapses)


READERS: Dict[str, Callable[[Weights, int], Read]] = {
    'liquid': _rates, 'liquid_euler': _rates, 'liquid_euler_held': _rates, 'liquid_input': _rates,
    'ltc': _ltc, 'cfc': _cfc, 'ncp': _ncp, 'ncp_cfc': _ncp_cfc, 'mixed': _mixed, 'gru': _gru,
}
