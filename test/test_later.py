# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Estimates that know later messages: in blocks as in one piece, with a lag as a window has it."""

import numpy as np
import pytest

from liquid_ros.checkpoint import build
from liquid_ros.errors import InputError
from liquid_ros.evaluation import later, scenario
from liquid_ros.evaluation.collect import collect, Output
from liquid_ros.evaluation.later import Hindsight
from liquid_ros.evaluation.recording import open_source
from liquid_ros.manifold import minus
from liquid_ros.smoothers.kalman import Kalman
from liquid_ros.smoothers.rts import Window
from liquid_ros.streams import StreamBank

NOISE = np.repeat([scenario.NOISE_M, scenario.NOISE_RAD], 3)
SMOOTHERS = {
    'liquid': lambda: build('liquid'),
    'kalman': lambda: Kalman(sigma_m=NOISE[0], sigma_rad=NOISE[3]),
    'stiff': lambda: Kalman(sigma_m=NOISE[0], sigma_rad=NOISE[3], accel_density=0.01,
                            accel_density_rad=0.01)}


def states_of(smoother, seconds):
    """Return the stamps and the states after the messages of a made-up recording."""
    made = scenario.made_up(seconds)
    bank = StreamBank(smoother, 7)
    states = []
    for stamp_ns, row in zip(made.stamps_ns, made.rows):
        assert bank.update([0], [stamp_ns], row[None]).accepted.all()
        states.append(bank.peek(0))
    return made.stamps_ns, states


def window_of(smoother, stamps_ns, states):
    window = Window(smoother, len(states))
    for stamp_ns, state in zip(stamps_ns, states):
        window.add(stamp_ns, state)
    return window.smooth()


def all_of(hindsight, stamps_ns, states, begins=()):
    parts = []
    for k, (stamp_ns, state) in enumerate(zip(stamps_ns, states)):
        parts += hindsight.add('a', stamp_ns, state, k == 0 or k in begins)
    early = sum(len(part.rows) for _, part in parts)
    parts = [part for _, part in parts + hindsight.end()]
    return later.Later(*map(np.concatenate, zip(*parts))), early


@pytest.mark.parametrize('name', SMOOTHERS)
def test_blocks_are_one_piece_to_a_millionth_of_the_noise(monkeypatch, name):
    monkeypatch.setattr(later, 'BLOCK', 200)
    monkeypatch.setattr(later, 'TOGETHER', 200)
    smoother = SMOOTHERS[name]()
    stamps_ns, states = states_of(smoother, 35.0)
    got, early = all_of(Hindsight(smoother), stamps_ns, states)
    want = window_of(smoother, stamps_ns, states)
    assert early > len(states) // 3  # before the end was seen
    assert (np.abs(minus(got.rows, want.rows)) < 1e-6 * NOISE).all()
    assert np.allclose(got.variance, want.variance, rtol=1e-5)
    assert np.array_equal(got.expected, want.expected)


@pytest.mark.parametrize('name', SMOOTHERS)
def test_windows_side_by_side_are_one_piece_to_a_millionth_of_the_noise(monkeypatch, name):
    monkeypatch.setattr(later, 'OVERLAP', 10)  # too short: made longer until it is not
    smoother = SMOOTHERS[name]()
    stamps_ns, states = states_of(smoother, 35.0)
    got, early = all_of(Hindsight(smoother), stamps_ns, states)
    want = window_of(smoother, stamps_ns, states)
    assert early == 0
    assert (np.abs(minus(got.rows, want.rows)) < 1e-6 * NOISE).all()
    assert np.allclose(got.variance, want.variance, rtol=1e-5)


def test_it_is_the_window_s_own_recursion():
    smoother = SMOOTHERS['liquid']()
    stamps_ns, states = states_of(smoother, 4.0)
    got, _ = all_of(Hindsight(smoother), stamps_ns, states)
    want = window_of(smoother, stamps_ns, states)
    assert np.allclose(got.rows, want.rows, rtol=0, atol=1e-13)
    assert np.allclose(got.twist, want.twist, rtol=0, atol=1e-10)


