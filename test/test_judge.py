# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A run is judged whatever it is like: every figure is right or None."""

import json
import math
import warnings

import numpy as np
import pytest

from liquid_ros.checkpoint import build
from liquid_ros.errors import InputError
from liquid_ros.evaluation.judge import judge, summary
from liquid_ros.evaluation.replay import Tally
from liquid_ros.evaluation.runs import Run
from liquid_ros.evaluation.scenario import made_up
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
        truth=None if truth is None else truth[kept], truth_name='/truth' if truth is not None
        else '')


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


def test_a_truth_in_another_frame():
    run = sample(width=3)
    angle = 0.8
    turn = np.array([[math.cos(angle), -math.sin(angle), 0.0],
                     [math.sin(angle), math.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    near, far = judge(run), judge(replayed(run.stamps_ns, run.raw, run.truth @ turn.T + [9, 5, 1]))
    assert far.rows[1].rmse_m > 5.0
    assert far.rows[1].rmse_aligned_m == pytest.approx(near.rows[1].rmse_aligned_m, rel=1e-6)


def test_bad_axes_and_empty_runs():
    run = sample(1.0)
    for axes in ((), (3,), (-1,)):
        with pytest.raises(InputError, match='expected some of 0, 1, 2'):
            judge(run, axes=axes)
