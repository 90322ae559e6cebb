# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Did it help: every figure of a run, beside what classic filters could have done."""

from dataclasses import asdict, replace
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from liquid_ros.evaluation import figures
from liquid_ros.evaluation.figures import LABELS, Ruler, SHOWN, told
from liquid_ros.evaluation.hindsight import errors, GRIDS, smoothed, tune_smoother, Tuned
from liquid_ros.evaluation.runs import Judged, Row, Run
from liquid_ros.evaluation.series import likeness, series_of, stream_of
from liquid_ros.evaluation.verdict import verdict_of
from liquid_ros.evaluation.view import View, view

RATIOS = ('rmse_ratio', 'rotation_ratio', 'accel_ratio', 'lag_over_best_s', 'offline_ratio',
          'rmse_over_raw', 'rotation_over_raw', 'jitter_ratio', 'jitter_rotation_ratio',
          'likelihood_gain')


class Reference(NamedTuple):
    """What stands for the truth where there is none: rows (N, 3 | 7), local, and its name."""

    rows: Optional[np.ndarray]
    name: str


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
    rule = figures.ruler(seen)
    reference = _reference(run, rule)
    found, normal = figures.innovations(run, rule)
    rows = [figures.row(rule, 'raw', 'raw', seen.raw, reference=reference.rows,
                        log_likelihood=_held(rule)),
            figures.row(rule, run.smoother, run.smoother, seen.local(run.smooth), run.variance,
                        reference.rows, log_likelihood=found)]
    if run.offline is not None:
        rows.append(figures.row(
            rule, f'{run.smoother}_offline', f'{run.smoother}, in hindsight (RTS)',
            seen.local(run.offline), run.offline_variance, causal=False))
    sweeps: Dict[str, Dict[str, np.ndarray]] = {}
    if baselines:
        tuned, sweeps = _baselines(rule, reference, tell)
        rows += tuned
    if rows[0].lag_to_offline_s is None:  # what moves in hindsight is but noise
        rows = [replace(row, lag_to_offline_s=None) for row in rows]
    ratios = _ratios(rows, seen)
    alike = likeness(rule, normal)
    stream = stream_of(run, rule, alike, reference.name)
    stream['settings_tried'] = sum(len(sweep['jitter_m']) for sweep in sweeps.values())
    tell(1.0)
    series = series_of(run, rule, alike, reference.rows)
    return Judged(run, tuple(rows), ratios, stream, sweeps, series,
                  verdict_of(run, rows, ratios, stream))


def summary(judged: Judged) -> Dict[str, Any]:
    """
    Return what a program wants to know, as JSON takes it; None is what cannot be told.

    The keys are those of Run, Row and Judged; every name of RATIOS is there.
    """
    run = judged.run
    return {
        'name': run.name, 'msgtype': run.msgtype, 'frame_id': run.frame_id,
        'smoother': run.smoother, 'truth': run.truth_name or None,
        'verdict': list(judged.verdict),
        'ratios': {name: plain(judged.ratios.get(name)) for name in RATIOS},
        'rows': [plain(asdict(row)) for row in judged.rows], 'stream': plain(judged.stream)}


