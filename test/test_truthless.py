# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a stream tells of itself, on streams of which it is known."""

import numpy as np
import pytest

from liquid_ros.evaluation.alignment import quat_of, turn_sigma_deg, umeyama
from liquid_ros.evaluation.likelihood import distances, level, mean_log_likelihood
from liquid_ros.evaluation.metrics import lag
from liquid_ros.evaluation.truthless import (
    autocorrelation,
    consistency,
    intervals,
    lags,
    ljung_box,
    parabola,
    spectrum,
)
from liquid_ros.manifold import quat_exp, quat_multiply

RNG = np.random.default_rng


def stamps(count=4000, seed=0, spread=0.9):
    """Return uneven times (N,), starts and settled (N,) of one run."""
    times = np.cumsum(RNG(seed).uniform(1.0 - spread, 1.0 + spread, count)) / 50.0
    return times, np.arange(count) == 0, np.ones(count, dtype=bool)


def test_jitter_of_white_noise_is_its_sigma_and_of_a_parabola_nothing():
    times, starts, settled = stamps()
    windows = parabola(times, starts, settled)
    noise = 0.02 * RNG(1).normal(size=(len(times), 3))
    assert windows.jitter(noise) == pytest.approx(0.02 * np.sqrt(3.0), rel=0.03)
    bend = times[:, None]**2 * [1.0, -2.0, 0.5] + times[:, None] * [3.0, 1.0, 0.0] + 7.0
    assert windows.jitter(bend) < 1e-8
    assert windows.jitter(noise + bend) == pytest.approx(float(windows.jitter(noise)), rel=1e-6)
    turns = quat_exp(0.02 * RNG(2).normal(size=(len(times), 3)))
    assert windows.turn_jitter(turns) == pytest.approx(0.02 * np.sqrt(3.0), rel=0.03)
    spin = quat_exp(times[:, None] * [0.0, 0.0, 2.0])
    assert windows.turn_jitter(spin) < 1e-8


def test_no_window_spans_two_runs_or_a_gap():
    times, starts, settled = stamps(200)
    times[100:] += 3.0
    starts[50] = True
    rows = np.zeros((200, 1))
    rows[50:] += 5.0
    rows[100:] -= 9.0
    windows = parabola(times, starts, settled)
    assert windows.jitter(rows) < 1e-9
    assert set(range(200)) - set(windows.at.tolist()) == {
        0, 1, 48, 49, 50, 51, 98, 99, 100, 101, 198, 199}


def test_dt_statistics_of_a_known_stream():
    times = np.concatenate([np.arange(100) * 0.1, 20.0 + np.arange(50) * 0.1])
    told = intervals(times, np.arange(150) == 0)
    assert told['dt_median_s'] == pytest.approx(0.1) and told['rate_hz'] == pytest.approx(10.0)
    assert (told['gaps'], told['gap_longest_s']) == (1, pytest.approx(10.1))
    assert told['dt_jitter_s'] == pytest.approx(0.0, abs=1e-9)
    starts = np.isin(np.arange(150), [0, 100])
    assert intervals(times, starts)['gaps'] == 0
    assert set(intervals(times[:1], starts[:1]).values()) == {None, 0}


@pytest.mark.parametrize('live', [1, 2, 3])
def test_nis_of_an_honest_filter(live):
    square = RNG(0).normal(size=(20000, live))**2
    for nis, mean_of_three in ((square.sum(1), False), (3.0 * square.mean(1), True)):
        told = consistency(nis, np.ones(len(nis), dtype=bool), live, mean_of_three)
        assert told['nis_mean'] == pytest.approx(told['nis_expected'], rel=0.03)
        assert told['nis_above_95'] == pytest.approx(0.05, abs=0.006)


def test_whiteness():
    white = RNG(0).normal(size=(3000, 3))
    pieces = [np.arange(0, 1500), np.arange(1500, 3000)]
    r, count = autocorrelation(white, pieces)
    assert len(r) == 21 and r[0] == 1.0 and np.abs(r[1:]).max() < 0.05
    assert ljung_box(r, count * 3) < 2.0
    red = white.copy()
    for k in range(1, len(red)):
        red[k] += 0.6 * red[k - 1]
    r, count = autocorrelation(red, pieces)
    np.testing.assert_allclose(r[1:5], 0.6 ** np.arange(1, 5), atol=0.06)
    assert ljung_box(r, count) > 20.0
    red[::100] = 1e6  # single outliers do not hide it
    assert autocorrelation(red, pieces)[0][1] > 0.4
    assert len(autocorrelation(white[:30], [np.arange(30)])[0]) == 0


def test_spectrum_of_white_noise_and_of_a_tone():
    times = np.arange(6000) / 100.0
    noise = 0.3 * RNG(0).normal(size=(6000, 1))
    hertz, density = spectrum(times, noise, [np.arange(6000)], 0.01)
    assert np.sum(density) * hertz[0] == pytest.approx(0.09, rel=0.05)  # Parseval
    assert density.max() < 4.0 * np.median(density)
    tone = np.sin(2.0 * np.pi * 12.5 * times)[:, None]
    hertz, density = spectrum(times, tone, [np.arange(6000)], 0.01)
    assert hertz[np.argmax(density)] == pytest.approx(12.5, abs=0.4)


