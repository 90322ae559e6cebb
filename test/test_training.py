# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Simulated streams are what they say; a run learns, stops, goes on and repeats itself."""

import json
from pathlib import Path

from cells import needs
from commands import command, process
import numpy as np
from problems import run, white_acceleration
import pytest

from liquid_ros import safetensors
from liquid_ros.__main__ import main
from liquid_ros.backend import NumpyBackend, TorchBackend
from liquid_ros.checkpoint import fingerprint, load, SHIPPED
from liquid_ros.errors import CheckpointError, ParameterError
from liquid_ros.smoothers.cells import CELLS
from liquid_ros.smoothers.liquid import INFLATION, Liquid, OUTPUTS, STATED
from liquid_ros.smoothers.sight import FEATURES
from liquid_ros.training.config import TrainConfig
from liquid_ros.training.motions import chain, Clock, MOTIONS, rough, surges
from liquid_ros.training.sensors import first_order, KINDS, noise
from liquid_ros.training.stages import stages
from liquid_ros.training.synthetic import simulate

SMALL = {'hidden': 6, 'batch': 8, 'shares': 2, 'stretch': 12, 'stretches': (1, 3),
         'iterations': 12, 'turning': 0, 'calibrate': 0, 'compile': False}


@pytest.mark.parametrize('motion', MOTIONS)
def test_every_motion_is_finite_and_seeded(motion):
    one, two = (simulate(np.random.default_rng(3), 20, 200, 6, motion=motion) for _ in range(2))
    for a, b in zip(one, two):
        np.testing.assert_array_equal(a, b)
    assert np.isfinite(one.truth).all() and np.isfinite(one.measured).all()
    assert (one.dt_s > 0).all() and one.truth.shape == (20, 200, 6)


def test_white_acceleration_has_the_stated_density():
    dt, q = np.full((20000, 3), 0.1), 2.0
    none, flat = np.zeros((20000, 1)), np.zeros((20000, 3, 3))
    p = chain(np.random.default_rng(0), Clock(dt, np.cumsum(dt, 1), dt[:, :1], 3), flat + q, flat,
              none, none, np.zeros((20000, 3)))
    # from rest the position's variance is q t^3 / 3
    np.testing.assert_allclose(p[:, 1:].var(axis=(0, 2)), q * np.array([0.1, 0.2])**3 / 3,
                               rtol=0.03)


def test_a_surge_is_over_within_messages_and_stays():
    dt = np.full((300, 400), 0.01)
    moves = surges(np.random.default_rng(4), Clock(dt, np.cumsum(dt, 1) - dt, dt[:, :1], 6))
    busy = (np.abs(np.diff(moves, axis=1)).max(2) > 0.0).sum(1)
    assert 0 < np.median(busy) < 20 and busy.max() < 8 * 8
    assert (np.abs(moves[:, -1]).max(1) > 1.0).mean() > 0.5


@pytest.mark.parametrize('kind', ['white', 'coloured', 'mixed'])
def test_noise_is_of_unit_size(kind):
    rng = np.random.default_rng(1)
    truth = np.zeros((600, 200, 3))
    error = noise(rng, truth, np.full(600, list(KINDS).index(kind)))
    assert 0.9 < np.median(np.sqrt((error**2).mean((1, 2)))) < 1.1


def test_first_order_noise_has_the_stated_memory():
    rng = np.random.default_rng(2)
    memory = np.full((50, 1, 1), 0.8)
    x = first_order(rng.standard_normal((50, 4000, 1)), memory)
    assert abs((x[:, 1:] * x[:, :-1]).mean() / (x**2).mean() - 0.8) < 0.01


def test_every_sensor_shows_up_and_outliers_are_rare():
    batch = simulate(np.random.default_rng(0), 400, 300)
    assert set(batch.sensor) == set(range(len(KINDS)))
    assert set(batch.motion) == set(range(len(MOTIONS)))
    gross = (np.abs(batch.measured - batch.truth) > 30).mean()
    assert 0.0005 < gross < 0.05


