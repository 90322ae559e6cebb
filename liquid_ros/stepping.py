# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A smoother's step over packed states, compiled or not."""

from typing import NamedTuple, Optional, Tuple

import numpy as np

from liquid_ros.arrays import Array, namespace
from liquid_ros.backend import Backend
from liquid_ros.fused import Fused
from liquid_ros.packing import Layout
from liquid_ros.smoothers.base import Smoother


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
    rows = backend.asarray(given.rows)
    variances = None if given.variances is None else backend.asarray(given.variances)
    with np.errstate(all='ignore'):  # what is not finite is told
        if packed is None or given.dt_s is None:
            state, estimate = smoother.init(rows, variances)
        else:
            state, estimate = smoother.step(layout.unpack(packed), rows,
                                            backend.asarray(given.dt_s), variances)
    following = layout.pack(state)
    estimates = np.concatenate([backend.to_numpy(part) for part in estimate], 1)
    sound = backend.to_numpy(namespace(following).isfinite(following).all(1))
    return following, estimates, sound & np.isfinite(estimates).all(1)
