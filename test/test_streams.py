# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The stream bank: what comes in is answered once, and what is bad leaves no trace."""

from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings, strategies as st
import numpy as np
from problems import make, recording, run
import pytest

from liquid_ros.backend import TorchBackend
from liquid_ros.errors import InputError
from liquid_ros.manifold import minus
from liquid_ros.smoothers import Estimate, SMOOTHERS
from liquid_ros.streams import DROP_REASONS, StreamBank
from liquid_ros.timing import ACCEPTED, Arrival, NS_PER_S, TimePolicy

STEP_NS = 20_000_000
few = settings(max_examples=60, deadline=None)


@dataclass(frozen=True)
class Fragile:
    """Return what came; turn NaN, or forget how to count, at a chosen x."""

    def init(self, rows):
        """Return the state after the first message."""
        return self._answer(rows, rows[:, :1] * 0.0)

    def step(self, state, rows, dt_s):
        """Return the state after one more message."""
        return self._answer(rows, state['count'] + 1.0)

    def _answer(self, rows, count):
        x = rows[:, :1]
        tangent = minus(rows, rows)
        group = tangent[:, ::3] + 1.0
        lost = np.where(x == 666.0, np.nan, count)  # NaN in the state alone
        rows = np.where(x == 667.0, np.inf, rows)  # in the answer alone
        return {'count': lost, 'rows': rows}, Estimate(
            rows, tangent + count, tangent, group, group)


def bank(name='kalman', width=7, **options):
    """Return an empty bank of one of the registry's smoothers."""
    return StreamBank(make(name, backend=options.get('backend')), width, **options)


def messages(seed, count, width=7, keys=1):
    """Return keys, stamps and rows of a recording, key by key in turn."""
    rows, dt_s = recording(np.random.default_rng(seed), count, keys, width)
    stamps = np.round(np.cumsum(dt_s, 0)[..., 0] * NS_PER_S).astype(np.int64)
    return ([f'k{i}' for i in range(keys)] * count, stamps.reshape(-1).tolist(),
            rows.reshape(-1, width))


def assert_same(update, other, rows=slice(None), other_rows=slice(None), atol=0.0):
    """Compare two answers, to the bit by default."""
    for part, other_part in zip(update.estimate, other.estimate):
        np.testing.assert_allclose(part[rows], other_part[other_rows], rtol=0.0, atol=atol)


def one_at_a_time(a_bank, keys, stamps, rows):
    """Return one update a message."""
    return [a_bank.update([key], [stamp], row[None])
            for key, stamp, row in zip(keys, stamps, rows)]


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


@pytest.mark.parametrize('name', list(SMOOTHERS))
@pytest.mark.parametrize('width', [3, 7])
def test_a_batch_equals_one_message_at_a_time(name, width):
    keys, stamps, rows = messages(3, 40, width, keys=9)
    whole = bank(name, width).update(keys, stamps, rows)
    single = one_at_a_time(bank(name, width), keys, stamps, rows)
    for i, update in enumerate(single):
        assert_same(update, whole, other_rows=slice(i, i + 1), atol=1e-12)


def test_the_bank_is_the_smoother():
    rows, dt_s = recording(np.random.default_rng(4), 50, 6, 7)
    stamps = np.round(np.cumsum(dt_s, 0) * NS_PER_S).astype(np.int64)
    dt_s = np.diff(stamps, axis=0, prepend=0) / NS_PER_S
    expected = run(make('kalman'), rows, dt_s)
    a_bank = bank()
    for k in range(50):
        got = a_bank.update(range(6), stamps[k, :, 0].tolist(), rows[k])
        for part, expected_part in zip(got.estimate, expected):
            np.testing.assert_allclose(part, expected_part[k], atol=1e-12)


def test_one_key_many_times_in_a_call_keeps_its_order():
    keys, stamps, rows = messages(5, 30)
    mixed = [key for key in keys for _ in range(2)]
    mixed[1::2] = [f'other{i % 4}' for i in range(30)]
    whole = bank().update(mixed, np.repeat(stamps, 2).tolist(), np.repeat(rows, 2, axis=0))
    assert whole.accepted.all()
    alone = bank().update(keys, stamps, rows)
    assert_same(whole, alone, rows=slice(None, None, 2), atol=1e-12)
    backwards = bank().update(keys, stamps[::-1], rows)
    assert backwards.accepted.sum() == 1 + sum(
        arrival in ACCEPTED for arrival in backwards.arrivals[1:])


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


def test_growth_moves_no_stream():
    names, stamps, rows = messages(9, 3, keys=200)
    growing, whole = bank(), bank()
    for i in range(200):  # one new key a call
        growing.update(names[i:i + 1], stamps[i:i + 1], rows[i:i + 1])
    whole.update(names[:200], stamps[:200], rows[:200])
    assert_same(growing.update(names[200:], stamps[200:], rows[200:]),
                whole.update(names[200:], stamps[200:], rows[200:]), atol=1e-12)


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


