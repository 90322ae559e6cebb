# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Properties of every smoother in the registry, on the estimates it gives."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from problems import line, make, quats, recording, run, spin, turn_between, UTM_M
import pytest

from liquid_ros.backend import TorchBackend
from liquid_ros.checkpoint import LEARNED
from liquid_ros.manifold import minus, quat_multiply
from liquid_ros.smoothers import SMOOTHERS
from liquid_ros.streams import StreamBank

few = settings(max_examples=40, deadline=None)
every = pytest.mark.parametrize('name', list(SMOOTHERS))
# the plain readout of absolute coordinates has none of the properties of place and scale
placeless = pytest.mark.parametrize('name', [n for n in SMOOTHERS if n != 'liquid_direct'])
widths = pytest.mark.parametrize('width', [3, 7], ids=['point', 'pose'])


def draw(seed, count=60, batch=6, width=7, sigma=0.02):
    """Return a seeded recording: rows (N, B, width), dt_s (N, B, 1)."""
    return recording(np.random.default_rng(seed), count, batch, width, sigma)


def assert_close(estimate, other, atol, rows_atol=None):
    """Compare estimates part by part; rows as poses, where q and -q are the same."""
    gap = np.abs(minus(estimate.rows, other.rows))
    assert gap[..., :3].max() <= (atol if rows_atol is None else rows_atol)
    assert gap[..., 3:].max(initial=0.0) <= atol
    for part, other_part in zip(estimate[1:], other[1:]):
        np.testing.assert_allclose(part, other_part, rtol=atol, atol=atol)


