# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Where a kernel's arrays lie in the memory that its threads share, and when they have to wait.

What is joined with others into an array is written where it is joined: no join copies it.
"""

from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from liquid_ros.fusing.graph import Node
from liquid_ros.fusing.schedule import last_use, Results, Room, straight
from liquid_ros.fusing.writer import line

BUFFERED = ('join', 'matmul')  # kinds whose results are never in registers
NEAR = 6  # groups for which a number stays in registers
Mapping = Optional[Tuple[int, int]]  # of elements to threads: how many, and the first one's


class Within(NamedTuple):
    """Element i is element first + step i of another node."""

    node: int
    first: int = 0
    step: int = 1


class Span(NamedTuple):
    """A loop around groups: the last of them, and how many rounds it has, 0 for no loop."""

    end: int
    rounds: int


class Shared:
    """Buffers by node: allocated, read, written and given back group by group."""

    def __init__(self, nodes: Sequence[Node], groups: Sequence[List[int]], results: Results,
                 near: int = NEAR, spans: Sequence[Span] = ()) -> None:
        """
        Find out what lies within what, and until when it is read.

        near: groups for which a number stays in registers; 0: for no other group. spans: of each
        group the loop that it is in, none by default.
        """
        self.nodes, self.groups, self._near = nodes, groups, near
        self.room = Room(2)  # in numbers of four bytes; where one of eight may begin
        self.inside: Dict[int, Within] = {}
        self.placed: Set[Tuple[int, int]] = set()  # a join and which of its parts is in place
        self._joined(groups)
        self._parts: Dict[int, List[int]] = {}
        for n in self.inside:
            self._parts.setdefault(self.root(n).node, []).append(n)
        last = last_use(nodes, groups, results)
        home = {n: at for at, group in enumerate(groups) for n in group}
        self._home = home
        self._read = {n: at for n, at in last.items() if n in home and at > home[n] and (
            nodes[n].size > 1 or nodes[n].kind in BUFFERED or n in self.inside
            or at > home[n] + near)}
        self._until: Dict[int, int] = {}
        for n, at in self._read.items():
            root = self.root(n).node
            end = spans[at].end if spans and at < len(groups) else at
            self._until[root] = max(self._until.get(root, -1), end)
        # what no other loop reads has room for one of its rounds
        self.rounds = {n: spans[home[n]].rounds for n in self._until
                       if spans and spans[home[n]].rounds and n not in self._parts
                       and self._until[n] == spans[home[n]].end}
        self.place: Dict[int, int] = {}  # of roots
        self._owners: Dict[int, Mapping] = {}  # what was written since the last barrier, by whom
        self._touched: List[Tuple[int, int, int]] = []  # start, stop, root read or written since

    def _joined(self, groups: Sequence[List[int]]) -> None:
        """Note which nodes are written where a join wants them."""
        there = {n for group in groups for n in group}
        for n in sorted(there):
            node = self.nodes[n]
            if node.kind != 'join':
                continue
            for part, (view, packed) in enumerate(zip(node.args, node.what)):
                into, inner = np.frombuffer(packed, np.int64), self.nodes[view.node]
                fits = (view.node in there and view.node not in self.inside
                        and inner.wide == node.wide and 0 < inner.size == view.places.size)
                if fits and line(into) and straight(view):
                    step = int(into[1] - into[0]) if into.size > 1 else 1
                    self.inside[view.node] = Within(n, int(into[0]), step)
                    self.placed.add((n, part))

    def root(self, n: int) -> Within:
        """Return where a node lies in the node whose buffer it has."""
        found = Within(n)
        while found.node in self.inside:
            outer = self.inside[found.node]
            found = Within(outer.node, outer.first + outer.step * found.first,
                           outer.step * found.step)
        return found

    def within(self, n: int, index: str) -> Tuple[str, str]:
        """Return where an element is: the memory, wide or narrow, and the place there."""
        root, first, step = self.root(n)
        place, array = self.place[root], 'narrow'
        if self.nodes[n].wide:
            place, array = place // 2, 'wide'
        return array, f'{place + first} + {f"{step} * ({index})" if step > 1 else index}'

    def element(self, n: int, index: str) -> str:
        """Return an element of a node."""
        array, place = self.within(n, index)
        return f'{array}[{place}]'

    def _room_for(self, n: int) -> int:
        size = self.nodes[n].size // self.rounds.get(n, 1)
        return size * (2 if self.nodes[n].wide else 1)

    def at_hand(self, n: int, at: int) -> bool:
        """Return whether a node is one number that each thread of a group still has."""
        node = self.nodes[n]
        return node.size == 1 and node.kind not in BUFFERED and (
            n not in self._read or at <= self._home[n] + self._near)

    def begin(self, at: int) -> List[int]:
        """Make room for what a group writes; return the nodes that it has to write."""
        stored = [n for n in self.groups[at] if n in self._read]
        for root in (self.root(n).node for n in stored):
            if root not in self.place:
                self.place[root] = self.room.take(self._room_for(root))
        return stored

    def end(self, at: int) -> None:
        """Give back what no group after this one reads."""
        for root in [root for root in self.place if self._until[root] == at]:
            self.room.give(self.place.pop(root), self._room_for(root))

    def wait(self, reads: Set[int], own: Mapping, own_alone: Set[int], writes: Sequence[int]
             ) -> bool:
        """
        Return whether an operation has to wait for the other threads, and take note of it.

        own: which thread computes which element. own_alone: nodes of which it reads those alone.
        """
        buffers = [n for n in reads if self.root(n).node in self.place]
        spans = [self._span(n) for n in writes]
        behind = any(n in self._owners and (
            own is None or self._owners[n] != own or n not in own_alone) for n in buffers)
        behind |= any(part in self._owners for n in buffers for part in self._below(n))
        over = any(begin < end and start < stop and of != root for start, end, root in spans
                   for begin, stop, of in self._touched)
        if behind or over:
            self._owners, self._touched = {}, []
        self._owners.update((n, own) for n in writes)
        self._touched += spans + [self._span(n) for n in buffers]
        return behind or over

    def _below(self, n: int) -> List[int]:
        """Return the nodes that lie within a node."""
        def within(part: int) -> bool:
            while part in self.inside and part != n:
                part = self.inside[part].node
            return part == n
        return [part for part in self._parts.get(self.root(n).node, []) if part != n
                and within(part)]

    def _span(self, n: int) -> Tuple[int, int, int]:
        root = self.root(n).node
        return self.place[root], self.place[root] + self._room_for(root), root
