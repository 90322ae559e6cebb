# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One spelling for NumPy and torch: a step is written once against the array's own module."""

import sys
from types import ModuleType
from typing import Any, List

import numpy as np

Array = Any  # numpy.ndarray or torch.Tensor


def namespace(array: Array) -> ModuleType:
    """Return the module, numpy or torch, whose functions take this array."""
    if isinstance(array, (np.ndarray, np.generic)):
        return np
    if hasattr(array, '__array_namespace__'):
        return array.__array_namespace__()  # a step that is being traced
    return sys.modules['torch']


def tangent_size(width: int) -> int:
    """Return the degrees of freedom of a row: 3 for x y z, 6 where a quaternion follows."""
    return 3 if width == 3 else 6


def cast(array: Array, like: Array) -> Array:
    """Return the array in the number type of another one."""
    if array.dtype == like.dtype:
        return array
    return array.astype(like.dtype) if isinstance(array, np.ndarray) else array.to(like.dtype)


def stack(*arrays: Array) -> Array:
    """Return arrays of one shape (...) side by side on a new last axis."""
    first = arrays[0]
    if not isinstance(first, np.ndarray):
        return namespace(first).stack(arrays, -1)
    out = np.empty(first.shape + (len(arrays),), first.dtype)
    for i, array in enumerate(arrays):  # a third of numpy.stack's time on small arrays
        out[..., i] = array
    return out


def unstack(array: Array) -> List[Array]:
    """Return what stack() packed."""
    return [array[..., i] for i in range(array.shape[-1])]


def columns(array: Array) -> List[Array]:
    """Return the columns (B, 1) of an array (B, N)."""
    return [array[:, i:i + 1] for i in range(array.shape[1])]


def pick(array: Array, places: List[int]) -> Array:
    """Return the columns (B, P) of an array (B, N) at places."""
    if isinstance(array, np.ndarray) or hasattr(array, '__array_namespace__'):
        return array[:, places]
    # torch would bring the list to the array's device each time, and wait for it
    return namespace(array).concatenate([array[:, i:i + 1] for i in places], -1)


def clip(array: Array, low: float, high: float) -> Array:
    """Return the array with each value moved into [low, high]."""
    if not isinstance(array, np.ndarray):
        return array.clip(low, high)
    return np.minimum(np.maximum(array, low), high)  # a fifth of numpy.clip's time


def ramp(array: Array, low: float, high: float) -> Array:
    """Return 0 up to low, 1 from high on, even in between."""
    return clip((array - low) / (high - low), 0.0, 1.0)


def summed(values: Array) -> Array:
    """Return (B, 1), the sum over the axes of (B, A)."""
    return values.sum(1)[:, None]


def each_axis(group: Array) -> Array:
    """Return (B, G, ...), one entry a group of three axes, as (B, 3 G, ...)."""
    shape = tuple(group.shape)
    return namespace(group).stack([group] * 3, 2).reshape((shape[0], 3 * shape[1]) + shape[2:])


def group_average(axes: int) -> np.ndarray:
    """Return the (A, A) matrix that replaces each axis by the mean of its group of three."""
    return np.kron(np.eye(axes // 3), np.full((3, 3), 1.0 / 3.0))


def turning(axes: int) -> np.ndarray:
    """Return (axes, 1): one for an axis of rotation, zero for one of position."""
    return (np.arange(axes) >= 3).astype(float)[:, None]
