# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A bank that was written and read goes on to the bit, and only where it fits."""

from banks import assert_same, bank, messages
import numpy as np
import pytest

from liquid_ros import safetensors
from liquid_ros.backend import TorchBackend
from liquid_ros.errors import CheckpointError, InputError
from liquid_ros.smoothers import SMOOTHERS
from liquid_ros.smoothers.liquid import Liquid
from liquid_ros.streams import StreamBank
from liquid_ros.timing import Arrival

FRAMES = ['map', 'odom', 'map']


def told(rows, count):
    """Return variances for some of the messages."""
    axes = 3 if rows.shape[1] == 3 else 6
    out = np.random.default_rng(0).uniform(1e-6, 1e-2, (len(rows), axes))
    out[::count] = np.nan
    return out


@pytest.mark.parametrize('name', list(SMOOTHERS))
@pytest.mark.parametrize('width', [3, 7], ids=['point', 'pose'])
@pytest.mark.parametrize('cut', [0, 1, 2, 50])
def test_written_read_and_continued_is_uninterrupted(tmp_path, name, width, cut):
    keys, stamps, rows = messages(1, cut + 20, width, keys=3)
    frames, variances = FRAMES * (cut + 20), told(rows, 4)
    whole, second = bank(name, width), bank(name, width)
    second.update(['other'], [5], rows[:1])  # is forgotten
    before, after = slice(0, 3 * cut), slice(3 * cut, None)
    whole.update(keys[before], stamps[before], rows[before], frames[before], variances[before])
    path = str(tmp_path / 'state.safetensors')
    safetensors.save(path, *whole.state())
    second.load_state(*safetensors.load(path))
    assert second.last_ns('other') is None
    assert [second.last_ns(key) for key in keys[:3]] == [whole.last_ns(key) for key in keys[:3]]
    got, expected = (b.update(keys[after], stamps[after], rows[after], frames[after],
                              variances[after]) for b in (second, whole))
    assert got.arrivals == expected.arrivals
    assert_same(got, expected)
    # the frames too
    late = [stamp + 10**9 for stamp in stamps[-3:]]
    got = second.update(keys[:3], late, rows[:3], ['map'] * 3)
    assert got.arrivals == [Arrival.STEP, Arrival.FRAME, Arrival.STEP]


def test_what_is_written_is_what_was_then():
    keys, stamps, rows = messages(2, 20, keys=2)
    a_bank = bank()
    a_bank.update(keys[:20], stamps[:20], rows[:20])
    arrays, meta = a_bank.state()
    expected = a_bank.update(keys[20:], stamps[20:], rows[20:])
    a_bank.load_state(arrays, meta)
    assert_same(a_bank.update(keys[20:], stamps[20:], rows[20:]), expected)


def test_keys_of_any_plain_kind():
    _, _, rows = messages(3, 5)
    names = ['a', 7, ('tag', 3), ('x', ('y', 0.5)), None]
    a_bank, other = bank(), bank()
    a_bank.update(names, [100] * 5, rows)
    a_bank.update(names[:2], [100] * 2, rows[:2])
    a_bank.reset(['a'])
    other.load_state(*a_bank.state())
    assert [other.last_ns(name) for name in names] == [None, 100, 100, 100, 100]
    got = other.update(names[1:], [200] * 4, rows[1:])
    assert_same(got, a_bank.update(names[1:], [200] * 4, rows[1:]))


def test_a_key_that_is_no_text_is_one_sentence():
    a_bank = bank()
    a_bank.update([frozenset('a')], [0], messages(4, 1)[2])
    with pytest.raises(InputError, match='key cannot be written'):
        a_bank.state()


def test_from_torch_to_numpy_and_back():
    pytest.importorskip('torch', reason='moves between libraries')
    keys, stamps, rows = messages(5, 60)
    on_torch, on_numpy = bank('liquid', backend=TorchBackend('cpu')), bank('liquid')
    on_torch.update(keys[:30], stamps[:30], rows[:30])
    on_numpy.load_state(*on_torch.state())
    got = on_numpy.update(keys[30:], stamps[30:], rows[30:])
    assert_same(got, on_torch.update(keys[30:], stamps[30:], rows[30:]), atol=1e-9)
    on_torch.load_state(*on_numpy.state())
    assert on_torch.last_ns('k0') == stamps[-1]


