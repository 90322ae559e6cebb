# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Streams that have only just begun, and whether they began where they are.

What is not set up yet sends zeros, or its first guess. Where the first move that a stream makes
takes it to a place where it then stays, all that came before was no measurement of it.
"""

from typing import Dict, Hashable, List, Sequence, Tuple

import numpy as np

from liquid_ros.manifold import minus
from liquid_ros.packing import Layout

FEW = 60  # messages; a jump later on is the smoother's (smoothers/rejects.py)
LITTLE = 0.05  # of the first move, as a way and as a speed: it stays


class Beginnings:
    """
    What is known of streams that have made no move yet, or one, packed.

    messages, the time between the last two, the ways (G,) of the groups of three axes between
    them, in m and rad, and the last row.
    """

    def __init__(self, width: int) -> None:
        """Start with no streams; width: of a row."""
        self.layout = Layout({'messages': (1,), 'dt_s': (1,), 'ways': (width // 3,),
                              'row': (width,)})
        self._known: Dict[Hashable, np.ndarray] = {}

    def __contains__(self, key: Hashable) -> bool:
        """Return whether a stream has only just begun."""
        return key in self._known

    def begin(self, keys: Sequence[Hashable], rows: np.ndarray) -> None:
        """Take the streams' first rows (N, W), unit quaternions."""
        known = np.zeros((len(rows), self.layout.size))
        self.layout.unpack(known)['row'][:] = rows
        self._known.update(zip(keys, known))

    def follow(self, keys: Sequence[Hashable], rows: np.ndarray, dt_s: np.ndarray
               ) -> Tuple[List[int], np.ndarray]:
        """
        Take the next rows (N, W), dt_s (N, 1), of streams that are here.

        Returns which of them had a false start, and the rows (M, W) to begin them with instead.
        """
        before = self.layout.unpack(np.stack([self._known[key] for key in keys]))
        ways = np.sqrt((minus(rows, before['row']).reshape(len(rows), -1, 3)**2).sum(-1))
        first = before['ways'] > 0.0
        slower = np.maximum(1.0, before['dt_s'] / dt_s)
        again = (ways == 0.0).all(1)[:, None]  # a value that is sent again says nothing
        astray = (first & ~again & (ways * slower < LITTLE * before['ways'])).any(1)
        messages = before['messages'] + 1.0
        known = self.layout.pack({
            'messages': messages, 'dt_s': np.where(again, before['dt_s'], dt_s),
            'ways': np.where(again, before['ways'], ways), 'row': rows})
        grown = (first & ~again).any(1) | (messages[:, 0] > FEW)
        for i, key in enumerate(keys):
            if grown[i]:
                self.forget(key)
            else:
                self._known[key] = known[i]
        return np.flatnonzero(astray).tolist(), before['row'][astray]

    def forget(self, key: Hashable) -> None:
        """Forget a stream."""
        self._known.pop(key, None)

    def state(self, keys: Sequence[Hashable]) -> np.ndarray:
        """Return what is known of the streams (N, layout.size), NaN of those that are not here."""
        unknown = np.full(self.layout.size, np.nan)
        return np.array([self._known.get(key, unknown) for key in keys]).reshape(
            len(keys), self.layout.size)

    def load(self, keys: Sequence[Hashable], known: np.ndarray) -> None:
        """Go on where state() was called."""
        self._known = {key: row.copy() for key, row in zip(keys, known) if not np.isnan(row[0])}
