# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Probes: fixed fading-memory filters that show how a stream moves and how it is disturbed.

Each axis is followed by M second-order filters with discount theta a message (Morrison 1969:
gains 1 - theta^2 and (1 - theta)^2). How far two neighbours stand apart, beside the size of the
shortest one's innovation, tells motion from noise: under white noise it is a known fraction of
it, under motion the longer memory lags behind. They never touch the smoother's estimate.
"""

from types import ModuleType
from typing import NamedTuple, Tuple

import numpy as np

from liquid_ros.arrays import Array, namespace

THETAS = (0.05, 0.4, 0.65, 0.8, 0.89, 0.94, 0.97, 0.985)
PROBES = len(THETAS)
FAST = tuple(min(max(1.0 - theta, 0.04), 0.25) for theta in THETAS)  # shares of a new size
SLOW = tuple(min(max(0.1 * (1.0 - theta), 0.003), 0.01) for theta in THETAS)
CLIP = 5.0  # a size counts at most as so many usual ones
PEAK_DECAY = 2e-4  # a message
FLOOR = 1e-9  # m or rad: the size of an innovation where nothing has ever moved
RESTING = 0.01  # of the largest usual size: below it a still, coarse sensor is not believed


class Probes(NamedTuple):
    """
    Per axis and probe (B, A, M): offset from the last measurement, velocity, running sizes.

    Size 0 is that of the shortest memory's innovation; size m > 0 that of the distance between
    filters m - 1 and m. fast and slow are its running means; peak (B, A, 1) bounds the slow one.
    """

    offset: Array
    velocity: Array
    fast: Array
    slow: Array
    peak: Array

    @classmethod
    def zeros(cls, like: Array) -> 'Probes':
        """Return the probes before a first innovation; like (B, A)."""
        zero = namespace(like).stack([like] * PROBES, -1)
        return cls(zero, zero, zero, zero, zero[..., :1])


def probe(probes: Probes, moved: Array, dt_s: Array, pace: Array, count: Array,
          tables: Array) -> Probes:
    """
    Return the probes after one more measurement.

    moved: (B, A) measurement minus the last one. dt_s, pace = dt / mean dt, count: (B, 1).
    tables: (3, M): log theta, FAST and SLOW on the namespace of the rest.
    """
    xp = namespace(moved)
    dt_s, pace, count = dt_s[..., None], pace[..., None], count[..., None]
    innovation = moved[..., None] - probes.offset - probes.velocity * dt_s
    # theta to the power of the messages that should have come meanwhile
    keep = xp.exp(pace * tables[0])
    # a fading memory that has seen few messages is an expanding one
    alpha = xp.maximum(1.0 - keep * keep,
                       xp.clip((4.0 * count + 2.0) / ((count + 1.0) * (count + 2.0)), 0.0, 1.0))
    beta = xp.maximum((1.0 - keep)**2,
                      xp.clip(6.0 / ((count + 1.0) * (count + 2.0)), 0.0, 1.0))
    bound = CLIP * xp.maximum(probes.slow[..., :1], probes.fast[..., :1])
    bound = xp.where(probes.slow[..., :1] < 2.0 * FLOOR, xp.abs(innovation), bound)
    trusted = xp.minimum(xp.maximum(innovation, -bound), bound)
    # measured - filtered = innovation - alpha trusted
    offset = alpha * trusted - innovation
    size = xp.abs(xp.concatenate([innovation[..., :1], offset[..., :-1] - offset[..., 1:]], -1))
    fast, slow = _sizes(xp, probes, size, count, tables)
    usual = slow[..., :1]
    peak = xp.maximum(probes.peak * (1.0 - PEAK_DECAY), usual)
    slow = xp.concatenate([xp.maximum(usual, RESTING * peak), slow[..., 1:]], -1)
    return Probes(offset, probes.velocity + beta * trusted / dt_s, fast,
                  slow, peak)


def _sizes(xp: ModuleType, probes: Probes, size: Array, count: Array, tables: Array
           ) -> Tuple[Array, Array]:
    """Return the running means of the sizes, robust to single large ones."""
    batch, axes, number = size.shape
    groups = size.reshape(batch, axes // 3, 3, number).mean(2)
    start = xp.stack([groups] * 3, 2).reshape(batch, axes, number)
    # of the order of the innovation: a distance is at first zero to rounding
    start = xp.maximum(start, 0.02 * start[..., :1])
    unknown = probes.slow < 2.0 * FLOOR  # nothing has moved yet: take the first size as it is
    slow = xp.where(unknown, start, probes.slow)
    fast = xp.where(unknown, start, probes.fast)
    counted = xp.minimum(size, CLIP * xp.maximum(slow, fast))
    fast = fast + xp.clip(1.0 / count, tables[1], 1.0 + 0.0 * tables[1]) * (counted - fast)
    counted = xp.minimum(size, CLIP * slow)
    slow = slow + xp.clip(1.0 / count, tables[2], 1.0 + 0.0 * tables[2]) * (counted - slow)
    return xp.clip(fast, FLOOR, None), xp.clip(slow, FLOOR, None)


def probe_tables() -> np.ndarray:
    """Return (3, M): log theta and the shares of a new size in its fast and slow mean."""
    return np.array([np.log(THETAS), FAST, SLOW])
