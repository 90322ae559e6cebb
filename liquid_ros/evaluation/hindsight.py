# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The best that a classic filter can do on a recording, tuned with the answer in hand.

Every setting of a grid runs on the same recording and the one with the lowest error is taken:
for positions and for rotations each its own. Nobody can tune so on a robot; what comes near to
it without any tuning is good. dt is the median, a step the way from message to message.

    ema           40 time constants, 1 ms to 3 s in equal ratios
    one_euro      14 cutoffs, 0.02 to 30 Hz in equal ratios, times 15 betas: 0, and 14 from 0.01
                  to 30 Hz per typical speed, which is the median |step| over dt
    kalman        60 tracking indices sqrt(q dt^3 / R), 1e-5 to 30 in equal ratios; only q / R
                  matters for the estimate, so R is 1
    kalman_gated  20 tracking indices, 1e-4 to 3, times 4 noise levels, 0.5 to 4 times that of
                  the recording (median |second difference| / 0.6745 / sqrt(6)), times gates of
                  2, 3 and 5; the fifth rejected message in a row starts the filter anew
"""

from functools import partial
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np

from liquid_ros.errors import InputError
from liquid_ros.evaluation.filters import Filter, Grid, kalman_smoother, POSITIONS, Swept
from liquid_ros.evaluation.filters_turns import TURNS
from liquid_ros.evaluation.metrics import scored
from liquid_ros.manifold import quat_conjugate, quat_log, quat_multiply, quat_normalise

TIME_CONSTANTS_S = np.geomspace(1e-3, 3.0, 40)
CUTOFFS_HZ = np.geomspace(0.02, 30.0, 14)
BETAS = np.concatenate([[0.0], np.geomspace(0.01, 30.0, 14)])
TRACKING_INDICES = np.geomspace(1e-5, 30.0, 60)
GATED = (np.geomspace(1e-4, 3.0, 20), np.array([0.5, 1.0, 2.0, 4.0]), np.array([2.0, 3.0, 5.0]))
MOST_NUMBERS = 3e7  # that a sweep holds at once

Score = Callable[[Swept], Dict[str, np.ndarray]]


class Track(NamedTuple):
    """
    What is filtered: N positions (N, A), or quaternions xyzw (N, 4).

    dt_s: (N,) above zero but where a run starts. starts: (N,) bool, the first is True.
    """

    dt_s: np.ndarray
    starts: np.ndarray
    rows: np.ndarray

    @property
    def steps(self) -> np.ndarray:
        """Return (M, A | 3): the ways from message to message within runs."""
        later, before = self.rows[1:], self.rows[:-1]
        steps = (quat_log(quat_multiply(quat_conjugate(before), later))
                 if self.rows.shape[1] == 4 else later - before)
        return steps[~self.starts[1:]]

    @property
    def median_dt_s(self) -> float:
        """Return the median dt, at least a microsecond."""
        within = self.dt_s[~self.starts]
        return max(float(np.median(within)), 1e-6) if len(within) else 1.0


class Tuned(NamedTuple):
    """
    A whole sweep, and the setting of the least cost.

    rows: (N, A | 4) what that setting made. figures: of every setting, (S,), as scored.
    """

    rows: np.ndarray
    settings: Dict[str, float]
    figures: Dict[str, np.ndarray]


def ema_grid(track: Track) -> Grid:
    """Return 40 time constants."""
    return {'tau_s': TIME_CONSTANTS_S}


def one_euro_grid(track: Track) -> Grid:
    """Return 210 settings of One-Euro, scaled to the track's typical speed."""
    typical = _median(np.abs(track.steps)) / track.median_dt_s + 1e-12
    cutoff, beta = (a.ravel() for a in np.meshgrid(CUTOFFS_HZ, BETAS, indexing='ij'))
    return {'min_cutoff_hz': cutoff, 'beta': beta / typical}


def kalman_grid(track: Track) -> Grid:
    """Return 60 settings of the constant-velocity Kalman filter, from stiff to loose."""
    return _kalman(track, TRACKING_INDICES, np.ones_like(TRACKING_INDICES),
                   np.full_like(TRACKING_INDICES, np.inf))


def kalman_gated_grid(track: Track) -> Grid:
    """Return 240 settings of the gated filter, scaled to the track's noise."""
    noise = _median(np.abs(np.diff(track.steps, axis=0))) / 0.6745 / np.sqrt(6.0) + 1e-12
    index, scale, gate = (a.ravel() for a in np.meshgrid(*GATED, indexing='ij'))
    return _kalman(track, index, (noise * scale)**2, gate)


GRIDS: Dict[str, Callable[[Track], Grid]] = {
    'ema': ema_grid, 'one_euro': one_euro_grid, 'kalman': kalman_grid,
    'kalman_gated': kalman_gated_grid}


def tune(name: str, track: Track, score: Score, cost: str) -> Optional[Tuned]:
    """
    Return the sweep of a baseline and its best setting; None where no cost is a number.

    name: of GRIDS. score: gives figures (S,) of what S settings made. cost: the least is best.
    Errors: InputError for another name.
    """
    if name not in GRIDS:
        raise InputError(f'got smoother {name!r}, expected one of {", ".join(GRIDS)}')
    run = (TURNS if track.rows.shape[1] == 4 else POSITIONS)[name]
    return _tune(run, GRIDS[name](track), track, score, cost)


