# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Between the smoother's variances and twist and those of messages.

The smoother: position along the fixed axes, rotation in the body's tangent space, velocity along
the fixed axes, body rate. Messages: covariance 6x6, row-major, x y z and rotation about the fixed
axes (geometry_msgs/PoseWithCovariance, REP-103); twist in the child frame (nav_msgs/Odometry).
N rows; quat_xyzw (N, 4) of any length but zero.

What is computed is written once for numbers and for columns of them, operation by operation, so
that one row and many give the same bits; as numbers one row takes a tenth of the time.
"""

from math import inf, isfinite, nan, sqrt
from typing import Any, List, Optional, Sequence

import numpy as np

# A variance beyond these borders is a driver's way to say that it knows none.
MIN_VARIANCE, MAX_VARIANCE = 1e-24, 1e24

# Zero would mean certainty to whoever fuses this; and what is not known is wide.
LEAST_VARIANCE = 1e-12
NOT_KNOWN = 1e6

Column = Any  # a number, or (N,) of them
DIAGONAL = range(0, 36, 7)


def _rotation(quat_xyzw: Sequence[Column]) -> List[Column]:
    """Return the nine entries of R, row by row, with p_fixed = R p_body."""
    x, y, z, w = quat_xyzw
    root = sqrt if type(x) is float else np.sqrt
    norm = root(x * x + y * y + z * z + w * w)
    if type(norm) is float and not norm:
        return [nan] * 9
    x, y, z, w = x / norm, y / norm, z / norm, w / norm
    xx, yy, zz, ww = x * x, y * y, z * z, w * w
    return [xx - yy - zz + ww, 2.0 * (x * y - z * w), 2.0 * (x * z + y * w),
            2.0 * (x * y + z * w), yy - xx - zz + ww, 2.0 * (y * z - x * w),
            2.0 * (x * z - y * w), 2.0 * (y * z + x * w), zz - xx - yy + ww]


def transposed(turn: Sequence[Column]) -> List[Column]:
    """Return R^T."""
    return [turn[3 * j + i] for i in range(3) for j in range(3)]


def turned(turn: Sequence[Column], variance: Sequence[Column]) -> List[Column]:
    """Return the nine entries of R diag(variance) R^T."""
    a, b, c = variance
    out = [0.0] * 9
    for i in range(3):
        x, y, z = turn[3 * i] * a, turn[3 * i + 1] * b, turn[3 * i + 2] * c
        for j in range(i, 3):
            out[3 * i + j] = out[3 * j + i] = (
                x * turn[3 * j] + y * turn[3 * j + 1] + z * turn[3 * j + 2])
    return out


def turned_variance(turn: Sequence[Column], block: Sequence[Column]) -> List[Column]:
    """Return the diagonal of R^T C R for the nine entries of C."""
    found = []
    for k in range(3):
        x, y, z = turn[k], turn[3 + k], turn[6 + k]
        found.append(x * (block[0] * x + block[1] * y + block[2] * z)
                     + y * (block[3] * x + block[4] * y + block[5] * z)
                     + z * (block[6] * x + block[7] * y + block[8] * z))
    return found


def _columns(array: np.ndarray) -> List[Column]:
    """Return the columns of an array (N, K): as numbers, where there is one row."""
    return list(array.T) if len(array) != 1 else array[0].tolist()  # type: ignore[no-any-return]


def _array(columns: Sequence[Column], count: int) -> np.ndarray:
    """Return an array (N, K) of its columns, numbers among them."""
    if count == 1:
        return np.array([columns])
    out = np.empty((count, len(columns)))
    for k, column in enumerate(columns):
        out[:, k] = column
    return out


def rotation_matrix(quat_xyzw: np.ndarray) -> np.ndarray:
    """Return (N, 3, 3): R with p_fixed = R p_body."""
    return _array(_rotation(_columns(quat_xyzw)), len(quat_xyzw)).reshape(-1, 3, 3)


def own_variances(covariance: np.ndarray, quat_xyzw: np.ndarray) -> Optional[np.ndarray]:
    """
    Return (N, 6) variances of measured poses, NaN where the sender gave none that can be.

    covariance: (N, 36). None where no message has any; all zeros is how senders say unknown.
    """
    if not covariance.any():
        return None
    if len(covariance) == 1:
        one = _own(covariance[0].tolist(), quat_xyzw[0].tolist())
        return np.array([[value if 0.0 < value < inf else nan for value in one]])
    with np.errstate(all='ignore'):
        found = _array(_own(_columns(covariance), _columns(quat_xyzw)), len(covariance))
        return np.where((found > 0.0) & (found < np.inf), found, np.nan)


def _own(covariance: Sequence[Column], quat_xyzw: Sequence[Column]) -> List[Column]:
    rotation = turned_variance(_rotation(quat_xyzw), [
        covariance[6 * i + j] for i in (3, 4, 5) for j in (3, 4, 5)])
    return [covariance[0], covariance[7], covariance[14], *rotation]


def pose_covariance(variance: np.ndarray, quat_xyzw: Optional[np.ndarray]) -> np.ndarray:
    """Return (N, 36) for variances (N, 6), or (N, 3) of points, whose rotation is unknown."""
    return _blocks(variance, quat_xyzw, turn_first=False)


def twist_covariance(variance: np.ndarray, quat_xyzw: Optional[np.ndarray]) -> np.ndarray:
    """Return (N, 36) in the child frame for variances of the smoother's twist (N, 3 | 6)."""
    return _blocks(variance, quat_xyzw, turn_first=True)


