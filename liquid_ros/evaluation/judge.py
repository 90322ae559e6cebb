# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Did it help: every figure of a run, beside what classic filters could have done."""

from dataclasses import asdict
from typing import Any, Callable, Dict, List, Optional, Sequence

import numpy as np

from liquid_ros.evaluation import metrics
from liquid_ros.evaluation.alignment import umeyama
from liquid_ros.evaluation.hindsight import best_in_hindsight, GRIDS
from liquid_ros.evaluation.runs import Judged, Row, Run
from liquid_ros.evaluation.view import View, view
from liquid_ros.manifold import minus

LABELS = {'raw': 'raw', 'ema': 'EMA', 'one_euro': 'One-Euro', 'kalman': 'Kalman',
          'kalman_gated': 'gated Kalman'}


def judge(run: Run, *, axes: Optional[Sequence[int]] = None, baselines: bool = True,
          progress: Optional[Callable[[float], None]] = None) -> Judged:
    """
    Return all that is said of a run.

    axes: the position axes that count; by default those that move and that the truth has.
    baselines: whether classic filters are tuned on the run, which takes most of the time.
    progress: called with the share that is done, 0 to 1.
    Errors: InputError for an empty run or an axis other than 0, 1, 2.
    """
    tell = progress or (lambda share: None)
    seen = view(run, axes)
    smooth = seen.local(run.smooth)
    rows = [_row(seen, 'raw', 'raw', seen.raw),
            _row(seen, run.smoother, run.smoother, smooth, run.variance)]
    if run.offline is not None:
        rows.append(_row(seen, f'{run.smoother}_offline', f'{run.smoother}, in hindsight (RTS)',
                         seen.local(run.offline), run.offline_variance, causal=False))
    if baselines and seen.truth is not None and seen.judged.any():
        rows += _baselines(seen, tell)
    tell(1.0)
    return Judged(run, tuple(rows), _ratios(rows), {}, {}, {'times_s': seen.times_s}, ())


def summary(judged: Judged) -> Dict[str, Any]:
    """Return what a program wants to know, as JSON takes it; None is not told."""
    return {'name': judged.run.name, 'msgtype': judged.run.msgtype,
            'smoother': judged.run.smoother,
            'rows': [{key: plain(value) for key, value in asdict(row).items()}
                     for row in judged.rows],
            'ratios': plain(judged.ratios), 'stream': plain(judged.stream),
            'verdict': list(judged.verdict)}


def plain(value: Any) -> Any:
    """Return Python's own numbers and containers; None for what is not finite."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def told(value: float) -> Optional[float]:
    """Return a float, None where it is not finite."""
    return float(value) if np.isfinite(value) else None


def _baselines(seen: View, tell: Callable[[float], None]) -> List[Row]:
    assert seen.truth is not None
    rows = []
    at = seen.judged | ~seen.judged
    for done, name in enumerate(GRIDS):
        tell(done / len(GRIDS))
        if not np.isfinite(seen.truth).all():
            continue
        best = best_in_hindsight(name, seen.times_s[at], seen.raw, seen.truth, seen.axes)
        rows.append(_row(seen, name, f'{LABELS[name]}, best in hindsight', best.rows,
                         in_hindsight=True, settings=best.setting))
    return rows


def _row(seen: View, name: str, label: str, local: np.ndarray,
         variance: Optional[np.ndarray] = None, **kind: Any) -> Row:
    t, p = seen.times_s, seen.positions(local)
    figures: Dict[str, Any] = {'jerk_m_s3': told(metrics.jerk(t, p, seen.pieces))}
    if seen.truth is not None and seen.judged.any():
        figures.update(_against_truth(seen, local, variance))
    return Row(name, label, **figures, **kind)


def _against_truth(seen: View, local: np.ndarray, variance: Optional[np.ndarray]
                   ) -> Dict[str, Optional[float]]:
    truth, at, pieces = seen.truth, seen.judged, seen.judged_pieces
    assert truth is not None
    p, g = seen.positions(local), seen.positions(truth)
    near = metrics.rmse(p[at], g[at])
    aligned = umeyama(p[at], g[at])
    unaligned = near
    if seen.alignment is not None:  # back into the truth's own frame
        unaligned = metrics.rmse(
            p[at], (g[at] - seen.alignment.translation) @ seen.alignment.rotation)
    late = metrics.lag(seen.times_s, p, g, pieces)
    sure = metrics.lag_sigma_s(seen.times_s, g, late.rmse, pieces) <= metrics.LAG_SURE_S
    return {
        'rmse_m': told(unaligned),
        'rmse_aligned_m': None if aligned is None else told(
            metrics.rmse(aligned.moved(p[at]), g[at])),
        'rotation_deg': told(metrics.rotation_rms_deg(local[at, 3:], truth[at, 3:]))
        if seen.turns else None,
        'accel_error_m_s2': told(metrics.accel_error(seen.times_s, p, g, pieces)),
        'lag_s': told(late.delay_s) if sure else None,
        'nees': None if variance is None else _nees(seen, local, variance),
    }


def _nees(seen: View, local: np.ndarray, variance: np.ndarray) -> Optional[float]:
    """Return the mean of e^2 / variance over the judged axes and, of poses, rotations."""
    width = 7 if seen.turns else 3
    assert seen.truth is not None
    error = minus(local[seen.judged, :width], seen.truth[seen.judged, :width])
    axes = list(seen.axes) + [3, 4, 5] * seen.turns
    stated = variance[seen.judged][:, axes]
    good = np.isfinite(stated) & (stated > 0.0)
    return told(float(np.mean(error[:, axes][good]**2 / stated[good]))) if good.any() else None


def _ratios(rows: Sequence[Row]) -> Dict[str, float]:
    best = min((row for row in rows if row.in_hindsight and row.causal
                and row.rmse_m is not None), key=lambda row: row.rmse_m or 0.0, default=None)
    if best is None or not best.rmse_m:
        return {}
    return {'rmse_ratio': (rows[1].rmse_m or 0.0) / best.rmse_m}
