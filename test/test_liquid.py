# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What holds of the liquid smoother whatever its weights, and what its own weights must do."""

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from liquid_ros.arrays import group_average, turning
from liquid_ros.checkpoint import build
from liquid_ros.manifold import minus, plus, unit_row
from liquid_ros.smoothers import bank
from liquid_ros.smoothers.liquid import LEVELS, Liquid, LiquidConfig, LOWER, OUTPUTS, UPPER
from liquid_ros.smoothers.motion import Process, propagate, transition, unbraked
from liquid_ros.smoothers.sight import FEATURES, SLOW

SHIPPED = build('liquid')


def wild(seed, size):
    """Return a smoother with weights nobody trained."""
    rng = np.random.default_rng(seed)
    shapes = {'weight_in': (16, FEATURES), 'weight_rec': (16, 16),
              'weight_out': (OUTPUTS, 16 + FEATURES), 'weight_slow': (LEVELS, SLOW),
              'bias_out': (OUTPUTS,), 'bias_turn': (LEVELS,)}
    weights = {name: size * rng.standard_normal(shape) for name, shape in shapes.items()}
    return Liquid(LiquidConfig(hidden=16), {
        **weights, 'alpha': np.exp(rng.standard_normal(16)), 'lower': np.array(LOWER),
        'upper': np.array(UPPER), 'bank': bank.tables(),
        'group': group_average(6), 'turning': turning(6)})


def run(smoother, rows, dt_s):
    """Return rows, variances and weights after every message; rows (T, w), dt_s (T,)."""
    state, estimate = smoother.init(rows[:1])
    out = [estimate]
    for row, dt in zip(rows[1:], dt_s[1:]):
        state, estimate = smoother.step(state, row[None], np.array([[dt]]))
        out.append(estimate)
    return (np.concatenate([e.rows for e in out]), np.concatenate([e.variance for e in out]),
            np.concatenate([e.weight for e in out]))


def line(count=400, noise=0.01, seed=0, speed=0.5, rate=50.0):
    """Return a noisy straight line (T, 3), its truth and dt (T,)."""
    rng = np.random.default_rng(seed)
    dt = np.full(count, 1.0 / rate)
    truth = np.cumsum(dt)[:, None] * np.array([speed, -0.3 * speed, 0.0])
    return truth + noise * rng.standard_normal(truth.shape), truth, dt


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 30.0))
def test_any_weights_keep_the_gain_between_nought_and_one(seed, size):
    smoother = wild(seed, size)
    rows, _, dt = line(60, seed=seed)
    rows[20] += 5.0
    rows[40:] += 2.0
    state, _ = smoother.init(rows[:1])
    for row, step in zip(rows[1:], dt[1:]):
        before = state
        state, estimate = smoother.step(state, row[None], np.array([[step]]))
        process = Process(*(np.where(
            state['clock'][:, :1] < 1.5, 1.0, before['process'][..., i]) for i in range(4)))
        moved = transition(unbraked(process, before['motion'][..., 0], before['clock'][:, 1:]),
                           np.array([[step]]))
        if state['clock'][0, 0] > 1.5:
            predicted = before['rows'] + moved.pv * before['motion'][..., 0] \
                + moved.pa * before['motion'][..., 1]
            part, whole = state['rows'] - predicted, row - predicted
            assert (part * whole >= -1e-12).all() and (abs(part) <= abs(whole) + 1e-12).all()
        assert np.isfinite(estimate.rows).all() and (estimate.variance > 0).all()


def test_a_covariance_stays_one_over_any_interval():
    rng = np.random.default_rng(0)
    for _ in range(300):
        root = rng.standard_normal((3, 3)) * 10.0**rng.uniform(-3, 3, (3, 1))
        full = root @ root.T
        p = tuple(np.array([full[i, j]]) for i, j in
                  ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)))
        process = Process(*(np.array([10.0**rng.uniform(-6, 3)]) for _ in range(4)))
        dt = np.array([10.0**rng.uniform(-6, 3)])
        n = [float(x[0]) for x in propagate(p, transition(process, dt), process, dt)]
        matrix = np.array([[n[0], n[1], n[2]], [n[1], n[3], n[4]], [n[2], n[4], n[5]]])
        scale = np.sqrt(np.diag(matrix))
        assert (np.linalg.eigvalsh(matrix / np.outer(scale, scale)) > -1e-9).all()


