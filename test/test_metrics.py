# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Figures against exact small cases, and against the project's score.py where it is there."""

import importlib.util
import json
import math
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from liquid_ros.errors import InputError
from liquid_ros.evaluation import hindsight
from liquid_ros.evaluation.filters import POSITIONS
from liquid_ros.evaluation.filters_turns import TURNS
from liquid_ros.evaluation.hindsight import best_in_hindsight, GRIDS, Track
from liquid_ros.evaluation.metrics import (
    accel_error,
    describe,
    jerk,
    lag,
    lag_sigma_s,
    pieces_of,
    rmse,
    rotation_rms_deg,
    scored,
)
from liquid_ros.manifold import plus, quat_exp, quat_multiply

SHARED = Path(__file__).resolve().parents[2] / 'shared'
RECORDINGS = ['sim_human_cartwheel_10mm', 'real_uwb_labyrinth_ls', 'sim_handheld_xyz_depth5x_ar']


def shared_score():
    spec = importlib.util.spec_from_file_location('score', SHARED / 'score' / 'score.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def noisy(seed=0, count=300, width=7, sigma=0.02):
    """Return times (N,), a smooth motion (N, width) and a noisy view of it."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.02, 0.04, count))
    wave = np.sin(times[:, None] * [0.7, 1.1, 1.3] + [0, 1, 2])
    start = np.broadcast_to([0.0, 0, 0, 1], (count, 4))
    truth = np.concatenate([wave, quat_multiply(start, quat_exp(0.3 * wave))], 1)[:, :width]
    axes = 3 if width == 3 else 6
    return times, truth, plus(truth, sigma * rng.normal(size=(count, axes)))


def test_rmse_of_a_constant_offset():
    truth = np.random.default_rng(0).normal(size=(20, 3))
    assert rmse(truth + [3.0, 4.0, 12.0], truth) == pytest.approx(13.0, abs=1e-12)


def test_accel_error_of_a_parabola_is_its_acceleration():
    times = np.arange(0, 5, 0.1)
    line = np.outer(times, [1.0, 2.0, 3.0])
    bend = np.outer(0.5 * times**2, [2.0, 3.0, 6.0])
    assert accel_error(times, line + bend, line) == pytest.approx(7.0, rel=1e-9)
    assert accel_error(times, line, 5.0 * line + 1.0) == pytest.approx(0.0, abs=1e-9)


def test_jerk_of_a_cubic_is_its_third_derivative():
    times = np.arange(0, 5, 0.1)
    assert jerk(times, np.outer(times**3 / 6, [3.0, 0.0, 4.0])) == pytest.approx(5.0, rel=1e-6)
    assert jerk(times, np.outer(times**2, [3.0, 0.0, 4.0])) == pytest.approx(0.0, abs=1e-8)


def test_a_frozen_output_is_smooth_and_wrong():
    times, truth, _ = noisy()
    frozen = np.repeat(truth[:1], len(truth), 0)
    figures = describe(times, frozen, truth)
    assert figures.jerk == 0.0 and figures.rmse > 0.5


@pytest.mark.parametrize('delay_s', [-0.06, 0.0, 0.09, 0.3])
def test_lag_of_a_delayed_copy(delay_s):
    times = np.arange(0, 20, 0.01)

    def path(t):
        return np.stack([np.sin(t), np.cos(1.3 * t), 0.1 * t], 1)

    found = lag(times, path(times - delay_s), path(times))
    assert found.delay_s == pytest.approx(delay_s, abs=1e-9)
    assert found.rmse < 1e-4


@pytest.mark.parametrize('rate_hz', [1.0, 2.0, 3.0, 6.0])
@pytest.mark.parametrize('noise', [0.005, 0.0005])
@pytest.mark.parametrize('delay_s', [-0.02, 0.0, 0.05])
def test_the_lag_of_periodic_motion_is_no_period_more(delay_s, noise, rate_hz):
    times = np.arange(500) / 30.0
    truth, late = (np.zeros((500, 3)) for _ in range(2))
    truth[:, 0] = 0.1 * np.sin(2.0 * np.pi * rate_hz * times)
    late[:, 0] = 0.1 * np.sin(2.0 * np.pi * rate_hz * (times - delay_s))
    late += noise * np.random.default_rng(0).standard_normal((500, 3))
    assert lag(times, late, truth).delay_s == pytest.approx(delay_s, abs=0.003)


@pytest.mark.parametrize('every_s, told', [(0.01, 200), (2.0, 11)])
def test_a_lag_is_as_sure_as_there_are_messages_or_tenths_of_a_second(every_s, told):
    times = np.arange(0.0, 20.0 + 0.5 * every_s, every_s)
    line = times[:, None] * [0.0, 3.0, 4.0]
    assert lag_sigma_s(times, line, 0.1) == pytest.approx(0.1 / (5.0 * np.sqrt(told)), rel=1e-6)


@given(angle=st.floats(-3.1, 3.1), seed=st.integers(0, 99), sign=st.sampled_from([-1.0, 1.0]))
@settings(deadline=None, max_examples=50)
def test_rotation_rms_of_one_turn(angle, seed, sign):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(8, 4))
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    axis = rng.normal(size=(8, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    turned = sign * quat_multiply(truth, quat_exp(angle * axis))
    assert rotation_rms_deg(turned, truth) == pytest.approx(abs(math.degrees(angle)), abs=1e-6)


def test_the_first_second_and_ten_messages_are_not_judged():
    assert scored(np.arange(0, 3, 0.02)).tolist() == [k >= 50 for k in range(150)]
    assert scored(np.arange(0, 30, 1.0)).tolist() == [k >= 10 for k in range(30)]


def test_only_the_axes_that_the_truth_can_judge_count():
    times, truth, measured = noisy(width=3)
    wrong = measured + [0.0, 0.0, 50.0]
    assert describe(times, wrong, truth, axes=(0, 1)) == describe(
        times, measured, truth, axes=(0, 1))


def test_figures_do_not_care_where_the_world_begins():
    times, truth, measured = noisy(width=3)
    far = np.array([5e5, 5e6, 100.0])
    near, away = describe(times, measured, truth), describe(times, measured + far, truth + far)
    assert away.rmse == pytest.approx(near.rmse, rel=1e-6)
    assert away.accel_error == pytest.approx(near.accel_error, rel=1e-5)


def test_nothing_spans_two_pieces():
    times, truth, measured = noisy(width=3)
    starts = np.isin(np.arange(300), [0, 120])
    judged = scored(times)
    judged[200:210] = False
    away = times + np.where(np.arange(300) >= 120, -3.0, 0.0)  # the clock goes back
    away[205:] += 60.0  # and nothing is judged for a minute
    pieces = pieces_of(away, starts, judged)
    first = int(np.argmax(judged))
    assert [(piece[0], piece[-1]) for piece in pieces] == [(first, 119), (120, 199), (210, 299)]
    # the step is that of all pieces together: so each is cut to dt = 0.03
    away = np.arange(300) * 0.03 + (away - times)
    parts = [(accel_error(away[p], measured[p], truth[p]), len(p) - 3) for p in pieces]
    pooled = np.sqrt(sum(n * one**2 for one, n in parts) / sum(n for _, n in parts))
    assert accel_error(away, measured, truth, pieces) == pytest.approx(pooled, rel=0.02)
    assert lag(away, measured, truth, pieces).delay_s == pytest.approx(0.0, abs=0.01)
    assert jerk(away, 0.0 * truth + np.cumsum(starts)[:, None], pieces) == 0.0
    assert pieces_of(away, starts, 0 * judged) == []


@pytest.mark.parametrize('known_s, every_s', [(1.0, 4.0), (2.0, 4.0), (0.5, 2.0)])
def test_a_line_across_a_hole_is_no_smooth_estimate(known_s, every_s):
    times, truth, measured = noisy(count=3000, width=3)
    kept = times % every_s < known_s
    pieces = pieces_of(times, np.zeros(len(times), bool), kept)
    assert len(pieces) == 1
    assert accel_error(times, measured, truth, pieces) == pytest.approx(
        accel_error(times, measured, truth), rel=0.1)
    assert jerk(times, measured, pieces) == pytest.approx(jerk(times, measured), rel=0.1)


def tracks(times, measured):
    """Return the positions of a recording and, of poses, its rotations, as they are swept."""
    dt_s, starts = np.diff(times, prepend=times[0]), np.arange(len(times)) == 0
    return [Track(dt_s, starts, measured[:, part])
            for part in (slice(0, 3), slice(3, 7)) if measured[:, part].size]


def whole_sweep(name, track):
    return (TURNS if track.rows.shape[1] == 4 else POSITIONS)[name](
        *track, GRIDS[name](track)).rows


@pytest.mark.parametrize('name', GRIDS)
@pytest.mark.parametrize('width', [3, 7])
def test_hindsight_is_the_best_row_of_the_sweep(name, width):
    times, truth, measured = noisy(width=width)
    best = best_in_hindsight(name, times, measured, truth)
    judged = scored(times)
    every = [whole_sweep(name, track) for track in tracks(times, measured)]
    errors = [rmse(every[0][judged, :, s], truth[judged, :3]) for s in range(every[0].shape[2])]
    assert rmse(best[judged, :3], truth[judged, :3]) == pytest.approx(min(errors), rel=1e-9)
    assert min(errors) < rmse(measured[judged, :3], truth[judged, :3])
    if width == 7:
        turns = [rotation_rms_deg(every[1][judged, :, s], truth[judged, 3:])
                 for s in range(every[1].shape[2])]
        assert rotation_rms_deg(best[judged, 3:], truth[judged, 3:]) == pytest.approx(
            min(turns), rel=1e-9)


def test_a_sweep_in_parts_is_the_same(monkeypatch):
    times, truth, measured = noisy(count=80)
    for name in GRIDS:
        whole = best_in_hindsight(name, times, measured, truth)
        monkeypatch.setattr(hindsight, 'MOST_NUMBERS', 80 * 10 * 7)
        parts = best_in_hindsight(name, times, measured, truth)
        monkeypatch.undo()
        np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-12)


def test_a_repeated_stamp_holds_the_output():
    times, truth, measured = noisy(count=60)
    times[40] = times[39]
    best = best_in_hindsight('kalman', times, measured, truth)
    assert np.array_equal(best[40], best[39]) and np.isfinite(best).all()


def test_an_unknown_baseline():
    times, truth, measured = noisy(count=30)
    with pytest.raises(InputError, match='ema, one_euro, kalman, kalman_gated'):
        best_in_hindsight('magic', times, measured, truth)


@pytest.mark.skipif(not SHARED.is_dir(), reason='score.py is not there')
@pytest.mark.parametrize('name', RECORDINGS)
def test_the_same_figures_as_score_py(name):
    score = shared_score()
    data = np.load(SHARED / 'data' / f'{name}.npz')
    times, rows, truth = (data[key].astype(float) for key in ('t', 'z', 'gt'))
    theirs = score.score(SHARED / 'data' / f'{name}.npz')
    axes = tuple(json.loads(str(data['meta'])).get('good_axes') or (0, 1, 2))
    ours = {'raw': describe(times, rows, truth, axes=axes)}
    for key, baseline in (('ema', 'ema'), ('one_euro', 'one_euro'), ('kalman_cv', 'kalman'),
                          ('kalman_gated', 'kalman_gated')):
        best = best_in_hindsight(baseline, times, rows, truth, axes)
        ours[key] = describe(times, best, truth, axes=axes)
    for key, figures in ours.items():
        assert figures.rmse == pytest.approx(theirs[key]['rmse'], rel=1e-6)
        assert figures.accel_error == pytest.approx(theirs[key]['accel'], rel=1e-5)
        assert figures.lag_s == pytest.approx(theirs[key]['lag_s'], abs=0.0061)
    for key, other in (('raw', 'raw'), ('ema', 'slerp'), ('kalman_cv', 'kalman_rot'),
                       ('kalman_gated', 'kalman_rot_gated')) if rows.shape[1] == 7 else ():
        assert ours[key].rotation_deg == pytest.approx(theirs[other]['rot_deg'], rel=1e-6)


def test_what_is_between_bursts_is_no_gap_of_differences():
    """Eight messages at a time: there is no stretch but across the waits."""
    times_s = np.repeat(np.arange(60) / 5.0, 8) + np.tile(np.arange(8) * 1e-4, 60)
    truth = np.stack([np.sin(times_s)] * 3, 1)
    rows = truth + 0.01 * np.random.default_rng(5).standard_normal(truth.shape)
    assert accel_error(times_s, rows, truth, [np.arange(len(times_s))]) > 1.0