@every
@widths
def test_shapes_and_signs(name, width):
    estimate = run(make(name), *draw(0, width=width))
    axes = 3 if width == 3 else 6
    assert [part.shape[2] for part in estimate] == [width, axes, axes, axes // 3, axes // 3]
    assert (estimate.variance[1:] > 0.0).all() and (estimate.nis >= 0.0).all()
    assert ((estimate.weight >= 0.0) & (estimate.weight <= 1.0)).all()
    if width == 7:
        norms = np.linalg.norm(estimate.rows[..., 3:], axis=-1)
        np.testing.assert_allclose(norms, 1.0, rtol=0.0, atol=1e-12)


@every
@widths
def test_the_first_answer_is_the_first_message(name, width):
    rows, dt_s = draw(1, width=width)
    first = run(make(name), rows[:1], dt_s[:1]).rows[0]
    np.testing.assert_allclose(minus(first, rows[0]), 0.0, atol=1e-15)


@every
@widths
def test_a_stream_does_not_see_its_neighbours(name, width):
    rows, dt_s = draw(2, batch=3, width=width)
    whole = run(make(name), rows, dt_s)
    for b in range(rows.shape[1]):
        alone = run(make(name), rows[:, b:b + 1], dt_s[:, b:b + 1])
        assert_close(alone, type(whole)(*(part[:, b:b + 1] for part in whole)), 1e-11)


@placeless
@widths
@pytest.mark.parametrize('offset_m', [np.ones(3), UTM_M, -10.0 * UTM_M], ids=['1', 'UTM', '-50e6'])
def test_an_offset_stays_an_offset(name, width, offset_m):
    rows, dt_s = draw(3, width=width, sigma=0.001)
    offset = np.r_[offset_m, np.zeros(width - 3)]
    moved = run(make(name), rows + offset, dt_s)
    assert_close(moved._replace(rows=moved.rows - offset), run(make(name), rows, dt_s), 1e-4, 1e-6)


@placeless
@pytest.mark.parametrize('scale', [1e-4, 1e-2, 1e4])
def test_another_unit_of_length_gives_the_same_motion(name, scale):
    rows, dt_s = draw(4)
    unit = np.r_[np.full(3, scale), np.ones(4)]
    scaled = run(make(name, scale), rows * unit, dt_s)
    expected = run(make(name), rows, dt_s)
    tangent = np.r_[unit[:3], np.ones(3)]
    scaled = scaled._replace(rows=scaled.rows / unit, variance=scaled.variance / tangent**2,
                             twist=scaled.twist / tangent)
    # one message alone shows no scale, so the first variance may be a convention
    later, expected_later = (type(e)(*(part[1:] for part in e)) for e in (scaled, expected))
    assert_close(later, expected_later, 1e-9)


@placeless
@widths
@pytest.mark.parametrize('offset_m', [0.0, UTM_M], ids=['origin', 'UTM'])
def test_a_constant_is_a_fixed_point(name, width, offset_m):
    rows, dt_s = draw(5, width=width)
    rows[:] = rows[0]
    rows[..., :3] += offset_m
    estimate = run(make(name), rows, dt_s)
    assert np.abs(minus(estimate.rows, rows)).max() <= 1e-12 * (1.0 + np.abs(offset_m).max())
    np.testing.assert_allclose(estimate.twist, 0.0, atol=1e-12)


@every
def test_q_and_minus_q_are_the_same_orientation(name):
    rows, dt_s = draw(6)
    flipped = rows.copy()
    flipped[..., 3:] *= np.random.default_rng(0).choice([-1.0, 1.0], size=rows.shape[:2] + (1,))
    got, expected = run(make(name), flipped, dt_s), run(make(name), rows, dt_s)
    assert_close(got, expected, 1e-12)
    # an output never changes its hemisphere from one message to the next
    assert ((got.rows[1:, :, 3:] * got.rows[:-1, :, 3:]).sum(-1) > 0.0).all()


@every
def test_a_fixed_turn_from_the_left_turns_the_answer(name):
    rows, dt_s = draw(7)
    left = np.broadcast_to(quats(np.random.default_rng(0), 1), rows.shape[:2] + (4,))

    def turned(pose):
        return np.concatenate([pose[..., :3], quat_multiply(left, pose[..., 3:])], -1)

    expected = run(make(name), rows, dt_s)
    assert_close(run(make(name), turned(rows), dt_s),
                 expected._replace(rows=turned(expected.rows)), 1e-10)


@every
def test_the_orientation_does_not_see_where_it_is(name):
    rows, dt_s = draw(8)
    moved = rows + np.r_[UTM_M, np.zeros(4)]
    gap = turn_between(run(make(name), moved, dt_s).rows[..., 3:],
                       run(make(name), rows, dt_s).rows[..., 3:])
    assert gap.max() < 1e-6


@every
@widths
def test_any_dt_gives_finite_answers(name, width):
    rows, dt_s = draw(9, count=100, batch=12, width=width)
    dt_s = 10.0 ** np.random.default_rng(0).uniform(-9.0, 6.0, size=dt_s.shape)
    estimate = run(make(name), rows, dt_s)
    assert all(np.isfinite(part).all() for part in estimate)
    assert (estimate.variance[1:] > 0.0).all()


@every
@widths
@few
@given(data=st.data())
def test_finite_in_finite_out(name, width, data):
    count = data.draw(st.integers(1, 12))
    number = st.floats(-1e12, 1e12)
    rows = np.array(data.draw(st.lists(st.lists(number, min_size=width, max_size=width),
                                       min_size=count, max_size=count)))[:, None]
    if width == 7:
        norm = np.linalg.norm(rows[..., 3:], axis=-1, keepdims=True)
        rows[..., 3:] = np.where(norm > 1e-6, rows[..., 3:] / np.maximum(norm, 1e-6),
                                 [0.0, 0.0, 0.0, 1.0])
    dt_s = np.array(data.draw(st.lists(st.floats(1e-9, 1e6), min_size=count,
                                       max_size=count)))[:, None, None]
    estimate = run(make(name), rows, dt_s)
    assert all(np.isfinite(part).all() for part in estimate)
    if width == 7:
        np.testing.assert_allclose(np.linalg.norm(estimate.rows[..., 3:], axis=-1), 1.0,
                                   rtol=0.0, atol=1e-12)


@every
@widths
def test_step_is_pure(name, width):
    rows, dt_s = draw(10, width=width)
    smoother = make(name)
    state, _ = smoother.init(rows[0])
    for row, step_s in zip(rows[1:20], dt_s[1:20]):
        given_state = {key: value.copy() for key, value in state.items()}
        given_row, given_step = row.copy(), step_s.copy()
        after, estimate = smoother.step(state, row, step_s)
        again, same = smoother.step(given_state, given_row, given_step)
        for key, value in state.items():
            np.testing.assert_array_equal(value, given_state[key])
            assert after[key].shape == value.shape and after[key].dtype == value.dtype
            np.testing.assert_array_equal(after[key], again[key])
        for part, other in zip(estimate, same):
            np.testing.assert_array_equal(part, other)
        np.testing.assert_array_equal(row, given_row)
        np.testing.assert_array_equal(step_s, given_step)
        state = after


@every
@widths
@pytest.mark.parametrize('cut', [0, 1, 37])
def test_what_comes_later_changes_nothing_before(name, width, cut):
    rows, dt_s = draw(12, count=60, batch=1, width=width)
    stamps = np.round(np.cumsum(dt_s[:, 0, 0]) * 1e9).astype(np.int64)
    other, other_stamps = rows.copy(), stamps.copy()
    other[cut + 1:] = draw(13, count=60, batch=1, width=width)[0][cut + 1:] + 1.0
    other_stamps[cut + 1:] += 12_345_678
    got, expected = (StreamBank(make(name), width).update(['a'] * 60, s, r[:, 0]).estimate
                     for s, r in ((other_stamps, other), (stamps, rows)))
    for part, expected_part in zip(got, expected):
        np.testing.assert_array_equal(part[:cut + 1], expected_part[:cut + 1])


@every
def test_torch_gives_the_numbers_of_numpy(name):
    torch = pytest.importorskip('torch', reason='compares with torch')
    rows, dt_s = draw(14, count=400)
    expected = run(make(name), rows, dt_s)
    backend = TorchBackend('cpu')
    with torch.no_grad():
        got = run(make(name, backend=backend), backend.asarray(rows), backend.asarray(dt_s))
    assert_close(type(got)(*(part.numpy() for part in got)), expected, 1e-9)


@placeless
@widths
def test_white_noise_around_a_resting_pose_becomes_less(name, width):
    rows, dt_s = draw(15, count=150, batch=48, width=width)
    rest = np.broadcast_to(np.r_[UTM_M, 0.1, 0.2, 0.3, np.sqrt(0.86)][:width], rows.shape)
    noise = 0.02 * np.random.default_rng(0).normal(size=rows.shape[:2] + (3,))
    rows = rest.copy()
    rows[..., :3] += noise
    if width == 7:
        rows = np.concatenate([rows[..., :3], quat_multiply(
            rest[..., 3:], spin(np.ones(noise.size // 3), np.r_[0.0, 0.0, 0.0, 1.0],
                                noise.reshape(-1, 3)).reshape(rest[..., 3:].shape))], -1)
    error = minus(run(make(name), rows, dt_s).rows, rest)[100:]
    assert (np.sqrt((error**2).mean(axis=(0, 1))) < 0.9 * 0.02).all()


@placeless
def test_a_straight_motion_is_followed(name):
    times = np.arange(300) * 0.02
    rows = np.concatenate([line(times, UTM_M, np.array([1.0, -0.5, 0.0])),
                           spin(times, np.r_[0.5, 0.5, 0.5, 0.5], np.array([0.0, 0.3, 0.8]))],
                          1)[:, None]
    estimate = run(make(name), rows, np.full((300, 1, 1), 0.02))
    assert np.abs(minus(estimate.rows, rows)[200:]).max() < 0.15


@pytest.mark.parametrize('name', [name for name in SMOOTHERS if name not in LEARNED])
@pytest.mark.parametrize('library', ['numpy', 'torch'])
def test_float32_stays_float32(name, library):
    xp = pytest.importorskip(library, reason='runs on this library')
    rows, dt_s = (xp.asarray(array, dtype=xp.float32) for array in draw(16))
    state, _ = make(name).init(rows[0])
    state, estimate = make(name).step(state, rows[1], dt_s[1])
    assert {part.dtype for part in (*state.values(), *estimate)} == {rows.dtype}
    exact = run(make(name), *draw(16)).rows
    rounded = np.asarray(run(make(name), rows, dt_s).rows, dtype=np.float64)
    assert np.abs(minus(rounded, exact)).max() < 1e-4


def test_the_plain_readout_knows_only_the_place_it_was_trained_in():
    rows, dt_s = draw(3)
    rows[..., :3] -= rows[:, :, :3].mean(axis=0)
    here = np.abs(run(make('liquid_direct'), rows, dt_s).rows - rows)[50:, :, :3].mean()
    there = rows + np.r_[5.0, 5.0, 0.0, np.zeros(4)]
    away = np.abs(run(make('liquid_direct'), there, dt_s).rows - there)[50:, :, :3].mean()
    assert away > 1.0 and away > 5.0 * here
