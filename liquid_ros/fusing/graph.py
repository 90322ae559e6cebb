# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Record what a step does to its arrays.

A Traced array stands for numbers that are not there yet: it names a node of a graph and, for each
of its elements, the element of that node. Views (slices, None, reshape, .T) only change the index
array, which NumPy itself does; what computes adds a node.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

TRUTHS = {'less', 'less_equal', 'greater', 'greater_equal', 'equal', 'not_equal', 'and', 'or',
          'not'}


class View(NamedTuple):
    """Which elements of a node an operation reads, an integer array in the operation's shape."""

    node: int
    places: np.ndarray


class Node(NamedTuple):
    """
    One operation; its result is flat, of so many elements.

    kind: input, const, map (elementwise), matmul, reduce (over the last axis), join.
    what: the input's name, the constant, the operation's name, or of a join where each part's
    elements go, as bytes.
    wide: whether it is float64, else float32, as NumPy and torch promote; constants adapt.
    """

    kind: str
    what: Any
    args: Tuple[View, ...]
    size: int
    wide: bool = True


class Graph:
    """Nodes in the order in which they can be computed; what is there twice is there once."""

    def __init__(self, reciprocals: bool = False) -> None:
        """Start empty; reciprocals: in float32, multiply by them where many share a divisor."""
        self.nodes: List[Node] = []
        self._reciprocals = reciprocals
        self._seen: Dict[Any, int] = {}

    def input(self, name: str, shape: Sequence[int], wide: bool = True) -> 'Traced':
        """Return an array that comes from outside."""
        return self.add('input', name, (), tuple(shape), wide)

    def const(self, value: float, shape: Sequence[int] = ()) -> 'Traced':
        """Return an array of one number."""
        one = self.add('const', float(value), (), (), False)
        return Traced(self, one.node, np.zeros(tuple(shape), np.int64))

    def add(self, kind: str, what: Any, args: Tuple[View, ...], shape: Tuple[int, ...],
            wide: Optional[bool] = None) -> 'Traced':
        """Return the result of an operation, an array of this shape; wide: None for as usual."""
        size = int(np.prod(shape, dtype=np.int64))
        if wide is None:
            wide = any(self.nodes[view.node].wide for view in args)
        key = kind, what, size, wide, tuple(
            (view.node, view.places.shape, view.places.tobytes()) for view in args)
        if key not in self._seen:
            self._seen[key] = len(self.nodes)
            self.nodes.append(Node(kind, what, args, size, wide))
        return Traced(self, self._seen[key], np.arange(size).reshape(shape))

    def map(self, name: str, *values: Any) -> 'Traced':
        """Return an elementwise operation on arrays and numbers, broadcast as NumPy does."""
        given = [self.lift(value) for value in values]
        shape = np.broadcast_shapes(*(one.shape for one in given))
        numbers = () if name in TRUTHS else given[1:] if name == 'where' else given
        if name == 'divide' and self._reciprocals and not any(
                self.nodes[one.node].wide for one in given):
            places, back = np.unique(given[1].index, return_inverse=True)
            node = self.nodes[given[1].node]
            if node.kind == 'const':
                return self.map('multiply', given[0], 1.0 / node.what)
            if 2 * places.size <= np.prod(shape):
                once = self.map('divide', 1.0, Traced(self, given[1].node, places))
                return self.map('multiply', given[0], Traced(
                    self, once.node, back.reshape(given[1].shape)))
        return self.add('map', name, tuple(
            View(one.node, np.broadcast_to(one.index, shape)) for one in given), shape,
            any(self.nodes[one.node].wide for one in numbers))

    def reduce(self, name: str, values: 'Traced', axis: int) -> 'Traced':
        """Return the sum or the largest over an axis."""
        index = np.moveaxis(values.index, axis, -1)
        return self.add('reduce', name, (View(values.node, index),), index.shape[:-1])

    def join(self, parts: Sequence['Traced'], index: np.ndarray) -> 'Traced':
        """Return the parts' elements, numbered one part behind the other, in this order."""
        places = np.argsort(index.reshape(-1))
        ends = np.cumsum([part.index.size for part in parts])
        return self.add('join', tuple(places[end - part.index.size:end].tobytes()
                                      for part, end in zip(parts, ends)),
                        tuple(View(part.node, part.index) for part in parts), index.shape)

    def lift(self, value: Any) -> 'Traced':
        """Return an array or a number as a traced array."""
        if isinstance(value, Traced):
            return value
        if np.ndim(value):
            raise TypeError(f'got a constant of shape {np.shape(value)}, expected a number')
        return self.const(float(value))


