# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A message's way from bytes to bytes in one call, beside StreamBank.update()."""

import struct

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from ways import LONG_AGO, raw_of, way_of

from liquid_ros.checkpoint import build
from liquid_ros.fused import Compiled
from liquid_ros.geometry import own_variances, pose_covariance
from liquid_ros.intake import refuse
from liquid_ros.smoothers.tuning import Tuning
from liquid_ros.streams import StreamBank
from liquid_ros.timing import NS_PER_S, TimePolicy

START_NS = 1_700_000_000 * NS_PER_S
SMOOTHER = build('liquid')

pytestmark = pytest.mark.skipif(not isinstance(SMOOTHER, Compiled), reason='no compiled step')


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
@pytest.mark.parametrize('tuning', [Tuning(), Tuning(smoothing=0.5, gate_probability=0.99)])
def test_it_is_the_long_way_or_declines(width, tuning):
    """Two banks, two streams, all that a stamp, a row and a frame can be."""
    rng = np.random.default_rng(7)
    short, long = (StreamBank(SMOOTHER, width) for _ in range(2))
    short.tune(tuning)
    long.tune(tuning)
    now, declined = 5_000_000_000, 0
    ways = {(key, frame): way_of(width, None, key, frame)
            for key in range(2) for frame in ('map', 'odom')}
    for i in range(600):
        now += int(rng.integers(1, 40_000_000))
        stamp_ns = now + int(rng.choice([0, -10**8, -3 * 10**9, 6 * 10**9, -now],
                                        p=[0.9, 0.03, 0.03, 0.03, 0.01]))
        row = rng.standard_normal(width)
        row[-1] += rng.choice([3.0, np.nan, 1e13], p=[0.96, 0.02, 0.02])
        key, frame = int(rng.integers(2)), str(rng.choice(['map', 'odom'], p=[0.97, 0.03]))
        received_ns = None if i % 2 else now
        given = {} if received_ns is None else {'received_ns': [received_ns]}
        before = everything(short)
        way = ways[key, frame]
        took = short.advance_bytes(way, raw_of(stamp_ns, row, frame), LONG_AGO, received_ns)
        wanted = long.update([key], [stamp_ns], row[None], [frame], **given)
        if not took:
            declined += 1
            assert everything(short) == before
            short.update([key], [stamp_ns], row[None], [frame], **given)
        else:
            assert wanted.reasons == [None] and took == stamp_ns
            np.testing.assert_array_equal(way.said[:-1], np.concatenate(wanted.estimate, 1)[0])
    assert 60 < declined < 300
    assert everything(long) == everything(short)


ODD = [0.0, -1.0, 1e-4, 1e-30, 1e30, np.inf, np.nan]


@pytest.mark.parametrize('count', [43, 85])
def test_a_covariance_is_read_and_written_and_a_twist_copied(count):
    """As geometry.py has them, to the bit; what a sender may state is anything."""
    rng, (one, other), way = np.random.default_rng(3), pair(7)[0], way_of(7, count)
    stamps, rows = walk(7, 300, seed=4)
    for i, (stamp_ns, row) in enumerate(zip(stamps, rows)):
        stamp_ns += 2 * NS_PER_S
        root = 0.1 * rng.normal(size=(6, 6))
        stated = (root @ root.T).ravel() * 10.0 ** rng.integers(-3, 3) if i % 3 else (
            np.diag(rng.choice(ODD, 6)).ravel() if i % 2 else rng.choice(ODD, 36))
        if i % 7 == 0:
            stated = np.zeros(36)
        twist = rng.normal(size=count - 43)
        numbers = [*row, *stated, *twist]
        took = one.advance_bytes(way, raw_of(stamp_ns, numbers), LONG_AGO)
        with np.errstate(all='ignore'):
            variances = own_variances(stated[None], row[None, 3:])
        estimate = other.update((0,), (stamp_ns,), row[None], ('map',), variances).estimate
        if not took:
            one.update((0,), (stamp_ns,), row[None], ('map',), variances)
            assert i < 2
            continue
        smooth, = estimate.rows
        covariance, = pose_covariance(estimate.variance, estimate.rows[:, 3:])
        assert way.out == raw_of(stamp_ns, [*smooth, *covariance, *twist])
    assert everything(one) == everything(other)


