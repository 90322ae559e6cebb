# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is held out of recordings, and streams simulated for it: before and after, in words."""

from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

from liquid_ros.manifold import minus
from liquid_ros.smoothers.base import Smoother
from liquid_ros.training.synthetic import simulate
from liquid_ros.training.tracks import cost, follow, missed, Prepared

BLOCKS = 12  # of neighbouring messages, which are alike, for the standard error
LEAST_GAIN = 5e-3  # nats a message: less is nothing
ERRORS = 1.0  # standard errors: less is chance
MOST_WORSE = 1.02  # position for rotation, or the other way round
SUITE_SEED, SUITE_STREAMS, SUITE_STEPS = 8_000_003, 96, 240  # not a seed of training


class Judged(NamedTuple):
    """
    What a smoother makes of the messages held out.

    costs: (N,) in nats. square: (N, 2) errors of position and rotation, NaN where no truth is
    known.
    """

    costs: np.ndarray
    square: np.ndarray

    @property
    def cost(self) -> float:
        """Return the mean cost."""
        return float(np.mean(self.costs))

    @property
    def rmse(self) -> np.ndarray:
        """Return (2,) in m and rad, NaN where no truth is known."""
        known = np.isfinite(self.square)
        total = np.where(known, self.square, 0.0).sum(0)
        with np.errstate(invalid='ignore', divide='ignore'):
            return np.sqrt(total / known.sum(0))  # type: ignore[no-any-return]

    def gain_over(self, before: 'Judged') -> Tuple[float, float]:
        """
        Return by how much less messages cost than before, and its standard error.

        With truth it is three times by how much less the logarithm of the RMSE is: of Gaussian
        errors of three axes that is what they cost. Its standard error is the jackknife's.
        """
        if np.isfinite(self.square).any():
            return _gain_by_truth(before.square, self.square)
        gain = before.costs - self.costs
        if not len(gain):
            return 0.0, np.inf
        blocks = [part.mean() for part in np.array_split(gain, min(BLOCKS, len(gain)))]
        error = np.std(blocks, ddof=1) / np.sqrt(len(blocks)) if len(blocks) > 1 else np.inf
        return float(gain.mean()), float(error)


def _gain_by_truth(before: np.ndarray, after: np.ndarray) -> Tuple[float, float]:
    known = np.isfinite(before) & np.isfinite(after)
    old, new = (np.where(known, part, 0.0) for part in (before, after))
    told = np.flatnonzero(known.any(1))
    blocks = np.array_split(told, max(1, min(BLOCKS, len(told))))
    sums = np.array([[part[block].sum(0) for block in blocks] for part in (old, new)])
    total = sums.sum(1)
    moves = total[0] > 0.0  # nothing is gained on what the truth does not have

    def gain(without: np.ndarray) -> float:
        left = np.maximum(total - without, 1e-300)[:, moves]
        return float(1.5 * np.mean(np.log(left[0] / left[1])))
    if not moves.any():
        return 0.0, np.inf
    each = np.array([gain(sums[:, k]) for k in range(len(blocks))])
    count = len(blocks)
    error = np.sqrt((count - 1) / count * np.sum((each - each.mean())**2))
    return gain(np.zeros_like(total)), float(error) if count == BLOCKS else np.inf


def judge(smoother: Smoother, held: Sequence[Prepared], horizons: Sequence[int], part: str
          ) -> Judged:
    """Return what comes of the part 'stop' or 'judge' of tracks, after all messages before it."""
    costs: List[np.ndarray] = [np.zeros(0)]
    squares: List[np.ndarray] = [np.zeros((0, 2))]
    for item in held:
        track, parts = item.track, item.parts
        first, last = (parts.fit, parts.stop) if part == 'stop' else (parts.stop,
                                                                     len(track.rows))
        if last <= first:
            continue
        track = track._replace(
            stamps_ns=track.stamps_ns[:last], rows=track.rows[:last],
            truth=None if track.truth is None else track.truth[:last],
            variances=None if track.variances is None else track.variances[:last])
        way = follow(smoother, track)
        each = cost(missed(smoother, track, way, horizons), item.scale)[first:]
        good = np.isfinite(each)
        costs.append(each[good])
        off = np.full((last - first, 2), np.nan)
        if track.truth is not None:
            apart = minus(track.truth[first:], way.rows[first:])  # NaN stays NaN
            square = apart.reshape(len(apart), -1, 3)**2
            known = np.isfinite(square)  # an axis that the truth lacks has no error
            off[:, :square.shape[1]] = np.where(
                known.any(-1), np.where(known, square, 0.0).sum(-1), np.nan)
        squares.append(off[good])
    return Judged(np.concatenate(costs), np.concatenate(squares))


