# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Classic filters, S settings of each at once, on all messages of a run.

The same filters as in smoothers/, as short recursions: what a sweep costs is the number of array
operations a message. Layout: settings last, so a message's state is (A, S), or (4, S) for
quaternions xyzw. A run begins anew where starts says so.
"""

import math
from typing import Callable, Dict, NamedTuple, Optional, Tuple

import numpy as np

Grid = Dict[str, np.ndarray]  # setting's name -> (S,)
PATIENCE = 5  # rejected messages in a row


class Swept(NamedTuple):
    """
    What S settings made of N messages.

    rows: (N, A, S) positions or (N, 4, S) quaternions. missed: (N, A | 3, S) the innovations,
    zero where a run begins.
    """

    rows: np.ndarray
    missed: np.ndarray


def ema(dt_s: np.ndarray, starts: np.ndarray, rows: np.ndarray, grid: Grid) -> Swept:
    """Run y' = y + (1 - exp(-dt / tau)) (z - y) on positions (N, A); tau_s."""
    out, missed = room(rows, grid['tau_s'])
    gains = -np.expm1(-dt_s[:, None] / grid['tau_s'])
    for k, z in enumerate(rows[:, :, None]):
        if starts[k]:
            out[k] = y = z + np.zeros_like(out[k])
            continue
        nu = np.subtract(z, y, out=missed[k])
        y = np.add(y, gains[k] * nu, out=out[k])
    return Swept(out, missed)


def one_euro(dt_s: np.ndarray, starts: np.ndarray, rows: np.ndarray, grid: Grid) -> Swept:
    """Run One-Euro on positions (N, A); min_cutoff_hz, beta; the speed's cutoff is 1 Hz."""
    out, missed = room(rows, grid['beta'])
    cutoff, beta = grid['min_cutoff_hz'], grid['beta']
    ratios = 2.0 * math.pi * dt_s
    for k, z in enumerate(rows[:, :, None]):
        if starts[k]:
            out[k] = y = z + np.zeros_like(out[k])
            speed = np.zeros_like(y)
            continue
        nu = np.subtract(z, y, out=missed[k])
        speed += ratios[k] / (1.0 + ratios[k]) * (nu / dt_s[k] - speed)
        ratio = ratios[k] * (cutoff + beta * np.abs(speed))
        y = np.add(y, ratio / (1.0 + ratio) * nu, out=out[k])
    return Swept(out, missed)


class Covariance:
    """P of a constant-velocity filter, (S,) each; R and the density q (S,), a first P22."""

    def __init__(self, noise: np.ndarray, density: np.ndarray, speed: np.ndarray) -> None:
        """Begin after one message."""
        self.noise, self.density, self.speed = noise, density, speed
        self.begin()

    def begin(self) -> None:
        """Begin anew."""
        self.p11, self.p12, self.p22 = self.noise.copy(), 0.0 * self.noise, self.speed.copy()

    def ahead(self, d: float) -> np.ndarray:
        """Go on by d seconds; return P11 + R."""
        qd, p22d = self.density * d, self.p22 * d
        self.p11 = self.p11 + d * (2.0 * self.p12 + p22d + qd * (d / 3.0))
        self.p12 = self.p12 + p22d + qd * (0.5 * d)
        self.p22 = self.p22 + qd
        return self.p11 + self.noise

    def follow(self, k1: np.ndarray, k2: np.ndarray) -> None:
        """Take in a message."""
        self.p22 = self.p22 - k2 * self.p12
        left = 1.0 - k1
        self.p11, self.p12 = left * self.p11, left * self.p12

    def again(self, where: np.ndarray) -> None:
        """Begin anew in some settings."""
        self.p11[where], self.p12[where] = self.noise[where], 0.0
        self.p22[where] = self.speed[where]


class Gate:
    """Which messages are rejected, and where the patience ends; gate (S,), inf for none."""

    def __init__(self, grid: Grid) -> None:
        """Begin with none rejected."""
        self.square = grid['gate']**2
        self.rejects = np.zeros_like(self.square)

    def judge(self, mean_square: np.ndarray) -> Tuple[np.ndarray, Optional[np.ndarray]]:
        """Return where a message counts, and where the filter begins anew, None for nowhere."""
        inside = mean_square <= self.square
        self.rejects = np.where(inside, 0.0, self.rejects + 1.0)
        again = self.rejects >= PATIENCE
        if not again.any():
            return inside, None
        self.rejects[again] = 0.0
        return inside, again


