# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Many streams at once are each of them alone, and a row that goes wrong is taken back."""

from collections import Counter
from dataclasses import dataclass

from banks import assert_same, bank, messages, one_at_a_time
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from problems import make, recording, run
import pytest

from liquid_ros.backend import TorchBackend
from liquid_ros.manifold import minus
from liquid_ros.smoothers import Estimate, SMOOTHERS
from liquid_ros.streams import StreamBank
from liquid_ros.timing import ACCEPTED, Arrival, NS_PER_S
from liquid_ros.update import DROP_REASONS

STEP_NS = 20_000_000
few = settings(max_examples=60, deadline=None)


@dataclass(frozen=True)
class Fragile:
    """Return what came; turn NaN, or forget how to count, at a chosen x."""

    def init(self, rows, variances=None):
        """Return the state after the first message."""
        return self._answer(rows, rows[:, :1] * 0.0)

    def step(self, state, rows, dt_s, variances=None):
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


def test_growth_moves_no_stream():
    names, stamps, rows = messages(9, 3, keys=200)
    growing, whole = bank(), bank()
    for i in range(200):  # one new key a call
        growing.update(names[i:i + 1], stamps[i:i + 1], rows[i:i + 1])
    whole.update(names[:200], stamps[:200], rows[:200])
    assert_same(growing.update(names[200:], stamps[200:], rows[200:]),
                whole.update(names[200:], stamps[200:], rows[200:]), atol=1e-12)


@pytest.mark.parametrize('name', list(SMOOTHERS))
def test_the_torch_path_gives_the_same_answers(name):
    pytest.importorskip('torch', reason='compares with torch')
    keys, stamps, rows = messages(12, 30, keys=5)
    rows[40, 0] = np.nan
    rows[41, 0] = 1e11
    expected = bank(name).update(keys, stamps, rows)
    got = bank(name, backend=TorchBackend('cpu')).update(keys, stamps, rows)
    assert got.reasons == expected.reasons
    calm = [i for i, key in enumerate(keys) if key != 'k1']
    assert_same(got, expected, rows=calm, other_rows=calm, atol=1e-9)


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
