# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A run as it is drawn: in units that suit it, along axes that have names, against a reference."""

from dataclasses import dataclass
import math
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from liquid_ros.evaluation.metrics import gap_s
from liquid_ros.evaluation.report_svg import MINUS, number
from liquid_ros.evaluation.runs import Run
from liquid_ros.evaluation.view import View, view
from liquid_ros.manifold import minus, quat_normalise

NAMES = ('x', 'y', 'z', 'rotation x', 'rotation y', 'rotation z')
LENGTHS = ((1e4, 'km', 1e-3), (1.0, 'm', 1.0), (0.0, 'mm', 1e3))
TIMES = ((7200.0, 'h', 1.0 / 3600.0), (600.0, 'min', 1.0 / 60.0), (0.0, 's', 1.0))
WINDOW_S, WINDOW_ROWS = 1.0, 12
HALF_TURN = 180.0
FAR = 1e100  # its square is finite


class Unit(NamedTuple):
    """What an SI value is multiplied with to be shown under this name."""

    name: str
    factor: float


def length_unit(size_m: float) -> Unit:
    """Return km, m or mm for lengths of about this size."""
    return next(Unit(name, factor) for least, name, factor in LENGTHS if size_m >= least)


class Coordinate(NamedTuple):
    """One axis of a run, (N,) each, in its unit and less its offset."""

    name: str
    label: str
    raw: np.ndarray
    smooth: np.ndarray
    truth: Optional[np.ndarray]
    offline: Optional[np.ndarray]


@dataclass(frozen=True)
class Scene:
    """
    Arrays of a run as they are drawn.

    seen: what of it is judged.
    times: (N,) in time_unit. begins: (N,) bool, behind a gap, too. truth: (N, 3 | 7) in the
    messages' frame or None.
    reference_name: truth, hindsight, or nothing; error, raw_error: (N, A) off that, m and degrees.
    two_sigma: (N, A) of what the smoother states, alike.
    """

    run: Run
    seen: View
    times: np.ndarray
    time_unit: Unit
    begins: np.ndarray
    truth: Optional[np.ndarray]
    reference_name: str
    error: Optional[np.ndarray]
    raw_error: Optional[np.ndarray]
    two_sigma: np.ndarray

    @property
    def second(self) -> str:
        """Return what the second is called that is zoomed in on."""
        return 'worst second' if self.reference_name else 'most changed second'


def scene(run: Run) -> Scene:
    """Return how a run is drawn."""
    seconds = run.times_s
    span = float(np.ptp(seconds))
    unit = next(Unit(name, factor) for least, name, factor in TIMES if span >= least)
    seen = view(run)
    truth = known(truth_of(run, seen))
    reference = truth if truth is not None else known(run.offline)
    name = '' if reference is None else 'hindsight' if truth is None else 'truth'
    begins = run.starts.copy()
    begins[:1] = True
    steps = np.diff(seconds)
    if len(steps):  # where nothing was seen nothing is drawn
        begins[1:] |= (steps <= 0.0) | (steps > gap_s(steps))
    with np.errstate(all='ignore'):
        sigma = 2.0 * np.sqrt(run.variance)
    error, raw_error = (None if reference is None else difference(rows, reference)
                        for rows in (run.smooth, run.raw))
    return Scene(run, seen, seconds * unit.factor, unit, begins, truth, name, error, raw_error,
                in_degrees(sigma))


def truth_of(run: Run, seen: View) -> Optional[np.ndarray]:
    """
    Return the truth, as wide as the messages, in their frame: moved where it has another one.

    NaN are rotations that it does not tell.
    """
    truth = run.truth
    if seen.truth is not None and seen.alignment is not None:
        truth = seen.truth.copy()
        truth[:, :3] += seen.origin
    missing = 0 if truth is None else max(run.raw.shape[1] - truth.shape[1], 0)
    return truth if truth is None else np.pad(
        truth, ((0, 0), (0, missing)), constant_values=np.nan)


def known(rows: Optional[np.ndarray]) -> Optional[np.ndarray]:
    """Return rows that have a position somewhere, else None."""
    return rows if rows is not None and np.isfinite(rows[:, :3]).any() else None


def in_degrees(tangent: np.ndarray) -> np.ndarray:
    """Return tangents (N, A) with their rotations in degrees."""
    return np.concatenate([tangent[:, :3], np.degrees(tangent[:, 3:])], axis=1)


