# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A message's way from bytes to bytes in one call, beside StreamBank.update()."""

import struct

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from liquid_ros.cdr import LITTLE
from liquid_ros.checkpoint import build
from liquid_ros.fused import Compiled
from liquid_ros.smoothers.tuning import Tuning
from liquid_ros.streams import StreamBank
from liquid_ros.timing import NS_PER_S, TimePolicy
from liquid_ros.way import Way, WHENEVER_NS

START_NS = 1_700_000_000 * NS_PER_S
LONG_AGO = -WHENEVER_NS
SMOOTHER = build('liquid')

pytestmark = pytest.mark.skipif(not isinstance(SMOOTHER, Compiled), reason='no compiled step')


def raw_of(stamp_ns, row, frame=b'map\0', gap=b'\0\0\0\0'):
    """Return a message: a header and numbers."""
    head = LITTLE + struct.pack('<iII', *divmod(stamp_ns, NS_PER_S), len(frame)) + frame
    return head + gap[:(4 - len(head)) % 8] + np.asarray(row).tobytes()


def way_of(width):
    raw = raw_of(0, np.zeros(width))
    return Way(0, 'map', width, raw[:-8 * width], 4, [(0, 4), (12, 20)])


def walk(width, count, seed=0):
    rng = np.random.default_rng(seed)
    rows = np.cumsum(rng.normal(size=(count, width)) * 0.02, 0)
    rows[:, 3:] = [0.1, -0.2, 0.3, 0.9][:width - 3] + 0.02 * rng.normal(size=(count, width - 3))
    return [START_NS + i * 33_333_333 for i in range(count)], rows


def pair(width, count=30, **tuning):
    """Return two banks that have seen the same, the next message and its stamp."""
    banks = [StreamBank(SMOOTHER, width), StreamBank(SMOOTHER, width)]
    stamps, rows = walk(width, count + 1)
    for bank in banks:
        bank.tune(Tuning(**tuning))
        for stamp_ns, row in zip(stamps[:-1], rows):
            bank.update((0,), (stamp_ns,), row[None], ('map',))
    return banks, stamps[-1], rows[-1]


def everything(bank):
    arrays, meta = bank.state()
    return {name: array.tobytes() for name, array in arrays.items()}, meta


@pytest.mark.parametrize('tuning', [{}, {'smoothing': -0.5}, {'gate_probability': 0.01}])
@pytest.mark.parametrize('width', [3, 7])
def test_many_messages_come_to_the_same_bits(width, tuning):
    (one, other), _, _ = pair(width, **tuning)
    stamps, rows = walk(width, 400, seed=1)
    rng, way, short = np.random.default_rng(2), way_of(width), 0
    for i, (stamp_ns, row) in enumerate(zip(stamps, rows)):
        stamp_ns += 2 * NS_PER_S
        row = row + (rng.random() < 0.05) * 3.0
        if i == 200:
            for bank in (one, other):
                bank.tune(Tuning(smoothing=0.3))
        answer = one.update((0,), (stamp_ns,), row[None], ('map',))
        raw = raw_of(stamp_ns, row, gap=rng.bytes(4))
        taken = other.advance_bytes(way, raw, LONG_AGO)
        if not taken:
            other.update((0,), (stamp_ns,), row[None], ('map',))
            continue
        short += 1
        assert taken == stamp_ns == other.last_ns(0)
        assert way.out == raw_of(stamp_ns, answer.estimate.rows[0])
        said = np.concatenate([part[0] for part in answer.estimate])
        assert way.said[:-1].tobytes() == said.tobytes()
    assert short > 390
    assert everything(one) == everything(other)


def with_number(at, value):
    def change(row):
        row[at] = value
    return change


@pytest.mark.parametrize('width', [3, 7])
@pytest.mark.parametrize('later_ns', [
    0, -1, -NS_PER_S, 5 * NS_PER_S + 1, 3600 * NS_PER_S, -3600 * NS_PER_S, 200_000_000])
