# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
How far off, how rough and how late an estimate is.

Errors are unaligned: estimate and truth share a frame. A low jitter alone means nothing, a
frozen output has none at all: these figures are read together.
"""

from dataclasses import dataclass
from typing import NamedTuple, Optional, Sequence

import numpy as np

from liquid_ros.manifold import quat_conjugate, quat_log, quat_multiply

SKIP_S = 1.0  # what is not judged: every filter's first second,
SKIP_ROWS = 10  # and at least so many messages

# An output may lag by half a second, or lead by a tenth where a filter predicts.
LAG_GRID_S = np.linspace(-0.1, 0.5, 101)
LAG_FINE_S = np.linspace(-0.006, 0.006, 13)  # then to the millisecond


class Lag(NamedTuple):
    """The delay in s at which an output fits the truth best, and the RMSE there."""

    delay_s: float
    rmse: float


@dataclass(frozen=True)
class Figures:
    """
    One row of the table: m, m/s^2, m/s^3, s, degrees.

    rotation_deg is None for points.
    """

    rmse: float
    accel_error: float
    jerk: float
    lag: Lag
    rotation_deg: Optional[float] = None


def rmse(positions: np.ndarray, truth: np.ndarray) -> float:
    """Return sqrt(mean |p - g|^2) over the rows (N, D), in their unit."""
    return float(np.sqrt(np.mean(np.sum((positions - truth) ** 2, axis=1))))


def accel_error(times_s: np.ndarray, positions: np.ndarray, truth: np.ndarray) -> float:
    """
    Return the RMS of |d2p - d2g| on a uniform resample at the median rate, unit/s^2.

    times_s: (N,) increasing; positions, truth: (N, D).
    Source: Zeng et al., SmoothNet, ECCV 2022, arXiv 2112.13715 ("Accel", times rate^2).
    """
    return _rms_difference(times_s, positions - truth, 2)


def jerk(times_s: np.ndarray, positions: np.ndarray) -> float:
    """Return the RMS of |d3p| on a uniform resample at the median rate, unit/s^3."""
    return _rms_difference(times_s, positions, 3)


def lag(times_s: np.ndarray, positions: np.ndarray, truth: np.ndarray) -> Lag:
    """Return the delay, to 1 ms, that minimises the RMSE of p(t) against g(t - delay)."""
    best = Lag(0.0, np.inf)
    for offsets_s in (LAG_GRID_S, LAG_FINE_S):
        delays_s = offsets_s if offsets_s is LAG_GRID_S else best.delay_s + offsets_s
        for delay_s in np.round(delays_s, 3).tolist():
            past = times_s - delay_s
            known = (past >= times_s[0]) & (past <= times_s[-1])
            if known.any():
                error = rmse(positions[known], _resample(times_s, truth, past[known]))
                best = min(best, Lag(delay_s, error), key=lambda one: one.rmse)
    return best


def rotation_rms_deg(quat_xyzw: np.ndarray, truth_xyzw: np.ndarray) -> float:
    """Return the RMS angle between unit quaternions (N, 4), degrees."""
    turn = quat_log(quat_multiply(quat_conjugate(truth_xyzw), quat_xyzw))
    return float(np.degrees(np.sqrt(np.mean(np.sum(turn**2, axis=1)))))


def nees(error: np.ndarray, covariance: np.ndarray) -> float:
    """
    Return the mean of e^T P^-1 e; n is expected of an honest filter.

    error: (N, n). covariance: (N, n, n), or (N, n) for a diagonal one.
    Source: Bar-Shalom, Li & Kirubarajan, Estimation with Applications, 2001, section 5.4.
    """
    if covariance.ndim == 2:
        return float(np.mean(np.sum(error**2 / covariance, axis=1)))
    solved = np.linalg.solve(covariance, error[:, :, None])[:, :, 0]
    return float(np.mean(np.sum(error * solved, axis=1)))


def scored(times_s: np.ndarray) -> np.ndarray:
    """Return (N,) bool: True for what is judged, after the first second and ten messages."""
    return (times_s - times_s[0] >= SKIP_S) & (np.arange(len(times_s)) >= SKIP_ROWS)


def describe(times_s: np.ndarray, rows: np.ndarray, truth: np.ndarray,
             judged: Optional[np.ndarray] = None, axes: Sequence[int] = (0, 1, 2)) -> Figures:
    """
    Return the figures of an estimate.

    times_s: (N,) s. rows, truth: (N, 3) or (N, 7), m and xyzw.
    judged: (N,) bool, scored(times_s) by default. axes: those that the truth can judge.
    """
    judged = scored(times_s) if judged is None else judged
    # a common offset is taken out: with it, a difference at 5000 km would round to 1e-9 m
    origin = truth[0, list(axes)]
    times_s, p, g = times_s[judged], *(a[judged][:, list(axes)] - origin for a in (rows, truth))
    turned = rotation_rms_deg(rows[judged, 3:], truth[judged, 3:]) if rows.shape[1] == 7 else None
    return Figures(rmse(p, g), accel_error(times_s, p, g), jerk(times_s, p), lag(times_s, p, g),
                   turned)


def _resample(times_s: np.ndarray, rows: np.ndarray, at_s: np.ndarray) -> np.ndarray:
    return np.stack([np.interp(at_s, times_s, column) for column in rows.T], axis=1)


def _rms_difference(times_s: np.ndarray, rows: np.ndarray, order: int) -> float:
    step_s = float(np.median(np.diff(times_s)))
    uniform = _resample(times_s, rows, np.arange(times_s[0], times_s[-1], step_s))
    change = np.diff(uniform, n=order, axis=0) / step_s**order
    return float(np.sqrt(np.mean(np.sum(change**2, axis=1))))