@pytest.mark.parametrize('wrong', [{'hidden': 0}, {'batch': 7, 'shares': 2}, {'axes': 4},
                                   {'learning_rate': 'fast'}, {'stretches': []}, {'sed': 1},
                                   {'compile': 1}, {'seed': 1.5}])
def test_a_wrong_setting_is_named(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))) as caught:
        TrainConfig.from_dict(wrong)
    assert '\n' not in str(caught.value)


@pytest.fixture(scope='module')
def whole_run():
    """Return the weights of a whole run."""
    pytest.importorskip('torch', reason='training needs torch')
    from liquid_ros.training.fit import Trainer
    trainer = Trainer(TrainConfig(**SMALL))
    for _ in range(12):
        trainer.advance()
    return trainer.weights()


def test_a_run_that_stops_goes_on_as_if_it_had_not(whole_run, tmp_path):
    from liquid_ros.training.fit import Trainer
    config = TrainConfig(**SMALL)
    part = Trainer(config)
    for _ in range(5):
        part.advance()
    part.save(str(tmp_path / 'x.pt'))
    rest = Trainer(config)
    rest.load(str(tmp_path / 'x.pt'))
    for _ in range(7):
        rest.advance()
    for name, array in whole_run.items():
        np.testing.assert_array_equal(rest.weights()[name], array)
    other = Trainer(TrainConfig(**{**SMALL, 'seed': 2}))
    with pytest.raises(CheckpointError, match='other settings'):
        other.load(str(tmp_path / 'x.pt'))


@pytest.mark.parametrize('stop', [12, pytest.param(15, marks=pytest.mark.long)])
def test_calibrating_fits_the_stated_variance_alone_and_goes_on_after_a_stop(
        whole_run, tmp_path, stop):
    from liquid_ros.training.fit import Trainer
    config = TrainConfig(**{**SMALL, 'calibrate': 6})
    whole, rest = Trainer(config), Trainer(config)
    for _ in range(stop):
        whole.advance()
    whole.save(str(tmp_path / 'x.pt'))
    rest.load(str(tmp_path / 'x.pt'))
    for _ in range(whole.total - stop):
        whole.advance()
        rest.advance()
    others = [i for i in range(OUTPUTS) if i not in STATED]
    for name, array in whole.weights().items():
        np.testing.assert_array_equal(rest.weights()[name], array)
        fitted = name in ('weight_out', 'bias_out')
        kept = others if fitted else slice(None)
        was = whole_run[name]
        np.testing.assert_allclose(array[kept], was[kept], rtol=1e-5, atol=1e-6)
        assert not fitted or (np.abs(array - was)[list(STATED)] > 1e-4).mean() > 0.9


def test_a_run_of_before_there_were_cells_to_choose_goes_on(tmp_path):
    torch = pytest.importorskip('torch', reason='training needs torch')
    from liquid_ros.training.fit import Trainer
    path = str(tmp_path / 'x.pt')
    begun = Trainer(TrainConfig(**SMALL))
    begun.advance()
    begun.save(path)
    saved = torch.load(path, weights_only=False)
    for name in ('activation', 'dale'):
        del saved['config'][name]
    torch.save(saved, path)
    rest = Trainer(TrainConfig(**SMALL))
    rest.load(path)
    begun.advance()
    rest.advance()
    for name, array in begun.weights().items():
        np.testing.assert_array_equal(rest.weights()[name], array)
    with pytest.raises(CheckpointError, match='other settings'):
        Trainer(TrainConfig(**SMALL, activation='relu')).load(path)


