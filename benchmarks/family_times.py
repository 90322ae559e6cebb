# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How long a step takes with each cell: interleaved, medians, so that a busy machine is fair."""

import time

import numpy as np

from liquid_ros.backend import NumpyBackend, TorchBackend
from liquid_ros.checkpoint import build, load, SHIPPED
from liquid_ros.errors import DeviceError

ROUNDS = 200
MANY = 64  # streams side by side
TRAJECTORY = 100  # messages of a trajectory


def poses(count, k):
    """Return rows (count, 7) that move."""
    rows = np.zeros((count, 7))
    rows[:, 0], rows[:, 6] = 0.01 * (k % 3), 1.0
    return rows


def medians(smoothers, count, rounds, backend=None):
    """Return the median seconds of a step of so many poses, by key."""
    backend = backend or NumpyBackend()
    states = {key: s.init(backend.asarray(poses(count, 0)))[0] for key, s in smoothers.items()}
    dt_s, spent = backend.asarray(np.full((count, 1), 0.01)), {key: [] for key in smoothers}
    for k in range(1, rounds):
        rows = backend.asarray(poses(count, k))
        for key, smoother in smoothers.items():
            begun = time.perf_counter()
            states[key], estimate = smoother.step(states[key], rows, dt_s)
            backend.to_numpy(estimate.rows)  # a device has to be done
            spent[key].append(time.perf_counter() - begun)
    return {key: float(np.median(values)) for key, values in spent.items()}


def gpu():
    """Return the CUDA backend, None where there is none."""
    try:
        return TorchBackend('cuda')
    except DeviceError:
        return None


def times(smoothers):
    """Return key -> microseconds of a step of one pose and of MANY, and on CUDA where it is."""
    one, many = medians(smoothers, 1, ROUNDS), medians(smoothers, MANY, ROUNDS)
    found = {key: {'one': 1e6 * one[key], 'many': 1e6 * many[key]} for key in smoothers}
    backend = gpu()
    if backend is not None:
        moved = {key: type(s)(s.config, {n: backend.asarray(np.asarray(w))
                                         for n, w in s.weights.items()})
                 for key, s in smoothers.items()}
        for key, value in medians(moved, MANY, ROUNDS // 4, backend).items():
            found[key]['gpu'] = 1e6 * value
    return found


def trajectory():
    """Return milliseconds that the shipped smoother takes for TRAJECTORY messages of one pose."""
    both = {'plain': load('liquid', SHIPPED, NumpyBackend()), 'compiled': build()}
    found = {name: 1e3 * TRAJECTORY * value for name, value in medians(both, 1, ROUNDS).items()}
    if type(both['compiled']) is type(both['plain']):
        del found['compiled']  # there is no compiled step here
    return found