class Traced:
    """An array of a graph, of floating point all through; True is 1.0."""

    __array_ufunc__ = None  # so that NumPy's arrays leave operators to this class

    def __init__(self, graph: Graph, node: int, index: np.ndarray) -> None:
        """Look at a node's elements through an index."""
        self.graph, self.node, self.index = graph, node, index

    def __array_namespace__(self) -> 'Functions':
        """Return the functions that take such arrays."""
        return Functions(self.graph)

    @property
    def shape(self) -> Tuple[int, ...]:
        """Return the shape."""
        return tuple(self.index.shape)

    @property
    def dtype(self) -> np.dtype:
        """Return the number type."""
        return np.dtype(np.float64 if self.graph.nodes[self.node].wide else np.float32)

    def to(self, dtype: np.dtype) -> 'Traced':
        """Return the array in another number type."""
        return self.graph.add('map', 'cast', (View(self.node, self.index),), self.shape,
                              dtype == np.float64)

    @property
    def T(self) -> 'Traced':
        """Return the transposed view."""
        return Traced(self.graph, self.node, self.index.T)

    def __getitem__(self, key: Any) -> 'Traced':
        """Return a view, by anything that indexes a NumPy array."""
        return Traced(self.graph, self.node, self.index[key])

    def __len__(self) -> int:
        """Return the length of the first axis."""
        return len(self.index)

    def reshape(self, *shape: Any) -> 'Traced':
        """Return a view of another shape."""
        return Traced(self.graph, self.node, self.index.reshape(*shape))

    def clip(self, low: float, high: float) -> 'Traced':
        """Return the values moved into [low, high]."""
        return self.graph.map('minimum', self.graph.map('maximum', self, low), high)

    def sum(self, axis: int) -> 'Traced':
        """Return the sum over an axis."""
        return self.graph.reduce('sum', self, axis)

    def mean(self, axis: int) -> 'Traced':
        """Return the mean over an axis."""
        return self.graph.map('divide', self.sum(axis), float(self.index.shape[axis]))

    def __matmul__(self, other: 'Traced') -> 'Traced':
        """Return the matrix product; of the two, only the left may have many leading rows."""
        left, right = self.index, other.index
        lead = left.shape[:-2] if left.ndim >= right.ndim else right.shape[:-2]
        if right.ndim > 2 and right.size != right.shape[-1] * right.shape[-2]:
            raise TypeError(f'got {left.shape} @ {right.shape}, expected one matrix on the right')
        rows = left.reshape(-1, left.shape[-1])
        shape = lead + (left.shape[-2], right.shape[-1])
        args = View(self.node, rows), View(other.node, right.reshape(right.shape[-2:]))
        return self.graph.add('matmul', None, args, shape)

    def __pow__(self, power: int) -> 'Traced':
        """Return a whole power."""
        if power < 1 or power != int(power):
            raise TypeError(f'got the power {power}, expected 1, 2, ...')
        result = self
        for _ in range(int(power) - 1):
            result = self.graph.map('multiply', result, self)
        return result

    def __bool__(self) -> bool:
        """Refuse: what a step does may not depend on its numbers."""
        raise TypeError('got a traced array where a truth value is expected')


def _operator(name: str, swapped: bool = False) -> Any:
    def method(self: Traced, other: Any = None) -> Any:
        if name in ('negative', 'not'):
            return self.graph.map(name, self)
        return self.graph.map(name, *((other, self) if swapped else (self, other)))
    return method


for _name, _method in (('add', 'add'), ('sub', 'subtract'), ('mul', 'multiply'),
                       ('truediv', 'divide'), ('and', 'and'), ('or', 'or')):
    setattr(Traced, f'__{_name}__', _operator(_method))
    setattr(Traced, f'__r{_name}__', _operator(_method, True))
for _name, _method in (('lt', 'less'), ('le', 'less_equal'), ('gt', 'greater'),
                       ('ge', 'greater_equal'), ('eq', 'equal'), ('ne', 'not_equal'),
                       ('neg', 'negative'), ('invert', 'not')):
    setattr(Traced, f'__{_name}__', _operator(_method))
Traced.__hash__ = None  # type: ignore[assignment]

UNARY = ('exp', 'expm1', 'log', 'sqrt', 'abs', 'tanh', 'arcsinh', 'sin', 'cos')
BINARY = ('maximum', 'minimum', 'arctan2')


class Functions:
    """Of the functions that NumPy and torch share, those that a step needs."""

    def __init__(self, graph: Graph) -> None:
        """Add to a graph."""
        self._graph = graph

    def __getattr__(self, name: str) -> Any:
        """Return an elementwise function."""
        if name in UNARY + BINARY:
            return lambda *values: self._graph.map(name, *values)
        raise AttributeError(f'got function {name!r}, which a traced step cannot use')

    def where(self, condition: Any, yes: Any, no: Any) -> Traced:
        """Return yes where the condition holds, else no."""
        return self._graph.map('where', condition, yes, no)

    def amax(self, array: Traced, axis: int) -> Traced:
        """Return the largest over an axis."""
        return self._graph.reduce('max', array, axis)

    def zeros_like(self, array: Traced) -> Traced:
        """Return zeros."""
        return self._graph.const(0.0, array.shape)

    def ones_like(self, array: Traced) -> Traced:
        """Return ones."""
        return self._graph.const(1.0, array.shape)

    def concatenate(self, arrays: Sequence[Traced], axis: int = 0) -> Traced:
        """Return arrays one behind the other on an axis."""
        return self._graph.join(arrays, np.concatenate(_numbered(arrays), axis))

    def stack(self, arrays: Sequence[Traced], axis: int = 0) -> Traced:
        """Return arrays side by side on a new axis."""
        return self._graph.join(arrays, np.stack(_numbered(arrays), axis))


def _numbered(arrays: Sequence[Union[Traced, Any]]) -> List[np.ndarray]:
    ends = np.cumsum([0] + [one.index.size for one in arrays])
    return [np.arange(start, start + one.index.size).reshape(one.shape)
            for start, one in zip(ends, arrays)]