def test_a_short_run_learns():
    torch = pytest.importorskip('torch', reason='training needs torch')
    from liquid_ros.training.fit import Trainer
    torch.set_num_threads(1)
    trainer = Trainer(TrainConfig(**{**SMALL, 'batch': 32, 'hidden': 8, 'iterations': 20,
                                     'learning_rate': 1e-2}))
    batch = simulate(np.random.default_rng(99), 200, 150, motion='white_acceleration',
                     sensor='white')

    def log_mse():
        smoother = Liquid(trainer.shape, {
            n: w.astype(np.float64) for n, w in trainer.weights().items()})
        state, _ = smoother.init(batch.measured[:, 0])
        square = 0.0
        for k in range(1, 150):
            state, estimate = smoother.step(state, batch.measured[:, k], batch.dt_s[:, k:k + 1])
            square = square + ((estimate.rows - batch.truth[:, k])**2).mean(1)
        return np.log(square / 149).mean()
    before = log_mse()
    for _ in range(20):
        trainer.advance()
    assert log_mse() < before - 0.3


def test_before_training_it_is_the_bank_s_filter():
    pytest.importorskip('torch', reason='training needs torch')
    from liquid_ros.training.fit import Trainer
    trainer = Trainer(TrainConfig(**SMALL))
    smoother = Liquid(trainer.shape, {n: w.astype(float) for n, w in trainer.weights().items()})
    for index in (0.01, 0.3):  # of which the optimum leaves sqrt(2 index) and less of the noise
        truth, _, measured = white_acceleration(
            np.random.default_rng(5), 900, 8, 0.02, 1.0, index / 0.02**1.5, 0.0)
        got = run(smoother, measured, np.full((900, 8, 1), 0.02))
        assert np.mean((got.rows - truth)[101:]**2) < 1.3 * (2.0 * index)**0.5


def test_only_being_worse_than_the_messages_is_harm():
    torch = pytest.importorskip('torch', reason='training needs torch')
    from liquid_ros.training.objective import objective
    raw = torch.ones(2, 8, 3)
    for size, harmful in ((0.5, False), (2.0, True)):
        errors = (size * torch.ones(2, 8, 3)).requires_grad_()
        losses = [objective(TrainConfig(**SMALL, accel_weight=0.0, likelihood_weight=0.0,
                                        harm_weight=weight), errors, torch.ones(2, 8, 3), raw,
                            torch.zeros(2))[0].detach() for weight in (0.0, 1.0)]
        assert (float(losses[1] - losses[0]) > 1.0) == harmful
        assert harmful or float(losses[1]) == float(losses[0])


def test_in_a_steady_run_nothing_is_inflated():
    pytest.importorskip('torch', reason='training needs torch')
    from liquid_ros.training.modules import LiquidModule
    module = LiquidModule(TrainConfig(**SMALL))
    free, steady = module.weights(), module.weights(steady=True)
    differ = (free['upper'] != steady['upper']).numpy()
    assert differ.tolist() == [i == INFLATION for i in range(OUTPUTS)]
    assert float(steady['upper'][INFLATION].exp()) < 1e-5
    assert TrainConfig(**SMALL).steady > 0.0


def test_the_shipped_weights_are_those_of_the_shipped_recipe():
    _, meta = safetensors.load(SHIPPED)
    told = json.loads(meta['provenance'])
    assert TrainConfig.from_dict(told['training']) == TrainConfig()
    assert told['iterations'] == stages(TrainConfig())[-1].last


def test_the_command_writes_weights_that_load(tmp_path):
    pytest.importorskip('torch', reason='training needs torch')
    out = tmp_path / 'w.safetensors'
    settings = [f'{n}={list(v) if isinstance(v, tuple) else v}' for n, v in SMALL.items()]
    done = process('-o', out, settings=settings)
    assert done.returncode == 0, done.stderr
    assert safetensors.load(str(out))[0]['alpha'].shape == (6,)
    done = command('-o', out, settings=['hiden=3'])
    assert done.returncode == 1 and 'hiden' in done.stderr and 'Traceback' not in done.stderr


def test_the_shipped_recipe_is_the_default_one():
    yaml = pytest.importorskip('yaml', reason='PyYAML')
    text = (Path(__file__).parents[1] / 'config' / 'train.yaml').read_text()
    assert TrainConfig.from_dict(yaml.safe_load(text)) == TrainConfig()


