# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Every arrival, at its exact border; stamps as text, to the nanosecond."""

import dataclasses
import decimal

from hypothesis import given
from hypothesis import strategies as st
import pytest

from liquid_ros.errors import ParameterError
from liquid_ros.timing import (
    ACCEPTED,
    Arrival,
    arrive,
    Arrived,
    held_ns,
    NS_PER_S,
    ns_to_seconds_text,
    plain_step_s,
    RESTARTS,
    seconds_to_ns,
    TimePolicy,
)

POLICY = TimePolicy(gap_reset_ns=5 * NS_PER_S, jump_reset_ns=NS_PER_S)
EPOCH_NS = 1_700_000_000_123_456_789

stamps = st.integers(-2**63, 2**63 - 1)


def test_a_stamp_beyond_what_a_message_holds_is_the_furthest():
    most = 2**31 * NS_PER_S
    assert [held_ns(ns) for ns in (0, -5, most, -2**40 * NS_PER_S)] == [0, -5, most - 1, -most]


@pytest.mark.parametrize('start', [0, -3, EPOCH_NS])
@pytest.mark.parametrize('delta_ns, arrival', [
    (1, Arrival.STEP),
    (5 * NS_PER_S, Arrival.STEP),
    (5 * NS_PER_S + 1, Arrival.GAP),
    (0, Arrival.DUPLICATE),
    (-1, Arrival.LATE),
    (-NS_PER_S, Arrival.LATE),
    (-NS_PER_S - 1, Arrival.JUMP),
])
def test_each_arrival_at_its_border(start, delta_ns, arrival):
    got = arrive(start, start + delta_ns, POLICY)
    assert (got.arrival, got.stamp_ns, got.future) == (arrival, start + delta_ns, False)
    assert got.dt_s == (delta_ns / NS_PER_S if arrival is Arrival.STEP else 0.0)


@given(st.none() | stamps, st.integers(-2**36, 2**36) | stamps,
       st.none() | st.integers(-2**36, 2**36) | stamps,
       st.sampled_from(['accept', 'reject', 'use_receive_time']), st.booleans())
def test_a_plain_step_is_what_arrive_says_or_nothing(last_ns, delta_ns, received_ns, zero, near):
    base = last_ns or 0
    stamp_ns = base + delta_ns if near else delta_ns
    received_ns = stamp_ns + received_ns if near and received_ns is not None else received_ns
    policy = dataclasses.replace(POLICY, zero_stamp=zero)
    said = arrive(last_ns, stamp_ns, policy, received_ns)
    plain = said.arrival is Arrival.STEP and not said.future and stamp_ns != 0
    assert plain_step_s(last_ns, stamp_ns, policy, received_ns) == (said.dt_s if plain else 0.0)


@pytest.mark.parametrize('stamp_ns', [0, -1, EPOCH_NS])
def test_nothing_before_is_first(stamp_ns):
    assert arrive(None, stamp_ns, POLICY) == Arrived(Arrival.FIRST, stamp_ns)


def test_stamp_zero_is_a_stamp():
    assert arrive(0, 0, POLICY) == Arrived(Arrival.DUPLICATE, 0)
    assert arrive(0, 10_000_000, POLICY) == Arrived(Arrival.STEP, 10_000_000, 0.01)
    assert arrive(-10_000_000, 0, POLICY) == Arrived(Arrival.STEP, 0, 0.01)
    assert arrive(EPOCH_NS, 0, POLICY) == Arrived(Arrival.JUMP, 0)


@pytest.mark.parametrize('last_ns', [None, EPOCH_NS])
def test_a_stamp_left_at_zero_is_rejected_or_replaced(last_ns):
    reject, replace = (TimePolicy(zero_stamp=word) for word in ('reject', 'use_receive_time'))
    later_ns = EPOCH_NS + 10_000_000
    assert arrive(last_ns, 0, reject, later_ns) == Arrived(Arrival.ZERO_STAMP, 0)
    assert arrive(last_ns, 0, replace) == Arrived(Arrival.ZERO_STAMP, 0)
    assert arrive(last_ns, 0, replace, later_ns) == arrive(last_ns, later_ns, replace, later_ns)
    assert arrive(last_ns, 0, replace, later_ns).stamp_ns == later_ns
    for policy in (reject, replace):  # one nanosecond is a time
        assert arrive(last_ns, 1, policy, later_ns) == arrive(last_ns, 1, POLICY, later_ns)


