# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""StreamBank: many streams, one batched step; the boundary that node and replay share."""

from operator import index
from typing import Dict, Hashable, List, NamedTuple, Optional, Sequence

import numpy as np

from liquid_ros.arrays import tangent_size
from liquid_ros.backend import Backend, NumpyBackend
from liquid_ros.errors import InputError
from liquid_ros.smoothers.base import Estimate, Smoother, State
from liquid_ros.timing import ACCEPTED, Arrival, arrive, RESTARTS, TimePolicy

# A quaternion shorter than this names no rotation: senders leave it at zero when they know none.
MIN_QUAT_NORM = 1e-6

# Beyond this a coordinate is a driver's way to say "nothing"; the Sun is 1.5e11 m away.
MAX_ABS_VALUE = 1e12

DROP_REASONS = ('duplicate', 'late', 'non_finite', 'zero_quaternion', 'diverged')


class Update(NamedTuple):
    """
    One answer a message, in the order they came.

    accepted: (N,) bool; the other arrays' rows are NaN where it is False.
    reasons: why a message was dropped, one of DROP_REASONS; None for an accepted one.
    arrivals: what its stamp meant; None where the message was dropped before it was looked at.
    """

    accepted: np.ndarray
    reasons: List[Optional[str]]
    arrivals: List[Optional[Arrival]]
    estimate: Estimate


class StreamBank:
    """
    Keep the state of any number of streams and advance them together.

    width: 3 for x y z, 7 for x y z qx qy qz qw.
    Streams are told apart by a key and are made when their first message comes.
    """

    def __init__(self, smoother: Smoother, width: int, policy: TimePolicy = TimePolicy(),
                 backend: Optional[Backend] = None) -> None:
        """Start with no streams; the smoother's weights must live on the backend."""
        if width not in (3, 7):
            raise InputError(f'got rows of width {width}, expected 3 (x y z) or 7 (pose)')
        self.width = width
        self.policy = policy
        self._smoother = smoother
        self._backend: Backend = backend or NumpyBackend()
        self._row_of: Dict[Hashable, int] = {}
        self._free: List[int] = []
        self._last_ns: Dict[Hashable, int] = {}
        self._state: State = {}
        self._capacity = 0

    def reset(self, keys: Optional[Sequence[Hashable]] = None) -> None:
        """Forget these streams' past, or that of all; the next message starts them anew."""
        for key in (list(self._row_of) if keys is None else keys):
            self._last_ns.pop(key, None)
            if key in self._row_of:
                self._free.append(self._row_of.pop(key))

    def update(self, keys: Sequence[Hashable], stamps_ns: Sequence[int],
               rows: np.ndarray) -> Update:
        """
        Advance each stream by its message.

        keys: N stream names; where one comes more than once, in order.
        stamps_ns: N integer nanoseconds. rows: (N, width) float64.
        Errors: InputError where the lengths or the width do not fit, TypeError for a stamp that
        is no integer.
        """
        stamps_ns = [index(stamp) for stamp in stamps_ns]  # unsigned ones would wrap around
        rows = np.asarray(rows, dtype=np.float64)
        count = len(keys)
        if rows.shape != (count, self.width) or len(stamps_ns) != count:
            raise InputError(f'got {count} keys, {len(stamps_ns)} stamps and rows of shape '
                             f'{rows.shape}, expected ({count}, {self.width})')
        answer = self._blank(count)
        start = 0
        while start < count:  # a wave holds each key once
            seen = set()
            stop = start
            while stop < count and keys[stop] not in seen:
                seen.add(keys[stop])
                stop += 1
            self._wave(keys, stamps_ns, rows, range(start, stop), answer)
            start = stop
        return answer

    def _blank(self, count: int) -> Update:
        axes = tangent_size(self.width)

        def nan(columns: int) -> np.ndarray:
            return np.full((count, columns), np.nan)

        return Update(np.zeros(count, dtype=bool), [None] * count, [None] * count, Estimate(
            nan(self.width), nan(axes), nan(axes), nan(axes // 3), nan(axes // 3)))

    def _wave(self, keys: Sequence[Hashable], stamps_ns: Sequence[int], rows: np.ndarray,
              chosen: range, answer: Update) -> None:
        begins: List[int] = []
        steps: List[int] = []
        dts: List[float] = []
        for i in chosen:
            row = rows[i]
            reason = refuse(row)
            if reason is None:
                arrival, dt_s = arrive(self._last_ns.get(keys[i]), stamps_ns[i], self.policy)
                answer.arrivals[i] = arrival
                if arrival in RESTARTS:
                    begins.append(i)
                elif arrival in ACCEPTED:
                    steps.append(i)
                    dts.append(dt_s)
                else:
                    reason = arrival.value
            answer.reasons[i] = reason
        if begins:
            self._advance(keys, stamps_ns, rows, begins, None, answer)
        if steps:
            self._advance(keys, stamps_ns, rows, steps, np.array(dts)[:, None], answer)

    def _advance(self, keys: Sequence[Hashable], stamps_ns: Sequence[int], rows: np.ndarray,
                 chosen: List[int], dt_s: Optional[np.ndarray], answer: Update) -> None:
        measured = rows[chosen]
        if self.width == 7:
            measured[:, 3:] /= np.linalg.norm(measured[:, 3:], axis=1, keepdims=True)
        at = [self._row(keys[i]) for i in chosen]
        batch = self._backend.asarray(measured)
        with np.errstate(all='ignore'):  # what is not finite is caught below
            if dt_s is None:
                state, estimate = self._smoother.init(batch)
            else:
                before = {name: array[at] for name, array in self._state.items()}
                state, estimate = self._smoother.step(before, batch,
                                                      self._backend.asarray(dt_s))
        parts = [self._backend.to_numpy(part) for part in estimate]
        sound = np.isfinite(np.concatenate(parts, axis=1)).all(axis=1)
        sound &= self._backend.to_numpy(self._backend.rows_finite(state))
        if sound.all():
            self._store(at, state)
        else:  # the rows that went wrong keep the state they had
            kept = [j for j in range(len(at)) if sound[j]]
            self._store([at[j] for j in kept], {n: a[kept] for n, a in state.items()})
        for j, i in enumerate(chosen):
            if sound[j]:
                answer.accepted[i] = True
                self._last_ns[keys[i]] = stamps_ns[i]
            else:
                answer.reasons[i] = 'diverged'
        good = [i for j, i in enumerate(chosen) if sound[j]]
        for target, part in zip(answer.estimate, parts):
            target[good] = part[sound]

    def _row(self, key: Hashable) -> int:
        if key not in self._row_of:
            self._row_of[key] = self._free.pop() if self._free else len(self._row_of)
        return self._row_of[key]

    def _store(self, at: List[int], state: State) -> None:
        if not at:
            return
        if max(at) >= self._capacity:
            self._capacity = max(2 * self._capacity, max(at) + 1)
            for name, array in state.items():
                self._state[name] = self._backend.grow(
                    self._state.get(name), array, self._capacity)
        for name, array in state.items():
            self._state[name][at] = array


def refuse(row: np.ndarray) -> Optional[str]:
    """Return why a measured row cannot be used, None where it can."""
    if not np.all(np.abs(row) < MAX_ABS_VALUE):  # NaN compares false
        return 'non_finite'
    if row.shape[0] == 7 and float(row[3:] @ row[3:]) < MIN_QUAT_NORM**2:
        return 'zero_quaternion'
    return None