@pytest.mark.parametrize('name', ['liquid', 'kalman'])
def test_a_lag_is_a_window_up_to_it(monkeypatch, name):
    monkeypatch.setattr(later, 'BLOCK', 64)
    monkeypatch.setattr(later, 'TOGETHER', 64)
    smoother, lag_ns = SMOOTHERS[name](), 150_000_000
    stamps_ns, states = states_of(smoother, 6.0)
    got, _ = all_of(Hindsight(smoother, lag_ns), stamps_ns, states)
    for k, stamp_ns in enumerate(stamps_ns):
        stop = next((i for i in range(k, len(stamps_ns)) if stamps_ns[i] > stamp_ns + lag_ns),
                    len(stamps_ns))
        want = window_of(smoother, stamps_ns[k:stop], states[k:stop])
        assert np.allclose(got.rows[k], want.rows[0], rtol=0, atol=1e-12)
        assert np.allclose(got.variance[k], want.variance[0], rtol=1e-9)


def test_a_new_run_knows_nothing_of_the_one_before():
    smoother = SMOOTHERS['kalman']()
    stamps_ns, states = states_of(smoother, 4.0)
    whole, _ = all_of(Hindsight(smoother), stamps_ns, states, begins={100})
    for part in (slice(0, 100), slice(100, None)):
        want = window_of(smoother, stamps_ns[part], states[part])
        assert np.allclose(whole.rows[part], want.rows, rtol=0, atol=1e-13)


@pytest.mark.parametrize('storage', ['out', 'out.tum'])
def test_what_knows_later_is_written(tmp_path, storage):
    made = scenario.made_up(6.0)
    scenario.write(tmp_path / 'bag', made)
    errors = {}
    for name, output in (('node', {}), ('lag', {'lag_s': 0.2}), ('rts', {'offline': True})):
        path = tmp_path / name / storage
        path.parent.mkdir()
        recording = collect(tmp_path / 'bag', 'liquid', build('liquid'), topics=['/pose'],
                            output=Output((str(path),), **output))
        topics = [] if storage.endswith('.tum') else ['/pose/smoothed']
        with open_source(path, topics) as source:
            samples = list(source.samples())
        assert [s.stamps_ns[0] for s in samples] == made.stamps_ns
        rows = np.concatenate([s.rows for s in samples])
        errors[name] = np.sqrt(np.mean((rows - made.truth)[50:, :3]**2))
    assert errors['rts'] < errors['lag'] < 0.7 * errors['node']
    assert np.allclose(rows, recording.runs[0].offline, rtol=0, atol=1e-8)


def test_a_smoother_without_a_model_knows_nothing_of_later(tmp_path):
    scenario.write(tmp_path / 'bag', scenario.made_up(2.0))
    with pytest.raises(InputError, match='no motion model'):
        collect(tmp_path / 'bag', 'ema', build('ema'),
                output=Output((str(tmp_path / 'a'),), offline=True))
    assert [path.name for path in tmp_path.iterdir()] == ['bag']


def test_streams_side_by_side_are_each_of_them_alone(monkeypatch):
    monkeypatch.setattr(later, 'BLOCK', 100)
    monkeypatch.setattr(later, 'TOGETHER', 100)
    smoother = SMOOTHERS['kalman']()
    stamps_ns, states = states_of(smoother, 8.0)
    cut = {'a': slice(0, None), 'b': slice(50, 300), 'c': slice(120, 130)}
    parts = {key: [] for key in cut}
    both = Hindsight(smoother)
    told = []
    for k, (stamp_ns, state) in enumerate(zip(stamps_ns, states)):
        for key, part in cut.items():
            if part.start <= k < (part.stop or len(states)):
                told += both.add(key, stamp_ns, state, k == part.start)
    for key, some in told + both.end():
        parts[key].append(some)
    for key, part in cut.items():
        got = later.Later(*map(np.concatenate, zip(*parts[key])))
        want = window_of(smoother, stamps_ns[part], states[part])
        assert (np.abs(minus(got.rows, want.rows)) < 1e-6 * NOISE).all()
        assert np.array_equal(got.expected, want.expected)
