# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What moves at random, farther than its noise, is given out as it comes; noise at rest is not."""

import numpy as np
import pytest

from liquid_ros.checkpoint import build
from liquid_ros.evaluation.metrics import rotation_rms_deg
from liquid_ros.manifold import plus, unit_row
from liquid_ros.smoothers.rts import Window
from liquid_ros.smoothers.tuning import Tuning
from liquid_ros.streams import StreamBank

SHIPPED = build('liquid')
COUNT = 400
NOISE = np.repeat([0.005, 0.02], 3)
STAMPS = [10**9 + k * 10**9 // 5 for k in range(COUNT)]


def walk(step, width=3, seed=0):
    """Return a random walk, so many noises a message, and noisy messages of it (T, W)."""
    rng, axes = np.random.default_rng(seed), 3 if width == 3 else 6
    way, noise = NOISE[:axes] * rng.standard_normal((2, COUNT, axes))
    start = np.repeat(unit_row(width), COUNT, 0)
    truth = plus(start, np.cumsum(step * way, 0))
    return truth, plus(truth, noise)


def rms(out, truth, part):
    return float(np.sqrt(((out - truth)[part, :3]**2).mean()))


def smoothed(rows, smoother=SHIPPED):
    return StreamBank(smoother, rows.shape[1]).update(['k'] * COUNT, STAMPS, rows).estimate


@pytest.mark.parametrize('width', (3, 7))
@pytest.mark.parametrize('step', (4.0, 10.0, 100.0))
def test_what_roams_is_given_out(step, width):
    truth, rows = walk(step, width)
    out, late = smoothed(rows).rows, slice(60, None)
    assert rms(out, truth, late) < 1.05 * rms(rows, truth, late)
    if width == 7 and step < 100.0:  # of which two steps are more than half a turn
        assert rotation_rms_deg(out[late, 3:], truth[late, 3:]) < 1.05 * rotation_rms_deg(
            rows[late, 3:], truth[late, 3:])


def test_it_was_off_by_as_much_as_it_moves_before_that_was_known():
    truth, rows = walk(100.0)
    first = slice(2, 8)
    assert rms(smoothed(rows).rows, truth, first) > 10.0 * rms(rows, truth, first)


@pytest.mark.parametrize('correlation', (0.0, 0.5, 0.8, 0.9))
def test_noise_of_what_rests_is_smoothed(correlation):
    """Noise that lasts looks like a walk from near, but it leads nowhere."""
    rng = np.random.default_rng(3)
    noise, rows = rng.standard_normal((COUNT, 3)), np.zeros((COUNT, 3))
    for k in range(1, COUNT):
        rows[k] = correlation * rows[k - 1] + noise[k]
    late = slice(200, None)
    assert rms(smoothed(rows).rows, 0.0 * rows, late) < 0.75 * rms(rows, 0.0 * rows, late)


def test_one_wild_message_is_no_walk():
    rng = np.random.default_rng(4)
    rows = 0.005 * rng.standard_normal((COUNT, 3))
    rows[100:, 0] += 3.0
    rows[[30, 200], 1] += 2.0
    out = smoothed(rows).rows
    assert abs(out[30, 1]) < 0.01 and abs(out[200, 1]) < 0.01
    assert out[240:, 0].std() < 0.003


def test_hindsight_leaves_it_where_it_was():
    truth, rows = walk(10.0)
    bank, window = StreamBank(SHIPPED, 3), Window(SHIPPED, COUNT)
    for k in range(COUNT):
        bank.update(['k'], [STAMPS[k]], rows[k:k + 1])
        window.add(STAMPS[k], bank.peek('k', SHIPPED.linked))
    late, found = slice(60, None), window.smooth()
    assert rms(found.rows, truth, late) < 1.05 * rms(rows, truth, late)
    # that it may be as far off as the noise that was supposed is stated all the same
    assert ((found.rows - truth)[late]**2 / found.variance[late]).mean() < 1.0


def test_a_prediction_begins_there():
    _, rows = walk(30.0)
    bank = StreamBank(SHIPPED, 3)
    now = bank.update(['k'] * COUNT, STAMPS, rows).estimate
    soon = bank.predict(['k'], [STAMPS[-1] + 10**6])
    assert np.abs(soon.rows[0] - rows[-1]).max() < 0.05 * 30.0 * 0.005
    later = bank.predict(['k'], [STAMPS[-1] + 10**9])
    assert (later.variance > soon.variance).all() and (soon.variance > 0.0).all()
    assert np.allclose(soon.variance[0], now.variance[-1], rtol=0.2)


def test_who_asks_for_smoothness_has_it():
    truth, rows = walk(10.0)
    late = slice(60, None)
    smooth = smoothed(rows, SHIPPED.tuned(Tuning(smoothing=1.0)))
    assert rms(smooth.rows, rows, late) > 3.0 * rms(rows, truth, late)


def test_what_roamed_and_rests_is_smoothed_soon():
    truth, rows = walk(10.0)
    truth[150:], rows[150:] = truth[150], rows[150:] - truth[150:] + truth[150]
    out, late = smoothed(rows).rows, slice(250, None)
    assert rms(out, truth, late) < 0.5 * rms(rows, truth, late)


@pytest.mark.parametrize('step', (4.0, 10.0, 100.0))
def test_on_a_floor_what_roams_is_given_out_and_what_rests_is_smoothed(step):
    """A person seen every few seconds: x and y roam, z is noise."""
    late, ratios = slice(100, None), []
    for seed in range(7):
        truth, rows = walk(step, seed=seed)
        truth[:, 2], rows[:, 2] = 0.0, rows[:, 2] - truth[:, 2]
        out = smoothed(rows).rows
        ratios.append([np.sqrt(((out - truth)[late, axes]**2).mean()
                               / ((rows - truth)[late, axes]**2).mean())
                       for axes in ([0, 1], [2])])
    roams, rests = np.median(ratios, 0)
    assert roams < 1.05 and rests < 0.5


@pytest.mark.parametrize('noise', (0.7, 0.8))
def test_noise_that_lasts_on_one_axis_beside_two_that_rest_is_smoothed(noise):
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((COUNT, 3))
    for k in range(1, COUNT):
        rows[k, 2] = noise * rows[k - 1, 2] + 5.0 * rows[k, 2]
    late = slice(200, None)
    assert smoothed(rows).rows[late, 2].std() < 0.75 * rows[late, 2].std()


def test_one_stray_message_changes_nothing():
    truth, rows = walk(10.0, seed=2)
    rows[200, 0] += 20.0
    out = smoothed(rows).rows
    assert abs(out[200, 0] - truth[200, 0]) < 1.0
    late = slice(210, None)
    assert rms(out, truth, late) < 1.1 * rms(rows, truth, late)


def test_it_stays_where_it_is_while_a_value_is_sent_again():
    _, rows = walk(10.0)
    out = smoothed(rows[np.arange(COUNT) // 4]).rows[240:].reshape(-1, 4, 3)
    moves = np.abs(np.diff(out, axis=1)).mean((0, 2))
    assert (moves < 0.5 * np.abs(out[1:, 0] - out[:-1, 3]).mean()).all()
