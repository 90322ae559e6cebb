# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A message's own variance: how it changes counts, what it claims to be does not."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from problems import make, recording
import pytest

from liquid_ros.manifold import minus
from liquid_ros.smoothers import Estimate, SMOOTHERS
from liquid_ros.smoothers.kalman import Kalman
from liquid_ros.smoothers.rts import Window
from liquid_ros.smoothers.stated import heed, LIMIT, MEMORY, unheard
from liquid_ros.smoothers.units import UNKNOWN_VARIANCE
from liquid_ros.streams import StreamBank

few = settings(max_examples=25, deadline=None)


def run(smoother, rows, dt_s, variances=None):
    """Return the estimates (N, B, ...); variances (N, B, A)."""
    told = [None] * len(rows) if variances is None else variances
    state, estimate = smoother.init(rows[0], told[0])
    out = [estimate]
    for row, step_s, variance in zip(rows[1:], dt_s[1:], told[1:]):
        state, estimate = smoother.step(state, row, step_s, variance)
        out.append(estimate)
    return Estimate(*(np.stack(part) for part in zip(*out)))


def draw(seed, count=80, width=7, batch=2):
    """Return rows, dt_s and variances that change a hundredfold from message to message."""
    rng = np.random.default_rng(seed)
    rows, dt_s = recording(rng, count, batch, width)
    return rows, dt_s, 10.0 ** rng.uniform(-6.0, -4.0, (count, batch, 3 if width == 3 else 6))


@few
@given(st.integers(0, 2**31), st.floats(-20.0, 20.0), st.sampled_from([3, 7]))
def test_a_constant_variance_changes_nothing_in_liquid(seed, exponent, width):
    rows, dt_s, variances = draw(seed, 30, width)
    constant = np.broadcast_to(variances[:1] * 10.0**exponent, variances.shape)
    got, expected = (run(make('liquid'), rows, dt_s, v) for v in (constant, None))
    assert (expected.variance[0] == UNKNOWN_VARIANCE).all()
    np.testing.assert_allclose(got.variance[0], constant[0], rtol=1e-12)  # by which it alone goes
    got.variance[0] = UNKNOWN_VARIANCE
    for part, other in zip(got, expected):
        # one logarithm is the C library's, the next that of its functions of many numbers
        np.testing.assert_allclose(part, other, rtol=1e-12, atol=1e-13)


@few
@given(st.integers(0, 2**31), st.floats(-15.0, 15.0))
def test_the_unit_of_the_variances_changes_nothing_in_liquid(seed, exponent):
    rows, dt_s, variances = draw(seed, 40)
    got = run(make('liquid'), rows, dt_s, variances * 10.0**exponent)
    got.variance[0] /= 10.0**exponent  # the first one's, by which it alone goes
    for part, expected in zip(got, run(make('liquid'), rows, dt_s, variances)):
        np.testing.assert_allclose(part, expected, rtol=1e-6, atol=1e-9)


def test_what_never_moved_has_the_variance_that_is_stated():
    still = np.broadcast_to(recording(np.random.default_rng(7), 1, 2, 7)[0], (5, 2, 7))
    told = np.array([[4.0, 4.0, 9.0, 0.01, 0.01, np.nan], [np.nan] * 6])
    expected = np.where(np.isnan(told), UNKNOWN_VARIANCE, told)
    bank = StreamBank(make('liquid'), 7)
    for k, rows in enumerate(still):
        variance = bank.update('ab', [k + 1] * 2, rows, variances=told).estimate.variance
        np.testing.assert_allclose(variance, expected, rtol=1e-12)
    np.testing.assert_allclose(bank.predict('ab', [10**9] * 2).variance, expected, rtol=1e-12)
    window = Window(make('liquid'), 9)
    window.add(5, bank.peek('a'))
    np.testing.assert_allclose(window.smooth().variance, expected[:1], rtol=1e-12)


@pytest.mark.parametrize('name', ['liquid', 'kalman'])
@pytest.mark.parametrize('width', [3, 7], ids=['point', 'pose'])
def test_a_message_that_says_it_is_bad_is_believed_less_and_one_that_is_good_more(name, width):
    rows, dt_s, _ = draw(1, width=width)
    usual = np.full(rows.shape[:2] + (3 if width == 3 else 6,), 1e-4)
    rows[60] = rows[59]
    rows[60, :, :3] += 0.06  # some sigma away: no outlier
    moved = []
    for factor in (1e2, 1.0, 1e-2):
        told = usual.copy()
        told[60] *= factor
        got = run(make(name), rows, dt_s, told)
        moved.append(np.abs(minus(got.rows[60], rows[60]))[:, :3].mean())
    assert moved[0] > 1.5 * moved[1] and moved[1] > 1.5 * moved[2]


