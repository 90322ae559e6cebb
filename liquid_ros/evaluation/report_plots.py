# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The panels of a stream: its path, its axes, its errors, and what its innovations say."""

from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from liquid_ros.evaluation import report_scene as scenes
from liquid_ros.evaluation.report_curves import spectrum_panel, tradeoff_panel, whiteness_panel
from liquid_ros.evaluation.report_scene import Coordinate, length_unit, NAMES, Scene, spread, Unit
from liquid_ros.evaluation.report_svg import Axis, Panel
from liquid_ros.evaluation.runs import Judged

ASPECT = 1.5  # of a path's frame, as the style sheet has it
TAIL = 0.004  # of the input may lie beyond the frame, where ticks tell of it
# Quantiles of chi-square, 2.5 and 97.5 %, for as many degrees of freedom as axes move.
NIS_95 = {1: (0.00098, 5.0239), 2: (0.0506, 7.3778), 3: (0.2158, 9.3484)}
STILL = 1e-7  # in the unit that is drawn
NIS_MEAN = 50  # messages in a running mean
RAW = 'raw'
# Of a Coordinate, in the order they are drawn: the smoother's own name is its label.
SERIES = (('raw', RAW, 'line'), ('offline', 'in hindsight (RTS)', 'line'), ('smooth', '', 'line'),
          ('truth', 'truth', 'dash'))
Window = Optional[Tuple[float, float]]


class Group(NamedTuple):
    """Panels under one heading."""

    title: str
    panels: List[Panel]
    note: str = ''


def panels(judged: Judged, shown: Scene, detail: int) -> List[Group]:
    """Return the headed groups of a stream's panels; what cannot be drawn is left out."""
    axes = scenes.coordinates(shown)
    seconds = windows(shown)
    moving = [i for i, axis in enumerate(axes) if not still(axis)] or list(range(len(axes)))
    rows = [panel for i in moving for panel in (
        axis_panel(shown, axes[i], seconds[i], i, detail),
        zoom_panel(shown, axes[i], seconds[i], i, detail), error_panel(shown, i, detail))]
    constant = ', '.join(axis.name for i, axis in enumerate(axes) if i not in moving)
    across = max(axes[:2], key=lambda axis: reach(axis.smooth))  # further along it
    groups: List[Tuple[str, List[Optional[Panel]], str]] = [
        ('Path', [path_panel(shown, axes[0], axes[1], 'Top view', detail),
                  path_panel(shown, across, axes[2], 'Side view', detail)], ''),
        ('Axes', rows, f'Constant and not drawn: {constant}.' if constant else ''),
        ('Error', [norm_panel(judged, shown, judged_axes(judged), detail),
                   norm_panel(judged, shown, [3, 4, 5], detail)], ''),
        ('Rough or late', [tradeoff_panel(judged, shown), spectrum_panel(judged, detail)], ''),
        ('Innovations and timing', [nis_panel(judged, shown, detail), whiteness_panel(judged),
                                    interval_panel(shown)], '')]
    kept = [Group(title, [panel for panel in group if panel is not None], note)
            for title, group, note in groups]
    return [group for group in kept if group.panels]


def still(axis: Coordinate) -> bool:
    """Return whether nothing of a coordinate ever changes."""
    parts = (axis.raw, axis.smooth, axis.truth)
    limits = [spread([part], 0.0) for part in parts if part is not None]
    return all(ends is not None and ends[1] - ends[0] < STILL for ends in limits)


def reach(values: np.ndarray) -> float:
    """Return how far values (N,) go, the last hundredths aside."""
    low, high = spread([], 0.0, 0.01, [values]) or (0.0, 0.0)
    return high - low


def path_panel(shown: Scene, across: Coordinate, up: Coordinate, title: str, detail: int
               ) -> Optional[Panel]:
    """Return the path in a plane, the same scale along both axes."""
    bounds = [spread([p for p in (axis.smooth, axis.truth) if p is not None], 0.0, 2 * TAIL,
                     [axis.raw]) for axis in (across, up)]
    (left, right), (low, high) = (limits or (0.0, 0.0) for limits in bounds)
    if None in bounds:
        return None
    half = 0.5 * max(high - low, (right - left) / ASPECT, 1e-3)
    middles, halves = (0.5 * (left + right), 0.5 * (low + high)), (ASPECT * half, half)
    panel = Panel(title, *(Axis(middle - size, middle + size, axis.label) for axis, middle, size in
                           zip((across, up), middles, halves)), shape='path', detail=detail)
    for name, label, look in SERIES:
        x, y = getattr(across, name), getattr(up, name)
        if x is None or y is None or (name == 'offline' and across.truth is not None):
            continue
        look = 'dots' if name == 'raw' else look
        panel.line(name, label or shown.run.smoother, x, y, shown.begins, look, whole=True)
    return panel


