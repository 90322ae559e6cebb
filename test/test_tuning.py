# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The knob goes from responsive to smooth, and the gate rejects no more than it says."""

import numpy as np
from problems import make, recording, run, white_acceleration
import pytest

from liquid_ros.manifold import minus, plus
from liquid_ros.smoothers import SMOOTHERS
from liquid_ros.smoothers.kalman import Kalman, KalmanGated
from liquid_ros.smoothers.tuning import chi2_quantile, gate_for, Tuning

KNOB = (-1.0, -0.5, 0.0, 0.5, 1.0)
turning = pytest.mark.parametrize('name', [n for n in SMOOTHERS if n != 'liquid_direct'])


def noisy(seed=0, count=500, width=7):
    """Return truth, rows under 2 cm and 0.02 rad of noise, and dt_s."""
    rng = np.random.default_rng(seed)
    truth, dt_s = recording(rng, count, 4, width, sigma=1e-9)
    axes = 3 if width == 3 else 6
    return truth, plus(truth, 0.02 * rng.normal(size=truth.shape[:2] + (axes,))), dt_s


@pytest.mark.parametrize('name', ['liquid', 'ema', 'one_euro', 'kalman'])
def test_each_turn_of_the_knob_is_smoother_and_further_from_the_messages(name):
    truth, rows, dt_s = noisy()
    rest = plus(truth[:1] + 0.0 * rows, minus(rows, truth))
    bends, apart = [], []
    for smoothing in KNOB:
        smoother = make(name).tuned(Tuning(smoothing))
        still = minus(run(smoother, rest, dt_s).rows[100:], truth[:1])
        bends.append((np.diff(still, 2, axis=0)**2).mean())
        apart.append((minus(run(smoother, rows, dt_s).rows[100:], rows[100:])**2).mean())
    assert (np.diff(bends) < 0.0).all() and (np.diff(apart) > 0.0).all()
    assert bends[0] > 2.0 * bends[2] > 2.0 * 1.5 * bends[4]


@turning
def test_the_middle_is_as_it_was(name):
    _, rows, dt_s = noisy(count=60)
    for part, expected in zip(run(make(name).tuned(Tuning()), rows, dt_s),
                              run(make(name), rows, dt_s)):
        np.testing.assert_array_equal(part, expected)


