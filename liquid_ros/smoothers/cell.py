# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The liquid cell: dh/dt = -alpha h + phi(x W^T + h U^T), phi tanh, sigmoid or ReLU.

Rows are batch: x (..., I), h (..., H), weight_in W (H, I), weight_rec U (H, H),
alpha (H,) or (..., H) > 0 in 1/s, dt (..., 1) or (..., H) >= 0 in s. No state is kept here.
"""

from typing import Callable, Dict

from liquid_ros.arrays import Array, namespace

SMALL = 1e-8  # below it the series of (1 - exp(-z)) / z is exact to float64 rounding


def _tanh(u: Array) -> Array:
    return namespace(u).tanh(u)


def sigmoid(u: Array) -> Array:
    """Return 1 / (1 + exp(-u)), which overflows nowhere in this form."""
    return 0.5 + 0.5 * namespace(u).tanh(0.5 * u)


def _relu(u: Array) -> Array:
    return namespace(u).maximum(u, 0.0 * u)


# by name; of ReLU alone h has no bound
ACTIVATIONS: Dict[str, Callable[[Array], Array]] = {
    'tanh': _tanh, 'sigmoid': sigmoid, 'relu': _relu}


def drive(x: Array, h: Array, weight_in: Array, weight_rec: Array, activation: str = 'tanh'
          ) -> Array:
    """Return phi(x W^T + h U^T), shape (..., H)."""
    return ACTIVATIONS[activation](x @ weight_in.T + h @ weight_rec.T)


def euler(x: Array, h: Array, weight_in: Array, weight_rec: Array, alpha: Array,
          dt: Array, activation: str = 'tanh') -> Array:
    """Return h + dt (-alpha h + phi): stable only for dt alpha < 2."""
    return h + dt * (drive(x, h, weight_in, weight_rec, activation) - alpha * h)


def exponential(x: Array, h: Array, weight_in: Array, weight_rec: Array, alpha: Array,
                dt: Array, activation: str = 'tanh') -> Array:
    """
    Return the exact step for phi frozen over the interval, right for any dt >= 0.

    z = alpha dt, h' = exp(-z) h + dt p phi, p = (1 - exp(-z)) / z.
    """
    xp = namespace(x)
    z = alpha * dt
    decay = xp.exp(-z)
    small = z < SMALL
    share = xp.where(small, 1.0 - 0.5 * z, -xp.expm1(-z) / xp.where(small, xp.ones_like(z), z))
    return decay * h + dt * share * drive(x, h, weight_in, weight_rec, activation)
