# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
True motions, one function a kind, each (rng, Clock) -> positions (N, T, A).

Lengths are in units of the sensor's noise, so a motion's strength is its tracking index
sqrt(q dt^3) / sigma. Time is in seconds.
"""

from typing import Callable, Dict, NamedTuple

import numpy as np

MIN_INDEX, MAX_INDEX = 5e-5, 5.0  # tracking index: how far noise alone could be mistaken


class Clock(NamedTuple):
    """Message times of N streams: dt_s (N, T), t_s (N, T) from 0, mean dt dt0_s (N, 1)."""

    dt_s: np.ndarray
    t_s: np.ndarray
    dt0_s: np.ndarray
    axes: int


def log_uniform(rng: np.random.Generator, low: float, high: float, *shape: int) -> np.ndarray:
    """Return numbers whose logarithm is uniform."""
    return np.exp(rng.uniform(np.log(low), np.log(high), shape))


def sometimes(rng: np.random.Generator, share: float, *shape: int) -> np.ndarray:
    """Return (shape) bool, True for that share."""
    return rng.random(shape) < share


def often(rng: np.random.Generator, low: float, high: float, n: int, steps: int) -> np.ndarray:
    """Return (n, steps) bool: events, each stream at its own rate a message."""
    return rng.random((n, steps)) < log_uniform(rng, low, high, n, 1)


def level_per_axis(rng: np.random.Generator, low: float, high: float, clock: Clock) -> np.ndarray:
    """Return (N, A): one level a stream, now and then another one on an axis."""
    n = len(clock.dt_s)
    level = log_uniform(rng, low, high, n, 1) * np.ones((n, clock.axes))
    return level * np.where(sometimes(rng, 0.2, n, clock.axes),
                            log_uniform(rng, 0.1, 10.0, n, clock.axes), 1.0)


def chain(rng: np.random.Generator, clock: Clock, white_accel: np.ndarray,
          white_jerk: np.ndarray, friction: np.ndarray, fade: np.ndarray,
          speed: np.ndarray) -> np.ndarray:
    """
    Return (N, T, A) of the chain jerk -> acceleration -> velocity -> position.

    Densities (N, T, A); friction and fade (N, 1) in 1/s; speed (N, A) at the start.
    Each interval is drawn exactly for white acceleration (joint covariance of dp and dv).
    """
    n, steps = clock.dt_s.shape
    p = np.zeros((n, clock.axes))
    v = speed * rng.standard_normal((n, clock.axes))
    a = np.zeros((n, clock.axes))
    out = np.empty((n, steps, clock.axes))
    out[:, 0] = p
    noise = rng.standard_normal((3, steps, n, clock.axes))
    for k in range(1, steps):
        d = clock.dt_s[:, k:k + 1]
        kick = np.sqrt(white_accel[:, k] * d)
        dv = kick * noise[0, k]
        p = p + v * d + 0.5 * a * d * d + d * (0.5 * dv + kick / np.sqrt(12.0) * noise[1, k])
        v = v * np.exp(-friction * d) + a * d + dv
        a = a * np.exp(-fade * d) + np.sqrt(white_jerk[:, k] * d) * noise[2, k]
        out[:, k] = p
    return out


def _still(clock: Clock) -> Dict[str, np.ndarray]:
    n, steps = clock.dt_s.shape
    zero = np.zeros((n, 1))
    return {'white_accel': np.zeros((n, steps, clock.axes)),
            'white_jerk': np.zeros((n, steps, clock.axes)),
            'friction': zero, 'fade': zero, 'speed': np.zeros((n, clock.axes))}


def white_acceleration(rng: np.random.Generator, clock: Clock) -> np.ndarray:
    """Return constant velocity with white acceleration: the Kalman filter's own world."""
    index = level_per_axis(rng, MIN_INDEX, MAX_INDEX, clock)
    q = index**2 / clock.dt0_s**3
    parts = _still(clock)
    parts['white_accel'] = parts['white_accel'] + q[:, None]
    parts['speed'] = log_uniform(rng, 0.1, 100.0, len(q), 1) * np.sqrt(q * clock.dt0_s)
    return chain(rng, clock, **parts)


def wander(rng: np.random.Generator, clock: Clock) -> np.ndarray:
    """Return a velocity that forgets itself within messages: next to a random walk."""
    memory = log_uniform(rng, 0.2, 20.0, len(clock.dt_s), 1) * clock.dt0_s
    step = level_per_axis(rng, 1e-3, MAX_INDEX, clock)  # a message, in units of the noise
    parts = _still(clock)
    # of a random walk that an integrated Ornstein-Uhlenbeck velocity is in the long run
    parts['white_accel'] = parts['white_accel'] + (step**2 / clock.dt0_s / memory**2)[:, None]
    parts['friction'] = 1.0 / memory
    return chain(rng, clock, **parts)


