# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The panels that compare smoothers over their settings, over frequency and over lags."""

from typing import Dict, Optional, Tuple

import numpy as np

from liquid_ros.evaluation import truthless
from liquid_ros.evaluation.report_scene import length_unit, Scene
from liquid_ros.evaluation.report_svg import Axis, Panel
from liquid_ros.evaluation.runs import Judged, Row

# Each baseline has a colour of the style sheet; those without one share the last.
SERIES = ('ema', 'one_euro', 'kalman', 'kalman_gated')
LABELS = {'ema': 'EMA', 'one_euro': 'One-Euro', 'kalman': 'Kalman', 'kalman_gated': 'gated Kalman'}
Curve = Tuple[np.ndarray, np.ndarray]  # lag in s and jitter in m, (S,) each
LINE_MOST = 100  # settings along one line; a grid of more is drawn as its best edge


def series_of(name: str) -> str:
    """Return the class that colours a baseline."""
    return name if name in SERIES else 'other'


def series_of_row(row: Row) -> str:
    """Return the class that colours a row of the table."""
    if row.in_hindsight:
        return series_of(row.name)
    return 'raw' if row.name == 'raw' else 'smooth' if row.causal else 'offline'


def tradeoff_panel(judged: Judged, shown: Scene) -> Optional[Panel]:
    """Return jitter against lag: whole sweeps as lines, what runs as points."""
    curves = {name: curve for name, curve in ((name, _curve(sweep)) for name, sweep in
                                              judged.sweeps.items()) if curve is not None}
    lags_s = own_lags(shown)
    points = [(row, *at) for row in judged.rows if (
        at := _on_line(row, curves) if row.in_hindsight else _place(row, lags_s)) is not None]
    ours = [(row, x, y) for row, x, y in points if not row.in_hindsight]
    if not curves and not ours:
        return None
    jitter = np.concatenate([c[1] for c in curves.values()] + [np.array([y]) for *_, y in points])
    lag = np.concatenate([c[0] for c in curves.values()] + [np.array([x]) for _, x, _ in points])
    positive = jitter[jitter > 0.0]
    if not positive.size:
        return None
    # a filter far later than everything that is a choice would squeeze the rest
    late = min(float(lag.max()), max(4.0 * max([x for _, x, _ in points], default=0.0), 0.1))
    late = max(late, 0.0)
    early = max(float(lag.min()), min([x for _, x, _ in points], default=0.0) - 0.2 * late)
    early = min(early, 0.0)
    margin = 0.04 * max(late - early, 1e-3)
    unit = length_unit(float(positive.max()))
    low = max(float(positive.min()), float(positive.max()) * 1e-5)
    x_axis = Axis((early - margin) * 1e3, (late + margin) * 1e3, 'lag (ms)')
    y_axis = Axis(low * 0.7 * unit.factor, 1.5 * float(positive.max()) * unit.factor,
                  f'jitter ({unit.name})', log=True)
    panel = Panel('Jitter against lag', x_axis, y_axis, shape='wide tall', note=
                  'A line is a filter over all its settings; lower left is better. '
                  'A point is what ran, or a setting picked in hindsight.')
    for name, (x, y) in curves.items():
        label = LABELS.get(name, name)
        if len(x) > LINE_MOST:
            panel.line(f'{series_of(name)} faint', '', x * 1e3, y * unit.factor, look='dots',
                       whole=True)
            x, y = front(x, y)
        panel.line(series_of(name), label, x * 1e3, y * unit.factor, whole=True)
    for row, x_s, y_m in sorted(points, key=lambda point: not point[0].in_hindsight):
        panel.point(series_of_row(row), row.label if not row.in_hindsight else '', x_s * 1e3,
                    y_m * unit.factor)
    return panel


