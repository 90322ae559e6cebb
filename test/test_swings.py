# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What swings within a few messages is no noise about its middle; noise is none that swings."""

import numpy as np
import pytest

from liquid_ros.arrays import stack
from liquid_ros.checkpoint import build
from liquid_ros.manifold import plus, unit_row
from liquid_ros.smoothers.swings import swinging, Swings, watched
from liquid_ros.streams import StreamBank

SHIPPED = build('liquid')
COUNT, NOISE = 400, 0.005
STAMPS = [10**9 + k * 10**9 // 30 for k in range(COUNT)]


def smoothed(rows):
    return StreamBank(SHIPPED, rows.shape[1]).update(['k'] * COUNT, STAMPS, rows).estimate


def shaken(period, noise=NOISE, seed=0):
    """Return 10 cm to and fro on x within so many messages, and noisy messages of it."""
    truth = np.zeros((COUNT, 3))
    truth[:, 0] = 0.1 * np.sin(2.0 * np.pi * np.arange(COUNT) / period + seed)
    return truth, truth + noise * np.random.default_rng(seed).standard_normal((COUNT, 3))


def rms(error):
    return float(np.sqrt((error**2).mean()))


@pytest.mark.parametrize('seed', range(2))
@pytest.mark.parametrize('noise', (NOISE, 0.1 * NOISE))
@pytest.mark.parametrize('period', (2.5, 3.5, 4.3, 5.5))
def test_a_swing_of_a_few_messages_is_followed(period, noise, seed):
    truth, rows = shaken(period, noise, seed)
    estimate, late = smoothed(rows), slice(100, None)
    assert rms((estimate.rows - truth)[late]) < 0.8 * rms((rows - truth)[late])
    assert ((estimate.rows - truth)[late]**2 / estimate.variance[late]).mean() < 1.5


def test_so_is_one_of_rotations():
    way = np.zeros((COUNT, 6))
    way[:, 5] = 0.3 * np.sin(1.3 * np.arange(COUNT))
    truth = plus(np.repeat(unit_row(7), COUNT, 0), way)
    rows = plus(truth, 0.01 * np.random.default_rng(1).standard_normal((COUNT, 6)))
    apart = [np.abs((one[60:, 3:] * truth[60:, 3:]).sum(1)) for one in (smoothed(rows).rows, rows)]
    ours, raw = (rms(2.0 * np.arccos(np.clip(one, 0.0, 1.0))) for one in apart)
    assert ours < 0.9 * raw


@pytest.mark.parametrize('correlation', (-0.5, 0.0, 0.5, 0.9))
def test_noise_is_no_swing(correlation):
    """Not at rest, whatever it leaves out, nor of what moves slowly."""
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((COUNT, 300))
    for k in range(1, COUNT):
        noise[k] = correlation * noise[k - 1] + np.sqrt(1.0 - correlation**2) * noise[k]
    known, one, on = Swings(*np.zeros((10, 1, 300))), np.ones((1, 300)), []
    for k in range(1, COUNT):
        known = watched(np, known, (noise[k] - noise[k - 1])[None], noise[k][None], one,
                        np.ones((1, 1)))
        on.append(swinging(np, known).mean())
    assert max(on) < 0.01


def test_nothing_is_known_of_gaps_and_outliers():
    known, one = Swings(*np.zeros((10, 1, 1))), np.ones((1, 1))
    for weight, pace in ((0.0, 1.0), (1.0, 3.0), (1.0, 0.1)):
        after = watched(np, known, 5.0 * one, one, weight * one, pace * one)
        assert not stack(*after).any()


def test_single_precision_does():
    truth, rows = shaken(4.3)
    both = []
    for kind in (np.float32, np.float64):
        known = Swings(*np.zeros((10, 1, 3), kind))
        for k in range(1, 100):
            left, moved = rows[k].astype(kind)[None], (rows[k] - rows[k - 1]).astype(kind)[None]
            known = watched(np, known, moved, left, np.ones_like(moved), np.ones((1, 1), kind))
        both.append(swinging(np, known))
    assert both[0][0, 0] == 1.0 and np.allclose(*both, atol=0.02)
