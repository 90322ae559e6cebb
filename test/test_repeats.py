# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Values that are sent again and again: when they are no measurements, and when they are."""

import numpy as np
import pytest

from liquid_ros.checkpoint import build
from liquid_ros.fused import Fused
from liquid_ros.smoothers.repeats import repeated, Repeats, settled
from liquid_ros.smoothers.rts import Window
from liquid_ros.smoothers.track import Prior
from liquid_ros.streams import StreamBank

SHIPPED = build('liquid')
NS = 10**9


def camera(every, measured=150, period_s=0.02, seed=0):
    """Return stamps (T,) in ns, rows (T, 3), truth: each value sent so many times."""
    rng = np.random.default_rng(seed)
    at = np.arange(measured * every)
    t = at * period_s
    truth = np.stack([np.sin(t), np.cos(0.7 * t), 0.3 * t], 1)
    fresh = truth[::every] + 0.004 * rng.standard_normal((measured, 3))
    return (at * round(period_s * NS) + NS), fresh[at // every], truth


def answered(stamps_ns, rows, smoother=SHIPPED):
    """Return estimates of a stream."""
    bank = StreamBank(smoother, 3)
    found = [bank.update((0,), (int(stamp),), row[None]).estimate
             for stamp, row in zip(stamps_ns, rows)]
    return (np.concatenate([e.rows for e in found]), np.concatenate([e.variance for e in found]),
            np.concatenate([e.weight for e in found]))


def rms(error):
    return np.sqrt((error**2).mean())


@pytest.mark.parametrize('every', [2, 3, 5])
def test_a_camera_sent_faster_than_it_sees_is_as_good_as_by_itself(every):
    """Where it has seen, and better than its own values where they are old."""
    stamps_ns, rows, truth = camera(every)
    alone, _, _ = answered(stamps_ns[::every], rows[::every])
    out, variance, weight = answered(stamps_ns, rows)
    late = slice(40 * every, None)
    error, own = (out - truth), (alone - truth[::every])
    assert rms(error[late][::every]) < 1.1 * rms(own[40:])
    assert rms(error[late]) < 0.6 * rms((rows - truth)[late])
    assert (weight[late] > 0.5).mean() > 0.99
    grows = variance[late][every - 1::every] >= variance[late][::every]
    assert grows.all()  # between two measurements less and less is known


def test_a_value_that_stays_is_a_measurement():
    """What comes to rest, or is lost, does not fly on."""
    stamps_ns, rows, _ = camera(5)
    rows[500:] = rows[500]
    out, _, _ = answered(stamps_ns, rows)
    assert np.abs(out[540:] - rows[500]).max() < 0.01


def test_hindsight_goes_over_repeats():
    stamps_ns, rows, truth = camera(4)
    bank, window = StreamBank(SHIPPED, 3), Window(SHIPPED, len(rows))
    for stamp, row in zip(stamps_ns.tolist(), rows):
        bank.update((0,), (stamp,), row[None])
        window.add(stamp, bank.peek(0))
    late = slice(200, 550)
    assert rms((window.smooth().rows - truth)[late]) < 0.8 * rms(
        (answered(stamps_ns, rows)[0] - truth)[late])


def test_compiled_and_plain_are_one():
    if not isinstance(SHIPPED, Fused):
        pytest.skip('there is no compiler here')
    stamps_ns, rows, _ = camera(3, 60)
    for ours, plain in zip(answered(stamps_ns, rows), answered(stamps_ns, rows, SHIPPED.plain)):
        assert np.allclose(ours, plain, rtol=1e-9, atol=1e-12)


def sent(*runs, noisy=False, speed=0.0, astray=False, miss=0.0, move=1.0):
    """
    Return of each value (echoes, stuck, found) of its repeats and itself; runs: repeats.

    speed, miss, move: in deviations of the noise; speed of the prediction, miss of a message.
    """
    one, told = np.ones((1, 3)), []
    state = Repeats(*np.zeros((6, 1, 1)))
    prior = Prior(one, speed * one, one, (one, one, one, one, one, one), one)
    for run in runs:
        count = np.zeros(3, int)
        for i in range(run + 1):
            moved = np.full((1, 3), move * (i == 0))
            same = repeated(np, state, np.full((1, 1), noisy), moved)
            state, what = settled(np, state, same, prior, miss * one, moved,
                                  np.full((1, 3), astray), np.full((1, 1), 0.1))
            count += np.ravel(what)[:3]
        told.append(tuple(count))
    return told


def habit(*runs):
    """Return how many of each value's messages are no measurements; runs: repeats of each."""
    return [echoes for echoes, stuck, found in sent(*runs)]


def test_a_habit_takes_time_and_ends_at_once():
    assert habit(*[4] * 14) == [0] * 9 + [4] * 5
    assert habit(*[2, 3] * 8)[-2:] == [2, 3]  # 30 Hz on a topic of 100
    assert habit(*[4] * 12, 60, 4, 4)[-4:] == [4, 4, 0, 0]
    assert sum(habit(*[0] * 40, 5, 0, 0)) == 0
    assert habit(*[5, 4, 6, 3, 5] * 5)[-5:] == [5, 4, 6, 3, 5]  # the camera's own times jitter
    assert sum(habit(*[60] * 20)) == 0
    assert sum(habit(*[1, 0, 5, 0, 2, 7, 1, 12] * 5)) == 0  # a slow motion in grains


def test_noise_that_repeats_itself_is_lost():
    """The first repeat is an echo; more are where it is stuck, unless it is led elsewhere."""
    fresh, far = [0] * 35, {'noisy': True, 'move': 9.0}
    assert sent(*fresh, 6, 0, **far)[-2:] == [(6, 5, 0), (0, 0, 1)]
    assert sent(*fresh, 1, 0, **far)[-2:] == [(1, 0, 0), (0, 0, 0)]
    assert sent(*fresh, 6, 0, speed=4.0, **far)[-2:] == [(6, 0, 0), (0, 0, 0)]
    assert sent(*fresh, 60, 0, speed=4.0, **far)[-2:] == [(60, 20, 0), (0, 0, 1)]
    assert sent(*fresh, 60, 0, astray=True, miss=5.0, **far)[-2:] == [(60, 0, 0), (0, 0, 1)]
    assert sent(*fresh, 60, 0, astray=True, miss=1.0, **far)[-2:] == [(60, 59, 0), (0, 0, 1)]
    assert sent(*fresh, 310, 0, astray=True, miss=5.0, **far)[-2:] == [(310, 10, 0), (0, 0, 1)]
    assert sent(*fresh, 6, 0, 0, 6, 0, **far)[-2:] == [(6, 5, 0), (0, 0, 1)]


def test_what_comes_behind_is_not_believed_where_it_cannot_be():
    """Where the stream was led there is a prediction to say so, where it was stuck none."""
    fresh, far = [0] * 35, {'noisy': True, 'astray': True, 'move': 9.0}
    assert sent(*fresh, 20, 0, miss=8.0, **far)[-1] == (0, 0, 1)
    assert sent(*fresh, 20, 0, miss=9.0, **far)[-1] == (0, 0, 0)


def test_it_takes_noise_and_a_past_without_repeats():
    near = {'noisy': True, 'move': 1.0}
    assert sent(*[0] * 35, 6, 0)[-2:] == [(0, 0, 0), (0, 0, 0)]
    assert sent(*[0] * 20, 6, 0, **near)[-2:] == [(0, 0, 0), (0, 0, 0)]
    assert sent(*[0] * 35, 6, 0, *[0] * 40, 6, **near)[-1] == (0, 0, 0)
    assert sent(*[0] * 35, 6, 0, *[0] * 1100, 6, **near)[-1] == (6, 5, 0)
    assert sent(*[0] * 20, 60, *[0] * 500, 6, **near)[-1] == (0, 0, 0)
    assert sent(*[0] * 20, 60, *[0] * 50, 2, *[0] * 500, 6, **near)[-1] == (0, 0, 0)


def test_what_is_found_where_it_stood_was_not_lost():
    """It had been led elsewhere; the other one is nearer to where it stood."""
    led = {'noisy': True, 'speed': 4.0, 'move': 5.0}
    assert sent(*[0] * 35, 6, 0, *[0] * 60, 6, miss=5.0, **led)[-1] == (6, 0, 0)
    assert sent(*[0] * 35, 6, 0, *[0] * 60, 6, miss=20.0, **led)[-1] == (0, 0, 0)
