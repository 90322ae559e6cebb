# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A sensor that is lost and sends what it saw last, or zeros, is not believed; what rests is."""

import numpy as np
import pytest

from liquid_ros.checkpoint import build
from liquid_ros.fused import Fused
from liquid_ros.manifold import minus, plus, unit_row
from liquid_ros.smoothers.rts import Window
from liquid_ros.streams import StreamBank

SHIPPED = build('liquid')
COUNT, PERIOD_NS = 600, 33_000_000
EVERY, FIRST = 120, 200  # messages between two losses, and before the first
NOISE = np.repeat([0.005, 0.02], 3)


def turning(rng, reach=1.0):
    """Return true poses (N, 7) of a hand, some metres from the origin."""
    t = PERIOD_NS * 1e-9 * np.arange(COUNT)[:, None]
    rate, phase = rng.uniform(0.3, 1.8, 6), rng.uniform(0.0, 6.0, 6)
    way = reach * np.sin(t * rate + phase) + np.array([2.0, -1.0, 3.0, 0.0, 0.0, 0.0])
    return plus(np.repeat(unit_row(7), COUNT, 0), way)


def lost(run):
    """Return (N,) bool: where a sensor sees nothing, for so many messages."""
    at = np.arange(COUNT)
    return (at >= FIRST) & ((at - FIRST) % EVERY < run)


def sent(kind, rows, blind):
    """Return what is sent: what was seen last, or zeros."""
    if kind == 'zeros':
        return np.where(blind[:, None], unit_row(7), rows)
    return rows[np.maximum.accumulate(np.where(blind, 0, np.arange(COUNT)))]


def answers(rows, kept=None, smoother=SHIPPED):
    """Return the estimate of each message (N,); NaN of those that are not kept."""
    bank = StreamBank(smoother, rows.shape[1])
    at = np.flatnonzero(np.ones(len(rows), bool) if kept is None else kept)
    stamps_ns = (10**9 + PERIOD_NS * at).tolist()
    return bank.update(['a'] * len(at), stamps_ns, rows[at]).estimate


def apart(ours, truth):
    """Return errors (N, 2) in m and rad."""
    off = minus(truth, ours)
    return np.stack([np.linalg.norm(off[:, :3], axis=1), np.linalg.norm(off[:, 3:], axis=1)], -1)


def rms(errors):
    return np.sqrt((errors**2).mean(0))


@pytest.mark.parametrize('width', [3, 7])
@pytest.mark.parametrize('kind', ['zeros', 'frozen'])
@pytest.mark.parametrize('run', [1, 4, 10, 30])
def test_behind_it_all_is_as_if_nothing_had_been_sent(kind, run, width):
    ratios, during = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        truth, blind = turning(rng), lost(run)
        rows = plus(truth, NOISE * rng.standard_normal((COUNT, 6)))
        messages = sent(kind, rows, blind)
        ours = np.repeat(unit_row(7), COUNT, 0)
        theirs = np.repeat(unit_row(7), (~blind).sum(), 0)
        ours[:, :width] = answers(messages[:, :width]).rows
        theirs[:, :width] = answers(rows[:, :width], ~blind).rows
        seen = np.flatnonzero(~blind)
        seen = seen[seen > FIRST]
        told = apart(theirs, truth[~blind])[np.cumsum(~blind)[seen] - 1]
        ratios.append(rms(apart(ours, truth)[seen]) / rms(told))
        during.append(rms(apart(ours, truth)[blind]) / rms(apart(messages, truth)[blind]))
    groups = slice(None) if width == 7 else slice(1)
    assert np.median(ratios, 0)[groups].max() < 1.1
    assert np.max(ratios, 0)[groups].max() < 1.5
    if kind == 'zeros':
        assert np.max(during, 0)[0] < 0.3
    else:
        assert np.median(during, 0)[groups].max() < (1.1 if run > 10 else 0.7)


@pytest.mark.parametrize('kind', ['zeros', 'frozen'])
def test_the_covariance_tells_that_nothing_is_seen(kind):
    rng = np.random.default_rng(1)
    truth, blind = turning(rng), lost(30)
    rows = sent(kind, plus(truth, NOISE * rng.standard_normal((COUNT, 6))), blind)
    told = answers(rows)
    starts = FIRST + EVERY * np.arange(3)
    for start in starts:
        assert (told.variance[start + 29] > 10.0 * told.variance[start - 1]).all()
        assert (told.variance[start + 60] < 3.0 * told.variance[start - 1]).all()
    assert (minus(truth, told.rows)[blind]**2 / told.variance[blind]).mean() < 10.0


def test_in_hindsight_it_was_on_its_way():
    """Of zeros while nothing is seen: what comes behind tells where it was."""
    ratios = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        truth, blind = turning(rng), lost(15)
        rows = sent('zeros', plus(truth, NOISE * rng.standard_normal((COUNT, 6))), blind)
        bank, window = StreamBank(SHIPPED, 7), Window(SHIPPED, COUNT)
        for k, row in enumerate(rows):
            bank.update(('a',), (10**9 + PERIOD_NS * k,), row[None])
            window.add(10**9 + PERIOD_NS * k, bank.peek('a'))
        late, live = window.smooth().rows, answers(rows).rows
        ratios.append(rms(apart(late, truth)[blind]) / rms(apart(live, truth)[blind]))
    assert np.median(ratios, 0).max() < 0.8