def plain(value: Any) -> Any:
    """Return Python's own numbers and containers; None for what is not finite."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _reference(run: Run, rule: Ruler) -> Reference:
    """Return the estimate in hindsight, or that of the RTS smoother of the likeliest Kalman."""
    if run.offline is not None:
        return Reference(rule.seen.local(run.offline), f'{run.smoother}_offline')
    likely = figures.sweep(rule, 'kalman', 0, None, rule.seen.settled, [], True)
    if likely is None:
        return Reference(None, '')
    rows = smoothed(rule.tracks[0], likely.settings['tracking_index'])
    return Reference(_local(rule.seen, rows)[:, :3], 'kalman_rts')


def _held(rule: Ruler) -> Optional[float]:
    """Return the log likelihood of each message under the one before."""
    groups = []
    for track in rule.tracks:
        missed = np.zeros((len(track.rows), min(track.rows.shape[1], 3)))
        missed[~track.starts] = track.steps
        groups.append(missed)
    return rule.likelihood(groups)


def _local(seen: View, positions: np.ndarray, quats: Optional[np.ndarray] = None) -> np.ndarray:
    """Return (N, 3 | 7): filtered positions on the judged axes, the others as they came."""
    out = seen.raw.copy()
    out[:, list(seen.axes)] = positions
    if quats is not None:
        out[:, 3:] = quats
    return out


def _baselines(rule: Ruler, reference: Reference, tell: Callable[[float], None]
               ) -> Tuple[List[Row], Dict[str, Dict[str, np.ndarray]]]:
    seen = rule.seen
    known = seen.truth is not None and bool(seen.judged.any())
    target = seen.truth if known else reference.rows
    judged, pieces = ((seen.judged, seen.judged_pieces) if known
                      else (seen.settled, seen.pieces))
    goals = [None if target is None else seen.positions(target),
             target[:, 3:] if target is not None and target.shape[1] == 7 and (
                 seen.turns or not known) else None]
    rows, sweeps = [], {}
    for done, name in enumerate(GRIDS):
        tell(done / (len(GRIDS) + 1))
        parts = [figures.sweep(rule, name, part, goals[part], judged, pieces,
                               not known or goals[part] is None)
                 for part in range(len(rule.tracks))]
        if parts[0] is None:
            continue
        swept = parts[0].figures
        sweeps[name] = {'jitter_m': swept['jitter_m'], 'lag_s': swept['lag_s'],
                        'rmse_m': swept['error']}
        rows.append(_tuned_row(rule, name, parts, reference, known))
    tell(len(GRIDS) / (len(GRIDS) + 1))
    if known and rows:
        goal = goals[0]
        assert goal is not None
        back = tune_smoother(rule.tracks[0], lambda swept: {
            'error': errors(swept.rows[judged], goal[judged])}, 'error')
        if back is not None:
            rows.append(figures.row(
                rule, 'kalman_rts', 'Kalman RTS, best of 60 in hindsight',
                _local(seen, back.rows)[:, :3], in_hindsight=True, causal=False,
                settings={'tracking_index': back.settings['tracking_index']}))
    return rows, sweeps


def _shown(tuned: Tuned) -> Dict[str, float]:
    # without a gate a noise of any size gives the same estimate
    gated = np.isfinite(tuned.settings.get('gate', np.nan))
    return {key: value for key, value in tuned.settings.items()
            if key in SHOWN and np.isfinite(value) and (gated or key != 'noise')}


def _tuned_row(rule: Ruler, name: str, parts: List[Optional[Tuned]], reference: Reference,
               known: bool) -> Row:
    first = parts[0]
    assert first is not None
    turned = parts[1] if len(parts) > 1 else None
    settings = _shown(first)
    if turned is not None:
        settings.update({f'{key}_rotation': value for key, value in _shown(turned).items()})
    best = [np.nanmax(part.figures['log_likelihood']) for part in parts
            if part is not None and np.isfinite(part.figures['log_likelihood']).any()]
    how = 'in hindsight' if known else 'by likelihood'
    count = len(first.figures['error'])
    return figures.row(
        rule, name, f'{LABELS[name]}, best of {count} {how}',
        _local(rule.seen, first.rows, None if turned is None else turned.rows),
        reference=reference.rows, in_hindsight=True, settings=settings,
        log_likelihood=told(float(np.sum(best))) if best else None)


def _ratios(rows: Sequence[Row], seen: View) -> Dict[str, float]:
    """Return those of RATIOS that can be told."""
    raw, own = rows[:2]
    tuned = [row for row in rows if row.in_hindsight and row.causal]
    offline = next((row for row in rows[2:] if not row.in_hindsight), None)
    back = next((row for row in rows if row.in_hindsight and not row.causal), None)

    def error(row: Optional[Row]) -> Optional[float]:
        if row is None:
            return None
        return row.rmse_m if seen.alignment is None else row.rmse_aligned_m

    best = min((row for row in tuned if error(row) is not None),
               key=lambda row: error(row) or 0.0, default=None)
    turns = [row.rotation_deg for row in tuned if row.rotation_deg is not None]
    likely = [row.log_likelihood for row in tuned if row.log_likelihood is not None]
    told_ratios = {
        'rmse_ratio': _over(error(own), error(best)),
        'rotation_ratio': _over(own.rotation_deg, min(turns, default=None)),
        'accel_ratio': _over(own.accel_error_m_s2, best.accel_error_m_s2 if best else None),
        'lag_over_best_s': own.lag_s - best.lag_s
        if best is not None and own.lag_s is not None and best.lag_s is not None else None,
        'offline_ratio': _over(error(offline), error(back)),
        'rmse_over_raw': _over(error(own), error(raw)),
        'rotation_over_raw': _over(own.rotation_deg, raw.rotation_deg),
        'jitter_ratio': _over(own.jitter_m, raw.jitter_m),
        'jitter_rotation_ratio': _over(own.jitter_deg, raw.jitter_deg),
        'likelihood_gain': own.log_likelihood - max(likely)
        if own.log_likelihood is not None and likely else None}
    return {key: value for key, value in told_ratios.items() if value is not None}


def _over(value: Optional[float], other: Optional[float]) -> Optional[float]:
    return value / other if value is not None and other else None