def suite(smoother: Smoother, streams: int = SUITE_STREAMS) -> np.ndarray:
    """Return (N,) the logarithms of RMSE on simulated streams of all kinds that nothing saw."""
    batch = simulate(np.random.default_rng(SUITE_SEED), streams, SUITE_STEPS)
    with np.errstate(all='ignore'):
        state, _ = smoother.init(batch.measured[:, 0])
        square = np.zeros(streams)
        for k in range(1, SUITE_STEPS):
            state, estimate = smoother.step(state, batch.measured[:, k], batch.dt_s[:, k:k + 1])
            square += ((estimate.rows - batch.truth[:, k])**2).mean(1)
    return 0.5 * np.log(np.nan_to_num(square, nan=1e18) / (SUITE_STEPS - 1) + 1e-4)


class Verdict(NamedTuple):
    """
    Whether weights are better than those one began with, and by how much.

    gain, error: nats a message less than before, and its standard error. rmse: (2,) after over
    before, NaN without truth. simulated: RMSE after over before, geometric mean. messages: how
    many were held out. reasons: why they are not to be used.
    """

    gain: float
    error: float
    rmse: Tuple[float, float]
    simulated: float
    messages: int
    reasons: List[str]

    def words(self) -> List[str]:
        """Return plain sentences."""
        share = 100.0 * (1.0 - np.exp(-self.gain / 3.0))
        what, better, worse = (
            ('their errors are', 'smaller', 'larger') if np.isfinite(self.rmse).any() else
            ('what is expected of the next ones is', 'closer to them', 'further from them'))
        told = [f'{self.messages} messages at the end that nothing was fitted to: {what} '
                f'{abs(share):.1f} % {better if share >= 0.0 else worse}'
                f' ({self.gain:+.4f} nats a message, standard error {self.error:.4f})']
        for ratio, what in zip(self.rmse, ('position', 'rotation')):
            if np.isfinite(ratio):
                told.append(f'the error of {what} there, by the truth given, is '
                            f'{abs(100.0 * (ratio - 1.0)):.1f} % '
                            f'{"smaller" if ratio <= 1.0 else "larger"}')
        told.append(f'on simulated streams of all kinds the error is '
                    f'{abs(100.0 * (self.simulated - 1.0)):.1f} % '
                    f'{"smaller" if self.simulated <= 1.0 else "larger"}')
        return told


def compare(before: Smoother, after: Smoother, held: Sequence[Prepared],
            horizons: Sequence[int], forgotten: float) -> Verdict:
    """Return what is thought of weights; forgotten: how much worse they may be when simulated."""
    old, new = (judge(smoother, held, horizons, 'judge') for smoother in (before, after))
    gain, error = new.gain_over(old)
    with np.errstate(invalid='ignore', divide='ignore'):
        ratios = new.rmse / old.rmse
    simulated = float(np.exp(np.mean(suite(after) - suite(before))))
    reasons = []
    if not gain > ERRORS * error:
        reasons.append('the held-out messages are not expected better than by chance')
    elif not gain > LEAST_GAIN:
        reasons.append(f'the gain is less than {LEAST_GAIN:g} nats a message')
    known = ratios[np.isfinite(ratios)]
    if len(known) and (np.mean(np.log(np.maximum(known, 1e-9))) > 0.0 or max(known) > MOST_WORSE):
        reasons.append('the error against the truth is larger')
    if not simulated <= 1.0 + forgotten:
        reasons.append(f'on simulated streams the error is {100.0 * (simulated - 1.0):.1f} % '
                       f'larger, expected at most {100.0 * forgotten:.1f} %')
    return Verdict(gain, error, (float(ratios[0]), float(ratios[1])), simulated, len(old.costs),
                   reasons)