@pytest.mark.parametrize('cell, activation', [
    *[(cell, 'tanh') for cell in CELLS],
    *[pytest.param(cell, name, marks=[pytest.mark.long] if cell != 'liquid' else [])
      for cell in CELLS for name in CELLS[cell].activations[1:]]])
def test_every_cell_trains_saves_loads_and_steps_alike_on_both_backends(cell, activation,
                                                                       tmp_path):
    needs(cell)
    from liquid_ros.training.fit import Trainer
    trainer = Trainer(TrainConfig(**{**SMALL, 'cell': cell, 'activation': activation}))
    before = trainer.weights()
    for _ in range(3):
        trainer.advance()
    after = trainer.weights()
    for name in CELLS[cell].shapes(SMALL['hidden'], FEATURES):
        assert np.abs(after[name] - before[name]).max() > 0.0, f'{name} is not trained'
    path = str(tmp_path / 'w.safetensors')
    trainer.export(path)
    batch = simulate(np.random.default_rng(4), 5, 60, 6)
    answers = []
    for backend in (NumpyBackend(), TorchBackend('cpu')):
        smoother = load('liquid', path, backend)
        state, _ = smoother.init(backend.asarray(batch.measured[:, 0]))
        for k in range(1, 60):
            state, estimate = smoother.step(state, backend.asarray(batch.measured[:, k]),
                                            backend.asarray(batch.dt_s[:, k:k + 1]))
        answers.append(backend.to_numpy(estimate.rows))
    np.testing.assert_allclose(*answers, rtol=1e-9, atol=1e-9)
    assert np.isfinite(answers[0]).all()


@pytest.mark.parametrize('states', [1, 2])
def test_fewer_states_leave_no_acceleration_and_no_velocity(states):
    pytest.importorskip('torch', reason='training needs torch')
    from liquid_ros.smoothers.liquid import Liquid
    from liquid_ros.training.fit import Trainer
    trainer = Trainer(TrainConfig(**{**SMALL, 'states': states}))
    smoother = Liquid(trainer.shape, {
        n: w.astype(np.float64) for n, w in trainer.weights().items()})
    state, _ = smoother.init(np.zeros((1, 3)))
    rng = np.random.default_rng(0)
    for k in range(1, 80):
        row = 0.1 * k + 0.01 * rng.standard_normal((1, 3))
        before = state
        state, estimate = smoother.step(state, row, np.full((1, 1), 0.1))
    if states == 1:  # nothing is carried on: the estimate lies between the last one and the row
        assert (estimate.rows < row).all() and (estimate.rows > before['rows']).all()
    else:  # a steady speed is followed within half a step
        assert np.abs(estimate.rows - row).max() < 0.04
    assert np.abs(state['motion'][..., 1]).max() < 0.05


@pytest.mark.parametrize('stop', [
    12, *(pytest.param(stop, marks=pytest.mark.long) for stop in (14, 16))])
def test_what_rotations_add_is_fitted_alone_and_goes_on_after_a_stop(whole_run, tmp_path, stop):
    from liquid_ros.training.fit import Trainer
    config, path = TrainConfig(**{**SMALL, 'turning': 4, 'calibrate': 3}), str(tmp_path / 'x.pt')
    whole, rest = Trainer(config), Trainer(config)
    for _ in range(stop):
        whole.advance()
    whole.save(path)
    rest.load(path)
    for _ in range(16 - stop):
        whole.advance()
        rest.advance()
    assert whole.iteration == rest.iteration == whole.total - 3
    was, now = whole_run, whole.weights()
    assert (was['bias_turn'] == 0.0).all() and (np.abs(now['bias_turn']) > 1e-4).all()
    for name, array in now.items():
        np.testing.assert_array_equal(rest.weights()[name], array)
        if name != 'bias_turn':
            np.testing.assert_allclose(array, was[name], rtol=1e-5, atol=1e-6)


