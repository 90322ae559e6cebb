# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Between the smoother's variances and twist and those of messages.

The smoother: position along the fixed axes, rotation in the body's tangent space, velocity along
the fixed axes, body rate. Messages: covariance 6x6, row-major, x y z and rotation about the fixed
axes (geometry_msgs/PoseWithCovariance, REP-103); twist in the child frame (nav_msgs/Odometry).
N rows; quat_xyzw (N, 4) of any length but zero.
"""

from typing import Optional

import numpy as np

# Zero would mean certainty to whoever fuses this; and what is not known is wide.
LEAST_VARIANCE = 1e-12
NOT_KNOWN = 1e6


def _pairs() -> np.ndarray:
    """Return (16, 9): which products of two of x y z w a rotation matrix is the sum of."""
    of = np.zeros((4, 4, 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        of[i, i, i, i] = of[3, 3, i, i] = 1.0
        of[j, j, i, i] = of[k, k, i, i] = -1.0
        of[j, k, j, k] = of[j, k, k, j] = 2.0
        of[i, 3, j, k], of[i, 3, k, j] = -2.0, 2.0
    return of.reshape(16, 9)


PAIRS = _pairs()


def rotation_matrix(quat_xyzw: np.ndarray) -> np.ndarray:
    """Return (N, 3, 3): R with p_fixed = R p_body."""
    unit = quat_xyzw / np.sqrt((quat_xyzw * quat_xyzw).sum(1, keepdims=True))
    pairs = (unit[:, :, None] * unit[:, None]).reshape(-1, 16, 1)
    # no product of matrices: a batch is then summed up as one is, to the bit
    return (pairs * PAIRS).sum(1).reshape(-1, 3, 3)


def own_variances(covariance: np.ndarray, quat_xyzw: np.ndarray) -> Optional[np.ndarray]:
    """
    Return (N, 6) variances of measured poses, NaN where the sender gave none that can be.

    covariance: (N, 36). None where no message has any; all zeros is how senders say unknown.
    """
    if not covariance.any():
        return None
    blocks = covariance.reshape(-1, 6, 6)
    with np.errstate(all='ignore'):
        turned = np.moveaxis(rotation_matrix(quat_xyzw), 1, 2)  # R^T
        body = turned @ blocks[:, 3:, 3:] @ np.moveaxis(turned, 1, 2)
        found = np.concatenate([np.diagonal(blocks[:, :3, :3], axis1=1, axis2=2),
                                np.diagonal(body, axis1=1, axis2=2)], 1)
        return np.where((found > 0.0) & (found < np.inf), found, np.nan)


def pose_covariance(variance: np.ndarray, quat_xyzw: Optional[np.ndarray]) -> np.ndarray:
    """Return (N, 36) for variances (N, 6), or (N, 3) of points, whose rotation is unknown."""
    return _blocks(variance, quat_xyzw, turn_first=False)


def twist_covariance(variance: np.ndarray, quat_xyzw: Optional[np.ndarray]) -> np.ndarray:
    """Return (N, 36) in the child frame for variances of the smoother's twist (N, 3 | 6)."""
    return _blocks(variance, quat_xyzw, turn_first=True)


def _blocks(variance: np.ndarray, quat_xyzw: Optional[np.ndarray], turn_first: bool
            ) -> np.ndarray:
    full = np.full((len(variance), 6), NOT_KNOWN)
    full[:, :variance.shape[1]] = np.where(
        np.isfinite(variance), np.clip(variance, LEAST_VARIANCE, NOT_KNOWN),
        NOT_KNOWN)
    out = full[:, :, None] * np.eye(6)
    if quat_xyzw is not None:
        turn = rotation_matrix(quat_xyzw)
        if turn_first:  # fixed -> body, R^T V R
            turn = np.moveaxis(turn, 1, 2)
        at = slice(0, 3) if turn_first else slice(3, 6)
        out[:, at, at] = turn @ out[:, at, at] @ np.moveaxis(turn, 1, 2)
    return out.reshape(-1, 36)


def body_twist(twist: np.ndarray, quat_xyzw: Optional[np.ndarray]) -> np.ndarray:
    """Return (N, 6) in the child frame for the smoother's twist (N, 3 | 6); points do not turn."""
    out = np.zeros((len(twist), 6))
    out[:, :twist.shape[1]] = twist
    if quat_xyzw is not None:
        out[:, :3] = np.einsum('nij,ni->nj', rotation_matrix(quat_xyzw), twist[:, :3])
    return out


def stand_in_twist(twist: np.ndarray, quat_xyzw: np.ndarray) -> np.ndarray:
    """Return (N, 42) in the place of a twist that is no number: its covariance is not known."""
    return np.concatenate([body_twist(twist, quat_xyzw), twist_covariance(
        np.full_like(twist, np.nan), quat_xyzw)], axis=1)