def test_a_zero_stamp_policy_that_is_none_is_refused():
    with pytest.raises(ParameterError, match="got zero_stamp 'maybe', expected one of accept"):
        TimePolicy(zero_stamp='maybe')


@pytest.mark.parametrize('ahead_ns, future', [(-NS_PER_S, False), (500, False), (501, True)])
def test_a_stamp_from_the_future_is_marked_and_taken(ahead_ns, future):
    policy = TimePolicy(future_ns=500)
    for last_ns, arrival in ((None, Arrival.FIRST), (EPOCH_NS + ahead_ns - 1, Arrival.STEP),
                             (EPOCH_NS + ahead_ns, Arrival.DUPLICATE)):
        got = arrive(last_ns, EPOCH_NS + ahead_ns, policy, EPOCH_NS)
        assert (got.arrival, got.future) == (arrival, future)
    assert not arrive(None, EPOCH_NS, policy).future


@given(stamps, stamps)
def test_only_a_step_has_a_dt(last_ns, stamp_ns):
    arrival, used_ns, dt_s, future = arrive(last_ns, stamp_ns, POLICY)
    assert used_ns == stamp_ns and not future
    assert (dt_s > 0.0) == (arrival is Arrival.STEP)
    assert RESTARTS < ACCEPTED
    assert (arrival in ACCEPTED) == (arrival not in (Arrival.DUPLICATE, Arrival.LATE))


@given(stamps, st.integers(1, 5 * NS_PER_S))
def test_dt_does_not_depend_on_the_epoch(start_ns, delta_ns):
    assert arrive(start_ns, start_ns + delta_ns, POLICY)._replace(
        stamp_ns=delta_ns) == arrive(0, delta_ns, POLICY)


def test_policy_from_seconds():
    assert TimePolicy.from_seconds(0.1, 1e-9) == TimePolicy(100_000_000, 1)
    assert TimePolicy.from_seconds(1.0, 1.0, 'reject', 0.5).future_ns == 500_000_000
    assert TimePolicy() == POLICY


@given(stamps)
def test_text_keeps_every_nanosecond(stamp_ns):
    text = ns_to_seconds_text(stamp_ns)
    assert seconds_to_ns(text) == stamp_ns
    assert len(text.split('.')[1]) == 9
    assert decimal.Decimal(text) == decimal.Decimal(stamp_ns).scaleb(-9)


@pytest.mark.parametrize('text, stamp_ns', [
    ('0', 0), ('0.0', 0), ('-0.000000001', -1), ('1.5', 1_500_000_000), (' 2 \n', 2 * NS_PER_S),
    ('1700000000.123456789', EPOCH_NS), ('1.700000000123456789e9', EPOCH_NS), ('1e-9', 1),
    ('.5', 500_000_000), ('1e-30', 0), ('0.0000000014', 1), ('0.0000000016', 2),
])
def test_text_to_ns(text, stamp_ns):
    assert seconds_to_ns(text) == stamp_ns


@given(st.floats(-1e6, 1e6))
def test_digits_past_the_ninth_are_rounded(seconds):
    assert abs(seconds_to_ns(repr(seconds)) - decimal.Decimal(repr(seconds)) * NS_PER_S) <= 0.5


@pytest.mark.parametrize('text', [
    '', 'abc', '1.2.3', 'nan', 'sNaN', 'inf', '-Infinity', '1e400', '1e999999', '1e99999999999',
    '9223372036.854775808', '-9223372036.854775809', '0x10', '1,5'])
def test_what_is_no_stamp_is_one_line(text):
    with pytest.raises(ValueError, match='expected seconds as a decimal number') as caught:
        seconds_to_ns(text)
    assert repr(text) in str(caught.value) and '\n' not in str(caught.value)
    assert 'ms, us or ns' not in str(caught.value) or decimal.Decimal(text).is_finite()


@pytest.mark.parametrize('text', ['1700000000000', '-1700000000000000', '1700000000000000000.0'])
def test_stamps_in_another_unit_are_asked_about(text):
    with pytest.raises(ValueError, match=f"got '{text}', expected seconds .*: is it in ms, us or"):
        seconds_to_ns(text)