def filled(name='liquid', width=7):
    """Return a bank that has seen something."""
    a_bank = bank(name, width)
    a_bank.update(*messages(6, 20, width, keys=2))
    return a_bank


@pytest.mark.parametrize('other, what', [
    (lambda: filled('kalman'), "smoother 'Kalman', expected 'Liquid'"),
    (lambda: filled(width=3), "width '3', expected '7'")])
def test_another_bank_s_state_is_refused_and_nothing_changes(other, what):
    a_bank, untouched = filled(), filled()
    with pytest.raises(CheckpointError, match=what):
        a_bank.load_state(*other().state())
    _, stamps, rows = messages(7, 5)
    stamps = [stamp + 2 * 10**9 for stamp in stamps]
    assert_same(a_bank.update(['k0'] * 5, stamps, rows),
                untouched.update(['k0'] * 5, stamps, rows))


def test_other_weights_are_refused():
    a_bank = filled()
    smoother = Liquid(a_bank._smoother.config, {
        **a_bank._smoother.weights, 'bias_out': a_bank._smoother.weights['bias_out'] + 1e-9})
    with pytest.raises(CheckpointError, match="weights '[0-9a-f]{16}', expected '[0-9a-f]{16}'"):
        StreamBank(smoother, 7).load_state(*a_bank.state())


@pytest.mark.parametrize('spoil', [
    lambda arrays, meta: arrays.pop('last_ns'),
    lambda arrays, meta: arrays.pop('state.rows'),
    lambda arrays, meta: arrays.update({'state.more': np.zeros((2, 3))}),
    lambda arrays, meta: arrays.update({'state.rows': arrays['state.rows'][:1]}),
    lambda arrays, meta: arrays.update({'state.rows': arrays['state.rows'] * np.nan}),
    lambda arrays, meta: arrays.update({'last_ns': arrays['last_ns'][:1]}),
    lambda arrays, meta: meta.pop('keys'),
    lambda arrays, meta: meta.update(keys='["k0", "k0"]'),
    lambda arrays, meta: meta.update(keys='{'),
    lambda arrays, meta: meta.update(keys='[{"a": 1}, 2]'),
    lambda arrays, meta: meta.update(frames='[1, 2]'),
    lambda arrays, meta: meta.update(frames='7'),
    lambda arrays, meta: meta.update(frames='{"a": 1, "b": 2}'),
    lambda arrays, meta: meta.update(frames='"ab"'),
    lambda arrays, meta: meta.update(keys='"ab"'),
    lambda arrays, meta: meta.update(keys='[' * 100_000),
    lambda arrays, meta: arrays.update({'last_ns': np.array([np.nan, 1.0])}),
    lambda arrays, meta: arrays.update({'last_ns': arrays['last_ns'].astype(np.int32)}),
    lambda arrays, meta: arrays.update({'last_ns': arrays['last_ns'][:, None]}),
    lambda arrays, meta: arrays.update({'last_ns': arrays['last_ns'][0]}),
    lambda arrays, meta: arrays.update({'state.rows': arrays['state.rows'].astype(np.float32)}),
])
def test_a_damaged_state_is_refused(spoil):
    arrays, meta = filled().state()
    arrays, meta = dict(arrays), dict(meta)
    spoil(arrays, meta)
    a_bank, untouched = filled(), filled()
    with pytest.raises(CheckpointError, match='the saved state') as caught:
        a_bank.load_state(arrays, meta)
    assert '\n' not in str(caught.value)
    _, stamps, rows = messages(7, 3)
    later = [stamp + 2 * 10**9 for stamp in stamps]
    assert_same(a_bank.update(['k0'] * 3, later, rows), untouched.update(['k0'] * 3, later, rows))
