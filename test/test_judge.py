# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A run is judged whatever it is like: every figure is right or None."""

from dataclasses import replace
from functools import lru_cache
import json
import math
from pathlib import Path
import warnings

import numpy as np
import pytest

from liquid_ros.checkpoint import build
from liquid_ros.errors import InputError
from liquid_ros.evaluation.alignment import w_first
from liquid_ros.evaluation.judge import judge, RATIOS, summary
from liquid_ros.evaluation.report_tables import truth_text
from liquid_ros.evaluation.runs import Run
from liquid_ros.evaluation.scenario import made_up
from liquid_ros.evaluation.table import text_of
from liquid_ros.evaluation.tally import Tally
from liquid_ros.evaluation.verdict import digits, length, percent
from liquid_ros.evaluation.view import view
from liquid_ros.manifold import quat_multiply
from liquid_ros.smoothers.rts import has_hindsight, Window
from liquid_ros.streams import StreamBank
from liquid_ros.timing import RESTARTS


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield


def replayed(stamps_ns, rows, truth=None, smoother='liquid', frames=None):
    """Return the Run of a stream as the node would smooth it."""
    model, tally = build(smoother), Tally()
    bank = StreamBank(model, rows.shape[1])
    kept, starts, parts, offline = [], [], [], []
    for k, stamp_ns in enumerate(stamps_ns):
        update = bank.update(('s',), (int(stamp_ns),), rows[k:k + 1])
        tally.add(update)
        if not update.accepted[0]:
            continue
        kept.append(k)
        starts.append(update.arrivals[0] in RESTARTS)
        parts.append(update.estimate)
        if has_hindsight(model):
            if starts[-1]:
                offline.append(Window(model, 10**6))
            offline[-1].add(int(stamp_ns), bank.peek('s'))
    estimate = [np.concatenate(part) for part in zip(*parts)]
    smoothed = [window.smooth() for window in offline]
    return Run(
        '/pose', 'geometry_msgs/msg/PoseStamped', 'map', smoother,
        np.array(stamps_ns, dtype=np.int64)[kept], rows[kept], *estimate[:3], estimate[3],
        estimate[4], np.array(starts), tally,
        offline=np.concatenate([one.rows for one in smoothed]) if smoothed else None,
        offline_variance=np.concatenate([one.variance for one in smoothed]) if smoothed else None,
        expected=np.concatenate([one.expected for one in smoothed]) if smoothed else None,
        truth=None if truth is None else truth[kept], truth_name='/truth' if truth is not None
        else '')


@lru_cache(maxsize=None)  # a Run is not changed by anyone
def sample(seconds=8.0, width=7, truth=True, **kind):
    scenario = made_up(seconds)
    return replayed(scenario.stamps_ns, scenario.rows[:, :width],
                    scenario.truth[:, :width] if truth else None, **kind)


def row(judged, name):
    return next(row for row in judged.rows if row.name == name)


def test_a_pose_stream_with_truth():
    judged = judge(sample())
    raw, smooth, offline = judged.rows[:3]
    assert [one.name for one in judged.rows[:3]] == ['raw', 'liquid', 'liquid_offline']
    assert smooth.rmse_m < raw.rmse_m and offline.rmse_m < smooth.rmse_m
    assert smooth.rotation_deg < raw.rotation_deg and smooth.jerk_m_s3 < raw.jerk_m_s3
    assert abs(smooth.lag_s) < 0.05 and 0.1 < smooth.nees < 10.0
    assert smooth.causal and not smooth.in_hindsight and not offline.causal
    assert judged.ratios['rmse_ratio'] == pytest.approx(smooth.rmse_m / min(
        one.rmse_m for one in judged.rows if one.in_hindsight and one.causal))


@pytest.mark.parametrize('count', [1, 2, 3, 11])
@pytest.mark.parametrize('width', [3, 7])
@pytest.mark.parametrize('truth', [False, True])
def test_a_run_of_a_few_messages_has_no_figures_yet(count, width, truth):
    scenario = made_up(1.0)
    judged = judge(replayed(scenario.stamps_ns[:count], scenario.rows[:count, :width],
                            scenario.truth[:count, :width] if truth else None))
    assert judged.rows[1].rmse_m is None and judged.rows[1].lag_s is None
    json.dumps(summary(judged), allow_nan=False)


