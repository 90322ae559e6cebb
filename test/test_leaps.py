# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A stamp that is ahead of its time costs its stream nothing but that message."""

from banks import assert_same, bank, messages
import numpy as np
import pytest
from ways import advance

from liquid_ros.leaps import LEAP
from liquid_ros.smoothers import SMOOTHERS
from liquid_ros.timing import Arrival, NS_PER_S

COUNT, AT, STEP_NS = 60, 30, NS_PER_S // 30
BACK = [Arrival.FIRST] + [Arrival.STEP] * AT + [Arrival.STAMP_AHEAD]


def even(width=7, seed=3):
    """Return keys, stamps 1/30 s apart, rows."""
    keys, _, rows = messages(seed, COUNT, width)
    return keys, [NS_PER_S + k * STEP_NS for k in range(COUNT)], rows


def without(items):
    return [item for k, item in enumerate(items) if k != AT]


@pytest.mark.parametrize('name', list(SMOOTHERS))
@pytest.mark.parametrize('ahead_s', [0.2, 0.9, 3.0, 30.0, 1e5])
def test_the_stream_goes_on_as_if_that_message_had_not_come(name, ahead_s):
    keys, stamps, rows = even()
    clean = bank(name).update(without(keys), without(stamps), np.delete(rows, AT, 0))
    stamps[AT] += round(ahead_s * NS_PER_S)
    got = bank(name).update(keys, stamps, rows)
    assert got.accepted.all()
    assert got.arrivals[AT] is (Arrival.GAP if ahead_s > 5.0 else Arrival.STEP)
    assert got.arrivals[AT + 1] is Arrival.STAMP_AHEAD
    assert set(got.arrivals[AT + 2:]) == {Arrival.STEP}
    assert_same(got, clean, slice(AT + 1, None), slice(AT, None))


def test_one_at_a_time_and_the_short_way_as_well():
    keys, stamps, rows = even()
    stamps[AT] += 2 * NS_PER_S
    together = bank('liquid').update(keys, stamps, rows)
    alone = bank('liquid')
    short = []
    for k, (key, stamp, row) in enumerate(zip(keys, stamps, rows)):
        said = advance(alone, key, stamp, row.tolist(), 'map')
        short.append(said is not None)
        if said is None:
            update = alone.update([key], [stamp], row[None], ['map'])
            said = np.concatenate(update.estimate, 1)[0]
        assert said[:7].tolist() == together.estimate.rows[k].tolist()
    if any(short):  # compiled
        assert not any(short[AT:AT + 2]) and all(short[5:AT] + short[AT + 2:])


def test_time_after_time():
    keys, stamps, rows = even()
    for at in range(10, COUNT - 1, 7):
        stamps[at] += 2 * NS_PER_S
    got = bank('liquid').update(keys, stamps, rows)
    assert got.accepted.all()
    assert got.arrivals.count(Arrival.STAMP_AHEAD) == len(range(10, COUNT - 1, 7))


def test_streams_side_by_side_leap_by_themselves():
    keys, stamps, rows = even()
    other = [stamp + (3 * NS_PER_S if k == AT else 0) for k, stamp in enumerate(stamps)]
    both = [item for pair in zip(stamps, other) for item in pair]
    got = bank('liquid').update(['a', 'b'] * COUNT, both, rows.repeat(2, 0))
    assert got.arrivals[::2] == [Arrival.FIRST] + [Arrival.STEP] * (COUNT - 1)
    assert got.arrivals[1::2][:AT + 2] == BACK


def test_a_silence_that_is_one_is_none_of_it():
    """The next stamp is later: who comes late then is late."""
    keys, stamps, rows = even()
    late = stamps[:AT] + [stamp + 2 * NS_PER_S for stamp in stamps[AT:]]
    late[AT + 2] = late[AT - 1] + STEP_NS
    got = bank('liquid').update(keys, late, rows)
    assert got.reasons[AT + 2] is not None or got.arrivals[AT + 2] is Arrival.JUMP
    assert Arrival.STAMP_AHEAD not in got.arrivals