def time_axis(shown: Scene, low: Optional[float] = None, high: Optional[float] = None) -> Axis:
    """Return the run's time, or a part of it."""
    first, last = float(shown.times.min()), float(shown.times.max())
    if low is None or high is None:
        low, high = first, last if last > first else first + 1.0
    return Axis(low, high, f'time ({shown.time_unit.name})')


def windows(shown: Scene) -> List[Window]:
    """Return the second in which each axis is worst; None where the run is hardly longer."""
    gap = shown.error
    if gap is None:  # nothing to judge by: where smoothing changed most
        gap = scenes.difference(shown.run.smooth, shown.run.raw)
    found = [scenes.worst(shown, column) for column in gap.T]
    return [(low, high) if np.ptp(shown.times) > 1.5 * (high - low) else None
            for low, high in found]


def axis_panel(shown: Scene, axis: Coordinate, zoomed: Window, i: int, detail: int
               ) -> Optional[Panel]:
    """Return one axis over the whole run."""
    limits = spread([p for p in (axis.smooth, axis.truth) if p is not None], least(i), TAIL,
                    [axis.raw])
    if limits is None:
        return None
    panel = Panel(axis.name, time_axis(shown), Axis(*limits, axis.label), detail=detail,
                  synced=True)
    if zoomed is not None:
        panel.span('worst', shown.second, *zoomed)
    _lines(panel, shown, axis, np.ones(len(shown.times), dtype=bool), True)
    return panel


def zoom_panel(shown: Scene, axis: Coordinate, zoomed: Window, i: int, detail: int
               ) -> Optional[Panel]:
    """Return one axis around its worst second."""
    if zoomed is None:
        return None
    low, high = zoomed
    view = (low - 0.15 * (high - low), high + 0.15 * (high - low))
    inside = (shown.times >= view[0]) & (shown.times <= view[1])
    limits = spread([p[inside] for p in (axis.smooth, axis.truth, axis.offline) if p is not None],
                    least(i), 0.03, [axis.raw[inside]])
    if limits is None or inside.sum() < 2:
        return None
    panel = Panel(f'{axis.name}, {shown.second}', time_axis(shown, *view),
                  Axis(*limits, axis.label), shape='zoom', detail=detail)
    panel.span('worst', '', low, high)
    _lines(panel, shown, axis, inside, False)
    panel.line('raw', RAW, shown.times[inside], axis.raw[inside], look='dots', whole=True,
               keyed=False)
    return panel


def least(i: int) -> float:
    """Return the least span that an axis is drawn with: 1 mm (or um) or a hundredth degree."""
    return 1e-3 if i < 3 else 1e-2


def _lines(panel: Panel, shown: Scene, axis: Coordinate, inside: np.ndarray, named: bool) -> None:
    times, begins = shown.times[inside], shown.begins[inside]

    def torn(values: np.ndarray) -> np.ndarray:
        if not axis.label.endswith('(deg)'):
            return begins
        with np.errstate(invalid='ignore'):
            return begins | (np.abs(np.diff(values, prepend=values[:1])) > 180.0)

    for name, label, look in SERIES:
        values = getattr(axis, name)
        if values is not None and (name != 'offline' or axis.truth is None):
            panel.line(name, label or shown.run.smoother, times, values[inside],
                       torn(values[inside]), look, keyed=named)
    panel.edges('raw', times, axis.raw[inside])


def error_panel(shown: Scene, i: int, detail: int) -> Optional[Panel]:
    """Return an axis' error over time within two standard deviations of what is stated."""
    if shown.error is None or shown.raw_error is None:
        return None
    error, raw, sigma = (a[:, i] for a in (shown.error, shown.raw_error, shown.two_sigma))
    known = sigma[np.isfinite(sigma)]
    limits = spread([error], 0.0, 0.02, [raw, known, -known])
    if limits is None:
        return None
    unit = Unit('deg', 1.0) if i >= 3 else length_unit(max(map(abs, limits)))
    reach = max(max(map(abs, limits)) * unit.factor, least(i))
    panel = Panel(f'{NAMES[i]}, off {shown.reference_name}', time_axis(shown),
                  Axis(-reach, reach, f'error ({unit.name})'), detail=detail, synced=True,
                  shape='zoom dense')
    panel.band('smooth', 'stated ±2σ', shown.times, -sigma * unit.factor, sigma * unit.factor,
               shown.begins)
    panel.dots('raw', RAW, shown.times, raw * unit.factor, keyed=False)
    panel.line('smooth', shown.run.smoother, shown.times, error * unit.factor, shown.begins,
               keyed=False)
    return panel


def judged_axes(judged: Judged) -> List[int]:
    """Return the position axes that count."""
    return [i for i in range(3) if NAMES[i] in judged.stream.get('axes', 'xyz')]


