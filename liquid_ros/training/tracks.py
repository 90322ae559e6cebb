# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Recorded streams to learn from, and how well a smoother expects their messages.

What a smoother expects of message k, h messages before it, is wrong by nu; a group of three axes
costs log(1 + nu^2 / (4 s)) (4 + 3) / 2: Student's t of four degrees of freedom, of which a gross
outlier costs all smoothers about the same. s is of the group and h, from the innovations of the
weights one begins with, and the same for all that are compared. One message ahead the filter's
noise levels show, further ahead its motion. All of it in NumPy, without torch.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from liquid_ros.errors import InputError
from liquid_ros.fused import Fused
from liquid_ros.manifold import minus, unit_rows
from liquid_ros.packing import Layout
from liquid_ros.smoothers.base import Smoother, State
from liquid_ros.timing import NS_PER_S

DEGREES = 4.0
COST = 0.5 * (DEGREES + 3.0)
MEDIAN = 2.366  # of chi-square of three degrees
BLOCK = 2000  # messages whose states are in memory at once
FEWEST = 60  # usable messages of a recording
SHORTEST = 20  # messages of a run that is used at all
# What a prediction is made from.
NEEDED = ('rows', 'motion', 'covariance', 'output_rows', 'output_motion', 'output_covariance',
          'process', 'output_besides', 'clock', 'stamps', 'grain', 'stated')


class Track(NamedTuple):
    """
    A run of a stream with no restart in it, T messages, A axes.

    stamps_ns: (T,) int64, rising. rows: (T, 3 | 7). truth: (T, 3 | 7), NaN where it is not known.
    variances: (T, A) the messages' own, NaN where none is stated.
    """

    name: str
    stamps_ns: np.ndarray
    rows: np.ndarray
    truth: Optional[np.ndarray] = None
    variances: Optional[np.ndarray] = None

    def dt_s(self) -> np.ndarray:
        """Return (T,), the first one 0."""
        return np.diff(self.stamps_ns, prepend=self.stamps_ns[:1]) / NS_PER_S


class Parts(NamedTuple):
    """Messages to learn from are before fit, those to stop by before stop, then to judge by."""

    fit: int
    stop: int


class Prepared(NamedTuple):
    """
    A track with what the weights one begins with make of it.

    scale: (G, H) the s of a group and of how far ahead; 0 where the group never moves.
    marks: messages after which the state is known. states: (K, S), packed, of layout.
    """

    track: Track
    parts: Parts
    scale: np.ndarray
    marks: List[int]
    states: np.ndarray
    layout: Layout


class Followed(NamedTuple):
    """A smoother's way through a track: rows (T, 3 | 7), and all it takes to predict."""

    rows: np.ndarray
    needed: State
    marks: List[int]
    states: np.ndarray
    layout: Layout


def follow(smoother: Smoother, track: Track, every: int = 0) -> Followed:
    """Return what a smoother makes of a track; its state is kept after every so many messages."""
    rows = unit_rows(track.rows)
    dt_s, said = track.dt_s()[:, None], track.variances
    state, estimate = smoother.init(rows[:1], None if said is None else said[:1])
    layout = Layout.of(state)
    packed = np.ascontiguousarray(layout.pack(state))
    count, fast = len(rows), isinstance(smoother, Fused)
    out = np.empty_like(rows)
    block = np.empty((BLOCK, layout.size))
    needed: List[State] = []
    marks, kept = [], []
    for k in range(count):
        if k:
            at, own = slice(k, k + 1), None if said is None else said[k:k + 1]
            if fast:
                answer = smoother.step_packed(packed, rows[at], dt_s[at], own)  # type: ignore
                out[k] = answer[0, :rows.shape[1]]
            else:
                state, estimate = smoother.step(state, rows[at], dt_s[at], own)
                packed, out[k] = layout.pack(state), estimate.rows[0]
        else:
            out[0] = estimate.rows[0]
        block[k % BLOCK] = packed[0]
        if every and k % every == 0:
            marks.append(k)
            kept.append(packed[0].copy())
        if k % BLOCK == BLOCK - 1 or k == count - 1:
            whole = layout.unpack(block[:k % BLOCK + 1])
            needed.append({name: whole[name].copy() for name in NEEDED})
    return Followed(out, {name: np.concatenate([part[name] for part in needed])
                          for name in NEEDED}, marks, np.array(kept), layout)


