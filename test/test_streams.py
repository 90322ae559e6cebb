# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The stream bank: what comes in is answered once, and what is bad leaves no trace."""

from banks import assert_same, bank, messages, one_at_a_time
import numpy as np
import pytest

from liquid_ros.errors import InputError
from liquid_ros.smoothers import SMOOTHERS
from liquid_ros.timing import Arrival, NS_PER_S, TimePolicy

STEP_NS = 20_000_000


def bad_rows(width):
    """Return rows that must be dropped, with the reason."""
    good = np.array([1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0])[:width]
    rows = [(np.where(np.arange(width) == column, value, good), 'non_finite')
            for column in range(width) for value in (np.nan, np.inf, -np.inf, 1e100, -1e300)]
    return rows + [(np.r_[good[:3], quat, quat, 0.0, 0.0], 'zero_quaternion')
                   for quat in (0.0, 1e-7, -1e-200) if width == 7]


@pytest.mark.parametrize('width', [3, 7])
@pytest.mark.parametrize('first', [True, False], ids=['as the first', 'in the middle'])
def test_bad_rows_leave_no_trace(width, first):
    keys, stamps, rows = messages(0, 12, width)
    clean, dirty = bank(width=width), bank(width=width)
    for i, (stamp, row) in enumerate(zip(stamps, rows)):
        if i == (0 if first else 6):
            for bad, reason in bad_rows(width):
                update = dirty.update(keys[:1], [stamp - 1000], bad[None])
                assert update.reasons == [reason]
                assert update.arrivals == [None]
                assert not update.accepted.any()
                assert all(np.isnan(part).all() for part in update.estimate)
        got = dirty.update(keys[:1], [stamp], row[None])
        assert got.accepted.all() and got.reasons == [None]
        assert_same(got, clean.update(keys[:1], [stamp], row[None]))


@pytest.mark.parametrize('delta_ns, reason, arrival', [
    (0, 'duplicate', Arrival.DUPLICATE), (-1, 'late', Arrival.LATE),
    (-NS_PER_S, 'late', Arrival.LATE)])
def test_a_repeated_or_late_stamp_leaves_no_trace(delta_ns, reason, arrival):
    keys, stamps, rows = messages(1, 12)
    clean, dirty = bank(), bank()
    for i, (stamp, row) in enumerate(zip(stamps, rows)):
        assert_same(dirty.update(keys[:1], [stamp], row[None]),
                    clean.update(keys[:1], [stamp], row[None]))
        if i == 6:
            update = dirty.update(keys[:1], [stamp + delta_ns], rows[:1] + 50.0)
            assert (update.reasons, update.arrivals) == ([reason], [arrival])


@pytest.mark.parametrize('delta_ns, arrival', [
    (5 * NS_PER_S + 1, Arrival.GAP), (-NS_PER_S - 1, Arrival.JUMP)])
def test_after_a_gap_or_a_jump_back_the_stream_is_a_fresh_one(delta_ns, arrival):
    keys, stamps, rows = messages(2, 20)
    used, fresh = bank(), bank()
    used.update(keys[:8], stamps[:8], rows[:8])
    shifted = [stamp - stamps[8] + stamps[7] + delta_ns for stamp in stamps[8:]]
    got = used.update(keys[8:], shifted, rows[8:])
    assert got.arrivals == [arrival] + [Arrival.STEP] * 11
    assert_same(got, fresh.update(keys[8:], shifted, rows[8:]))


