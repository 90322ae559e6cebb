# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Write a traced step as a CUDA kernel: THREADS threads a stream, its buffers in shared memory.

Each operation's numbers are spread over the threads; between operations they wait for each other
only where one reads what another thread wrote, or writes where another one read. Of operations
that do not wait for each other, small ones go to different warps.
"""

from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from liquid_ros.fusing.functions import PRELUDE
from liquid_ros.fusing.graph import Graph, Node, TRUTHS
from liquid_ros.fusing.schedule import by_need, grouped, live, loops, Results
from liquid_ros.fusing.shared import Shared
from liquid_ros.fusing.writer import CALLS, Given, indices, INFIX, line, tree, Writer

WARP = 32
ROUNDS = 7  # of a loop over what a thread has, that are computed side by side
SUMS, TILE_ROWS, WIDE = 4, 3, 32  # of a product: sums side by side; rows of a thread; columns
DEEP = 24  # terms of a sum that are loaded at once

class Shape(NamedTuple):
    """How many threads a stream has, and how many streams an SM is to work on at once."""

    threads: int
    blocks: int


class Near(NamedTuple):
    """
    An argument, up to 32 numbers a stream, that is far away and read at once.

    parts: the arguments that stand for it, with their numbers; of a null pointer they are NaN.
    """

    argument: str
    parts: Mapping[str, int]


def kernel(name: str, graph: Graph, given: Mapping[str, Given], results: Results,
           strides: Mapping[str, int], single: Sequence[str], near: Near, shape: Shape
           ) -> Tuple[str, int]:
    """
    Return the source of name(long long n, argument, ...), and its shared memory in bytes.

    The arguments are those of emit.emit(), all pointers to double but for single. A block works
    through every gridDim.x-th stream.
    """
    return _Kernel(graph, given, results, set(single), shape).source(name, strides, near)


class _Kernel(Writer):
    calls = {**CALLS, 'divide': 'divide', 'maximum': 'largest', 'minimum': 'smallest',
             'maximum one': 'largest', 'minimum one': 'smallest'}
    infix = {name: sign for name, sign in INFIX.items() if name != 'divide'}
    zero = '0'  # of either type

    def __init__(self, graph: Graph, given: Mapping[str, Given], results: Results,
                 single: Set[str], shape: Shape) -> None:
        super().__init__(graph, given, results)
        self.single = single
        self.threads, self.blocks = shape
        self.wide = True  # of constants
        self.now = 0  # the group that is written
        self.shift = 0  # the thread that the next small operation begins at
        groups = grouped(self.nodes, live(self.nodes, self.results), _never)
        self.groups = by_need(self.nodes, groups)
        self.shared = Shared(self.nodes, self.groups, self.results)

    def buffer(self, n: int, index: str) -> str:
        """Return an element of what is stored."""
        return self.shared.element(n, index)

    def expression(self, node: Node, inside: Set[int]) -> str:
        """Return an elementwise operation, in float32 where no argument is wider."""
        self.wide = any(self.nodes[view.node].wide for view in node.args)
        return super().expression(node, inside)

    def constant(self, value: float) -> str:
        """Return a number of the operation's type."""
        if self.wide or not np.isfinite(value):
            return super().constant(value)
        return f'({float(np.float32(value))!r}f)'

    def _type(self, n: int) -> str:
        return 'double' if self.nodes[n].wide else 'float'

    def _held(self, n: int) -> str:
        """Return the type of a number in a register."""
        return 'bool' if self.nodes[n].what in TRUTHS else self._type(n)

    def at(self, n: int, index: str) -> str:
        """Return an element of a node."""
        node = self.nodes[n]
        if node.kind != 'const' and node.kind != 'input' and not self.shared.at_hand(n, self.now):
            return self.buffer(n, index)
        narrow = node.kind == 'input' and not node.wide and not self.read_from(n) & self.single
        return '(float)' * narrow + super().at(n, index)

    def source(self, name: str, strides: Mapping[str, int], near: Near) -> Tuple[str, int]:
        for group in self.groups:
            self._group(group, set(self.shared.begin(self.now)))
            self.shared.end(self.now)
            self.now += 1
        written = list(strides)[-1]
        self._end(written)
        changed = {result.argument for result in self.results}
        types = {argument: f'{"const " * (argument not in changed)}'
                           f'{"float" if argument in self.single else "double"} *__restrict__'
                 for argument in strides}
        here, count = near.argument, strides[near.argument]
        taken = ', '.join(
            ', '.join(f'const double *__restrict__ {part}' for part in near.parts)
            if argument == here else f'{kind} {argument}_all' for argument, kind in types.items())
        mine = '\n'.join(f'    {kind} {argument} = {argument}_all + {strides[argument]} * row;'
                         for argument, kind in types.items() if argument != here)
        read, start = [], 0
        for part, size in near.parts.items():
            read.append(f'    if (thread - {start}u < {size}u) {here}[thread] = '
                        f'{part} ? {part}[{size} * row + thread - {start}] : NAN;')
            start += size
        fetched = '\n'.join(read)
        tables = '\n'.join(f'__device__ const int table{at}[] = {{{values}}};'
                           for values, at in self.tables.items())
        body = '\n'.join('    ' + line for line in self.lines)
        size = -(-self.shared.room.size // 2)
        return f"""#define THREADS {self.threads}
{PRELUDE}{tables}
extern "C" __global__ void __launch_bounds__(THREADS, {self.blocks}) {name}(long long n, {taken})
{{
  double *const wide = b, *const {here} = wide + {size};
  float *const narrow = (float *)b;
  const unsigned thread = threadIdx.x;
  for (long long row = blockIdx.x; row < n; row += gridDim.x) {{
{mine}
{fetched}
    SYNC
{body}
    if (thread == 0) {written}[{strides[written] - 1}] = bad ? NAN : 0.0;
    SYNC
  }}
}}
""", 8 * (size + count)

    def _wait(self, reads: Set[int], own: Optional[Tuple[int, int]], straight: Set[int],
              writes: Sequence[int]) -> None:
        """Put a barrier where an operation needs one."""
        stored = {n for n in reads if not self.shared.at_hand(n, self.now)}
        if self.shared.wait(stored, own, straight, writes):
            self.lines.append('SYNC')

    def _begin(self, size: int) -> int:
        """Return the thread that a loop over so many begins at."""
        if size > self.threads - WARP:
            return 0
        shift = self.shift if self.shift + size <= self.threads else 0
        self.shift = (shift + -(-size // WARP) * WARP) % self.threads
        return shift

    def _each(self, size: int, shift: int, where: Sequence[str], body: Sequence[str],
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
                f'{self._type(n)} {name};' for name, (n, *_) in zip(kept, stores)),
                f'{{ const unsigned i = {inside};', *where, *body,
                *(f'{name} = {value};' for name, (*_, value) in zip(kept, stores)), '}']
        for q in range(side):
            guard = '' if whole else f'if (j{q} < {size}) '
            self.lines.append(' '.join([
                f'{guard}{{ const unsigned i = j{q};', *where,
                *(f'{target} = k{q}_{m};' for m, (_, target, _) in enumerate(stores)), '}']))
        self.lines.append('}' * (2 + (rounds > side)))

    def _group(self, group: List[int], stored: Set[int]) -> None:
        node = self.nodes[group[0]]
        if node.kind != 'map':
            {'matmul': self._matmul, 'reduce': self._reduce,
             'join': self._join}[node.kind](group[0], stored)
            return
        shape, inside = loops(node), set(group)
        views = [view for n in group for view in self.nodes[n].args if view.node not in inside]
        straight = {view.node for view in views} - {
            view.node for view in views
            if not np.array_equal(view.places.reshape(-1), np.arange(node.size))}
        shift = self._begin(node.size) if shape else 0
        self._wait({view.node for view in views}, (node.size, shift) if shape else None, straight,
                   sorted(stored))
        body = [f'const {self._held(n)} v{n} = {self.expression(self.nodes[n], inside)};'
                for n in group]
        if shape:
            self._each(node.size, shift, indices(shape), body,
                       [(n, self.buffer(n, 'i'), f'v{n}') for n in group if n in stored])
        else:
            self.lines += body
            self._store_one(stored)

    def _store_one(self, stored: Set[int]) -> None:
        self.lines += [f'if (thread == 0) {self.buffer(n, "0")} = v{n};' for n in sorted(stored)]

    def _join(self, n: int, stored: Set[int]) -> None:
        node = self.nodes[n]
        self.wide = node.wide
        copied = [both for part, both in enumerate(zip(node.args, node.what))
                  if (n, part) not in self.shared.placed]
        if copied:
            self._wait({view.node for view, _ in copied}, None, set(), [n])
        for view, packed in copied:
            into = np.frombuffer(packed, np.int64)
            shape: Tuple[int, ...] = (into.size,)
            if not line(into) or not line(view.places.reshape(-1)):
                shape = tuple(size for size in view.places.shape if size > 1)
            names = [f'i{d}' for d in range(len(shape))]
            target = self.buffer(n, self.index(into.reshape(shape), names))
            source = self.at(view.node, self.index(view.places.reshape(shape), names))
            self._each(into.size, self._begin(into.size), indices(shape), [],
                       [(n, target, source)])

    def _reduce(self, n: int, stored: Set[int]) -> None:
        node = self.nodes[n]
        index = node.args[0].places
        terms = index.reshape(-1, index.shape[-1])
        self.wide = node.wide
        self._wait({node.args[0].node}, None, set(), sorted(stored))
        how = {'sum': 'total', 'max': 'largest'}[node.what]
        source = self.at(node.args[0].node, self.index(terms, ['i', 'k']))
        count = terms.shape[1]
        side = next(s for s in (SUMS, 3, 2, 1) if count % s == 0)
        body = [f'{self._type(n)} s[{side}];',
                *(f'{{ const int k = {c}; s[{c}] = {source}; }}' for c in range(side)),
                f'_Pragma("unroll") for (int kk = {side}; kk < {count}; kk += {side})',
                f'  _Pragma("unroll") for (int c = 0; c < {side}; c++) '
                f'{{ const int k = kk + c; s[c] = {how}(s[c], {source}); }}']
        found = tree(how, [f's[{c}]' for c in range(side)])
        if node.size == 1:
            self.lines += [f'{self._type(n)} v{n}; {{ const int i = 0;', *body,
                           f'v{n} = {found}; }}']
            self._store_one(stored)
        else:
            self._each(node.size, self._begin(node.size), [], body,
                       [(n, self.buffer(n, 'i'), found)])

    def _matmul(self, n: int, stored: Set[int]) -> None:
        left, right = self.nodes[n].args
        (rows, inner), columns = left.places.shape, right.places.shape[1]
        self.wide = self.nodes[n].wide
        self._wait({left.node, right.node}, None, set(), [n])
        high = TILE_ROWS if columns >= WIDE and rows % TILE_ROWS == 0 else 1
        wide = next(s for s in (SUMS, 3, 2, 1) if inner % s == 0) if high == 1 else 1
        kind = self._type(n)
        w = self.at(right.node, self.index(right.places, ['k', 'c']))
        a = self.at(left.node, self.index(left.places, ['r', 'k']))
        where = [f'const unsigned c = i % {columns}, r0 = {high} * (i / {columns});']
        body = [f'{kind} s[{high * wide}] = {{0}};',
                f'_Pragma("unroll {DEEP // wide}") for (int kk = 0; kk < {inner}; '
                f'kk += {wide})',
                f'  _Pragma("unroll") for (int m = 0; m < {wide}; m++) {{',
                f'    const int k = kk + m; const {kind} f = {w};',
                f'    _Pragma("unroll") for (int o = 0; o < {high}; o++) {{ '
                f'const unsigned r = r0 + o; {kind} &one = s[{wide} * o + m]; '
                f'one = fma(({kind}){a}, f, one); }}',
                '  }']
        self._each(rows // high * columns, self._begin(rows // high * columns), where, body, [
            (n, self.buffer(n, f'{columns} * (r0 + {o}) + c'),
             tree('total', [f's[{wide * o + m}]' for m in range(wide)])) for o in range(high)])

    def _end(self, written: str) -> None:
        """Find out whether all results are finite, and write them."""
        self.wide = True
        self.lines += ['SYNC', 'int bad = 0;']
        copies: Dict[bool, List[str]] = {True: [], False: []}
        for argument, offset, array, unless in self.results:
            if argument in self.read_from(array.node):
                raise ValueError(f'got a result that is a view of {argument}, where it goes')
            size = array.index.size
            source = self.at(array.node, self.index(array.index.reshape(-1), ['i']))
            stays = '0' if unless is None else self.at(unless.node, str(unless.index[0]))
            shift = self._begin(size)
            for q in range(-(-size // self.threads)):
                around = f'SHARE({shift}, {q}, {size})'
                self.lines.append(f'{around} bad |= !isfinite({source});')
                copies[argument == written].append(
                    f'{around} if ({stays} == 0) {argument}[{offset} + i] = {source};')
        self.lines += ['bad = ANY(bad);', *copies[True],
                       'if (!bad) {', *('  ' + one for one in copies[False]), '}']


def _never(_: object) -> bool:
    """Return False: no elementwise operation needs a loop of its own here."""
    return False
