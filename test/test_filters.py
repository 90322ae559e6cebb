# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The swept filters against the smoothers that a node runs, setting by setting."""

import math

import numpy as np
from problems import run
import pytest

from liquid_ros.evaluation.filters import kalman_smoother, POSITIONS
from liquid_ros.evaluation.filters_turns import TURNS
from liquid_ros.evaluation.hindsight import errors, GRIDS, Track
from liquid_ros.manifold import plus
from liquid_ros.smoothers.ema import Ema
from liquid_ros.smoothers.kalman import Kalman, KalmanGated
from liquid_ros.smoothers.one_euro import OneEuro
from liquid_ros.smoothers.rts import Window
from liquid_ros.streams import StreamBank


def recording(count=150, seed=0):
    """Return dt (N,), and poses (N, 7) with a few gross outliers."""
    rng = np.random.default_rng(seed)
    dt_s = rng.uniform(0.01, 0.05, count)
    dt_s[0] = 0.0
    times = np.cumsum(dt_s)
    still = np.broadcast_to([0.0, 0, 0, 0, 0, 0, 1], (count, 7))
    truth = plus(still, 0.8 * np.sin(times[:, None] * np.arange(1, 7)))
    noise = 0.03 * rng.normal(size=(count, 6))
    noise[40:47] += 1.5  # more than the patience of a gate
    noise[70] -= 2.0
    return dt_s, plus(truth, noise)


def tails(gates):
    """Return the chance that a message of three axes is beyond a gate on the mean square."""
    return np.array([[math.erfc(g * math.sqrt(1.5)) + g * math.sqrt(6.0 / math.pi)
                      * math.exp(-1.5 * g * g)] for g in gates])


def smoother(name, grid, turn):
    """Return the package's own smoother with a stream a setting."""
    column = {key: value[:, None] for key, value in grid.items()}
    other = {key: value[:, None] for key, value in turn.items()}
    if name == 'ema':
        return Ema(column['tau_s'])
    if name == 'one_euro':
        return OneEuro(column['min_cutoff_hz'], column['beta'], other['beta'])
    settings = [np.sqrt(part[key]) for key in ('noise', 'density', 'speed')
                for part in (column, other)]
    if name == 'kalman':
        return Kalman(*settings)
    return KalmanGated(*settings, reject_probability=tails(grid['gate']), patience=5)


@pytest.mark.parametrize('name', GRIDS)
def test_as_the_smoothers_of_the_node(name):
    dt_s, rows = recording()
    starts = np.arange(len(rows)) == 0
    tracks = Track(dt_s, starts, rows[:, :3]), Track(dt_s, starts, rows[:, 3:])
    grids = [GRIDS[name](track) for track in tracks]
    count = len(grids[0][next(iter(grids[0]))])
    want = run(smoother(name, *grids), np.repeat(rows[:, None], count, 1),
               np.repeat(dt_s[:, None, None], count, 1)).rows
    places = POSITIONS[name](*tracks[0], grids[0]).rows.swapaxes(1, 2)
    turns = TURNS[name](*tracks[1], grids[1]).rows.swapaxes(1, 2)
    np.testing.assert_allclose(places, want[..., :3], atol=1e-9)
    turns = turns * np.sign(np.sum(turns * want[..., 3:], -1, keepdims=True))
    np.testing.assert_allclose(turns, want[..., 3:], atol=1e-9)


@pytest.mark.parametrize('name', GRIDS)
def test_a_new_run_knows_nothing_of_the_last(name):
    dt_s, rows = recording()
    starts = np.isin(np.arange(len(rows)), [0, 60])
    for filters, part in ((POSITIONS, slice(0, 3)), (TURNS, slice(3, 7))):
        track = Track(np.where(starts, 0.0, dt_s), starts, rows[:, part])
        grid = GRIDS[name](track)
        both = filters[name](*track, grid)
        alone = filters[name](track.dt_s[60:], starts[60:], track.rows[60:], grid)
        np.testing.assert_array_equal(both.rows[60:], alone.rows)
        assert not both.missed[60].any()


def test_the_kalman_smoother_is_that_of_a_window():
    dt_s, rows = recording(80)
    dt_ns = np.round(dt_s * 1e9).astype(np.int64)
    track = Track(dt_ns / 1e9, np.arange(80) == 0, rows[:, :3])
    grid = {key: value[25:27] for key, value in GRIDS['kalman'](track).items()}
    got = kalman_smoother(*track, grid)
    for s in range(2):
        sigma, density, speed = (math.sqrt(grid[key][s]) for key in ('noise', 'density', 'speed'))
        model = Kalman(sigma, sigma, density, density, speed, speed)
        bank, window = StreamBank(model, 3), Window(model, 80)
        for stamp_ns, row in zip((10**9 + np.cumsum(dt_ns)).tolist(), rows[:, :3]):
            bank.update(('a',), (stamp_ns,), row[None])
            window.add(stamp_ns, bank.peek('a'))
        np.testing.assert_allclose(got[:, :, s], window.smooth().rows, atol=1e-7)


def test_innovations_are_what_was_not_expected():
    dt_s, rows = recording()
    track = Track(dt_s, np.arange(len(rows)) == 0, rows[:, :3])
    grid = GRIDS['ema'](track)
    swept = POSITIONS['ema'](*track, grid)
    np.testing.assert_allclose(swept.missed[1:], rows[1:, :3, None] - swept.rows[:-1])


@pytest.mark.parametrize('angle', [0.0, 1e-12, 1e-5, 0.3, 3.1])
def test_errors_of_turns(angle):
    truth = plus(np.broadcast_to([0.0, 0, 0, 0, 0, 0, 1], (9, 7)), np.ones((9, 6)))
    turned = plus(truth, np.concatenate([np.zeros((9, 3)), angle * np.eye(3)[[0, 1, 2] * 3]], 1))
    for sign in (1.0, -1.0):
        assert errors(sign * turned[:, 3:, None], truth[:, 3:])[0] == pytest.approx(
            angle, abs=1e-12)
