# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Values that are sent again and again: when they are no measurements, and when they are."""

import numpy as np
import pytest

from liquid_ros.checkpoint import build
from liquid_ros.fused import Fused
from liquid_ros.smoothers.repeats import repeated, Repeats, Stream
from liquid_ros.smoothers.rts import Window
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


def sent(*runs, noisy=False, moves=False, astray=False, near=False):
    """Return of each value (echoes, stuck, found) of its repeats and itself; runs: repeats."""
    stream = Stream(*(np.full((1, 1), each) for each in (noisy, moves, astray, near)))
    state, told = Repeats(*np.zeros((4, 1, 1))), []
    for run in runs:
        count = np.zeros(3, int)
        for i in range(run + 1):
            state, what = repeated(np, state, stream, np.full((1, 3), float(i == 0)),
                                   np.full((1, 1), 0.1))
            count += np.ravel(what)
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
    fresh = [0] * 35
    assert sent(*fresh, 6, 0, noisy=True)[-2:] == [(6, 5, 0), (0, 0, 1)]
    assert sent(*fresh, 1, 0, noisy=True)[-2:] == [(1, 0, 0), (0, 0, 0)]
    assert sent(*fresh, 6, 0, noisy=True, moves=True)[-2:] == [(6, 0, 0), (0, 0, 0)]
    assert sent(*fresh, 60, 0, noisy=True, moves=True)[-2:] == [(60, 20, 0), (0, 0, 1)]
    assert sent(*fresh, 60, 0, noisy=True, astray=True)[-2:] == [(60, 0, 0), (0, 0, 1)]
    assert sent(*fresh, 310, 0, noisy=True, astray=True)[-2:] == [(310, 10, 0), (0, 0, 1)]
    assert sent(*fresh, 6, 0, 0, 6, 0, noisy=True)[-2:] == [(6, 5, 0), (0, 0, 1)]


def test_it_takes_noise_and_a_past_without_repeats():
    assert sent(*[0] * 35, 6, 0)[-2:] == [(0, 0, 0), (0, 0, 0)]
    assert sent(*[0] * 20, 6, 0, noisy=True)[-2:] == [(0, 0, 0), (0, 0, 0)]
    assert sent(*[0] * 35, 6, 0, *[0] * 40, 6, noisy=True, near=True)[-1] == (0, 0, 0)
    assert sent(*[0] * 35, 6, 0, *[0] * 100, 6, noisy=True, near=True)[-1] == (6, 5, 0)
    assert sent(*[0] * 20, 60, *[0] * 500, 6, noisy=True)[-1] == (0, 0, 0)


def test_one_repeat_is_forgotten():
    """It was the most that there were for a while, in which more of them are a measurement."""
    assert sent(*[0] * 20, 1, *[0] * 60, 6, noisy=True)[-1] == (1, 0, 0)
    assert sent(*[0] * 20, 1, *[0] * 150, 6, noisy=True)[-1] == (6, 5, 0)