def test_noise_that_comes_and_goes_is_told_by_its_variance():
    rng = np.random.default_rng(2)
    rows, dt_s = recording(rng, 600, 8, 3, sigma=1e-9)
    sigma = 0.02 * np.where(rng.random((600, 8, 1)) < 0.3, 10.0, 1.0)
    noisy = rows + sigma * rng.normal(size=rows.shape)
    told = np.broadcast_to(sigma**2, rows.shape) * 777.0  # in a unit of its own
    error = [((run(make('liquid'), noisy, dt_s, v).rows - rows)[100:]**2).mean()
             for v in (None, told)]
    assert error[1] < 0.6 * error[0]


def test_in_kalman_they_are_r():
    rows, dt_s, _ = draw(3, width=3)
    told = np.full(rows.shape, 0.3**2)
    got = run(Kalman(sigma_m=0.01), rows, dt_s, told)
    for part, expected in zip(got, run(Kalman(sigma_m=0.3), rows, dt_s)):
        np.testing.assert_allclose(part, expected, rtol=1e-12, atol=1e-15)
    told[20:] = np.nan
    mixed = run(Kalman(sigma_m=0.3), rows, dt_s, told)
    np.testing.assert_allclose(mixed.rows, got.rows[:, :, :3], rtol=1e-9)


def test_in_kalman_each_axis_has_its_own():
    rows, dt_s, _ = draw(4, width=3, batch=1)
    told = np.broadcast_to(np.array([0.01, 0.1, 1.0])**2, rows.shape)
    got = run(Kalman(), rows, dt_s, told)
    for axis, sigma in enumerate((0.01, 0.1, 1.0)):
        alone = run(Kalman(sigma_m=sigma), rows, dt_s)
        np.testing.assert_allclose(got.rows[..., axis], alone.rows[..., axis], rtol=1e-9)
        np.testing.assert_allclose(got.variance[..., axis], alone.variance[..., axis], rtol=1e-9)


@pytest.mark.parametrize('name', ['ema', 'one_euro', 'liquid_direct'])
def test_a_low_pass_has_no_use_for_them(name):
    rows, dt_s, variances = draw(5)
    for part, expected in zip(run(make(name), rows, dt_s, variances), run(make(name), rows,
                                                                          dt_s)):
        np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize('name', list(SMOOTHERS))
@few
@given(data=st.data())
def test_any_variance_gives_finite_answers(name, data):
    count = 12
    rows, dt_s, variances = draw(data.draw(st.integers(0, 99)), count, 7, 1)
    told = data.draw(st.lists(st.floats(-24.0, 24.0) | st.just(np.nan), min_size=count,
                              max_size=count))
    variances = np.broadcast_to(10.0 ** np.array(told)[:, None, None], variances.shape)
    got = run(make(name), rows, dt_s, variances)
    assert all(np.isfinite(part).all() for part in got)
    assert (got.variance[1:] > 0.0).all()


def test_the_mean_is_geometric_bounded_and_forgets():
    stated = unheard(np.zeros((1, 3)))
    factor, stated = heed(stated, np.full((1, 3), 5.0))
    np.testing.assert_array_equal(factor, 1.0)
    factor, stated = heed(stated, np.array([[500.0, np.nan, 5e9]]))
    np.testing.assert_allclose(factor, [[100.0, 1.0, 1e4]])
    middle = np.exp(stated[0, :, 0])
    np.testing.assert_allclose(middle, [50.0, 5.0, 5.0 * np.exp(LIMIT / 2.0)])
    assert stated[0, :, 1].tolist() == [2.0, 1.0, 2.0]
    for _ in range(int(6 * MEMORY)):
        factor, stated = heed(stated, np.full((1, 3), 1e-3))
    np.testing.assert_allclose(factor, 1.0, rtol=0.05)


def test_torch_gives_the_numbers_of_numpy():
    torch = pytest.importorskip('torch', reason='compares with torch')
    from liquid_ros.backend import TorchBackend
    rows, dt_s, variances = draw(6, count=400, batch=5)
    variances[::7] = np.nan
    backend = TorchBackend('cpu')
    for name in ('liquid', 'kalman_gated'):
        with torch.no_grad():
            got = run(make(name, backend=backend), *map(backend.asarray, (rows, dt_s, variances)))
        for part, want in zip(got, run(make(name), rows, dt_s, variances)):
            np.testing.assert_allclose(part, want, rtol=1e-9, atol=1e-9)
