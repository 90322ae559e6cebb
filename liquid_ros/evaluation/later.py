# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Estimates that know later messages, of streams too long to hold: fixed interval and fixed lag.

The recursion is that of smoothers.rts. It forgets the end that it began with: what it carries
from there to message k is at most

    sum_j |C_k C_k+1 ... C_end-1 diag(sqrt(P_end))|_0j

and k is final where that is below FORGOTTEN of its own standard deviation.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from liquid_ros.manifold import minus, plus
from liquid_ros.smoothers.base import Known, Link, Smoother, State
from liquid_ros.smoothers.rts import inverse
from liquid_ros.timing import NS_PER_S

FORGOTTEN = 1e-7
LEAST = 1e-15  # m or rad: so little is nothing at all
BLOCK = 1024  # messages held before it is tried which are final
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


class Hindsight:
    """One stream's estimates in hindsight, as soon as they are final."""

    def __init__(self, smoother: Smoother, lag_ns: Optional[int] = None) -> None:
        """
        Start empty; the smoother must have a motion model.

        lag_ns: use only messages up to so much later; None: all.
        """
        self._smoother: Any = smoother
        self._lag_ns = lag_ns
        self._stamps_ns: List[int] = []
        self._states: List[State] = []
        self._wait = BLOCK
        self._expected: Optional[np.ndarray] = None  # of the first message that is held

    def add(self, stamp_ns: int, state: State, begins: bool) -> List[Later]:
        """
        Take the state after one more message, arrays (1, ...); return what is final now.

        begins: a run begins anew, and what was before knows nothing of what comes.
        """
        done = self.end() if begins else []
        self._stamps_ns.append(stamp_ns)
        self._states.append(state)
        if len(self._states) < self._wait:
            return done
        return done + self._let_out(at_end=False)

    def end(self) -> List[Later]:
        """Return all that is left: nothing more comes in this run."""
        done = self._let_out(at_end=True) if self._states else []
        self._wait = BLOCK
        self._expected = None
        return done

    def _let_out(self, at_end: bool) -> List[Later]:
        chain = _Chain(self._smoother, self._stamps_ns, self._states, self._expected)
        if self._lag_ns is not None:
            found, final = chain.lagged(self._lag_ns)
        else:
            found, final = chain.whole()
            if len(self._states) >= MOST:
                final = max(final, MOST // 2)
        final = len(self._states) if at_end else final
        # a pass over all that is held should let out half of it
        self._wait = max(BLOCK, 2 * (len(self._states) - final))
        self._stamps_ns, self._states = self._stamps_ns[final:], self._states[final:]
        self._expected = found.expected[final:final + 1].copy() if self._states else None
        return [Later(*(part[:final] for part in found))] if final else []


class _Chain:
    """Consecutive states of a run, and what each predicted for the next one."""

    def __init__(self, smoother: Any, stamps_ns: List[int], states: List[State],
                 first: Optional[np.ndarray]) -> None:
        self._stamps_ns = np.array(stamps_ns, dtype=np.int64)
        every: Dict[str, np.ndarray] = {
            name: np.concatenate([state[name] for state in states]) for name in states[0]}
        self.known: Known = smoother.known(every)
        self._expected = np.array(self.known.rows)
        if first is not None:
            self._expected[:1] = first
        self._last = len(states) - 1
        if self._last:
            dt_s = np.diff(self._stamps_ns)[:, None] / NS_PER_S
            with np.errstate(all='ignore'):
                self._link: Link = smoother.link(
                    {name: array[:-1] for name, array in every.items()},
                    {name: array[1:] for name, array in every.items()}, dt_s)
                self._expected[1:] = self._link.rows
                self._gains = (self._link.start @ _swapped(self._link.transition)
                               @ inverse(self._link.covariance))

    def whole(self) -> Tuple[Later, int]:
        """Return all messages by all of them, and how many of the first are final."""
        rows, motion, covariance, _ = (part.copy() for part in self.known)
        last = self._last
        scale = np.sqrt(np.abs(np.diagonal(covariance[last], axis1=-2, axis2=-1)))
        carried = np.eye(scale.shape[-1]) * scale[..., None, :]
        reach = np.full((last + 1, scale.shape[0]), np.inf)
        for k in range(last - 1, -1, -1):
            at = slice(k, k + 1)
            after = slice(k + 1, k + 2)
            (rows[at], motion[at], covariance[at]), sound = self._step(
                at, rows[after], motion[after], covariance[after])
            with np.errstate(all='ignore'):
                carried = np.where(sound[0], self._gains[k] @ carried, 0.0)
            reach[k] = np.abs(carried[:, 0]).sum(-1)
        own = np.sqrt(np.abs(covariance[..., 0, 0]))
        unsure = np.flatnonzero((reach > FORGOTTEN * own + LEAST).any(1))
        return self._later(rows, motion, covariance), int(unsure[0])

    def lagged(self, lag_ns: int) -> Tuple[Later, int]:
        """Return all messages by those up to lag_ns later, and how many have seen them all."""
        stamps = self._stamps_ns
        ends = np.searchsorted(stamps, stamps + lag_ns, side='right') - 1
        rows, motion, covariance = (part[ends].copy() for part in self.known[:3])
        own = np.arange(len(stamps))
        for back in range(int((ends - own).max())):
            on = np.flatnonzero(ends - back > own)
            (rows[on], motion[on], covariance[on]), _ = self._step(
                ends[on] - back - 1, rows[on], motion[on], covariance[on])
        return (self._later(rows, motion, covariance),
                int(np.searchsorted(stamps, stamps[-1] - lag_ns, side='left')))

    def _later(self, rows: np.ndarray, motion: np.ndarray, covariance: np.ndarray) -> Later:
        return Later(rows, covariance[..., 0, 0] * self.known.lasting, motion[..., 0],
                     self._expected)

    def _step(self, at: Any, rows: np.ndarray, motion: np.ndarray, covariance: np.ndarray
              ) -> Tuple[Tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
        """Return messages by what is known of those after them, and where (B, A, 1, 1) it held."""
        link, gains = self._link, self._gains[at]
        with np.errstate(all='ignore'):
            late = np.concatenate([minus(rows, link.rows[at])[..., None],
                                   motion - link.motion[at]], -1)
            moved = gains @ late[..., None]
            after = link.start[at] + gains @ (covariance - link.covariance[at]) @ _swapped(gains)
        sound = np.isfinite(np.concatenate([moved, after], -1)).all((-1, -2))[..., None, None]
        moved = np.where(sound, moved, 0.0)[..., 0]
        known = self.known
        return (plus(known.rows[at], moved[..., 0]), known.motion[at] + moved[..., 1:],
                np.where(sound, after, known.covariance[at])), sound


def _swapped(matrices: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrices, -1, -2)
