# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What fitting the biases is worth on many simulated sensors at once, and what the guard lets pass.

    PYTHONPATH=. python benchmarks/fine_tuning_many.py [--sensors 70] [--horizons 1 2 4]

Each sensor has one motion and one noise; biases of its own are fitted to its first 600 messages,
judged by messages 800 to 1000, and scored by the position RMSE of the next 1000 over that of the
weights of the package. A pull back to those weights stands for the simulated streams beside them.
"""

import argparse
from pathlib import Path
import tempfile
from typing import Any, Dict, List, Sequence, Tuple

from fine_tuning import made_up
import numpy as np
import torch

from liquid_ros.backend import NumpyBackend
from liquid_ros.checkpoint import load, SHIPPED
from liquid_ros.smoothers.liquid import Liquid
from liquid_ros.training.held_out import BLOCKS, ERRORS, LEAST_GAIN
from liquid_ros.training.tracks import COST, DEGREES, MEDIAN, NEEDED

FIT, JUDGED, HALF, CALM, STRETCH = 600, 800, 1000, 20, 48
# What a step away in each bias costs on simulated streams, twice over: R, q_v, q_a, ...
PULL = (0.1, 0.01, 0.01, 0.02, 0.002, 0.01, 0.02, 0.0, 0.004, 0.0)


class Sensors:
    """N sensors of T messages: dt_s (N, T), measured and truth (N, T, 3)."""

    def __init__(self, count: int) -> None:
        """Make them up."""
        with tempfile.TemporaryDirectory() as folder:
            data = [np.load(path) for path in made_up(Path(folder), count)]
            self.t_s = np.stack([d['t'] for d in data])
            self.measured, self.truth = (np.stack([d[key] for d in data]) for key in ('z', 'gt'))
        self.dt_s = np.diff(self.t_s, axis=1, prepend=self.t_s[:, :1])


def smoother(weights: Dict[str, Any], bias: Any, config: Any) -> Liquid:
    """Return a smoother whose rows have a bias (N, 1, 10) each on top of the weights."""
    return Liquid(config, {**weights, 'bias_out': weights['bias_out'] + bias})


def run(own: Liquid, like: Liquid, s: Sensors, horizons: Sequence[int]
        ) -> Tuple[np.ndarray, np.ndarray]:
    """Return the RMSE (N,) of the second half, squared distances (N, 1000, H) in the first."""
    state, _ = like.init(s.measured[:, 0])
    square, total = np.full((len(s.t_s), HALF, len(horizons)), np.nan), np.zeros(len(s.t_s))
    with np.errstate(all='ignore'):
        for k in range(1, s.t_s.shape[1]):
            state, estimate = own.step(state, s.measured[:, k], s.dt_s[:, k:k + 1])
            if k >= HALF:
                total += ((estimate.rows - s.truth[:, k])**2).sum(-1)
            for j, ahead in enumerate(horizons):
                if k + ahead < HALF:
                    dt_s = (s.t_s[:, k + ahead] - s.t_s[:, k])[:, None]
                    expected = own.predict(state, dt_s).rows
                    square[:, k + ahead, j] = ((expected - s.measured[:, k + ahead])**2).sum(-1)
    return np.sqrt(total / (s.t_s.shape[1] - HALF)), square


def fit(weights: Dict[str, Any], config: Any, s: Sensors, scale: np.ndarray, a: Any) -> np.ndarray:
    """Return biases (N, 1, 10) fitted to the first messages by Adam."""
    given = {n: torch.from_numpy(np.asarray(w)).float() for n, w in weights.items()}
    measured, t_s = (torch.from_numpy(part[:, :FIT]) for part in (s.measured, s.t_s))
    dt_s, size = torch.from_numpy(s.dt_s[:, :FIT]).float(), torch.from_numpy(scale).float()
    bias = torch.zeros(len(t_s), 1, len(PULL), requires_grad=True)
    optimiser = torch.optim.Adam([bias], a.rate, betas=(0.9, 0.98))
    pull, done = torch.tensor(PULL), 0
    while done < a.iterations:
        state: Dict[str, torch.Tensor] = {}
        for first in range(0, FIT - STRETCH, STRETCH):
            if done == a.iterations:
                break
            for group in optimiser.param_groups:
                group['lr'] = a.rate * (0.5 + 0.5 * np.cos(np.pi * done / a.iterations))
            own = smoother(given, bias, config)
            state = state or Liquid(config, given).init(measured[:, 0])[0]
            state = {n: torch.nan_to_num(v.detach()) for n, v in state.items()}
            kept = []
            for k in range(first + 1, first + STRETCH + 1):
                state, _ = own.step(state, measured[:, k], dt_s[:, k:k + 1])
                kept.append({n: state[n] for n in NEEDED})
            loss = 0.5 * a.pull * (pull * bias[:, 0]**2).sum(-1)
            for j, ahead in enumerate(a.horizons):
                pairs = STRETCH - ahead
                before = {n: torch.stack([one[n] for one in kept[:pairs]], 1).flatten(0, 1)
                          for n in NEEDED}
                at = slice(first + 1 + ahead, first + STRETCH + 1)
                gap = (t_s[:, at] - t_s[:, first + 1:first + 1 + pairs]).reshape(-1, 1)
                expected: Any = own.predict(before, gap).rows
                off = expected.reshape(len(t_s), pairs, 3) - measured[:, at]
                each = COST * torch.log1p((off**2).sum(-1).float() / (
                    DEGREES * size[:, j:j + 1]))
                loss = loss + each[:, 0 if first else CALM:].mean(1) / len(a.horizons)
            optimiser.zero_grad()
            loss.sum().backward()
            assert bias.grad is not None
            norm = bias.grad.norm(dim=2, keepdim=True).clamp(min=1.0)
            bias.grad = torch.nan_to_num(bias.grad / norm)
            optimiser.step()
            done += 1
    return bias.detach().numpy().astype(float)


def line(title: str, ratios: np.ndarray) -> str:
    """Return a row of the table."""
    return (f'{title:38} {np.exp(np.log(ratios).mean()):8.4f} {np.median(ratios):8.4f} '
            f'{ratios.min():7.3f} {ratios.max():7.3f} {(ratios < 0.98).sum():6} '
            f'{(ratios > 1.02).sum():6}')


def main() -> None:
    """Print the table."""
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--sensors', type=int, default=70)
    p.add_argument('--horizons', type=int, nargs='+', default=[1, 2, 4])
    p.add_argument('--iterations', type=int, default=60)
    p.add_argument('--rate', type=float, default=0.1)
    p.add_argument('--pull', type=float, default=1.0)
    a = p.parse_args()
    torch.set_num_threads(1)
    s, plain = Sensors(a.sensors), load('liquid', SHIPPED, NumpyBackend())
    weights, config = plain.weights, plain.config  # type: ignore[attr-defined]
    like = Liquid(config, weights)
    before, square = run(like, like, s, a.horizons)
    scale = np.nanmedian(square[:, CALM:FIT], axis=1) / MEDIAN
    bias = fit(weights, config, s, scale, a)
    after, fitted = run(smoother(weights, bias, config), like, s, a.horizons)
    costs = [COST * np.log1p(part[:, JUDGED:] / (DEGREES * scale[:, None])).mean(-1)
             for part in (square, fitted)]
    blocks: List[np.ndarray] = np.array_split(costs[0] - costs[1], BLOCKS, axis=1)
    each = np.stack([block.mean(1) for block in blocks], 1)
    gain, error = each.mean(1), each.std(1, ddof=1) / np.sqrt(BLOCKS)
    ratio = after / before
    print(f'{"position RMSE over that of the package":38} {"geo mean":>8} {"median":>8} '
          f'{"best":>7} {"worst":>7} {"<0.98":>6} {">1.02":>6}')
    print(line(f'all {len(ratio)} fitted', ratio))
    for errors in (ERRORS, 2.0):
        passed = gain > np.maximum(errors * error, LEAST_GAIN)
        print(line(f'guard of {errors:g} standard errors: {passed.sum()}',
                   np.where(passed, ratio, 1.0)))


if __name__ == '__main__':
    main()
