# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A stream that strays and comes back is believed less of; one that moves is not."""

import numpy as np
import pytest

from liquid_ros.arrays import group_average
from liquid_ros.checkpoint import build
from liquid_ros.smoothers.strays import goes_on, noted, outcome, Strays
from liquid_ros.streams import StreamBank

SHIPPED = build('liquid')
COUNT, NOISE = 700, 0.005


def hand(seed=0):
    """Return a true motion and noisy messages of it (T, 3), at 30 Hz."""
    t = np.arange(COUNT) / 30.0
    truth = 0.25 * np.stack([np.sin(2.1 * t), np.cos(1.3 * t), np.sin(0.7 * t)], 1)
    return truth, truth + NOISE * np.random.default_rng(seed).standard_normal((COUNT, 3))


def smoothed(rows):
    """Return estimates and weights, message by message."""
    stamps = [10**9 + k * 10**9 // 30 for k in range(COUNT)]
    estimate = StreamBank(SHIPPED, 3).update(['k'] * COUNT, stamps, rows).estimate
    return estimate.rows, estimate.weight[:, 0]


def known(after, axes=3):
    """Return what is known of a stream after moves with a wild one now and then."""
    strays, average = Strays(*np.zeros((6, 1, axes))), group_average(axes)[None]
    for move, wild in after:
        moved = np.full((1, axes), move)
        strays, back = outcome(np, strays, average, moved)
        strays = noted(np, strays, average, 0.0 * moved + 10.0 * wild, moved, back, 0.0 * moved)
    return bool(strays.come_back().all())


@pytest.mark.parametrize('seed', range(4))
def test_two_wrong_messages_at_one_place_are_none_to_believe(seed):
    """Pairs, of a second place 60 sigma away on one axis that has been seen before."""
    truth, rows = hand(seed)
    singles, pairs = np.arange(60, COUNT, 45), np.arange(200, COUNT, 90)
    wrong = np.union1d(singles, np.concatenate([pairs, pairs + 1]))
    rows[wrong, 0] += 0.3
    out, weight = smoothed(rows)
    late = wrong[wrong > 190]
    assert np.median(weight[late]) < 0.02 and (weight[late] < 0.2).mean() > 0.85
    right = np.setdiff1d(np.arange(60, COUNT), wrong)
    assert (weight[right] > 0.9).mean() > 0.95
    assert np.sqrt(((out - truth)[200:]**2).mean()) < NOISE


def test_what_comes_back_is_known_by_it():
    still, there = [(0.0, False)] * 20, [(1.0, True), (-1.0, False)]
    assert not known(still + there + still)
    assert known((still + there) * 2)
    assert known((still + [(1.0, True), (-1.0, True)]) * 2)  # believed, and the way back is wild
    pair = [(1.0, True), (0.0, True), (-1.0, False)]
    assert known((still + pair) * 2)


def test_half_a_turn_on_is_the_way_back():
    half = np.pi / np.sqrt(3.0)  # of a rotation vector with three equal numbers
    there_and_on = [(0.0, False)] * 20 + [(half, True), (half, False)]
    assert known(there_and_on * 2, axes=6) is False  # positions have gone
    strays = Strays(*np.zeros((6, 1, 6)))
    moved, average = np.array([[0.0, 0.0, 0.0, 0.0, 0.0, np.pi]]), group_average(6)[None]
    for wild in (True, False, True, False):
        strays, back = outcome(np, strays, average, moved)
        assert back[0, 5] == (not wild)
        strays = noted(np, strays, average, 0.0 * moved + 10.0 * wild, moved, back, 0.0 * moved)
    assert strays.come_back()[0, 5]


@pytest.mark.parametrize('step, back, expected', [
    ((1.0, 0.1, 0.0), 0.0, True), ((0.5, 0.0, 0.0), 0.0, True), ((0.1, 0.0, 0.0), 0.0, False),
    ((5.0, 0.0, 0.0), 0.0, False), ((-1.0, 0.0, 0.0), 0.0, False), ((1.0, 1.0, 0.0), 0.0, False),
    ((1.0, 0.0, 0.0), 1.0, False)])
def test_what_goes_on_from_a_wild_message(step, back, expected):
    """In its direction, about as far again, where nothing has come back yet."""
    one, average = np.ones((1, 3)), group_average(3)[None]
    strays = Strays(one, np.array([[1.0, 0.0, 0.0]]), back * one, 0.0 * one, one, one)
    moved = np.array([step])
    assert (goes_on(strays, average, moved) == expected).all()
    none = strays._replace(since=0.0 * one)
    assert not goes_on(none, average, moved).any()


@pytest.mark.parametrize('seed', [0, 1, 4])
def test_an_arm_that_starts_at_once_is_followed_from_the_third_message(seed):
    """Its first stroke after a rest: half a metre in twelve messages, in 0.1 mm of noise."""
    rng = np.random.default_rng(seed)
    at = np.arange(COUNT)
    share = np.clip((at % 112 - 100) / 12.0, 0.0, 1.0)
    stroke = 10.0 * share**3 - 15.0 * share**4 + 6.0 * share**5
    places = rng.uniform(-0.5, 0.5, (COUNT // 112 + 2, 3))
    here, there = places[at // 112], places[at // 112 + 1]
    truth = here + (there - here) * stroke[:, None]
    out, _ = smoothed(truth + 1e-4 * rng.standard_normal((COUNT, 3)))
    error = np.abs(out - truth).max(1)
    assert error.max() < 0.12 and (error > 0.01).sum() < 4


def test_what_moves_is_not():
    still, off = [(0.0, False)] * 20, [(1.0, True), (0.0, False)]
    assert not known((still + off) * 9)
    assert not known((still + [(1.0, True), (2.0, True), (1.0, True)]) * 9)
    there = [(1.0, True), (-1.0, False)]
    assert not known((still + there) * 2 + (still + off) * 2)


def test_it_is_forgotten():
    there = [(0.0, False)] * 20 + [(1.0, True), (-1.0, False)]
    assert known(there * 3) and not known(there * 3 + [(0.0, False)] * 3000)