def switching_acceleration(rng: np.random.Generator, clock: Clock) -> np.ndarray:
    """Return white acceleration whose level changes at random messages."""
    n, steps = clock.dt_s.shape
    index = level_per_axis(rng, 1e-3, MAX_INDEX, clock)
    q = index**2 / clock.dt0_s**3
    changes = np.cumsum(often(rng, 0.003, 0.05, n, steps), axis=1)
    levels = log_uniform(rng, 1e-5, 1e2, n, changes.max() + 1)
    parts = _still(clock)
    parts['white_accel'] = q[:, None] * np.take_along_axis(levels, changes, 1)[..., None]
    parts['friction'] = np.where(sometimes(rng, 0.4, n, 1),
                                 1.0 / (log_uniform(rng, 3.0, 300.0, n, 1) * clock.dt0_s), 0.0)
    parts['speed'] = np.sqrt(q * clock.dt0_s)
    return chain(rng, clock, **parts)


def singer(rng: np.random.Generator, clock: Clock) -> np.ndarray:
    """Return smooth motion: an acceleration of finite memory, friction now and then."""
    n, steps = clock.dt_s.shape
    memory = log_uniform(rng, 2.0, 500.0, n, 1) * clock.dt0_s
    index = level_per_axis(rng, 1e-4, MAX_INDEX, clock)
    q = index**2 / clock.dt0_s**3 / memory**2  # white jerk that gives this white acceleration
    parts = _still(clock)
    changes = np.cumsum(often(rng, 0.001, 0.03, n, steps) & sometimes(rng, 0.5, n, 1), axis=1)
    levels = np.where(changes == 0, 1.0, np.take_along_axis(
        log_uniform(rng, 1e-4, 1e1, n, changes.max() + 1), changes, 1))
    parts['white_jerk'] = q[:, None] * levels[..., None]
    parts['fade'] = 1.0 / memory
    parts['friction'] = np.where(sometimes(rng, 0.5, n, 1),
                                 1.0 / (log_uniform(rng, 10.0, 500.0, n, 1) * clock.dt0_s), 0.0)
    parts['speed'] = log_uniform(rng, 0.1, 30.0, n, 1) * np.sqrt(q * memory**2 * clock.dt0_s)
    return chain(rng, clock, **parts)


def harmonic(rng: np.random.Generator, clock: Clock) -> np.ndarray:
    """Return sums of four sines an axis."""
    n = len(clock.dt_s)
    shape = (n, 1, clock.axes, 4)
    period = log_uniform(rng, 12.0, 2000.0, *shape) * clock.dt0_s[..., None, None]
    size = log_uniform(rng, 0.3, 300.0, n, 1, 1, 1) * rng.uniform(0.1, 1.0, shape)
    phase = rng.uniform(0.0, 2.0 * np.pi, shape)
    time = clock.t_s[:, :, None, None]
    return (size * np.sin(2.0 * np.pi * time / period + phase)).sum(-1)


SINES = 40  # of a rough motion
FASTEST, SLOWEST = 0.45, 5e-4  # of them, in periods a message
BENDS = (0.01, 0.05, 0.2)  # between them the slope of the spectrum changes


def rough(rng: np.random.Generator, clock: Clock) -> np.ndarray:
    """
    Return how bodies turn: a spectrum that falls steeply at first and ever less.

    There is something of every frequency in it, which no model of a few states predicts.
    """
    n, axes = len(clock.dt_s), clock.axes
    grid = np.log(FASTEST / SLOWEST) / SINES
    place = np.arange(SINES) + rng.uniform(0.0, 1.0, (n, axes, SINES))
    log_f = np.log(SLOWEST) + grid * place
    groups = axes // 3
    # slopes of the power's logarithm, from slow to fast
    steep = rng.uniform(2.0, 6.0, (n, groups, 1))
    then = [rng.uniform(low, high, steep.shape) * steep for low, high in ((0.4, 1.0), (0.1, 0.8))]
    slopes = np.repeat(np.concatenate([np.minimum(steep, 3.0), steep, *then], 2), 3, 1)
    bends = np.log(np.array(BENDS))
    power = -slopes[..., :1] * (log_f - bends[0])
    for k, bend in enumerate(bends):
        power -= (slopes[..., k + 1:k + 2] - slopes[..., k:k + 1]) * np.maximum(log_f - bend, 0.0)
    # of unit power a message at the second bend; noise has 1 there
    power += slopes[..., 1:2] * (bends[1] - bends[0])
    level = np.repeat(log_uniform(rng, 1e-2, 30.0, n, groups, 1), 3, 1)
    size = level * np.exp(0.5 * (power + log_f)) * np.sqrt(4.0 * grid)
    phase = rng.uniform(0.0, 2.0 * np.pi, size.shape)
    omega = 2.0 * np.pi * np.exp(log_f) / clock.dt0_s[..., None]
    out = np.empty((n, clock.dt_s.shape[1], axes))
    for row in range(n):
        angle = clock.t_s[row][:, None, None] * omega[row] + phase[row]
        out[row] = np.einsum('tak,ak->ta', np.sin(angle), size[row])
    return out