def front(x: np.ndarray, y: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return the settings that no other one beats in both figures, by rising x."""
    order = np.lexsort((y, x))
    x, y = x[order], y[order]
    best = np.minimum.accumulate(y)
    kept = np.concatenate([[True], best[1:] < best[:-1]])
    return x[kept], y[kept]


def _curve(sweep: Dict[str, np.ndarray]) -> Optional[Curve]:
    if 'lag_s' not in sweep or 'jitter_m' not in sweep:
        return None
    lag, jitter = (np.asarray(sweep[key], dtype=float) for key in ('lag_s', 'jitter_m'))
    sound = np.isfinite(lag) & np.isfinite(jitter) & (jitter > 0.0)
    return (lag[sound], jitter[sound]) if sound.any() else None


def own_lags(shown: Scene) -> Dict[str, float]:
    """
    Return the lag in s of raw, smooth and offline as that of a sweep's settings is measured.

    It is empty where there is nothing to measure by.
    """
    run, seen = shown.run, shown.seen
    judged = seen.truth is not None and seen.judged.any()
    target = seen.truth if judged else None if run.offline is None else seen.local(run.offline)
    if target is None:
        return {}
    parts = {'raw': seen.raw, 'smooth': seen.local(run.smooth)}
    if run.offline is not None:
        parts['offline'] = seen.local(run.offline)
    found = truthless.lags(seen.times_s, np.stack([seen.positions(p) for p in parts.values()], 2),
                           seen.positions(target), seen.judged_pieces if judged else seen.pieces)
    return dict(zip(parts, found.tolist()))


def _place(row: Row, lags_s: Dict[str, float]) -> Optional[Tuple[float, float]]:
    lag = lags_s.get(series_of_row(row), row.lag_to_offline_s)
    if lag is None or not row.jitter_m or not np.isfinite([lag, row.jitter_m]).all():
        return None
    return lag, row.jitter_m


def _on_line(row: Row, curves: Dict[str, Curve]) -> Optional[Tuple[float, float]]:
    """Return the place of a tuned filter among all its settings: that of its own jitter."""
    if row.name not in curves or not row.jitter_m:
        return None
    lag, jitter = curves[row.name]
    at = int(np.argmin(np.abs(jitter - row.jitter_m)))
    near = abs(jitter[at] - row.jitter_m) <= 1e-6 * row.jitter_m
    return (float(lag[at]), float(jitter[at])) if near else None


def spectrum_panel(judged: Judged, detail: int) -> Optional[Panel]:
    """Return power over frequency, summed over the position axes."""
    found = [(name, label, judged.series.get(f'spectrum_{name}')) for name, label in (
        ('raw', 'raw'), ('offline', 'in hindsight (RTS)'), ('smooth', judged.run.smoother),
        ('truth', 'truth')) if name != 'offline' or 'spectrum_truth' not in judged.series]
    hertz = judged.series.get('spectrum_hz')
    curves = [(name, label, power) for name, label, power in found if power is not None]
    if hertz is None or not curves:
        return None
    above = (hertz > 0.0)
    every = np.concatenate([power[above] for *_, power in curves])
    every = every[np.isfinite(every) & (every > 0.0)]
    if not every.size or above.sum() < 3:
        return None
    high = float(every.max())
    low = max(float(np.quantile(every, 0.02)) / 3.0, high * 1e-14)
    panel = Panel('Spectrum of the position', Axis(
        float(hertz[above][0]), float(hertz[above][-1]), 'frequency (Hz)', log=True),
        Axis(low, 3.0 * high, 'power (m²/Hz)', log=True), shape='wide tall', detail=detail)
    for name, label, power in curves:
        panel.line(name, label, hertz[above], np.maximum(power[above], low * 1e-3),
                   look='dash' if name == 'truth' else 'line')
    return panel


def whiteness_panel(judged: Judged) -> Optional[Panel]:
    """Return the innovations' autocorrelation beside what chance alone would give."""
    values, lags = (np.asarray(judged.series.get(key, ()), dtype=float)[1:]
                    for key in ('acf', 'acf_lags'))
    if not np.isfinite(values).any():
        return None
    bound = 1.96 / np.sqrt(max(len(judged.run.stamps_ns), 1))
    reach = float(max(np.nanmax(np.abs(values)) * 1.15, 3.0 * bound))
    panel = Panel('Autocorrelation of the innovations', Axis(
        0.0, float(lags[-1]) + 1.0, 'lag (messages)'), Axis(-reach, reach, 'correlation'),
        note='Within the band nothing is left that could still be predicted.')
    panel.span('band', '95 % by chance', -bound, bound, across=False)
    edges = np.stack([lags - 0.3, lags + 0.3], 1).ravel()
    heights = np.stack([np.where(np.isfinite(values), values, 0.0),
                        np.zeros(len(values))], 1).ravel()[:-1]
    panel.bars('smooth', '', edges, heights)
    return panel
