# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The Kalman filters against textbook matrices, their own assumptions, and the gate's promise."""

from dataclasses import replace
import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from problems import recording, run, spin, white_acceleration
import pytest

from liquid_ros.errors import ParameterError
from liquid_ros.manifold import minus, plus
from liquid_ros.smoothers.kalman import Kalman, KalmanGated
from liquid_ros.smoothers.tuning import chi2_quantile

TUNED = {'sigma_m': 0.05, 'accel_density': 2.0, 'speed_sigma_m_s': 3.0}


def kalman_ref(settings_, rows, dt_s):
    """Return rows, variance, velocity, NIS of points (N, 3), by 2 x 2 matrices in Joseph form."""
    noise, density = settings_.sigma_m**2, settings_.accel_density**2
    x = np.stack([rows[0], np.zeros(3)])
    p = np.diag([noise, settings_.speed_sigma_m_s**2])
    out = [(x[0], p[0, 0], x[1], 3.0)]
    h = np.array([[1.0, 0.0]])
    for row, d in zip(rows[1:], dt_s[1:, 0]):
        f = np.array([[1.0, d], [0.0, 1.0]])
        x = f @ x
        p = f @ p @ f.T + density * np.array([[d**3 / 3.0, d**2 / 2.0], [d**2 / 2.0, d]])
        s = p[0, 0] + noise
        k = p[:, :1] / s
        nu = row - x[0]
        x = x + k * nu
        p = (np.eye(2) - k @ h) @ p @ (np.eye(2) - k @ h).T + noise * k @ k.T
        out.append((x[0], p[0, 0], x[1], nu @ nu / s))
    return [np.array(part) for part in zip(*out)]


def test_the_textbook_filter():
    rows, dt_s = recording(np.random.default_rng(0), 300, 1, 3)
    dt_s[100:120] = 1e-6
    dt_s[200] = 3.0
    smoother = Kalman(**TUNED)
    got = run(smoother, rows, dt_s)
    place, variance, velocity, nis = kalman_ref(smoother, rows[:, 0], dt_s[:, 0])
    np.testing.assert_allclose(got.rows[:, 0], place, atol=1e-10)
    np.testing.assert_allclose(got.variance[:, 0], variance[:, None] * np.ones(3), rtol=1e-9)
    np.testing.assert_allclose(got.twist[:, 0], velocity, atol=1e-8)
    np.testing.assert_allclose(got.nis[:, 0, 0], nis, rtol=1e-8)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-9.0, 6.0), min_size=1, max_size=30))
def test_the_covariance_stays_positive_definite(exponents):
    rows = np.zeros((1, 3))
    smoother = Kalman(**TUNED)
    state, _ = smoother.init(rows)
    for exponent in exponents:
        before = state
        state, estimate = smoother.step(state, rows, np.full((1, 1), 10.0**exponent))
        assert (state['position'] > 0.0).all() and (state['rest'] > 0.0).all()
        assert (estimate.variance <= smoother.sigma_m**2).all()
        assert all(np.isfinite(value).all() for value in state.values())
        assert before is not state


@pytest.mark.parametrize('dt_s', [1e-6, 0.01, 1.0, 1e3])
def test_one_prediction_is_many(dt_s):
    far = Kalman(**{**TUNED, 'sigma_m': 1e9})  # measures next to nothing
    near = Kalman(**TUNED)
    rows = np.zeros((1, 3))
    state, _ = near.init(rows)
    state, _ = near.step(state, rows, np.full((1, 1), 0.02))
    parts = np.random.default_rng(0).dirichlet(np.ones(5)) * dt_s
    split = state
    for part in parts:
        split, _ = far.step(split, rows, np.full((1, 1), part))
    whole, _ = far.step(state, rows, np.full((1, 1), dt_s))
    for key in ('position', 'slope', 'rest'):
        np.testing.assert_allclose(split[key], whole[key], rtol=1e-6)


@pytest.mark.parametrize('accel_density', [1e-3, 0.3, 100.0])
def test_its_own_process_is_judged_as_it_is(accel_density):
    tuned = {**TUNED, 'accel_density': accel_density}
    rng = np.random.default_rng(0)
    dt_s = rng.exponential(0.05, size=200)
    truth, velocity, measured = white_acceleration(rng, 200, 400, dt_s, *tuned.values())
    got = run(Kalman(**tuned), measured, dt_s[:, None, None] * np.ones((1, 400, 1)))
    nees = ((got.rows - truth) ** 2 / got.variance).mean(axis=(1, 2))
    assert abs(nees.mean() - 1.0) < 0.03 and abs(nees[:20].mean() - 1.0) < 0.05
    assert abs(got.nis[1:].mean() - 3.0) < 0.05
    better = ((got.rows - truth) ** 2)[50:].mean() / ((measured - truth) ** 2)[50:].mean()
    assert better < 1.0
    assert ((got.twist - velocity) ** 2)[50:].mean() < (velocity**2)[50:].mean()


def test_rotations_are_the_same_filter_in_the_tangent_space():
    rng = np.random.default_rng(1)
    _, _, angles = white_acceleration(rng, 300, 1, 0.02, 0.03, 1.0, 0.5)
    angles[..., 1:] = 0.0  # about one axis the group is flat
    quats = spin(np.ones(300), np.array([0.0, 0.0, 0.0, 1.0]), angles[:, 0])[:, None]
    dt_s = np.full((300, 1, 1), 0.02)
    flat = run(Kalman(sigma_m=0.03, accel_density=1.0, speed_sigma_m_s=0.5), angles, dt_s)
    got = run(Kalman(sigma_rad=0.03, accel_density_rad=1.0, speed_sigma_rad_s=0.5),
              np.concatenate([np.zeros_like(angles), quats], -1), dt_s)
    turned = np.concatenate([np.zeros_like(angles), spin(
        np.ones(300), np.array([0.0, 0.0, 0.0, 1.0]), flat.rows[:, 0])[:, None]], -1)
    np.testing.assert_allclose(minus(got.rows, turned), 0.0, atol=1e-12)
    np.testing.assert_allclose(got.twist[..., 3:], flat.twist, atol=1e-10)
    np.testing.assert_allclose(got.nis[..., 1:], flat.nis, rtol=1e-8, atol=1e-12)