def told(variance: float) -> float:
    """Return what is said of a variance."""
    return min(max(variance, LEAST_VARIANCE), NOT_KNOWN) if isfinite(variance) else NOT_KNOWN


def _blocks(variance: np.ndarray, quat_xyzw: Optional[np.ndarray], turn_first: bool
            ) -> np.ndarray:
    if len(variance) == 1:
        said = list(map(told, variance[0].tolist()))
    else:
        said = list(np.where(np.isfinite(variance), np.clip(
            variance, LEAST_VARIANCE, NOT_KNOWN), NOT_KNOWN).T)
    said += [NOT_KNOWN] * (6 - len(said))
    turn = None if quat_xyzw is None else _rotation(_columns(quat_xyzw))
    if turn is not None and turn_first:  # fixed -> body, R^T V R
        return _array(_filled(said, transposed(turn), 0), len(variance))
    return _array(_filled(said, turn, 3), len(variance))


def _filled(variance: Sequence[Column], turn: Optional[Sequence[Column]], first: int
            ) -> List[Column]:
    """Return the 36 entries of diag(variance), of which a block from first on is turned."""
    out: List[Column] = [0.0] * 36
    for at, value in zip(DIAGONAL, variance):
        out[at] = value
    if turn is not None:
        block = turned(turn, variance[first:first + 3])
        for i in range(3):
            at = 6 * (first + i) + first
            out[at:at + 3] = block[3 * i:3 * i + 3]
    return out


def body_twist(twist: np.ndarray, quat_xyzw: Optional[np.ndarray]) -> np.ndarray:
    """Return (N, 6) in the child frame for the smoother's twist (N, 3 | 6); points do not turn."""
    columns: List[Column] = _columns(twist)
    columns += [0.0] * (6 - len(columns))
    if quat_xyzw is not None:
        turn, (x, y, z) = _rotation(_columns(quat_xyzw)), columns[:3]
        columns[:3] = [turn[i] * x + turn[3 + i] * y + turn[6 + i] * z for i in range(3)]
    return _array(columns, len(twist))


def stand_in_twist(twist: np.ndarray, quat_xyzw: np.ndarray) -> np.ndarray:
    """Return (N, 42) in the place of a twist that is no number: its covariance is not known."""
    return np.concatenate([body_twist(twist, quat_xyzw), twist_covariance(
        np.full_like(twist, np.nan), quat_xyzw)], axis=1)