def test_the_process_noise_is_that_of_the_integral_it_stands_for():
    # f = l = 0: the closed forms of white acceleration and of white jerk
    zero = tuple(np.zeros(1) for _ in range(6))
    d = np.array([0.7])
    process = Process(*(np.array([x]) for x in (2.0, 3.0, 1e-9, 1e-9)))
    got = propagate(zero, transition(process, d), process, d)
    want = (2 * d**3 / 3 + 3 * d**5 / 20, 2 * d**2 / 2 + 3 * d**4 / 8, 3 * d**3 / 6,
            2 * d + 3 * d**3 / 3, 3 * d**2 / 2, 3 * d)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_the_clock_s_rate_does_not_matter():
    rows, _, dt = line()
    fast, _, _ = run(SHIPPED, rows, dt)
    slow, _, _ = run(SHIPPED, rows, 64.0 * dt)
    np.testing.assert_allclose(slow, fast, rtol=0, atol=1e-9)


@pytest.mark.parametrize('scale', [1e-4, 1e4])
def test_scale_equivariance(scale):
    rows, _, dt = line()
    here, variance, _ = run(SHIPPED, rows, dt)
    there, variance_there, _ = run(SHIPPED, scale * rows, dt)
    np.testing.assert_allclose(there, scale * here, rtol=0, atol=1e-7 * scale)
    np.testing.assert_allclose(variance_there[1:], scale**2 * variance[1:], rtol=1e-5)


def test_a_millimetre_at_utm_coordinates_is_a_millimetre():
    rows, _, dt = line(noise=1e-3)
    far = np.array([5e5, 5e6, 100.0])
    here, _, _ = run(SHIPPED, rows, dt)
    there, _, _ = run(SHIPPED, rows + far, dt)
    assert np.abs(there - far - here).max() < 1e-6


def test_a_single_gross_outlier_hardly_shows():
    rows, truth, dt = line()
    clean, _, _ = run(SHIPPED, rows, dt)
    rows[300] += 3.0
    hit, _, weight = run(SHIPPED, rows, dt)
    assert np.abs(hit - clean)[300:].max() < 0.02  # two sigma of the noise, 3 m away
    assert weight[300, 0] < 1e-3


def test_a_burst_is_not_followed_where_its_messages_disagree():
    rows, truth, dt = line()
    rng = np.random.default_rng(5)
    rows[300:308] += 3.0 * rng.standard_normal((8, 3))
    hit, _, _ = run(SHIPPED, rows, dt)
    assert np.abs(hit - truth)[300:].max() < 0.1


def test_a_new_place_is_taken_after_k_agreeing_messages():
    rows, truth, dt = line()
    rows[300:] += 3.0
    hit, _, _ = run(SHIPPED, rows, dt)
    k = SHIPPED.config.reacquire_after
    assert np.abs(hit - truth)[300 + k:].min() > 2.5
    assert np.abs(hit - truth - 3.0)[300 + 2 * k:].max() < 0.1


def test_noise_that_grows_a_hundredfold_does_not_lock_the_stream_out():
    rows, truth, dt = line(900)
    rng = np.random.default_rng(7)
    rows[300:] += rng.standard_normal((600, 3))
    out, _, _ = run(SHIPPED, rows, dt)
    error = np.sqrt(((out - truth)[400:]**2).sum(1).mean())
    assert error < 0.7 * np.sqrt(3.0)  # smoother than the raw stream again, and on the line


def test_rotation_outliers_do_not_move_the_position():
    rows, _, dt = line()
    poses = np.concatenate([rows, np.tile([0.0, 0.0, 0.0, 1.0], (len(rows), 1))], 1)
    rng = np.random.default_rng(1)
    poses[:, 3:6] += 0.005 * rng.standard_normal((len(rows), 3))
    poses[:, 3:] /= np.linalg.norm(poses[:, 3:], axis=1, keepdims=True)
    clean, _, _ = run(SHIPPED, poses, dt)
    poses[300, 3:] = [1.0, 0.0, 0.0, 0.0]  # upside down for one message
    hit, _, weight = run(SHIPPED, poses, dt)
    assert np.abs(hit - clean)[300:, :3].max() < 0.02
    assert weight[300, 1] < 1e-3
    assert 2 * np.degrees(np.arccos(np.clip(np.abs((hit[300:, 3:] * clean[300:, 3:]).sum(1)),
                                            0, 1))).max() < 3.0

