# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The motion model of one axis: position, velocity with friction, acceleration that fades.

    dp = v dt,   dv = (-f v + a) dt + sqrt(q_v) dW,   da = -l a dt + sqrt(q_a) dW'

A covariance is six arrays, the upper triangle P11 P12 P13 P22 P23 P33 of (p, v, a).
f, l: 1/s. q_v: m^2/s^3. q_a: m^2/s^5. Singer, IEEE T-AES 6(4), 1970, is f = q_v = 0.
"""

from types import ModuleType
from typing import NamedTuple, Tuple

import numpy as np

from liquid_ros.arrays import Array, clip, namespace


class Process(NamedTuple):
    """What drives an axis between two messages."""

    white_accel: Array  # q_v
    white_jerk: Array  # q_a
    friction: Array  # f
    fade: Array  # l


class Transition(NamedTuple):
    """Nonzero entries of the transition matrix over dt."""

    pv: Array
    pa: Array
    vv: Array
    va: Array
    aa: Array


LEAST, MOST = 1e-37, 1e37  # within float32, too
USUAL = 9.0  # variances of a velocity that its square may well be
WALKS = 0.1  # friction a mean dt: half a walk, which stops wherever it has come to

Covariance = Tuple[Array, Array, Array, Array, Array, Array]


def unbraked(process: Process, velocity: Array, mean_dt: Array) -> Process:
    """
    Return the process without the friction that would brake what moves on by itself.

    What drives a velocity against friction gives it a variance of (q_v + q_a / (l (f + l))) / 2 f.
    One far above it comes from elsewhere, as on a belt or a turntable, and f v is but an error.
    """
    q_v, q_a, f, fade = process
    drive = q_v + q_a / (fade * (f + fade))
    above = clip(2.0 * f * velocity * velocity / (USUAL * drive + LEAST), 0.0, 1e15)
    share = clip(2.0 - f * mean_dt / WALKS, 0.0, 1.0)
    return process._replace(friction=f * (1.0 - share + share / (1.0 + above * above)))


def transition(process: Process, dt: Array) -> Transition:
    """Return the transition over dt; the three decay integrals are exact in f and l apart."""
    xp = namespace(dt)
    fz, lz = process.friction * dt, process.fade * dt
    vv, aa = xp.exp(-fz), xp.exp(-lz)
    pv = -xp.expm1(-fz) / process.friction
    va = -xp.expm1(-lz) / process.fade
    # (dt - va) / l loses all its digits for small l dt
    small = lz < 1e-2
    series = dt * dt * (0.5 - lz / 6.0 + lz * lz / 24.0)
    pa = xp.where(small, series, (dt - va) / process.fade)
    return Transition(pv, pa, vv, va, aa)


def propagate(p: Covariance, t: Transition, process: Process, dt: Array) -> Covariance:
    """
    Return F P F^T + Q.

    Q of the white acceleration is that of an integrated Ornstein-Uhlenbeck velocity, its P11
    interpolated between q dt^3 / 3 (f dt -> 0) and q dt / f^2 (f dt -> inf). Q of the white
    jerk is that of l = 0 over the effective interval va, plus, where l dt is large, that of
    the white acceleration q_a / l^2 it then amounts to. Each part is positive semi-definite.
    """
    p11, p12, p13, p22, p23, p33 = p
    n12 = t.vv * (p12 + t.pv * p22 + t.pa * p23) + t.va * (p13 + t.pv * p23 + t.pa * p33)
    n13 = t.aa * (p13 + t.pv * p23 + t.pa * p33)
    n11 = (p11 + 2.0 * (t.pv * p12 + t.pa * p13) + t.pv * t.pv * p22
           + 2.0 * t.pv * t.pa * p23 + t.pa * t.pa * p33)
    n22 = t.vv * t.vv * p22 + 2.0 * t.vv * t.va * p23 + t.va * t.va * p33
    n23 = t.aa * (t.vv * p23 + t.va * p33)
    n33 = t.aa * t.aa * p33
    faded = 1.0 - t.va / dt
    white = process.white_accel + process.white_jerk * (faded * faded / process.fade)**2
    q, j, d = white * t.pv, process.white_jerk * t.va, t.va
    ratio = 1.0 - (2.0 / 3.0) * t.pv / dt
    e = 2.0 * t.pa / d  # -> d for l dt -> 0
    return (n11 + q * t.pv * dt * ratio + j * (e * d)**2 / 20.0,
            n12 + 0.5 * q * t.pv + j * e * d * d / 8.0,
            n13 + j * e * d / 6.0,
            n22 + 0.5 * q * (1.0 + t.vv) + j * d * d / 3.0,
            n23 + 0.5 * j * d,
            n33 + j)


def consistent(xp: ModuleType, p: Covariance, least: Array) -> Covariance:
    """Return P with P11 at least so large, no variance negative, no correlation beyond one."""
    p11, p12, p13, p22, p23, p33 = p
    p11 = xp.maximum(p11, least)
    p22, p33 = clip(p22, LEAST, MOST), clip(p33, LEAST, MOST)  # a root has no slope at zero
    s1, s2, s3 = xp.sqrt(p11), xp.sqrt(p22), xp.sqrt(p33)

    def bound(entry: Array, most: Array) -> Array:
        return xp.minimum(xp.maximum(entry, -most), most)
    return p11, bound(p12, s1 * s2), bound(p13, s1 * s3), p22, bound(p23, s2 * s3), p33


def inflate(xp: ModuleType, p: Covariance, factor: Array, again: Array, innovation: Array,
             dt: Array) -> Covariance:
    """
    Return P (1 + factor), or, where the stream is re-acquired, a P as wide as the miss.

    The factor is the fading memory of the strong tracking filter.
    """
    factor = 1.0 + factor
    p11, p12, p13, p22, p23, p33 = (entry * factor for entry in p)
    if isinstance(again, np.ndarray) and not again.any():  # torch cannot ask without waiting
        return p11, p12, p13, p22, p23, p33
    zero = xp.zeros_like(p11)
    miss = 100.0 * innovation * innovation
    return (xp.where(again, p11 + miss, p11), xp.where(again, zero, p12),
            xp.where(again, zero, p13), xp.where(again, p22 + 1e-3 * miss / dt**2, p22),
            xp.where(again, zero, p23), p33)


def condition(xp: ModuleType, p: Covariance, keep: Array, gains: Tuple[Array, Array, Array]
               ) -> Covariance:
    """Return P - K H P, which with this K is Joseph's form; keep is 1 - K1, never negative."""
    _, k2, k3 = gains
    p11, p12, p13, p22, p23, p33 = p
    zero = xp.zeros_like(p11)
    return (keep * p11, keep * p12, keep * p13,
            xp.maximum(p22 - k2 * p12, zero), p23 - k2 * p13, xp.maximum(p33 - k3 * p13, zero))
