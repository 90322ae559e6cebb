# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The rotation group and the two words of the manifold, as properties."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from problems import quats, turn_between
import pytest

from liquid_ros.manifold import (
    minus,
    other_way,
    plus,
    quat_conjugate,
    quat_exp,
    quat_log,
    quat_multiply,
    quat_normalise,
    shortest,
)

ANGLES = [0.0, 1e-320, 1e-160, 1e-12, 1e-9, 1e-6, 0.99e-4, 1e-4, 1.01e-4, 1.99e-4, 2.01e-4, 1e-3,
          0.1, 1.0, 2.0, 3.0, math.pi - 1e-6, math.pi - 1e-9, math.pi - 1e-12, math.pi]
TIGHT = 4e-15

unit = st.tuples(*[st.floats(-1.0, 1.0)] * 3).map(np.array).filter(
    lambda axis: np.linalg.norm(axis) > 1e-3).map(lambda axis: axis / np.linalg.norm(axis))
turns = st.builds(lambda axis, angle: axis * angle, unit,
                  st.sampled_from(ANGLES) | st.floats(0.0, math.pi))
rotations = turns.map(quat_exp)
places = st.tuples(*[st.floats(-1e3, 1e3)] * 3).map(np.array)
poses = st.builds(lambda place, quat: np.concatenate([place, quat]), places, rotations)
many = settings(max_examples=200, deadline=None)


def matrix(quat):
    """Return the rotation matrix whose columns are the turned axes."""
    pure = np.concatenate([np.eye(3), np.zeros((3, 1))], 1)
    q = np.broadcast_to(quat, (3, 4))
    return quat_multiply(quat_multiply(q, pure), quat_conjugate(q))[:, :3].T


@pytest.mark.parametrize('angle', ANGLES)
def test_log_undoes_exp_at_every_scale(angle):
    axis = np.array([2.0, -1.0, 0.5]) / np.linalg.norm([2.0, -1.0, 0.5])
    back = quat_log(quat_exp(angle * axis))
    if angle > 3.14159:  # the two rotation vectors of a half turn are both right
        back = back * np.sign(back @ axis)
    np.testing.assert_allclose(back, angle * axis, rtol=TIGHT, atol=1e-322)


@many
@given(turns)
def test_exp_is_rodrigues_formula(turn):
    angle = np.linalg.norm(turn)
    x, y, z = turn
    k = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    a = np.sinc(angle / math.pi)
    b = 0.5 * np.sinc(angle / 2.0 / math.pi) ** 2
    np.testing.assert_allclose(matrix(quat_exp(turn)), np.eye(3) + a * k + b * k @ k, atol=TIGHT)


@many
@given(turns)
def test_exp_is_a_unit_quaternion_and_log_is_the_shortest_turn(turn):
    quat = quat_exp(turn)
    assert abs(np.linalg.norm(quat) - 1.0) < TIGHT
    assert np.linalg.norm(quat_log(quat)) <= math.pi + TIGHT
    np.testing.assert_array_equal(quat_log(-quat[None]), quat_log(quat[None]) if quat[3] else
                                  -quat_log(quat[None]))


@many
@given(turns.map(lambda turn: turn * 5.0))
def test_exp_of_more_than_a_turn_is_the_same_orientation(turn):
    assert turn_between(quat_exp(quat_log(quat_exp(turn))), quat_exp(turn)) < 1e-14


@many
@given(rotations, rotations, rotations)
def test_group_axioms(a, b, c):
    one = np.array([0.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(quat_multiply(quat_multiply(a, b), c),
                               quat_multiply(a, quat_multiply(b, c)), atol=TIGHT)
    np.testing.assert_array_equal(quat_multiply(a, one), a)
    np.testing.assert_array_equal(quat_multiply(one, a), a)
    np.testing.assert_allclose(quat_multiply(a, quat_conjugate(a)), one, atol=TIGHT)
    assert abs(np.linalg.norm(quat_multiply(a, b)) - 1.0) < TIGHT
    np.testing.assert_allclose(matrix(quat_multiply(a, b)), matrix(a) @ matrix(b), atol=TIGHT)


@many
@given(poses, places, turns.filter(lambda turn: np.linalg.norm(turn) < 3.1415))
def test_minus_undoes_plus(pose, move, turn):
    tangent = np.concatenate([move, turn])
    np.testing.assert_allclose(minus(plus(pose, tangent), pose), tangent, rtol=1e-9, atol=1e-12)


@many
@given(poses, poses)
def test_plus_undoes_minus(pose, other):
    again = plus(pose, minus(other, pose))
    np.testing.assert_allclose(again[:3], other[:3], atol=1e-12)
    assert turn_between(again[3:], other[3:]) < 1e-14


@many
@given(poses, places, turns)
def test_a_turn_from_the_left_leaves_the_tangent(pose, move, turn):
    other = plus(pose, np.concatenate([move, 0.9 * turn]))
    left = quat_exp(np.array([0.3, -2.0, 1.1]))

    def turned(row):
        return np.concatenate([row[:3], quat_multiply(left, row[3:])])

    np.testing.assert_allclose(minus(turned(other), turned(pose)), minus(other, pose), atol=1e-11)


@many
@given(poses)
def test_nothing_between_a_pose_and_itself_bit_for_bit(pose):
    np.testing.assert_array_equal(minus(pose, pose), 0.0)


def test_points_are_plain_vectors():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 3))
    np.testing.assert_array_equal(minus(a, b), a - b)
    np.testing.assert_array_equal(plus(a, b), a + b)


