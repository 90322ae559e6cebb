# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A Kalman filter an axis on the motion model: where it expects a message, and where it goes."""

from types import ModuleType
from typing import NamedTuple, Tuple

from liquid_ros.arrays import Array, namespace, stack
from liquid_ros.manifold import plus
from liquid_ros.smoothers import motion
from liquid_ros.smoothers.base import Known, Link, LOST, State
from liquid_ros.smoothers.motion import Covariance, Process, Transition
from liquid_ros.smoothers.scale import Scale, unit_size
from liquid_ros.smoothers.stamps import measured_between
from liquid_ros.smoothers.stated import claimed
from liquid_ros.smoothers.units import Clock, recall, Unit

ANYWHERE = 1.0  # rad^2
DOUBTED = 9.0  # variances of a velocity that may be but one of rest
SURE = 1e3  # P over R beyond this leaves the filter's gain at one


class Track(NamedTuple):
    """A filter's state: rows, velocity and acceleration (B, A, 2), covariance (B, A, 6)."""

    rows: Array
    motion: Array
    covariance: Array


# Names in a state: the filter that the cell watches, and the one whose estimate is given.
MAIN = Track('rows', 'motion', 'covariance')
OUTPUT = Track('output_rows', 'output_motion', 'output_covariance')


class Posterior(NamedTuple):
    """A filter's state after a message, of it velocity and P11 (B, A) alone, and its gain."""

    track: Track
    velocity: Array
    variance: Array
    gain: Array


class Prior(NamedTuple):
    """The prediction: rows, velocity and acceleration (B, A), covariance, R of last time."""

    rows: Array
    velocity: Array
    acceleration: Array
    covariance: Covariance
    noise: Array


# What known() and link() need of a state.
LINKED = OUTPUT + ('process', 'shrunk', 'output_besides', 'clock', 'size', 'stamps', 'grain',
                   'stated')


class Verdict(NamedTuple):
    """What is thought of a message (B, A): its weight, P's inflation, a new start; a safe dt."""

    weight: Array
    wider: Array
    again: Array
    dt_s: Array


def ahead(xp: ModuleType, state: State, names: Track, clock: Clock, unit: Unit) -> Prior:
    """Return what is expected of a message, by what the cell said last time."""
    rows, moving = state[names.rows], state[names.motion]
    process, noise, p, moves = _model(xp, state, names, clock, unit)
    p = motion.consistent(xp, motion.propagate(p, moves, process, clock.dt_s),
                          noise / SURE**3)
    known = goes_on(xp, p[0])
    velocity, acceleration = known * moving[..., 0], known * moving[..., 1]
    return Prior(plus(rows, moves.pv * velocity + moves.pa * acceleration),
                 moves.vv * velocity + moves.va * acceleration, moves.aa * acceleration,
                 p, noise)


def _model(xp: ModuleType, state: State, names: Track, clock: Clock, unit: Unit
           ) -> Tuple[Process, Array, Covariance, Transition]:
    """Return the process, R and P of last time, and the transition to a message."""
    process, noise, p = recall(xp, state['process'], state[names.covariance], clock.first, unit)
    process = motion.unbraked(process, state[names.motion][..., 0], state['clock'][:, 1:])
    return process, noise, p, motion.transition(process, clock.dt_s)


def surely(prior: Prior) -> Array:
    """Return the velocity (B, A) that it has beyond doubt: less of it the less is known."""
    square = prior.velocity * prior.velocity
    return prior.velocity * square / (square + DOUBTED * prior.covariance[3] + motion.LEAST)


def goes_on(xp: ModuleType, variance: Array) -> Array:
    """
    Return 1, or 0 for the axes (B, A) of a rotation that may have come to lie anywhere.

    A turn is seen up to whole turns only: from one that leads anywhere none could be told.
    """
    one = xp.ones_like(variance)
    if variance.shape[1] < 6:
        return one
    widest = xp.amax(variance[:, 3:], -1)[:, None]
    return xp.concatenate([one[:, :3], xp.where(widest < ANYWHERE, one[:, 3:], 0.0 * one[:, 3:])],
                          -1)


def follow(xp: ModuleType, prior: Prior, innovation: Array, noise: Array, verdict: Verdict
           ) -> Posterior:
    """Return where a message with this variance (B, A) leads the prediction."""
    weight, wider, again, dt_s = verdict
    p = motion.inflate(xp, prior.covariance, wider, again, innovation, dt_s)
    # the weight divides S, not R: after a gap P is wide, and R would hardly matter
    total = p[0] + noise
    gains = weight * p[0] / total, weight * p[1] / total, weight * p[2] / total
    velocity = prior.velocity + gains[1] * innovation
    moving = stack(velocity, prior.acceleration + gains[2] * innovation)
    p = motion.condition(xp, p, (noise + p[0] * (1.0 - weight)) / total, gains)
    return Posterior(Track(plus(prior.rows, gains[0] * innovation), moving, stack(*p)),
                     velocity, p[0], gains[0])


def given(best: Posterior, prior: Array, innovation: Array, weight: Array, share: Array,
          kept: Array) -> Posterior:
    """
    Return the posterior with the rows that are given out.

    prior: (B, W) where those of the message before lead. innovation: (B, A) from there. weight:
    (B, A) of the message. share: (B, A) of what the gain holds back, so much still is: with 1 it
    is the filter's own estimate, with 0 the message. kept: (B, A) of P, so much is left, for what
    is given out hindsight is to leave there.
    """
    gain = best.gain + (1.0 - share) * (weight - best.gain)
    return best._replace(track=best.track._replace(
        rows=plus(prior, gain * innovation), covariance=kept[..., None] * best.track.covariance))


def known(state: State) -> Known:
    """Return what the filter whose estimate is given knows."""
    rows, moving, packed = (state[name] for name in OUTPUT)
    return Known(rows, moving, _full(packed), state['process'][..., 5] / state['shrunk'],
                 state['output_besides'], state['grain'], claimed(state['stated']))


def link(before: State, after: State, dt_s: Array) -> Link:
    """Return what states predicted for the following ones, P inflated as it was."""
    xp, packed = namespace(dt_s), after['clock']
    dt_s = measured_between(xp, before, after, dt_s)
    first = before['clock'][:, :1] < 0.5  # not by the following one: some may be left out between
    clock = Clock(packed[:, :1], first, packed[:, 1:], dt_s, dt_s)
    scale = unit_size(xp, Scale.of(after['size']))
    unit = Unit(scale * scale, clock.mean_dt)
    prior = ahead(xp, before, OUTPUT, clock, unit)
    _, _, start, moves = _model(xp, before, OUTPUT, clock, unit)
    one, zero = xp.ones_like(moves.pa), xp.zeros_like(moves.pa)
    rows = ((one, moves.pv + zero, moves.pa), (zero, moves.vv + zero, moves.va + zero),
            (zero, zero, moves.aa + zero))
    # of a first message's motion nothing is known but by the second one
    wider = 1.0 + xp.where(first & (after['clock'][:, :1] > 1.5), LOST, after['process'][..., 6])
    return Link(prior.rows, stack(prior.velocity, prior.acceleration),
                _full(stack(*prior.covariance)) * wider[..., None, None], _full(stack(*start)),
                stack(*(stack(*row) for row in zip(*rows))))


def _full(packed: Array) -> Array:
    """Return covariances (B, A, 3, 3) of their upper triangles (B, A, 6)."""
    return packed[..., [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(tuple(packed.shape[:2]) + (3, 3))
