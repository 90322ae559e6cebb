# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Estimates that know later messages, of streams too long to hold: fixed interval and fixed lag.

The recursion is that of smoothers.rts, for many streams side by side. It forgets the end that it
began with: what it carries from there to message k is at most

    sum_j |C_k C_k+1 ... C_end-1 diag(sqrt(P_end))|_0j

and k is final where that is below FORGOTTEN of its own standard deviation.
"""

from typing import Any, Dict, Hashable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from liquid_ros.smoothers.base import Known, Link, Smoother, State
from liquid_ros.smoothers.grain import known_later
from liquid_ros.smoothers.rts import back, gains_of
from liquid_ros.timing import NS_PER_S

FORGOTTEN = 1e-7
LEAST = 1e-15  # m or rad: so little is nothing at all
BLOCK = 1024  # messages of a stream held, at least, before it is tried which are final
TOGETHER = 8192  # messages of all streams that are gone over at once
OVERLAP = 256  # messages over which a window forgets its end; twice as many where it does not
MOST = 32_768  # messages held at most; the older half is final then, come what may


class Later(NamedTuple):
    """
    The next K messages of a stream in hindsight: rows (K, 3 | 7), variance, twist (K, A).

    expected: (K, 3 | 7) what was predicted of each before it came, as in rts.Smoothed.
    """

    rows: np.ndarray
    variance: np.ndarray
    twist: np.ndarray
    expected: np.ndarray


Told = List[Tuple[Hashable, Later]]  # by stream, in order


class _Run:
    """What is held of an unbroken run; expected: of its first message, None at its beginning."""

    def __init__(self) -> None:
        self.stamps_ns: List[int] = []
        self.states: List[State] = []
        self.expected: Optional[np.ndarray] = None
        self.wait = BLOCK


class Hindsight:
    """The estimates of streams of one width in hindsight, as soon as they are final."""

    def __init__(self, smoother: Smoother, lag_ns: Optional[int] = None) -> None:
        """
        Start empty; the smoother must have a motion model.

        lag_ns: use only messages up to so much later; None: all.
        """
        self._smoother: Any = smoother
        self._lag_ns = lag_ns
        self._runs: Dict[Hashable, _Run] = {}
        self._overlap = OVERLAP

    def add(self, stream: Hashable, stamp_ns: int, state: State, begins: bool) -> Told:
        """
        Take the state after one more message, arrays (1, ...); return what is final now.

        begins: a run begins anew, and what was before knows nothing of what comes.
        """
        run = self._runs.get(stream)
        done: Told = []
        if run is None or begins:
            done = self._let_out([stream], at_end=True) if run is not None else []
            run = self._runs[stream] = _Run()
        run.stamps_ns.append(stamp_ns)
        run.states.append(state)
        if len(run.states) >= max(run.wait, TOGETHER // len(self._runs)):
            others = [name for name, other in self._runs.items()
                      if other is not run and 2 * len(other.states) > other.wait]
            done += self._let_out(self._group([stream, *others])[0], at_end=False)
        return done

    def end(self) -> Told:
        """Return all that is left: nothing more comes."""
        return [told for streams in self._group(list(self._runs))
                for told in self._let_out(streams, at_end=True)]

    def _group(self, streams: List[Hashable]) -> List[List[Hashable]]:
        """Return the streams in groups that are not too large to be gone over at once."""
        groups: List[List[Hashable]] = []
        room = 0
        for stream in streams:
            size = len(self._runs[stream].states)
            if size > room or not groups:
                groups.append([])
                room = max(TOGETHER, size)
            groups[-1].append(stream)
            room -= size
        return groups

    def _let_out(self, streams: Sequence[Hashable], at_end: bool) -> Told:
        runs = [self._runs[stream] for stream in streams]
        chain = _Chain(self._smoother, runs)
        if self._lag_ns is not None:
            later, finals = chain.lagged(self._lag_ns)
        else:
            later, finals, self._overlap = chain.whole(self._overlap)
        done = []
        for stream, run, start, final in zip(streams, runs, chain.starts.tolist(), finals):
            count = len(run.states)
            if at_end:
                final = count
            elif count >= MOST:
                final = max(final, count // 2)
            if final:
                done.append((stream, Later(*(part[start:start + final] for part in later))))
            if final < count:
                run.expected = later.expected[start + final].copy()
                run.stamps_ns, run.states = run.stamps_ns[final:], run.states[final:]
                # a pass over all that is held should let out half of it
                run.wait = max(BLOCK, 2 * len(run.states))
            else:
                del self._runs[stream]
        return done


class _Chain:
    """
    The states of some runs behind one another, and what each predicted for the next one.

    What the last state of a run says of the first of another is never used.
    """

    def __init__(self, smoother: Any, runs: Sequence[_Run]) -> None:
        lengths = np.array([len(run.states) for run in runs])
        self.stops = np.cumsum(lengths)
        self.starts = self.stops - lengths
        self._stamps_ns = np.array([stamp for run in runs for stamp in run.stamps_ns])
        states = [state for run in runs for state in run.states]
        every: Dict[str, np.ndarray] = {
            name: np.concatenate([state[name] for state in states]) for name in states[0]}
        known: Known = smoother.known(every)
        self.known = known._replace(grain=known_later(known.grain, self.stops.tolist()))
        self._expected = np.array(self.known.rows)
        if len(states) > 1:
            dt_s = np.diff(self._stamps_ns)[:, None] / NS_PER_S
            dt_s[self.stops[:-1] - 1] = 1.0
            with np.errstate(all='ignore'):
                self._link: Link = smoother.link(
                    {name: array[:-1] for name, array in every.items()},
                    {name: array[1:] for name, array in every.items()}, dt_s)
                self._gains = gains_of(self._link)
            self._expected[1:] = self._link.rows
        for start, run in zip(self.starts, runs):
            self._expected[start] = (self.known.rows[start] if run.expected is None
                                     else run.expected)

    def whole(self, overlap: int) -> Tuple[Later, List[int], int]:
        """
        Return all messages by all of their runs, how many of each run's are final, the overlap.

        Long runs are cut into windows that overlap and go back side by side.
        """
        while True:
            found = self._back(overlap)
            if found is not None:
                return (*found, overlap)
            overlap *= 2

    def _back(self, overlap: int) -> Optional[Tuple[Later, List[int]]]:
        """Do what whole() does; None where the overlap is too short."""
        cuts = [(run, at, min(at + 2 * overlap, stop), stop)
                for run, (start, stop) in enumerate(zip(self.starts.tolist(), self.stops.tolist()))
                for at in range(start, stop, 2 * overlap)]
        run, starts, stops, lasts = np.array(cuts).T
        ends = np.minimum(stops + overlap, lasts) - 1
        at_end = ends == lasts - 1
        out = tuple(part.copy() for part in self.known[:3])
        rows, motion, covariance = (part[ends] for part in out)
        scale = np.sqrt(np.abs(np.diagonal(covariance, axis1=-2, axis2=-1)))
        carried = np.eye(scale.shape[-1]) * scale[..., None, :]
        allowed = FORGOTTEN * np.sqrt(np.abs(out[2][..., 0, 0])) + LEAST
        finals = self.stops - 1 - self.starts
        for ago in range(1, int((ends - starts).max()) + 1):
            on = np.flatnonzero(ends - ago >= starts)
            at = ends[on] - ago
            with np.errstate(all='ignore'):
                moved, sound = back(self.known, self._link, self._gains, at,
                                    (rows[on], motion[on], covariance[on]))
                carried[on] = np.where(sound, self._gains[at] @ carried[on], 0.0)
            own = at < stops[on]
            unsure = own & (np.abs(carried[on, :, 0]).sum(-1) > allowed[at]).any(1)
            if (unsure & ~at_end[on]).any():
                return None
            np.minimum.at(finals, run[on[unsure]], (at - self.starts[run[on]])[unsure])
            for target, current, part in zip(out, (rows, motion, covariance), moved):
                current[on] = part
                target[at[own]] = part[own]
        return self._later(out[0], out[1], out[2], self.stops - 1), finals.tolist()

    def lagged(self, lag_ns: int) -> Tuple[Later, List[int]]:
        """Return all messages by those up to lag_ns later, and how many have seen them all."""
        ends, finals = [], []
        for start, stop in zip(self.starts, self.stops):
            stamps = self._stamps_ns[start:stop]
            ends.append(start + np.searchsorted(stamps, stamps + lag_ns, side='right') - 1)
            finals.append(int(np.searchsorted(stamps, stamps[-1] - lag_ns, side='left')))
        end, own = np.concatenate(ends), np.arange(self.stops[-1])
        rows, motion, covariance = (part[end] for part in self.known[:3])
        for ago in range(1, int((end - own).max()) + 1):
            on = np.flatnonzero(end - ago >= own)
            with np.errstate(all='ignore'):
                (rows[on], motion[on], covariance[on]), _ = back(
                    self.known, self._link, self._gains, end[on] - ago,
                    (rows[on], motion[on], covariance[on]))
        return self._later(rows, motion, covariance, np.flatnonzero(end == own)), finals

    def _later(self, rows: np.ndarray, motion: np.ndarray, covariance: np.ndarray,
               newest: np.ndarray) -> Later:
        return Later(rows, self.known.stated(covariance[..., 0, 0], newest), motion[..., 0],
                     self._expected)