def test_an_outlier_of_half_a_turn_leaves_no_more_behind_than_a_small_one():
    """The way back from it may be taken either way round; nothing is measured from there."""
    def worst(angle):
        rng = np.random.default_rng(0)
        still = np.zeros((40, 7))
        still[:, 6] = 1.0
        rows = np.stack([plus(still, 0.02 * rng.standard_normal((40, 6))) for _ in range(60)])
        wrong = np.zeros((40, 6))
        wrong[:, 3:] = rng.standard_normal((40, 3))
        rows[22] = plus(rows[22], angle * wrong / np.linalg.norm(wrong, axis=1, keepdims=True))
        smoother = build('liquid')
        state, _ = smoother.init(rows[0])
        square = []
        for k in range(1, 60):
            state, said = smoother.step(state, rows[k], np.full((40, 1), 0.03))
            square.append((minus(said.rows, still)[:, 3:]**2).mean(1))
        return np.sqrt(np.mean(square[23:], axis=0)).max()

    assert worst(3.1) < 1.2 * worst(0.5)


@pytest.mark.parametrize('turns', [0.0, 0.5])
@pytest.mark.parametrize('hold', [1, 2])
def test_a_body_that_looks_the_same_from_behind_is_not_followed(hold, turns):
    """One message in ten is wrong by half a turn: at rest, and where the body turns to and fro."""
    rng = np.random.default_rng(hold)
    count, streams = 400, 12
    dt = np.full((streams, 1), 1.0 / 30.0)
    way = np.zeros((count, 6))
    way[:, 3] = turns * np.sin(0.1 * np.arange(count))
    truth = plus(np.repeat(unit_row(7), count, 0), way)
    wrong = rng.random((count, streams)) < 0.1 / hold
    for _ in range(hold - 1):
        wrong[1:] |= wrong[:-1]
    wrong[:20] = False
    noise = np.radians(1.0) * rng.standard_normal((count, streams, 6))
    flip = np.array([0.0, 0.0, 0.0, 0.0, 0.0, np.pi])
    rows = [plus(plus(np.repeat(truth[k:k + 1], streams, 0), noise[k]), wrong[k, :, None] * flip)
            for k in range(count)]
    state, _ = SHIPPED.init(rows[0])
    off = []
    for k in range(1, count):
        state, estimate = SHIPPED.step(state, rows[k], dt)
        off.append(np.linalg.norm(minus(estimate.rows, truth[k:k + 1])[:, 3:], axis=1))
    error = np.degrees(np.sqrt(np.mean(np.square(off[20:]), 0)))
    assert np.median(error) < 1.5 and np.mean(error < 3.0) > 0.6


@pytest.mark.parametrize('lost', [1, 2, 3])
def test_what_hides_a_target_for_a_moment_does_not_make_an_outlier_believed(lost):
    """Half a metre off, behind one to three lost messages of a body that circles."""
    rng, streams, dt_s = np.random.default_rng(lost), 24, 1.0 / 30.0
    phase = rng.uniform(0.0, 2.0 * np.pi, (streams, 1))

    def truth(at_s):
        turns = 2.0 * np.pi * at_s / 5.0 + phase
        way = np.concatenate([0.3 * np.cos(turns), 0.3 * np.sin(turns), 0.1 * np.sin(turns / 2.0),
                              0.5 * np.sin(turns) * [0.6, 0.0, 0.8]], 1)
        return plus(np.tile(unit_row(7), (streams, 1)), way)

    noise = np.repeat([0.005, np.radians(1.0)], 3)
    state, at_s = SHIPPED.init(truth(0.0))[0], 0.0
    for k in range(300):
        step_s = dt_s * (1 + lost if k == 299 else 1)
        at_s += step_s
        seen = plus(truth(at_s), noise * rng.standard_normal((streams, 6)))
        seen[:, 0] += 0.5 * (k == 299)
        state, said = SHIPPED.step(state, seen, np.full((streams, 1), step_s))
    off = np.linalg.norm((said.rows - truth(at_s))[:, :3], axis=1)
    assert np.median(off) < 0.025 and off.max() < 0.15