@pytest.mark.parametrize('skipped', [1, int(LEAP) - 1])
def test_neighbours_that_change_places_are_late(skipped):
    """A few messages are lost, and the last of them comes after the next one."""
    keys, stamps, rows = even()
    late = [stamp + (k >= AT) * skipped * STEP_NS for k, stamp in enumerate(stamps)]
    late[AT + 1] = late[AT] - STEP_NS // 2
    got = bank('liquid').update(keys, late, rows)
    assert got.reasons[AT + 1] == 'late' and Arrival.STAMP_AHEAD not in got.arrivals


def test_two_that_change_places_after_a_pause_are_late():
    """The second would leap, too, had the first not come."""
    keys, stamps, rows = even()
    late = [stamp + 2 * NS_PER_S * (k >= AT) for k, stamp in enumerate(stamps)]
    late[AT], late[AT + 1] = late[AT + 1], late[AT]
    got = bank('liquid').update(keys, late, rows)
    assert got.reasons[AT + 1] == 'late' and Arrival.STAMP_AHEAD not in got.arrivals


def test_what_came_before_another_frame_is_not_gone_back_to():
    keys, stamps, rows = even()
    stamps[AT:] = [stamp + 3 * NS_PER_S for stamp in stamps[AT:]]
    stamps[AT + 2] = stamps[AT - 1] + STEP_NS
    frames = ['map'] * COUNT
    frames[AT + 1] = 'odom'
    got = bank('liquid').update(keys, stamps, rows, frames)
    assert got.arrivals[AT + 1] is Arrival.FRAME and Arrival.STAMP_AHEAD not in got.arrivals


def test_back_to_before_the_leap_is_a_jump():
    keys, stamps, rows = even()
    stamps[AT] += 20 * NS_PER_S
    stamps[AT + 1:] = [stamp - 2 * NS_PER_S for stamp in stamps[AT + 1:]]
    got = bank('liquid').update(keys, stamps, rows)
    assert got.arrivals[AT + 1] is Arrival.JUMP
    assert set(got.arrivals[AT + 2:]) == {Arrival.STEP}


def test_in_another_frame_it_is_late():
    keys, stamps, rows = even()
    stamps[AT] += NS_PER_S // 2
    frames = ['map'] * (AT + 1) + ['odom'] + ['map'] * (COUNT - AT - 2)
    got = bank('liquid').update(keys, stamps, rows, frames)
    assert got.reasons[AT + 1] == 'late' and got.arrivals[AT + 2] is Arrival.STAMP_AHEAD


def test_what_is_forgotten_is_forgotten():
    keys, stamps, rows = even()
    stamps[AT] += 2 * NS_PER_S
    for forget in (lambda a_bank: a_bank.reset(), lambda a_bank: a_bank.reset(['k0'])):
        used = bank('liquid')
        used.update(keys[:AT + 1], stamps[:AT + 1], rows[:AT + 1])
        forget(used)
        got = used.update(keys[AT + 1:], stamps[AT + 1:], rows[AT + 1:])
        assert got.arrivals == [Arrival.FIRST] + [Arrival.STEP] * (COUNT - AT - 2)


def test_a_saved_stream_knows_its_leaps_after_it():
    """The first after loading, by the intervals from before."""
    keys, stamps, rows = even()
    stamps[AT] += 3 * NS_PER_S
    first = bank('liquid')
    first.update(keys[:AT], stamps[:AT], rows[:AT])
    second = bank('liquid')
    second.load_state(*first.state())
    got = second.update(keys[AT:], stamps[AT:], rows[AT:])
    assert got.arrivals[1] is Arrival.STAMP_AHEAD
    assert_same(got, bank('liquid').update(keys, stamps, rows), slice(None), slice(AT, None))
