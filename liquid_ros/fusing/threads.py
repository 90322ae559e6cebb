# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How an operation's numbers are spread over a block's threads, and what each is computed in."""

from typing import Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from liquid_ros.fusing.graph import Graph
from liquid_ros.fusing.mixed import Mixed, never
from liquid_ros.fusing.schedule import by_need, grouped, live, Results
from liquid_ros.fusing.shared import Shared
from liquid_ros.fusing.writer import CALLS, Given, INFIX

WARP = 32
ROUNDS = 7  # of a loop over what a thread has, that are computed side by side


class Shape(NamedTuple):
    """How many threads a stream has, and how many streams an SM is to work on at once."""

    threads: int
    blocks: int


class Threads(Mixed):
    """A writer whose loops are shared between threads, in float32 where the graph is."""

    calls = {**CALLS, 'divide': 'divide', 'maximum': 'largest', 'minimum': 'smallest',
             'maximum one': 'largest', 'minimum one': 'smallest'}
    infix = {name: sign for name, sign in INFIX.items() if name != 'divide'}

    def __init__(self, graph: Graph, given: Mapping[str, Given], results: Results,
                 single: Set[str], shape: Shape) -> None:
        """Group the operations and give them their order and memory."""
        super().__init__(graph, given, results, single)
        self.threads, self.blocks = shape
        self.now = 0  # the group that is written
        self.shift = 0  # the thread that the next small operation begins at
        groups = grouped(self.nodes, live(self.nodes, self.results), never)
        self.groups = by_need(self.nodes, groups)
        self.shared = Shared(self.nodes, self.groups, self.results)

    def buffer(self, n: int, index: str) -> str:
        """Return an element of what is stored."""
        return self.shared.element(n, index)

    def at(self, n: int, index: str) -> str:
        """Return an element of a node."""
        node = self.nodes[n]
        if node.kind != 'const' and node.kind != 'input' and not self.shared.at_hand(n, self.now):
            return self.buffer(n, index)
        narrow = node.kind == 'input' and not node.wide and not self.read_from(n) & self.single
        return '(float)' * narrow + super().at(n, index)

    def wait(self, reads: Set[int], own: Optional[Tuple[int, int]], own_alone: Set[int],
             writes: Sequence[int]) -> None:
        """Put a barrier where an operation needs one."""
        stored = {n for n in reads if not self.shared.at_hand(n, self.now)}
        if self.shared.wait(stored, own, own_alone, writes):
            self.lines.append('SYNC')

    def begin(self, size: int) -> int:
        """Return the thread that a loop over so many begins at."""
        if size > self.threads - WARP:
            return 0
        shift = self.shift if self.shift + size <= self.threads else 0
        self.shift = (shift + -(-size // WARP) * WARP) % self.threads
        return shift

    def each(self, size: int, shift: int, where: Sequence[str], body: Sequence[str],
             stores: Sequence[Tuple[int, str, str]]) -> None:
        """
        Loop over i, of which each thread has every THREADS-th.

        where: further indices out of i. stores: nodes, targets, which only indices are in, values.

        Rounds are computed side by side, then stored: no load waits for a store of another round.
        Those behind the end do the last one's work again, and leave it.
        """
        rounds = -(-size // self.threads)
        side = -(-rounds // -(-rounds // ROUNDS))
        whole = size == rounds * self.threads and rounds % side == 0
        first = f'(thread + {self.threads - shift}) % {self.threads}' if shift else 'thread'
        self.lines += ['{', f'unsigned first = {first};', 'ANEW(first)']
        if size < self.threads:
            self.lines.append(f'if ((first & -{WARP}) < {size})')
        self.lines.append('{')
        if rounds > side:
            self.lines.append(f'_Pragma("unroll 1") for (int p = 0; p < {rounds}; p += {side}) {{')
        index = f'first{" + p * THREADS" * (rounds > side)} + {{}} * THREADS'
        for q in range(side):
            inside = f'j{q}' if whole else f'j{q} < {size} ? j{q} : {size - 1}'
            kept = [f'k{q}_{m}' for m in range(len(stores))]
            self.lines += [f'const unsigned j{q} = {index.format(q)};', *(
                f'{self.type(n)} {name};' for name, (n, *_) in zip(kept, stores)),
                f'{{ const unsigned i = {inside};', *where, *body,
                *(f'{name} = {value};' for name, (*_, value) in zip(kept, stores)), '}']
        for q in range(side):
            guard = '' if whole else f'if (j{q} < {size}) '
            self.lines.append(' '.join([
                f'{guard}{{ const unsigned i = j{q};', *where,
                *(f'{target} = k{q}_{m};' for m, (_, target, _) in enumerate(stores)), '}']))
        self.lines.append('}' * (2 + (rounds > side)))
