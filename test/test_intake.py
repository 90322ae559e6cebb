# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""When a path that repeats its poses is one that was revised."""

import numpy as np
import pytest

from liquid_ros.intake import Revisions

STAMPS = [1000 * k for k in range(1, 21)]


def way(seed=0, noise=0.02):
    """Return rows (20, 7) along a line, 5 cm a step."""
    rows = np.zeros((20, 7))
    rows[:, 0], rows[:, 6] = 0.05 * np.arange(20), 1.0
    rows[:, :3] += noise * np.random.default_rng(seed).standard_normal((20, 3))
    return rows


def moved(rows, by):
    """Return the rows, elsewhere."""
    return rows + np.array([0.0, by, 0.0, 0.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize('then, expected', [
    (way(), False),
    (moved(way(), 1.0), True),
    (moved(way(), 1e-9), False),  # rounding
    (moved(way(), 0.01), False),  # an optimiser that goes on
    (way(seed=1), False),
    (np.concatenate([moved(way()[:5], 3.0), way()[5:]]), False),  # a few of many
    (moved(way(), np.nan), False),
    (way() * [1, 1, 1, -1, -1, -1, -1], False),
    (moved(way(), 1e300), False)])
def test_a_path_is_revised_where_most_of_it_has_moved(then, expected):
    revisions = Revisions()
    assert not revisions.take(STAMPS[:18], way()[:18])
    with np.errstate(all='raise'):
        assert revisions.take(STAMPS, then) == expected
    assert not revisions.take(STAMPS, then)


def test_a_rest_without_noise_is_revised_by_what_can_be_seen():
    still = np.zeros((20, 7))
    revisions = Revisions()
    assert not revisions.take(STAMPS, still)
    assert not revisions.take(STAMPS, moved(still, 1e-8))
    assert revisions.take(STAMPS, moved(still, 0.01))


def test_of_one_stamp_the_first_counts_and_of_zero_none():
    """Poses of a planner that all have one stamp, and those that were never stamped."""
    revisions = Revisions()
    for k in range(4):
        rows = moved(way(k), 5.0 * k)
        assert not revisions.take([1] * 20, rows)
        assert not revisions.take([0] * 20, rows)
    revisions = Revisions()
    grown = way()
    for k in range(4, 20, 3):  # whole seconds: the newest poses are late for theirs
        assert not revisions.take([stamp // 5000 for stamp in STAMPS[:k]], grown[:k])
