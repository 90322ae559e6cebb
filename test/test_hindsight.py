# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The same numbers as an outside script's filters, setting by setting, where one is at hand."""

import importlib.util
import math
from pathlib import Path

import numpy as np
from problems import run
import pytest

from liquid_ros.smoothers.ema import Ema
from liquid_ros.smoothers.kalman import Kalman, KalmanGated
from liquid_ros.smoothers.one_euro import OneEuro

SHARED = Path(__file__).resolve().parents[2] / 'shared'
SCORE = SHARED / 'score' / 'score.py'

pytestmark = pytest.mark.skipif(not SCORE.is_file(), reason='no score.py beside the checkout')


@pytest.fixture(scope='module')
def score():
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location('score', SCORE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=['sim_human_cartwheel_10mm', 'sim_handheld_desk_10mm_outliers'])
def recording(request):
    """Return t (N,) and z (N, 7) of a recording without repeated stamps."""
    loaded = np.load(SHARED / 'data' / f'{request.param}.npz')
    t, z = loaded['t'][:400].astype(float), loaded['z'][:400].astype(float)
    assert (np.diff(t) > 0.0).all()
    return t, z


def sweep(smoother, t, z, settings):
    """Return rows (settings, N, 7), a stream per setting."""
    rows = np.repeat(z[:, None], settings, 1)
    dt_s = np.repeat(np.diff(t, prepend=t[0])[:, None, None], settings, 1)
    return run(smoother, rows, dt_s).rows.swapaxes(0, 1)


def assert_same(rows, positions=None, quats=None):
    if positions is not None:
        np.testing.assert_allclose(rows[..., :3], positions, atol=1e-9)
    if quats is not None:
        np.testing.assert_allclose(rows[..., 3:], quats, atol=1e-9)


def test_ema(score, recording):
    t, z = recording
    rows = sweep(Ema(np.geomspace(1e-3, 3.0, 40)[:, None]), t, z, 40)
    assert_same(rows, score.run_ema(t, z[:, :3]), score.run_slerp(t, z[:, 3:]))


def test_one_euro(score, recording):
    t, z = recording
    speed = np.median(np.abs(np.diff(z[:, :3], axis=0))) / np.median(np.diff(t)) + 1e-12
    cutoff, beta = (a.reshape(-1, 1) for a in np.meshgrid(
        np.geomspace(0.02, 30, 14), np.r_[0, np.geomspace(0.01, 30, 14)] / speed, indexing='ij'))
    assert_same(sweep(OneEuro(cutoff, beta), t, z, 210), score.run_one_euro(t, z[:, :3]))


def test_kalman(score, recording):
    t, z = recording
    median = np.median(np.diff(t))
    density = np.geomspace(1e-5, 30, 60)[:, None] / median**1.5
    speed = math.sqrt(10.0) / median
    rows = sweep(Kalman(1.0, 1.0, density, density, speed, speed), t, z, 60)
    assert_same(rows, score.run_kalman(t, z[:, :3]), score.run_kalman_rot(t, z[:, 3:]))


def test_kalman_gated(score, recording):
    t, z = recording
    median = np.median(np.diff(t))
    track, scale, gate = (a.reshape(-1, 1) for a in np.meshgrid(
        np.geomspace(1e-4, 3, 20), [0.5, 1, 2, 4], [2.0, 3.0, 5.0], indexing='ij'))
    turns = np.diff(score.rotvec(z[:-1, 3:], z[1:, 3:]), axis=0)
    sigma_m, sigma_rad = (scale * (np.median(np.abs(second)) / 0.6745 / np.sqrt(6) + 1e-12)
                          for second in (np.diff(z[:, :3], n=2, axis=0), turns))
    # its gate is on NIS / 3: the tail of chi-square with three degrees beyond 3 gate^2
    tail = {g: math.erfc(g * math.sqrt(1.5)) + g * math.sqrt(6.0 / math.pi)
            * math.exp(-1.5 * g * g) for g in (2.0, 3.0, 5.0)}
    smoother = KalmanGated(
        sigma_m, sigma_rad, track * sigma_m / median**1.5, track * sigma_rad / median**1.5,
        sigma_m * math.sqrt(10.0) / median, sigma_rad * math.sqrt(10.0) / median,
        np.vectorize(tail.get)(gate), patience=5)
    rows = sweep(smoother, t, z, 240)
    assert_same(rows, score.run_kalman_gated(t, z[:, :3]), score.run_kalman_rot_gated(t, z[:, 3:]))