@pytest.mark.parametrize('scale', [1e-5, 2.0, 1e99])
def test_quaternions_need_not_be_units(scale):
    names, stamps, rows = messages(11, 10)
    scaled = rows.copy()
    scaled[:, 3:] *= scale
    assert_same(bank().update(names, stamps, scaled), bank().update(names, stamps, rows),
                atol=1e-12)


@pytest.mark.parametrize('poison', [666.0, 667.0])
def test_a_diverged_row_keeps_the_state_it_had(poison):
    a_bank = StreamBank(Fragile(), 3)

    def send(stamp_ns, *xs):
        rows = np.array([[x, 0.0, 0.0] for x in xs])
        return a_bank.update(range(len(xs)), [stamp_ns] * len(xs), rows)

    update = send(0, 1.0, poison, 1.0)
    assert update.reasons == [None, 'diverged', None]
    update = send(STEP_NS, poison, 1.0, 1.0)
    assert update.reasons == ['diverged', None, None]
    assert update.arrivals == [Arrival.STEP, Arrival.FIRST, Arrival.STEP]
    assert np.isnan(update.estimate.rows[0]).all()
    update = send(2 * STEP_NS, 1.0, 1.0, 1.0)
    np.testing.assert_array_equal(update.estimate.variance[:, 0], [1.0, 1.0, 2.0])
    assert send(3 * STEP_NS, *[poison] * 3).reasons == ['diverged'] * 3
    assert send(2 * STEP_NS + 1, 1.0, 1.0, 1.0).accepted.all()  # the last good stamp counts


def test_a_stream_whose_every_message_diverges_never_starts():
    a_bank = StreamBank(Fragile(), 3)
    bad, good = np.full((1, 3), 666.0), np.ones((1, 3))
    for stamp_ns in range(5):
        assert a_bank.update(['a'], [stamp_ns], bad).arrivals == [Arrival.FIRST]
    assert a_bank.update(['b'], [0], good).accepted.all()
    assert a_bank.update(['a'], [9], good).accepted.all()


event = st.tuples(
    st.sampled_from('abc'),
    st.sampled_from([STEP_NS] * 6 + [1, 0, -1, -STEP_NS, -2 * NS_PER_S, 6 * NS_PER_S]),
    st.sampled_from(['good'] * 6 + ['nan', 'inf', 'huge', 'zero', 'large']))


def events_to_messages(events):
    """Return keys, stamps and rows for drawn events."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(len(events), 7))
    for row, (_, _, kind) in zip(rows, events):
        row[:] = {'zero': np.r_[row[:3], np.zeros(4)], 'large': row * 1e80}.get(kind, row)
        row[rng.integers(7)] *= {'nan': np.nan, 'inf': np.inf, 'huge': 1e200}.get(kind, 1.0)
    stamps = np.cumsum([delta for _, delta, _ in events], dtype=np.int64).tolist()
    return [key for key, _, _ in events], stamps, rows


@pytest.mark.parametrize('name', ['kalman_gated', 'one_euro'])
@few
@given(events=st.lists(event, max_size=40), cut=st.integers(0, 40))
def test_any_sequence(name, events, cut):
    keys, stamps, rows = events_to_messages(events)
    update = bank(name).update(keys, stamps, rows)
    reasons = Counter(update.reasons)
    accepted = int(update.accepted.sum())
    # received = accepted + dropped by reason
    assert len(events) == accepted + sum(reasons[reason] for reason in DROP_REASONS)
    assert reasons[None] == accepted
    for part in update.estimate:
        assert np.isfinite(part[update.accepted]).all()
        assert np.isnan(part[~update.accepted]).all()
    norms = np.linalg.norm(update.estimate.rows[update.accepted, 3:], axis=1)
    np.testing.assert_allclose(norms, 1.0, atol=1e-12)
    # two calls instead of one; and the accepted messages alone
    parts = bank(name)
    first = parts.update(keys[:cut], stamps[:cut], rows[:cut])
    second = parts.update(keys[cut:], stamps[cut:], rows[cut:])
    assert first.reasons + second.reasons == update.reasons
    kept = np.flatnonzero(update.accepted)
    again = bank(name).update([keys[i] for i in kept], [stamps[i] for i in kept], rows[kept])
    assert again.accepted.all()
    for part, a, b, alone in zip(update.estimate, first.estimate, second.estimate,
                                 again.estimate):
        np.testing.assert_allclose(np.concatenate([a, b]), part, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(alone, part[kept], rtol=1e-9, atol=1e-9)


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


@pytest.mark.parametrize('name', list(SMOOTHERS))
def test_the_torch_path_gives_the_same_answers(name):
    pytest.importorskip('torch', reason='compares with torch')
    keys, stamps, rows = messages(12, 30, keys=5)
    rows[40, 0] = np.nan
    rows[41, 0] = 1e99
    expected = bank(name).update(keys, stamps, rows)
    got = bank(name, backend=TorchBackend('cpu')).update(keys, stamps, rows)
    assert got.reasons == expected.reasons
    calm = [i for i, key in enumerate(keys) if key != 'k1']
    assert_same(got, expected, rows=calm, other_rows=calm, atol=1e-9)
