# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Which operations share a loop, in which order the loops come, and when a result is last read."""

from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from liquid_ros.fusing.graph import Node, Traced, View


class Result(NamedTuple):
    """
    What goes into which argument of the function, from which element on.

    unless: of one number; where that is not 0, what is there stays.
    """

    argument: str
    offset: int
    array: Traced
    unless: Optional[Traced] = None


Results = Sequence[Result]

# What the C library may have for many numbers at once, and how many at most.
VECTORS, LANES = {'exp', 'expm1', 'log', 'tanh', 'arcsinh'}, 8


def loops(node: Node) -> Tuple[int, ...]:
    """Return the lengths of the loops over an elementwise operation."""
    return tuple(size for size in node.args[0].places.shape if size > 1)


def apart(node: Node) -> bool:
    """Return whether a loop is too short for a function of many numbers: it has its own."""
    return (node.kind == 'map' and node.what in VECTORS and node.size > 1
            and loops(node)[-1] % LANES > 0)


def live(nodes: Sequence[Node], results: Results) -> Set[int]:
    """Return the nodes that the results need."""
    wanted = {result.array.node for result in results}
    wanted.update(result.unless.node for result in results if result.unless is not None)
    for n in range(len(nodes) - 1, -1, -1):
        if n in wanted:
            wanted.update(view.node for view in nodes[n].args)
    return wanted


def straight(view: View) -> bool:
    """Return whether a view reads element i at place i."""
    return bool(np.array_equal(view.places.reshape(-1), np.arange(view.places.size)))


def grouped(nodes: Sequence[Node], wanted: Set[int], alone: Callable[[Node], bool] = apart
            ) -> List[List[int]]:
    """
    Return the live nodes in groups that share a loop, each group after what it needs.

    alone: whether an elementwise operation may not.
    """
    def joins(node: Node) -> bool:
        return node.kind == 'map' and not alone(node)

    groups: List[List[int]] = []
    level: Dict[int, int] = {}  # node -> its group
    for n in sorted(wanted):
        node = nodes[n]
        if node.kind in ('input', 'const'):
            level[n] = -1  # there from the start
            continue
        after = -1  # the last group that must be through, and whether it may be joined
        joinable = -1
        for view in node.args:
            where = level[view.node]
            same = (joins(node) and joins(nodes[view.node])
                    and nodes[view.node].size == node.size and straight(view)
                    and loops(nodes[view.node]) == loops(node))
            if same:
                joinable = max(joinable, where)
            after = max(after, where if not same else where - 1)
        home = None
        if joins(node):
            for at in range(max(after + 1, 0), len(groups)):
                first = nodes[groups[at][0]]
                if joins(first) and loops(first) == loops(node) and at >= joinable:
                    home = at
                    break
        if home is None:
            groups.append([])
            home = len(groups) - 1
        groups[home].append(n)
        level[n] = home
    return groups


def by_need(nodes: Sequence[Node], groups: Sequence[List[int]]) -> List[List[int]]:
    """Return the groups so that those with as much to come after them are neighbours."""
    home = {n: at for at, group in enumerate(groups) for n in group}
    ahead = [0] * len(groups)
    for at in reversed(range(len(groups))):
        for n in groups[at]:
            for view in nodes[n].args:
                before = home.get(view.node, at)
                if before != at:
                    ahead[before] = max(ahead[before], ahead[at] + 1)
    return [groups[at] for at in sorted(range(len(groups)), key=lambda at: -ahead[at])]


def last_use(nodes: Sequence[Node], groups: Sequence[List[int]],
              results: Results) -> Dict[int, int]:
    """Return the last group that reads a node from outside of the node's own group."""
    home = {n: at for at, group in enumerate(groups) for n in group}
    last: Dict[int, int] = {}
    for at, group in enumerate(groups):
        for n in group:
            for view in nodes[n].args:
                if home.get(view.node, at) != at:
                    last[view.node] = max(last.get(view.node, -1), at)
    for result in results:
        last[result.array.node] = len(groups)
        if result.unless is not None:
            last[result.unless.node] = len(groups)
    return last


class Room:
    """Where buffers lie in one array: in the first gap, so that little of it is ever touched."""

    def __init__(self, line: int = LANES) -> None:
        """Begin with nothing; line: a buffer begins at a multiple of so many elements."""
        self.size = 0  # that was ever needed
        self._line = line
        self._taken: List[Tuple[int, int]] = []  # (start, stop), in order

    def take(self, size: int) -> int:
        """Return where so many elements may lie, at the start of a line."""
        size = self._lines(size)
        start = at = 0
        while at < len(self._taken) and self._taken[at][0] - start < size:
            start, at = self._taken[at][1], at + 1
        self._taken.insert(at, (start, start + size))
        self.size = max(self.size, start + size)
        return start

    def give(self, start: int, size: int) -> None:
        """Take a buffer back."""
        self._taken.remove((start, start + self._lines(size)))

    def _lines(self, size: int) -> int:
        return -(-size // self._line) * self._line
