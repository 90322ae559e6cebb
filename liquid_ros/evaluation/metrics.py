# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
How far off, how rough and how late an estimate is.

Errors are unaligned: estimate and truth share a frame. A low jitter alone means nothing, a
frozen output has none at all: these figures are read together. A figure that cannot be told is
NaN. Where messages come in pieces, a figure is pooled over them and nothing spans two.
"""

from dataclasses import dataclass
from typing import List, NamedTuple, Optional, Sequence

import numpy as np

from liquid_ros.manifold import quat_conjugate, quat_log, quat_multiply

SKIP_S = 1.0  # what is not judged: every filter's first second,
SKIP_ROWS = 10  # and at least so many messages
APART_S = 5.0  # a silence that ends a piece
GAP_DTS = 5.0  # usual intervals without a message are a gap

# An output may lag by half a second, or lead by a tenth where a filter predicts.
LAG_GRID_S = np.linspace(-0.1, 0.5, 101)
LAG_MOST = 4000  # messages that the grid is tried on, every n-th of more
LAG_FAR_S = 4.0  # where the grid ends too soon it is stretched up to here
LAG_TIE, LAG_SAME = 1.05, 0.1  # of the least RMSE and of the ridge between: about as good
LAG_RIDGE = 1.5  # RMSE over that: there lies a ridge between
LAG_SURE_S = 0.05  # a lag that is less sure than this is not told

Pieces = Sequence[np.ndarray]  # indices of messages that belong together


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
    lag_s: float
    rotation_deg: Optional[float] = None


def rmse(positions: np.ndarray, truth: np.ndarray) -> float:
    """Return sqrt(mean |p - g|^2) over the rows (N, D), in their unit; NaN for none."""
    if not len(positions):
        return np.nan
    return float(np.sqrt(np.mean(np.sum((positions - truth) ** 2, axis=1))))


def accel_error(times_s: np.ndarray, positions: np.ndarray, truth: np.ndarray,
                pieces: Optional[Pieces] = None) -> float:
    """
    Return the RMS of |d2p - d2g| on a uniform resample at the median rate, unit/s^2.

    times_s: (N,), increasing in each piece; positions, truth: (N, D).
    Source: Zeng et al., SmoothNet, ECCV 2022, arXiv 2112.13715 ("Accel", times rate^2).
    """
    return _rms_difference(times_s, positions - truth, 2, pieces)


def jerk(times_s: np.ndarray, positions: np.ndarray, pieces: Optional[Pieces] = None) -> float:
    """Return the RMS of |d3p| on a uniform resample at the median rate, unit/s^3."""
    return _rms_difference(times_s, positions, 3, pieces)


def lag(times_s: np.ndarray, positions: np.ndarray, truth: np.ndarray,
        pieces: Optional[Pieces] = None) -> Lag:
    """
    Return the delay, to 1 ms, that minimises the RMSE of p(t) against g(t - delay).

    It is looked for from -0.1 to 0.5 s and, where the best is an end of that, further out. Of
    periodic motion, which is as close a period later, it is the delay nearest to none.
    """
    pieces = _whole(times_s) if pieces is None else pieces

    def least(delays_s: np.ndarray, every: int) -> Lag:
        return _nearest([_delayed(times_s, positions, truth, pieces, delay_s, every)
                         for delay_s in (np.round(delays_s, 3) + 0.0).tolist()])  # no -0.0
    every = -(-sum(len(piece) for piece in pieces) // LAG_MOST) or 1
    grid = LAG_GRID_S
    while True:
        best = least(grid, every)
        if not np.isfinite(best.rmse):
            return Lag(np.nan, np.nan)
        late, early = best.delay_s >= grid[-1] - 1e-9, best.delay_s <= grid[0] + 1e-9
        if not late and not early:
            step_s = grid[1] - grid[0]
            return least(best.delay_s + np.arange(-step_s, step_s, 1e-3), 1)
        if max(-grid[0], grid[-1]) >= LAG_FAR_S:
            return Lag(np.nan, np.nan)
        grid = np.linspace(grid[0] * (2 if early else 1), grid[-1] * (2 if late else 1), 101)


def _nearest(lags: List[Lag]) -> Lag:
    """Return the least one, or of those about as good beyond a ridge the nearest to no delay."""
    rmse = np.array([one.rmse for one in lags])
    rmse[~np.isfinite(rmse)] = np.inf
    best = int(np.argmin(rmse))
    lower = (rmse[1:-1] <= rmse[:-2]) & (rmse[1:-1] <= rmse[2:])
    for at in sorted((np.flatnonzero(lower) + 1).tolist(), key=lambda i: abs(lags[i].delay_s)):
        ridge = rmse[min(at, best):max(at, best) + 1].max()
        if at == best or (ridge > LAG_RIDGE * rmse[at]
                          and rmse[at] <= LAG_TIE * rmse[best] + LAG_SAME * ridge):
            return lags[at]
    return lags[best]


def lag_sigma_s(times_s: np.ndarray, truth: np.ndarray, error: float,
                pieces: Optional[Pieces] = None) -> float:
    """
    Return the standard error of a lag: RMSE / (RMS speed sqrt(n)).

    n: tenths of a second, or messages where those are fewer.
    The speed is that over a tenth of a second or a message, so that noise is little of it.
    """
    moving_s, span_s, square, count = 0.0, 0.0, 0.0, 0
    for piece in _whole(times_s) if pieces is None else pieces:
        t = times_s[piece]
        if len(t) < 2:
            continue
        step_s = max(0.1, float(np.median(np.diff(t))))
        even_s = np.arange(t[0], t[-1], step_s)
        moved = np.diff(_resample(t, truth[piece], even_s), axis=0) / step_s
        square, span_s = square + float(np.sum(moved**2)) * step_s, span_s + t[-1] - t[0]
        moving_s, count = moving_s + len(moved) * step_s, count + len(t)
    if not square > 0.0:
        return np.inf
    n = min(max(span_s / 0.1, 1.0), count)
    return float(error / (np.sqrt(square / moving_s) * np.sqrt(n)))


def sure_lag_s(times_s: np.ndarray, positions: np.ndarray, truth: np.ndarray,
               pieces: Optional[Pieces] = None) -> float:
    """Return the lag, NaN where it is not sure to LAG_SURE_S: without motion there is none."""
    late = lag(times_s, positions, truth, pieces)
    sigma_s = lag_sigma_s(times_s, truth, late.rmse, pieces)
    return late.delay_s + 0.0 if sigma_s <= LAG_SURE_S else np.nan  # no -0.0


def rotation_rms_deg(quat_xyzw: np.ndarray, truth_xyzw: np.ndarray) -> float:
    """Return the RMS angle between unit quaternions (N, 4), degrees; NaN for none."""
    if not len(quat_xyzw):
        return np.nan
    turn = quat_log(quat_multiply(quat_conjugate(truth_xyzw), quat_xyzw))
    return float(np.degrees(np.sqrt(np.mean(np.sum(turn**2, axis=1)))))


def scored(times_s: np.ndarray) -> np.ndarray:
    """Return (N,) bool: True for what is judged, after the first second and ten messages."""
    return (times_s - times_s[0] >= SKIP_S) & (np.arange(len(times_s)) >= SKIP_ROWS)


def pieces_of(times_s: np.ndarray, starts: np.ndarray, judged: np.ndarray) -> List[np.ndarray]:
    """
    Return the indices of judged messages that belong together.

    A piece ends where a run does and where nothing is judged for APART_S or ten intervals.
    """
    at = np.flatnonzero(judged)
    if not len(at):
        return []
    steps_s = np.diff(times_s[at])
    if not len(steps_s):
        return [at]
    apart = steps_s > max(APART_S, 10.0 * float(np.median(steps_s)))
    return np.split(at, np.flatnonzero((np.diff(np.cumsum(starts)[at]) > 0) | apart) + 1)


def gap_s(dt_s: np.ndarray) -> float:
    """Return how long a silence is a gap: GAP_DTS times median or mean, whichever is longer."""
    return GAP_DTS * max(float(np.median(dt_s)), float(np.mean(dt_s)))


def describe(times_s: np.ndarray, rows: np.ndarray, truth: np.ndarray,
             axes: Sequence[int] = (0, 1, 2), across_gaps: bool = True) -> Figures:
    """
    Return the figures of an estimate, without its first second.

    times_s: (N,) s. rows, truth: (N, 3) or (N, 7), m and xyzw. axes: those that the truth can
    judge. across_gaps: whether what is between two messages far apart counts, on a line.
    """
    judged = scored(times_s)
    # a common offset is taken out: with it, a difference at 5000 km would round to 1e-9 m
    origin = truth[0, list(axes)]
    times_s, p, g = times_s[judged], *(a[judged][:, list(axes)] - origin for a in (rows, truth))
    turned = rotation_rms_deg(rows[judged, 3:], truth[judged, 3:]) if rows.shape[1] == 7 else None
    every = np.ones(len(times_s), dtype=bool)
    pieces = None if across_gaps else pieces_of(times_s, ~every, every)
    return Figures(rmse(p, g), accel_error(times_s, p, g, pieces), jerk(times_s, p, pieces),
                   sure_lag_s(times_s, p, g, pieces), turned)


def _whole(times_s: np.ndarray) -> List[np.ndarray]:
    return [np.arange(len(times_s))]


def _resample(times_s: np.ndarray, rows: np.ndarray, at_s: np.ndarray) -> np.ndarray:
    return np.stack([np.interp(at_s, times_s, column) for column in rows.T], axis=1)


def _delayed(times_s: np.ndarray, positions: np.ndarray, truth: np.ndarray, pieces: Pieces,
             delay_s: float, every: int) -> Lag:
    """Return the RMSE at a delay, infinite where it leaves less than half of the messages."""
    square, count, total = 0.0, 0, 0
    for piece in pieces:
        t, at = times_s[piece], piece[::every]
        past = times_s[at] - delay_s
        known = (past >= t[0]) & (past <= t[-1])
        total += len(at)
        if known.any():
            error = positions[at[known]] - _resample(t, truth[piece], past[known])
            square, count = square + float(np.sum(error**2)), count + len(error)
    return Lag(delay_s, float(np.sqrt(square / count)) if 2 * count >= max(total, 1) else np.inf)


def _rms_difference(times_s: np.ndarray, rows: np.ndarray, order: int,
                    pieces: Optional[Pieces]) -> float:
    given = _whole(times_s) if pieces is None else pieces
    steps_s = np.concatenate([np.zeros(0), *(np.diff(times_s[piece]) for piece in given)])
    if not len(steps_s):
        return np.nan
    usual_s = float(np.median(steps_s))
    step_s = max(usual_s, 0.1 * float(np.mean(steps_s)))  # bursts: not finer
    # a line across a gap has no second difference: it would count as a perfect estimate
    longest_s = np.inf if pieces is None or step_s > usual_s else gap_s(steps_s)
    parts = [part for piece in given for part in np.split(
        piece, np.flatnonzero(np.diff(times_s[piece]) > longest_s) + 1) if len(part) > order]
    changes = [np.diff(_resample(t, rows[part], np.arange(t[0], t[-1], step_s)), n=order, axis=0)
               for part in parts for t in (times_s[part],)]
    change = np.concatenate([rows[:0], *changes]) / step_s**order
    return float(np.sqrt(np.mean(np.sum(change**2, axis=1)))) if len(change) else np.nan