@pytest.mark.parametrize('scale', [1e-150, 1e-6, 1.0, 1e100])
def test_normalise_keeps_the_direction(scale):
    quat = quats(np.random.default_rng(1), 20)
    np.testing.assert_allclose(quat_normalise(scale * quat), quat, rtol=1e-14)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_precision_is_kept(dtype):
    rng = np.random.default_rng(2)
    pose = np.concatenate([rng.normal(size=(9, 3)), quats(rng, 9)], 1).astype(dtype)
    tangent = rng.normal(size=(9, 6)).astype(dtype)
    assert plus(pose, tangent).dtype == minus(pose, pose).dtype == dtype
    np.testing.assert_allclose(minus(plus(pose, tangent), pose), tangent,
                               atol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize('angle', [0.0, 1e-12, 1e-5, 1e-3, 1.0, 3.0])
def test_gradients_are_finite_and_right(angle):
    torch = pytest.importorskip('torch', reason='gradients need torch')
    turn = torch.tensor([[angle, 0.0, 0.0], [0.0, 0.6 * angle, -0.8 * angle]],
                        dtype=torch.float64, requires_grad=True)
    start = torch.as_tensor(np.concatenate([np.ones((2, 3)), quats(np.random.default_rng(3), 2)],
                                           1)).requires_grad_()

    def there_and_back(pose, rotation):
        return minus(plus(pose, torch.cat([rotation, rotation], -1)), pose)

    assert torch.autograd.gradcheck(quat_exp, turn)
    assert torch.autograd.gradcheck(quat_log, quat_exp(turn).detach().requires_grad_())
    assert torch.autograd.gradcheck(there_and_back, (start, turn), eps=1e-7)
    jacobian = torch.autograd.functional.jacobian(lambda r: quat_log(quat_exp(r)), turn)
    identity = torch.einsum('ij,kl->ikjl', torch.eye(2), torch.eye(3)).double()
    torch.testing.assert_close(jacobian, identity, atol=1e-7, rtol=0.0)


def test_numpy_and_torch_agree():
    torch = pytest.importorskip('torch', reason='compares with torch')
    rng = np.random.default_rng(4)
    pose = np.concatenate([rng.normal(size=(50, 3)), quats(rng, 50)], 1)
    tangent = rng.normal(size=(50, 6)) * np.geomspace(1e-9, 1.0, 50)[:, None]
    moved = plus(pose, tangent)
    other = plus(torch.as_tensor(pose), torch.as_tensor(tangent))
    np.testing.assert_allclose(other.numpy(), moved, atol=1e-15)
    np.testing.assert_allclose(minus(other, torch.as_tensor(pose)).numpy(), minus(moved, pose),
                               rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize('angle', [1e-3, 0.5, 3.0, math.pi, 4.0, 6.0])
def test_the_other_way_round_comes_to_the_same(angle):
    rotvec = angle * np.array([[0.6, 0.0, -0.8]])
    other = other_way(np, rotvec)
    assert 1.0 - abs((quat_exp(other) * quat_exp(rotvec)).sum()) < 1e-12
    kept = shortest(np, np.concatenate([9.0 + rotvec, rotvec], 1))
    np.testing.assert_array_equal(kept[:, :3], 9.0 + rotvec)
    np.testing.assert_allclose(np.linalg.norm(kept[:, 3:]), min(angle, 2.0 * math.pi - angle))
    np.testing.assert_array_equal(shortest(np, rotvec), rotvec)  # a point's way is no rotation


def test_the_other_way_round_of_nothing_has_a_finite_gradient():
    torch = pytest.importorskip('torch', reason='gradients need torch')
    nothing = torch.zeros((2, 3), dtype=torch.float64, requires_grad=True)
    other_way(torch, nothing).sum().backward()
    assert torch.isfinite(nothing.grad).all()
