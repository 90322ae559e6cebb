# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Simulated streams, cut into stretches for truncated backpropagation."""

from dataclasses import replace
from typing import Any, Dict, List, NamedTuple

import numpy as np
import torch

from liquid_ros.training.config import TrainConfig
from liquid_ros.training.synthetic import in_metres, simulate


class Chunk(NamedTuple):
    """Messages of one stretch: dt_s (N, T), truth and measured (N, T, A) float64, fresh rows."""

    dt_s: torch.Tensor
    truth: torch.Tensor
    measured: torch.Tensor
    fresh: torch.Tensor


def begin_anew(state: Dict[str, torch.Tensor], begun: Dict[str, torch.Tensor],
               fresh: torch.Tensor) -> Dict[str, torch.Tensor]:
    """Return the state with begun in its fresh rows (N,) bool; begun where there is none yet."""
    return {name: torch.where(fresh.reshape([-1] + [1] * (array.dim() - 1)), begun[name], array)
            for name, array in state.items()} or begun


class Feed:
    """Simulated streams in stretches; shares of the batch begin anew at different times."""

    def __init__(self, config: TrainConfig, rank: int = 0, size: int = 1) -> None:
        """
        Begin every share.

        rank, size: of so many processes this one. Together they have the streams of a single one
        with size times the batch and the shares: each draws all of them, and gives its own.
        """
        self.own = range(rank * config.shares, (rank + 1) * config.shares)
        config = replace(config, batch=size * config.batch, shares=size * config.shares)
        self.config = config
        self.rng = np.random.default_rng(config.seed)
        self.parts: List[Any] = [None] * config.shares
        self.left = [0] * config.shares

    def next(self, rough: float = 0.0) -> Chunk:
        """Return the next stretch of every stream; rough: as simulate() has it, of new ones."""
        c = self.config
        pieces = []
        for i in range(c.shares):
            fresh = self.left[i] == 0
            if fresh:
                self.left[i] = int(self.rng.choice(c.stretches))
                part = simulate(self.rng, c.batch // c.shares, self.left[i] * c.stretch + 1,
                                c.axes, rough=rough)
                self.parts[i] = in_metres(part)[0] if c.smoother == 'liquid_direct' else part
            part = self.parts[i]
            at = part.dt_s.shape[1] - self.left[i] * c.stretch
            cut = slice(at - 1, at + c.stretch)
            self.left[i] -= 1
            if i in self.own:
                pieces.append((part.dt_s[:, cut], part.truth[:, cut], part.measured[:, cut],
                               np.full(len(part.dt_s), fresh)))
        dt, truth, measured, fresh_rows = (np.concatenate(x) for x in zip(*pieces))
        return Chunk(torch.from_numpy(dt).float(), torch.from_numpy(truth),
                     torch.from_numpy(measured), torch.from_numpy(fresh_rows))

    def state(self) -> Dict[str, Any]:
        """Return what a later run needs to go on with the same streams."""
        return {'rng': self.rng.bit_generator.state, 'parts': self.parts, 'left': self.left}

    def restore(self, state: Dict[str, Any]) -> None:
        """Go on from what state() returned."""
        self.rng.bit_generator.state = state['rng']
        self.parts, self.left = state['parts'], state['left']
