# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a stream tells of itself where nobody knows the truth; formulas in docs/evaluation.md."""

from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from liquid_ros.evaluation import metrics
from liquid_ros.manifold import quat_conjugate, quat_log, quat_multiply
from liquid_ros.smoothers.tuning import chi2_quantile

LAGS = 20  # of the autocorrelation
SEGMENT = 256  # messages of a spectrum's stretch
INTERVALS = ('dt_median_s', 'dt_mean_s', 'dt_min_s', 'dt_max_s', 'dt_p99_s', 'dt_jitter_s',
             'rate_hz', 'gaps', 'gap_longest_s', 'gap_total_s')


class Parabola(NamedTuple):
    """
    Windows of five messages: what a local parabola leaves of the middle one.

    at: (M,) indices of the middles. weights: (M, 5); for white noise of sigma in what they are
    applied to, the result has that sigma, too, whatever the stamps.
    """

    at: np.ndarray
    weights: np.ndarray

    def left(self, rows: np.ndarray) -> np.ndarray:
        """Return (M, ...) of rows (N, ...)."""
        out = np.zeros((len(self.at),) + rows.shape[1:])
        for j, weight in enumerate(self.weights.T):
            out += weight.reshape((-1,) + (1,) * (rows.ndim - 1)) * rows[self.at + (j - 2)]
        return out

    def jitter(self, positions: np.ndarray) -> np.ndarray:
        """Return the RMS of what is left of (N, A) or (N, A, S), () or (S,); NaN for none."""
        left = self.left(positions)
        if not len(left):
            return np.full(positions.shape[2:], np.nan)
        return np.sqrt(np.einsum('na...,na...->...', left, left) / len(left))

    def turn_jitter(self, quats: np.ndarray) -> float:
        """Return the same of quaternions (N, 4), in rad, about the middle one."""
        if not len(self.at):
            return np.nan
        back = quat_conjugate(quats[self.at])
        left = sum(weight[:, None] * quat_log(quat_multiply(back, quats[self.at + (j - 2)]))
                   for j, weight in enumerate(self.weights.T))
        return float(np.sqrt(np.mean(np.sum(np.square(left), axis=1))))


def parabola(times_s: np.ndarray, starts: np.ndarray, settled: np.ndarray) -> Parabola:
    """Return the windows within runs, without gaps, whose middle is settled."""
    count = len(times_s)
    if count < 5:
        return Parabola(np.zeros(0, int), np.zeros((0, 5)))
    dt_s = np.diff(times_s)
    within = ~starts[1:]
    if within.any():
        within &= dt_s <= metrics.gap_s(dt_s[within])
    near = np.lib.stride_tricks.sliding_window_view(within, 4).all(1)
    at = np.flatnonzero(near & settled[2:count - 2]) + 2
    t = times_s[at[:, None] + np.arange(-2, 3)] - times_s[at, None]
    t = t / np.maximum(np.abs(t).max(1, initial=0.0, keepdims=True), 1e-12)
    basis = np.stack([np.ones_like(t), t, t * t], axis=-1)  # (M, 5, 3)
    normal = np.swapaxes(basis, 1, 2) @ basis + 1e-12 * np.eye(3)
    hat = (basis @ np.linalg.inv(normal)[:, :, :1])[..., 0]  # the fit of the middle
    left = 1.0 - hat[:, 2]  # the variance of the residual over that of the noise
    good = left > 0.05  # where stamps come in bunches the fit may take the middle as it is
    weights = -hat[good]
    weights[:, 2] += 1.0
    return Parabola(at[good], weights / np.sqrt(left[good, None]))


def intervals(times_s: np.ndarray, starts: np.ndarray) -> Dict[str, Any]:
    """Return the statistics of dt within runs: s, its jitter about the median, gaps."""
    dt_s = np.diff(times_s)[~starts[1:]]
    if not len(dt_s):
        return {**dict.fromkeys(INTERVALS), 'gaps': 0}
    middle = float(np.median(dt_s))
    gaps = dt_s[dt_s > metrics.gap_s(dt_s)]
    ordinary = dt_s[dt_s <= metrics.gap_s(dt_s)]
    return {
        'dt_median_s': middle, 'dt_mean_s': float(np.mean(dt_s)), 'dt_min_s': float(dt_s.min()),
        'dt_max_s': float(dt_s.max()), 'dt_p99_s': float(np.percentile(dt_s, 99.0)),
        'dt_jitter_s': float(np.sqrt(np.mean((ordinary - middle)**2))), 'rate_hz': 1.0 / middle,
        'gaps': len(gaps), 'gap_longest_s': float(gaps.max(initial=0.0)),
        'gap_total_s': float(gaps.sum())}


def consistency(nis: np.ndarray, used: np.ndarray, live: int, mean_of_three: bool
                ) -> Dict[str, Any]:
    """
    Return NIS statistics of a group: its mean, the expected one, the share above 95 %.

    nis: (N,). used: (N,) bool. live: axes that move. mean_of_three: whether nis is 3 times the
    mean over those, as liquid's is, and not their sum.
    """
    values = nis[used & np.isfinite(nis)]
    if not len(values) or not live or not np.ptp(values) > 0.0:  # all alike: not judged
        return dict.fromkeys(('nis_mean', 'nis_median', 'nis_expected', 'nis_above_95'))
    factor = 3.0 / live if mean_of_three else 1.0
    return {'nis_mean': float(np.mean(values)), 'nis_median': float(np.median(values)),
            'nis_expected': float(factor * live),
            'nis_above_95': float(np.mean(values > factor * chi2_quantile(0.05, live)))}


