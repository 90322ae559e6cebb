# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A made-up sensor for the tests of tuning: a smooth motion, noise of its own, as a recording."""

import bags
import numpy as np

from liquid_ros.timing import ns_to_seconds_text


def sensor(count=400, seed=0, rate_hz=30.0, memory=0.9, turns=True):
    """Return stamps (N,) ns, rows (N, 7) and truth (N, 7); noise remembers itself."""
    rng = np.random.default_rng(seed)
    dt_s = np.exp(0.1 * rng.standard_normal(count)) / rate_hz
    stamps_ns = bags.START_NS + np.round(1e9 * np.cumsum(dt_s)).astype(np.int64)
    t = np.cumsum(dt_s)[:, None]
    truth = np.zeros((count, 7))
    period = np.array([2.9, 4.3, 7.7])
    truth[:, :3] = 0.4 * np.sin(2.0 * np.pi * t / period + rng.uniform(0.0, 6.0, 3))
    half = 0.3 * np.sin(t[:, 0] / 3.0) if turns else 0.0 * t[:, 0]
    truth[:, 5], truth[:, 6] = np.sin(half), np.cos(half)
    error = rng.standard_normal((count, 7))
    for k in range(1, count):
        error[k] = memory * error[k - 1] + np.sqrt(1.0 - memory**2) * error[k]
    rows = truth + error * np.r_[0.01 * np.ones(3), (0.004 * np.ones(4) if turns
                                                     else np.zeros(4))]
    return stamps_ns, rows, truth


def write_tum(path, stamps_ns, rows):
    """Write poses (N, 7) as TUM text."""
    path.write_text(''.join(f'{ns_to_seconds_text(int(t))} {" ".join(map(repr, row.tolist()))}\n'
                            for t, row in zip(stamps_ns, rows)))


def pose_messages(stamps_ns, rows):
    """Return (log_ns, CDR) of PoseStamped messages."""
    rng = np.random.default_rng(0)
    return [(int(t), bytes(bags.store().serialize_cdr(
        bags.message('pose', rng, t, 'map', row[None]), bags.TYPES['pose'])))
        for t, row in zip(stamps_ns, rows)]


def write(path, count=400, seed=0, **more):
    """Write a bag with the sensor at /pose and the truth at /gt; return path and truth."""
    stamps_ns, rows, truth = sensor(count, seed, **more)
    bags.write_bag(path, {'/pose': (bags.TYPES['pose'], pose_messages(stamps_ns, rows)),
                          '/gt': (bags.TYPES['pose'], pose_messages(stamps_ns, truth))})
    return path