def tune_smoother(track: Track, score: Score, cost: str) -> Optional[Tuned]:
    """Return likewise the RTS smoother (positions), with kalman's 60 settings."""
    return _tune(_smoother, kalman_grid(track), track, score, cost)


def smoothed(track: Track, tracking_index: float) -> np.ndarray:
    """Return (N, A): the RTS smoother of one tracking index on positions."""
    one = np.ones(1)
    grid = _kalman(track, one * tracking_index, one, one * np.inf)
    return kalman_smoother(track.dt_s, track.starts, track.rows, grid)[:, :, 0]


def best_in_hindsight(name: str, times_s: np.ndarray, rows: np.ndarray, truth: np.ndarray,
                      axes: Sequence[int] = (0, 1, 2)) -> np.ndarray:
    """
    Return the output (N, 3 | 7) of the setting with the least error on this very recording.

    name: of GRIDS. times_s: (N,). rows, truth: (N, 3) or (N, 7), finite, in one frame.
    axes: the position axes that the truth can judge; the others are as they came.
    A message that is no later than the one before it is dropped, the output is held.
    """
    used = np.concatenate([[True], times_s[1:] > np.maximum.accumulate(times_s)[:-1]])
    held = np.cumsum(used) - 1
    judged = scored(times_s)
    dt_s, starts = np.diff(times_s[used], prepend=times_s[0]), np.arange(used.sum()) == 0
    best = rows.astype(float)
    for part in [list(axes)] + [[3, 4, 5, 6]] * (rows.shape[1] == 7):
        # far from the origin a difference would lose digits
        origin = truth[0, part] if part[0] < 3 else np.zeros(4)
        z, goal = best[used][:, part] - origin, truth[judged][:, part] - origin
        track = Track(dt_s, starts, quat_normalise(z) if part[0] == 3 else z)
        tuned = tune(name, track, partial(_error, held[judged], goal), 'error')
        if tuned is None:
            raise InputError(f'got {int(judged.sum())} messages past the first second and ten, '
                             'finite and with truth: expected more')
        best[:, part] = tuned.rows[held] + origin
    return best


def _error(at: np.ndarray, truth: np.ndarray, swept: Swept) -> Dict[str, np.ndarray]:
    return {'error': errors(swept.rows[at], truth)}


def errors(rows: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the RMSE (S,) of positions (N, A, S) in their unit, of quaternions in rad."""
    if not len(rows):
        return np.full(rows.shape[2], np.nan)
    if rows.shape[1] == 4:
        # |log(g^-1 q)| = 2 atan2(|v|, |w|) is that of the angle between q and g
        across = np.abs(np.einsum('nqs,nq->ns', rows, truth))
        apart = np.minimum(_length(rows - truth[..., None]), _length(rows + truth[..., None]))
        angle = 4.0 * np.arctan2(0.5 * apart, np.sqrt(0.5 * (1.0 + np.minimum(across, 1.0))))
        return np.sqrt(np.mean(angle**2, axis=0))
    off = rows - truth[..., None]
    return np.sqrt(np.einsum('nas,nas->s', off, off) / len(rows))


def _smoother(dt_s: np.ndarray, starts: np.ndarray, rows: np.ndarray, grid: Grid) -> Swept:
    out = kalman_smoother(dt_s, starts, rows, grid)
    return Swept(out, out[:, :, :0])


def _length(rows: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum('nas,nas->ns', rows, rows))


def _tune(run: Filter, grid: Grid, track: Track, score: Score, cost: str) -> Optional[Tuned]:
    figures: List[Dict[str, np.ndarray]] = []
    least, rows, settings = np.inf, None, {}
    for part in _parts(grid, 2 * track.rows.size + len(track.rows)):
        swept = run(track.dt_s, track.starts, track.rows, part)
        figures.append(score(swept))
        costs = np.where(np.isfinite(figures[-1][cost]), figures[-1][cost], np.inf)
        at = int(np.argmin(costs))
        if costs[at] < least:
            least, rows = costs[at], swept.rows[:, :, at].copy()
            settings = {key: float(values[at]) for key, values in part.items()}
    if rows is None:
        return None
    return Tuned(rows, settings, {key: np.concatenate([part[key] for part in figures])
                                  for key in figures[0]})


def _parts(grid: Grid, numbers: int) -> Iterator[Grid]:
    """Yield a grid in parts, as many settings at once as there is room for."""
    count = len(next(iter(grid.values())))
    size = max(int(MOST_NUMBERS / max(numbers, 1)), 1)
    for first in range(0, count, size):
        yield {key: values[first:first + size] for key, values in grid.items()}


def _kalman(track: Track, index: np.ndarray, noise: np.ndarray, gate: np.ndarray) -> Grid:
    dt_s = track.median_dt_s
    return {'noise': noise, 'density': index**2 * noise / dt_s**3,
            'speed': 10.0 * noise / dt_s**2, 'gate': gate, 'tracking_index': index}


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else 0.0
