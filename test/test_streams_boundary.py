# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a bank is told beside stamps and rows, and what can be asked of it between messages."""

from banks import assert_same, bank, messages
import numpy as np
from problems import make, recording
import pytest

from liquid_ros.backend import TorchBackend
from liquid_ros.errors import InputError, ParameterError
from liquid_ros.manifold import minus, plus
from liquid_ros.smoothers import SMOOTHERS
from liquid_ros.smoothers.tuning import Tuning
from liquid_ros.timing import Arrival, NS_PER_S, TimePolicy

STEP_NS = 20_000_000
every = pytest.mark.parametrize('name', list(SMOOTHERS))
widths = pytest.mark.parametrize('width', [3, 7], ids=['point', 'pose'])


def test_another_frame_starts_the_stream_anew():
    keys, stamps, rows = messages(1, 20)
    frames = ['map'] * 8 + ['odom'] * 12
    used = bank().update(keys, stamps, rows, frames)
    fresh = bank().update(keys[8:], stamps[8:], rows[8:], frames[8:])
    assert used.accepted.all()
    assert used.arrivals[7:10] == [Arrival.STEP, Arrival.FRAME, Arrival.STEP]
    assert_same(used, fresh, rows=slice(8, None))


@pytest.mark.parametrize('spoil, reason', [
    (lambda stamp, row: (stamp, row * np.nan), 'non_finite'),
    (lambda stamp, row: (stamp, row * [1, 1, 1, 0, 0, 0, 0]), 'zero_quaternion'),
    (lambda stamp, row: (stamp - NS_PER_S // 2, row), 'late'),
    (lambda stamp, row: (0, row), 'zero_stamp')])
def test_a_message_that_is_dropped_does_not_change_the_frame(spoil, reason):
    keys, stamps, rows = messages(2, 20)
    policy = TimePolicy(zero_stamp='reject')
    clean, dirty = bank(policy=policy), bank(policy=policy)
    for i, (stamp, row) in enumerate(zip(stamps, rows)):
        if i == 10:
            bad_stamp, bad_row = spoil(stamps[9], row)
            got = dirty.update(keys[:1], [bad_stamp], bad_row[None], ['odom'])
            assert got.reasons == [reason] and not got.accepted.any()
        got = dirty.update(keys[:1], [stamp], row[None], ['map'])
        assert_same(got, clean.update(keys[:1], [stamp], row[None], ['map']))


@pytest.mark.parametrize('delta_ns, arrival', [
    (STEP_NS, Arrival.FRAME), (9 * NS_PER_S, Arrival.FRAME), (-9 * NS_PER_S, Arrival.JUMP),
    (0, Arrival.DUPLICATE), (-STEP_NS, Arrival.LATE)])
def test_a_new_frame_beside_what_the_stamp_says(delta_ns, arrival):
    a_bank, row = bank(), np.eye(7)[6:]
    a_bank.update(['a'], [NS_PER_S * 100], row, ['map'])
    got = a_bank.update(['a'], [NS_PER_S * 100 + delta_ns], row, ['odom'])
    assert got.arrivals == [arrival]


def test_a_frame_is_forgotten_with_the_rest():
    a_bank, row = bank(), np.eye(7)[6:]
    for keys in (['a'], None):
        a_bank.update(['a'], [0], row, ['map'])
        a_bank.reset(keys)
        assert a_bank.last_ns('a') is None
        assert a_bank.update(['a'], [STEP_NS], row, ['odom']).arrivals == [Arrival.FIRST]
        assert a_bank.last_ns('a') == STEP_NS


def test_a_zero_stamp_is_the_time_of_receipt():
    keys, stamps, rows = messages(3, 30)
    zeros = [0 if i % 3 == 1 else stamp for i, stamp in enumerate(stamps)]
    policy = TimePolicy(zero_stamp='use_receive_time')
    got = bank(policy=policy).update(keys, zeros, rows, received_ns=stamps)
    assert got.stamps_ns == stamps and got.accepted.all()
    assert_same(got, bank().update(keys, stamps, rows))
    got = bank(policy=policy).update(keys, zeros, rows)
    assert [reason for reason in got.reasons if reason] == ['zero_stamp'] * 10


def test_a_stamp_ahead_of_its_receipt_is_told():
    keys, stamps, rows = messages(4, 3)
    received = [stamps[0], stamps[1] - 2 * NS_PER_S, stamps[2]]
    got = bank().update(keys, stamps, rows, received_ns=received)
    assert got.future.tolist() == [False, True, False] and got.accepted.all()


@every
@widths
def test_no_variance_is_the_same_as_none(name, width):
    keys, stamps, rows = messages(5, 40, width, keys=3)
    axes = 3 if width == 3 else 6
    nothing = np.array([np.nan, 0.0, -1.0, np.inf, 1e30, 1e-30])[:axes]
    got = bank(name, width).update(keys, stamps, rows, variances=np.tile(nothing, (120, 1)))
    assert_same(got, bank(name, width).update(keys, stamps, rows))


@every
def test_a_neighbour_s_variance_is_its_own(name):
    keys, stamps, rows = messages(6, 40, keys=3)
    told = np.full((120, 6), np.nan)
    told[::3] = np.random.default_rng(0).uniform(1e-5, 1e-2, (40, 6))
    got, none = bank(name).update(keys, stamps, rows, variances=told), bank(name).update(
        keys, stamps, rows)
    for k in (1, 2):
        assert_same(got, none, rows=slice(k, None, 3), other_rows=slice(k, None, 3))


@every
@widths
@pytest.mark.parametrize('count', [1, 2, 60])
def test_a_prediction_leaves_the_state_alone_and_begins_at_the_estimate(name, width, count):
    keys, stamps, rows = messages(7, count + 5, width, keys=2)
    asked, untouched = bank(name, width), bank(name, width)
    for a_bank in (asked, untouched):
        last = a_bank.update(keys[:2 * count], stamps[:2 * count], rows[:2 * count]).estimate
    ends = stamps[2 * count - 2:2 * count]
    for ahead_ns in (0, 1, STEP_NS, 3 * NS_PER_S):
        got = asked.predict(keys[:2], [end + ahead_ns for end in ends])
        assert all(np.isfinite(part).all() for part in got) and (got.variance >= 0.0).all()
        if ahead_ns == 0:
            np.testing.assert_allclose(minus(got.rows, last.rows[-2:]), 0.0, atol=1e-14)
            np.testing.assert_allclose(got.variance, last.variance[-2:], rtol=1e-9, atol=1e-11)
            np.testing.assert_allclose(got.twist, last.twist[-2:], atol=1e-14)
    rest = slice(2 * count, None)
    assert_same(asked.update(keys[rest], stamps[rest], rows[rest]),
                untouched.update(keys[rest], stamps[rest], rows[rest]))


@pytest.mark.parametrize('name', ['liquid', 'kalman', 'kalman_gated'])
def test_a_prediction_goes_on_and_its_variance_grows(name):
    times = np.arange(300) * STEP_NS
    rows = np.outer(times / NS_PER_S, [1.0, -0.5, 0.0]) + 0.02 * np.random.default_rng(
        0).normal(size=(300, 3))
    a_bank = bank(name, 3)
    last = a_bank.update(['a'] * 300, times.tolist(), rows).estimate
    ahead = np.array([STEP_NS, 5 * STEP_NS, 25 * STEP_NS])
    got = [a_bank.predict(['a'], [times[-1] + ns]) for ns in ahead.tolist()]
    variance = np.array([last.variance[-1]] + [e.variance[0] for e in got])
    assert (np.diff(variance, axis=0) > 0.0).all()
    there = np.outer((times[-1] + ahead) / NS_PER_S, [1.0, -0.5, 0.0])
    error, held = np.concatenate([e.rows for e in got]) - there, last.rows[-1] - there
    assert (np.linalg.norm(error, axis=1)[1:] < 0.5 * np.linalg.norm(held, axis=1)[1:]).all()


def test_a_prediction_knows_how_wrong_it_is():
    rng = np.random.default_rng(0)
    truth, dt_s = recording(rng, 300, 16, 7, sigma=1e-9)
    rows = plus(truth, 0.02 * rng.normal(size=(300, 16, 6)))
    smoother = make('liquid')
    state, _ = smoother.init(rows[0])
    errors = {1: [], 3: [], 8: []}  # messages ahead -> squares over variance, over those of a hold
    for k in range(1, 290):
        state, estimate = smoother.step(state, rows[k], dt_s[k])
        for ahead in errors if k > 100 else ():
            got = smoother.predict(state, dt_s[k + 1:k + 1 + ahead].sum(0))
            square = minus(got.rows, truth[k + ahead])**2
            held = minus(estimate.rows, truth[k + ahead])**2
            errors[ahead].append([(square / got.variance).mean(), square.mean(), held.mean()])
    for ahead, parts in errors.items():
        nees, square, held = np.mean(parts, axis=0)
        assert 0.4 < nees < 2.0 and square < 0.5 * held, ahead


@every
def test_what_torch_predicts_is_what_numpy_predicts(name):
    pytest.importorskip('torch', reason='compares with torch')
    keys, stamps, rows = messages(13, 200, keys=3)
    told = np.random.default_rng(0).uniform(1e-5, 1e-2, (600, 6))
    told[::5] = np.nan
    banks = [bank(name), bank(name, backend=TorchBackend('cpu'))]
    for a_bank in banks:
        a_bank.tune(Tuning(0.4, 1e-3))
    got, expected = (b.update(keys, stamps, rows, variances=told) for b in banks[::-1])
    assert_same(got, expected, atol=1e-9)
    ends = [stamp + 3 * STEP_NS for stamp in stamps[-3:]]
    for part, want in zip(*(b.predict(keys[:3], ends) for b in banks[::-1])):
        np.testing.assert_allclose(part, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('name', ['ema', 'one_euro', 'liquid_direct'])
def test_a_low_pass_holds(name):
    keys, stamps, rows = messages(8, 30)
    a_bank = bank(name)
    last = a_bank.update(keys, stamps, rows).estimate
    got = a_bank.predict(keys[:1], [stamps[-1] + NS_PER_S])
    np.testing.assert_array_equal(got.rows, last.rows[-1:])
    np.testing.assert_array_equal(got.variance, last.variance[-1:])


def test_what_cannot_be_predicted_is_nan():
    keys, stamps, rows = messages(9, 5)
    a_bank = bank()
    assert a_bank.predict([], []).rows.shape == (0, 7)
    a_bank.update(keys, stamps, rows)
    with pytest.raises(InputError, match='got 2 keys and 1 stamps'):
        a_bank.predict(['k0', 'k9'], stamps[-1:])
    with pytest.raises(TypeError):
        a_bank.predict(['k0'], [1.5])
    got = a_bank.predict(['k0', 'k9', 'k0'], [stamps[-1] - 1, stamps[-1], stamps[-1] + 1])
    assert np.isnan(got.rows).all(axis=1).tolist() == [True, True, False]
    assert a_bank.update(['k9'], [0], rows[:1]).arrivals == [Arrival.FIRST]


@every
def test_tuning_back_is_as_it_was(name):
    keys, stamps, rows = messages(10, 30)
    turned, untouched = bank(name), bank(name)
    for tuning in (Tuning(0.7, 0.01), Tuning(-1.0), Tuning()):
        turned.tune(tuning)
    assert_same(turned.update(keys, stamps, rows), untouched.update(keys, stamps, rows))


@every
def test_tuning_keeps_the_streams(name):
    keys, stamps, rows = messages(11, 60)
    a_bank = bank(name)
    for i, smoothing in enumerate((-1.0, 0.0, 1.0)):
        a_bank.tune(Tuning(smoothing, 0.01))
        part = slice(20 * i, 20 * i + 20)
        got = a_bank.update(keys[part], stamps[part], rows[part])
        assert got.accepted.all() and np.isfinite(got.estimate.rows).all()
        assert got.arrivals[0] is (Arrival.STEP if i else Arrival.FIRST)


@pytest.mark.parametrize('setting', [{'smoothing': 1.01}, {'smoothing': float('nan')},
                                     {'gate_probability': 1.0}, {'gate_probability': -0.1}])
def test_a_knob_has_its_ends(setting):
    with pytest.raises(ParameterError, match=f'got {next(iter(setting))} .* expected'):
        Tuning(**setting)


@pytest.mark.parametrize('given', [
    {'frames': ['map']}, {'received_ns': [1, 2, 3]}, {'variances': np.zeros((2, 3))},
    {'variances': np.zeros(6)}])
def test_what_does_not_fit_is_refused(given):
    keys, stamps, rows = messages(12, 2)
    with pytest.raises(InputError, match='got'):
        bank().update(keys, stamps, rows, **given)
