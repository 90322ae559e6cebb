# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What moves on evenly, as on a belt or a turntable, is smoothed as if it were seen from there."""

import numpy as np
import pytest

from liquid_ros.arrays import stack
from liquid_ros.checkpoint import build
from liquid_ros.manifold import minus, plus, unit_row
from liquid_ros.smoothers.motion import Process, unbraked, WALKS

SHIPPED = build('liquid')
STREAMS, MESSAGES, DT_S, NOISE = 12, 700, 0.05, 0.002


def error(way, index, seed=5):
    """
    Return RMS errors (6,) over the noise of poses after 300 messages.

    way: of noises from message to message, by the axis. index: of what they do besides.
    """
    rng = np.random.default_rng(seed)
    shape = MESSAGES, STREAMS, 6
    speed = np.asarray(way) + np.cumsum(index * rng.standard_normal(shape), 0)
    truth = plus(np.broadcast_to(unit_row(7), (*shape[:2], 7)).reshape(-1, 7),
                 NOISE * np.cumsum(speed, 0).reshape(-1, 6)).reshape(*shape[:2], 7)
    state, errors = None, []
    for rows in truth:
        given = plus(rows, NOISE * rng.standard_normal((STREAMS, 6)))
        if state is None:
            state, _ = SHIPPED.init(given)
            continue
        state, estimate = SHIPPED.step(state, given, np.full((STREAMS, 1), DT_S))
        errors.append(minus(estimate.rows, rows) / NOISE)
    return np.sqrt(np.mean(np.square(errors[300:]), (0, 1)))


@pytest.mark.parametrize('way', [3.0, 30.0, 300.0])
def test_a_body_on_a_belt_is_smoothed_as_one_beside_it(way):
    """They were 1.4, 2.1 and 2.9 times as far off."""
    beside = error([0.2, 0.1, 0.1, 0.0, 0.0, 0.0], 1e-4)[:3]
    belt = error([way, 0.5 * way, 0.5 * way, 0.0, 0.0, 0.0], 1e-4)[:3]
    assert (belt < 1.15 * beside).all()


@pytest.mark.parametrize('way, most', [(3.0, 1.15), (30.0, 1.15), (150.0, 1.6)])
def test_a_turntable_as_what_hardly_turns(way, most):
    """About one axis, up to 0.3 rad a message; they were 1.3, 1.9 and 2.3 times as far off."""
    slow = error([0.0, 0.0, 0.0, 0.0, 0.0, 0.2], 0.0)[5]
    table = error([0.0, 0.0, 0.0, 0.0, 0.0, way], 0.0)[5]
    assert table < most * slow


def test_a_belt_that_stops_at_once_is_seen_to_stop():
    """The fourth message behind it opens the filter: from the belt it starts."""
    rng, before = np.random.default_rng(1), 500
    speed = np.where(np.arange(before + 8) < before, 1.0, 0.0)[:, None, None]
    truth = np.cumsum(speed * np.array([0.8, 0.6, 0.0]) * np.ones((1, 16, 1)), 0)
    rows = truth + 0.15 * rng.standard_normal(truth.shape)
    state, _ = SHIPPED.init(rows[0])
    errors = []
    for given in rows[1:]:
        state, estimate = SHIPPED.step(state, given, np.full((16, 1), DT_S))
        errors.append(estimate.rows)
    off = np.linalg.norm(np.array(errors) - truth[1:], axis=2)
    assert np.median(off[before + 4]) < 0.5 < np.median(off[before + 1])


def of(friction, count=1):
    """Return a process of that friction, 1/s, whose velocities are of 1 m/s and less."""
    one = np.ones((count, 3))
    return Process(friction * one, 1e-12 * one, friction * one, one)


def test_the_friction_of_velocities_as_they_are_stays():
    process = of(0.1)
    for speed in (0.0, 0.3, 1.0):
        found = unbraked(process, np.full((1, 3), speed), 0.1).friction
        assert (found <= 0.1).all() and (found > 0.09).all()


def test_one_that_is_far_above_them_is_not_braked():
    for speed in (10.0, 1e3, 1e6):
        found = unbraked(of(0.1), np.full((1, 3), speed), 0.1).friction
        assert (found * speed < 0.01).all() and (found >= 0.0).all()


def test_what_stops_wherever_it_comes_to_is_left_to_stop():
    found = unbraked(of(2.5 * WALKS / 0.1), np.full((1, 3), 1e3), 0.1).friction
    assert np.allclose(found, 2.5 * WALKS / 0.1)


def test_there_are_numbers_where_nothing_moves_and_where_all_ends():
    extreme = np.array([[0.0, 1e-30, 1e12]], dtype=np.float32)
    for level in (1e-37, 1.0, 1e30):
        small = np.full((1, 3), level, np.float32)
        with np.errstate(over='ignore', divide='ignore'):
            found = unbraked(Process(small, small, small, small), extreme, np.float32(0.01))
        assert np.isfinite(stack(*found)).all()
