# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Variances and twists between the smoother's axes and those of messages, by sampling and time."""

from hypothesis import given, settings, strategies
import numpy as np
import pytest

from liquid_ros.geometry import (
    body_twist,
    LEAST_VARIANCE,
    NOT_KNOWN,
    own_variances,
    pose_covariance,
    rotation_matrix,
    twist_covariance,
)
from liquid_ros.manifold import plus, quat_exp, quat_log, quat_multiply

number = strategies.floats(-1.0, 1.0)
quats = strategies.tuples(number, number, number, number).filter(
    lambda q: np.linalg.norm(q) > 0.1).map(lambda q: np.array([q]))
variances = strategies.tuples(*[strategies.floats(1e-6, 1e3)] * 6).map(lambda v: np.array([v]))


@given(quats)
def test_a_rotation_matrix_turns_as_the_quaternion_does(quat):
    """Against q v q*; orthonormal, right-handed, whatever the length."""
    turn, = rotation_matrix(quat)
    unit = quat[0] / np.linalg.norm(quat)
    for axis in np.eye(3):
        turned = quat_multiply(quat_multiply(unit, np.append(axis, 0.0)),
                               unit * [-1.0, -1.0, -1.0, 1.0])
        assert np.allclose(turn @ axis, turned[:3], rtol=0, atol=1e-12)
    assert np.allclose(turn @ turn.T, np.eye(3), atol=1e-12) and np.linalg.det(turn) > 0.0


def test_the_covariance_is_that_of_errors_about_fixed_axes():
    """Errors drawn in the body's tangent space, measured about the fixed axes (REP-103)."""
    rng = np.random.default_rng(0)
    variance = np.array([[0.1, 0.2, 0.3, 1e-4, 4e-4, 9e-4]])
    quat = np.array([[0.1, -0.5, 0.3, 0.8]])
    quat /= np.linalg.norm(quat)
    drawn = rng.normal(size=(200_000, 6)) * np.sqrt(variance)
    truth = np.concatenate([np.zeros((1, 3)), quat], 1)
    poses = plus(np.repeat(truth, len(drawn), 0), drawn)
    # about the fixed axes: q = exp(e) q_true
    back = quat * [-1.0, -1.0, -1.0, 1.0]
    errors = np.concatenate([poses[:, :3], quat_log(quat_multiply(poses[:, 3:], np.repeat(
        back, len(drawn), 0)))], 1)
    told = pose_covariance(variance, quat).reshape(6, 6)
    scale = np.sqrt(np.outer(np.diag(told), np.diag(told)))
    assert np.abs((np.cov(errors.T) - told) / scale).max() < 0.02


@given(variances, quats)
def test_what_is_written_is_read_again(variance, quat):
    """A covariance made from variances gives the same variances."""
    told = pose_covariance(variance, quat)
    assert np.allclose(own_variances(told, quat), variance, rtol=1e-9)
    block = told.reshape(6, 6)
    assert np.allclose(block, block.T) and (np.linalg.eigvalsh(block) > 0.0).all()


@pytest.mark.parametrize('bad', [0.0, -1.0, np.nan, np.inf])
def test_a_variance_that_cannot_be_is_unknown(bad):
    """Of that axis alone; none at all where the matrix is zero."""
    covariance = np.diag([bad, 1.0, 2.0, 3.0, 4.0, 5.0]).reshape(1, 36)
    got = own_variances(covariance, np.array([[0.0, 0.0, 0.0, 1.0]]))
    assert np.isnan(got[0, 0]) and np.array_equal(got[0, 1:], [1.0, 2.0, 3.0, 4.0, 5.0])
    assert own_variances(np.zeros((1, 36)), np.array([[0.0, 0.0, 0.0, 1.0]])) is None


@pytest.mark.parametrize('make', [pose_covariance, twist_covariance])
def test_no_variance_is_ever_zero_or_endless(make):
    """Nothing is certain; what is not known, as a point's rotation, is wide."""
    quat = np.array([[0.0, 0.0, 0.6, 0.8]])
    for variance in (np.zeros((1, 6)), np.full((1, 6), np.nan), np.full((1, 6), np.inf),
                     np.full((1, 6), -1.0)):
        diagonal = np.diag(make(variance, quat).reshape(6, 6))
        assert (diagonal >= 0.99 * LEAST_VARIANCE).all() and np.isfinite(diagonal).all()
    point = np.diag(make(np.full((1, 3), 0.5), None).reshape(6, 6))
    assert np.array_equal(point, [0.5] * 3 + [NOT_KNOWN] * 3)


@given(quats, strategies.tuples(*[number] * 6))
def test_the_twist_is_in_the_child_frame(quat, motion):
    """A body moved for a moment by the twist, in its own axes, is where the smoother says."""
    dt_s, motion = 1e-6, np.array([motion])
    pose = np.concatenate([np.zeros((1, 3)), quat / np.linalg.norm(quat)], 1)
    there = plus(pose, motion * dt_s)  # velocity in the fixed frame, body rate
    twist, = body_twist(motion, quat)
    turn, = rotation_matrix(quat)
    assert np.allclose(turn @ twist[:3] * dt_s, there[0, :3], rtol=0, atol=1e-15)
    turned = quat_multiply(pose[0, 3:], quat_exp(twist[3:] * dt_s))
    assert np.allclose(turned, there[0, 3:], rtol=0, atol=1e-12)


def test_a_point_s_twist_is_in_the_fixed_frame():
    assert np.array_equal(body_twist(np.array([[1.0, 2.0, 3.0]]), None), [[1, 2, 3, 0, 0, 0]])


@settings(deadline=None)
@given(strategies.integers(0, 2**32 - 1))
def test_one_row_and_many_are_the_same_bits(seed):
    """Whatever senders say: no numbers, none above zero, no rotation."""
    rng = np.random.default_rng(seed)

    def drawn(*shape):
        odd = rng.choice([0.0, -1.0, np.nan, np.inf, 1e200, 1e-200], shape)
        return np.where(rng.random(shape) < 0.1, odd, rng.normal(size=shape))

    covariance, quat, variance, twist = drawn(5, 36), drawn(5, 4), drawn(5, 6), drawn(5, 6)
    with np.errstate(all='ignore'):
        together = [own_variances(covariance, quat), pose_covariance(variance, quat),
                    twist_covariance(variance, quat), body_twist(twist, quat),
                    pose_covariance(variance[:, :3], None), rotation_matrix(quat)]
        for i in range(5):
            one = slice(i, i + 1)
            alone = [own_variances(covariance[one], quat[one]),
                     pose_covariance(variance[one], quat[one]),
                     twist_covariance(variance[one], quat[one]), body_twist(twist[one], quat[one]),
                     pose_covariance(variance[one, :3], None), rotation_matrix(quat[one])]
            for ours, theirs in zip(alone, together):
                np.testing.assert_array_equal(ours[0], theirs[i])
