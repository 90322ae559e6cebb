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


Part = Tuple[np.ndarray, np.ndarray, np.ndarray]  # rows, motion, covariance


class Window:
    """The newest states of one stream, all of one unbroken run."""

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

    def add(self, stamp_ns: int, state: State) -> None:
        """
        Add the stream's state after its newest message.

        state: NumPy arrays of one row (1, ...), as StreamBank.peek gives them.
        Errors: ParameterError where the stamp is not later than the last one.
        """
        if self._kept and stamp_ns <= self._kept[-1][0]:
            raise ParameterError(f'got stamp {stamp_ns}, expected more than {self._kept[-1][0]}')
        self._kept.append((stamp_ns, state))

    def cut(self, stamp_ns: int) -> None:
        """Forget the states from this stamp on."""
        while self._kept and self._kept[-1][0] >= stamp_ns:
            self._kept.pop()

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
        rows, motion, covariance = (part.copy() for part in known[:3])
        expected = rows.copy()
        if len(stamps_ns) > 1:
            dt_s = np.diff(np.array(stamps_ns, dtype=np.int64))[:, None] / NS_PER_S
            with np.errstate(all='ignore'):
                link = self._smoother.link({name: array[:-1] for name, array in states.items()},
                                           {name: array[1:] for name, array in states.items()},
                                           dt_s)
                expected[1:], gains = link.rows, gains_of(link)
                for k in range(len(gains) - 1, -1, -1):
                    (rows[k], motion[k], covariance[k]), _ = back(
                        known, link, gains, k, (rows[k + 1], motion[k + 1], covariance[k + 1]))
        return Smoothed(stamps_ns, rows, known.stated(covariance[..., 0, 0], -1), motion[..., 0],
                        expected)


def gains_of(link: Link) -> np.ndarray:
    """Return (T, A, n, n): what a message learns of what the one after it does."""
    return link.start @ _swapped(link.transition) @ inverse(link.covariance)


def back(known: Known, link: Link, gains: np.ndarray, at: Any, later: Part
         ) -> Tuple[Part, np.ndarray]:
    """
    Return messages by what is known of those after them, and where (..., A, 1, 1) it held.

    at: which, an index or (M,) of them. later: rows (..., W), motion (..., A, n - 1) and
    covariance (..., A, n, n) of the messages after them.
    """
    rows, motion, covariance = later
    gain = gains[at]
    late = np.concatenate([minus(rows, link.rows[at])[..., None], motion - link.motion[at]], -1)
    moved = gain @ late[..., None]
    after = link.start[at] + gain @ (covariance - link.covariance[at]) @ _swapped(gain)
    sound = np.isfinite(np.concatenate([moved, after], -1)).all((-1, -2))[..., None, None]
    moved = np.where(sound, moved, 0.0)[..., 0]
    return (plus(known.rows[at], moved[..., 0]), known.motion[at] + moved[..., 1:],
            np.where(sound, after, known.covariance[at])), sound


def _swapped(matrices: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrices, -1, -2)


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
