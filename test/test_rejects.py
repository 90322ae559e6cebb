# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a stream that was held off, jumped or was lost for a while is taken for afterwards."""

import numpy as np
import pytest

from liquid_ros.checkpoint import build
from liquid_ros.smoothers.rejects import count, jumped, MEMORY, Rejects, remember

SHIPPED = build('liquid')
STREAMS, SIGMA = 24, 0.005


def motions(messages, rng, rate_hz=30.0):
    """Return smooth ways (T, B, 3) in m."""
    t = np.arange(messages)[:, None, None] / rate_hz
    out = np.zeros((messages, STREAMS, 3))
    for _ in range(4):
        size, phase = rng.uniform(0.1, 0.5, (2, STREAMS, 3))
        out += size * np.sin(2 * np.pi * (rng.uniform(0.05, 0.3, (STREAMS, 3)) * t + phase))
    return out


def smoothed(rows, rate_hz=30.0):
    """Return estimates and weights of rows (T, B, 3)."""
    state, estimate = SHIPPED.init(rows[0])
    out, weights = [estimate.rows], [estimate.weight]
    dt_s = np.full((rows.shape[1], 1), 1.0 / rate_hz)
    for row in rows[1:]:
        state, estimate = SHIPPED.step(state, row, dt_s)
        out.append(estimate.rows)
        weights.append(estimate.weight)
    return np.stack(out), np.stack(weights)


def rms(error):
    return np.sqrt((error**2).mean((0, 2)))


def geometric_mean(ratio):
    return np.exp(np.log(ratio).mean())


@pytest.mark.parametrize('event', ['a jump of 1.5 m', '20 messages of zeros'])
def test_an_accident_does_not_end_the_smoothing(event):
    """The noise as it came would be 1.5 times the error; it was that for 600 messages."""
    rng = np.random.default_rng(1)
    truth = motions(1100, rng) + 3.0
    rows = truth + SIGMA * rng.standard_normal(truth.shape)
    usual = rms((smoothed(rows)[0] - truth)[560:])
    if event == '20 messages of zeros':
        rows[500:520] = 0.0
    else:
        rows[500:] += 1.5
        truth[500:] += 1.5
    after = rms((smoothed(rows)[0] - truth)[560:])
    assert geometric_mean(after / usual) < 1.15


@pytest.mark.parametrize('axis, size', [(0, 3.0), (0, 1.0), (2, 3.0)])
def test_nor_does_a_jump_of_one_axis(axis, size):
    """The other two go on as before."""
    rng, messages, at = np.random.default_rng(3), 500, 300
    t = np.arange(messages)[:, None, None] / 30.0
    truth = 0.3 * np.concatenate([np.cos(t), np.sin(t), 0.0 * t], 2) + np.zeros((1, STREAMS, 1))
    truth[at:, :, axis] += size
    noise = SIGMA * rng.normal(size=truth.shape)
    error = (smoothed(truth + noise)[0] - truth)[..., axis]
    before, after = (np.sqrt((error[part]**2).mean(0)) / SIGMA for part in (
        slice(100, at), slice(at + 5, at + 105)))
    assert np.quantile(after, 0.8) < 0.9 and np.median(after) < np.median(before) + 0.2


def test_the_same_wrong_place_again_and_again_is_not_believed():
    """The second message there is as wrong as the first."""
    rng = np.random.default_rng(2)
    truth = motions(700, rng)
    rows = truth + SIGMA * rng.standard_normal(truth.shape)
    wrong = rng.random(rows.shape[:2]) < 0.05
    wrong[:30] = False
    usual = rms((smoothed(rows)[0] - truth)[60:])
    rows[wrong] += [0.0, 0.0, 300 * SIGMA]
    out, weights = smoothed(rows)
    assert (weights[wrong] > 0.5).mean() < 0.01
    assert geometric_mean(rms((out - truth)[60:]) / usual) < 1.2


def test_a_way_back_without_noise_is_no_outlier():
    """A ball without noise bounces; it went straight on for messages."""
    t = np.arange(300) / 100.0
    height = np.abs(np.sin(np.pi * t))[:, None, None] * np.ones((1, STREAMS, 1))
    truth = np.concatenate([0.3 * t[:, None, None] + 0 * height, 0 * height, height], 2)
    out, _ = smoothed(truth, 100.0)
    assert np.abs(out - truth)[95:115].max() < 0.02


def counters(row=0.0, agreeing=0.0, jumps=0.0):
    return Rejects(*(np.array([[value]]) for value in (row, agreeing, jumps)))


def test_a_second_jump_is_an_accident_and_a_third_is_a_habit():
    """Unless the others are long past; of a young stream nothing is known."""
    old, jump, none = np.array([[1e3]]), np.array([[True]]), np.array([[False]])
    rejects = counters()
    for accident in (True, True, False, False):
        assert rejects.accident(old) == accident
        rejects = remember(np, rejects, jump)
    for _ in range(round(2 * MEMORY)):
        rejects = remember(np, rejects, none)
    assert rejects.accident(old) and not rejects.accident(np.array([[20.0]]))


def test_what_is_believed_in_its_turn_is_no_jump():
    """One that is believed far away, after messages that were held off, is one."""
    weight, yes, no = np.array([[0.9]]), np.array([[True]]), np.array([[False]])
    for row, far, found in ((0.0, yes, False), (2.0, yes, True), (2.0, no, False)):
        assert jumped(counters(row), no, weight, far, no, yes) == found
    # with most axes at hand the one that is lost must have been held off for long
    for row, lost, found in ((2.0, yes, False), (3.0, yes, True), (3.0, no, False)):
        assert jumped(counters(row), no, weight, yes, yes, lost) == found
    assert jumped(counters(), yes, weight, no, yes, no)
    assert not jumped(counters(2.0), no, 0.1 * weight, yes, no, yes)


def test_messages_that_agree_are_counted():
    yes, no, age = np.array([[True]]), np.array([[False]]), np.array([[100.0]])
    rejects, found = counters(), []
    for _ in range(5):
        rejects, again = count(np, rejects, yes, no, yes, no, age, 5, 30)
        found.append(bool(again))
    assert found == [False] * 4 + [True] and not rejects.row
    for _ in range(30):
        rejects, again = count(np, rejects, yes, no, no, no, age, 5, 30)
    assert again and not rejects.row
    for expected in (False, False, True):  # what leads away has moved
        rejects, again = count(np, rejects, yes, no, no, yes, age, 5, 30)
        assert again == expected
