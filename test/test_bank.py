# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The bank against the textbook's Kalman filter, and what it says of streams of known making."""

import numpy as np
from problems import white_acceleration
import pytest

from liquid_ros.arrays import group_average
from liquid_ros.checkpoint import build
from liquid_ros.manifold import minus, quat_exp
from liquid_ros.smoothers import bank
from liquid_ros.smoothers.likelihood import judge
from liquid_ros.smoothers.scale import bound, measure, Scale
from liquid_ros.smoothers.units import Clock, tick
from liquid_ros.streams import StreamBank
from liquid_ros.timing import NS_PER_S

TABLE = bank.tables()


def drive(measured, dt_s, dt0_s):
    """Return the bank and sizes after measured (B, T, A); dt0_s: the mean dt, None: measured."""
    streams, count, axes = measured.shape
    zero = np.zeros((streams, axes))
    state, scale = bank.Bank.zeros(np, zero), Scale.of(Scale.zeros(zero))
    mean_dt, packed = np.full((streams, 1), dt0_s or 0.0), np.zeros((streams, 2))
    for k in range(1, count):
        dt = dt_s[:, k:k + 1]
        clock = (Clock(np.full((streams, 1), float(k)), k == 1, mean_dt, dt, dt / mean_dt)
                 if dt0_s else tick(np, packed, dt))
        packed = np.concatenate([clock.count, clock.mean_dt], 1)
        nu = bank.innovations(np, state, measured[:, k] - measured[:, k - 1], dt, False)
        trust = bound(np, scale, nu[..., bank.AGILE] / bank.wider(np, state, clock))
        scale, left = measure(np, scale, nu[..., bank.AGILE], 0.0 * zero, group_average(axes))
        state = bank.advance(np, state, nu, bank.Trust(
            trust, trust < -1.0, trust > -1.0, left, scale.age), clock, TABLE)
    return state, scale


def judged(state, scale):
    """Return the judgement where all axes move."""
    streams, axes = scale.age.shape
    average = np.broadcast_to(group_average(axes), (streams, axes, axes))
    return judge(np, state, scale.age, average, TABLE)


def white(seed, index, streams=8, count=900, dt0=0.02):
    """Return measurements (B, T, 3) and dt (B, T): white acceleration of that index at noise 1."""
    rng = np.random.default_rng(seed)
    dt = dt0 * np.exp(0.2 * rng.standard_normal(count))
    _, _, measured = white_acceleration(rng, count, streams, dt, 1.0, index / dt0**1.5, 0.0)
    return measured.swapaxes(0, 1), np.broadcast_to(dt, (streams, count))


@pytest.mark.parametrize('which', [0, 7, 15, 16, 20, 23])
def test_each_filter_is_the_textbook_s(which):
    """Of constant velocity, and from the sixteenth on of a random walk."""
    measured, dt_s = white(2, 0.05, streams=1, count=25)
    state, _ = drive(measured, dt_s, 0.02)
    moves = which < bank.MOVING
    x = np.array([measured[0, 0, 0], 0.0])
    p = np.diag([1.0, bank.DIFFUSE / 0.02**2 if moves else 0.0])
    q = bank.INDICES[which]**2 / 0.02**3 if moves else 0.0
    walk, h = 0.0 if moves else bank.STEPS[which - bank.MOVING]**2 / 0.02, np.array([1.0, 0.0])
    logs, squares = [], []
    for k in range(1, 25):
        d = dt_s[0, k]
        f = np.array([[1.0, d], [0.0, 1.0]])
        x, p = f @ x, f @ p @ f.T + q * np.array([[d**3 / 3, d * d / 2], [d * d / 2, d]])
        p[0, 0] += walk * d
        s, nu = p[0, 0] + 1.0, measured[0, k, 0] - x[0]
        x, p = x + p @ h / s * nu, p - np.outer(p @ h, h @ p) / s
        logs.append(np.log(s))
        squares.append(nu * nu / s)
    # no innovation of these was bounded: the agile filter saw none above five usual ones
    assert moves or state.velocity[0, 0, which] == 0.0
    np.testing.assert_allclose(state.offset[0, 0, which] + measured[0, -1, 0], x[0], rtol=1e-9)
    np.testing.assert_allclose(state.velocity[0, 0, which], x[1], rtol=1e-6)
    # the first innovation is of the unknown velocity and does not count
    np.testing.assert_allclose(state.power[0, 0, :, which], np.mean(squares[1:]), rtol=1e-6)
    np.testing.assert_allclose(state.log_s[0, :, which], np.mean(logs[1:]), rtol=1e-6)