def test_settings_per_stream_are_settings():
    rows, dt_s = recording(np.random.default_rng(2), 100, 3, 7)
    rows[50:53] += 5.0 * np.r_[np.ones(3), np.zeros(4)]
    grid = {'sigma_m': [0.01, 0.05, 0.1], 'accel_density_rad': [0.1, 1.0, 9.0],
            'reject_probability': [1e-9, 1e-4, 0.2], 'patience': [1.0, 3.0, 9.0]}
    swept = run(KalmanGated(**{name: np.array(values)[:, None]
                               for name, values in grid.items()}), rows, dt_s)
    for b in range(3):
        alone = run(KalmanGated(**{name: values[b] for name, values in grid.items()}),
                    rows[:, b:b + 1], dt_s[:, b:b + 1])
        for part, swept_part in zip(alone, swept):
            np.testing.assert_allclose(part[:, 0], swept_part[:, b], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('tail, quantile', [  # tables of the chi-square distribution
    (0.95, 0.351846), (0.5, 2.365974), (0.05, 7.814728), (0.01, 11.344867), (0.001, 16.266236)])
def test_the_gate_s_quantile(tail, quantile):
    assert abs(chi2_quantile(tail, 3) - quantile) < 1e-6
    assert KalmanGated(reject_probability=tail).gate == chi2_quantile(tail, 3)


@pytest.mark.parametrize('probability', [0.1, 0.01, 0.001])
def test_good_messages_are_rejected_as_often_as_stated(probability):
    rng = np.random.default_rng(3)
    _, _, measured = white_acceleration(rng, 300, 600, 0.02, *TUNED.values())
    gated = KalmanGated(**TUNED, reject_probability=probability, patience=1000)
    got = run(Kalman(**TUNED), measured, np.full((300, 600, 1), 0.02))
    assert abs((got.nis[1:] > gated.gate).mean() / probability - 1.0) < 0.1


def still(count=60):
    """Return a resting pose and its dt_s."""
    rows = np.tile(np.r_[1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0], (count, 1, 1))
    return rows, np.full((count, 1, 1), 0.02)


def test_an_outlier_is_predicted_over_and_the_other_group_is_not_held_up():
    rows, dt_s = still()
    rows[40, 0, :3] += 5.0
    got = run(KalmanGated(), rows, dt_s)
    np.testing.assert_array_equal(got.weight[40], [[0.0, 1.0]])
    np.testing.assert_allclose(got.rows[40:, 0, :3], rows[39:40, 0, :3] * np.ones((20, 1)),
                               atol=1e-12)
    assert (got.variance[40, 0, :3] > got.variance[39, 0, :3]).all()
    assert (got.variance[40, 0, 3:] < got.variance[39, 0, 3:] * 1.001).all()
    assert got.nis[40, 0, 0] > KalmanGated().gate
    assert got.weight.sum() == got.weight.size - 1


@pytest.mark.parametrize('patience', [1, 2, 5])
def test_after_patience_the_new_place_is_the_place(patience):
    rows, dt_s = still()
    rows[40:] = plus(rows[40:], np.array([5.0, 0.0, 0.0, 0.0, 2.0, 0.0]))
    smoother = replace(KalmanGated(), patience=patience)
    got = run(smoother, rows, dt_s)
    at = 40 + patience - 1
    assert (got.weight[40:at] == 0.0).all() and (got.weight[at:] == 1.0).all()
    np.testing.assert_allclose(minus(got.rows[at:], rows[at:]), 0.0, atol=1e-12)
    fresh = run(smoother, rows[at:], dt_s[at:])
    np.testing.assert_allclose(got.variance[at:], fresh.variance, rtol=1e-12)
    np.testing.assert_allclose(got.twist[at:], 0.0, atol=1e-12)


def test_scattered_outliers_never_wear_the_patience_out():
    rows, dt_s = still(200)
    rows[20::3, 0, 0] += 4.0
    rows[21::3, 0, 0] -= 4.0  # two of three are wild
    got = run(KalmanGated(patience=3), rows, dt_s)
    np.testing.assert_allclose(got.rows[..., 0], 1.0, atol=1e-12)


def test_without_rejects_the_gate_changes_nothing():
    rows, dt_s = recording(np.random.default_rng(4), 200, 3, 7)
    free, gated = (run(kind(sigma_m=1.0, sigma_rad=1.0), rows, dt_s)
                   for kind in (Kalman, KalmanGated))
    assert (gated.weight == 1.0).all()
    for part, other in zip(free, gated):
        np.testing.assert_array_equal(part, other)


@pytest.mark.parametrize('name, value', [
    ('sigma_m', 0.0), ('accel_density', -1.0), ('sigma_rad', math.nan), ('patience', 0),
    ('reject_probability', 0.0), ('reject_probability', 1.0),
    ('speed_sigma_m_s', np.array([[1.0], [0.0]]))])
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ParameterError, match=f'got {name} '):
        KalmanGated(**{name: value})
