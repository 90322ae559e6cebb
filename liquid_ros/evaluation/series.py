# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What plots of a run need, and what is said of the stream itself; see docs/evaluation.md."""

from typing import Any, Dict, Optional, Tuple

import numpy as np

from liquid_ros.evaluation import truthless
from liquid_ros.evaluation.alignment import mounting, unit_ratio, w_first
from liquid_ros.evaluation.figures import Ruler
from liquid_ros.evaluation.runs import Run

MOST_POINTS = 5000  # of a line in a plot
DOUBTED = 0.5  # a message of less weight is an outlier to the smoother
WEIGHING = ('liquid', 'kalman_gated')
PARTS = ('position', 'rotation')


def likeness(rule: Ruler, normal: np.ndarray) -> Tuple[np.ndarray, int]:
    """Return the autocorrelation of the innovations (N, A) that count, and of how many."""
    return truthless.autocorrelation(normal, [
        piece for piece in (piece[rule.heard[piece]] for piece in rule.seen.pieces) if len(piece)])


def stream_of(run: Run, rule: Ruler, alike: Tuple[np.ndarray, int], reference: str
              ) -> Dict[str, Any]:
    """Return counts, dt statistics, NIS and whiteness; alike: likeness()."""
    seen, tally, (r, count) = rule.seen, run.tally, alike
    turns = (seen.raw[seen.judged, 3:], seen.truth[seen.judged, 3:]) if (
        seen.turns and seen.truth is not None) else None
    mounted = mounting(*turns) if turns else None
    stream: Dict[str, Any] = {
        'messages': len(run.raw), 'left_out': run.left_out, 'judged': int(seen.judged.sum()),
        'duration_s': run.duration_s,
        'axes': ''.join('xyz'[axis] for axis in seen.axes), 'reference': reference or None,
        'extent_m': float(np.linalg.norm(np.ptp(seen.positions(seen.raw), axis=0))),
        'truth_units': None if seen.truth is None else unit_ratio(*(
            seen.positions(rows)[seen.judged] for rows in (seen.truth, seen.raw))),
        **tally.counts(), 'drops': dict(tally.drops), 'restarts': dict(tally.restarts),
        'duplicate_stamps': tally.drops.get('duplicate', 0),
        'late_stamps': tally.drops.get('late', 0),
        **truthless.intervals(seen.times_s, seen.starts),
        'frames_differ': seen.alignment is not None,
        'frame_turn_deg': seen.turn_deg,
        'frame_offset_m': seen.offset_m,
        'mounting_deg': mounted and mounted.turn_deg,
        'mounting_rest_deg': mounted and mounted.rest_deg,
        'w_first': w_first(*turns) if turns else '',
        'innovation_correlation': float(r[1]) if len(r) else None,
        'innovation_correlation_max': float(np.max(np.abs(r[1:]))) if len(r) else None,
        'ljung_box': truthless.ljung_box(r, count),
        'error_correlation': _error_correlation(rule),
        'outliers': _outliers(run)}
    for part, level in enumerate(rule.levels):
        live = int(level.live.sum())
        if part == 0:  # NIS is of all three axes, judged or not
            live = int(np.sum(np.ptp(seen.raw[:, :3], axis=0) > 0.0))
        found = truthless.consistency(run.nis[:, part], rule.heard, live,
                                      run.smoother.startswith('liquid'))
        stream.update({f'{key}_{PARTS[part]}': value for key, value in found.items()})
    return stream


def series_of(run: Run, rule: Ruler, alike: Tuple[np.ndarray, int],
              reference: Optional[np.ndarray]) -> Dict[str, np.ndarray]:
    """
    Return arrays for plots; those over time at series['index'], at most some 5,000 messages.

    alike: likeness(). Of a long run each stretch keeps its first message and the one that is
    furthest off.
    """
    seen, series = rule.seen, {}
    smooth = seen.local(run.smooth)
    target = seen.truth if seen.truth is not None else reference
    if target is not None:
        raw_error, error = (np.sqrt(np.sum((seen.positions(rows) - seen.positions(target))**2, 1))
                            for rows in (seen.raw, smooth))
        index = _fewer(raw_error)
        series = {'index': index, 'error_raw': raw_error[index], 'error_smooth': error[index]}
    if len(alike[0]):
        series.update(acf=alike[0], acf_lags=np.arange(len(alike[0])))
    lines = {'raw': (seen.raw, seen.pieces), 'smooth': (smooth, seen.pieces)}
    if run.offline is not None:
        lines['offline'] = (seen.local(run.offline), seen.pieces)
    if seen.truth is not None:
        lines['truth'] = (seen.truth, seen.judged_pieces)
    for name, (rows, pieces) in lines.items():
        hertz, density = truthless.spectrum(seen.times_s, seen.positions(rows), pieces,
                                            rule.tracks[0].median_dt_s)
        if len(density) and len(density) == len(series.setdefault('spectrum_hz', hertz)):
            series[f'spectrum_{name}'] = density  # a truth with holes may have shorter windows
    return series


def _error_correlation(rule: Ruler) -> Optional[float]:
    """Return how alike the errors of neighbouring messages are, None without truth."""
    seen = rule.seen
    if seen.truth is None:
        return None
    error = np.nan_to_num(seen.positions(seen.raw) - seen.positions(seen.truth))
    r, _ = truthless.autocorrelation(error, seen.judged_pieces)
    return float(r[1]) if len(r) else None


def _outliers(run: Run) -> Optional[int]:
    """Return how many messages the smoother doubted, None where it believes all alike."""
    if run.smoother not in WEIGHING:
        return None
    return int(np.sum(np.nanmin(run.weight, axis=1) < DOUBTED))


def _fewer(sizes: np.ndarray) -> np.ndarray:
    """Return the indices that a plot keeps: of each stretch the first and the largest."""
    count = len(sizes)
    if count <= MOST_POINTS:
        return np.arange(count)
    width = -(-2 * count // MOST_POINTS)
    padded = np.full(-(-count // width) * width, -np.inf)
    padded[:count] = np.where(np.isfinite(sizes), sizes, -np.inf)
    first = np.arange(0, count, width)
    return np.unique(np.concatenate([first, first + np.argmax(padded.reshape(-1, width), 1)]))