def kalman(dt_s: np.ndarray, starts: np.ndarray, rows: np.ndarray, grid: Grid) -> Swept:
    """Run the constant-velocity filter on positions (N, A); noise, density, speed, gate."""
    out, missed = room(rows, grid['gate'])
    p, gate, gated = begin(grid)
    for k, z in enumerate(rows[:, :, None]):
        if starts[k]:
            out[k] = y = z + np.zeros_like(out[k])
            v = np.zeros_like(y)
            p, gate, _ = begin(grid)
            continue
        d = dt_s[k]
        total = p.ahead(d)
        y = y + v * d
        nu = np.subtract(z, y, out=missed[k])
        k1, k2 = p.p11 / total, p.p12 / total
        again = None
        if gated:
            inside, again = gate.judge(np.einsum('as,as->s', nu, nu) / (len(nu) * total))
            k1, k2 = k1 * inside, k2 * inside
        y = np.add(y, k1 * nu, out=out[k])
        v = v + k2 * nu
        p.follow(k1, k2)
        if again is not None:
            y[:, again], v[:, again] = z, 0.0
            p.again(again)
    return Swept(out, missed)


def kalman_smoother(dt_s: np.ndarray, starts: np.ndarray, rows: np.ndarray, grid: Grid
                    ) -> np.ndarray:
    """
    Return (N, A, S): kalman without a gate, gone back over (Rauch, Tung & Striebel, 1965).

    C = P F^T (P^-)^-1,   x_s = x + C (x_s' - x^-); nothing goes back over a start.
    """
    count, size = len(rows), len(grid['noise'])
    out = np.empty((count, rows.shape[1], size))
    speeds = np.zeros_like(out)
    p = Covariance(grid['noise'], grid['density'], grid['speed'])
    kept = np.empty((count, 3, size))
    for k, z in enumerate(rows[:, :, None]):
        if starts[k]:
            p.begin()
            y, v = z + np.zeros_like(out[k]), np.zeros_like(out[k])
        else:
            total = p.ahead(dt_s[k])
            k1, k2 = p.p11 / total, p.p12 / total
            y = y + v * dt_s[k]
            nu = z - y
            y, v = y + k1 * nu, v + k2 * nu
            p.follow(k1, k2)
        out[k], speeds[k] = y, v
        kept[k] = p.p11, p.p12, p.p22
    d = dt_s[1:, None]
    p11, p12, p22 = (kept[:-1, i] for i in range(3))
    b1, b2, qd = p11 + d * p12, p12 + d * p22, grid['density'] * d  # P F^T = [b1 p12; b2 p22]
    a11, a12, a22 = b1 + d * b2 + qd * d * d / 3.0, b2 + 0.5 * qd * d, p22 + qd
    size = a11 * a22 - a12 * a12
    gains = ((b1 * a22 - p12 * a12) / size, (p12 * a11 - b1 * a12) / size,
             (b2 * a22 - p22 * a12) / size, (p22 * a11 - b2 * a12) / size)
    for k in range(count - 2, -1, -1):
        if starts[k + 1]:
            continue
        c11, c12, c21, c22 = (gain[k] for gain in gains)
        late = out[k + 1] - out[k] - speeds[k] * dt_s[k + 1]
        faster = speeds[k + 1] - speeds[k]
        out[k] += c11 * late + c12 * faster
        speeds[k] += c21 * late + c22 * faster
    return out


def room(rows: np.ndarray, setting: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return space for the outputs, and zeros for the innovations."""
    count, width = rows.shape
    return (np.empty((count, width, len(setting))),
            np.zeros((count, min(width, 3), len(setting))))


def begin(grid: Grid) -> Tuple[Covariance, Gate, bool]:
    """Return a filter that has seen one message, and whether it has a gate."""
    return (Covariance(grid['noise'], grid['density'], grid['speed']), Gate(grid),
            bool(np.isfinite(grid['gate']).any()))


Filter = Callable[[np.ndarray, np.ndarray, np.ndarray, Grid], Swept]
POSITIONS: Dict[str, Filter] = {
    'ema': ema, 'one_euro': one_euro, 'kalman': kalman, 'kalman_gated': kalman}
