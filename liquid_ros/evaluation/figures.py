# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The figures of one estimate of a run, and of a baseline's sweep; see docs/evaluation.md."""

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from liquid_ros.evaluation import likelihood, metrics, truthless
from liquid_ros.evaluation.alignment import umeyama
from liquid_ros.evaluation.filters import Swept
from liquid_ros.evaluation.hindsight import errors, Track, tune, Tuned
from liquid_ros.evaluation.runs import Row, Run
from liquid_ros.evaluation.view import View
from liquid_ros.manifold import minus, plus

LABELS = {'raw': 'raw', 'ema': 'EMA', 'one_euro': 'One-Euro', 'kalman': 'Kalman',
          'kalman_gated': 'gated Kalman', 'kalman_rts': 'Kalman RTS'}
SHOWN = ('tau_s', 'min_cutoff_hz', 'beta', 'tracking_index', 'noise', 'gate')


@dataclass(frozen=True)
class Ruler:
    """
    What the estimates of a run are held against.

    windows: of the jitter. tracks, levels: of positions (judged axes) and, of poses, rotations.
    heard: (N,) bool, messages whose innovation counts.
    """

    seen: View
    windows: truthless.Parabola
    tracks: Tuple[Track, ...]
    levels: Tuple[likelihood.Level, ...]
    heard: np.ndarray

    def likelihoods(self, part: int, swept: Swept) -> np.ndarray:
        """Return the mean log likelihood (S,) of settings on positions (0) or rotations (1)."""
        square = likelihood.distances(swept.missed, self.levels[part])[self.heard]
        return likelihood.mean_log_likelihood(square, self.levels[part])

    def likelihood(self, groups: Sequence[np.ndarray]) -> Optional[float]:
        """Return the sum over groups of the likelihood of innovations (N, A), None for none."""
        found = [float(self.likelihoods(part, Swept(group[..., None], group[..., None]))[0])
                 for part, group in enumerate(groups[:len(self.levels)])
                 if self.levels[part].live.any()]
        return told(float(np.sum(found))) if found else None


def ruler(seen: View) -> Ruler:
    """Return what the estimates of a run are held against."""
    dt_s = np.where(seen.starts, 0.0, np.diff(seen.times_s, prepend=seen.times_s[0]))
    # what is sent again is foreseen by whoever does nothing
    new = np.append(True, (seen.raw[1:] != seen.raw[:-1]).any(1))
    tracks = [Track(dt_s, seen.starts, seen.positions(seen.raw))]
    if seen.raw.shape[1] == 7:
        tracks.append(Track(dt_s, seen.starts, seen.raw[:, 3:]))
    return Ruler(seen, truthless.parabola(seen.times_s, seen.starts, seen.settled),
                 tuple(tracks), tuple(likelihood.level(track.steps) for track in tracks),
                 seen.settled & ~seen.starts & new)


def row(rule: Ruler, name: str, label: str, local: np.ndarray,
        variance: Optional[np.ndarray] = None, reference: Optional[np.ndarray] = None,
        **kind: Any) -> Row:
    """
    Return the figures of an estimate.

    local: (N, 3 | 7), near the view's origin. variance: (N, A). reference: (N, 3 | 7) the
    estimate in hindsight, local, NaN where it has no rotations. kind: more fields of Row.
    """
    seen = rule.seen
    t, p = seen.times_s, seen.positions(local)
    turns = local.shape[1] == 7
    figures: Dict[str, Optional[float]] = {
        'jerk_m_s3': told(metrics.jerk(t, p, seen.pieces)),
        'jitter_m': told(float(rule.windows.jitter(p))),
        'jitter_deg': told(np.degrees(rule.windows.turn_jitter(local[:, 3:]))) if turns else None}
    if seen.truth is not None and seen.judged.any():
        figures.update(_against_truth(seen, local, variance))
    if reference is not None and seen.settled.any():
        goal, at = seen.positions(reference), seen.settled
        figures['rmse_to_offline_m'] = told(metrics.rmse(p[at], goal[at]))
        figures['lag_to_offline_s'] = told(metrics.sure_lag_s(t, p, goal, seen.pieces))
        if turns and reference.shape[1] == 7:
            figures['rotation_to_offline_deg'] = told(
                metrics.rotation_rms_deg(local[at, 3:], reference[at, 3:]))
    figures.update(kind)
    return Row(name, label, **figures)  # type: ignore[arg-type]


