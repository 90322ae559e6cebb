# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Exact problems: motions in closed form, noise with a known law, and a way to run them."""

import numpy as np
import pytest

from liquid_ros.arrays import namespace
from liquid_ros.checkpoint import build
from liquid_ros.errors import CheckpointError
from liquid_ros.manifold import quat_exp, quat_multiply, quat_normalise
from liquid_ros.smoothers import Estimate, SMOOTHERS
from liquid_ros.smoothers.kalman import Kalman
from liquid_ros.smoothers.one_euro import OneEuro

UTM_M = np.array([5e5, 5e6, 100.0])


def line(times_s, start_m, velocity_m_s):
    """Return positions (N, 3) of a point at constant velocity."""
    return start_m + times_s[:, None] * velocity_m_s


def spin(times_s, quat_xyzw, rate_rad_s):
    """Return orientations (N, 4) of a body at a constant rate about its own axes."""
    start = np.broadcast_to(quat_xyzw, (len(times_s), 4))
    return quat_multiply(start, quat_exp(times_s[:, None] * rate_rad_s))


def quats(rng, *shape):
    """Return orientations (..., 4), uniform on the sphere."""
    return quat_normalise(rng.normal(size=shape + (4,)))


def recording(rng, count, batch, width, sigma=0.02):
    """
    Return a random smooth motion under white noise at irregular stamps.

    Returns rows (N, B, width) and dt_s (N, B, 1); position in m and rotation in rad get sigma.
    """
    dt_s = rng.uniform(0.005, 0.1, size=(count, batch, 1))
    times = np.cumsum(dt_s, axis=0)
    wave = np.sin(times * rng.uniform(0.2, 3.0, (batch, 3)) + rng.uniform(0.0, 6.0, (batch, 3)))
    rows = wave * rng.uniform(0.1, 2.0, (batch, 3)) + sigma * rng.normal(size=wave.shape)
    if width == 3:
        return rows, dt_s
    start = np.broadcast_to(quats(rng, batch), (count, batch, 4))
    turned = quat_multiply(start, quat_exp(times * rng.uniform(-1.0, 1.0, (batch, 3))))
    noisy = quat_multiply(turned, quat_exp(sigma * rng.normal(size=wave.shape)))
    return np.concatenate([rows, quat_normalise(noisy)], -1), dt_s


def white_acceleration(rng, count, batch, dt_s, sigma_m, accel_density, speed_sigma_m_s):
    """
    Return a draw of exactly the process that the constant-velocity Kalman filter assumes.

    dt_s: float, or (N,) with the time before each message.
    Returns truth (N, B, 3) m, velocity (N, B, 3) m/s, measured (N, B, 3) m.
    """
    steps_s = np.broadcast_to(dt_s, (count,))
    place, speed = np.zeros((batch, 3)), speed_sigma_m_s * rng.normal(size=(batch, 3))
    truth, velocity = [place], [speed]
    for step_s in steps_s[1:]:
        # cov [dt^3/3 dt^2/2; dt^2/2 dt] = L L^T, L = sqrt(dt) [dt/2 dt/sqrt(12); 1 0]
        a, b = accel_density * np.sqrt(step_s) * rng.normal(size=(2, batch, 3))
        place = place + step_s * speed + step_s * (a / 2.0 + b / np.sqrt(12.0))
        speed = speed + a
        truth.append(place)
        velocity.append(speed)
    truth = np.stack(truth)
    return truth, np.stack(velocity), truth + sigma_m * rng.normal(size=truth.shape)


def run(smoother, rows, dt_s):
    """Return the estimates, each part (N, B, ...), of rows (N, B, W) at dt_s (N, B, 1)."""
    state, estimate = smoother.init(rows[0])
    estimates = [estimate]
    for row, step_s in zip(rows[1:], dt_s[1:]):
        state, estimate = smoother.step(state, row, step_s)
        estimates.append(estimate)
    return Estimate(*(namespace(rows).stack(part) for part in zip(*estimates)))


def turn_between(quat_a, quat_b):
    """Return the angle (...) in rad between orientations (..., 4); q and -q are the same."""
    apart = np.minimum(np.linalg.norm(quat_a - quat_b, axis=-1),
                       np.linalg.norm(quat_a + quat_b, axis=-1))
    return 4.0 * np.arcsin(np.minimum(0.5 * apart, 1.0))


def make(name, scale=1.0, backend=None):
    """
    Return a smoother of the registry for positions in units of 1 / scale metres.

    A smoother that is scale-equivariant by itself needs no entry here.
    """
    settings = {
        'one_euro': {'beta': OneEuro.beta / scale},
        'kalman': _scaled_kalman(scale),
        'kalman_gated': _scaled_kalman(scale),
    }
    if name in settings:
        return SMOOTHERS[name](**settings[name])
    try:
        return build(name, backend=backend)
    except CheckpointError as error:
        pytest.skip(f'no weights: {error}')


def _scaled_kalman(scale):
    return {field: getattr(Kalman, field) * scale
            for field in ('sigma_m', 'accel_density', 'speed_sigma_m_s')}