def missed(smoother: Smoother, track: Track, followed: Followed, horizons: Sequence[int]
           ) -> np.ndarray:
    """Return (T, G, H) squared distances of messages from what was expected; NaN: nothing was."""
    rows = unit_rows(track.rows)
    count = len(rows)
    out = np.full((count, minus(rows[:1], rows[:1]).shape[1] // 3, len(horizons)), np.nan)
    for j, ahead in enumerate(horizons):
        if count <= ahead:
            continue
        dt_s = (track.stamps_ns[ahead:] - track.stamps_ns[:-ahead]) / NS_PER_S
        before = {name: array[:-ahead] for name, array in followed.needed.items()}
        with np.errstate(all='ignore'):
            expected = smoother.predict(before, dt_s[:, None]).rows
            apart = minus(rows[ahead:], expected)
        out[ahead:, :, j] = (apart.reshape(len(apart), -1, 3)**2).sum(-1)
    out[1:][(rows[1:] == rows[:-1]).all(1)] = np.nan  # what is sent again teaches nothing
    return out


def cost(square: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return (T,) what messages cost, in nats; square (T, G, H), scale (G, H). NaN: unknown."""
    live = scale > 0.0
    each = COST * np.log1p(square[:, live] / (DEGREES * scale[live]))
    each = np.where(np.isnan(square[:, live]), np.nan, np.where(np.isfinite(each), each, 1e3))
    known = np.isfinite(each)
    return np.where(known.any(1), np.where(known, each, 0.0).sum(1) / np.maximum(known.sum(1), 1),
                    np.nan)


def scale_of(square: np.ndarray, track: Track) -> np.ndarray:
    """
    Return (G, H) the s of squared distances (T, G, H), 0 where a group never moves.

    It is bounded by the grain, and by what rare motion of a stream that mostly rests makes of it.
    """
    moved = np.abs(minus(track.rows[1:], track.rows[:-1])).reshape(len(track.rows) - 1, -1, 3)
    live = moved.max((0, 2)) > 0.0
    least = np.where(moved > 0.0, moved, np.inf).min((0, 2))
    grain = np.where(np.isfinite(least), least, 0.0)**2 / 4.0  # three axes of d^2 / 12
    known = np.where(np.isfinite(square), square, np.nan)
    with np.errstate(all='ignore'):
        middle = np.nanmedian(known, axis=0) / MEDIAN
        usual = 1e-3 * np.nanmean(np.minimum(known, 1e6 * np.nanmedian(known, axis=0) + grain[
            :, None]), axis=0)
    size = np.maximum(np.maximum(np.nan_to_num(middle), np.nan_to_num(usual)), grain[:, None])
    return np.where(live[:, None], size, 0.0)


def divide(lengths: Sequence[int], held_out: float) -> List[Parts]:
    """Return the parts of a stream's runs: by time, the last share is held out, half for each."""
    total = sum(lengths)
    fit = round((1.0 - held_out) * total)
    stop = round((1.0 - 0.5 * held_out) * total)
    parts, before = [], 0
    for length in lengths:
        parts.append(Parts(min(max(fit - before, 0), length), min(max(stop - before, 0), length)))
        before += length
    return parts


def prepare(streams: Sequence[Sequence[Track]], start: Smoother, horizons: Sequence[int],
            held_out: float, every: int) -> List[Prepared]:
    """
    Return the runs of a recording's streams, ready to learn from.

    Errors: InputError where there are too few messages, or they are all the same.
    """
    done: List[Prepared] = []
    told: List[str] = []
    for runs in streams:
        usable, begun = sum(len(run.rows) for run in runs), len(runs)
        runs = [run for run in runs if len(run.rows) >= SHORTEST]
        count = sum(len(run.rows) for run in runs)
        if count < FEWEST:
            told.append(f'got {usable} messages in {begun} stretch{"es" * (begun != 1)} without '
                        f'a gap or step back in time, expected {FEWEST} or more, {SHORTEST} or '
                        'more in a stretch')
            continue
        if all((run.rows == run.rows[0]).all() for run in runs):
            told.append(f'all {count} messages of {runs[0].name} are the same: there is nothing '
                        'to learn from')
            continue
        for run, parts in zip(runs, divide([len(run.rows) for run in runs], held_out)):
            way = follow(start, run, every)
            square = missed(start, run, way, horizons)
            size = scale_of(square[:parts.fit] if parts.fit > FEWEST // 2 else square, run)
            done.append(Prepared(run, parts, size, way.marks, way.states, way.layout))
    if not done:
        raise InputError('; '.join(dict.fromkeys(told)) or 'got no messages')
    return done


def states_at(items: Sequence[Tuple[Prepared, int]]) -> Dict[str, np.ndarray]:
    """Return the states (N, ...) after marks of tracks, given by their number."""
    packed = np.stack([item.states[mark] for item, mark in items])
    return {name: array.copy() for name, array in items[0][0].layout.unpack(packed).items()}


def width_of(items: Sequence[Prepared]) -> Any:
    """
    Return 3 or 7.

    Errors: InputError where there are points and poses.
    """
    widths = {item.track.rows.shape[1] for item in items}
    if len(widths) > 1:
        raise InputError('got points and poses, expected one of them: choose with --topic')
    return widths.pop()