def autocorrelation(normal: np.ndarray, pieces: Sequence[np.ndarray]
                    ) -> Tuple[np.ndarray, int]:
    """
    Return r_0 .. r_LAGS of normalised innovations (N, A), and how many messages there were.

    r_l = sum u_k u_(k+l) / sum u_k^2 over messages and axes; |u| is cut at 3 times 1.4826 its
    median, so that single outliers do not hide the rest. Empty where there are too few.
    """
    count = sum(len(piece) for piece in pieces)
    if count < 3 * LAGS:
        return np.zeros(0), count
    every = np.concatenate(list(pieces))
    u = normal[:, np.any(normal[every] != 0.0, axis=0)]
    if not u.shape[1]:
        return np.zeros(0), count
    size = 3.0 * 1.4826 * np.median(np.abs(u[every]), axis=0)
    size = np.where(size > 0.0, size, np.inf)
    u = np.clip(u, -size, size)
    u = u / np.sqrt(np.mean(u[every]**2, axis=0))
    sums = [sum(float(np.sum(u[piece][:len(piece) - lag] * u[piece][lag:])) for piece in pieces
                if len(piece) > lag) for lag in range(LAGS + 1)]
    return np.array(sums) / sums[0], count


def ljung_box(r: np.ndarray, count: int) -> Optional[float]:
    """
    Return Q / lags, 1 is expected of white innovations; None where r is empty.

    Q = n (n + 2) sum_l r_l^2 / (n - l). Source: Ljung & Box, Biometrika 65(2), 1978.
    """
    if not len(r):
        return None
    lags = np.arange(1, len(r))
    return float(count * (count + 2.0) * np.sum(r[1:]**2 / (count - lags)) / len(lags))


def spectrum(times_s: np.ndarray, positions: np.ndarray, pieces: Sequence[np.ndarray],
             step_s: float) -> Tuple[np.ndarray, np.ndarray]:
    """
    Return frequencies in Hz and the density, summed over axes, in m^2/Hz.

    Hann windows of SEGMENT messages, or the power of two that the longest piece has, which
    overlap by half, each less its line, on a uniform resample at step_s.
    Source: Welch, IEEE T-AU 15(2), 1967.
    """
    spans_s = [float(times_s[piece[-1]] - times_s[piece[0]]) for piece in pieces]
    step_s = max(step_s, sum(spans_s) / (20.0 * len(times_s)))  # bursts: not finer
    longest = int(max(spans_s, default=0.0) / step_s)
    size = min(SEGMENT, 2 ** int(np.log2(max(longest, 1))))
    if size < 16:
        return np.zeros(0), np.zeros(0)
    window = np.hanning(size + 1)[:size]
    line = np.linspace(-1.0, 1.0, size)
    total, count = np.zeros(size // 2 + 1), 0
    for piece in pieces:
        t = times_s[piece]
        at_s = np.arange(t[0], t[-1], step_s)
        even = np.stack([np.interp(at_s, t, column) for column in positions[piece].T], 1)
        for first in range(0, len(even) - size + 1, size // 2):
            part = even[first:first + size] - np.mean(even[first:first + size], axis=0)
            part = part - np.outer(line, line @ part / (line @ line))
            total += np.sum(np.abs(np.fft.rfft(window[:, None] * part, axis=0))**2, axis=1)
            count += 1
    density = total * 2.0 * step_s / (count * np.sum(window**2))
    return np.fft.rfftfreq(size, step_s)[1:], density[1:]


def lags(times_s: np.ndarray, rows: np.ndarray, truth: np.ndarray,
         pieces: Sequence[np.ndarray], most: int = 3000) -> np.ndarray:
    """
    Return the delays (S,) of many outputs at once, as metrics.lag on its first grid.

    rows: (N, A, S); truth: (N, A). Between grid points by a parabola; NaN at an end. Of long
    runs every n-th message is looked at.
    """
    grid = metrics.LAG_GRID_S
    at, past = [], []
    for piece in pieces:
        t = times_s[piece]
        inner = piece[(t - grid[-1] >= t[0]) & (t - grid[0] <= t[-1])]
        at.append(inner)
        past.append(np.stack([np.stack([
            np.interp(times_s[inner] - delay, t, column) for column in truth[piece].T], 1)
            for delay in grid]) if len(inner) else np.zeros((len(grid), 0, truth.shape[1])))
    chosen = np.concatenate(at) if at else np.zeros(0, int)
    if len(chosen) < 3:
        return np.full(rows.shape[2], np.nan)
    every = slice(None, None, -(-len(chosen) // most))
    goal = np.concatenate(past, axis=1)[:, every]
    out = rows[chosen[every]].reshape(-1, rows.shape[2])
    goal = goal.reshape(len(grid), -1)
    error = np.sum(goal**2, axis=1)[:, None] - 2.0 * goal @ out  # less sum p^2, which all have
    best = np.argmin(error, axis=0)
    inside = (best > 0) & (best < len(grid) - 1)
    middle = np.clip(best, 1, len(grid) - 2)
    a, b, c = (error[middle + i, np.arange(len(best))] for i in (-1, 0, 1))
    bend = a - 2.0 * b + c
    shift = np.where(bend > 0.0, 0.5 * (a - c) / np.where(bend > 0.0, bend, 1.0), 0.0)
    return np.where(inside, grid[middle] + shift * (grid[1] - grid[0]), np.nan)
