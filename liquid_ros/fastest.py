# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Which device a smoother's step takes least time on, by trying."""

from time import perf_counter
from typing import Callable, List, Sequence, Tuple

import numpy as np

from liquid_ros.backend import Backend
from liquid_ros.errors import DeviceError
from liquid_ros.smoothers.base import Smoother
from liquid_ros.streams import StreamBank

WARM, TRIED = 5, 15  # messages of each stream
STEP_NS = 10_000_000

Load = Tuple[int, int]  # width of the rows, streams that have a message at once


def fastest(candidates: Sequence[Backend], build: Callable[[Backend], Smoother],
            loads: Sequence[Load]) -> Backend:
    """
    Return the backend on which a message for each of the loads takes least time.

    One on which the smoother fails (out of memory, no kernel for this device) takes for ever;
    where all do, the first is returned.
    """
    times_s = []
    for backend in candidates:
        try:
            times_s.append(_step_s(backend, build(backend), loads))
        except (RuntimeError, DeviceError):
            times_s.append(float('inf'))
    return candidates[int(np.argmin(times_s))]


def _step_s(backend: Backend, smoother: Smoother, loads: Sequence[Load]) -> float:
    """Return the sum over loads of the median time in s, reading the answer back included."""
    return sum(float(np.median(_times_s(StreamBank(smoother, width, backend=backend), streams)))
               for width, streams in loads)


def _times_s(bank: StreamBank, streams: int) -> List[float]:
    rng, times_s = np.random.default_rng(0), []
    for k in range(WARM + TRIED):
        rows = rng.standard_normal((streams, bank.width))
        began = perf_counter()
        bank.update(range(streams), [k * STEP_NS + 1] * streams, rows)
        times_s.append(perf_counter() - began)
    return times_s[WARM:]
