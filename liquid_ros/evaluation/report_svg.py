# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Plots as inline SVG that takes its colours from the page's style sheet.

A panel's marks live on a grid of GRID x GRID units that is stretched over the plot area, its
ticks and their text are placed in per cent of it: text keeps its size at every width.
"""

from html import escape
import math
from typing import List, NamedTuple, Optional, Tuple

import numpy as np

GRID = 1000
FAR = 50 * GRID  # marks beyond the frame stay finite
MINUS = '\N{MINUS SIGN}'
Ticks = List[Tuple[float, str]]


class Axis(NamedTuple):
    """Limits in the unit of the label; log takes positive ones."""

    low: float
    high: float
    label: str
    log: bool = False

    def place(self, values: np.ndarray) -> np.ndarray:
        """Return where values lie, 0 at low and 1 at high; NaN stays NaN."""
        if not self.log:
            return (values - self.low) / (self.high - self.low)
        with np.errstate(divide='ignore', invalid='ignore'):
            return np.log(np.maximum(values, 1e-300) / self.low) / math.log(self.high / self.low)

    def ticks(self, most: int) -> Ticks:
        """Return the places, 0 to 1, and the texts of at most so many ticks."""
        values = _log_ticks(self.low, self.high, most) if self.log else []
        if len(values) < 2:
            for many in (most, most + 2):
                step = nice_step(self.high - self.low, many)
                first = math.ceil(self.low / step - 1e-9)
                last = math.floor(self.high / step + 1e-9)
                if last - first >= 2:
                    break
            decimals = max(0, -math.floor(math.log10(step) + 1e-9))
            texts = [(k * step, number(k * step, decimals)) for k in range(first, last + 1)]
        else:
            texts = [(value, short(value)) for value in values]
        places = self.place(np.array([value for value, _ in texts]))
        return [(float(place), text) for place, (_, text) in zip(places, texts)]


def nice_step(span: float, most: int) -> float:
    """Return 1, 2 or 5 times a power of ten, at most so many of which fill the span."""
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * m for m in (1.0, 2.0, 5.0, 10.0) if power * m >= rough * (1.0 - 1e-9))


def number(value: float, decimals: int) -> str:
    """Return a number with a true minus sign and thin gaps between thousands."""
    text = f'{value:,.{decimals}f}'.replace(',', '\N{NARROW NO-BREAK SPACE}')
    if not any(digit in text for digit in '123456789'):
        text = text.lstrip('-')
    return text.replace('-', MINUS)


def short(value: float) -> str:
    """Return a tick of a logarithmic axis: 0.01, 20, or 10 to some power."""
    if 1e-3 <= value < 1e5:
        return number(value, max(0, -math.floor(math.log10(value) + 1e-9)))
    mantissa, exponent = f'{value:.0e}'.split('e')
    raised = str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))
    return ('' if mantissa == '1' else mantissa + '·') + '10' + raised


def _log_ticks(low: float, high: float, most: int) -> List[float]:
    """Return 1, 2, 5, else 1 and 3, else powers of ten, as finely as they fit."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, -(-(last - first - 1) // (most + 1)))
    for steps in ((1, 2, 5), (1, 3), (1,)):
        values = [m * 10.0**k for k in range(first, last + 1) for m in steps
                  if len(steps) > 1 or k % every == 0]
        values = [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]
        if len(values) <= most + 1:
            break
    return values


