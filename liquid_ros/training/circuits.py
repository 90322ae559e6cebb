# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Where LTC and the circuit policies start; the wiring is drawn by the ncps library.

A wiring is a matter of the configuration: its seed is the run's. Dale's principle, which the
library does not enforce, makes of a source's reversal potentials one sign times a softplus, and
keeps sigma above zero: an active source then always pulls the same way.
"""

from typing import Any, Dict, NamedTuple, Optional, Tuple, Union

import numpy as np
import torch

from liquid_ros.errors import ParameterError
from liquid_ros.smoothers.cells.wiring import layers, motors
from liquid_ros.training.config import TrainConfig

SPARSITY = 0.5  # AutoNCP's own
LEAK = 0.5


class Sparse(NamedTuple):
    """
    A matrix of which only some places are trained, values (N,) at rows, columns (N,).

    sign: (N,) of the values, which are positive then; positive: they are, whatever their sign.
    """

    values: torch.Tensor
    at: Tuple[torch.Tensor, torch.Tensor]
    shape: Tuple[int, int]
    sign: Optional[torch.Tensor] = None
    positive: bool = False

    def whole(self, values: torch.Tensor) -> torch.Tensor:
        """Return the matrix with these values, 0 elsewhere."""
        signed = values if self.sign is None else values * self.sign
        return values.new_zeros(self.shape).index_put(self.at, signed)

    def on(self, device: torch.device) -> 'Sparse':
        """Return it with all that whole() needs on a device."""
        rows, columns = (part.to(device) for part in self.at)
        return self._replace(at=(rows, columns),
                             sign=None if self.sign is None else self.sign.to(device))

    def part(self, whole: torch.Tensor) -> torch.Tensor:
        """Return the values that whole() makes this matrix of."""
        here = self.on(whole.device)
        values = whole[here.at]
        return values if here.sign is None else values * here.sign


Start = Dict[str, Union[torch.Tensor, Sparse]]


def wiring(config: TrainConfig, features: int) -> Any:
    """
    Return the built ncps.wirings.AutoNCP of a configuration.

    Errors: ParameterError without the ncps library.
    """
    try:
        from ncps.wirings import AutoNCP
    except ImportError as error:
        raise ParameterError(f'got cell: {config.cell!r}, whose wiring the ncps library draws: '
                             "pip install 'liquid_ros[family]'") from error
    found = AutoNCP(config.hidden, motors(config.hidden), SPARSITY, seed=config.seed)
    found.build(features)
    return found


def dense(units: int, features: int, tau: torch.Tensor) -> Start:
    """Return where LTC starts; two of three synapses excite, as in the library."""
    start: Start = {}
    for kind, sources in (('sensory_', features), ('', units)):
        shape = (sources, units)
        for name, value in _synapses(kind, torch.full(shape, 1.0 / sources)).items():
            start[kind + name] = value
        start[kind + 'erev'] = torch.where(torch.rand(shape) < 2.0 / 3.0, 1.0, -1.0)
    return {**start, **_membranes(tau)}


def sparse(config: TrainConfig, features: int, tau: torch.Tensor) -> Start:
    """Return where a circuit policy of LTC neurons starts."""
    drawn = wiring(config, features)
    start: Start = {}
    for kind, matrix in (('sensory_', drawn.sensory_adjacency_matrix),
                         ('', drawn.adjacency_matrix)):
        at = np.nonzero(matrix)
        fan_in = np.abs(matrix).sum(0)[at[1]]
        places = tuple(map(torch.from_numpy, at)), matrix.shape
        for name, value in _synapses(kind, torch.from_numpy(1.0 / fan_in).float()).items():
            start[kind + name] = Sparse(value, *places, positive=config.dale and name == 'sigma')
        sign = polarity(matrix)[at[0]] if config.dale else matrix[at]
        erev = torch.from_numpy(sign).float()
        start[kind + 'erev'] = (Sparse(torch.ones(len(sign)), *places, sign=erev) if config.dale
                                else Sparse(erev, *places))
    return {**start, **_membranes(tau)}


def polarity(matrix: np.ndarray) -> np.ndarray:
    """Return each source's one sign (S,): that of most of its synapses, + where they are even."""
    return np.where(matrix.sum(1) >= 0, 1, -1)


def wired(start: Dict[str, torch.Tensor], config: TrainConfig, features: int) -> Start:
    """Return where a circuit policy of CfC neurons starts, from its heads (out, in) whole."""
    drawn = wiring(config, features)
    found: Start = dict(start)
    before = None
    for layer, size in enumerate(layers(config.hidden)):
        neurons = drawn.get_neurons_of_layer(layer)
        given = (drawn.sensory_adjacency_matrix[:, neurons] if before is None
                 else drawn.adjacency_matrix[np.ix_(before, neurons)])
        # within a layer all are connected, as in ncps.torch.WiredCfCCell
        mask = np.concatenate([np.abs(given), np.ones((size, size), int)]).T
        rows, columns = map(torch.from_numpy, np.nonzero(mask))
        for name in (f'ff1_{layer}', f'ff2_{layer}'):
            found[name] = Sparse(start[name][rows, columns], (rows, columns), mask.shape)
        before = neurons
    return found


def _synapses(kind: str, share: torch.Tensor) -> Dict[str, torch.Tensor]:
    """Return w, mu, sigma in the library's ranges, w so that those of a unit sum to about one."""
    shape = share.shape
    mu, sigma = ((-1.0, 1.0), (1.0, 3.0)) if kind else ((0.3, 0.8), (3.0, 8.0))  # of features
    return {'w': share * (0.002 + 1.998 * torch.rand(shape)),
            'mu': mu[0] + (mu[1] - mu[0]) * torch.rand(shape),
            'sigma': sigma[0] + (sigma[1] - sigma[0]) * torch.rand(shape)}


def _membranes(tau: torch.Tensor) -> Dict[str, torch.Tensor]:
    """Return leaks and capacities that give about these time constants with half of w open."""
    return {'gleak': torch.full(tau.shape, LEAK), 'vleak': 0.4 * torch.rand(tau.shape) - 0.2,
            'cm': tau * (LEAK + 1.0)}