def norm_panel(judged: Judged, shown: Scene, group: Sequence[int], detail: int
               ) -> Optional[Panel]:
    """Return the distance, or the angle, to the reference over time."""
    times, begins, name = shown.times, shown.begins, shown.reference_name
    series, turn = judged.series, group[0] == 3
    if shown.error is not None and shown.raw_error is not None:
        told = [i for i in group if i < shown.error.shape[1]
                and np.isfinite(shown.error[:, i]).any()]
        error, raw, sigma = (length(a[:, told])
                             for a in (shown.error, shown.raw_error, shown.two_sigma))
    elif not turn and 'error_smooth' in series:
        index, name = series['index'], 'a Kalman smoother in hindsight'
        error, raw = series['error_smooth'], series['error_raw']
        sigma = length(shown.two_sigma[index][:, list(group)])
        times, begins = times[index], np.diff(np.cumsum(begins)[index], prepend=-1) > 0
    else:
        return None
    positive = [a[np.isfinite(a) & (a > 0.0)] for a in (error, raw)]
    every = np.concatenate(positive)
    if not every.size:
        return None
    high = float(every.max())
    low = max(float(np.quantile(every, 0.01)) / 2.0, high * 1e-6)
    unit = Unit('deg', 1.0) if turn else length_unit(high)
    panel = Panel(f'{"Angle off" if turn else "Distance from"} {name}', time_axis(shown), Axis(
        low * unit.factor, 1.3 * high * unit.factor, f'error ({unit.name})', log=True),
        detail=detail, synced=True, shape='wide dense')
    panel.dots('raw', RAW, times, raw * unit.factor)
    panel.line('smooth', shown.run.smoother, times, error * unit.factor, begins)
    panel.line('sigma', 'stated 2σ', times, sigma * unit.factor, begins)
    return panel


def length(rows: np.ndarray) -> np.ndarray:
    """Return the norms (N,) of rows, finite for huge ones."""
    return np.sqrt(np.sum(np.clip(rows, -scenes.FAR, scenes.FAR) ** 2, axis=1))


def nis_panel(judged: Judged, shown: Scene, detail: int) -> Optional[Panel]:
    """Return the normalised innovation squared, its running mean and its 95 % band."""
    nis = shown.run.nis
    known = nis[np.isfinite(nis) & (nis > 0.0)]
    if not known.size:
        return None
    live = max(1, int(np.sum(np.ptp(shown.run.raw[:, :3], axis=0) > 0.0)))
    expected = judged.stream.get('nis_expected_position') or float(live)
    low = max(min(float(np.quantile(known, 0.01)), 0.1), 1e-3)
    high = max(float(known.max()), 20.0)
    panel = Panel('Normalised innovation squared', time_axis(shown),
                  Axis(low, min(high, 1e6), 'NIS', log=True), detail=detail, synced=True,
                  note=f'{expected:.3g} is expected on average, and 95 % within the band.')
    low_95, high_95 = NIS_95[live]
    panel.span('band', '95 %', expected / live * low_95, expected / live * high_95, across=False)
    names = (('position', 'smooth'), ('rotation', 'turn'))[:nis.shape[1]]
    for i, (_, series) in enumerate(names):
        panel.dots(series + ' faint', '', shown.times, nis[:, i])
    for i, (name, series) in enumerate(names):
        mean = running_mean(nis[:, i])
        panel.line(series, f'{name}, mean of {NIS_MEAN}', shown.times, mean, shown.begins)
    return panel


def running_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean of the newest NIS_MEAN values (N,), of those that are numbers."""
    sound = np.isfinite(values)
    sums = [np.concatenate([[0.0], np.cumsum(part)]) for part in (
        np.where(sound, values, 0.0), sound)]
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - NIS_MEAN, 0)
    with np.errstate(all='ignore'):
        return (sums[0][last] - sums[0][first]) / (sums[1][last] - sums[1][first])


def interval_panel(shown: Scene) -> Optional[Panel]:
    """Return how often each time between messages came; the last bar holds all longer ones."""
    dt_ms = 1e3 * np.diff(shown.run.times_s)[~shown.begins[1:]]
    if not dt_ms.size:
        return None
    middle = float(np.median(dt_ms))
    reach = max(2.0 * middle, min(1.2 * float(np.quantile(dt_ms, 0.995)), 20.0 * middle))
    edges = np.linspace(0.0, reach, 61)
    counts, _ = np.histogram(np.minimum(dt_ms, edges[-1]), edges)
    beyond = int((dt_ms > edges[-1]).sum())
    note = f'{beyond} longer ones stand in the last bar; the longest took ' \
        f'{dt_ms.max():.4g} ms.' if beyond else ''
    most = float(counts.max())
    panel = Panel('Time between messages', Axis(0.0, reach, 'dt (ms)'), Axis(
        0.7, 1.5 * most, 'messages', log=True) if most > 20.0 else Axis(
            0.0, 1.1 * most, 'messages'), note=note)
    panel.bars('smooth', '', edges, counts)
    return panel
