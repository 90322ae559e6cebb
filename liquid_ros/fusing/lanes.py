# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Write a traced step as C functions of LANES streams side by side, a loop over streams around them.

What is behind the innovation is float32, and each operation is one of vectors: of all streams at
once. A product of matrices has the weights in common, which are then read once.
"""

from typing import Dict, List, Mapping, NamedTuple, Optional, Set, Tuple

import numpy as np

from liquid_ros.fusing.blocks import blocks
from liquid_ros.fusing.emit import over
from liquid_ros.fusing.graph import Graph, Node, View
from liquid_ros.fusing.lane_prelude import Target
from liquid_ros.fusing.mixed import Mixed, never
from liquid_ros.fusing.schedule import grouped, live, loops, Results
from liquid_ros.fusing.shared import Shared, Span
from liquid_ros.fusing.writer import CALLS, flat, Given, INFIX, row_step

SINGLE_CALLS = {**CALLS, 'exp': 'exp_single', 'expm1': 'expm1_single', 'log': 'log_single',
                'tanh': 'tanh_single', 'arcsinh': 'asinh_single', 'sqrt': 'sqrtf',
                'abs': 'fabsf', 'sin': 'sinf', 'cos': 'cosf', 'arctan2': 'atan2f'}
DENSE = 8  # terms of a product beyond which it is worth a call


class Straight(NamedTuple):
    """Elements in equal steps: the address of the first one's lanes, and the step."""

    first: str
    step: int


