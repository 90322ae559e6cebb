# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What of a run is judged: which messages, on which axes, against what."""

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np

from liquid_ros.errors import InputError
from liquid_ros.evaluation import metrics
from liquid_ros.evaluation.alignment import Alignment, between_frames, tells, turn_sigma_deg
from liquid_ros.evaluation.runs import Run
from liquid_ros.manifold import quat_normalise

TURN_SURE_DEG = 1.0  # where no rotations are judged


@dataclass(frozen=True)
class View:
    """
    A run near its own origin.

    times_s: (N,). raw: (N, 3 | 7). axes: the position axes that are judged.
    settled: (N,) bool, past the first second and ten messages. pieces: of those.
    origin: (3,) what was taken from positions.
    truth: (N, 3 | 7), NaN where there is none; moved into the messages' frame by alignment
    where the two differ, without rotations where it cannot be told how far those are turned.
    turn_deg: how far, where they differ and it can be told. judged: (N,) bool, settled and with
    truth. judged_pieces: of those. turns: whether rotations can be judged.
    """

    times_s: np.ndarray
    raw: np.ndarray
    starts: np.ndarray
    axes: Tuple[int, ...]
    settled: np.ndarray
    pieces: List[np.ndarray]
    origin: np.ndarray
    truth: Optional[np.ndarray]
    alignment: Optional[Alignment]
    turn_deg: Optional[float]
    judged: np.ndarray
    judged_pieces: List[np.ndarray]
    turns: bool

    def local(self, rows: np.ndarray) -> np.ndarray:
        """Return rows (N, 3 | 7) less the origin."""
        out = rows.astype(float)
        out[:, :3] -= self.origin
        return out

    @property
    def offset_m(self) -> Optional[float]:
        """Return how far apart the two frames put the judged trajectory, in the mean."""
        if self.alignment is None or self.truth is None:
            return None
        here = self.positions(self.truth)[self.judged]
        there = (here - self.alignment.translation) @ self.alignment.rotation
        return float(np.linalg.norm(np.mean(here - there, axis=0)))

    def positions(self, local: np.ndarray) -> np.ndarray:
        """Return (N, A): the judged axes."""
        return local[:, list(self.axes)]


def view(run: Run, axes: Optional[Sequence[int]] = None) -> View:
    """
    Return what of a run is judged.

    axes: position axes; by default those that move in the messages and, with truth, are in it.
    Errors: InputError for an empty run or an axis other than 0, 1, 2.
    """
    if not len(run.raw):
        raise InputError(f'{run.name}: got no messages, expected at least one')
    if axes is not None and (not len(axes) or not all(axis in (0, 1, 2) for axis in axes)):
        raise InputError(f'{run.name}: got axes {tuple(axes)}, expected some of 0, 1, 2')
    starts = run.starts.copy()
    starts[0] = True
    times_s, origin = run.times_s, np.nan_to_num(run.raw[0, :3])
    raw = run.raw.astype(float)
    raw[:, :3] -= origin
    if raw.shape[1] == 7:
        raw[:, 3:] = quat_normalise(raw[:, 3:])
    settled = _settled(times_s, starts)
    truth = None if run.truth is None else run.truth.astype(float)
    if truth is not None:
        truth[:, :3] -= origin
        if truth.shape[1] == 7:
            with np.errstate(invalid='ignore'):  # of zeros: there is none
                truth[:, 3:] = quat_normalise(truth[:, 3:])
        if not np.isfinite(truth).any():
            truth = None
    chosen = tuple(sorted(set(axes))) if axes is not None else moving(raw, truth)
    judged = np.zeros(len(raw), dtype=bool)
    alignment, turn_deg, turns = None, None, False
    if truth is not None:
        known = np.isfinite(truth[:, list(chosen)]).all(1)
        turns = raw.shape[1] == truth.shape[1] == 7 and bool(np.isfinite(truth[known]).all())
        judged = settled & known
        there, here = (rows[judged][:, list(chosen)] for rows in (truth, raw))
        alignment = between_frames(there, here)
        if alignment is not None:
            error_deg = turn_sigma_deg(alignment, there, here)
            truth = alignment.moved_rows(truth, chosen)
            if tells(error_deg, run.smooth[judged, 3:], truth[judged, 3:]
                     ) if turns else error_deg <= TURN_SURE_DEG:
                turn_deg = alignment.angle_deg
            else:
                truth, turns = truth[:, :3], False
    return View(times_s, raw, starts, chosen, settled,
                metrics.pieces_of(times_s, starts, settled), origin, truth, alignment, turn_deg,
                judged, metrics.pieces_of(times_s, starts, judged), turns)


def _settled(times_s: np.ndarray, starts: np.ndarray) -> np.ndarray:
    # a clock may go back where a run begins anew
    elapsed_s = np.cumsum(np.where(starts, 0.0, np.diff(times_s, prepend=times_s[0])))
    return metrics.scored(elapsed_s)


def moving(raw: np.ndarray, truth: Optional[np.ndarray]) -> Tuple[int, ...]:
    """Return the axes that ever change and that the truth has, all of those if none moves."""
    there = [axis for axis in range(3)
             if truth is None or np.isfinite(truth[:, axis]).any()] or [0, 1, 2]
    return tuple(axis for axis in there if np.ptp(raw[:, axis]) > 0.0) or tuple(there)
