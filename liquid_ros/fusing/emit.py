# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Write a traced step as a C function, a loop over the streams around it.

Neighbouring elementwise operations of one shape share a loop; what is used in that loop alone is
never stored, and a buffer is used again once its last reader is through.
"""

from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from liquid_ros.fusing.graph import Graph, View
from liquid_ros.fusing.product import TYPES
from liquid_ros.fusing.schedule import (
    apart,
    grouped,
    last_use,
    live,
    loops,
    Results,
    Room,
    VECTORS,
)
from liquid_ros.fusing.writer import CALLS, flat, Given, row_step, Writer

CODE_BYTES, LINE_BYTES = 86_000, 64  # of a function, or nearly all of it; of a cache's line

REDUCE = {'sum': ('0.0', 's += {}'), 'max': ('-INFINITY', 's = MAX({}, s)')}


def emit(name: str, graph: Graph, given: Mapping[str, Given],
         results: Results, strides: Mapping[str, int], single: Sequence[str] = (),
         fetched: Optional[Mapping[str, int]] = None, how: str = 'CLONED void') -> str:
    """
    Return the source of void name(long n, argument, ...), pointers to double, behind PRELUDE.

    given: the inputs. results: what goes where; into an argument that is read, too, only where
    all results are finite. strides: of each argument a stream's elements, 0 where all streams
    share it. The last argument is written alone, its last element is 0 where all results are
    finite, else NaN. single: arguments that are pointers to float. fetched: of which arguments
    how many elements are asked for at once at the start, and the code with them: after a pause
    nothing of it is in a cache, and one miss after the other takes longer than the step. how: what
    stands before the name, with a word of the prelude: for which processors.
    """
    function = _Function(graph, given, results, set(single))
    return function.source(how, name, strides, fetched or {})


class _Function(Writer):
    def __init__(self, graph: Graph, given: Mapping[str, Given],
                 results: Results, single: Set[str]) -> None:
        super().__init__(graph, given, results, single)
        self.room = Room()
        self.scratches = 0

    def source(self, how: str, name: str, strides: Mapping[str, int],
               fetched: Mapping[str, int]) -> str:
        groups = grouped(self.nodes, live(self.nodes, self.results))
        last = last_use(self.nodes, groups, self.results)
        for at, group in enumerate(groups):
            stored = [n for n in group if self.nodes[n].size > 1 and last.get(n, -1) > at]
            for n in stored:
                self.place[n] = self.room.take(self.nodes[n].size)
            self._group(group, set(stored))
            for n in [n for n in self.place if last[n] == at]:
                self.room.give(self.place[n], self.nodes[n].size)
        written = list(strides)[-1]
        self._end(written)
        taken = ', '.join(f'{self.kind(argument)} *APART {argument}' for argument in strides)
        body = '\n'.join('    ' + line for line in self.lines)
        ahead = '\n'.join(f'    {argument} += {stride};' for argument, stride in strides.items()
                          if stride)
        wanted = {'&&here': (CODE_BYTES, 2), **{
            argument: (count * (4 if argument in self.single else 8), 3)
            for argument, count in fetched.items()}} if fetched else {}
        fetch = 'here:;\n' * bool(fetched) + '\n'.join(
            f'  for (int i = 0; i < {size}; i += {LINE_BYTES}) '
            f'__builtin_prefetch((const char *){start} + i, 0, {level});'
            for start, (size, level) in wanted.items())
        tables = '\n'.join(f'  static const int table{at}[] = {{{values}}};'
                           for values, at in self.tables.items())
        return f"""
{how} {name}(long n, {taken})
{{
{tables}
{fetch}
  double b[{max(self.room.size, 1)}] __attribute__((aligned({LINE_BYTES})));
  for (long row = 0; row < n; row++) {{
{body}
    {written}[{strides[written] - 1}] = bad;
{ahead}
  }}
}}
"""

    def _end(self, written: str) -> None:
        """Find out whether all results are finite, and write them."""
        self.lines.append('double bad = 0.0;')
        copies: Dict[bool, List[str]] = {True: [], False: []}
        for argument, offset, array, unless in self.results:
            around = f'for (int i = 0; i < {array.index.size}; i++)'
            source = self.at(array.node, self.index(array.index.reshape(-1), ['i']))
            if argument in self.read_from(array.node):
                raise ValueError(f'got a result that is a view of {argument}, where it goes')
            self.lines.append(f'_Pragma("omp simd reduction(+:bad)") {around} '
                              f'bad += {source} * 0.0;')
            stays = '0.0' if unless is None else self.at(unless.node, str(unless.index[0]))
            line = f'if ({stays} == 0.0) {around} {argument}[{offset} + i] = {source};'
            copies[argument == written].append(line)
        self.lines += copies[True]
        if copies[False]:
            self.lines += ['if (bad == 0.0) {', *('  ' + line for line in copies[False]), '}']

    def _group(self, group: List[int], stored: Set[int]) -> None:
        node = self.nodes[group[0]]
        if node.kind != 'map':
            {'matmul': self._matmul, 'reduce': self._reduce,
             'join': self._join}[node.kind](group[0])
            return
        if apart(node):
            self._apart(group[0])
            return
        shape = loops(node)
        inside = set(group)
        body = []
        for n in group:
            body.append(f'const double v{n} = {self.expression(self.nodes[n], inside)};')
            if n in stored:
                body.append(f'b[{self.place[n]} + {flat(shape)}] = v{n};')
        if not shape:
            self.lines += body
            return
        around = over(shape)
        if VECTORS & {self.nodes[n].what for n in group}:
            around = 'MANY for'.join(around.rsplit('for', 1))
        self.lines += [around + ' {', *('  ' + line for line in body), '}']

    def _apart(self, n: int) -> None:
        """Fill up the last of the numbers that a function takes at once."""
        node, shape = self.nodes[n], loops(self.nodes[n])
        whole = f'WHOLE({node.size})'
        self.lines += [
            f'{{ double t[{whole}];',
            f'  {over(shape)} t[{flat(shape)}] = {self.read(node.args[0], shape)};',
            f'  for (int i = {node.size}; i < {whole}; i++) t[i] = 1.0;',
            f'  MANY for (int i = 0; i < {whole}; i++) t[i] = {CALLS[node.what]}(t[i]);',
            f'  for (int i = 0; i < {node.size}; i++) b[{self.place[n]} + i] = t[i]; }}']

    def _join(self, n: int) -> None:
        node = self.nodes[n]
        for view, packed in zip(node.args, node.what):
            shape, target, source = self.copy(n, view, packed)
            self.lines.append(f'{over(shape)} {target} = {source};')

    def _reduce(self, n: int) -> None:
        node = self.nodes[n]
        index = node.args[0].places
        terms = index.reshape(-1, index.shape[-1])
        source = self.at(node.args[0].node, self.index(terms, ['i', 'k']))
        start, more = REDUCE[node.what]
        loop = (f'double s = {start}; for (int k = 0; k < {terms.shape[1]}; k++) '
                f'{more.format(source)};')
        if node.size == 1:
            self.lines.append(f'double v{n}; {{ const int i = 0; {loop} v{n} = s; }}')
        else:
            self.lines.append(f'for (int i = 0; i < {node.size}; i++) '
                              f'{{ {loop} b[{self.place[n]} + i] = s; }}')

    def _matmul(self, n: int) -> None:
        left, right = self.nodes[n].args
        (rows, inner), columns = left.places.shape, right.places.shape[1]
        if rows * columns == 1:
            raise ValueError('got a product of one number, which no step has')
        if inner > 8 or columns > 8:  # worth a call
            (_, a), (kind, w) = self._dense(left, ('double',)), self._dense(right)
            self.lines.append(f'product_{kind}({rows}, {columns}, {inner}, {a}, {w}, '
                              f'b + {self.place[n]});')
            return
        a = self.at(left.node, self.index(left.places, ['i', 'k']))
        w = self.at(right.node, self.index(right.places, ['k', 'j']))
        self.lines += [f'for (int i = 0; i < {rows}; i++) for (int j = 0; j < {columns}; j++) {{',
                       f'  double s = 0.0; for (int k = 0; k < {inner}; k++) s += {a} * {w};',
                       f'  b[{self.place[n]} + {columns} * i + j] = s;', '}']

    def _dense(self, view: View, kinds: Sequence[str] = tuple(TYPES)) -> Tuple[str, str]:
        """Return of which kind a matrix is, and where with what row stride: a copy if need be."""
        index, (rows, columns) = view.places, view.places.shape
        kind = 'single' if self.read_from(view.node) & self.single else 'double'
        stride = row_step(index)
        if kind in kinds and self.nodes[view.node].kind != 'const' and stride is not None:
            return kind, f'&{self.at(view.node, str(index[0, 0]))}, {stride}'
        self.scratches += 1
        scratch = f'g{self.scratches}'
        source = self.at(view.node, self.index(index, ['i', 'k']))
        self.lines += [f'double {scratch}[{index.size}];',
                       f'for (int i = 0; i < {rows}; i++) for (int k = 0; k < {columns}; k++)',
                       f'  {scratch}[{columns} * i + k] = {source};']
        return 'double', f'{scratch}, {columns}'


def over(shape: Sequence[int], first: int = 0) -> str:
    """Return loops over i0, i1, ..., from the first one on."""
    return ' '.join(f'for (int i{d} = 0; i{d} < {size}; i{d}++)'
                    for d, size in enumerate(shape) if d >= first)
