# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Probes: fixed fading-memory filters that show at which memory a stream is best predicted.

Each axis is predicted by M second-order filters with discount theta a message (Morrison 1969:
gains 1 - theta^2 and (1 - theta)^2); the sizes of their innovations, over a few and over many
messages, tell noise from motion. They run beside the smoother and never touch its estimate.
"""

from typing import NamedTuple

from liquid_ros.arrays import Array, namespace

THETAS = (0.05, 0.5, 0.75, 0.88, 0.94, 0.975)
PROBES = len(THETAS)
FAST, SLOW = 0.2, 0.015  # shares of a new innovation in the running sizes
CLIP = 5.0  # an innovation counts at most as so many usual ones
FLOOR = 1e-9  # m or rad: the size of an innovation where nothing has ever moved


class Probes(NamedTuple):
    """Offset from the last measurement (B, A, M), velocity, and running innovation sizes."""

    offset: Array
    velocity: Array
    fast: Array
    slow: Array

    @classmethod
    def zeros(cls, like: Array) -> 'Probes':
        """Return the probes before a first innovation; like (B, A)."""
        zero = namespace(like).stack([like] * PROBES, -1)
        return cls(zero, zero, zero, zero)


def probe(probes: Probes, moved: Array, dt_s: Array, pace: Array, count: Array) -> Probes:
    """
    Return the probes after one more measurement.

    moved: (B, A) measurement minus the last one. dt_s, pace = dt / mean dt, count: (B, 1).
    """
    xp = namespace(moved)
    dt_s, pace, count = dt_s[..., None], pace[..., None], count[..., None]
    innovation = moved[..., None] - probes.offset - probes.velocity * dt_s
    size = xp.abs(innovation)
    groups = size.reshape(size.shape[0], -1, 3, size.shape[-1]).mean(2)
    start = xp.stack([groups] * 3, 2).reshape(size.shape)
    unknown = probes.slow < 2.0 * FLOOR  # nothing has moved yet: take the first size as it is
    slow = xp.where(unknown, start, probes.slow)
    fast = xp.where(unknown, start, probes.fast)
    counted = xp.minimum(size, CLIP * xp.maximum(slow, fast))
    fast = fast + xp.clip(1.0 / count, FAST, 1.0) * (counted - fast)
    counted = xp.minimum(size, CLIP * slow)
    slow = slow + xp.clip(1.0 / count, SLOW, 1.0) * (counted - slow)
    # theta to the power of the messages that should have come meanwhile
    keep = xp.stack([theta**pace[..., 0] for theta in THETAS], -1)
    alpha = xp.maximum(1.0 - keep * keep, 2.0 * (2.0 * count + 1.0)
                       / ((count + 1.0) * (count + 2.0)) + 0.0 * keep)
    alpha = xp.clip(alpha, 0.0, 1.0)
    beta = xp.maximum((1.0 - keep)**2, 6.0 / ((count + 1.0) * (count + 2.0)) + 0.0 * keep)
    trusted = xp.minimum(xp.maximum(innovation, -CLIP * slow), CLIP * slow)
    # measured - filtered = innovation - alpha trusted
    return Probes(alpha * trusted - innovation,
                  probes.velocity + xp.clip(beta, 0.0, 1.0) * trusted / dt_s,
                  xp.clip(fast, FLOOR, None), xp.clip(slow, FLOOR, None))
