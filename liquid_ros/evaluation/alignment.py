# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The rigid motion that takes one trajectory onto another."""

from typing import NamedTuple, Optional, Sequence

import numpy as np

from liquid_ros.manifold import quat_multiply, quat_normalise


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
