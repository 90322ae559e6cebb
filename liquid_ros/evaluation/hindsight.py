# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The best that a classic filter can do on a recording, tuned with the truth in hand.

Every setting of a grid runs on the same recording at once, one stream a setting, and the one
with the lowest error is taken: for positions and for rotations each its own. Nobody can tune
so on a robot; what comes near to it without any tuning is good.

    one_euro   14 cutoffs, 0.02 to 30 Hz in equal ratios, times 15 betas: 0, and 14 from 0.01
               to 30 Hz per typical speed, which is the median |step| over the median dt
    kalman     60 tracking indices sqrt(q dt^3 / R), 1e-5 to 30 in equal ratios, dt the median;
               only q / R matters for the estimate, so R is 1
"""

from typing import Callable, Dict, NamedTuple, Sequence

import numpy as np

from liquid_ros.errors import InputError
from liquid_ros.evaluation.metrics import scored
from liquid_ros.manifold import minus, quat_normalise
from liquid_ros.smoothers import SMOOTHERS

CUTOFFS_HZ = np.geomspace(0.02, 30.0, 14)
BETAS = np.concatenate([[0.0], np.geomspace(0.01, 30.0, 14)])
TRACKING_INDICES = np.geomspace(1e-5, 30.0, 60)

Grid = Dict[str, np.ndarray]  # setting's name -> (S, 1)


class Best(NamedTuple):
    """
    The tuned filter's output (N, 3 | 7) and the settings that gave it.

    setting is that of the position's columns, rotation_setting that of the quaternion's.
    """

    rows: np.ndarray
    setting: Dict[str, float]
    rotation_setting: Dict[str, float]


def one_euro_grid(times_s: np.ndarray, rows: np.ndarray, axes: Sequence[int]) -> Grid:
    """Return 210 settings of One-Euro, scaled to the recording's typical speeds."""
    step = np.abs(minus(rows[1:], rows[:-1]))
    typical = [np.median(part) / _median_dt(times_s) + 1e-12
               for part in (step[:, list(axes)], step[:, 3:]) if part.size]
    cutoff, beta = (a.reshape(-1, 1) for a in np.meshgrid(CUTOFFS_HZ, BETAS, indexing='ij'))
    return {'min_cutoff_hz': cutoff, 'beta': beta / typical[0],
            'beta_rotation': beta / typical[-1]}


def kalman_grid(times_s: np.ndarray, rows: np.ndarray, axes: Sequence[int]) -> Grid:
    """Return 60 settings of the constant-velocity Kalman filter, from stiff to loose."""
    dt_s = _median_dt(times_s)
    density = TRACKING_INDICES[:, None] / dt_s**1.5
    one = np.ones_like(density)
    return {'sigma_m': one, 'sigma_rad': one, 'accel_density': density,
            'accel_density_rad': density, 'speed_sigma_m_s': one * np.sqrt(10.0) / dt_s,
            'speed_sigma_rad_s': one * np.sqrt(10.0) / dt_s}


GRIDS: Dict[str, Callable[[np.ndarray, np.ndarray, Sequence[int]], Grid]] = {
    'one_euro': one_euro_grid,
    'kalman': kalman_grid,
}


def sweep(name: str, grid: Grid, times_s: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """
    Return the output (N, S, W) of every setting of a smoother, causally, with no resets.

    A message that is no later than the one before it is dropped, the output is held.
    """
    smoother = SMOOTHERS[name](**grid)
    count = len(next(iter(grid.values())))
    state, estimate = smoother.init(np.repeat(rows[:1], count, axis=0))
    out = np.empty((len(rows), count, rows.shape[1]))
    out[0] = estimate.rows
    last_s = times_s[0]
    for k in range(1, len(rows)):
        if times_s[k] > last_s:
            dt_s = np.full((count, 1), times_s[k] - last_s)
            state, estimate = smoother.step(state, np.repeat(rows[k:k + 1], count, axis=0), dt_s)
            last_s = times_s[k]
        out[k] = estimate.rows
    return out


def best_in_hindsight(name: str, times_s: np.ndarray, rows: np.ndarray, truth: np.ndarray,
                      axes: Sequence[int] = (0, 1, 2)) -> Best:
    """
    Return the output of the setting with the least error on this very recording.

    name: of GRIDS. times_s: (N,). rows, truth: (N, 3) or (N, 7), finite, in one frame.
    axes: the position axes that the truth can judge.
    """
    if name not in GRIDS:
        raise InputError(f'got smoother {name!r}, expected one of {", ".join(GRIDS)}')
    rows = rows.copy()
    rows[:, :3] -= truth[0, :3]  # far from the origin a difference would lose digits
    if rows.shape[1] == 7:
        rows[:, 3:] = quat_normalise(rows[:, 3:])
    grid = GRIDS[name](times_s, rows, axes)
    out = sweep(name, grid, times_s, rows)
    judged = scored(times_s)
    goal = np.concatenate([truth[:, :3] - truth[0, :3], truth[:, 3:]], axis=1)
    error = minus(out[judged], np.broadcast_to(goal[judged, None], out[judged].shape))
    square = np.mean(error**2, axis=0)  # (S, A)
    at = int(np.argmin(square[:, list(axes)].sum(1)))
    turn_at = int(np.argmin(square[:, 3:].sum(1))) if rows.shape[1] == 7 else at
    best = np.concatenate([out[:, at, :3] + truth[0, :3], out[:, turn_at, 3:]], axis=1)
    return Best(best, *({key: float(values[i, 0]) for key, values in grid.items()}
                        for i in (at, turn_at)))


def _median_dt(times_s: np.ndarray) -> float:
    return max(float(np.median(np.diff(times_s))), 1e-6)
