# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The filters of filters.py on quaternions xyzw, settings last: (4, S)."""

import math
from typing import Dict

import numpy as np

from liquid_ros.evaluation.filters import begin, Filter, Grid, room, Swept


def ema_turns(dt_s: np.ndarray, starts: np.ndarray, quats: np.ndarray, grid: Grid) -> Swept:
    """Run ema on quaternions (N, 4)."""
    out, missed = room(quats, grid['tau_s'])
    gains = -np.expm1(-dt_s[:, None] / grid['tau_s'])
    matrices = _relative(quats)
    for k, z in enumerate(quats):
        if starts[k]:
            out[k] = q = z[:, None] + np.zeros_like(out[k])
            continue
        turn = Turn(matrices[k] @ q)
        missed[k] = turn.vector
        q = out[k] = turn.part_way(q, z, gains[k])
    return Swept(out, missed)


def one_euro_turns(dt_s: np.ndarray, starts: np.ndarray, quats: np.ndarray, grid: Grid) -> Swept:
    """Run one_euro on quaternions (N, 4), about the axes of the body."""
    out, missed = room(quats, grid['beta'])
    cutoff, beta = grid['min_cutoff_hz'], grid['beta']
    ratios, matrices = 2.0 * math.pi * dt_s, _relative(quats)
    for k, z in enumerate(quats):
        if starts[k]:
            out[k] = q = z[:, None] + np.zeros_like(out[k])
            speed = np.zeros_like(missed[k])
            continue
        nu = missed[k] = Turn(matrices[k] @ q).vector
        speed += ratios[k] / (1.0 + ratios[k]) * (nu / dt_s[k] - speed)
        ratio = ratios[k] * (cutoff + beta * np.abs(speed))
        q = out[k] = _turned(q, ratio / (1.0 + ratio) * nu)
    return Swept(out, missed)


def kalman_turns(dt_s: np.ndarray, starts: np.ndarray, quats: np.ndarray, grid: Grid) -> Swept:
    """Run kalman on quaternions (N, 4) in the body's tangent space."""
    out, missed = room(quats, grid['gate'])
    matrices = _relative(quats)
    p, gate, gated = begin(grid)
    for k, z in enumerate(quats):
        if starts[k]:
            out[k] = q = z[:, None] + np.zeros_like(out[k])
            rate = np.zeros_like(missed[k])
            p, gate, _ = begin(grid)
            continue
        d = dt_s[k]
        total = p.ahead(d)
        q = _turned(q, rate * d)
        turn = Turn(matrices[k] @ q)
        nu = missed[k] = turn.vector
        k1, k2 = p.p11 / total, p.p12 / total
        again = None
        if gated:
            inside, again = gate.judge(np.einsum('as,as->s', nu, nu) / (3.0 * total))
            k1, k2 = k1 * inside, k2 * inside
        q = turn.part_way(q, z, k1)
        rate = rate + k2 * nu
        p.follow(k1, k2)
        if again is not None:
            q[:, again], rate[:, again] = z[:, None], 0.0
            p.again(again)
        out[k] = q
    return Swept(out, missed)


class Turn:
    """The shortest rotations (4, S) from S quaternions to one; vector (3, S) in rad."""

    def __init__(self, relative: np.ndarray) -> None:
        """Take the logarithm."""
        v, w = relative[:3], relative[3]
        self._sign = np.where(w < 0.0, -1.0, 1.0)
        n = np.sqrt(np.einsum('as,as->s', v, v))
        self._half = np.arctan2(n, w * self._sign)
        self._small = n < 1e-9
        n[self._small] = 1.0
        self._sine = n
        factor = np.where(self._small, 2.0, 2.0 * self._half / n)
        self.vector = v * (factor * self._sign)

    def part_way(self, q: np.ndarray, z: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Return (4, S): q turned by this share (S,) of the way to z (4,)."""
        rest = np.where(self._small, 1.0 - share,
                        np.sin((1.0 - share) * self._half) / self._sine)
        step = np.where(self._small, share, np.sin(share * self._half) / self._sine)
        return rest * q + (step * self._sign) * z[:, None]


def _relative(quats: np.ndarray) -> np.ndarray:
    """Return (N, 4, 4): the matrix of q -> conj(q) z for each z."""
    x, y, z, w = quats.T
    return np.stack([np.stack(row, -1) for row in (
        (-w, -z, y, x), (z, -w, -x, y), (-y, x, -w, z), (x, y, z, w))], 1)


def _product() -> np.ndarray:
    """Return (4, 16): q_a q_b of the products of their entries, as in manifold.quat_multiply."""
    signs = np.zeros((4, 4, 4))
    for out, terms in enumerate(('+30 +03 +12 -21', '+31 +13 +20 -02', '+32 +23 +01 -10',
                                 '+33 -00 -11 -22')):
        for term in terms.split():
            signs[out, int(term[1]), int(term[2])] = float(term[0] + '1')
    return signs.reshape(4, 16)


_PRODUCT = _product()


def _turned(q: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Return q exp(vector), both with S columns, normalised."""
    square = np.einsum('as,as->s', vector, vector)
    angle = np.sqrt(square)
    small = angle < 1e-9
    angle[small] = 1.0
    e = np.empty_like(q)
    half = 0.5 * angle
    np.multiply(vector, np.where(small, 0.5, np.sin(half) / angle), out=e[:3])
    e[3] = np.where(small, 1.0, np.cos(half))
    out = _PRODUCT @ (q[:, None] * e).reshape(16, -1)
    return out * (1.5 - 0.5 * np.einsum('as,as->s', out, out))  # Newton's step to length one


TURNS: Dict[str, Filter] = {
    'ema': ema_turns, 'one_euro': one_euro_turns, 'kalman': kalman_turns,
    'kalman_gated': kalman_turns}
