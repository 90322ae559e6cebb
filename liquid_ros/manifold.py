# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""R^n and R3 x SO(3) as plus and minus; quaternions are x y z w; NumPy or torch alike."""

import math
from types import ModuleType
from typing import Sequence

import numpy as np

from liquid_ros.arrays import Array, namespace

# A quaternion shorter than this names no rotation: senders leave it at zero when they know none.
MIN_QUAT_NORM = 1e-6

# Beyond this a coordinate is a driver's way to say "nothing"; the Sun is 1.5e11 m away.
MAX_ABS_VALUE = 1e12

SMALL_RAD = 1e-4  # below it the Taylor series is exact to float64 rounding


def quat_multiply(q_a: Array, q_b: Array) -> Array:
    """Return the Hamilton product of quaternions xyzw (..., 4)."""
    xp = namespace(q_a)
    ax, ay, az, aw = (q_a[..., i] for i in range(4))
    bx, by, bz, bw = (q_b[..., i] for i in range(4))
    return xp.stack([  # in this order the vector part of conj(q) q is 0 to the bit
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by + ay * bw + az * bx - ax * bz,
        aw * bz + az * bw + ax * by - ay * bx,
        aw * bw - ax * bx - ay * by - az * bz], -1)


def quat_conjugate(quat_xyzw: Array) -> Array:
    """Return the inverse of unit quaternions (..., 4)."""
    xp = namespace(quat_xyzw)
    return xp.concatenate([-quat_xyzw[..., :3], quat_xyzw[..., 3:]], -1)


def quat_normalise(quat_xyzw: Array) -> Array:
    """Return unit quaternions (..., 4); a zero quaternion has no direction and gives NaN."""
    xp = namespace(quat_xyzw)
    return quat_xyzw / xp.sqrt((quat_xyzw * quat_xyzw).sum(-1))[..., None]


def quat_exp(rotvec: Array) -> Array:
    """Return the unit quaternion (..., 4) of a rotation vector (..., 3) in rad."""
    xp = namespace(rotvec)
    square = (rotvec * rotvec).sum(-1)[..., None]
    small = square < SMALL_RAD**2
    angle = xp.sqrt(xp.where(small, xp.ones_like(square), square))  # double where: finite gradient
    half_sinc = xp.where(small, 0.5 - square / 48.0, xp.sin(0.5 * angle) / angle)
    cosine = xp.where(small, 1.0 - square / 8.0, xp.cos(0.5 * angle))
    return xp.concatenate([rotvec * half_sinc, cosine], -1)


def quat_log(quat_xyzw: Array) -> Array:
    """Return the shortest rotation vector (..., 3) in rad; q and -q are the same rotation."""
    xp = namespace(quat_xyzw)
    vector, scalar = quat_xyzw[..., :3], quat_xyzw[..., 3:]
    sign = xp.where(scalar < 0, -xp.ones_like(scalar), xp.ones_like(scalar))
    scalar = scalar * sign
    square = (vector * vector).sum(-1)[..., None]
    small = square < SMALL_RAD**2
    norm = xp.sqrt(xp.where(small, xp.ones_like(square), square))
    # 2 atan(n / w) / n = 2 / w (1 - n^2 / (3 w^2) + ...)
    safe = xp.where(small, scalar, xp.ones_like(scalar))
    series = 2.0 / safe - 2.0 * square / (3.0 * safe**3)
    return vector * sign * xp.where(small, series, 2.0 * xp.arctan2(norm, scalar) / norm)


def minus(rows_a: Array, rows_b: Array) -> Array:
    """
    Return the tangent (..., A) that takes rows_b to rows_a.

    Position: a - b in the fixed frame. Rotation: log(b^-1 a) in the body frame of b.
    Rows of a width other than 7 are flat: a - b.
    """
    if rows_a.shape[-1] != 7:
        return rows_a - rows_b
    xp = namespace(rows_a)
    position = rows_a[..., :3] - rows_b[..., :3]
    turn = quat_log(quat_multiply(quat_conjugate(rows_b[..., 3:]), rows_a[..., 3:]))
    return xp.concatenate([position, turn], -1)


def plus(rows: Array, tangent: Array) -> Array:
    """Return rows (..., 3 | 7) moved by a tangent (..., A): p + d, q exp(r), normalised."""
    if rows.shape[-1] != 7:
        return rows + tangent
    xp = namespace(rows)
    position = rows[..., :3] + tangent[..., :3]
    turned = quat_multiply(rows[..., 3:], quat_exp(tangent[..., 3:]))
    return xp.concatenate([position, quat_normalise(turned)], -1)


def other_way(xp: ModuleType, turn: Array) -> Array:
    """Return the rotations of rotation vectors (B, 3, ...) in rad, the other way round."""
    square = (turn * turn).sum(1)[:, None]
    angle = xp.sqrt(xp.maximum(square, SMALL_RAD**2 + 0.0 * square))  # finite gradient
    return turn * (1.0 - 2.0 * math.pi / angle)


def shortest(xp: ModuleType, tangent: Array) -> Array:
    """Return tangents (B, 3 | 6), rotations by no more than half a turn."""
    if tangent.shape[1] != 6:
        return tangent
    turn = tangent[:, 3:]
    beyond = ((turn * turn).sum(1) > math.pi**2)[:, None]
    return xp.concatenate([tangent[:, :3], xp.where(beyond, other_way(xp, turn), turn)], 1)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """
    Return rows (N, 3 | 7) with quaternions of length one, NumPy only; points as they are.

    A quaternion of zeros becomes NaN.
    """
    if rows.shape[1] != 7:
        return rows
    if len(rows) != 1:
        return np.concatenate([rows[:, :3], quat_normalise(rows[:, 3:])], 1)
    return np.array([unit_values(rows[0].tolist())])  # the same in a quarter of the time


def unit_values(row: Sequence[float]) -> Sequence[float]:
    """Return a row (3 | 7,) with a quaternion of length one, the same sums in the same order."""
    if len(row) != 7:
        return row
    x, y, z, w = row[3:]
    norm = math.sqrt(x * x + y * y + z * z + w * w) or math.nan
    return [*row[:3], x / norm, y / norm, z / norm, w / norm]


def unit_row(width: int) -> np.ndarray:
    """Return a row (1, 3 | 7) at the origin, not turned."""
    row = np.zeros((1, width))
    row[:, 6:] = 1.0
    return row
