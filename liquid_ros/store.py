# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The states of many streams side by side: which row is whose, and room for more."""

from typing import Dict, Hashable, Iterable, List, Union

from liquid_ros.backend import Backend
from liquid_ros.smoothers.base import State

Rows = Union[List[int], slice]


class Store:
    """Rows of state by key; a key that is dropped leaves its row to another."""

    def __init__(self, backend: Backend) -> None:
        """Start empty; the arrays come with the first state that is put in."""
        self._backend = backend
        self._row_of: Dict[Hashable, int] = {}
        self._free: List[int] = []
        self._state: State = {}
        self._capacity = 0

    def take(self, keys: Iterable[Hashable]) -> List[int]:
        """Return the keys' rows, new ones for new keys."""
        return [self._take(key) for key in keys]

    def _take(self, key: Hashable) -> int:
        if key not in self._row_of:
            self._row_of[key] = self._free.pop() if self._free else len(self._row_of)
        return self._row_of[key]

    def drop(self, key: Hashable) -> None:
        """Give the key's row back, where it has one."""
        if key in self._row_of:
            self._free.append(self._row_of.pop(key))

    def get(self, at: List[int]) -> State:
        """Return these rows; whoever changes them must not want the store unchanged."""
        rows = _span(at)
        return {name: array[rows] for name, array in self._state.items()}

    def put(self, at: List[int], state: State) -> None:
        """Take over these rows."""
        if not at:
            return
        if max(at) >= self._capacity:
            self._capacity = max(2 * self._capacity, max(at) + 1)
            for name, array in state.items():
                self._state[name] = self._backend.grow(
                    self._state.get(name), array, self._capacity)
        rows = _span(at)
        for name, array in state.items():
            self._state[name][rows] = array


def _span(at: List[int]) -> Rows:
    """Return the rows as a slice where they are neighbours: views instead of copies."""
    first, count = at[0], len(at)
    if at[-1] - first == count - 1 and (count < 3 or at == list(range(first, first + count))):
        return slice(first, first + count)
    return at