def test_the_policy_moves_the_borders():
    quick = bank(width=3, policy=TimePolicy.from_seconds(0.1, 0.01))
    got = quick.update(['a'] * 4, [0, NS_PER_S // 10, 2 * NS_PER_S, NS_PER_S], np.zeros((4, 3)))
    assert got.arrivals == [Arrival.FIRST, Arrival.STEP, Arrival.GAP, Arrival.JUMP]


def test_stamp_zero_comes_first_and_counts():
    got = bank(width=3).update(['a'] * 3, [0, 0, STEP_NS], np.ones((3, 3)))
    assert got.arrivals == [Arrival.FIRST, Arrival.DUPLICATE, Arrival.STEP]


@pytest.mark.parametrize('kind', [np.int64, np.uint64, np.int32, int])
def test_stamps_of_any_integer_type_mean_the_same(kind):
    stamps = [kind(stamp) for stamp in (2_000_000_000, 1_500_000_000, 0, 10)]
    got = bank(width=3).update(['a'] * 4, stamps, np.zeros((4, 3)))
    assert got.arrivals == [Arrival.FIRST, Arrival.LATE, Arrival.JUMP, Arrival.STEP]


def test_stamps_that_are_no_integers_are_refused():
    with pytest.raises(TypeError):
        bank(width=3).update(['a'], [1.5], np.zeros((1, 3)))


@pytest.mark.parametrize('keys', [None, ['k0', 'k2', 'never seen']])
def test_reset_and_replay_is_a_fresh_bank_to_the_bit(keys):
    used, fresh = bank(), bank()
    used.update(*messages(6, 30, keys=3))
    used.reset(keys)
    names, stamps, rows = messages(7, 30, keys=3)
    if keys is not None:
        chosen = [i for i, name in enumerate(names) if name in keys]
        names, stamps, rows = ([names[i] for i in chosen], [stamps[i] for i in chosen],
                               rows[chosen])
    got = used.update(names, stamps, rows)
    assert got.arrivals[:2] == [Arrival.FIRST] * 2
    assert_same(got, fresh.update(names, stamps, rows))


def test_reset_of_one_leaves_the_others():
    names, stamps, rows = messages(8, 20, keys=3)
    used, untouched = bank(), bank()
    used.update(names, stamps, rows)
    untouched.update(names, stamps, rows)
    used.reset(['k1'])
    later = [stamp + STEP_NS * 10 for stamp in stamps[-3:]]
    got, expected = (b.update(names[:3], later, rows[:3]) for b in (used, untouched))
    assert got.arrivals == [Arrival.STEP, Arrival.FIRST, Arrival.STEP]
    assert_same(got, expected, rows=[0, 2], other_rows=[0, 2], atol=1e-12)


@pytest.mark.parametrize('name', list(SMOOTHERS))
def test_the_caller_keeps_his_arrays_and_may_use_them_again(name):
    names, stamps, rows = messages(10, 20)
    rows[:, 3:] *= 3.0
    before = rows.copy()
    a_bank = bank(name)
    expected = one_at_a_time(bank(name), names, stamps, rows)
    np.testing.assert_array_equal(rows, before)
    buffer = np.empty((1, 7))
    for i, update in enumerate(expected):
        buffer[:] = rows[i]
        got = a_bank.update(names[:1], [stamps[i]], buffer)
        assert_same(got, update)
        for part in got.estimate:
            part[:] = np.nan


@pytest.mark.parametrize('scale', [1e-5, 2.0, 1e11])
def test_quaternions_need_not_be_units(scale):
    names, stamps, rows = messages(11, 10)
    scaled = rows.copy()
    scaled[:, 3:] *= scale
    assert_same(bank().update(names, stamps, scaled), bank().update(names, stamps, rows),
                atol=1e-12)


def test_an_empty_call():
    update = bank().update([], [], np.zeros((0, 7)))
    assert update.estimate.rows.shape == (0, 7) and update.reasons == []


@pytest.mark.parametrize('keys, stamps, shape', [
    (['a'], [0], (1, 3)), (['a'], [0], (7,)), (['a'], [0, 1], (1, 7)),
    (['a', 'b'], [0, 1], (1, 7))])
def test_what_does_not_fit_is_refused(keys, stamps, shape):
    with pytest.raises(InputError, match='expected'):
        bank().update(keys, stamps, np.zeros(shape))


@pytest.mark.parametrize('width', [0, 4, 6])
def test_a_width_that_is_neither_point_nor_pose_is_refused(width):
    with pytest.raises(InputError, match='expected 3'):
        bank(width=width)
