# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What benchmarks/family.py measures on simulated motion.

Ratios are geometric means over streams of an error to that of the best of 60 constant-velocity
Kalman filters, chosen for each stream with the truth in hand.
"""

from functools import lru_cache
from typing import Any, Dict, NamedTuple, Tuple

import numpy as np

from liquid_ros.manifold import minus, quat_exp, quat_multiply
from liquid_ros.smoothers import SMOOTHERS
from liquid_ros.training.synthetic import simulate

SKIP = 10  # first messages that are not counted
STREAMS, STEPS, SEED = 80, 400, 77
RAD = 0.01  # a unit of noise on a rotation
FAST_RAD, WRONG_RAD = 0.5, 2.0  # a stream that turns, or errs, by more is no rotation to judge
RATE_HZ, FASTER = 30.0, 5
GAPS_S = (0.1, 0.3, 1.0, 3.0, 10.0)
GAP_AT_S, AFTER = 10.0, 30  # messages after a gap that are judged
WAVES = 40


class Problem(NamedTuple):
    """N streams: rows and truth (N, T, 3 | 7), positions in units of the noise; dt_s (N, T)."""

    rows: np.ndarray
    truth: np.ndarray
    dt_s: np.ndarray


def run(smoother: Any, problem: Problem) -> np.ndarray:
    """Return the estimates (N, T, W)."""
    state, estimate = smoother.init(problem.rows[:, 0])
    out = [estimate.rows]
    with np.errstate(all='ignore'):  # what is not finite is told
        for k in range(1, problem.rows.shape[1]):
            state, estimate = smoother.step(state, problem.rows[:, k], problem.dt_s[:, k:k + 1])
            out.append(estimate.rows)
    return np.stack(out, 1)


def errors(rows: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return (3, N): RMSE of position, of its second differences, of rotation."""
    error = minus(rows, truth)[:, SKIP:]
    bend = np.diff(error[..., :3], 2, axis=1)
    return np.sqrt(np.stack([(error[..., :3]**2).mean((1, 2)), (bend**2).mean((1, 2)),
                             (error[..., 3:]**2).mean((1, 2)) if error.shape[2] > 3
                             else np.zeros(len(error))]))


def hindsight(problem: Problem) -> np.ndarray:
    """Return (3, N): the errors of the filters with the least RMSE of position, of rotation."""
    best = np.full((3, len(problem.rows)), np.inf)
    dt = np.median(problem.dt_s, 1, keepdims=True)
    for index in np.geomspace(1e-5, 30.0, 60):
        density, speed = index / dt**1.5, np.sqrt(10.0) / dt
        found = errors(run(SMOOTHERS['kalman'](
            sigma_m=np.ones_like(dt), accel_density=density, speed_sigma_m_s=speed,
            sigma_rad=RAD + 0.0 * dt, accel_density_rad=RAD * density,
            speed_sigma_rad_s=RAD * speed), problem), problem.truth)
        best[:2] = np.where(found[0] < best[0], found[:2], best[:2])
        best[2] = np.minimum(best[2], found[2])
    return best


@lru_cache(maxsize=None)
def poses() -> Tuple[Problem, np.ndarray, np.ndarray]:
    """Return simulated poses, their errors in hindsight, and which rotations are judged (N,)."""
    batch = simulate(np.random.default_rng(SEED), STREAMS, STEPS, 6)
    turn, wrong = RAD * batch.truth[..., 3:], RAD * (batch.measured - batch.truth)[..., 3:]
    quat = np.zeros((STREAMS, STEPS, 4))
    quat[..., 3] = 1.0
    for k in range(1, STEPS):
        quat[:, k] = quat_multiply(quat[:, k - 1], quat_exp(turn[:, k] - turn[:, k - 1]))
    sound = ((np.abs(np.diff(turn, axis=1)).max((1, 2)) < FAST_RAD)
             & (np.abs(wrong).max((1, 2)) < WRONG_RAD) & (np.abs(turn).max((1, 2)) > 0.0))
    problem = Problem(
        np.concatenate([batch.measured[..., :3], quat_multiply(quat, quat_exp(wrong))], -1),
        np.concatenate([batch.truth[..., :3], quat], -1), batch.dt_s)
    return problem, hindsight(problem), sound