def test_what_comes_far_from_the_usual_after_a_gap_is_not_certain():
    """The gap explains it, whatever it is."""
    rng = np.random.default_rng(5)
    smoother, share = build('liquid'), 1.0
    dt_s = np.full((60, 1), 0.01)
    p = v = np.zeros((60, 3))
    state, _ = smoother.init(p)
    for k in range(1, 121):
        step_s = dt_s * (12.0 if k in (118, 120) else 1.0)
        v = v + 3.0 * np.sqrt(step_s) * rng.standard_normal((60, 3))
        p = p + v * step_s
        seen = p + 1e-6 * rng.standard_normal((60, 3))
        if k == 120:
            seen = seen + 10.0**rng.uniform(-1.0, 1.0, (60, 1)) * rng.standard_normal((60, 3))
        state, said = smoother.step(state, seen, step_s)
        if k == 120:
            share = ((said.rows - p)**2 / said.variance > 1.5 / 2e-3).mean()
    assert share < 0.15


def curve(dt, seed=0, noise=0.01):
    """Return a noisy sine an axis (T, 3) and its truth for message intervals dt (T,)."""
    t = np.cumsum(dt)[:, None]
    truth = np.sin(t * np.array([1.0, 0.7, 1.3])) * np.array([1.0, 1.0, 0.3])
    return truth + noise * np.random.default_rng(seed).standard_normal(truth.shape), truth


def late_rms(out, truth, begin=200):
    """Return the root mean square error an axis from a message on."""
    return np.sqrt(((out - truth)[begin:]**2).mean())


@pytest.mark.parametrize('tiny', [1e-9, 1e-6, 1e-5, 1e-3])
def test_stamps_that_come_in_pairs_do_no_harm(tiny):
    dt = np.where(np.arange(1500) % 2 == 0, tiny, 0.04 - tiny)
    rows, truth = curve(dt)
    out, variance, _ = run(SHIPPED, rows, dt)
    assert late_rms(out, truth) < 0.008 and variance[200:].max() < 0.01


@pytest.mark.parametrize('at', [0, 1, 2, 5])
@pytest.mark.parametrize('size', [1e2, 1e6])
def test_an_outlier_at_the_start_is_forgotten(at, size):
    dt = np.full(1000, 0.02)
    rows, truth = curve(dt)
    rows[at] += size
    out, _, _ = run(SHIPPED, rows, dt)
    assert late_rms(out, truth) < 0.012


@pytest.mark.parametrize('at', [2, 5, 300])
def test_one_tiny_interval_makes_no_spike(at):
    dt = np.full(600, 0.02)
    dt[at] = 1e-9
    rows, truth = curve(dt)
    out, _, _ = run(SHIPPED, rows, dt)
    assert np.abs(out - truth)[1:].max() < 0.06


@pytest.mark.parametrize('close_s', [1e-9, 1e-6, 1e-5, 1e-3])
@pytest.mark.parametrize('count', [3, 5, 10])
def test_a_stream_that_begins_with_a_queue_flies_nowhere(count, close_s):
    """Of messages so close together no velocity is known, nor into which direction it turns."""
    for seed in range(4):
        dt = np.where(np.arange(200) < count, close_s, 1.0 / 30.0)
        way, truth = curve(dt, seed=seed)
        rows, goal = (plus(np.repeat(unit_row(7), len(dt), 0),
                           np.concatenate([part, part[:, ::-1]], 1)) for part in (way, truth))
        out, _, _ = run(SHIPPED, rows, dt)
        assert np.abs(minus(out, goal)).max() < 0.1