def minimum_jerk(rng: np.random.Generator, clock: Clock) -> np.ndarray:
    """Return rests joined by minimum-jerk strokes (Flash & Hogan 1985)."""
    return _strokes(rng, clock, log_uniform(rng, 4.0, 200.0, len(clock.dt_s), 1, 24)
                    * clock.dt0_s[..., None])


def steps(rng: np.random.Generator, clock: Clock) -> np.ndarray:
    """Return rests with sudden jumps, or one single rest."""
    jumps = _strokes(rng, clock, 1e-3 * clock.dt0_s[..., None] * np.ones((1, 1, 24)))
    return jumps * sometimes(rng, 0.6, len(clock.dt_s), 1, 1)


def surges(rng: np.random.Generator, clock: Clock) -> np.ndarray:
    """Return what comes on top of a motion now and then: a push, a take-off, a hand that snaps."""
    n = len(clock.dt_s)
    duration = log_uniform(rng, 0.3, 6.0, n, 1, 8) * clock.dt0_s[..., None]
    which = np.repeat(sometimes(rng, 0.7, n, 1, clock.axes // 3), 3, axis=2)
    return which * _strokes(rng, clock, duration)


def _strokes(rng: np.random.Generator, clock: Clock, duration: np.ndarray) -> np.ndarray:
    n, size = len(clock.dt_s), duration.shape[-1]
    number = log_uniform(rng, 1.0, size, n, 1, 1)
    begin = rng.uniform(0.0, 1.0, (n, 1, size)) * clock.t_s[:, -1:, None]
    height = rng.standard_normal((n, clock.axes, size)) * log_uniform(rng, 1.0, 500.0, n, 1, 1)
    height = height * (np.arange(size) < number)
    s = np.clip((clock.t_s[..., None] - begin) / duration, 0.0, 1.0)
    return np.einsum('ntk,nak->nta', s**3 * (10.0 - 15.0 * s + 6.0 * s * s), height)


def turns(rng: np.random.Generator, clock: Clock) -> np.ndarray:
    """Return a vehicle's way: speed and rate of turn that change now and then."""
    n, count = clock.dt_s.shape
    changes = np.cumsum(often(rng, 0.003, 0.1, n, count), axis=1)
    most = changes.max() + 1
    rate = (rng.standard_normal((n, most)) * sometimes(rng, 0.5, n, most)
            / (log_uniform(rng, 4.0, 300.0, n, 1) * clock.dt0_s))
    speed = rng.uniform(0.0, 1.0, (n, most)) * sometimes(rng, 0.85, n, most)
    memory = np.exp(-clock.dt_s / (log_uniform(rng, 0.5, 60.0, n, 1) * clock.dt0_s))
    rate, speed = (np.take_along_axis(x, changes, 1) for x in (rate, speed))
    for k in range(1, count):  # first-order lag: a wheel does not turn at once
        for x in (rate, speed):
            x[:, k] = memory[:, k] * x[:, k - 1] + (1.0 - memory[:, k]) * x[:, k]
    heading = np.cumsum(rate * clock.dt_s, axis=1) + rng.uniform(0.0, 6.28, (n, 1))
    out = np.zeros((n, count, clock.axes))
    way = speed * clock.dt_s / clock.dt0_s * log_uniform(rng, 0.02, 20.0, n, 1)
    for group in range(clock.axes // 3):
        out[..., 3 * group] = np.cumsum(way * np.cos(heading), axis=1)
        out[..., 3 * group + 1] = np.cumsum(way * np.sin(heading), axis=1)
        out[..., 3 * group + 2] = 0.05 * np.cumsum(way * np.sin(2.3 * heading), axis=1)
    return out


MOTIONS: Dict[str, Callable[[np.random.Generator, Clock], np.ndarray]] = {
    'white_acceleration': white_acceleration,
    'wander': wander,
    'switching_acceleration': switching_acceleration,
    'singer': singer,
    'harmonic': harmonic,
    'minimum_jerk': minimum_jerk,
    'steps': steps,
    'turns': turns,
}