def waves(rate_hz: float, seconds: float) -> Problem:
    """Return sums of three sines under white noise of unit size at an even rate."""
    rng = np.random.default_rng(SEED)
    hz = np.exp(rng.uniform(np.log(0.05), np.log(0.5), (WAVES, 1, 3, 3)))
    size, phase = 30.0 * rng.exponential(size=hz.shape), rng.uniform(0.0, 7.0, hz.shape)
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    truth = (size * np.sin(2.0 * np.pi * hz * t[None, :, None, None] + phase)).sum(-1)
    return Problem(truth + rng.standard_normal(truth.shape), truth,
                   np.full(truth.shape[:2], 1.0 / rate_hz))


def without(problem: Problem, begin_s: float, gap_s: float) -> Tuple[Problem, int]:
    """Return the streams without the messages in a gap, and the index of the first after it."""
    t = np.cumsum(problem.dt_s[0]) - problem.dt_s[0, 0]
    kept = (t <= begin_s + 1e-9) | (t >= begin_s + gap_s - 1e-9)
    at = int(np.argmax(t >= begin_s + gap_s - 1e-9))
    dt = np.diff(t[kept], prepend=t[0] - problem.dt_s[0, 0])
    return Problem(problem.rows[:, kept], problem.truth[:, kept],
                   np.broadcast_to(dt, (WAVES, len(dt)))), int(kept[:at].sum())


@lru_cache(maxsize=None)
def rates() -> Tuple[Tuple[Problem, np.ndarray], ...]:
    """Return the waves at RATE_HZ and FASTER times that, each with its errors in hindsight."""
    found = []
    for rate in (RATE_HZ, FASTER * RATE_HZ):
        problem = waves(rate, 12.0)
        found.append((problem, hindsight(problem)))
    return tuple(found)


def ratio(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the geometric mean ratio; inf where something is not finite."""
    if not np.isfinite(ours).all():
        return float('inf')
    return float(np.exp(np.log((ours + 1e-9) / (theirs + 1e-9)).mean()))


def lag_s(rows: np.ndarray, truth: np.ndarray, rate_hz: float) -> float:
    """Return the delay of the truth that is nearest to the output, over all streams."""
    t = np.arange(rows.shape[1]) / rate_hz
    inside = (t >= 1.0) & (t <= t[-1] - 0.5)
    best = (np.inf, 0.0)
    for delay in np.linspace(-0.1, 0.4, 101):
        late = np.stack([np.stack([np.interp(t - delay, t, axis) for axis in one.T], 1)
                         for one in truth[:8]])
        best = min(best, (float(((rows[:8] - late)[:, inside]**2).mean()), float(delay)))
    return best[1]


def judged(smoother: Any) -> Dict[str, Any]:
    """Return what a smoother does on all of it."""
    problem, best, sound = poses()
    ours = errors(run(smoother, problem), problem.truth)
    found: Dict[str, Any] = {
        'position': ratio(ours[0], best[0]), 'acceleration': ratio(ours[1], best[1]),
        'rotation': ratio(ours[2][sound], best[2][sound])}
    for name, (one, theirs) in zip(('rate', 'rate_faster'), rates()):
        rows = run(smoother, one)
        found[name] = ratio(errors(rows, one.truth)[0], theirs[0])
        if name == 'rate':
            bend = [float(np.sqrt((np.diff(a[:, SKIP:], 2, axis=1)**2).mean()))
                    for a in (rows, one.rows, one.truth)]
            error = [float(np.sqrt(((a - one.truth)[:, SKIP:]**2).mean()))
                     for a in (rows, one.rows)]
            found['jitter'] = {'reduction': 1.0 - bend[0] / bend[1],
                               'of_truth': 1.0 - bend[2] / bend[1],
                               'rmse': error[0] / error[1],
                               'lag_s': lag_s(rows, one.truth, RATE_HZ)}
    whole = waves(RATE_HZ, GAP_AT_S + max(GAPS_S) + 2.0)
    steady = run(smoother, whole)
    for gap_s in GAPS_S:
        short, at = without(whole, GAP_AT_S, gap_s)
        after = slice(at, at + AFTER)
        error = (run(smoother, short) - short.truth)[:, after]
        count = short.rows.shape[1] - at  # the same messages without a gap
        first = whole.rows.shape[1] - count
        usual = (steady - whole.truth)[:, first:first + AFTER]
        found[f'gap_{gap_s:g}'] = ratio(np.sqrt((error**2).mean((1, 2))),
                                        np.sqrt((usual**2).mean((1, 2))))
    return found
