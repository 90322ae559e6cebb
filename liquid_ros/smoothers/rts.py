# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
A window of filter states, smoothed with hindsight (Rauch, Tung & Striebel, AIAA J. 3(8), 1965).

    C = P F^T (P^-)^-1,   x_s = x + C (x_s' - x^-),   P_s = P + C (P_s' - P^-) C^T

x, P: after a message. x^-, P^-: what they predict for the next one, whose results have a prime.
An axis is a filter of n states, the position and n - 1 derivatives; differences of rotations are
in the body's tangent space, as in the filter itself. Where a prediction is not finite nothing
goes back over it: the axis keeps what the filter knew.
"""

from collections import deque
from typing import Any, Deque, List, NamedTuple, Tuple

import numpy as np

from liquid_ros.errors import ParameterError
from liquid_ros.manifold import minus, plus
from liquid_ros.smoothers import SMOOTHERS
from liquid_ros.smoothers.base import Known, Link, Smoother, State
from liquid_ros.smoothers.grain import known_later
from liquid_ros.timing import NS_PER_S

LEAST_SHARE = 1e-12  # of the largest eigenvalue of P^-: below it there is nothing to go by


class Smoothed(NamedTuple):
    """
    T messages in the order they were added.

    stamps_ns: T integers. rows: (T, 3 | 7). variance, twist: (T, A), as in Estimate.
    expected: (T, 3 | 7) what the state before each message predicted of it, before it came; for
    the first its own estimate.
    """

    stamps_ns: List[int]
    rows: np.ndarray
    variance: np.ndarray
    twist: np.ndarray
    expected: np.ndarray


def has_hindsight(smoother: Any) -> bool:
    """Return whether the smoother has a motion model that a window can go back with."""
    return hasattr(smoother, 'link')


*_most, _last = (name for name, made in SMOOTHERS.items() if has_hindsight(made))
ABLE = f'{", ".join(_most)} or {_last}'  # to be named where another smoother was given


class Window:
    """The newest states of one stream, all of one unbroken run: clear it when that ends."""

    def __init__(self, smoother: Smoother, length: int) -> None:
        """
        Start empty; the oldest state leaves when there are more than length.

        Errors: ParameterError where the smoother has no motion model or the length is below 1.
        """
        if not has_hindsight(smoother):
            raise ParameterError(f'got {type(smoother).__name__}, which has no motion model: '
                                 f'expected {ABLE}')
        if length < 1:
            raise ParameterError(f'got length {length}, expected 1 or more')
        self._smoother: Any = smoother
        self._kept: Deque[Tuple[int, State]] = deque(maxlen=length)

    def __len__(self) -> int:
        """Return how many states there are."""
        return len(self._kept)

    def clear(self) -> None:
        """Forget all states."""
        self._kept.clear()

    def add(self, stamp_ns: int, state: State) -> None:
        """
        Add the stream's state after its newest message.

        state: NumPy arrays of one row (1, ...), as StreamBank.peek gives them.
        Errors: ParameterError where the stamp is not later than the last one.
        """
        if self._kept and stamp_ns <= self._kept[-1][0]:
            raise ParameterError(f'got stamp {stamp_ns}, expected more than {self._kept[-1][0]}')
        self._kept.append((stamp_ns, state))

    def smooth(self) -> Smoothed:
        """
        Return the window's estimates in the light of all of it; the newest is the filter's own.

        Errors: ParameterError where the window is empty.
        """
        if not self._kept:
            raise ParameterError('got an empty window, expected at least one state')
        stamps_ns = [stamp_ns for stamp_ns, _ in self._kept]
        states = {name: np.concatenate([state[name] for _, state in self._kept])
                  for name in self._kept[0][1]}
        known: Known = self._smoother.known(states)
        known = known._replace(grain=known_later(known.grain, [len(stamps_ns)]))
        rows, motion, covariance = known.rows.copy(), known.motion.copy(), known.covariance
        spread = covariance[..., 0, 0].copy()
        expected = rows.copy()
        if len(stamps_ns) > 1:
            dt_s = np.diff(np.array(stamps_ns, dtype=np.int64))[:, None] / NS_PER_S
            with np.errstate(all='ignore'):
                link = self._smoother.link({name: array[:-1] for name, array in states.items()},
                                           {name: array[1:] for name, array in states.items()},
                                           dt_s)
                expected[1:] = link.rows
                _go_back(link, rows, motion, spread, covariance)
        return Smoothed(stamps_ns, rows, known.stated(spread, -1), motion[..., 0], expected)


def _go_back(link: Link, rows: np.ndarray, motion: np.ndarray, spread: np.ndarray,
             covariance: np.ndarray) -> None:
    """Smooth rows, motion and P11 in place; covariance (T, A, n, n) is the filter's P."""
    gains = link.start @ np.swapaxes(link.transition, -1, -2) @ inverse(link.covariance)
    after = covariance[-1]
    for k in range(len(gains) - 1, -1, -1):
        late = np.concatenate([minus(rows[k + 1], link.rows[k])[:, None],
                               motion[k + 1] - link.motion[k]], -1)
        moved = gains[k] @ late[..., None]
        after = link.start[k] + gains[k] @ (after - link.covariance[k]) @ np.swapaxes(
            gains[k], -1, -2)
        sound = np.isfinite(np.concatenate([moved, after], -1)).all((-1, -2))[:, None, None]
        moved = np.where(sound, moved, 0.0)[..., 0]
        after = np.where(sound, after, covariance[k])
        rows[k] = plus(rows[k], moved[:, 0])
        motion[k] += moved[:, 1:]
        spread[k] = after[:, 0, 0]


def inverse(covariance: np.ndarray) -> np.ndarray:
    """
    Return the pseudo-inverse of covariances (..., n, n) whose units differ widely.

    It is 0 for one that is not finite or has a negative variance.
    """
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    sound = np.isfinite(covariance).all((-1, -2)) & (variance >= 0.0).all(-1)
    size = np.sqrt(np.where(sound[..., None] & (variance > 0.0), variance, 1.0))
    scale = size[..., :, None] * size[..., None, :]
    alike = np.clip(np.where(sound[..., None, None], covariance, 0.0) / scale, -1.0, 1.0)
    return np.linalg.pinv(alike, LEAST_SHARE, hermitian=True) / scale
