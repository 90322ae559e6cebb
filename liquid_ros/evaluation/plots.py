# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One figure that shows what smoothing did."""

from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Sequence, Tuple

import numpy as np

from liquid_ros.files import replacing

RAW, SMOOTH, TRUTH = '#9aa5b1', '#c8102e', '#111111'
LETTERS = 'xyz'
ZOOM_S = 3.0

STYLE = {
    'font.size': 8.0, 'axes.titlesize': 8.0, 'axes.titlelocation': 'left', 'axes.linewidth': 0.6,
    'axes.spines.top': False, 'axes.spines.right': False, 'xtick.major.width': 0.6,
    'ytick.major.width': 0.6, 'legend.frameon': False, 'lines.linewidth': 1.0,
    'svg.fonttype': 'none', 'figure.dpi': 200, 'savefig.dpi': 200,
}


@contextmanager
def sheet(path: Path, **options: Any) -> Iterator[Any]:
    """
    Yield an empty figure in STYLE, which is written at the end; options: pyplot.figure's.

    The format goes by the path's suffix; one without gets .png.
    Errors: ImportError without matplotlib.
    """
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    with matplotlib.rc_context(STYLE):
        figure = pyplot.figure(**options)
        yield figure
        path = path if path.suffix else path.with_suffix('.png')
        with replacing(path) as fresh:
            figure.savefig(fresh, format=path.suffix[1:].lower())
        pyplot.close(figure)


def plot(path: Path, times_s: np.ndarray, raw: np.ndarray, smooth: np.ndarray,
         truth: np.ndarray, axes: Sequence[int] = (0, 1, 2), title: str = '') -> None:
    """
    Write a figure of three panels: the path, one axis around its worst moment, the error.

    times_s: (N,). raw, smooth, truth: (N, 3 | 7); NaN rows of smooth are left out.
    axes: the position axes that the truth can judge. The format goes by the path's suffix.
    """
    with sheet(path, figsize=(7.0, 3.2), layout='constrained') as figure:
        grid = figure.add_gridspec(2, 2, width_ratios=(1.0, 1.45))
        _path(figure.add_subplot(grid[:, 0]), raw, smooth, truth, _widest(truth, axes))
        _zoom(figure.add_subplot(grid[0, 1]), times_s, raw, smooth, truth, axes)
        _error(figure.add_subplot(grid[1, 1]), times_s, raw, smooth, truth, list(axes))
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc='outside upper right', ncols=3, markerscale=3.0)
        figure.suptitle(title, x=0.01, ha='left', fontsize=9)


def _path(panel: Any, raw: np.ndarray, smooth: np.ndarray, truth: np.ndarray,
          sides: Tuple[int, int]) -> None:
    a, b = sides
    panel.plot(raw[:, a], raw[:, b], '.', ms=2.0, mew=0, color=RAW, label='raw')
    panel.plot(truth[:, a], truth[:, b], color=TRUTH, lw=0.7, ls=(0, (4, 2)), label='truth',
               zorder=3)
    panel.plot(smooth[:, a], smooth[:, b], color=SMOOTH, label='smoothed')
    (left, right), (low, high) = (_limits(truth[:, i], raw[:, i]) for i in sides)
    half = max(0.5 * (high - low), 0.4 * (right - left))  # a straight path gets some height
    panel.set_xlim(left, right)
    panel.set_ylim(0.5 * (low + high) - half, 0.5 * (low + high) + half)
    panel.set_aspect('equal')
    panel.set(xlabel=f'{LETTERS[a]} (m)', ylabel=f'{LETTERS[b]} (m)', title='path')


def _zoom(panel: Any, times_s: np.ndarray, raw: np.ndarray, smooth: np.ndarray,
          truth: np.ndarray, axes: Sequence[int]) -> None:
    axis, inside = _telling_view(times_s, raw, truth, axes)
    t = times_s[inside]
    panel.plot(t, raw[inside, axis], '.-', ms=3.5, mew=0, lw=0.4, color=RAW)
    panel.plot(t, truth[inside, axis], color=TRUTH, lw=0.7, ls=(0, (4, 2)), zorder=3)
    panel.plot(t, smooth[inside, axis], color=SMOOTH)
    panel.set_ylim(*_limits(truth[inside, axis], raw[inside, axis], 0.03))
    panel.margins(x=0)
    panel.set(ylabel=f'{LETTERS[axis]} (m)', title=f'{LETTERS[axis]} over {ZOOM_S:g} seconds')


def _error(panel: Any, times_s: np.ndarray, raw: np.ndarray, smooth: np.ndarray,
           truth: np.ndarray, axes: Sequence[int]) -> None:
    for rows, style, colour in ((raw, '.', RAW), (smooth, '-', SMOOTH)):
        error = np.linalg.norm(rows[:, axes] - truth[:, axes], axis=1)
        panel.plot(times_s, np.maximum(error, 1e-12), style, ms=2.0, mew=0, lw=0.7, color=colour)
    known = np.linalg.norm(raw[:, axes] - truth[:, axes], axis=1)
    panel.set_yscale('log')
    panel.set_ylim(max(np.quantile(known, 0.01), 1e-9) / 3.0, 1.5 * max(known.max(), 1e-8))
    panel.margins(x=0)
    panel.set(xlabel='time (s)', ylabel='error (m)', title='distance from the truth')


def _widest(truth: np.ndarray, axes: Sequence[int]) -> Tuple[int, int]:
    """Return the two axes along which the path reaches furthest."""
    reach = [np.ptp(truth[:, axis]) if axis in axes else -1.0 for axis in range(3)]
    order = sorted(range(3), key=lambda axis: -reach[axis])
    return order[0], order[1]


def _limits(truth: np.ndarray, raw: np.ndarray, tail: float = 0.005) -> Tuple[float, float]:
    """Return limits that hold the truth and the input, but not the tails with its outliers."""
    low = min(truth.min(), np.quantile(raw, tail))
    high = max(truth.max(), np.quantile(raw, 1.0 - tail))
    margin = 0.06 * max(high - low, 1e-9)
    return low - margin, high + margin


def _telling_view(times_s: np.ndarray, raw: np.ndarray, truth: np.ndarray,
                  axes: Sequence[int]) -> Tuple[int, np.ndarray]:
    """Return the axis, and (N,) bool of the window, where the noise shows most on the motion."""
    best = (-1.0, axes[0], np.ones(len(times_s), dtype=bool))
    error = np.abs(raw[:, :3] - truth[:, :3])
    last = max(times_s[-1] - ZOOM_S, times_s[0] + 1.0)
    for start in np.arange(times_s[0] + 1.0, last + 1e-9, 0.5):
        inside = (times_s >= start) & (times_s <= start + ZOOM_S)
        if inside.sum() < 10:
            continue
        for axis in axes:
            noise = np.mean(np.minimum(error[inside, axis], 10.0 * np.median(error[:, axis])))
            # a rest shows noise but not whether the output follows: some motion is wanted
            reach = np.ptp(truth[inside, axis])
            shown = noise * reach / (reach**2 + (30.0 * noise)**2 + 1e-30)
            if shown > best[0]:
                best = (float(shown), axis, inside)
    return best[1], best[2]