def test_the_last_parts_of_a_run_go_on_from_weights(tmp_path):
    pytest.importorskip('torch', reason='training needs torch')
    first, out = tmp_path / 'first.safetensors', tmp_path / 'w.safetensors'

    def fit(path, *more, **changes):
        given = {**SMALL, **changes}
        return command('-o', path, *more, settings=[
            f'{n}={list(v) if isinstance(v, tuple) else v}' for n, v in given.items()])
    assert fit(first).returncode == 0
    done = fit(out, '--start', first, turning=3)
    assert done.returncode == 0 and 'for 3 iterations' in done.stderr, done.stderr
    (was, _), (now, meta) = safetensors.load(str(first)), safetensors.load(str(out))
    told = json.loads(meta['provenance'])
    assert told['iterations'] == 15 and told['begun_with'] == fingerprint(str(first))
    assert (now['bias_turn'] != was['bias_turn']).all()
    for name in was:
        assert name == 'bias_turn' or np.allclose(now[name], was[name], rtol=1e-4, atol=1e-6)
    for changes, why in (({'hidden': 7, 'turning': 3}, 'hidden=6'), ({}, 'turning or calibrate')):
        done = fit(out, '--start', first, **changes)
        assert done.returncode == 1 and why in done.stderr and 'Traceback' not in done.stderr


def test_rotations_turn_as_bodies_do_where_they_are_to():
    """Only they: the spectrum of a rough one falls less and less."""
    plain, bodies = (simulate(np.random.default_rng(3), 64, 512, 6, 'singer', 'white', rough=share)
                     for share in (0.0, 1.0))
    moving = (plain.truth != 0.0).any(1) & (bodies.truth != 0.0).any(1)
    same = (plain.truth == bodies.truth).all(1)
    assert same[:, :3][moving[:, :3]].all() and not same[:, 3:][moving[:, 3:]].any()
    assert np.isfinite(bodies.measured).all()
    rng = np.random.default_rng(0)
    dt_s = np.full((200, 2048), 0.01)
    out = rough(rng, Clock(dt_s, np.cumsum(dt_s, 1), dt_s[:, :1], 3))
    power = (np.abs(np.fft.rfft(out * np.hanning(2048)[None, :, None], axis=1))**2).mean((0, 2))
    log_f, log_p = np.log(np.arange(1, 1025) / 2048), np.log(power[1:])
    slopes = [-np.polyfit(log_f[m], log_p[m], 1)[0] for m in (
        (log_f > np.log(low)) & (log_f < np.log(high))
        for low, high in ((0.012, 0.045), (0.06, 0.18), (0.22, 0.4)))]
    assert slopes[0] > slopes[1] > slopes[2] > 0.0


def test_a_run_begun_behind_weights_is_not_gone_on_with_from_nothing(tmp_path):
    pytest.importorskip('torch', reason='training needs torch')
    from liquid_ros.training.fit import Trainer
    config, path = TrainConfig(**{**SMALL, 'turning': 3}), str(tmp_path / 'x.pt')
    Trainer(config, begun=Trainer(config).weights()).save(path)
    with pytest.raises(CheckpointError, match='--start'):
        Trainer(config).load(path)


def test_what_is_written_has_the_bounds_that_were_trained_with():
    pytest.importorskip('torch', reason='training needs torch')
    from liquid_ros.training.fit import Trainer
    config = TrainConfig(**{**SMALL, 'turning': 3})
    first = Trainer(TrainConfig(**{**SMALL, 'states': 2})).weights()
    now = Trainer(config, begun=first).weights()
    assert first['upper'][2] < -40.0 < Trainer(config).weights()['upper'][2]
    for name in ('lower', 'upper'):
        np.testing.assert_array_equal(now[name], first[name])


def test_a_run_that_could_not_be_written_does_not_begin(tmp_path, capsys):
    pytest.importorskip('torch', reason='training needs torch')
    assert main(['train', '-o', str(tmp_path), '--set', 'iterations=2']) == 1
    told, = capsys.readouterr().err.splitlines()
    assert 'is no regular file' in told and list(tmp_path.iterdir()) == []


def test_one_number_is_a_list_of_one():
    assert TrainConfig(stretches=5).stretches == (5,)