def told(value: float) -> Optional[float]:
    """Return a float, None where it is not finite."""
    return float(value) if np.isfinite(value) else None


def innovations(run: Run, rule: Ruler) -> Tuple[Optional[float], np.ndarray]:
    """
    Return the run's smoother's log likelihood, and its normalised innovations (N, A).

    Without run.expected the estimate before, or that moved on by its twist, stands for what was
    expected: whichever does better.
    """
    seen = rule.seen
    if run.expected is not None:
        return _innovations(rule, seen.local(run.expected))
    smooth = seen.local(run.smooth)
    moved = plus(smooth[:-1], run.twist[:-1] * rule.tracks[0].dt_s[1:, None])
    return max((_innovations(rule, np.concatenate([smooth[:1], ahead]))
                for ahead in (smooth[:-1], moved)),
               key=lambda one: -np.inf if one[0] is None else one[0])


def _innovations(rule: Ruler, expected: np.ndarray) -> Tuple[Optional[float], np.ndarray]:
    seen = rule.seen
    missed = np.where(rule.heard[:, None], minus(seen.raw, expected), 0.0)
    missed = np.where(np.isfinite(missed), missed, 0.0)
    groups = [missed[:, list(seen.axes)], missed[:, 3:]]
    normal = [group / np.sqrt(np.where(level.live, level.variance, 1.0))
              for group, level in zip(groups, rule.levels)]
    return rule.likelihood(groups), np.concatenate(normal, axis=1)


def sweep(rule: Ruler, name: str, part: int, goal: Optional[np.ndarray], judged: np.ndarray,
          pieces: List[np.ndarray], by_likelihood: bool) -> Optional[Tuned]:
    """
    Return a baseline's sweep over positions (part 0) or rotations (1).

    goal: (N, A | 4) truth or what stands for it; judged: where. pieces: of those.
    by_likelihood: whether the best setting is that of the next message, not of the goal.
    """
    seen = rule.seen

    def score(swept: Swept) -> Dict[str, np.ndarray]:
        nothing = np.full(swept.rows.shape[2], np.nan)
        figures = {'log_likelihood': rule.likelihoods(part, swept), 'error': nothing}
        if goal is not None:
            figures['error'] = errors(swept.rows[judged], goal[judged])
        if part == 0:
            figures['jitter_m'] = rule.windows.jitter(swept.rows)
            figures['lag_s'] = nothing if goal is None else truthless.lags(
                seen.times_s, swept.rows, goal, pieces)
        figures['cost'] = -figures['log_likelihood'] if by_likelihood else figures['error']
        return figures
    return tune(name, rule.tracks[part], score, 'cost')


def _against_truth(seen: View, local: np.ndarray, variance: Optional[np.ndarray]
                   ) -> Dict[str, Optional[float]]:
    truth, at, pieces = seen.truth, seen.judged, seen.judged_pieces
    assert truth is not None
    p, g = seen.positions(local), seen.positions(truth)
    aligned = umeyama(p[at], g[at])
    unaligned = g[at]
    if seen.alignment is not None:  # back into the truth's own frame
        unaligned = (g[at] - seen.alignment.translation) @ seen.alignment.rotation
    return {
        'rmse_m': told(metrics.rmse(p[at], unaligned)),
        'rmse_aligned_m': None if aligned is None else told(
            metrics.rmse(aligned.moved(p[at]), g[at])),
        'rotation_deg': told(metrics.rotation_rms_deg(local[at, 3:], truth[at, 3:]))
        if seen.turns and local.shape[1] == 7 else None,
        'accel_error_m_s2': told(metrics.accel_error(seen.times_s, p, g, pieces)),
        'lag_s': told(metrics.sure_lag_s(seen.times_s, p, g, pieces)),
        'nees': None if variance is None else _nees(seen, local, variance),
    }


def _nees(seen: View, local: np.ndarray, variance: np.ndarray) -> Optional[float]:
    """Return the mean of e^2 / variance over the judged axes and, of poses, rotations."""
    width = 7 if seen.turns else 3
    assert seen.truth is not None
    error = minus(local[seen.judged, :width], seen.truth[seen.judged, :width])
    axes = list(seen.axes) + [3, 4, 5] * seen.turns
    error, stated = error[:, axes], variance[seen.judged][:, axes]
    good = np.isfinite(stated) & (stated > 0.0)
    return told(float(np.mean(error[good]**2 / stated[good]))) if good.any() else None
