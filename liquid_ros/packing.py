# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A dictionary of arrays, one row a stream, as one array of packed rows."""

import math
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple

from liquid_ros.arrays import Array, namespace, tangent_size
from liquid_ros.smoothers.base import Estimate

Shapes = Mapping[str, Tuple[int, ...]]


class Layout:
    """Which columns (start, stop) of a packed row are whose, and their shape."""

    def __init__(self, shapes: Shapes) -> None:
        """Place arrays of these shapes, without the first axis, one behind the other."""
        self.shapes = dict(shapes)
        self.columns: Dict[str, Tuple[int, int]] = {}
        self.size = 0
        for name, shape in self.shapes.items():
            self.columns[name] = self.size, self.size + math.prod(shape)
            self.size += math.prod(shape)

    @classmethod
    def of(cls, arrays: Mapping[str, Array]) -> 'Layout':
        """Return the layout of arrays (B, ...)."""
        return cls({name: tuple(array.shape[1:]) for name, array in arrays.items()})

    def pack(self, arrays: Mapping[str, Any]) -> Array:
        """Return the rows (B, size) of arrays (B, ...)."""
        flat = [arrays[name].reshape(len(arrays[name]), -1) for name in self.shapes]
        return namespace(flat[0]).concatenate(flat, 1)

    def unpack(self, rows: Array, names: Optional[Iterable[str]] = None) -> Dict[str, Array]:
        """Return the arrays (B, ...) of rows (B, size), or those there are of some names."""
        columns = {name: self.columns[name] for name in (
            self.columns if names is None else names) if name in self.columns}
        return {name: rows[:, start:stop].reshape((len(rows),) + self.shapes[name])
                for name, (start, stop) in columns.items()}


def estimate_layout(width: int) -> Layout:
    """Return how one stream's estimate is packed; width: 3 or 7, of its rows."""
    axes = tangent_size(width)
    shapes = (width,), (axes,), (axes,), (axes // 3,), (axes // 3,)
    return Layout(dict(zip(Estimate._fields, shapes)))
