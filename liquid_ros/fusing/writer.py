# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How an operation's arguments are written: C expressions of the indices of a loop."""

from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from liquid_ros.fusing.graph import Graph, Node, View
from liquid_ros.fusing.schedule import loops, Results

INFIX = {'add': '+', 'subtract': '-', 'multiply': '*', 'divide': '/', 'less': '<',
         'less_equal': '<=', 'greater': '>', 'greater_equal': '>=', 'equal': '==',
         'not_equal': '!=', 'and': '&&', 'or': '||'}
CALLS = {'exp': 'exp', 'expm1': 'expm1', 'log': 'log', 'sqrt': 'sqrt', 'abs': 'fabs',
         'tanh': 'tanh', 'arcsinh': 'asinh', 'sin': 'sin', 'cos': 'cos', 'arctan2': 'atan2',
         'maximum': 'MAX', 'minimum': 'MIN', 'maximum one': 'MAX_ONE', 'minimum one': 'MIN_ONE'}


class Given(NamedTuple):
    """Where an input lies: in which argument of the function, and from which element on."""

    argument: str
    offset: int


class Writer:
    """What the writers of a C function and of a kernel share: a graph and where its arrays lie."""

    calls, infix, zero = CALLS, INFIX, '0.0'

    def __init__(self, graph: Graph, given: Mapping[str, Given], results: Results,
                 single: Set[str]) -> None:
        """Begin with no code; single: arguments that are pointers to float."""
        self.nodes, self.given, self.results, self.single = graph.nodes, given, results, single
        self.changed = {result.argument for result in results}
        self.lines: List[str] = []
        self.place: Dict[int, int] = {}  # node -> offset of its buffer
        self.tables: Dict[str, int] = {}  # values -> number

    def kind(self, argument: str) -> str:
        """Return what an argument points to."""
        return 'const ' * (argument not in self.changed) + (
            'float' if argument in self.single else 'double')

    def read_from(self, n: int) -> Set[str]:
        """Return the argument that an input lies in."""
        node = self.nodes[n]
        return {self.given[node.what].argument} if node.kind == 'input' else set()

    def expression(self, node: Node, inside: Set[int]) -> str:
        """Return an elementwise operation; inside: the nodes that are computed in this loop."""
        args = [self.argument(view, node, inside) for view in node.args]
        if node.what in self.infix:
            return f'{args[0]} {self.infix[node.what]} {args[1]}'
        if node.what in ('maximum', 'minimum') and 'const' in (
                self.nodes[view.node].kind for view in node.args):
            if self.nodes[node.args[0].node].kind == 'const':
                args.reverse()
            return f'{self.calls[f"{node.what} one"]}({", ".join(args)})'
        if node.what in self.calls:
            return f'{self.calls[node.what]}({", ".join(args)})'
        return {'where': f'{{}} != {self.zero} ? {{}} : {{}}', 'negative': '-{}', 'cast': '{}',
                'not': f'{{}} == {self.zero}'}[node.what].format(*args)

    def argument(self, view: View, node: Node, inside: Set[int]) -> str:
        """Return what an elementwise operation reads."""
        return f'v{view.node}' if view.node in inside else self.read(view, loops(node))

    def read(self, view: View, shape: Tuple[int, ...]) -> str:
        """Return the element that a loop over i0, i1, ... of this shape reads."""
        return self.at(view.node, self.index(view.places.reshape(shape),
                                               [f'i{d}' for d in range(len(shape))]))

    def at(self, n: int, index: str) -> str:
        """Return an element of a node."""
        node = self.nodes[n]
        if node.kind == 'const':
            return self.constant(node.what)
        if node.kind == 'input':
            argument, offset = self.given[node.what]
            return f'{argument}[{offset} + {index}]'
        if node.size == 1:
            return f'v{n}'
        return self.buffer(n, index)

    def constant(self, value: float) -> str:
        """Return a number."""
        return f'({value!r})'.replace('inf', 'INFINITY').replace('nan', 'NAN')

    def buffer(self, n: int, index: str) -> str:
        """Return an element of what is stored."""
        return f'b[{self.place[n]} + {index}]'

    def copy(self, n: int, view: View, packed: bytes) -> Tuple[Tuple[int, ...], str, str]:
        """Return of a join's part the shape of a loop over i0, i1, ..., target and source."""
        into = np.frombuffer(packed, np.int64)
        shape: Tuple[int, ...] = (into.size,)
        if not line(into) or not line(view.places.reshape(-1)):
            shape = tuple(size for size in view.places.shape if size > 1)
        names = [f'i{d}' for d in range(len(shape))]
        target = self.buffer(n, self.index(into.reshape(shape), names))
        return shape, target, self.read(view, shape)

    def index(self, index: np.ndarray, names: Sequence[str]) -> str:
        """Return the index as a sum of strides, or out of a table where there are none."""
        first, terms = int(index.flat[0]) if index.size else 0, []
        straight = np.full(index.shape, first)
        for axis, name in enumerate(names):
            if index.shape[axis] > 1:
                second = [0] * index.ndim
                second[axis] = 1
                step = int(index[tuple(second)]) - first
                line = step * np.arange(index.shape[axis])
                straight = straight + line.reshape([-1 if d == axis else 1
                                                    for d in range(index.ndim)])
                if step:
                    terms.append(f'{step} * {name}' if step != 1 else name)
        if not np.array_equal(straight, index):
            values = ', '.join(str(int(i)) for i in index.flat)
            at = self.tables.setdefault(values, len(self.tables))
            return f'table{at}[{flat(index.shape, names)}]'
        return ' + '.join([str(first)] * (first > 0 or not terms) + terms)


def line(index: np.ndarray) -> bool:
    """Return whether a flat index goes on in equal steps."""
    return len(set(np.diff(index).tolist())) < 2


def flat(shape: Sequence[int], names: Optional[Sequence[str]] = None) -> str:
    """Return the flat index of the indices of loops of this shape, i0, i1, ... by default."""
    names = names or [f'i{d}' for d in range(len(shape))]
    steps = [int(np.prod(shape[d + 1:], dtype=np.int64)) for d in range(len(shape))]
    return ' + '.join(f'{step} * {name}' for step, name in zip(steps, names)) or '0'


def tree(function: str, terms: Sequence[str]) -> str:
    """Return the function of all terms, two at a time."""
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return f'{function}({tree(function, terms[:half])}, {tree(function, terms[half:])})'


def indices(shape: Sequence[int]) -> List[str]:
    """Return i0, i1, ... out of i."""
    steps = [int(np.prod(shape[d + 1:], dtype=np.int64)) for d in range(len(shape))]
    return [f'const unsigned i{d} = i / {step}{f" % {size}" if d else ""};'
            for d, (step, size) in enumerate(zip(steps, shape))]


def row_step(places: np.ndarray) -> Optional[int]:
    """Return how far apart rows are whose elements are neighbours; None where they are not."""
    rows, columns = places.shape
    step = int(places[1, 0] - places[0, 0]) if rows > 1 else columns
    straight = places[0, 0] + step * np.arange(rows)[:, None] + np.arange(columns)
    return step if np.array_equal(straight, places) else None
