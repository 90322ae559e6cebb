# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The One-Euro filter and the exponential average against their definitions."""

import math

import numpy as np
from problems import line, recording, run, spin
import pytest

from liquid_ros.errors import ParameterError
from liquid_ros.smoothers.ema import Ema
from liquid_ros.smoothers.one_euro import OneEuro


def one_euro_ref(values, dt_s, min_cutoff_hz, beta, d_cutoff_hz):
    """Return the output for one axis, line by line as in the paper."""
    def alpha(cutoff_hz, step_s):
        tau_s = 1.0 / (2.0 * math.pi * cutoff_hz)
        return 1.0 / (1.0 + tau_s / step_s)

    filtered, speed, out = values[0], 0.0, [values[0]]
    for value, step_s in zip(values[1:], dt_s[1:]):
        raw = (value - filtered) / step_s
        speed = alpha(d_cutoff_hz, step_s) * raw + (1.0 - alpha(d_cutoff_hz, step_s)) * speed
        gain = alpha(min_cutoff_hz + beta * abs(speed), step_s)
        filtered = gain * value + (1.0 - gain) * filtered
        out.append(filtered)
    return np.array(out)


def test_the_paper_s_filter_on_each_axis():
    rows, dt_s = recording(np.random.default_rng(0), 300, 2, 3)
    dt_s[100], dt_s[150] = 1e-9, 4.0
    got = run(OneEuro(min_cutoff_hz=0.7, beta=3.0, d_cutoff_hz=1.3), rows, dt_s)
    for b in range(2):
        for axis in range(3):
            expected = one_euro_ref(rows[:, b, axis], dt_s[:, b, 0], 0.7, 3.0, 1.3)
            np.testing.assert_allclose(got.rows[:, b, axis], expected, atol=1e-11)


def test_about_one_axis_a_rotation_is_a_number():
    rows, dt_s = recording(np.random.default_rng(1), 300, 1, 3)
    angles = np.concatenate([rows[:, 0, :1], np.zeros((300, 2))], 1)
    one = np.array([0.0, 0.0, 0.0, 1.0])
    poses = np.concatenate([rows, spin(np.ones(300), one, angles)[:, None]], -1)
    got = run(OneEuro(min_cutoff_hz=0.7, beta=0.0, beta_rotation=3.0), poses, dt_s)
    expected = one_euro_ref(angles[:, 0], dt_s[:, 0, 0], 0.7, 3.0, 1.0)
    turned = spin(np.ones(300), one, expected[:, None] * np.array([1.0, 0.0, 0.0]))
    same = np.abs((got.rows[:, 0, 3:] * turned).sum(-1))
    np.testing.assert_allclose(same, 1.0, atol=1e-13)
    np.testing.assert_allclose(got.rows[:, 0, 0],
                               one_euro_ref(rows[:, 0, 0], dt_s[:, 0, 0], 0.7, 0.0, 1.0))


@pytest.mark.parametrize('beta', [0.0, 1.0, 100.0])
def test_the_twist_of_a_steady_motion_is_its_speed(beta):
    times = np.arange(1500) * 0.01
    velocity, rate = np.array([1.0, -0.5, 0.25]), np.array([0.0, 0.0, 0.8])
    rows = np.concatenate([line(times, np.ones(3), velocity),
                           spin(times, np.array([0.0, 0.6, 0.0, 0.8]), rate)], 1)[:, None]
    got = run(OneEuro(min_cutoff_hz=0.5, beta=beta, beta_rotation=beta), rows,
              np.full((1500, 1, 1), 0.01))
    np.testing.assert_allclose(got.twist[-1, 0], np.r_[velocity, rate], atol=1e-4)


def test_beta_takes_the_lag_away():
    times = np.arange(500) * 0.01
    rows = line(times, np.zeros(3), np.ones(3))[:, None]
    lag = [(rows - run(OneEuro(beta=beta), rows, np.full((500, 1, 1), 0.01)).rows)[-1, 0, 0]
           for beta in (0.0, 1.0, 10.0)]
    assert lag[0] > 2.0 * lag[1] > 4.0 * lag[2] > 0.0
    assert abs(lag[0] - 1.0 / (2.0 * math.pi)) < 0.01  # v / (2 pi f)


@pytest.mark.parametrize('parts', [1, 2, 7])
def test_the_average_s_step_response_is_exact_at_any_dt(parts):
    rng = np.random.default_rng(2)
    dt_s = np.concatenate([[0.0], rng.dirichlet(np.ones(parts)) * 0.3])[:, None, None]
    rows = np.ones((parts + 1, 1, 3))
    rows[0] = 0.0
    got = run(Ema(tau_s=0.2), rows, dt_s).rows[-1]
    np.testing.assert_allclose(got, 1.0 - math.exp(-0.3 / 0.2), rtol=1e-14)


@pytest.mark.parametrize('smoother', [Ema(tau_s=0.2), OneEuro(beta=0.0, beta_rotation=0.0)])
def test_the_variance_covers_the_error_on_noise_around_rest(smoother):
    noise = 0.02 * np.random.default_rng(3).normal(size=(1500, 50, 3))
    got = run(smoother, noise, np.full((1500, 50, 1), 0.02))
    ratio = (got.rows**2)[200:].mean() / got.variance[200:].mean()
    assert 0.4 < ratio < 0.6  # the docstring says half
    assert abs(got.nis[200:].mean() - 3.0) < 0.1
    early = (got.rows**2)[2:10].mean() / got.variance[2:10].mean()
    assert 0.3 < early < 1.0


def test_a_burst_of_stamps_does_not_make_the_variance_small():
    rows, dt_s = recording(np.random.default_rng(4), 200, 1, 3)
    dt_s[150:160] = 1e-9
    variance = run(Ema(), rows, dt_s).variance
    assert variance[150:160].min() > 0.3 * variance[149].min()


@pytest.mark.parametrize('smoother, settings', [
    (Ema, {'tau_s': [0.01, 0.1, 1.0]}),
    (OneEuro, {'min_cutoff_hz': [0.1, 1.0, 9.0], 'beta': [0.0, 1.0, 50.0],
               'beta_rotation': [9.0, 0.0, 1.0], 'd_cutoff_hz': [0.5, 1.0, 2.0]})])
def test_settings_per_stream_are_settings(smoother, settings):
    rows, dt_s = recording(np.random.default_rng(5), 100, 3, 7)
    swept = run(smoother(**{name: np.array(values)[:, None]
                            for name, values in settings.items()}), rows, dt_s)
    for b in range(3):
        alone = run(smoother(**{name: values[b] for name, values in settings.items()}),
                    rows[:, b:b + 1], dt_s[:, b:b + 1])
        for part, swept_part in zip(alone, swept):
            np.testing.assert_allclose(part[:, 0], swept_part[:, b], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('smoother, name, value', [
    (Ema, 'tau_s', 0.0), (Ema, 'tau_s', math.nan), (Ema, 'tau_s', np.array([[0.1], [-1.0]])),
    (OneEuro, 'min_cutoff_hz', 0.0), (OneEuro, 'd_cutoff_hz', -1.0), (OneEuro, 'beta', -1e-9),
    (OneEuro, 'beta_rotation', math.nan), (OneEuro, 'beta', np.array([[0.0], [-1.0]]))])
def test_settings_out_of_range_are_refused(smoother, name, value):
    with pytest.raises(ParameterError, match=f'got {name} '):
        smoother(**{name: value})