class Lanes(Mixed):
    """A writer whose arrays have LANES numbers an element."""

    infix = {name: sign for name, sign in INFIX.items() if name not in ('and', 'or')}
    truth = 'int'

    def __init__(self, graph: Graph, given: Mapping[str, Given], results: Results,
                 single: Set[str], strides: Mapping[str, int]) -> None:
        """Group the operations; strides: of each argument a stream's elements, 0 for common."""
        super().__init__(graph, given, results, single)
        wanted = live(self.nodes, results)
        groups = grouped(self.nodes, wanted, never)
        placed = Shared(self.nodes, groups, results, near=0).placed
        self.blocks = blocks(self.nodes, groups, placed, self.exactly)
        ends = np.cumsum([len(block.groups) for block in self.blocks]) - 1
        spans = [Span(int(end), block.rounds) for end, block in zip(ends, self.blocks)
                 for _ in block.groups]
        order = [group for block in self.blocks for group in block.groups]
        self.shared = Shared(self.nodes, order, results, near=0, spans=spans)
        self.strides = strides
        self.written = list(strides)[-1]
        self.laid = {argument: size for argument, size in strides.items()
                     if size and argument != self.written}
        self.exact: Dict[str, int] = {}  # inputs that are read in float64 -> place
        self.exact_size = 0
        for n in sorted(wanted):
            node = self.nodes[n]
            if node.kind == 'input' and node.wide and self.given[node.what].argument in self.laid:
                self.exact[node.what] = self.exact_size
                self.exact_size += node.size
        self.parts: List[Tuple[bool, List[str]]] = []  # whether it is exact, lines
        self.rounds = 0  # of the loop around what is written

    def buffer(self, n: int, index: str) -> str:
        """Return an element of what is stored, of this lane."""
        if n in self.shared.rounds:
            index += f' - {self.nodes[n].size // self.shared.rounds[n]} * i0'
        return self.lane(*self.shared.within(n, index))

    @staticmethod
    def lane(array: str, place: str) -> str:
        """Return this lane of an element."""
        return f'{array}[LANES * ({place}) + l]'

    def at(self, n: int, index: str) -> str:
        """Return an element of a node, of this lane."""
        node = self.nodes[n]
        if node.kind == 'const':
            return self.constant(node.what)
        if node.kind != 'input':
            return self.buffer(n, index)
        argument, offset = self.given[node.what]
        if argument in self.laid:
            if node.wide:
                return self.lane('exact_lanes', f'{self.exact[node.what]} + {index}')
            return self.lane(f'{argument}_lanes', f'{offset} + {index}')
        narrow = not node.wide and argument not in self.single
        return '(float)' * narrow + f'{argument}[{offset} + {index}]'

    def straight(self, n: int, index: np.ndarray) -> Optional[Straight]:
        """Return where float32 elements lie, where that is in equal steps and in lanes."""
        node, steps = self.nodes[n], set(np.diff(index.reshape(-1)).tolist())
        if (node.kind == 'const' or node.wide or len(steps) > 1
                or not self.read_from(n) <= set(self.laid)):
            return None
        step = steps.pop() if steps else 1
        within = 1 if node.kind == 'input' else self.shared.root(n).step
        if step < 1:
            return None
        first = self.at(n, str(index.flat[0])).replace(' + l]', ']')
        return Straight(f'&{first}', step * within)

    def expression(self, node: Node, inside: Set[int]) -> str:
        """Return an elementwise operation without branches."""
        self.wide = any(self.nodes[view.node].wide for view in node.args)
        self.calls = CALLS if self.wide else SINGLE_CALLS
        if node.what not in ('and', 'or', 'not'):
            return super().expression(node, inside)
        args = [f'({self.argument(view, node, inside)} != 0)' for view in node.args]
        return '!' + args[0] if node.what == 'not' else {'and': ' & ', 'or': ' | '}[
            node.what].join(args)

    def exactly(self, group: List[int]) -> bool:
        """Return whether sums of products have to be rounded twice: where float64 is read."""
        return any(self.nodes[n].wide or any(self.nodes[view.node].wide
                                             for view in self.nodes[n].args) for n in group)

    def write(self, target: Target) -> None:
        """Write all parts."""
        self.suffix, self.twice, now = target.suffix, target.twice, 0
        for block in self.blocks:
            exact = self.exactly(block.groups[0])
            if not self.parts or self.parts[-1][0] != exact:
                self.parts.append((exact, []))
            self.lines = self.parts[-1][1]
            self.rounds = block.rounds
            if block.rounds:
                self.lines.append(f'for (int i0 = 0; i0 < {block.rounds}; i0++) {{')
            for group in block.groups:
                self._group(group, set(self.shared.begin(now)))
                self.shared.end(now)
                now += 1
            if block.rounds:
                self.lines.append('}')

    def _group(self, group: List[int], stored: Set[int]) -> None:
        node = self.nodes[group[0]]
        if node.kind == 'map':
            self._maps(group, stored)
        else:
            {'matmul': self._matmul, 'reduce': self._reduce, 'join': self._join}[
                node.kind](group[0])

    def _maps(self, group: List[int], stored: Set[int]) -> None:
        shape, inside, body = loops(self.nodes[group[0]]), set(group), []
        for n in group:
            node = self.nodes[n]
            if node.what == 'where':  # both are there before one is chosen
                self.wide = node.wide
                condition, *both = (self.argument(view, node, inside) for view in node.args)
                body.append(f'const {self.type(n)} x{n} = {both[0]}, y{n} = {both[1]};')
                value = f'{condition} != 0 ? x{n} : y{n}'
            else:
                value = self.expression(node, inside)
            body.append(f'const {self.held(n)} v{n} = {value};')
        body += [f'{self.buffer(n, flat(shape))} = v{n};' for n in group if n in stored]
        around = over(shape, 1 if self.rounds else 0)
        self.lines += [f'{self.inner(around)} LANE {{', *('  ' + line for line in body), '}']

    def inner(self, around: str) -> str:
        """Return loops, the inner one as the target has it."""
        return f'{self.twice}for'.join(around.rsplit('for', 1))

    def _join(self, n: int) -> None:
        node = self.nodes[n]
        self.wide = node.wide
        for part, (view, packed) in enumerate(zip(node.args, node.what)):
            if (n, part) not in self.shared.placed and view.places.size:
                shape, target, source = self.copy(n, view, packed)
                self.lines.append(f'{self.inner(over(shape))} LANE {target} = {source};')

    def _reduce(self, n: int) -> None:
        node = self.nodes[n]
        self.wide = node.wide
        places = node.args[0].places
        terms = places.reshape(-1, places.shape[-1])
        body, names = [], []
        for k in range(terms.shape[1]):
            names.append(f't{k}')
            source = self.at(node.args[0].node, self.index(terms[:, k], ['i']))
            body.append(f'const {self.type(n)} t{k} = {source};')
        while len(names) > 1:  # in pairs: none waits for all before it
            pairs = list(zip(names[::2], names[1::2]))
            rest = names[2 * len(pairs):]
            names = [f'{a}_{b}' for a, b in pairs] + rest
            how = 'MAX({}, {})' if node.what == 'max' else '{} + {}'
            body += [f'const {self.type(n)} {a}_{b} = {how.format(a, b)};' for a, b in pairs]
        start, stop = '0', str(node.size)
        if self.rounds:
            count = node.size // self.rounds
            start, stop = f'{count} * i0', f'{count} * i0 + {count}'
        self.lines += [f'{self.twice}for (int i = {start}; i < {stop}; i++) LANE {{', *body,
                       f'{self.buffer(n, "i")} = {names[0]};', '}']

    def _matmul(self, n: int) -> None:
        left, right = self.nodes[n].args
        (rows, inner), columns = left.places.shape, right.places.shape[1]
        self.wide = self.nodes[n].wide
        if inner > DENSE and self._product(n, left, right):
            return
        terms = [f'{self.at(left.node, self.index(left.places[:, k], ["i"]))} * '
                 f'{self.at(right.node, self.index(right.places[k], ["j"]))}'
                 for k in range(inner)]
        self.lines += [f'for (int i = 0; i < {rows}; i++)',
                       f'  {self.twice}for (int j = 0; j < {columns}; j++) LANE {{',
                       f'    {self.buffer(n, f"{columns} * i + j")} = {" + ".join(terms)};', '}']

    def _product(self, n: int, left: View, right: View) -> bool:
        """Write a call, where the right matrix is weights, in float32 and in equal steps."""
        (rows, inner), columns = left.places.shape, right.places.shape[1]
        first = self.straight(left.node, left.places[0])
        out = self.straight(n, np.arange(self.nodes[n].size))
        a_row, w_row = row_step(left.places), row_step(right.places)
        if (first is None or first.step != 1 or out is None or out.step != 1
                or not self.read_from(right.node) & self.single or None in (a_row, w_row)):
            return False
        w = self.at(right.node, str(right.places[0, 0]))
        self.lines.append(f'lanes_product{self.suffix}({rows}, {columns}, {inner}, {first.first}, '
                          f'{a_row}, &{w}, {w_row}, {out.first});')
        return True
