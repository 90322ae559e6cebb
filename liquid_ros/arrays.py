# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One spelling for NumPy and torch: a step is written once against the array's own module."""

import sys
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray or torch.Tensor


def namespace(array: Array) -> ModuleType:
    """Return the module, numpy or torch, whose functions take this array."""
    return np if isinstance(array, (np.ndarray, np.generic)) else sys.modules['torch']


def tangent_size(width: int) -> int:
    """Return the degrees of freedom of a row: 3 for x y z, 6 where a quaternion follows."""
    return 3 if width == 3 else 6


def cast(array: Array, like: Array) -> Array:
    """Return the array in the number type of another one."""
    if array.dtype == like.dtype:
        return array
    return array.astype(like.dtype) if isinstance(array, np.ndarray) else array.to(like.dtype)
