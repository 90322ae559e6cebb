# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Messages that come in bursts: stamped when they came, or measured so."""

import numpy as np
import pytest

from liquid_ros.checkpoint import build
from liquid_ros.manifold import minus, plus, unit_row
from liquid_ros.smoothers.rts import Window
from liquid_ros.smoothers.stamps import measured_after, Stamps
from liquid_ros.streams import StreamBank

SHIPPED = build('liquid')
NS = 10**9
COUNT, RATE, NOISE = 700, 50, 0.005
LATE = slice(200, None)


def moving(t, width):
    """Return a smooth motion (T, width)."""
    ways = np.stack([0.5 * np.sin(1.3 * t), 0.4 * np.cos(0.8 * t), 0.2 * np.sin(2.1 * t)], 1)
    return ways if width == 3 else plus(np.repeat(unit_row(7), len(t), 0),
                                        np.concatenate([ways, ways[:, ::-1]], 1))


def sent(of, gap_s, width=3, seed=0, true=False):
    """Return stamps in s, rows, truth: bursts of so many; true: that were measured so."""
    at = np.arange(COUNT)
    stamps = (at // of * of + of - 1) / RATE + at % of * gap_s
    truth = moving(stamps if true else at / RATE, width)
    noise = NOISE * np.random.default_rng(seed).standard_normal((COUNT, 3 if width == 3 else 6))
    return stamps, plus(truth, noise), truth


def smoothed(stamps, rows, window=None):
    """Return the estimated rows, and the bank."""
    bank, out = StreamBank(SHIPPED, rows.shape[1]), []
    for stamp, row in zip(np.round(stamps * NS).astype(int).tolist(), rows):
        out.append(bank.update(('k',), (NS + stamp,), row[None]).estimate.rows)
        if window is not None:
            window.add(NS + stamp, bank.peek('k'))
    return np.concatenate(out), bank


def rms(out, truth):
    return np.sqrt((minus(out, truth)[LATE]**2).mean())


def believed(bank, width=3):
    return Stamps.of(bank._layout.unpack(bank._store.get([0]))['stamps']).behind.item() == 0.0


@pytest.mark.parametrize('width', [3, 7], ids=['point', 'pose'])
@pytest.mark.parametrize('of, gap_s', [(2, 2e-4), (3, 1e-3), (5, 2e-4), (5, 2e-3), (8, 5e-4)])
def test_stamps_of_receipt_are_as_good_as_even_ones(of, gap_s, width):
    stamps, rows, truth = sent(of, gap_s, width)
    out, bank = smoothed(stamps, rows)
    even, _ = smoothed(np.arange(COUNT) / RATE, rows)
    assert not believed(bank)
    assert rms(out, truth) < 1.1 * rms(even, truth) < 0.9 * rms(rows, truth)


@pytest.mark.parametrize('of, gap_s', [(12, 1e-6), (14, 1e-4), (16, 1e-4)])
def test_the_wait_for_a_large_burst_is_no_pause(of, gap_s):
    stamps, rows, truth = sent(of, gap_s)
    out, bank = smoothed(stamps, rows)
    assert not believed(bank)
    assert rms(out, truth) < 0.9 * rms(rows, truth)


@pytest.mark.parametrize('width', [3, 7], ids=['point', 'pose'])
@pytest.mark.parametrize('of, gap_s', [(2, 2e-4), (3, 1e-3), (5, 2e-3)])
def test_what_was_measured_in_bursts_is_believed(of, gap_s, width):
    stamps, rows, truth = sent(of, gap_s, width, true=True)
    out, bank = smoothed(stamps, rows)
    assert believed(bank)
    assert rms(out, truth) < 0.9 * rms(rows, truth)


def test_nothing_changes_where_messages_are_not_in_bursts():
    """Evenly, with jitter and with gaps: time is that of the stamps, to the bit."""
    rng = np.random.default_rng(1)
    known, clock = Stamps.of(Stamps.zeros(np, np.zeros((1, 3)))), np.array([[100.0, 0.02]])
    for _ in range(300):
        dt_s = np.array([[0.02 * rng.choice([1.0, 0.5, 1.4, 7.0, 40.0])]])
        known, spent = measured_after(np, known, clock, dt_s, dt_s * [[1.0, 2.0, 3.0]],
                                      np.full((1, 3), 1e-3))
        assert spent == dt_s and known.behind == 0.0 and known.number == 0.0


@pytest.mark.parametrize('of, missing', [(5, 10), (5, 20), (2, 10), (2, 20)])
def test_an_outage_is_one_for_stamps_of_receipt_too(of, missing):
    stamps, rows, truth = sent(of, 2e-4)
    kept = np.ones(COUNT, dtype=bool)
    kept[400:400 + missing] = False
    out, bank = smoothed(stamps[kept], rows[kept])
    assert not believed(bank)
    assert np.abs((out - truth[kept])[400:440]).max() < 0.1  # the way is up to 0.2 m


@pytest.mark.parametrize('pause_s', [0.5, 1.0, 2.0, 4.0])
def test_who_sends_only_what_moves_is_believed(pause_s):
    """30 messages at 100 Hz, then nothing moves and nothing comes."""
    at = np.arange(COUNT)
    stamps = 0.01 * at + pause_s * (at // 30)
    truth = np.outer(0.006 * at, [1.0, 0.5, 0.2])
    rows = truth + 0.001 * np.random.default_rng(2).standard_normal(truth.shape)
    out, bank = smoothed(stamps, rows)
    assert believed(bank) and rms(out, truth) < 0.001


def test_values_sent_again_are_no_bursts():
    """A camera of 10 Hz on a topic of 50: the stamps are right."""
    stamps, rows, _ = sent(1, 0.0)
    out, bank = smoothed(stamps, rows[np.arange(COUNT) // 5 * 5])
    assert believed(bank)


def test_time_keeps_to_the_stamps_in_the_long_run():
    """Also over a gap, and where the rate changes."""
    stamps, rows, _ = sent(5, 2e-4)
    stamps[300:] += 3.0
    stamps[500:] = stamps[500] + 1.6 * (stamps[500:] - stamps[500])
    known, clock, time = Stamps.of(Stamps.zeros(np, np.zeros((1, 3)))), np.array([[99.0, 0.02]]), 0
    for k, (dt_s, move) in enumerate(zip(np.diff(stamps), np.diff(rows, axis=0)), 1):
        dt = np.array([[dt_s]])
        known, spent = measured_after(np, known, clock, dt, move[None], np.full((1, 3), NOISE))
        clock = clock + [[1.0, 0.02 * (min(dt_s, 0.6) - clock[0, 1])]]
        assert spent > 0.0
        time += spent.item()
        assert time + known.behind.item() == pytest.approx(stamps[k] - stamps[0])
        assert abs(known.behind.item()) < 0.2


def test_hindsight_takes_the_same_time():
    stamps, rows, truth = sent(5, 2e-4)
    window = Window(SHIPPED, 30)
    out, _ = smoothed(stamps[:600], rows[:600], window)
    later = window.smooth().rows
    inner = slice(-25, -5)
    best = np.sqrt(((later - truth[570:600])[inner]**2).mean())
    assert best < 0.9 * np.sqrt(((out[-30:] - truth[570:600])[inner]**2).mean())


def test_a_prediction_goes_on_from_where_time_is():
    """Between bursts, at a fixed rate: as near as the stamps' own delay lets it."""
    stamps, rows, truth = sent(5, 2e-4)
    _, bank = smoothed(stamps[:600], rows[:600])
    last = NS + round(stamps[599] * NS)
    ahead = bank.predict(['k'] * 5, [last + k * NS // RATE for k in range(5)]).rows
    steps = np.diff(ahead, axis=0)
    way = np.diff(moving(np.arange(599, 604) / RATE, 3), axis=0)
    assert np.abs(steps[2:] - way[2:]).max() < 0.5 * np.abs(way).max()
