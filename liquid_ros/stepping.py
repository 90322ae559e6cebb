# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A smoother's step over packed states, compiled or not."""

from typing import NamedTuple, Optional, Tuple

import numpy as np

from liquid_ros.arrays import Array, namespace
from liquid_ros.backend import Backend, NumpyBackend
from liquid_ros.fused import Compiled, Fused
from liquid_ros.packing import Layout
from liquid_ros.smoothers.base import Smoother

HOST = NumpyBackend()


class Given(NamedTuple):
    """Messages, NumPy: rows (B, W) of unit quaternions, dt_s (B, 1), variances (B, A)."""

    rows: np.ndarray
    dt_s: Optional[np.ndarray] = None
    variances: Optional[np.ndarray] = None


def ready(smoother: Smoother, width: int) -> Smoother:
    """Return the smoother, whose step for points or poses is compiled by now if it can be."""
    if isinstance(smoother, Fused):
        smoother.prepare(width)
    return smoother


def advanced(smoother: Smoother, backend: Backend, layout: Layout, packed: Optional[Array],
             given: Given) -> Tuple[Array, np.ndarray, np.ndarray]:
    """
    Return the packed states, the packed estimates in NumPy, and which (B,) are finite.

    packed: (B, S) on the backend, which a compiled step changes in place; None begins streams.
    """
    if packed is not None and isinstance(smoother, Fused):
        said = smoother.step_packed(packed, *given)  # type: ignore[arg-type]
        return packed, said[:, :-1], said[:, -1] == 0.0
    taken, place = _taken(smoother, backend)
    rows = place.asarray(given.rows)
    variances = None if given.variances is None else place.asarray(given.variances)
    with np.errstate(all='ignore'):  # what is not finite is told
        if packed is None or given.dt_s is None:
            state, estimate = taken.init(rows, variances)
        else:
            state, estimate = taken.step(layout.unpack(packed), rows,
                                         place.asarray(given.dt_s), variances)
    following = layout.pack(state)
    estimates = np.concatenate([place.to_numpy(part) for part in estimate], 1)
    sound = place.to_numpy(namespace(following).isfinite(following).all(1))
    if place is not backend:
        following = backend.asarray(following)
    return following, estimates, sound & np.isfinite(estimates).all(1)


def predicted(smoother: Smoother, backend: Backend, layout: Layout, packed: Array,
              dt_s: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """
    Return packed estimates, NumPy, dt_s (B, 1) after packed states (B, S), and which are finite.

    The next call may write into the same array.
    """
    taken, place = _taken(smoother, backend)
    if place is not backend:
        packed = backend.to_numpy(packed)
    if isinstance(taken, Compiled):
        said = taken.predict_packed(layout.shapes['measured'][0], packed, dt_s)
        return said[:, :-1], said[:, -1] == 0.0
    with np.errstate(all='ignore'):
        found = taken.predict(layout.unpack(packed), place.asarray(dt_s))
    estimates = np.concatenate([place.to_numpy(part) for part in found], 1)
    return estimates, np.isfinite(estimates).all(1)


def _taken(smoother: Smoother, backend: Backend) -> Tuple[Smoother, Backend]:
    """Return what begins streams and predicts, and where: of few operations the CPU is faster."""
    return (smoother.on_host, HOST) if isinstance(smoother, Fused) else (smoother, backend)