def test_the_liquid_smoother_s_own_filter_does_not_feel_the_knob():
    # else the cell would see what it did and take it back
    _, rows, dt_s = noisy(count=120)
    turned, state = make('liquid').tuned(Tuning(0.8)), None
    plain, plain_state = make('liquid'), None
    state, plain_state = turned.init(rows[0])[0], plain.init(rows[0])[0]
    for row, step_s in zip(rows[1:], dt_s[1:]):
        state, estimate = turned.step(state, row, step_s)
        plain_state, _ = plain.step(plain_state, row, step_s)
    for name, array in plain_state.items():
        if not name.startswith('output'):
            # two compiled functions, whose vectors may be cut at other places
            np.testing.assert_allclose(state[name], array, rtol=1e-9, atol=1e-12)
    assert np.abs(estimate.rows - plain_state['rows']).max() > 1e-4
    # turned back, the next answer is that of one that was never turned
    row, step_s = rows[5], dt_s[5]
    for part, expected in zip(plain.step(state, row, step_s)[1],
                              plain.step(plain_state, row, step_s)[1]):
        np.testing.assert_allclose(part, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize('smoothing', KNOB)
def test_what_is_stated_is_of_what_is_given(smoothing):
    truth, rows, dt_s = noisy()
    smoother = make('liquid').tuned(Tuning(smoothing))
    got = run(smoother, rows, dt_s)
    assert 0.5 < (minus(got.rows, truth)**2 / got.variance)[100:].mean() < 1.5
    state, ahead = smoother.init(rows[0])[0], []
    for k in range(1, 400):
        state, _ = smoother.step(state, rows[k], dt_s[k])
        later = smoother.predict(state, dt_s[k + 1])
        ahead.append(minus(later.rows, truth[k + 1])**2 / later.variance)
    assert 0.3 < np.mean(ahead[100:]) < 1.5


def test_a_responsive_gated_filter_rejects_no_more():
    _, rows, dt_s = noisy(width=3)
    responsive, middle = (
        run(KalmanGated(sigma_m=0.02).tuned(Tuning(smoothing)), rows, dt_s).weight[20:].mean()
        for smoothing in (-0.5, 0.0))
    assert responsive >= middle > 0.8


def test_in_kalman_the_knob_is_r_or_q():
    _, rows, dt_s = noisy(count=60)
    got = run(Kalman().tuned(Tuning(0.5)), rows, dt_s)
    wanted = run(Kalman(sigma_m=0.01 * 10**0.5, sigma_rad=0.02 * 10**0.5), rows, dt_s)
    for part, expected in zip(got, wanted):
        np.testing.assert_allclose(part, expected, rtol=1e-9, atol=1e-12)
    got = run(Kalman().tuned(Tuning(-0.5)), rows, dt_s)
    wanted = run(Kalman(accel_density=0.5 * 10**0.5, accel_density_rad=10**0.5), rows, dt_s)
    for part, expected in zip(got, wanted):
        np.testing.assert_allclose(part, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize('axes', [1, 2, 3])
@pytest.mark.parametrize('probability', [0.1, 0.01])
def test_good_messages_are_rejected_no_more_often_than_stated(axes, probability):
    rng = np.random.default_rng(1)
    rejected = []
    for density in (0.02, 2.0):
        _, _, rows = white_acceleration(rng, 300, 60, 0.05, 0.05, density, 1.0)
        rows[..., axes:] = 0.0
        got = run(make('liquid').tuned(Tuning(gate_probability=probability)), rows,
                  np.full((300, 60, 1), 0.05))
        rejected.append((got.weight[50:] < 0.5).mean())
    # its S errs on the large side, and a fraction of the way is never a surprise
    assert max(rejected) < probability
    assert probability < 0.05 or max(rejected) > 0.0


def test_the_gate_is_where_it_says():
    rng = np.random.default_rng(2)
    _, _, rows = white_acceleration(rng, 300, 40, 0.05, 0.05, 0.2, 0.5)
    rows[250] += 0.25  # five sigma an axis
    weights = [run(make('liquid').tuned(Tuning(gate_probability=p)), rows,
                   np.full((300, 40, 1), 0.05)).weight[250].mean()
               for p in (0.3, 0.01, 1e-6, 1e-60)]
    assert (np.diff(weights) > 0.0).all()
    assert weights[0] < 0.1 < weights[1] < 0.5 < 0.9 < weights[3]


@pytest.mark.parametrize('probability', [0.3, 0.001])
def test_any_gate_lets_a_new_place_in(probability):
    rng = np.random.default_rng(3)
    rows = 0.01 * rng.normal(size=(200, 1, 3))
    rows[100:] += 3.0
    for name in ('liquid', 'kalman_gated'):
        smoother = make(name).tuned(Tuning(gate_probability=probability))
        got = run(smoother, rows, np.full((200, 1, 1), 0.02))
        assert np.abs(got.rows[110:] - 3.0).max() < 0.1


def test_the_gate_of_kalman_gated():
    tuned = KalmanGated(reject_probability=0.2).tuned(Tuning(gate_probability=0.05))
    assert tuned.gate == chi2_quantile(0.05, 3)
    assert KalmanGated(reject_probability=0.2).tuned(Tuning(0.5)).gate == chi2_quantile(0.2, 3)


@pytest.mark.parametrize('tail, degrees, quantile', [  # tables of the chi-square distribution
    (0.05, 1, 3.841459), (0.01, 1, 6.634897), (0.05, 2, 5.991465), (0.001, 2, 13.815511),
    (0.05, 3, 7.814728), (0.5, 1, 0.454936), (0.5, 2, 1.386294)])
def test_quantiles(tail, degrees, quantile):
    assert abs(chi2_quantile(tail, degrees) - quantile) < 1e-6
    assert abs(Tuning(gate_probability=tail).gates[degrees - 1] - quantile / degrees) < 1e-6


def test_the_gate_counts_the_axes_that_move():
    average = np.zeros((1, 6, 6))
    average[0, :3, :2] = 0.5  # two of position
    average[0, 3:, 5] = 1.0  # yaw alone
    assert gate_for((1.0, 2.0, 3.0), average).tolist() == [[2.0] * 3 + [1.0] * 3]
    average[0, :3, :3] = 1.0 / 3.0
    assert gate_for((1.0, 2.0, 3.0), average)[0, 0] == 3.0