@pytest.mark.parametrize('index', [0.003, 0.03, 0.3, 3.0])
@pytest.mark.parametrize('unit', [1e-4, 1e3])
def test_it_finds_the_index_and_the_noise_that_a_stream_was_made_with(index, unit):
    measured, dt_s = white(2, index)
    says = judged(*drive(unit * measured, dt_s, 0.02))
    assert np.abs(says.index[..., 1:] - np.log(index)).max() < np.log(2.5)
    assert np.abs(says.index[..., 2].mean() - np.log(index)) < 0.2
    assert np.abs(says.noise[..., 1:].mean() - 2.0 * np.log(unit)) < 0.3
    assert (says.behind >= 0.0).all() and (says.behind.min(-1) == 0.0).all()


@pytest.mark.parametrize('step', [0.03, 0.3])
def test_a_random_walk_is_told_from_a_velocity(step):
    """And its step and noise are found; a path with a velocity is none."""
    rng = np.random.default_rng(8)
    dt_s = np.full((8, 900), 0.02)
    walk = np.cumsum(step * rng.standard_normal((8, 900, 3)), 1)
    says = judged(*drive(10.0 * (walk + rng.standard_normal(walk.shape)), dt_s, 0.02))
    assert (says.lag[..., 2] < 0.0).mean() > 0.7
    assert np.abs(says.walk[..., 2] - np.log(step)).max() < np.log(3.0)
    assert np.abs(says.shake[..., 2].mean() - np.log(100.0)) < 0.2
    moving, dt_s = white(2, 0.1)
    assert (judged(*drive(moving, dt_s, 0.02)).lag[..., 1:] > 0.05).all()


def test_doubt_goes_with_the_messages():
    measured, dt_s = white(3, 0.1)
    young, old = (judged(*drive(measured[:, :n], dt_s[:, :n], 0.02)) for n in (8, 800))
    assert (young.doubt[..., 1] > 10.0 * old.doubt[..., 1]).all()


@pytest.mark.parametrize('first_s', [1e-5, 2e-4, 2e-3, 0.02, 0.4])
def test_it_hardly_matters_how_close_the_first_two_messages_are(first_s):
    """The velocity between them may be any; what it is worth is known."""
    measured, dt_s = white(8, 0.01, streams=30, count=60)
    dt_s = np.where(np.arange(60) == 1, first_s, dt_s)
    measured[:, 0] = measured[:, 1] + np.random.default_rng(9).standard_normal((30, 3))
    said = judged(*drive(measured, dt_s, None))
    assert np.median(np.abs(said.noise[:, :, 1])) < 0.3
    assert -6.0 < np.median(said.index[:, :, 1]) < -3.0  # log 0.01 is -4.6


def test_one_wild_message_does_not_change_what_is_known():
    measured, dt_s = white(4, 0.03)
    spoilt = measured.copy()
    spoilt[:, 700] += 1e6
    clean, hit = (judged(*drive(m, dt_s, 0.02)) for m in (measured, spoilt))
    assert np.abs(hit.index[..., 1:] - clean.index[..., 1:]).max() < 0.7
    assert np.abs(hit.noise[..., 2] - clean.noise[..., 2]).max() < 0.3


