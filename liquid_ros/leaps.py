# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Stamps that leap ahead, and what their streams were before.

A clock's hiccup stamps one message seconds late. Nothing tells it from a silence but the next
stamp, which lies between the two: then the stream goes on from before the leap.
"""

from typing import Dict, Hashable, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from liquid_ros.arrays import Array
from liquid_ros.store import Store
from liquid_ros.timing import NS_PER_S, plain_step_s, TimePolicy

LEAP = 4.0  # times what lies between two messages at most
FADE = 0.9  # of that at most, with every message


class Before(NamedTuple):
    """A stream before a leap: its last stamp and frame_id, packed state, usual interval."""

    last_ns: int
    frame: Optional[str]
    state: Array
    usual_s: float


class Leaps:
    """The intervals of streams, and what those were whose last stamp leapt ahead."""

    def __init__(self) -> None:
        """Start with no streams."""
        self._usual_s: Dict[Hashable, float] = {}  # about how far apart messages are at most
        self._before: Dict[Hashable, Before] = {}

    def ordinary(self, key: Hashable, dt_s: float) -> bool:
        """Return whether a step is no leap and none came before it; note its interval if so."""
        usual_s = self._usual_s.get(key, dt_s)
        if dt_s > LEAP * usual_s or key in self._before:
            return False
        self._usual_s[key] = max(dt_s, FADE * usual_s)
        return True

    def most_s(self, key: Hashable) -> float:
        """Return the longest step that is ordinary, 0.0 where that cannot be said at once."""
        return 0.0 if key in self._before else LEAP * self._usual_s.get(key, 0.0)

    def note(self, key: Hashable, last_ns: int, stamp_ns: int, frame: Optional[str],
             policy: TimePolicy, store: Store) -> None:
        """Note a later stamp that is not ordinary; keep what the stream is before a leap."""
        dt_s = (stamp_ns - last_ns) / NS_PER_S
        usual_s = self._usual_s.get(key, dt_s)
        self._before.pop(key, None)
        if dt_s > LEAP * usual_s:
            self._before[key] = Before(last_ns, frame, store.copied(key), usual_s)
        if stamp_ns - last_ns <= policy.gap_reset_ns:
            self._usual_s[key] = max(dt_s, FADE * usual_s)

    def undo(self, key: Hashable, stamp_ns: int, frame: Optional[str], policy: TimePolicy,
             store: Store) -> Optional[Tuple[int, float]]:
        """
        Put a stream back to before its last message, where that was a leap over this one.

        Returns the stamp it was at then, and dt; None, and nothing has changed, where it was no
        leap, or this one would leap, too: then two changed places after a pause.
        """
        before = self._before.get(key)
        if before is None or before.frame != frame:
            return None
        dt_s = plain_step_s(before.last_ns, stamp_ns, policy)
        if not 0.0 < dt_s <= LEAP * before.usual_s:
            return None
        del self._before[key]
        self._usual_s[key] = before.usual_s
        store.put(store.take((key,)), before.state)
        return before.last_ns, dt_s

    def state(self, keys: Sequence[Hashable]) -> np.ndarray:
        """Return the intervals (N,) of streams in s, NaN where none is known."""
        return np.array([self._usual_s.get(key, np.nan) for key in keys])

    def load(self, keys: Sequence[Hashable], usual_s: np.ndarray) -> None:
        """Go on where state() was called; a leap just before that cannot be undone any more."""
        self._usual_s = {key: one for key, one in zip(keys, usual_s.tolist()) if one == one}
        self._before.clear()

    def forget(self, key: Hashable) -> None:
        """Forget a stream."""
        self._usual_s.pop(key, None)
        self._before.pop(key, None)