def test_bad_axes_and_empty_runs():
    run = sample(1.0)
    for axes in ((), (3,), (-1,)):
        with pytest.raises(InputError, match='expected some of 0, 1, 2'):
            judge(run, axes=axes)


# -- odd runs -------------------------------------------------------------------------------------

def numbers(judged):
    """Return every figure that was told."""
    found = [value for one in judged.rows for value in vars(one).values()
             if isinstance(value, float)]
    return found + list(judged.ratios.values())


@lru_cache(maxsize=None)
def judged_odd(kind):
    return judge(odd(kind))


def odd(kind):
    """Return a Run that is unlike what figures are made for."""
    scenario = made_up(6.0)
    stamps, rows, truth = list(scenario.stamps_ns), scenario.rows.copy(), scenario.truth.copy()
    if kind == 'constant':
        rows[:] = rows[0]
        truth[:] = rows[0]
    elif kind == 'planar':
        rows[:, 2] = truth[:, 2] = 0.0
        rows[:, 3:5] = truth[:, 3:5] = 0.0
        for part in (rows, truth):
            part[:, 3:] /= np.linalg.norm(part[:, 3:], axis=1, keepdims=True)
    elif kind == 'holes in the truth':
        truth[60:140] = np.nan
        truth[::7] = np.nan
    elif kind == 'truth of nothing':
        truth[:] = np.nan
    elif kind == 'truth without rotations':
        truth = truth[:, :3]
    elif kind == 'truth of x and y':
        truth[:, 2:] = np.nan
    elif kind == 'truth at one place':
        truth[:] = truth[0]
    elif kind == 'gaps':
        stamps = [stamp + 10**10 * (k // 50) for k, stamp in enumerate(stamps)]
    elif kind == 'clock back':
        stamps = [stamp - (3 * 10**9 if k >= 150 else 0) for k, stamp in enumerate(stamps)]
    elif kind == 'bursts':
        stamps = [stamps[0] + 10**8 * (k // 5) + 10**3 * (k % 5) for k in range(len(stamps))]
    elif kind == 'slow':
        stamps = [stamps[0] + 4 * 10**9 * k for k in range(len(stamps))]
    elif kind == 'outliers':
        rows[20::4, :3] += np.random.default_rng(0).normal(size=rows[20::4, :3].shape) * 1e4
    elif kind == 'grains':
        rows[:, :3] = np.round(rows[:, :3], 2)
    elif kind == 'no noise':
        rows = truth.copy()
    elif kind == 'far away':
        rows[:, :3] += [4e5, 5e6, 200.0]
        truth[:, :3] += [4e5, 5e6, 200.0]
    return replayed(stamps, rows, truth)


KINDS = ['constant', 'planar', 'holes in the truth', 'truth of nothing', 'truth of x and y',
         'truth without rotations', 'truth at one place', 'gaps', 'clock back', 'bursts', 'slow',
         'outliers', 'grains', 'no noise', 'far away']


@pytest.mark.parametrize('kind', KINDS)
def test_an_odd_run(kind):
    judged = judged_odd(kind)
    assert all(math.isfinite(value) for value in numbers(judged))
    assert all(one.lag_s is None or -0.5 < one.lag_s < 4.0 for one in judged.rows)
    assert 1 <= len(judged.verdict) <= 6 and not any('nan' in text for text in judged.verdict)
    assert all(len(series) for series in judged.series.values())
    json.dumps(summary(judged), allow_nan=False)


def test_nothing_is_late_where_nothing_moves():
    for kind in ('constant', 'truth at one place'):
        assert judged_odd(kind).rows[1].lag_s is None


def test_a_planar_run_is_judged_on_the_axes_that_move():
    run = odd('planar')
    assert judge(run).stream['axes'] == 'xy'
    run.truth[:, 2] = 1.2  # the height of the marker, which the sensor does not measure
    judged = judge(run, baselines=False)
    assert judged.stream['axes'] == 'xy' and not judged.stream['frames_differ']
    assert judged.rows[1].rmse_m < 0.05
    assert judge(run, axes=(0, 1, 2), baselines=False).rows[1].rmse_m > 1.1


def test_holes_in_the_truth_leave_the_rest_as_it_is():
    whole, holes = odd('far away'), odd('far away')
    holes.truth[150:180] = np.nan
    kept = np.isfinite(holes.truth[:, 0])
    seen, judged = judge(whole, baselines=False), judge(holes, baselines=False)
    assert judged.stream['judged'] == seen.stream['judged'] - int((~kept).sum())
    error = np.linalg.norm(holes.smooth[:, :3] - holes.truth[:, :3], axis=1)
    settled = (holes.times_s >= 1.0) & (np.arange(len(kept)) >= 10) & kept
    assert judged.rows[1].rmse_m == pytest.approx(np.sqrt(np.mean(error[settled]**2)), rel=1e-6)


def test_runs_that_begin_anew_do_not_mix():
    judged = judged_odd('gaps')
    run = judged.run
    assert run.starts.sum() > 3
    assert judged.stream['restarted'] == run.starts.sum() - 1
    assert judged.stream['gaps'] == 1  # the blackout, within a run
    assert judged.stream['duration_s'] < 7.0


# -- against the truth and without ----------------------------------------------------------------

def test_a_rotated_truth_is_told_and_taken_into_account():
    run = sample()
    angle = 0.8
    turn = np.array([0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2)])
    matrix = np.array([[math.cos(angle), -math.sin(angle), 0.0],
                       [math.sin(angle), math.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    truth = np.concatenate([run.truth[:, :3] @ matrix.T + [9.0, 5.0, 1.0], quat_multiply(
        np.broadcast_to(turn, (len(run.truth), 4)), run.truth[:, 3:])], axis=1)
    near, far = judge(run), judge(replace(run, truth=truth))
    assert far.stream['frames_differ'] and 'different frames' in far.verdict[0]
    assert far.stream['frame_turn_deg'] == pytest.approx(math.degrees(angle), abs=2.0)
    for one, other in zip(near.rows[:3], far.rows[:3]):
        assert other.rmse_m > 5.0
        assert other.rmse_aligned_m == pytest.approx(one.rmse_aligned_m, rel=1e-3)
        assert other.rotation_deg == pytest.approx(one.rotation_deg, abs=1.0)
    assert far.ratios['rmse_ratio'] == pytest.approx(near.ratios['rmse_ratio'], rel=0.1)


def test_a_truth_of_a_body_that_is_mounted_otherwise_is_told():
    run = sample()
    turn = np.array([0.5, 0.5, 0.5, 0.5])  # a third of a turn
    truth = np.concatenate([run.truth[:, :3], quat_multiply(
        run.truth[:, 3:], np.broadcast_to(turn, (len(run.truth), 4)))], axis=1)
    near, far = judge(run), judge(replace(run, truth=truth))
    assert near.stream['mounting_deg'] is None and 'mounted' not in ' '.join(near.verdict)
    assert far.stream['mounting_deg'] == pytest.approx(120.0, abs=1.0)
    assert far.stream['mounting_rest_deg'] == pytest.approx(near.rows[0].rotation_deg, rel=0.05)
    assert 'turned by 120' in ' '.join(far.verdict)


@pytest.mark.parametrize('wrong', ['the truth', 'the messages'])
def test_quaternions_with_w_first_are_told(wrong):
    run = sample()
    rows = {'truth': run.truth, 'raw': run.raw, 'smooth': run.smooth}
    rows = {name: np.concatenate([values[:, :3], np.roll(values[:, 3:], 1, axis=1)], axis=1)
            for name, values in rows.items() if (name == 'truth') == (wrong == 'the truth')}
    assert f'quaternions of {wrong} look as if w came first' in ' '.join(
        judge(replace(run, **rows)).verdict)
    assert 'w came first' not in ' '.join(judge(run).verdict)


def test_of_rotations_that_never_change_none_is_wrong():
    rng = np.random.default_rng(1)
    for _ in range(50):
        quats = rng.standard_normal((2, 1, 4))
        one, other = np.repeat(quats / np.linalg.norm(quats, axis=-1)[..., None], 90, 1)
        assert w_first(one, other) == ''


def test_of_turns_about_one_axis_either_may_be_wrong():
    run, angle = sample(), np.linspace(0.0, 3.0, len(sample().truth))
    turn = np.stack([0 * angle, 0 * angle, np.sin(angle / 2), np.cos(angle / 2)], 1)
    truth, wrong = (np.concatenate([run.truth[:, :3], q], 1) for q in (turn, np.roll(turn, 1, 1)))
    odd = replace(run, truth=truth, raw=wrong, smooth=wrong)
    assert 'quaternions of the truth or the messages look' in ' '.join(judge(odd).verdict)


def test_who_turned_a_knob_has_tuned_it():
    assert 'which nobody tuned' in ' '.join(judge(sample()).verdict)
    text = ' '.join(judge(replace(sample(), tuned=True)).verdict)
    assert 'nobody tuned' not in text and 'liquid, as set,' in text


def test_without_truth_rotations_are_told_too():
    judged = judge(replace(sample(), truth=None))
    own = judged.rows[1].rotation_to_offline_deg
    assert own and f'its rotations within {digits(own)} degrees' in judged.verdict[0]
    assert 'rotation off RTS (deg)' in text_of(judged)


def test_a_truth_in_millimetres_is_told():
    run = sample()
    scale = np.repeat([1000.0, 1.0], [3, 4])
    for size in (1000.0, 100.0, 0.01):
        told = judge(replace(run, truth=run.truth * np.where(scale > 1.0, size, 1.0))).verdict[0]
        assert told.startswith('The truth moves like the messages, but ')
        assert told.endswith('times as far: both are expected in metres.')
    still = np.repeat(run.truth[:1], len(run.truth), 0)
    still[:, 0] += np.linspace(0.0, 5e-5, len(still))
    noise = replace(run, truth=still, raw=still + run.raw - run.truth)
    for fine in (run, noise):
        assert 'metres' not in ' '.join(judge(fine).verdict)


def test_a_truth_of_another_clock_is_told():
    run = sample()
    shift = 10  # of messages at 50 Hz
    late = replace(run, truth=np.concatenate([run.truth[shift:], np.repeat(
        run.truth[-1:], shift, 0)]))
    text = ' '.join(judge(late).verdict)
    assert 'It adds next to no lag' in text and 'so late, clocks may differ' in text
    assert 'clocks' not in ' '.join(judge(run).verdict)
    shift = 4
    early = replace(run, truth=np.concatenate([np.repeat(run.truth[:1], shift, 0),
                                               run.truth[:-shift]]))
    text = ' '.join(judge(early).verdict)
    assert 'cannot be ahead, so clocks may differ' in text and 'errors that last' not in text


@pytest.mark.parametrize('moves, width', [(0.0, 7), ([0.3, 0.2, 0.0], 7), (0.0, 3)])
def test_what_positions_do_not_tell_of_two_frames_is_no_figure(moves, width):
    rng, count = np.random.default_rng(0), 200
    truth = np.zeros((count, 7))
    truth[:, :3] = np.arange(count)[:, None] * 0.03 * np.array(moves)
    truth[:, 6] = 1.0
    rows = truth + rng.normal(size=truth.shape) * 0.01
    run = replayed(np.arange(count) * 30_000_000, rows[:, :width], truth[:, :width])
    near, far = judge(run), judge(replace(run, truth=run.truth + np.eye(7)[0, :width] * 5.0))
    assert far.stream['frames_differ'] and far.stream['frame_turn_deg'] is None
    assert 'do not tell how far they are turned' in far.verdict[0]
    assert {one.rotation_deg for one in far.rows} == {None}
    assert not {'rotation_ratio', 'rotation_over_raw'} & set(far.ratios)
    assert far.stream['frame_offset_m'] == pytest.approx(5.0, abs=0.1)
    for one, other in zip(near.rows[:3], far.rows[:3]):
        assert other.rmse_aligned_m == pytest.approx(one.rmse_aligned_m, rel=1e-3)
    assert far.rows[1].nees < 3.0  # of positions alone
    assert 'deg' not in truth_text(far) and 'rotations not told' in truth_text(far)


def test_without_truth_the_hindsight_is_the_reference():
    run = sample(truth=False)
    judged = judge(run)
    raw, own, offline = judged.rows[:3]
    assert judged.stream['reference'] == 'liquid_offline'
    assert own.rmse_m is None and own.rmse_to_offline_m < raw.rmse_to_offline_m
    assert own.jitter_m < raw.jitter_m and own.log_likelihood > raw.log_likelihood
    assert abs(own.lag_to_offline_s) < 0.05 and offline.rmse_to_offline_m is None
    assert {one.name for one in judged.rows[3:]} == {'ema', 'one_euro', 'kalman', 'kalman_gated'}
    assert all('by likelihood' in one.label for one in judged.rows[3:])
    assert set(judged.ratios) == {'jitter_ratio', 'jitter_rotation_ratio', 'likelihood_gain'}
    assert all('jitter' not in text or 'lag' in text or 'RMS' in text for text in judged.verdict)


def test_a_low_pass_is_late_against_a_smoother_of_the_stream_itself():
    scenario = made_up(8.0)
    run = replayed(scenario.stamps_ns, scenario.rows, smoother='ema')
    judged = judge(run)
    assert judged.stream['reference'] == 'kalman_rts'
    assert 0.03 < judged.rows[1].lag_to_offline_s < 0.2  # tau is 0.1 s
    assert 'late' in ' '.join(judged.verdict)


def test_the_ratios_are_those_of_the_rows():
    judged = judge(sample())
    own = judged.rows[1]
    tuned = [one for one in judged.rows if one.in_hindsight and one.causal]
    best = min(tuned, key=lambda one: one.rmse_m)
    assert len(tuned) == 4 and set(judged.ratios) == set(RATIOS)
    assert judged.ratios['rmse_ratio'] == own.rmse_m / best.rmse_m
    assert judged.ratios['accel_ratio'] == own.accel_error_m_s2 / best.accel_error_m_s2
    assert judged.ratios['rotation_ratio'] == own.rotation_deg / min(
        one.rotation_deg for one in tuned)
    assert judged.ratios['lag_over_best_s'] == own.lag_s - best.lag_s
    assert judged.ratios['offline_ratio'] == row(judged, 'liquid_offline').rmse_m / row(
        judged, 'kalman_rts').rmse_m
    for name, sweep in judged.sweeps.items():
        assert row(judged, name).rmse_m == pytest.approx(np.nanmin(sweep['rmse_m']), rel=1e-9)
        at = int(np.nanargmin(sweep['rmse_m']))
        assert row(judged, name).jitter_m == pytest.approx(sweep['jitter_m'][at], rel=1e-9)
        assert row(judged, name).lag_s == pytest.approx(sweep['lag_s'][at], abs=2e-3)


def test_no_baselines_where_none_are_asked_for():
    judged = judge(sample(4.0), baselines=False)
    assert [one.name for one in judged.rows] == ['raw', 'liquid', 'liquid_offline']
    assert not judged.sweeps and 'rmse_ratio' not in judged.ratios
    assert set(summary(judged)['ratios']) == set(RATIOS)


def test_progress_goes_from_nothing_to_one():
    told = []
    judge(sample(3.0), progress=told.append)
    assert told[0] == 0.0 and told[-1] == 1.0 and told == sorted(told)


def test_lines_of_a_long_run_keep_their_peaks():
    run = sample(150.0, width=3, smoother='ema')
    judged = judge(run, baselines=False)
    index, error = judged.series['index'], judged.series['error_raw']
    assert len(index) <= 5000 < len(run.raw) and (np.diff(index) > 0).all()
    every = np.linalg.norm(run.raw - run.truth, axis=1)
    np.testing.assert_allclose(error, every[index], atol=1e-9)
    assert error.max() == pytest.approx(every.max())


def test_every_figure_is_in_the_docs():
    text = (Path(__file__).resolve().parents[1] / 'docs' / 'evaluation.md').read_text()
    judged = judge(sample(3.0))
    keys = [*RATIOS, *(key for key in vars(judged.rows[0]) if key not in ('name', 'label')),
            *(key for key in judged.stream if not key.endswith('_rotation'))]
    keys = [key for key in keys if key not in ('nis_median_position', 'nis_above_95_position',
                                               'nis_expected_position')]
    series = [key for key in judged.series if not key.startswith('spectrum_')]
    assert [key for key in keys + series if f'`{key}`' not in text] == []


# -- in words -------------------------------------------------------------------------------------

def test_the_verdict_is_honest_where_the_smoother_loses():
    run = sample()
    frozen = replace(run, smooth=np.repeat(run.raw[:1], len(run.raw), 0))
    text = ' '.join(judge(frozen).verdict)
    assert 'further from the truth' in text and 'the better choice here' in text
    late = replace(run, smooth=np.concatenate([np.repeat(run.truth[:1], 15, 0), run.truth[:-15]]))
    judged = judge(late)
    assert 'It is late by' in ' '.join(judged.verdict)
    assert judged.rows[1].lag_s == pytest.approx(15 / 50 / 0.97, abs=0.03)
    at = np.arange(len(late.raw))
    burst = judge(replace(late, stamps_ns=10**8 * (at // 5) + 10**5 * (at % 5)))
    assert 'It is late by 300 ms, 15.' in ' '.join(burst.verdict)


def test_the_verdict_tells_what_is_odd_about_the_recording():
    scenario = made_up(8.0)
    stamps, rows = list(scenario.stamps_ns), scenario.rows[:, :3].copy()
    stamps[100] = stamps[99]
    rows[200] = np.nan
    red = np.cumsum(np.random.default_rng(0).normal(size=rows.shape), 0)
    red -= np.array([np.convolve(column, np.ones(25) / 25, 'same') for column in red.T]).T
    rows += 0.05 * red  # errors that last
    rows[50::20] += 40.0
    text = judge(replayed(stamps, rows, scenario.truth[:, :3])).verdict[-1]
    for word in ('duplicate', 'non finite', 'gap', 'outliers'):
        assert word in text, text


@pytest.mark.parametrize('value, text', [
    (0.0, '0 mm'), (0.0123456, '12.3 mm'), (1.0, '1.00 m'), (1234.5, '1234 m'), (2e-9, '2e-06 mm'),
    (None, 'unknown'), (0.9999, '1000 mm')])
def test_lengths_in_words(value, text):
    assert length(value) == text


@pytest.mark.parametrize('value, text', [
    (0.5, '50 % less'), (1.25, '25 % more'), (1.01, 'about the same'), (4.0, '4.00 times as much'),
    (0.001, 'more than 99 % less')])
def test_ratios_in_words(value, text):
    assert percent(value) == text


def test_there_is_nothing_to_gain_where_nothing_is_wrong():
    assert 'nothing to gain' in judged_odd('no noise').verdict[0]
    assert 'nothing to gain' in judged_odd('constant').verdict[0]


# -- the ranking without truth --------------------------------------------------------------------

def test_the_likelihood_ranks_as_the_truth_does():
    pytest.importorskip('torch')
    from liquid_ros.training.motions import chain, Clock
    rng = np.random.default_rng(0)
    agree = count = 0
    for index in (0.003, 0.02, 0.1, 0.4):  # sqrt(q dt^3 / R), of constant velocity
        dt = np.full((1, 500), 0.02)
        flat, still, q = np.zeros((1, 500, 3)), np.zeros((1, 1)), index**2 / dt[:, :1]**3
        truth = chain(rng, Clock(dt, np.cumsum(dt, 1), dt[:, :1], 3), flat + q[..., None], flat,
                      still, still, 10.0 * np.sqrt(q * 0.02) * np.ones((1, 3)))[0]
        stamps = (10**9 + np.arange(500) * 20_000_000).tolist()
        judged = judge(replayed(stamps, truth + rng.standard_normal(truth.shape), truth))
        rows = [one for one in judged.rows[1:] if one.causal]
        assert len(rows) == 5
        for k, one in enumerate(rows):
            for other in rows[:k]:
                if abs(math.log(one.rmse_m / other.rmse_m)) > 0.05:  # a difference that counts
                    count += 1
                    agree += (one.rmse_m < other.rmse_m) == (
                        one.log_likelihood > other.log_likelihood)
    assert count > 20 and agree / count > 0.95, f'{agree} of {count} pairs'


def test_what_is_sent_again_says_nothing_of_how_well_messages_are_expected():
    """Whoever holds the last value foresees a repeat; the next new one he does not."""
    made = made_up(20.0)
    again = np.arange(len(made.stamps_ns)) // 5 * 5
    run = replayed(made.stamps_ns, made.rows[again], made.truth)
    judged = judge(run)
    assert judged.ratios['rmse_ratio'] < 1.0 and judged.ratios['likelihood_gain'] > -1.0
    assert 'a worse idea' not in ' '.join(judged.verdict)


def test_a_first_run_of_one_message_takes_no_second_from_the_next():
    made = made_up(20.0)
    whole = view(replayed(made.stamps_ns, made.rows, made.truth))
    stamps = np.concatenate([[made.stamps_ns[0] - 10**10], made.stamps_ns])
    rows = np.concatenate([made.rows[:1] + 5.0, made.rows])
    truth = np.concatenate([made.truth[:1], made.truth])
    begun = view(replayed(stamps, rows, truth))
    assert begun.starts.sum() == 2
    assert abs(int(begun.judged.sum()) - int(whole.judged.sum())) <= 1