def test_groups_and_streams_are_judged_by_themselves():
    (slow, dt_s), (quick, _) = white(5, 0.003), white(6, 1.0)
    both = judged(*drive(np.concatenate([slow, quick], -1), dt_s, 0.02))
    alone = judged(*drive(slow, dt_s, 0.02))
    np.testing.assert_allclose(both.index[:, :3], alone.index, rtol=1e-12)
    one = judged(*drive(slow[3:4], dt_s[3:4], 0.02))
    np.testing.assert_allclose(one.behind[0], alone.behind[3], rtol=1e-9, atol=1e-12)


def test_an_axis_that_is_shaken_is_judged_by_itself():
    """Two that rest in as much noise would outvote it."""
    rng, at = np.random.default_rng(8), np.arange(900)
    measured = rng.standard_normal((4, 900, 3))
    still = judged(*drive(measured, np.full((4, 900), 0.02), 0.02))
    measured[..., 0] += 20.0 * np.sin(2.0 * np.pi * at / 10.0)
    shaken = judged(*drive(measured, np.full((4, 900), 0.02), 0.02))
    assert (shaken.index[:, 0, 1] > np.log(1.0)).all()
    assert (shaken.index[:, 1:, 1] < np.log(0.3)).all()
    assert (still.index[:, :, 1] == still.index[:, :1, 1]).all()


def test_a_rotation_by_half_a_turn_is_measured_the_nearer_way_round():
    """A filter that has followed a wrong one by half a turn is there, not a turn away from it."""
    zero = np.zeros((1, 6))
    state = bank.Bank.zeros(np, zero)
    offset = state.offset.copy()
    offset[0, 5] = 3.1
    said = bank.innovations(np, state._replace(offset=offset), zero + [0, 0, 0, 0, 0, -3.1],
                            np.ones((1, 1)), True)
    np.testing.assert_allclose(said[0, 5], 2.0 * np.pi - 6.2, rtol=1e-9)
    near = bank.innovations(np, state._replace(offset=offset), zero + [0, 0, 0, 0, 0, -1.0],
                            np.ones((1, 1)), True)
    np.testing.assert_allclose(near[0, 5], -4.1)  # no velocity of a turn a message is made of it


def test_innovations_of_large_rotations_are_those_of_the_manifold():
    """A prediction near the anchor, a message that noise has turned by anything up to 2 rad."""
    rng = np.random.default_rng(2)
    predicted = 0.05 * rng.standard_normal((300, 3))
    away = rng.standard_normal((300, 3))
    away *= rng.uniform(0.0, 2.0, (300, 1)) / np.linalg.norm(away, axis=1, keepdims=True)
    place = np.zeros((300, 3))
    rows = [np.concatenate([place, quat_exp(turn)], 1) for turn in (away, predicted)]
    state = bank.Bank.zeros(np, np.zeros((300, 6)))
    offset = state.offset + np.concatenate([place, predicted], 1)[..., None]
    said = bank.innovations(np, state._replace(offset=offset), np.concatenate([place, away], 1),
                            np.ones((300, 1)), True)
    # of second order in what is predicted: c x p
    np.testing.assert_allclose(said[..., 0], minus(*rows), atol=0.006)


def test_a_rest_in_large_noise_of_rotation_is_smoothed():
    """Where a message is 20 degrees an axis off the last one tells nothing of how it moves."""
    rng, smoother = np.random.default_rng(3), build('liquid')
    noise = np.radians(20.0) * rng.standard_normal((900, 3))
    rows = np.concatenate([0.01 * rng.standard_normal((900, 3)), quat_exp(noise)], 1)
    stamps_ns = [NS_PER_S + k * NS_PER_S // 30 for k in range(900)]
    found = StreamBank(smoother, 7).update(['a'] * 900, stamps_ns, rows).estimate.rows
    error = 2.0 * np.arccos(np.abs(found[300:, 6]).clip(0.0, 1.0))
    assert np.degrees(np.sqrt((error**2).mean())) < 6.0