def test_each_time_it_is_lost_it_is_found_at_once():
    """Forty times: what it learns of the noise does not come from being found."""
    rng = np.random.default_rng(2)
    count = 40 * 100
    t = PERIOD_NS * 1e-9 * np.arange(count)[:, None]
    truth = np.sin(t * np.array([0.7, 1.1, 0.4])) + np.array([2.0, 0.0, 3.0])
    rows = truth + 0.005 * rng.standard_normal(truth.shape)
    at = np.arange(count)
    blind = at % 100 > 69
    rows = rows[np.maximum.accumulate(np.where(blind, 0, at))]
    error = np.linalg.norm(answers(rows).rows - truth, axis=1)
    first = np.flatnonzero(blind[:-1] & ~blind[1:]) + 1
    assert len(first) == 39
    assert (error[first[1:]] < 0.03).all()
    assert rms(error[~blind]) < 0.008


def stop_and_go(count, period_s):
    """Return true positions (N, 3): half a metre a second for four seconds, rest for four."""
    speed = np.zeros(count)
    for k in range(1, count):
        goal = 0.5 * (k * period_s % 8.0 < 4.0)
        speed[k] = speed[k - 1] + np.clip(goal - speed[k - 1], -period_s, period_s)
    return np.cumsum(speed)[:, None] * period_s * np.array([0.8, 0.6, 0.0])


def test_what_rests_without_noise_is_where_it_says():
    """As odometry does: it never repeated itself before, but there is no noise in it."""
    rows = stop_and_go(COUNT, PERIOD_NS * 1e-9)
    rests = np.zeros(COUNT, bool)
    rests[1:] = (rows[1:] == rows[:-1]).all(-1)
    told = answers(rows)
    assert rests.sum() > 200
    assert (np.linalg.norm(told.rows - rows, axis=1)[rests] < 1e-4).all()


@pytest.mark.parametrize('band', [0.005, 0.01, 0.02])
def test_what_is_only_sent_when_it_moves_is_as_good_as_it_was(band):
    """A sensor that holds its value within a band of its noise rests where it says."""
    rng = np.random.default_rng(4)
    truth = stop_and_go(COUNT, PERIOD_NS * 1e-9)
    rows = truth + 0.005 * rng.standard_normal(truth.shape)
    for k in range(1, COUNT):
        if np.linalg.norm(rows[k] - rows[k - 1]) < band:
            rows[k] = rows[k - 1]
    error, raw = (np.linalg.norm(x - truth, axis=1)[100:] for x in (answers(rows).rows, rows))
    assert rms(error) < rms(raw)


@pytest.mark.parametrize('rest_s', [0.3, 1.0])
def test_what_stops_at_once_is_led_on_a_few_times_at_most(rest_s):
    """Noise while it moves, the same value while it rests; it brakes within two messages."""
    rng, period_s = np.random.default_rng(7), 1.0 / 30.0
    count, speed = 9000, np.zeros(9000)
    for k in range(1, count):
        goal = 0.5 * (k * period_s % (4.0 + rest_s) < 4.0)
        speed[k] = speed[k - 1] + np.clip(goal - speed[k - 1], -10.0 * period_s, 10.0 * period_s)
    truth = np.cumsum(speed)[:, None] * period_s * np.array([0.8, 0.6, 0.0])
    rows = truth + 0.005 * rng.standard_normal(truth.shape)
    for k in range(1, count):
        if speed[k] == speed[k - 1] == 0.0:
            rows[k] = rows[k - 1]
    error = np.linalg.norm(answers(rows).rows - truth, axis=1)
    every = round((4.0 + rest_s) / period_s)
    worst = error[:count // every * every].reshape(-1, every).max(1)
    assert len(worst) > 50 and (worst > 0.05).sum() < 10


def test_a_place_that_is_held_for_long_is_believed_at_last():
    """Somebody publishes a constant pose in a sensor's place."""
    rng = np.random.default_rng(5)
    rows = turning(rng)[:, :3] + 0.005 * rng.standard_normal((COUNT, 3))
    rows[250:] = np.array([7.0, 7.0, 7.0])
    told = answers(rows).rows
    assert np.linalg.norm(told[265] - rows[265]) > 1.0
    assert np.linalg.norm(told[-1] - rows[-1]) < 0.01


def test_compiled_and_plain_are_one():
    if not isinstance(SHIPPED, Fused):
        pytest.skip('there is no compiler here')
    rng = np.random.default_rng(6)
    rows = plus(turning(rng), NOISE * rng.standard_normal((COUNT, 6)))
    for kind in ('zeros', 'frozen'):
        messages = sent(kind, rows, lost(30))[:400]
        for ours, plain in zip(answers(messages), answers(messages, smoother=SHIPPED.plain)):
            assert np.allclose(ours, plain, rtol=1e-8, atol=1e-10)