def extremes(values: np.ndarray, pieces: int) -> np.ndarray:
    """
    Return rising indices that keep the least and the greatest of every column in each piece.

    values: (N, K), finite. Short ones are kept whole, no spike is ever lost.
    """
    size = -(-len(values) // pieces)
    if size <= 2 * values.shape[1]:
        return np.arange(len(values))
    at = np.minimum(np.arange(-(-len(values) // size) * size), len(values) - 1)
    parts = values[at].reshape(-1, size, values.shape[1])
    first = np.arange(len(parts))[:, None] * size
    found = [first + parts.argmin(1), first + parts.argmax(1)]
    ends = [[0, len(values) - 1]]
    return np.unique(np.minimum(np.concatenate([*map(np.ravel, found), *ends]), len(values) - 1))


def path_text(x: np.ndarray, y: np.ndarray, begins: np.ndarray, dotted: bool = False) -> str:
    """
    Return an SVG path through integer places (N,), with relative steps.

    begins: (N,) bool, where a piece of the line begins. dotted: no line at all but dots.
    """
    if dotted:
        at = np.unique(np.stack([x, y], 1), axis=0)
        step = np.diff(at, axis=0, prepend=[[0, 0]])
        return ''.join(f'm{a} {b}h0' for a, b in step.tolist()).replace(' -', '-')
    moved = begins | (np.diff(x, prepend=x[:1]) != 0) | (np.diff(y, prepend=y[:1]) != 0)
    x, y, begins = x[moved], y[moved], begins[moved]
    step = np.stack([np.diff(x, prepend=0), np.diff(y, prepend=0)], 1)
    cuts = [*np.flatnonzero(begins).tolist(), len(x)]
    text = []
    for first, last in zip(cuts, cuts[1:]):
        steps = ' '.join(map(str, step[first + 1:last].ravel().tolist()))
        text.append(f'M{x[first]} {y[first]}{"l" + steps if steps else "h0"}')
    return ''.join(text).replace(' -', '-')


class Panel:
    """
    One plot: marks are added, then it is told as HTML.

    detail: how many pieces a long line is cut into. shape: a class of the style sheet.
    synced: its x is the time that the section's plots share.
    """

    def __init__(self, title: str, x: Axis, y: Axis, *, shape: str = 'wide', detail: int = 400,
                 synced: bool = False, note: str = '') -> None:
        """Start with an empty frame."""
        self.title, self.x, self.y = title, x, y
        self.shape, self.detail, self.synced, self.note = shape, detail, synced, note
        self._marks: List[str] = []
        self._keys: List[Tuple[str, str, str]] = []

    def key(self, series: str, label: str, look: str) -> None:
        """Add an entry of the legend; look: line, dots, band or dash."""
        if label and (series, label, look) not in self._keys:
            self._keys.append((series, label, look))

    def line(self, series: str, label: str, x: np.ndarray, y: np.ndarray,
             begins: Optional[np.ndarray] = None, look: str = 'line', whole: bool = False,
             keyed: bool = True) -> None:
        """
        Add a line (N,), or dots.

        begins: (N,) bool, where it is interrupted, as it is by NaN. whole: extremes along x are
        kept, too. keyed: whether the legend has it.
        """
        place = np.stack([self.x.place(x), 1.0 - self.y.place(y)], 1)
        known = np.isfinite(place).all(1)
        if not known.any():
            return
        piece = np.cumsum(~known | (np.zeros(len(x), bool) if begins is None else begins))[known]
        place = place[known]
        at = extremes(place, self.detail) if whole else extremes(place[:, 1:], self.detail)
        grid = _grid(place[at])
        begin = np.diff(piece[at], prepend=piece[0] - 1) != 0
        text = path_text(grid[:, 0], grid[:, 1], begin, look == 'dots')
        self._mark(series, look, text, label)
        if keyed:
            self.key(series, label, look)

    def dots(self, series: str, label: str, x: np.ndarray, y: np.ndarray, keyed: bool = True
             ) -> None:
        """Add dots (N,); those above or below the frame become ticks at its edge."""
        self.line(series, label, x, y, look='dots', whole=True, keyed=keyed)
        self.edges(series, x, y)

    def edges(self, series: str, x: np.ndarray, y: np.ndarray) -> None:
        """Mark at the frame's edge where values lie above or below it."""
        across, up = self.x.place(x), self.y.place(y)
        inside = np.isfinite(up) & (across >= 0.0) & (across <= 1.0)
        text = ''
        for beyond, edge in ((up > 1.0, f' 0v{GRID // 25}'), (up < 0.0, f' {GRID}v-{GRID // 25}')):
            at = np.unique(np.round(across[inside & beyond] * GRID).astype(int))
            text += ''.join(f'M{place}{edge}' for place in at.tolist())
        if text:
            self._mark(series, 'edge', text)

    def band(self, series: str, label: str, x: np.ndarray, low: np.ndarray, high: np.ndarray,
             begins: Optional[np.ndarray] = None) -> None:
        """Add the area between two lines (N,)."""
        places = np.stack([self.x.place(x), 1.0 - self.y.place(low), 1.0 - self.y.place(high)], 1)
        known = np.isfinite(places).all(1)
        if not known.any():
            return
        piece = np.cumsum(~known | (np.zeros(len(x), bool) if begins is None else begins))[known]
        places = places[known]
        at = extremes(places[:, 1:], self.detail // 2)
        text = ''
        for inside in np.split(at, np.flatnonzero(np.diff(piece[at])) + 1):
            there = _grid(places[inside][:, :2])
            back = _grid(places[inside][::-1, ::2])
            x_y = np.concatenate([there, back])
            begin = np.arange(len(x_y)) == 0
            text += path_text(x_y[:, 0], x_y[:, 1], begin) + 'z'
        self._mark(series, 'band', text)
        self.key(series, label, 'band')

    def span(self, series: str, label: str, low: float, high: float, across: bool = True) -> None:
        """Add an area over the whole height of the frame from x low to high, or its width."""
        axis = self.x if across else self.y
        a, b = np.clip(np.round(axis.place(np.array([low, high])) * GRID), 0, GRID).astype(int)
        self._mark(series, 'band', f'M{a} 0H{b}V{GRID}H{a}z' if across
                   else f'M0 {GRID - a}H{GRID}V{GRID - b}H0z')
        self.key(series, label, 'band')

    def bars(self, series: str, label: str, edges: np.ndarray, heights: np.ndarray) -> None:
        """Add bars from the foot of the frame, or from 0; edges: (N + 1,), heights: (N,)."""
        x = _grid(np.stack([self.x.place(edges)] * 2, 1))[:, 0].tolist()
        foot = int(np.clip(round(GRID * float(1.0 - self.y.place(np.zeros(1))[0])), 0, GRID))
        foot = GRID if self.y.log else foot
        tops = _grid(np.stack([1.0 - self.y.place(heights)] * 2, 1))[:, 0].tolist()
        text = ''.join(f'M{a} {foot}V{top}H{b}V{foot}z' for a, b, top, height in zip(
            x, x[1:], tops, heights.tolist()) if height)
        self._mark(series, 'bars', text)
        self.key(series, label, 'band')

    def point(self, series: str, label: str, x: float, y: float) -> None:
        """Add one large point."""
        place = _grid(np.array([[self.x.place(np.array(x)), 1.0 - self.y.place(np.array(y))]]))
        self._mark(series, 'point', f'M{place[0, 0]} {place[0, 1]}h0')
        self.key(series, label, 'point')

    def html(self, name: str) -> str:
        """Return the figure; name: an id that is the page's only one."""
        keys = ''.join(f'<span class="key"><i class="{look} s-{series}"></i>{escape(label)}</span>'
                       for series, label, look in self._keys)
        said = ', '.join(label for _, label, _ in self._keys)
        axes = f'{self.y.label} against {self.x.label}: {said}' if said else self.y.label
        note = f'<p class="note">{escape(self.note)}</p>' if self.note else ''
        sync = ' data-sync' if self.synced else ''
        return (
            f'<figure class="{self.shape}"><figcaption><b id="{name}">{escape(self.title)}</b>'
            f'<span class="keys">{keys}</span></figcaption>'
            f'<div class="area"{sync} data-x="{_limits(self.x)}" data-y="{_limits(self.y)}">'
            f'<svg role="img" aria-labelledby="{name}" aria-describedby="{name}d">'
            f'<desc id="{name}d">{escape(axes)}</desc>{self._frame()}'
            f'<svg class="marks" viewBox="0 0 {GRID} {GRID}" preserveAspectRatio="none">'
            f'{"".join(self._marks)}</svg></svg>'
            f'<span class="ylabel">{escape(self.y.label)}</span>'
            f'<span class="xlabel">{escape(self.x.label)}</span></div>{note}</figure>')

    def _frame(self) -> str:
        across = self.x.ticks(4 if self.shape.startswith('zoom') else 6)
        up = self.y.ticks(4)
        lines = ''.join(f'<path d="M0 {_grid_y(at)}H{GRID}"/>' for at, _ in up)
        text = ''.join(f'<text y="{_per_cent(1.0 - at)}">{text}</text>' for at, text in up)
        below = ''.join(f'<text x="{_per_cent(at)}" y="100%">{text}</text>' for at, text in across)
        return (f'<svg class="grid" viewBox="0 0 {GRID} {GRID}" preserveAspectRatio="none">{lines}'
                f'</svg><rect class="frame" width="100%" height="100%"/>'
                f'<g class="yticks">{text}</g><g class="xticks">{below}</g>')

    def _mark(self, series: str, look: str, text: str, label: str = '') -> None:
        if text:
            name = f' data-name="{escape(label)}"' if label else ''
            self._marks.append(f'<path class="{look} s-{series}"{name} d="{text}"/>')


def _grid(places: np.ndarray) -> np.ndarray:
    return np.clip(np.round(places * GRID), -FAR, FAR).astype(np.int64)


def _grid_y(at: float) -> int:
    return round(GRID * (1.0 - at))


def _per_cent(at: float) -> str:
    return f'{100.0 * at:.4g}%'


def _limits(axis: Axis) -> str:
    return f'{axis.low:.9g} {axis.high:.9g} {int(axis.log)}'
