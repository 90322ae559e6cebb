# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The rigid motion that takes one trajectory onto another."""

from typing import NamedTuple, Optional, Sequence

import numpy as np

from liquid_ros.evaluation.metrics import rmse, rotation_rms_deg
from liquid_ros.manifold import quat_conjugate, quat_multiply, quat_normalise

FRAMES_DIFFER = 3.0  # unaligned over aligned RMSE
UNITS = 30.0  # a ratio of sizes that another unit makes
BLOCKS = 12  # of neighbouring messages, whose errors are alike, for the standard error
TURNS_DEG = 1.0  # RMS about its mean, of a truth that turns
SURE = 2.0  # standard errors of the turn: an angle that is less cannot be told from it
SURE_DEG = 0.01, 5.0  # a lesser one does not matter, a larger one is no turn at all


class Alignment(NamedTuple):
    """p -> R p + t on the axes that are judged; rotation (A, A), translation (A,)."""

    rotation: np.ndarray
    translation: np.ndarray

    @property
    def angle_deg(self) -> float:
        """Return how far it turns."""
        size = len(self.rotation)
        cosine = (np.trace(self.rotation) - (size - 2)) / 2.0 if size > 1 else 1.0
        return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))

    def moved(self, positions: np.ndarray) -> np.ndarray:
        """Return positions (N, A) in the other frame."""
        return positions @ self.rotation.T + self.translation

    def moved_rows(self, rows: np.ndarray, axes: Sequence[int]) -> np.ndarray:
        """Return rows (N, 3 | 7) in the other frame; axes that are not judged stay."""
        full = np.eye(3)
        full[np.ix_(axes, axes)] = self.rotation
        out = rows.copy()
        out[:, list(axes)] = self.moved(rows[:, list(axes)])
        if rows.shape[1] == 7:
            turn = np.broadcast_to(quat_of(full), rows[:, 3:].shape)
            out[:, 3:] = quat_multiply(turn, rows[:, 3:])
        return out


def umeyama(source: np.ndarray, target: np.ndarray) -> Optional[Alignment]:
    """
    Return the rotation and translation that minimise sum |R source + t - target|^2.

    source, target: (N, A), finite. None for fewer than three rows. No scale.
    Source: Umeyama, IEEE T-PAMI 13(4), 1991, equations 40 to 42 with c = 1.
    """
    if len(source) < 3:
        return None
    middle, goal = source.mean(0), target.mean(0)
    u, _, vt = np.linalg.svd((target - goal).T @ (source - middle))
    sign = np.ones(len(middle))
    sign[-1] = np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0
    rotation = (u * sign) @ vt
    return Alignment(rotation, goal - rotation @ middle)


def unit_ratio(source: np.ndarray, target: np.ndarray) -> Optional[float]:
    """
    Return how many times larger the source is where both are alike but for that, else None.

    source, target: (N, A). Source: Umeyama 1991, as above, equations 40 to 42 with c.
    """
    found = umeyama(source, target)
    if found is None:
        return None
    p, z = (rows - rows.mean(0) for rows in (source @ found.rotation.T, target))
    size = np.sum(p * p)
    ratio = float(np.sum(p * z) / size) if size > 0.0 else 0.0
    if not ratio > 0.0 or 1.0 / UNITS < ratio < UNITS or not rmse(z, p) > FRAMES_DIFFER * rmse(
            z, ratio * p):
        return None
    return 1.0 / ratio


def between_frames(source: np.ndarray, target: np.ndarray) -> Optional[Alignment]:
    """Return umeyama(source, target), None where both are in one frame."""
    found = umeyama(source, target)
    if found and rmse(target, source) > FRAMES_DIFFER * rmse(target, found.moved(source)):
        return found
    return None


