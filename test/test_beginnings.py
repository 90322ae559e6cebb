# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A stream whose first messages were of elsewhere begins where it is."""

from banks import assert_same, bank, one_at_a_time
import numpy as np
import pytest
from ways import advance

from liquid_ros import safetensors
from liquid_ros.manifold import plus, unit_row
from liquid_ros.smoothers import SMOOTHERS
from liquid_ros.timing import Arrival, NS_PER_S

COUNT, RATE = 80, 30


def stream(wrong, width=7, noise=0.005, seed=0):
    """Return keys, stamps and rows: some of zeros, then a slow motion 3 m and 1 rad away."""
    rng = np.random.default_rng(seed)
    axes = 3 if width == 3 else 6
    way = 0.01 * np.sin(0.1 * np.arange(COUNT))[:, None] + [3.0, 0.0, 1.0, 1.0, 0.0, 0.0][:axes]
    rows = plus(np.repeat(unit_row(width), COUNT, 0), way + noise * rng.standard_normal(way.shape))
    rows[:wrong] = unit_row(width)
    return ['k'] * COUNT, [NS_PER_S + k * NS_PER_S // RATE for k in range(COUNT)], rows


@pytest.mark.parametrize('name', list(SMOOTHERS))
@pytest.mark.parametrize('width', [3, 7], ids=['point', 'pose'])
@pytest.mark.parametrize('wrong', [1, 2, 7, 50])
def test_it_is_the_stream_without_them(name, width, wrong):
    keys, stamps, rows = stream(wrong, width)
    got = bank(name, width).update(keys, stamps, rows)
    clean = bank(name, width).update(keys[wrong:], stamps[wrong:], rows[wrong:])
    begun = wrong + 1  # the second message that is right shows it
    assert got.arrivals == ([Arrival.FIRST] + [Arrival.STEP] * wrong + [Arrival.FALSE_START]
                            + [Arrival.STEP] * (COUNT - wrong - 2))
    assert_same(got, clean, slice(begun, None), slice(1, None))


def test_values_that_are_sent_again_begin_where_they_are():
    """The first new value's repeat is no rest."""
    keys, stamps, rows = stream(0)
    rows[:, 0] += 0.01 * np.arange(COUNT)
    got = bank().update(keys, stamps, rows[np.arange(COUNT) // 5 * 5])
    assert Arrival.FALSE_START not in got.arrivals
    rows[:5] = unit_row(7)
    got = bank().update(keys, stamps, rows[np.arange(COUNT) // 5 * 5])
    assert got.arrivals.index(Arrival.FALSE_START) == 10


def test_of_what_turns_alone():
    keys, stamps, rows = stream(1)
    rows[:, :3] = 0.0
    assert bank().update(keys, stamps, rows).arrivals[2] is Arrival.FALSE_START


@pytest.mark.parametrize('ways', [
    [1, 1, 1, 1], [1, 0.5, 0.2, 0.1, 0.05], [-1, 1, -1, 1], [0, 0, 0, 0], [0, 0, 1, 1, 1],
    [0, 1, 0.2, 0, 0], [1, -0.2, 0, 0], [0.01, 1, 0, 0, 0]], ids=str)
def test_what_moves_on_is_left_alone(ways):
    rows = np.zeros((len(ways) + 1, 3))
    rows[1:, 0] = np.cumsum(ways)
    stamps = [NS_PER_S * k for k in range(len(rows))]
    got = bank(width=3).update(['k'] * len(rows), stamps, rows)
    assert got.arrivals == [Arrival.FIRST] + [Arrival.STEP] * len(ways)


def test_a_message_that_comes_soon_is_no_rest():
    rows = np.array([[0.0, 0, 0], [1.0, 0, 0], [1.01, 0, 0], [2.0, 0, 0]])
    got = bank(width=3).update(['k'] * 4, [0, 10**9, 10**9 + 10**7, 2 * 10**9], rows)
    assert Arrival.FALSE_START not in got.arrivals


def test_after_sixty_messages_a_jump_is_one():
    keys, stamps, rows = stream(62)
    assert Arrival.FALSE_START not in bank().update(keys, stamps, rows).arrivals


@pytest.mark.parametrize('wrong', [1, 4])
def test_many_streams_and_one_message_at_a_time(wrong):
    several = [stream(wrong if k else 0, seed=k) for k in range(5)]
    many = bank('liquid')
    for k in range(COUNT):
        got = many.update([f'k{j}' for j in range(5)], [s[1][k] for s in several],
                          np.stack([s[2][k] for s in several]))
        assert (got.arrivals[1] is Arrival.FALSE_START) == (k == wrong + 1)
    for j, (_, stamps, rows) in enumerate(several):
        alone = one_at_a_time(bank('liquid'), ['k'] * COUNT, stamps, rows)[-1]
        assert_same(got, alone, slice(j, j + 1), atol=1e-12)


@pytest.mark.parametrize('wrong', [1, 4])
def test_the_short_way_is_not_taken_too_early(wrong):
    keys, stamps, rows = stream(wrong)
    whole = bank('liquid').update(keys, stamps, rows, [''] * COUNT)
    short, ways = bank('liquid'), []
    for k in range(COUNT):
        said = advance(short, 'k', stamps[k], rows[k].tolist(), '')
        ways.append(said is not None)
        if said is None:
            said = np.concatenate(short.update(['k'], stamps[k:k + 1], rows[k:k + 1],
                                               ['']).estimate, 1)[0]
        expected = np.concatenate([part[k] for part in whole.estimate])
        np.testing.assert_allclose(said, expected, rtol=0.0, atol=1e-12)
    assert not any(ways[:wrong + 2])


def test_a_stream_that_was_reset_begins_again():
    keys, stamps, rows = stream(1)
    used = bank()
    used.update(keys[:2], stamps[:2], rows[:2])
    used.reset(['k'])
    assert used.update(keys[:1], stamps[2:3], rows[2:3]).arrivals == [Arrival.FIRST]
    assert used.update(keys[:1], stamps[3:4], rows[3:4]).arrivals == [Arrival.STEP]


@pytest.mark.parametrize('cut', [1, 2, 3])
def test_a_saved_stream_knows_how_it_began(tmp_path, cut):
    keys, stamps, rows = stream(1)
    whole, second = bank(), bank()
    whole.update(keys[:cut], stamps[:cut], rows[:cut])
    path = str(tmp_path / 'state.safetensors')
    safetensors.save(path, *whole.state())
    second.load_state(*safetensors.load(path))
    got, expected = (b.update(keys[cut:], stamps[cut:], rows[cut:]) for b in (second, whole))
    assert got.arrivals == expected.arrivals
    assert (Arrival.FALSE_START in got.arrivals) == (cut < 3)
    assert_same(got, expected)
