# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Where each cell's weights start, in coordinates that train well.

What must be above zero is trained through a softplus, what a wiring leaves out is not there to be
trained. Time constants are spread alike in every cell that has them.
"""

import math
from typing import Any, Callable, Dict, Mapping, Tuple

import torch

from liquid_ros.smoothers.cells import CELLS
from liquid_ros.training import circuits
from liquid_ros.training.circuits import Sparse, Start
from liquid_ros.training.config import TrainConfig

LINEAR = 20.0  # above it softplus is the identity to float64 rounding
POSITIVE = ('alpha', 'cm', 'gleak', 'w', 'sensory_w')
RAW = '_raw'  # behind the name of what goes through a softplus

Spread = Tuple[float, float]  # log10 of the shortest and the longest time constant


def register(module: Any, config: TrainConfig, features: int, spread: Spread) -> None:
    """Give the module the parameters of its cell; given() makes weights of them."""
    module.places = {}
    for name, value in STARTS[config.cell](config, features, spread).items():
        positive = name in POSITIVE
        if isinstance(value, Sparse):
            module.places[name] = value
            positive, value = positive or value.sign is not None or value.positive, value.values
        module.register_parameter(name + RAW * positive, torch.nn.Parameter(
            inverse_softplus(value).float() if positive else value))


def given(module: Any, cell: str) -> Dict[str, torch.Tensor]:
    """Return the module's parameters as the cell takes them, all others as they are."""
    found = {}
    module.places = {name: place.on(module.bias_out.device)
                     for name, place in module.places.items()}
    for name, value in module.named_parameters():
        if name.endswith(RAW):
            name, value = name[:-len(RAW)], torch.nn.functional.softplus(value)
        place = module.places.get(name)
        found[name] = value if place is None else place.whole(value)
    if 'alpha' in found and cell != 'mixed':  # the recurrent weights act on alpha h
        found['weight_rec'] = found['weight_rec'] * found['alpha']
    return found


def take(module: Any, cell: str, weights: Mapping[str, torch.Tensor]) -> None:
    """Give the module's parameters the values that given() makes these weights of."""
    found = dict(weights)
    if 'alpha' in found and cell != 'mixed':
        found['weight_rec'] = found['weight_rec'] / found['alpha']
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            plain = name[:-len(RAW)] if name.endswith(RAW) else name
            place = module.places.get(plain)
            value = found[plain] if place is None else place.part(found[plain])
            parameter.copy_(inverse_softplus(value) if plain != name else value)


def inverse_softplus(value: torch.Tensor) -> torch.Tensor:
    """Return what softplus makes the value of, value > 0."""
    return torch.where(value > LINEAR, value, torch.log(torch.expm1(value.clamp(max=LINEAR))))


def time_constants(count: int, spread: Spread) -> torch.Tensor:
    """Return (count,), evenly spread by their logarithms."""
    return torch.logspace(*spread, count, dtype=torch.float64)


def _normal(shape: Tuple[int, ...], size: float = 1.0) -> torch.Tensor:
    """Return a matrix that gives inputs of unit size outputs of this size."""
    return size * torch.randn(shape) / math.sqrt(shape[-1])


def _liquid(config: TrainConfig, features: int, spread: Spread) -> Start:
    shapes = CELLS[config.cell].shapes(config.hidden, features)
    size = {'weight_in': 1.0, 'weight_rec': 0.5, 'weight_alpha': 0.1, 'lstm_in': 1.0,
            'lstm_rec': 0.5}
    start: Start = ({'alpha': 1.0 / time_constants(config.hidden, spread)}
                    if 'alpha' in shapes else {})
    return {**start, **{name: _normal(shape, size[name]) for name, shape in shapes.items()
                        if name != 'alpha'}}


def _euler(config: TrainConfig, features: int, spread: Spread) -> Start:
    # a step of Euler's is stable below dt alpha = 2: no unit begins faster than a message
    return _liquid(config, features, (max(spread[0], 0.0), spread[1]))


def _ltc(config: TrainConfig, features: int, spread: Spread) -> Start:
    return circuits.dense(config.hidden, features, time_constants(config.hidden, spread))


def _ncp(config: TrainConfig, features: int, spread: Spread) -> Start:
    return circuits.sparse(config, features, time_constants(config.hidden, spread))


def _matrices(config: TrainConfig, features: int) -> Dict[str, torch.Tensor]:
    shapes = CELLS[config.cell].shapes(config.hidden, features)
    return {name: torch.zeros(shape) if len(shape) == 1 else _normal(shape)
            for name, shape in shapes.items()}


def _cfc(config: TrainConfig, features: int, spread: Spread) -> Start:
    return {**_matrices(config, features)}


def _ncp_cfc(config: TrainConfig, features: int, spread: Spread) -> Start:
    return circuits.wired(_matrices(config, features), config, features)


def _transformer(config: TrainConfig, features: int, spread: Spread) -> Start:
    # what a block adds to its input begins half as large
    return {name: 0.5 * value if name.startswith(('value', 'mlp_out')) else value
            for name, value in _matrices(config, features).items()}


STARTS: Dict[str, Callable[[TrainConfig, int, Spread], Start]] = {
    'liquid': _liquid, 'liquid_euler': _euler, 'liquid_euler_held': _liquid,
    'liquid_input': _liquid, 'ltc': _ltc, 'cfc': _cfc, 'ncp': _ncp, 'ncp_cfc': _ncp_cfc,
    'mixed': _liquid, 'gru': _liquid, 'transformer': _transformer, 'static': _liquid,
}