@pytest.mark.parametrize('odd', [np.nan, np.inf, -np.inf])
def test_a_twist_that_is_no_number_is_declined(odd):
    (bank, _), stamp_ns, row = pair(7)
    before = everything(bank)
    numbers = np.concatenate([row, np.zeros(78)])
    for at in (43, 60, 84):
        broken = numbers.copy()
        broken[at] = odd
        assert not bank.advance_bytes(way_of(7, 85), raw_of(stamp_ns, broken), LONG_AGO)
    assert everything(bank) == before
    assert bank.advance_bytes(way_of(7, 85), raw_of(stamp_ns, numbers), LONG_AGO) == stamp_ns


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


ODD_NUMBERS = st.floats(-2.0, 2.0) | st.sampled_from(
    [0.0, 1e-7, 1e-6, 2e-6, 1.0, 9.9e11, 1e12, 1e200, np.inf, np.nan])
SIGNED = ODD_NUMBERS | ODD_NUMBERS.map(lambda x: -x)


@settings(max_examples=300, deadline=None)
@given(values=st.lists(SIGNED, min_size=3, max_size=3) | st.lists(SIGNED, min_size=7, max_size=7))
def test_values_are_used_that_nothing_is_said_against(values):
    """And none but quaternions that are longer than a sender's can be."""
    (one, other), stamp_ns, _ = pair(len(values), 10)
    row, way = np.array(values), way_of(len(values))
    took = one.advance_bytes(way, raw_of(stamp_ns, row), LONG_AGO)
    if not took:
        assert refuse(row) is not None or sum(x * x for x in values[3:]) >= 1e12
    else:
        assert refuse(row) is None
        estimate = other.update((0,), (stamp_ns,), row[None], ('map',)).estimate
        assert way.said[:-1].tobytes() == np.concatenate(estimate, 1)[0].tobytes()


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=120))
def test_any_bytes_are_declined_or_finite(data):
    (bank, _), stamp_ns, row = pair(7, 10)
    raw = raw_of(stamp_ns, row)
    way = way_of(7)
    for body in (data, raw[:24] + data[:56] + raw[24 + len(data[:56]):]):
        if bank.advance_bytes(way, body, LONG_AGO):
            assert np.isfinite(way.said).all()


@pytest.mark.parametrize('width', [3, 7])
def test_whatever_else_is_done_meanwhile_both_ways_stay_the_same(width):
    """Streams that come and go, saved states, other weights and knobs, policies; old ways stay."""
    rng, ways = np.random.default_rng(width), {}
    one, other = StreamBank(SMOOTHER, width), StreamBank(SMOOTHER, width)
    last = dict.fromkeys(range(40), START_NS)
    short, saved = 0, one.state()
    for i in range(3000):
        key = int(rng.integers(12 if i < 1000 else 40))  # the store grows
        last[key] += int(rng.choice([1, 33_333_333, 20_000_000, 7 * NS_PER_S, -10**8],
                                    p=[0.01, 0.7, 0.27, 0.01, 0.01]))
        row = np.arange(1.0, width + 1.0) + 0.01 * rng.normal(size=width)
        what = rng.integers(150)
        for bank in (one, other):
            if what == 0:
                bank.reset((key,))
            elif what == 1:
                bank.tune(Tuning(smoothing=i % 3 / 4.0, gate_probability=i % 2 / 10.0))
            elif what == 2:
                bank.exchange(build('liquid'))
            elif what == 3:
                bank.policy = TimePolicy(gap_reset_ns=(1 + i % 9) * NS_PER_S)
            elif what == 4:
                bank.load_state(*saved)
        if what == 5:
            saved = one.state()
        way = ways.setdefault(key, way_of(width, key=key))
        answer = one.update((key,), (last[key],), row[None], ('map',))
        took = other.advance_bytes(way, raw_of(last[key], row), LONG_AGO)
        short += bool(took)
        if took:
            assert way.out == raw_of(last[key], answer.estimate.rows[0])
        else:
            other.update((key,), (last[key],), row[None], ('map',))
    assert short > 1500
    assert everything(one) == everything(other)