@pytest.mark.parametrize('pieces', [1, 3])
def test_lags_at_once_are_the_lags_one_by_one(pieces):
    times, _, _ = stamps(2000, spread=0.2)
    truth = np.stack([np.sin(times), np.cos(1.3 * times), 0.1 * times], 1)
    split = np.array_split(np.arange(2000), pieces)
    rows = np.stack([np.stack([np.sin(times - late), np.cos(1.3 * (times - late)),
                               0.1 * (times - late)], 1) for late in (0.0, 0.037, 0.3, -0.05, 2.0)
                     ], axis=2)
    got = lags(times, rows, truth, split)
    want = [lag(times, rows[:, :, s], truth, split).delay_s for s in range(5)]
    np.testing.assert_allclose(got[:4], want[:4], atol=1.1e-3)
    assert np.isnan(got[4])  # beyond the grid; looked for one by one it is found
    assert want[4] == pytest.approx(2.0, abs=2e-3)


def test_alignment_undoes_a_rigid_motion():
    rng = RNG(0)
    points = rng.normal(size=(50, 3))
    quat = quat_exp(np.array([[0.3, -1.2, 2.0]]))[0]
    turned = np.stack([quat_multiply(quat_multiply(quat, np.append(p, 0.0)),
                                     quat * [-1, -1, -1, 1])[:3] for p in points])
    found = umeyama(points, turned + [5.0, -3.0, 900.0])
    np.testing.assert_allclose(found.moved(points), turned + [5.0, -3.0, 900.0], atol=1e-9)
    assert abs(quat_of(found.rotation) @ quat) == pytest.approx(1.0, abs=1e-12)
    flat = points * [1.0, 1.0, 0.0]  # a mirror image is no rotation
    assert np.linalg.det(umeyama(flat, flat * [1, -1, 1]).rotation) == pytest.approx(1.0)
    assert umeyama(points[:2], points[:2]) is None


@pytest.mark.parametrize('memory', [0.0, 0.9])
@pytest.mark.parametrize('size', [2, 3])
def test_the_standard_error_of_a_turn_is_how_far_turns_are_off(memory, size):
    t = np.linspace(0.0, 20.0, 400)
    points = np.stack([np.cos(t), 0.3 * np.sin(1.3 * t), 0.1 * np.sin(t)], 1)[:, :size]
    off, told = [], []
    for seed in range(60):
        noise = RNG(seed).normal(size=points.shape) * 0.02
        for k in range(1, len(noise)):
            noise[k] += memory * noise[k - 1]
        found = umeyama(points, points + noise)
        off.append(found.angle_deg)
        told.append(turn_sigma_deg(found, points, points + noise))
    assert 0.8 < np.mean(told) / np.sqrt(np.mean(np.square(off))) < 1.3


@pytest.mark.parametrize('moves', [0.0, [5.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
@pytest.mark.parametrize('jitter', [0.0, 1e-4, 1e-2])
def test_a_turn_is_free_at_rest_and_about_a_line(moves, jitter):
    """The messages' noise is 1 cm, and the truth may have one of its own."""
    way = np.linspace(-1.0, 1.0, 300)[:, None] * moves
    for seed in range(10):
        rng = RNG(seed)
        truth = np.broadcast_to(way, (300, 3)) + rng.normal(size=(300, 3)) * jitter
        messages = way + rng.normal(size=(300, 3)) * 0.01
        assert turn_sigma_deg(umeyama(truth, messages), truth, messages) > 5.0


def test_the_better_prediction_is_the_likelier_one():
    rng = RNG(0)
    steps = rng.normal(size=(1000, 3)) * [1.0, 10.0, 0.0]
    unit = level(steps)
    assert unit.live.tolist() == [True, True, False]
    missed = rng.normal(size=(1000, 3, 1)) * [1.0, 1.1, 2.0] * np.array([[[1.0], [10.0], [0.0]]])
    missed[::50] *= 40.0  # outliers strike all alike
    found = mean_log_likelihood(distances(missed, unit), unit)
    assert found[0] > found[1] > found[2]
    # twice the error of two axes: 2 log 2 nats
    assert found[0] - found[2] == pytest.approx(2.0 * np.log(2.0), abs=0.1)
    assert np.isnan(mean_log_likelihood(distances(missed[:10], unit), unit)).all()


def test_the_likelihood_is_that_of_a_density():
    rng = RNG(1)
    unit = level(rng.normal(size=(500, 1)))
    missed = rng.standard_t(4, size=(200000, 1, 1)) * 0.7
    found = mean_log_likelihood(distances(missed, unit), unit)[0]
    # differential entropy of t_4 and a scale, known in closed form: 1.6807 + log 0.7
    assert -found == pytest.approx(1.6807 + np.log(0.7), abs=0.02)


def test_a_level_of_grains_and_of_a_constant_pace():
    walk = np.cumsum(0.001 * RNG(0).normal(size=(400, 1)), axis=0)
    unit = level(np.diff(np.round(walk, 2), axis=0))
    assert unit.variance[0] >= 0.01**2 / 12.0 * 0.999
    pace = level(0.8 + 1e-3 * RNG(0).normal(size=(400, 1)))
    assert pace.variance[0] < 1e-5  # 0.8 m a message is no grain
    assert not level(np.zeros((50, 3))).live.any()


def test_an_axis_that_is_still_where_it_counts_says_nothing():
    normal = np.random.default_rng(0).normal(size=(400, 3))
    normal[10:, 2] = 0.0
    pieces = [np.arange(10, 400)]
    wanted, _ = autocorrelation(normal[:, :2], pieces)
    np.testing.assert_array_equal(autocorrelation(normal, pieces)[0], wanted)
    assert np.isfinite(wanted).all() and len(wanted) > 1
