# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The states of many streams side by side: which row is whose, and room for more."""

from typing import Dict, Hashable, Iterable, List, Tuple, Union

from liquid_ros.arrays import Array
from liquid_ros.backend import Backend


class Store:
    """Packed states by key; a key that is dropped leaves its row to another."""

    def __init__(self, backend: Backend, size: int) -> None:
        """Start empty; size: of a packed state."""
        self._backend = backend
        self._row_of: Dict[Hashable, int] = {}
        self._free: List[int] = []
        self._rows = backend.zeros(0, size)
        self._begin: Tuple[Array, int, int] = (None, 0, 0)  # the rows, their address and stride

    def take(self, keys: Iterable[Hashable]) -> List[int]:
        """Return the keys' rows, new ones for new keys."""
        return [self._take(key) for key in keys]

    def _take(self, key: Hashable) -> int:
        row = self._row_of.get(key)
        if row is None:
            row = self._row_of[key] = self._free.pop() if self._free else len(self._row_of)
        return row

    def drop(self, key: Hashable) -> None:
        """Give the key's row back, where it has one."""
        if key in self._row_of:
            self._free.append(self._row_of.pop(key))

    def get(self, at: List[int]) -> Array:
        """Return these rows; whoever changes them must not want the store unchanged."""
        return self._rows[span(at)]

    def copied(self, key: Hashable) -> Array:
        """Return a copy of a known key's row (1, size)."""
        return 1.0 * self._rows[span([self._row_of[key]])]

    def find(self, key: Hashable) -> int:
        """Return the address of a known key's row in NumPy."""
        rows = self._rows
        if rows is not self._begin[0]:
            self._begin = rows, rows.ctypes.data, 8 * rows.shape[1]
        return self._begin[1] + self._row_of[key] * self._begin[2]

    def put(self, at: List[int], rows: Array) -> None:
        """Take over these rows; what get() gave and was changed in place is here already."""
        if not at or self._backend.base(rows) is self._rows:
            return
        capacity = len(self._rows)
        if max(at) >= capacity:
            grown = self._backend.zeros(max(2 * capacity, max(at) + 1), self._rows.shape[1])
            grown[:capacity] = self._rows
            self._rows = grown
        self._rows[span(at)] = rows


def span(at: List[int]) -> Union[List[int], slice]:
    """Return the rows as a slice where they are neighbours: views instead of copies."""
    if not at:
        return at
    first, count = at[0], len(at)
    if at[-1] - first == count - 1 and (count < 3 or at == list(range(first, first + count))):
        return slice(first, first + count)
    return at
