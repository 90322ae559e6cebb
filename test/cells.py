# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Smoothers with any cell, as a training run begins with them, but for what the cell says."""

import numpy as np
import pytest

from liquid_ros.backend import NumpyBackend
from liquid_ros.smoothers.cells import CELLS
from liquid_ros.smoothers.liquid import INFLATION, Liquid
from liquid_ros.smoothers.sight import FEATURES
from liquid_ros.training.config import TrainConfig

HIDDEN = 7


def needs(cell):
    """Skip the test where what the cell's training needs is not installed."""
    pytest.importorskip('torch', reason='training needs torch')
    if CELLS[cell].library:
        pytest.importorskip('ncps', reason='the ncps library draws its wiring')


def weights(cell, seed=1, **settings):
    """Return the weights of a run's start as float64, with readouts that say something."""
    needs(cell)
    import torch

    from liquid_ros.training.modules import LiquidModule
    torch.manual_seed(seed)
    module = LiquidModule(TrainConfig(cell=cell, hidden=HIDDEN, seed=seed, **settings))
    found = {name: w.detach().double().numpy() for name, w in module.weights().items()}
    rng = np.random.default_rng(seed)
    found['weight_out'][5:] = 0.02 * rng.standard_normal(found['weight_out'][5:].shape)
    found['weight_out'][INFLATION] *= 0.1
    return found


def smoother(cell, backend=None, **settings):
    """Return the liquid smoother with this cell."""
    needs(cell)
    from liquid_ros.training.modules import CONFIGS
    backend = backend or NumpyBackend()
    shape = CONFIGS['liquid'](TrainConfig(cell=cell, hidden=HIDDEN, **settings))
    return Liquid(shape, {n: backend.asarray(w) for n, w in weights(cell, **settings).items()})


def problem(cell, batch=5, seed=0):
    """Return weights, features x (B, 3, F), a state h that was reached, and a pace (B, 1, 1)."""
    w = weights(cell)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, 3, FEATURES))
    h = np.zeros((batch, 3, CELLS[cell].state(HIDDEN)))
    for _ in range(3):
        h, _ = CELLS[cell].step(w, rng.standard_normal(x.shape), h, np.ones((batch, 1, 1)))
    return w, x, h, np.exp(rng.standard_normal((batch, 1, 1)))