def test_a_stamp_of_which_there_is_more_to_say_is_declined(width, later_ns):
    """Repeated, late, back, behind a gap, or a leap: more than four times the usual step."""
    (bank, _), stamp_ns, row = pair(width)
    before = everything(bank)
    last_ns = bank.last_ns(0)
    assert not bank.advance_bytes(way_of(width), raw_of(last_ns + later_ns, row), LONG_AGO)
    assert everything(bank) == before
    assert bank.advance_bytes(way_of(width), raw_of(stamp_ns, row), LONG_AGO) == stamp_ns


@pytest.mark.parametrize('change', [
    with_number(0, np.nan), with_number(1, np.inf), with_number(2, -np.inf), with_number(0, 1e12),
    with_number(slice(3, 7), 0.0), with_number(slice(3, 7), 1e-7), with_number(4, np.nan),
    with_number(6, 1e7), with_number(6, 1e200)])
def test_numbers_that_are_refused_or_odd_are_declined(change):
    (bank, _), stamp_ns, row = pair(7)
    before = everything(bank)
    broken = row.copy()
    change(broken)
    assert not bank.advance_bytes(way_of(7), raw_of(stamp_ns, broken), LONG_AGO)
    assert everything(bank) == before


@pytest.mark.parametrize('width', [3, 7])
def test_bytes_that_are_not_as_those_before_are_declined(width):
    (bank, _), stamp_ns, row = pair(width)
    raw, before = raw_of(stamp_ns, row), everything(bank)
    assert not bank.advance_bytes(way_of(width), raw + b'\0', LONG_AGO)
    for cut in range(len(raw)):
        assert not bank.advance_bytes(way_of(width), raw[:cut], LONG_AGO)
    for at in [*range(4), *range(12, 20)]:  # the encapsulation; the frame and its length
        body = bytearray(raw)
        body[at] ^= 1
        assert not bank.advance_bytes(way_of(width), bytes(body), LONG_AGO)
    body = bytearray(raw)
    struct.pack_into('<I', body, 8, NS_PER_S)
    assert not bank.advance_bytes(way_of(width), bytes(body), LONG_AGO)
    assert everything(bank) == before


def test_what_the_receipt_and_the_outputs_say_counts():
    (bank, _), stamp_ns, row = pair(3)
    way, raw = way_of(3), raw_of(stamp_ns, row)
    bank.policy = TimePolicy(future_ns=NS_PER_S)
    assert not bank.advance_bytes(way, raw, LONG_AGO, stamp_ns - NS_PER_S - 1)
    assert not bank.advance_bytes(way, raw, stamp_ns)
    assert bank.advance_bytes(way, raw, stamp_ns - 1, stamp_ns - NS_PER_S) == stamp_ns
    assert not bank.advance_bytes(way, raw_of(0, row), LONG_AGO)


def test_a_stream_that_is_unknown_young_or_of_another_frame_is_declined():
    bank, way = StreamBank(SMOOTHER, 3), way_of(3)
    assert not bank.advance_bytes(way, raw_of(START_NS, [1.0, 2.0, 3.0]), LONG_AGO)
    for i in range(20):
        bank.update((0,), (START_NS + i * 10**7,), np.ones((1, 3)), ('odom',))
        assert not bank.advance_bytes(
            way, raw_of(START_NS + i * 10**7 + 1, [1.0, 2.0, 3.0]), LONG_AGO)


def test_a_plain_smoother_has_no_way():
    bank = StreamBank(SMOOTHER.plain, 3)
    for i in range(20):
        bank.update((0,), (START_NS + i * 10**7,), np.ones((1, 3)), ('map',))
    assert not bank.advance_bytes(way_of(3), raw_of(START_NS + 21 * 10**7, [1.0] * 3), LONG_AGO)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=120))
def test_any_bytes_are_declined_or_finite(data):
    (bank, _), stamp_ns, row = pair(7, 10)
    raw = raw_of(stamp_ns, row)
    way = way_of(7)
    for body in (data, raw[:24] + data[:56] + raw[24 + len(data[:56]):]):
        if bank.advance_bytes(way, body, LONG_AGO):
            assert np.isfinite(way.said).all()