def turn_sigma_deg(found: Alignment, source: np.ndarray, target: np.ndarray) -> float:
    """
    Return the standard error of the turn of umeyama(source, target), infinite where it is free.

    source, target: (N, A), in the order of time; on one axis, or in fewer than BLOCKS rows, any
    turn is free. With q = R source and z = target, both less their mean, and M = sum q z^T, the
    sum of squares has the slope sum q x z, which is 0, and the curvature tr(M) I - (M + M^T) / 2
    in a small further turn. That is 0 about a line that all positions lie on, and by chance of the
    slope's size where nothing moves. How far the slope is off, its sums over BLOCKS of neighbours
    tell: of errors that are correlated, far fewer count than there are messages.
    Source: the sandwich of Liang & Zeger, Biometrika 73(1), 1986.
    """
    count, size = source.shape
    if size < 2 or count < BLOCKS:
        return np.inf
    q, z = (np.pad(rows - rows.mean(0), ((0, 0), (0, 3 - size)))
            for rows in (found.moved(source), target))
    own = slice(0 if size == 3 else 2, 3)  # of two axes: the turn in their plane
    product = q.T @ z
    curve = (np.trace(product) * np.eye(3) - 0.5 * (product + product.T))[own, own]
    values, vectors = np.linalg.eigh(curve)
    if not values[0] > 1e-12 * values[-1]:
        return np.inf
    slopes = np.cross(q, z)[:, own] @ vectors / values
    blocks = np.array([part.sum(0) for part in np.array_split(slopes, BLOCKS)])
    return float(np.degrees(np.sqrt(np.sum(blocks**2) * BLOCKS / (BLOCKS - 1))))


class Mounting(NamedTuple):
    """How far one body is turned against another (deg), and the RMS angle without that."""

    turn_deg: float
    rest_deg: float


def mounting(quats: np.ndarray, truth: np.ndarray) -> Optional[Mounting]:
    """Return the turn in the body that rotations (N, 4) share, None where it is not most of it."""
    if not len(quats):
        return None
    apart = quat_multiply(quat_conjugate(truth), quats)
    shared, rest_deg = _shared(apart), _spread_deg(apart)
    if rotation_rms_deg(quats, truth) <= FRAMES_DIFFER * rest_deg:
        return None
    return Mounting(rotation_rms_deg(shared[None], np.array([[0.0, 0.0, 0.0, 1.0]])), rest_deg)


def w_first(quats: np.ndarray, truth: np.ndarray) -> str:
    """
    Return which of rotations (N, 4) agree where they are read as w x y z, '' for neither.

    Of turns about one axis it may be either, of a truth that does not turn neither.
    """
    if not len(truth) or _spread_deg(truth) < TURNS_DEG:
        return ''
    most = _rest_deg(quats, truth) / FRAMES_DIFFER
    return ' or '.join(name for name, pair in (
        ('the truth', (quats, np.roll(truth, -1, 1))),
        ('the messages', (np.roll(quats, -1, 1), truth))) if _rest_deg(*pair) < most)


def _rest_deg(quats: np.ndarray, truth: np.ndarray) -> float:
    """Return the RMS angle between them without the turn in the body that all share."""
    return _spread_deg(quat_multiply(quat_conjugate(truth), quats))


def tells(turn_deg: float, quats: np.ndarray, truth: np.ndarray) -> bool:
    """
    Return whether rotations (N, 4) can be compared where the standard error of the turn is this.

    The angle between them must be SURE of these, without the turn that all share: that may be it.
    """
    angle_deg = _spread_deg(quat_multiply(quats, quat_conjugate(truth)))
    return bool(turn_deg <= np.clip(angle_deg / SURE, *SURE_DEG))


def _spread_deg(quats: np.ndarray) -> float:
    """Return the RMS angle of rotations (N, 4) about their mean."""
    return rotation_rms_deg(quats, np.broadcast_to(_shared(quats), quats.shape))


def _shared(quats: np.ndarray) -> np.ndarray:
    """Return the mean (4,) of rotations (N, 4); Markley et al., J. Guidance 30(4), 2007."""
    return np.linalg.eigh(quats.T @ quats)[1][:, -1]


def quat_of(rotation: np.ndarray) -> np.ndarray:
    """
    Return the unit quaternion xyzw of a rotation matrix (3, 3).

    Source: Bar-Itzhack, J. Guidance 23(6), 2000: the eigenvector of the largest eigenvalue.
    """
    r = rotation
    k = np.array([
        [r[0, 0] - r[1, 1] - r[2, 2], 0.0, 0.0, 0.0],
        [r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], 0.0, 0.0],
        [r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1], 0.0],
        [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], np.trace(r)]])
    return quat_normalise(np.linalg.eigh(k)[1][:, -1])
