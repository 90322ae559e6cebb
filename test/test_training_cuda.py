# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""On a GPU: an iteration as one CUDA graph is what it is launch by launch, stops and goes on."""

from dataclasses import replace

import numpy as np
import pytest

from liquid_ros.backend import NumpyBackend
from liquid_ros.checkpoint import build, load, SHIPPED
from liquid_ros.evaluation import scenario
from liquid_ros.training.config import TrainConfig
from liquid_ros.training.loader import Loaded, Loader
from liquid_ros.training.tracks import prepare, Track
from liquid_ros.training.tune_config import TuneConfig

torch = pytest.importorskip('torch', reason='training needs torch')
if not torch.cuda.is_available():
    pytest.skip('no CUDA device', allow_module_level=True)

from liquid_ros.training.fit import Trainer  # noqa: E402
from liquid_ros.training.tune import Tuner  # noqa: E402
from liquid_ros.training.world import World  # noqa: E402

GPU = World(0, 1, 'cuda:0')
# all iterations are steady: each part of the run is captured once
SMALL = TrainConfig(hidden=8, batch=8, shares=2, stretch=8, stretches=(1, 3), iterations=3,
                    steady=1.0, turning=2, calibrate=2, compile=False)
TUNED = TuneConfig(iterations=3, rows=4, batch=4, shares=2, stretch=8, stretches=(1, 3), calm=2,
                   horizons=(1, 2), trainable='all', learning_rate=0.01)


def eager(trainer):
    """Return the run, launch by launch."""
    trainer._learn.capturing = False
    return trainer


def tuner(stated=False):
    """Return a run on a made-up recording with truth."""
    made = scenario.made_up(8.0)
    variances = np.full((len(made.rows), 6), 1e-4) if stated else None
    track = Track('x', np.array(made.stamps_ns), made.rows, made.truth, variances)
    source = Loader([prepare([[track]], build(), TUNED.horizons, TUNED.held_out, TUNED.stretch)],
                    Loaded)
    shipped = load('liquid', SHIPPED, NumpyBackend()).weights
    return Tuner(TUNED, {name: np.asarray(array, np.float32) for name, array in shipped.items()},
                 source, source.some(1), GPU)


def same(one, two, count, rtol=1e-4):
    """Advance both so often and expect the same losses and weights."""
    for _ in range(count):
        losses = [trainer.advance()['loss'] for trainer in (one, two)]
        np.testing.assert_allclose(losses[1], losses[0], rtol=rtol)
    for name, array in one.weights().items():
        np.testing.assert_allclose(two.weights()[name], array, rtol=rtol, atol=1e-6)


def test_captured_iterations_are_eager_ones_in_every_part():
    one, two = eager(Trainer(SMALL, GPU)), Trainer(SMALL, GPU)
    same(one, two, 3)
    assert two._learn.capturing and two._learn.spent_s > 0.0
    same(one, two, 4)
    assert two._learn.capturing


def test_a_captured_run_that_stops_goes_on_as_if_it_had_not(tmp_path):
    whole, part, rest = (Trainer(replace(SMALL, turning=0, calibrate=0, iterations=6), GPU)
                         for _ in range(3))
    for _ in range(3):
        whole.advance()
        part.advance()
    part.save(str(tmp_path / 'x.pt'))
    rest.load(str(tmp_path / 'x.pt'))
    same(whole, rest, 3, 1e-5)
    assert rest._learn.capturing and rest._learn.spent_s > 0.0


def test_streams_that_went_wrong_begin_anew():
    trainer = Trainer(SMALL, GPU)
    trainer.advance()
    trainer._carried['state']['rows'].fill_(np.nan)
    trainer._feed.left = [max(left, 1) for left in trainer._feed.left]
    assert not np.isfinite(trainer.advance()['loss'])
    assert np.isfinite(trainer.advance()['loss']) and trainer._learn.capturing


@pytest.mark.parametrize('stated', [False, True])
def test_captured_iterations_on_recordings_are_eager_ones(stated):
    one, two = eager(tuner(stated)), tuner(stated)
    same(one, two, 3)
    assert two._learn.capturing and two._learn.spent_s > 0.0


def test_the_first_iteration_is_that_of_the_cpu():
    losses = [Trainer(SMALL, world).advance()['loss'] for world in (World(), GPU)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-2)


def test_the_compiled_step_is_captured_too():
    """This one takes a minute: the kernels are made first."""
    pytest.importorskip('triton', reason='torch.compile needs triton')
    config = replace(SMALL, turning=0, calibrate=0)
    one, two = eager(Trainer(config, GPU)), Trainer(replace(config, compile=True), GPU)
    for _ in range(3):
        losses = [trainer.advance()['loss'] for trainer in (one, two)]
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-2)
    for name, array in one.weights().items():
        # Adam makes a step of the rounding of a gradient of nothing
        assert (np.abs(two.weights()[name] - array) < 1e-4 + 1e-3 * np.abs(array)).mean() > 0.95
    assert two._learn.capturing and two._learn.spent_s > 0.0
