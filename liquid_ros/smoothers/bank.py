# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
A bank of Kalman filters that shows how a stream moves and how it is disturbed.

Constant velocity, tracking indices sqrt(q dt^3 / R) (Kalata, IEEE T-AES 20(2), 1984), then random
walks of steps sqrt(q dt / R), whose filter is an exponential average (Muth, JASA 55, 1960). R = 1,
time in the stream's mean dt: gains and S are the stream's, whatever the size of its noise. With
R_m = mean(nu^2 / S_m), -2 log likelihood a message is log R_m + mean(log S_m) + 1 (concentrated
likelihood, Schweppe, IEEE T-IT 11(1), 1965). The bank never touches the smoother's estimate.
"""

from types import ModuleType
from typing import NamedTuple, Tuple

import numpy as np

from liquid_ros.arrays import Array, clip, stack
from liquid_ros.manifold import other_way
from liquid_ros.smoothers.base import State
from liquid_ros.smoothers.units import Clock

MOVING, WALKS = 16, 8  # filters of constant velocity, then of a random walk, without one
FILTERS = MOVING + WALKS
INDICES = tuple(float(index) for index in np.geomspace(5e-5, 6.0, MOVING))
STEPS = tuple(float(step) for step in np.geomspace(3e-3, 3.0, WALKS))  # sqrt(q dt / R)
AGILE, MIDDLE = MOVING - 1, 11  # the last one's innovation is nearly a second difference
MEMORIES = (30.0, 200.0, 1500.0)  # messages that the running means go back
LONGEST = 1e3  # mean dt: after a gap beyond it nothing is known anyway
DIFFUSE = 1e4  # velocity variance at the start, R / mean dt^2
LEAST, MOST = 1e-26, 1e37  # of a mean square, in float32, too
FITS = 16.0  # of S: a squared innovation that a gap explains
NEAR = 5.0  # rad^2: of p and a together, beyond it they are told apart as if flat
HALF_TURN = 4.0  # rad^2: the square of about one
BEGINNING = 10  # messages after which no velocity is unknown any more


class Bank(NamedTuple):
    """
    State of the filters, K memories.

    offset, velocity: (B, A, M) from the anchor, the last measurement that was not wild; m or rad,
    1/s. power: (B, A, K, M) means of nu^2 / S. spread: (B, 3, M) P11, P12, P22 over R. log_s:
    (B, K, M) means of log S.
    """

    offset: Array
    velocity: Array
    power: Array
    spread: Array
    log_s: Array

    @classmethod
    def zeros(cls, xp: ModuleType, zero: Array) -> 'Bank':
        """Return the bank after a first message; zero (B, A)."""
        each = stack(*[zero] * FILTERS)
        once = each[:, 0]
        unknown = stack(*[zero + DIFFUSE] * MOVING, *[zero] * WALKS)[:, 0]
        return cls(each, each, xp.stack([each] * len(MEMORIES), -2),
                   xp.stack([once + 1.0, once, unknown], -2),
                   xp.stack([once] * len(MEMORIES), -2))


def tables() -> np.ndarray:
    """Return (4, M): log index, its root, and q of velocity and of walk in R / mean dt^3, dt."""
    index = np.array(INDICES + STEPS)
    walks = np.arange(FILTERS) >= MOVING
    return np.array([np.log(index), np.sqrt(index), np.where(walks, 0.0, index**2),
                     np.where(walks, index**2, 0.0)])


class Trust(NamedTuple):
    """
    What is thought of a message, each (B, A).

    share: of the innovation to follow. over_gap: whether what a filter's own S explains is to be
    followed, for the message came after a gap. anchor: whether the next one is measured from this
    one. left: what is left of the old sizes. age: messages since the axis first moved.
    """

    share: Array
    over_gap: Array
    anchor: Array
    left: Array
    age: Array


def innovations(xp: ModuleType, bank: Bank, away: Array, dt_s: Array, turns: bool) -> Array:
    """
    Return the innovations (B, A, M); away (B, A): measurement minus the anchor.

    turns: whether axes 3 to 5 are rotation vectors, c = p x a: log(exp(-p) exp(a)) =
    a - p - c / 2 + k a x c + p x c / 12 + ..., k = (1 - t cot t) / (4 t^2), t = |a| / 2, the left
    Jacobian's inverse and a term of Baker, Campbell, Hausdorff: exact in a, which has the noise of
    two messages. A filter that is lost far away is told by a - p. Of the two ways to a rotation by
    about half a turn the one nearer to p counts. (Not of two to the innovation: a filter would
    take to a velocity of a turn a message.)
    """
    ahead = bank.offset + bank.velocity * dt_s[..., None]
    if not turns:
        return away[..., None] - ahead
    p, a = ahead[:, 3:], away[:, 3:, None]
    square = (a * a).sum(1)
    near = clip(NEAR - (p * p).sum(1) - square, 0.0, 1.0)[:, None]
    c = near * _cross(xp, p, a)
    bent = _cross(xp, p / 12.0 + _curvature(xp, square)[:, None] * a, c)
    flat, other = a - p, other_way(xp, a) - p
    nearer = ((other * other).sum(1) < (flat * flat).sum(1)) & (square > HALF_TURN)
    turned = xp.where(nearer[:, None], other, flat - 0.5 * c + bent)
    return xp.concatenate([away[:, :3, None] - ahead[:, :3], turned], 1)


def _curvature(xp: ModuleType, square: Array) -> Array:
    """Return k of innovations() by the square of |a|."""
    large = xp.maximum(square, 0.01 + 0.0 * square)
    t = 0.5 * xp.sqrt(large)
    return xp.where(square < large, (1.0 + square / 60.0) / 12.0,
                    (1.0 - t * xp.cos(t) / xp.sin(t)) / large)


def _cross(xp: ModuleType, a: Array, b: Array) -> Array:
    """Return the products (B, 3, M) of vectors along the middle."""
    (ax, ay, az), (bx, by, bz) = ([v[:, i] for i in range(3)] for v in (a, b))
    return xp.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], 1)


def _ahead(p: Tuple[Array, Array, Array], pace: Array, q: Array) -> Tuple[Array, Array, Array]:
    """Return P11, P12, P22 a pace later; q: of the velocity a mean dt."""
    p11, p12, p22 = p
    more = q * pace
    return (p11 + pace * (2.0 * p12 + pace * (p22 + more / 3.0)), p12 + pace * (p22 + 0.5 * more),
            p22 + more)


def _settled(index: float) -> float:
    """Return S over R that a filter comes to at an even pace."""
    p, s = (1.0, 0.0, DIFFUSE), 1.0
    for _ in range(200):
        p11, p12, p22 = _ahead(p, 1.0, index**2)
        s = p11 + 1.0
        p = p11 / s, p12 / s, p22 - p12 * p12 / s
    return s


SETTLED = _settled(INDICES[AGILE])


def _spread(bank: Bank, clock: Clock) -> Tuple[Array, Array, Array]:
    """Return P11, P12, P22 (B, M) over R, in the mean dt as it is now."""
    return (bank.spread[:, 0], clock.stretch * bank.spread[:, 1],
            clock.stretch**2 * bank.spread[:, 2])


def wider(xp: ModuleType, bank: Bank, clock: Clock) -> Array:
    """
    Return how much larger (B, 1) than later on the agile filter's innovations may well be.

    Its velocity comes from the first two messages: where they lay close together, from noise.
    """
    pace = clip(clock.pace, 0.0, 1.0)  # what a gap adds is no matter of the beginning
    p11, p12, p22 = (part[:, AGILE:AGILE + 1] for part in _spread(bank, clock))
    s = _ahead((p11, p12, p22), pace, INDICES[AGILE]**2)[0] + 1.0
    one = xp.ones_like(s)
    return xp.where(clock.count < BEGINNING + 0.5, xp.sqrt(xp.maximum(s / SETTLED, one)), one)


def advance(xp: ModuleType, bank: Bank, innovation: Array, trust: Trust, clock: Clock,
            table: Array) -> Bank:
    """Return the bank after one more measurement; innovation (B, A, M), table: tables()."""
    pace = clip(clock.pace, 0.0, LONGEST)
    p11, p12, p22 = _ahead(_spread(bank, clock), pace, table[2])
    p11 = p11 + pace * table[3]  # a filter has the one q or the other
    s = p11 + 1.0
    k1, k2 = p11 / s, p12 / s  # with R = 1 these are P11 and P12 afterwards, too
    spread = xp.stack([k1, k2, xp.maximum(p22 - k2 * p12, 0.0 * p22)], -2)
    trusted = trust.share[..., None] * innovation
    square = clip(trusted * trusted / s[:, None], 0.0, MOST)
    # the first innovation tells the velocity, not the noise: the second takes its place
    old = [1.0 / clip(trust.age - 1.0, 1.0, memory) for memory in MEMORIES]
    young = [1.0 / clip(clock.count - 1.0, 1.0, memory) for memory in MEMORIES]
    # a message that is hardly followed says as little of the filters
    power = bank.power + (trust.share[..., None] * stack(*old))[..., None] * (
        square[..., None, :] - bank.power)
    power = power * (trust.left * trust.left)[..., None, None]
    log_s = bank.log_s + stack(*young)[:, 0][..., None] * (xp.log(s)[:, None] - bank.log_s)
    expected = bank.offset + bank.velocity * clock.dt_s[..., None]
    here = xp.where(trust.anchor[..., None], -innovation, expected)
    # a filter that stayed where its velocity led it would be lost for all that comes
    explained = FITS * s[:, None] * bank.power[:, :, 1] / (innovation * innovation + LEAST)
    share = xp.where(trust.over_gap[..., None],
                     xp.maximum(clip(explained, 0.0, 1.0), trust.share[..., None]),
                     trust.share[..., None])
    followed = share * innovation
    return Bank(here + k1[:, None] * followed,
                bank.velocity + k2[:, None] * followed / clock.mean_dt[..., None], power, spread,
                log_s)


def carried(xp: ModuleType, bank: Bank, where: Array) -> Bank:
    """Return the bank, where (B, A) it is so, at the measurement, as if nothing had jumped."""
    return bank._replace(
        offset=xp.where(where[..., None], xp.zeros_like(bank.offset), bank.offset))


def packed(bank: Bank) -> State:
    """Return the bank as parts of a state."""
    return {f'bank_{name}': array for name, array in bank._asdict().items()}


def unpacked(state: State) -> Bank:
    """Return the bank in a state."""
    return Bank(*(state[f'bank_{name}'] for name in Bank._fields))
