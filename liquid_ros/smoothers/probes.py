# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Probes: fixed fading-memory filters that show how a stream moves and how it is disturbed.

Each axis is followed by M second-order filters with discount theta a message (Morrison 1969:
gains 1 - theta^2 and (1 - theta)^2). How far two neighbours stand apart, beside the size of the
shortest one's innovation, tells motion from noise: under white noise it is a known fraction of
it, under motion the longer memory lags behind. They never touch the smoother's estimate.
"""

from typing import NamedTuple

import numpy as np

from liquid_ros.arrays import Array, clip, namespace

THETAS = (0.05, 0.4, 0.65, 0.8, 0.89, 0.94, 0.97, 0.985)
PROBES = len(THETAS)
FAST = tuple(min(max(1.0 - theta, 0.04), 0.25) for theta in THETAS)  # shares of a new size
SLOW = tuple(min(max(0.1 * (1.0 - theta), 0.003), 0.01) for theta in THETAS)
LONG = tuple(min(max(0.01 * (1.0 - theta), 0.001), 0.002) for theta in THETAS)
CLIP = 5.0  # an innovation counts at most as so many usual ones
NEAR = 0.01  # of the usual innovation: filters closer than this count as so far apart
PEAK_DECAY = 2e-4  # a message
YOUNG, BRISK = 60, 10.0  # so long the slow size is at most so many times the fast one
BURST = 0.1  # of the mean dt
FLOOR = 1e-12  # m or rad: the size of an innovation where nothing has ever moved
HUGE = 1e30
MIDDLE = 2  # the filter whose velocity tells how far a message's way is
WAY = 1e-3  # of that way: no sensor is believed to resolve less
IDLE = 3e-4  # of its group's mean: an axis that does not move has at least this size
RESTING = 0.01  # of the largest usual size: below it a still, coarse sensor is not believed


def never_moved(probes: 'Probes') -> Array:
    """Return (B, A) bool: True where every measurement so far was the same."""
    return probes.slow[..., 0] < 2.0 * FLOOR


def way(probes: 'Probes') -> Array:
    """Return (B, A) the measurements' own velocity, whatever the smoother makes of them."""
    return probes.velocity[..., MIDDLE]


class Probes(NamedTuple):
    """
    Per axis and probe (B, A, M): offset from the last measurement, velocity, running sizes.

    Size 0 is that of the shortest memory's innovation, size m > 0 the distance between filters
    m - 1 and m. fast and slow are running means, the first one's of clipped sizes, the others'
    geometric; peak (B, A, 1) bounds size 0 from below. age (B, A, 1) counts messages since the
    axis first moved.
    """

    offset: Array
    velocity: Array
    fast: Array
    slow: Array
    long: Array
    peak: Array
    age: Array

    @classmethod
    def zeros(cls, like: Array) -> 'Probes':
        """Return the probes before a first innovation; like (B, A)."""
        zero = namespace(like).stack([like] * PROBES, -1)
        return cls(zero, zero, zero, zero, zero, zero[..., :1], zero[..., :1])


def probe(probes: Probes, moved: Array, dt_s: Array, mean_dt: Array, tables: Array,
          average: Array) -> Probes:
    """
    Return the probes after one more measurement.

    moved: (B, A) measurement minus the last one. dt_s and its mean: (B, 1).
    tables: (3, M): log theta, FAST and SLOW. average: (A, A), the mean over groups of axes.
    """
    xp = namespace(moved)
    dt_s, mean_dt = dt_s[..., None], mean_dt[..., None]
    unknown = never_moved(probes)[..., None]
    age = xp.where(unknown, xp.ones_like(probes.age), probes.age + 1.0)
    innovation = moved[..., None] - probes.offset - probes.velocity * dt_s
    # theta to the power of the messages that should have come meanwhile
    keep = xp.exp(dt_s / mean_dt * tables[0])
    # a fading memory that has seen few messages is an expanding one
    alpha = xp.maximum(1.0 - keep * keep,
                       clip((4.0 * age + 2.0) / ((age + 1.0) * (age + 2.0)), 0.0, 1.0))
    beta = xp.maximum((1.0 - keep)**2,
                      clip(6.0 / ((age + 1.0) * (age + 2.0)), 0.0, 1.0))
    bound = CLIP * xp.maximum(probes.slow[..., :1], probes.fast[..., :1])
    bound = xp.where(unknown, xp.abs(innovation), bound)
    trusted = xp.minimum(xp.maximum(innovation, -bound), bound)
    # measured - filtered = innovation - alpha trusted
    offset = alpha * trusted - innovation
    size = xp.abs(innovation[..., :1])
    # an axis that has not moved says nothing of its size yet
    start = xp.where(unknown & (size > 0.0), average @ size, size)
    fast0 = xp.where(unknown, start, probes.fast[..., :1])
    slow0 = xp.where(unknown, start, probes.slow[..., :1])
    share_fast = xp.maximum(1.0 / age, tables[1])
    share_slow = xp.maximum(1.0 / age, tables[2])
    fast0 = fast0 + share_fast[..., :1] * (
        xp.minimum(start, CLIP * xp.maximum(slow0, fast0)) - fast0)
    slow0 = slow0 + share_slow[..., :1] * (xp.minimum(start, CLIP * slow0) - slow0)
    # an outlier among the first few must not set the size for long
    slow0 = xp.where(age < YOUNG, xp.minimum(slow0, BRISK * fast0), slow0)
    peak = xp.where(age < YOUNG, slow0, xp.maximum(probes.peak * (1.0 - PEAK_DECAY), slow0))
    made = average @ xp.abs(way(probes)[..., None] * xp.minimum(dt_s, mean_dt))
    slow0 = xp.maximum(xp.maximum(slow0, WAY * made),
                       xp.maximum(RESTING * peak, IDLE * (average @ slow0)))
    slow0 = clip(slow0, FLOOR, HUGE)
    apart = xp.log(xp.maximum(xp.abs(offset[..., :-1] - offset[..., 1:]), NEAR * slow0))
    share_long = xp.maximum(1.0 / age, tables[3])
    long0 = xp.where(unknown, start, probes.long[..., :1])
    long0 = xp.exp(xp.log(clip(long0, FLOOR, HUGE)) + share_long[..., :1] * xp.log(
        clip(slow0, FLOOR, HUGE) / clip(long0, FLOOR, HUGE)))
    fast, slow, long = (
        xp.exp(xp.where(unknown, apart, log + share * (apart - log)))
        for log, share in (
            (xp.log(clip(probes.fast[..., 1:], FLOOR, HUGE)), share_fast[..., 1:]),
            (xp.log(clip(probes.slow[..., 1:], FLOOR, HUGE)), share_slow[..., 1:]),
            (xp.log(clip(probes.long[..., 1:], FLOOR, HUGE)), share_long[..., 1:])))
    # stamps of a burst may be as good as equal: no speed follows from such a dt
    return Probes(offset, probes.velocity + beta * trusted / xp.maximum(dt_s, BURST * mean_dt),
                  xp.concatenate([clip(fast0, FLOOR, HUGE), fast], -1),
                  xp.concatenate([slow0, slow], -1),
                  xp.concatenate([long0, long], -1), peak, age)


def probe_tables() -> np.ndarray:
    """Return (3, M): log theta and the shares of a new size in its fast and slow mean."""
    return np.array([np.log(THETAS), FAST, SLOW, LONG])