def difference(rows: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return rows less a reference, (N, A) in m and degrees."""
    with np.errstate(all='ignore'):
        return in_degrees(minus(rows, reference))


def coordinates(shown: Scene) -> List[Coordinate]:
    """Return the axes of a run: positions, then rotation vectors from its mean orientation."""
    run = shown.run
    kinds = (run.raw, run.smooth, shown.truth, known(run.offline))
    columns = [_columns(kinds, i) for i in range(3)]
    offsets, units = zip(*(offset_of(*_reach(parts)) for parts in columns))
    unit = min(units, key=lambda unit: unit.factor)
    found = [_coordinate(name, axis_label(name, offset, unit), [
        None if part is None else (part - offset) * unit.factor for part in parts])
        for name, offset, parts in zip(NAMES, offsets, columns)]
    if run.raw.shape[1] == 7:
        centre = mean_quat(run.smooth[:, 3:])
        leader = turned(run.smooth, centre)
        turns = [None if rows is None else nearest(turned(rows, centre), leader)
                 for rows in kinds]
        found += [_coordinate(NAMES[3 + i], f'{NAMES[3 + i]} (deg)', _columns(turns, i))
                  for i in range(3)]
    return found


def _columns(kinds: Sequence[Optional[np.ndarray]], i: int) -> List[Optional[np.ndarray]]:
    return [None if rows is None else rows[:, i] for rows in kinds]


def _coordinate(name: str, label: str, parts: Sequence[Any]) -> Coordinate:
    raw, smooth, truth, offline = parts
    return Coordinate(name, label, raw, smooth, truth, offline)


def _reach(parts: Sequence[Optional[np.ndarray]]) -> Tuple[float, float]:
    every = np.concatenate([part[np.isfinite(part)] for part in parts if part is not None])
    low, high = np.quantile(every, [0.005, 0.995]) if every.size else (0.0, 0.0)
    return float(low), float(high)


def offset_of(low_m: float, high_m: float) -> Tuple[float, Unit]:
    """Return what is taken off a coordinate, in m, where its digits would be many; its unit."""
    span = max(high_m - low_m, 1e-3)
    far = max(abs(low_m), abs(high_m))
    if far < 100.0 * span:
        return 0.0, length_unit(max(far, 1e-12))
    step = 10.0 ** math.ceil(math.log10(span))
    return round(0.5 * (low_m + high_m) / step) * step, length_unit(span)


def axis_label(name: str, offset_m: float, unit: Unit) -> str:
    """Return the label of a coordinate less its offset."""
    if offset_m == 0.0:
        return f'{name} ({unit.name})'
    return f'{name} {MINUS if offset_m > 0 else "+"} {short_length(abs(offset_m))} ({unit.name})'


def short_length(size_m: float) -> str:
    """Return a length in m with the digits it has."""
    return number(size_m, 3).rstrip('0').rstrip('.') + ' m'


def mean_quat(quats: np.ndarray) -> np.ndarray:
    """Return the mean orientation (4,) of unit quaternions (N, 4), signs aside."""
    sound = quats[np.isfinite(quats).all(1)]
    if not sound.size:
        return np.array([0.0, 0.0, 0.0, 1.0])
    return np.linalg.eigh(sound.T @ sound)[1][:, -1]


def turned(rows: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return rotation vectors (N, 3) in degrees from a centre (4,)."""
    with np.errstate(all='ignore'):
        quats = quat_normalise(rows[:, 3:])
    middle = np.concatenate([np.zeros(3), centre])
    flat = np.concatenate([np.zeros((len(rows), 3)), quats], axis=1)
    return in_degrees(minus(flat, np.broadcast_to(middle, flat.shape)))[:, 3:]


def nearest(turn: np.ndarray, leader: np.ndarray) -> np.ndarray:
    """Return rotation vectors, or those the other way around, whichever is nearer to leader."""
    angle = np.linalg.norm(turn, axis=1, keepdims=True)
    with np.errstate(all='ignore'):
        other = turn * (1.0 - 2.0 * HALF_TURN / angle)
        away = [np.linalg.norm(one - leader, axis=1, keepdims=True) for one in (turn, other)]
        return np.where(away[1] < away[0], other, turn)


def worst(shown: Scene, error: np.ndarray) -> Tuple[float, float]:
    """
    Return the limits, in time_unit, of the second in which an axis was worst.

    error: (N,); where it is 0 or NaN all along the middle of the run is taken. Slow streams get
    some messages more.
    """
    run = shown.run
    steps = np.where(shown.begins, 0.0, np.diff(run.times_s, prepend=run.times_s[:1]))
    clock = np.cumsum(steps)  # rises even where time goes back
    typical = float(np.median(steps[~shown.begins])) if not shown.begins.all() else 0.0
    width = max(WINDOW_S, WINDOW_ROWS * typical)
    size = np.minimum(np.where(np.isfinite(error), np.abs(error), 0.0), FAR)
    total = np.concatenate([[0.0], np.cumsum(size**2)])
    first = np.arange(len(clock))
    last = np.searchsorted(clock, clock + width, 'right')
    run_of = np.cumsum(shown.begins)
    within = run_of[last - 1] == run_of[first]
    mean = np.where(within, (total[last] - total[first]) / (last - first), -1.0)
    full = within & (clock + width <= clock[-1] + 1e-9) & (last - first >= WINDOW_ROWS // 2)
    mean = np.where(full, mean, -1.0) if full.any() else mean
    at = int(np.argmax(mean))
    if mean.max() <= 0.0:
        at = int(np.searchsorted(clock, 0.5 * max(clock[-1] - width, 0.0)))
    middle = 0.5 * (run.times_s[at] + run.times_s[last[at] - 1])
    scale = shown.time_unit.factor
    return (middle - 0.5 * width) * scale, (middle + 0.5 * width) * scale


def spread(parts: Sequence[np.ndarray], least: float, tail: float = 0.0,
           inner: Sequence[np.ndarray] = ()) -> Optional[Tuple[float, float]]:
    """
    Return limits that hold parts whole, and inner but for its tails; None where nothing is known.

    least: a span that is not gone below, in the values' unit.
    """
    known = [part[np.isfinite(part)] for part in parts]
    rest = [part[np.isfinite(part)] for part in inner]
    ends = [e for part in known if part.size for e in (part.min(), part.max())]
    ends += [e for part in rest if part.size for e in np.quantile(part, [tail, 1.0 - tail])]
    if not ends:
        return None
    low, high = float(min(ends)), float(max(ends))
    margin = 0.05 * (high - low) + 0.5 * max(0.0, least - (high - low))
    return low - margin, high + margin
