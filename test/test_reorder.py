# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The reorder buffer: nothing is lost, and what comes in time leaves in order."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from liquid_ros.errors import ParameterError
from liquid_ros.reorder import Reorder
from liquid_ros.timing import NS_PER_S, TimePolicy

MS = 1_000_000


def through(buffer, stamps):
    """Return what leaves after each message, and at the end; a message is its place and stamp."""
    out = [buffer.add(stamp, (i, stamp)) for i, stamp in enumerate(stamps)]
    return out + [buffer.flush()]


def flat(parts):
    return [stamp for part in parts for _, stamp in part]


def test_in_order_messages_wait_for_one_that_is_newer_by_so_much():
    out = through(Reorder(20 * MS, 10), [10 * MS, 20 * MS, 30 * MS, 40 * MS])
    assert [[stamp // MS for _, stamp in part] for part in out] == [[], [], [10], [20], [30, 40]]


@given(st.lists(st.integers(-30, 30), max_size=60), st.integers(60, 200))
def test_whatever_is_late_by_less_than_the_wait_leaves_in_order(shifts, wait):
    stamps = [(1000 + 10 * i + shift) * MS for i, shift in enumerate(shifts)]
    stamps = list(dict.fromkeys(stamps))
    assert flat(through(Reorder(wait * MS, 1000), stamps)) == sorted(stamps)


def test_what_is_waited_for_is_no_jump():
    policy = TimePolicy(jump_reset_ns=NS_PER_S)
    stamps = [MS * s for s in (1000, 5000, 2500, 6000, 3200, 9000)]
    assert flat(through(Reorder(4 * NS_PER_S, 100, policy), stamps)) == sorted(stamps)
    buffer = Reorder(4 * NS_PER_S, 100, policy)
    through(buffer, [])
    assert buffer.add(9000 * MS, 'old') == [] and buffer.add(4900 * MS, 'new run') == ['old']


steps = st.lists(st.sampled_from([10 * MS] * 5 + [0, 1, -1, -15 * MS, -40 * MS, -2 * NS_PER_S,
                                                  6 * NS_PER_S, -5 * MS, 25 * MS]), max_size=60)


@given(steps, st.integers(0, 50), st.integers(1, 6))
def test_any_sequence_is_let_out_once_and_in_bounds(steps, wait, most):
    stamps, stamp = [], 10**12
    for step in steps:
        stamp += step
        stamps.append(stamp)
    buffer = Reorder(wait * MS, most)
    out = []
    for i, stamp in enumerate(stamps):
        out += buffer.add(stamp, (i, stamp))
        assert len(buffer) <= most
        assert len(out) + len(buffer) == i + 1
    out += buffer.flush()
    assert sorted(out) == sorted(enumerate(stamps)) and len(buffer) == 0


@given(steps, st.integers(1, 6))
def test_no_wait_changes_nothing(steps, most):
    stamps = [10**12 + sum(steps[:i]) for i in range(len(steps))]
    assert flat(through(Reorder(0, most), stamps)) == stamps


def test_the_same_stamps_keep_their_order_and_messages_need_none():
    buffer = Reorder(10 * MS, 10)
    first, second = object(), object()
    assert buffer.add(5 * MS, first) + buffer.add(5 * MS, second) == []
    assert buffer.add(15 * MS, object())[:2] == [first, second]


def test_a_message_that_is_too_late_leaves_at_once():
    buffer = Reorder(20 * MS, 10)
    for stamp in (10, 20, 30, 40):
        buffer.add(stamp * MS, stamp)
    assert buffer.add(15 * MS, 'late') == ['late']
    assert buffer.add(20 * MS, 'again') == ['again']
    assert buffer.add(25 * MS, 'in time') == []
    assert buffer.flush() == ['in time', 30, 40]


def test_a_looped_recording_does_not_wait_for_its_end():
    buffer = Reorder(20 * MS, 10)
    stamps = [NS_PER_S + i * 10 * MS for i in range(300)]
    out = []
    for _ in range(2):
        for stamp in stamps:
            out += buffer.add(stamp, stamp)
    assert out + buffer.flush() == stamps + stamps


def test_a_stamp_of_zero_is_not_waited_for():
    reject = Reorder(20 * MS, 10, TimePolicy(zero_stamp='reject'))
    receive = Reorder(20 * MS, 10, TimePolicy(zero_stamp='use_receive_time'))
    for buffer in (reject, receive):
        assert buffer.add(NS_PER_S, 'a') == []
    assert reject.add(0, 'b', NS_PER_S) == ['b']
    assert receive.add(0, 'b', NS_PER_S + 5 * MS) == []
    assert receive.add(NS_PER_S + 2 * MS, 'c') == []
    assert receive.flush() == ['a', 'c', 'b']


def test_cleared_is_new():
    buffer = Reorder(20 * MS, 10)
    buffer.add(NS_PER_S, 'a')
    buffer.clear()
    assert buffer.add(NS_PER_S // 2, 'b') == [] and buffer.flush() == ['b']


@pytest.mark.parametrize('wait_ns, most', [(-1, 5), (5, 0)])
def test_settings_out_of_range_are_refused(wait_ns, most):
    with pytest.raises(ParameterError, match='expected'):
        Reorder(wait_ns, most)
