# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The trainable weights of each learned smoother, in coordinates that train well."""

import math
from typing import Any, Callable, Dict, Mapping

import numpy as np
import torch

from liquid_ros.arrays import group_average, turning
from liquid_ros.errors import CheckpointError
from liquid_ros.smoothers import bank, liquid, sight
from liquid_ros.smoothers.cells import CELLS
from liquid_ros.smoothers.direct import DirectConfig
from liquid_ros.smoothers.liquid import INFLATION, LEVELS, LiquidConfig, OUTPUTS
from liquid_ros.smoothers.sight import FEATURES, SLOW
from liquid_ros.training import coordinates
from liquid_ros.training.config import TrainConfig

BIAS = (0.0, 0.0, -14.0, -6.0, -3.0, 2.2, -6.0, 0.0, -2.5, -5.0)  # of a usual filter
# Bounds of the outputs that take acceleration (q_a, fade), then velocity (friction), away.
FEWER_STATES = {2: {2: -43.9, 4: 2.0}, 1: {2: -43.9, 4: 2.0, 3: 8.0}}


class LiquidModule(torch.nn.Module):
    """The trainable weights of the smoother, in coordinates that train well."""

    def __init__(self, config: TrainConfig) -> None:
        """Spread the time constants from a tenth of a message, a static unit, to a hundred."""
        super().__init__()
        hidden = config.hidden
        self.cell = config.cell
        coordinates.register(self, config, FEATURES, (-1.0, 2.0))
        seen = CELLS[config.cell].read(hidden) + FEATURES
        self.weight_out = torch.nn.Parameter(torch.zeros(OUTPUTS, seen))
        self.weight_slow = torch.nn.Parameter(torch.zeros(LEVELS, SLOW))
        self.bias_out = torch.nn.Parameter(torch.tensor(BIAS))
        self.bias_turn = torch.nn.Parameter(torch.zeros(LEVELS))
        with torch.no_grad():
            # the cube of nothing has no slope
            self.weight_out[:LEVELS].normal_(0.0, 0.5 / math.sqrt(seen))
            # to begin with R and q are those of the bank: log q = 2 log index + log R
            self.weight_slow[:2, sight.NOISE_AT] = 1.0 / sight.LEVEL_SHARE
            self.weight_slow[1, sight.INDEX_AT] = 2.0 / sight.INDEX_SHARE
            self.bias_out[1] = 2.0 * sight.INDEX_MIDDLE
        lower, upper = list(liquid.LOWER), list(liquid.UPPER)
        for output, value in FEWER_STATES.get(config.states, {}).items():
            lower[output], upper[output] = value - 0.1, value
        self.constants = {'lower': torch.tensor(lower), 'upper': torch.tensor(upper),
                          'bank': torch.from_numpy(bank.tables()).float(),
                          'group': torch.from_numpy(group_average(liquid.MAX_AXES)).float(),
                          'turning': torch.from_numpy(turning(liquid.MAX_AXES)).float()}

    def begin_with(self, weights: Mapping[str, np.ndarray]) -> None:
        """
        Take over weights as the smoother has them, what is not learned among them.

        Errors: CheckpointError where this wiring, which is the seed's, cannot have them.
        """
        given = {name: torch.tensor(np.asarray(array), dtype=torch.float64)
                 for name, array in weights.items()}
        self.constants.update((name, given[name].float()) for name in self.constants
                              if name in given)
        coordinates.take(self, self.cell, given)
        for name, value in coordinates.given(self, self.cell).items():
            if not torch.allclose(value.double().cpu(), given[name], rtol=1e-4, atol=1e-5):
                raise CheckpointError(f'got {name} of another wiring; a wiring is drawn by the '
                                      'seed: set that of the run that made these weights')

    def forward(self, steady: bool = False) -> Dict[str, torch.Tensor]:
        """Return weights(): by this name DistributedDataParallel wants it."""
        return self.weights(steady)

    def weights(self, steady: bool = False) -> Dict[str, torch.Tensor]:
        """
        Return what the smoother takes; the recurrent weights act on alpha h, of unit size.

        steady: P may not be inflated.
        """
        device = self.bias_out.device
        self.constants = {name: array.to(device) for name, array in self.constants.items()}
        given = {**coordinates.given(self, self.cell), **self.constants}
        if steady:
            given['upper'] = given['upper'].clone()
            given['upper'][INFLATION] = given['lower'][INFLATION] + 0.1
        return given


class DirectModule(torch.nn.Module):
    """The weights of the plain readout."""

    def __init__(self, config: TrainConfig) -> None:
        """Spread the time constants from 10 ms to 10 s."""
        super().__init__()
        coordinates.register(self, config, 4, (-2.0, 1.0))
        self.weight_out = torch.nn.Parameter(
            torch.randn(3, config.hidden) / math.sqrt(config.hidden))
        self.bias_out = torch.nn.Parameter(torch.zeros(3))

    def forward(self, steady: bool = False) -> Dict[str, torch.Tensor]:
        """Return weights(): by this name DistributedDataParallel wants it."""
        return self.weights(steady)

    def weights(self, steady: bool = False) -> Dict[str, torch.Tensor]:
        """Return what the smoother takes; there is nothing to inflate."""
        return coordinates.given(self, 'liquid')


# name of the smoother -> its module and its configuration
MODULES: Dict[str, Callable[[TrainConfig], Any]] = {
    'liquid': LiquidModule, 'liquid_direct': DirectModule}
CONFIGS: Dict[str, Callable[[TrainConfig], Any]] = {
    'liquid': lambda c: LiquidConfig(c.cell, c.hidden, activation=c.activation),
    'liquid_direct': lambda c: DirectConfig(hidden=c.hidden)}
