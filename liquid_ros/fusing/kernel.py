# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Write a traced step as a CUDA kernel: THREADS threads a stream, its buffers in shared memory.

Each operation's numbers are spread over the threads; between operations they wait for each other
only where one reads what another thread wrote, or writes where another one read. Of operations
that do not wait for each other, small ones go to different warps.
"""

from typing import Dict, List, Mapping, NamedTuple, Sequence, Set, Tuple

from liquid_ros.fusing.functions import PRELUDE
from liquid_ros.fusing.graph import Graph
from liquid_ros.fusing.schedule import loops, Results, straight
from liquid_ros.fusing.threads import Shape, Threads
from liquid_ros.fusing.writer import Given, indices, tree

SUMS, TILE_ROWS, WIDE = 4, 3, 32  # of a product: sums side by side; rows of a thread; columns
DEEP = 24  # terms of a sum that are loaded at once


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


class _Kernel(Threads):
    def source(self, name: str, strides: Mapping[str, int], near: Near) -> Tuple[str, int]:
        for group in self.groups:
            self._group(group, set(self.shared.begin(self.now)))
            self.shared.end(self.now)
            self.now += 1
        written = list(strides)[-1]
        self._end(written)
        types = {argument: f'{self.kind(argument)} *__restrict__' for argument in strides}
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

    def _group(self, group: List[int], stored: Set[int]) -> None:
        node = self.nodes[group[0]]
        if node.kind != 'map':
            {'matmul': self._matmul, 'reduce': self._reduce,
             'join': self._join}[node.kind](group[0], stored)
            return
        shape, inside = loops(node), set(group)
        views = [view for n in group for view in self.nodes[n].args if view.node not in inside]
        read = {view.node for view in views}
        own_alone = read - {view.node for view in views if not straight(view)}
        shift = self.begin(node.size) if shape else 0
        self.wait(read, (node.size, shift) if shape else None, own_alone, sorted(stored))
        body = [f'const {self.held(n)} v{n} = {self.expression(self.nodes[n], inside)};'
                for n in group]
        if shape:
            self.each(node.size, shift, indices(shape), body,
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
                  if (n, part) not in self.shared.placed and both[0].places.size]
        if copied:
            self.wait({view.node for view, _ in copied}, None, set(), [n])
        for view, packed in copied:
            shape, target, source = self.copy(n, view, packed)
            size = view.places.size
            self.each(size, self.begin(size), indices(shape), [], [(n, target, source)])

    def _reduce(self, n: int, stored: Set[int]) -> None:
        node = self.nodes[n]
        index = node.args[0].places
        terms = index.reshape(-1, index.shape[-1])
        self.wide = node.wide
        self.wait({node.args[0].node}, None, set(), sorted(stored))
        how = {'sum': 'total', 'max': 'largest'}[node.what]
        source = self.at(node.args[0].node, self.index(terms, ['i', 'k']))
        count = terms.shape[1]
        side = next(s for s in (SUMS, 3, 2, 1) if count % s == 0)
        body = [f'{self.type(n)} s[{side}];',
                *(f'{{ const int k = {c}; s[{c}] = {source}; }}' for c in range(side)),
                f'_Pragma("unroll") for (int kk = {side}; kk < {count}; kk += {side})',
                f'  _Pragma("unroll") for (int c = 0; c < {side}; c++) '
                f'{{ const int k = kk + c; s[c] = {how}(s[c], {source}); }}']
        found = tree(how, [f's[{c}]' for c in range(side)])
        if node.size == 1:
            self.lines += [f'{self.type(n)} v{n}; {{ const int i = 0;', *body,
                           f'v{n} = {found}; }}']
            self._store_one(stored)
        else:
            self.each(node.size, self.begin(node.size), [], body,
                      [(n, self.buffer(n, 'i'), found)])

    def _matmul(self, n: int, stored: Set[int]) -> None:
        left, right = self.nodes[n].args
        (rows, inner), columns = left.places.shape, right.places.shape[1]
        self.wide = self.nodes[n].wide
        self.wait({left.node, right.node}, None, set(), [n])
        high = TILE_ROWS if columns >= WIDE and rows % TILE_ROWS == 0 else 1
        wide = next(s for s in (SUMS, 3, 2, 1) if inner % s == 0) if high == 1 else 1
        kind = self.type(n)
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
        self.each(rows // high * columns, self.begin(rows // high * columns), where, body, [
            (n, self.buffer(n, f'{columns} * (r0 + {o}) + c'),
             tree('total', [f's[{wide * o + m}]' for m in range(wide)])) for o in range(high)])

    def _end(self, written: str) -> None:
        """Find out whether all results are finite, and write them."""
        self.wide = True
        self.lines += ['SYNC', 'int bad = 0;']
        copies: Dict[bool, List[str]] = {True: [], False: []}
        before = False  # whether a result is what another one changes
        for argument, offset, array, unless in self.results:
            for read in (array, unless):
                before |= read is not None and bool(self.read_from(read.node) & self.changed)
            if argument in self.read_from(array.node):
                raise ValueError(f'got a result that is a view of {argument}, where it goes')
            size = array.index.size
            source = self.at(array.node, self.index(array.index.reshape(-1), ['i']))
            stays = '0' if unless is None else self.at(unless.node, str(unless.index[0]))
            shift = self.begin(size)
            for q in range(-(-size // self.threads)):
                around = f'SHARE({shift}, {q}, {size})'
                self.lines.append(f'{around} bad |= !isfinite({source});')
                copies[argument == written].append(
                    f'{around} if ({stays} == 0) {argument}[{offset} + i] = {source};')
        self.lines += ['bad = ANY(bad);', *copies[True], *['SYNC'] * before,
                       'if (!bad) {', *('  ' + one for one in copies[False]), '}']
