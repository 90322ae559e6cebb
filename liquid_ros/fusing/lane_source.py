# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The C source of a traced step of LANES streams side by side: in, operation by operation, out."""

from typing import Dict, List, Mapping, Sequence, Tuple

from liquid_ros.fusing.graph import Graph
from liquid_ros.fusing.lane_prelude import LANES, Target
from liquid_ros.fusing.lanes import Lanes
from liquid_ros.fusing.schedule import Results
from liquid_ros.fusing.writer import Given


def lane_source(name: str, graph: Graph, given: Mapping[str, Given], results: Results,
                strides: Mapping[str, int], single: Sequence[str], target: Target
                ) -> Tuple[str, int]:
    """
    Return the source of void name(long n, argument, ..., double *room), and the bytes of room.

    The arguments are those of emit.emit(). room: a multiple of 64 bytes; behind it begins nothing
    that is kept. Of streams that do not fill the last LANES the first one stands in.
    """
    return _Function(graph, given, results, set(single), strides).source(name, target)


class _Function(Lanes):
    def source(self, name: str, target: Target) -> Tuple[str, int]:
        self.write(target)
        parts = list(self.parts)
        self.lines: List[str] = []
        self._end(target.suffix)
        common = [argument for argument, stride in self.strides.items() if not stride]
        room, size = self._room()
        head = [f'  static const int table{at}[] = {{{values}}};'
                for values, at in self.tables.items()] + room
        shared = ''.join(f'{self.kind(argument)} *APART {argument}, ' for argument in common)
        given = ''.join(f'{argument}, ' for argument in common)
        functions, calls = [], []
        for at, (exact, lines) in enumerate(parts):
            functions += [f'{target.word} {"EXACTLY" if exact else "LOOSELY"} static void '
                          f'{name}_{at}({shared}double *APART room)', '{', *head,
                          *('  ' + line for line in lines), '}']
            calls.append(f'{name}_{at}({given}room);')
        taken = ''.join(f'{self.kind(argument)} *APART {argument}, ' for argument in self.strides)
        ahead = [f'{argument} += LANES * {stride};' for argument, stride in self.strides.items()
                 if stride]
        body = [*self._begin(target.suffix), *calls, *self.lines, *ahead]
        return '\n'.join([
            *functions, f'{target.word} EXACTLY void {name}(long n, {taken}double *APART room)',
            '{', *head, '  for (long row = 0; row < n; row += LANES) {',
            '    const int here = n - row < LANES ? n - row : LANES;',
            '    int at[LANES], goes[LANES];',
            '    float bad[LANES] __attribute__((aligned(4 * LANES))) = {0.0f};',
            '    for (int l = 0; l < LANES; l++) at[l] = l < here ? l : 0;',
            *('    ' + line for line in body), '  }', '}', '']), size

    def _room(self) -> Tuple[List[str], int]:
        """Return where the arrays lie in the room, and how many bytes they are."""
        at = -(-self.shared.room.size // 2)
        lines = ['  double *const wide = room;', '  float *const narrow = (float *)room;',
                 f'  double *const exact_lanes = room + LANES * {at};']
        at += self.exact_size
        for argument, size in self.laid.items():
            lines.append(f'  float *const {argument}_lanes = (float *)(room + LANES * {at});')
            at += -(-size // 2)
        return lines, 8 * LANES * at

    def _begin(self, suffix: str) -> List[str]:
        """Return what lays streams out in lanes."""
        lines = [f'lanes_in{suffix}({size}, {argument}, {size}, at, {argument}_lanes);'
                 for argument, size in self.laid.items()]
        sizes = {node.what: node.size for node in self.nodes if node.kind == 'input'}
        for what, place in self.exact.items():
            argument, offset = self.given[what]
            source = f'{argument}[{self.strides[argument]} * at[l] + {offset} + i]'
            lines += [f'for (int i = 0; i < {sizes[what]}; i++)',
                      f'  for (int l = 0; l < LANES; l++) '
                      f'{self.lane("exact_lanes", f"{place} + i")} = {source};']
        return lines

    def _end(self, suffix: str) -> None:
        """Find out of which streams all results are finite, and write them."""
        copies: Dict[bool, List[str]] = {True: [], False: []}
        for argument, offset, array, unless in self.results:
            if argument in self.read_from(array.node):
                raise ValueError(f'got a result that is a view of {argument}, where it goes')
            size, index = array.index.size, array.index.reshape(-1)
            last, stride = argument == self.written, self.strides[argument]
            stays = '0' if unless is None else self.at(unless.node, str(unless.index[0]))
            copy = copies[last]
            copy.append(f'for (int l = 0; l < LANES; l++) goes[l] = (l < here) & ({stays} == 0)'
                        f'{" & (bad[l] == 0.0f)" * (not last)};')
            straight = self.straight(array.node, index)
            if straight is not None:
                first, step = straight
                self.lines.append(f'lanes_finite{suffix}({size}, {first}, {step}, bad);')
                copy.append(f'lanes_out{suffix}({size}, {first}, {step}, {argument} + {offset}, '
                            f'{stride}, goes);')
                continue
            self.wide = self.nodes[array.node].wide
            source = self.at(array.node, self.index(index, ['i']))
            around = f'for (int i = 0; i < {size}; i++)'
            self.lines.append(f'{around} LANE bad[l] += (float)({source} * 0);')
            copy += ['for (int l = 0; l < LANES; l++) if (goes[l])',
                     f'  {around} {argument}[{stride} * l + {offset} + i] = {source};']
        self.lines += copies[True] + copies[False]
        size = self.strides[self.written]
        self.lines += ['for (int l = 0; l < here; l++)',
                       f'  {self.written}[{size} * l + {size - 1}] = bad[l];']