@pytest.mark.parametrize('every', [3, 5, 10])
def test_stamps_that_were_rounded_down_lead_nowhere(every):
    """Several messages a nanosecond apart, then a wait: their velocity is that of the noise."""
    for seed in range(6):
        t = 0.1 * (np.arange(600) // every)
        dt = np.maximum(np.diff(t, prepend=0.0), 1e-9)
        rows, truth = curve(dt, seed=seed)
        out, _, _ = run(SHIPPED, rows, dt)
        assert np.abs(out - truth).max() < 0.1


@pytest.mark.parametrize('steps', [False, True], ids=['shaken', 'moved on'])
def test_one_axis_moves_though_the_others_rest(steps):
    """Left and right by 10 cm three times a second, or 30 cm further every two seconds."""
    at, rng = np.arange(1200), np.random.default_rng(0)
    truth = np.zeros((1200, 3))
    truth[:, 0] = 0.3 * (at // 60) if steps else 0.1 * np.sin(0.2 * np.pi * at)
    rows = truth + 0.005 * rng.standard_normal(truth.shape)
    out, _, _ = run(SHIPPED, rows, np.full(1200, 1.0 / 30.0))
    judged = (at > 300) & ((at % 60 >= 6) | (not steps))
    assert np.sqrt(((out - truth)[judged]**2).mean()) < 0.8 * 0.005


@pytest.mark.parametrize('size', [1e5, 1e9, 1e11])
def test_a_sentinel_value_leaves_no_trace(size):
    dt = np.full(600, 0.02)
    rows, truth = curve(dt)
    rows[300] += size
    out, _, _ = run(SHIPPED, rows, dt)
    assert np.abs(out - truth)[280:].max() < 0.05


def test_a_stream_at_exact_rest_believes_two_messages_not_one():
    dt = np.full(300, 0.02)
    rows = np.zeros((300, 3))
    rows[100] = 5.0
    out, _, _ = run(SHIPPED, rows, dt)
    assert np.abs(out).max() < 1e-9
    rows[100:] = 7.0
    out, _, _ = run(SHIPPED, rows, dt)
    assert np.abs(out[:101]).max() < 1e-9 and np.abs(out[101:] - 7.0).max() < 0.2


def test_a_simulator_s_ground_truth_comes_out_as_it_went_in():
    t = np.arange(1000) * 0.02
    dt = np.full(1000, 0.02)
    for truth in (np.outer(t, [1.0, 2.0, 0.0]), np.stack([np.cos(t), np.sin(t), 0 * t], 1),
                  np.stack([np.cos(t / 10), np.sin(t / 10), 0 * t], 1)):
        out, variance, weight = run(SHIPPED, truth, dt)
        # a message's way is up to 45 mm
        assert np.abs(out - truth).max() < 0.012 and late_rms(out, truth) < 1e-3
        assert (weight > 0.5).all()


def test_a_planar_robot_s_outlier_is_rejected_like_another_s():
    dt = np.full(600, 0.02)
    rows, truth = curve(dt)
    rows[:, 2] = truth[:, 2] = 0.7
    rows[300, :2] += 1.0
    out, _, weight = run(SHIPPED, rows, dt)
    assert weight[300, 0] < 1e-2 and np.abs(out - truth)[280:].max() < 0.05
    assert (out[:, 2] == 0.7).all()


def test_a_vehicle_s_roll_and_pitch_say_nothing_of_its_yaw():
    """Nothing, next to nothing, or a hundredth of the yaw's noise: the yaw is as smooth."""
    rng = np.random.default_rng(5)
    t, noise = 0.05 * np.arange(900), rng.standard_normal((900, 3))
    turns = np.stack([0.0 * t, 0.0 * t, 0.8 * np.sin(0.9 * t) + 0.5 * np.sin(0.31 * t)], 1)
    truth = plus(np.repeat(unit_row(7), 900, 0), np.concatenate([0.0 * turns, turns], 1))
    off = []
    for size in (0.0, 1e-5, 1e-4, 3e-4):
        rows = plus(truth, np.concatenate([0.01 * noise, noise * [size, size, 0.03]], 1))
        out, _, _ = run(SHIPPED, rows, np.full(900, 0.05))
        off.append(np.sqrt((minus(out, truth)[100:, 5]**2).mean()))
    assert off[0] < 0.7 * 0.03 and max(off) < 1.05 * off[0]


def test_smoother_than_the_input_and_nearer_to_the_truth():
    rows, truth, dt = line(1000, noise=0.01)
    out, variance, _ = run(SHIPPED, rows, dt)
    part = slice(50, None)

    def rms(x):
        return np.sqrt((x**2).mean())
    assert rms((out - truth)[part]) < 0.5 * rms((rows - truth)[part])
    assert rms(np.diff(out - truth, 2, axis=0)[part]) < 0.1 * rms(np.diff(rows, 2, axis=0)[part])
    nees = ((out - truth)[part]**2 / variance[part]).mean()
    assert 0.2 < nees < 5.0


def test_configuration_is_a_value():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SHIPPED.config.hidden = 3


def test_a_sensor_that_counts_in_grains_is_never_certain():
    dt = np.full(400, 0.02)
    rows = np.zeros((400, 3))
    _, variance, _ = run(SHIPPED, rows, dt)
    assert np.all(variance == 1.0)  # nothing has ever moved: nothing is known
    rows[::50, 0] = 0.003
    rows[150:, 1] += 5.0
    _, variance, _ = run(SHIPPED, rows, dt)
    assert variance[60:].min() >= 0.003**2 / 12.0 * (1.0 - 1e-9)
    rows[:, 1] += 1e-6 * np.random.default_rng(3).standard_normal(400)
    _, variance, _ = run(SHIPPED, rows, dt)
    assert variance[300:, 0].min() >= 0.003**2 / 12.0 * (1.0 - 1e-9)
    # one that never moves may resolve as much as its neighbours do
    assert variance[300:, 1:].min(0).max() < 0.003**2 / 12.0


def test_an_axis_coarser_than_its_neighbours_is_stated_as_coarse():
    rng = np.random.default_rng(4)
    truth = np.cumsum(np.cumsum(0.001 * rng.standard_normal((600, 3)), 0), 0)
    rows = truth + 0.02 * rng.standard_normal(truth.shape)
    rows[:, 2] = 0.1 * np.round(truth[:, 2] / 0.1)  # as NMEA has altitude
    out, variance, _ = run(SHIPPED, rows, np.full(600, 0.1))
    nees = ((out - truth)**2 / variance)[50:].mean(0)
    assert (nees > 0.1).all() and (nees < 2.0).all()


@pytest.mark.parametrize('sigma', [0.01, 0.05, 0.1])
def test_a_rotation_at_rest_is_as_quiet_as_a_position(sigma):
    noise = sigma * np.random.default_rng(5).standard_normal((800, 6))
    rest = np.zeros((800, 7))
    rest[:, 6] = 1.0
    out, _, _ = run(SHIPPED, plus(rest, noise), np.full(800, 0.02))
    error = np.sqrt((minus(out, rest)[100:]**2).reshape(-1, 2, 3).mean((0, 2)))
    assert error[1] < 1.5 * error[0] < 1.5 * 0.2 * sigma


@pytest.mark.parametrize('moved_on', [False, True])
def test_a_gap_is_forgotten_within_messages(moved_on):
    # motion capture at 200 Hz, 0.1 mm, hidden for almost five seconds at 1 m/s
    time_s = np.arange(2000) / 200.0
    gap_s = np.where(np.arange(2000) < 1500, 0.0, 4.9)
    at = (time_s + gap_s * moved_on)[:, None]
    truth = 2.0 * np.concatenate([np.sin(0.5 * at), np.cos(0.5 * at), 0.02 * np.sin(3.0 * at)], 1)
    rows = truth + 1e-4 * np.random.default_rng(6).standard_normal(truth.shape)
    out, _, _ = run(SHIPPED, rows, np.diff(time_s + gap_s, prepend=-0.005))
    error = np.sqrt(((out - truth)**2).sum(1))
    assert error[1520:].mean() < 1.5 * error[1000:1500].mean()


def test_levels_are_a_matter_of_the_stream_and_not_of_a_burst():
    rows, _, dt = line(300, noise=0.01)
    state, _ = SHIPPED.init(rows[:1])
    for k in range(1, 250):
        state, _ = SHIPPED.step(state, rows[k:k + 1], np.array([[dt[k]]]))
    usual = SHIPPED.step(state, rows[250:251], np.array([[dt[250]]]))[0]['said']
    burst = SHIPPED.step(state, rows[250:251], np.array([[1e-9]]))[0]['said']
    assert np.abs(usual - state['said']).max() > 1e-3 > np.abs(burst - state['said']).max()
