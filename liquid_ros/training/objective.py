# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The loss of a stretch of simulated streams: errors where the truth is known."""

from typing import Any, Dict, Tuple

import torch

from liquid_ros.training.config import TrainConfig
from liquid_ros.training.feed import begin_anew, Chunk

FAR_OUT, FURTHEST = 50.0, 1e4  # squared error over variance; where that alone is fitted


def advance(smoother: Any, step: Any, state: Dict[str, torch.Tensor], chunk: Chunk
            ) -> Tuple[Dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    """Return the state, the errors (N, T, A) and their stated variances over a stretch."""
    state = begin_anew(state, smoother.init(chunk.measured[:, 0])[0], chunk.fresh)
    errors, variances = [], []
    for k in range(1, chunk.dt_s.shape[1]):
        state, estimate = step(smoother.weights, state, chunk.measured[:, k],
                               chunk.dt_s[:, k:k + 1])
        errors.append((estimate.rows - chunk.truth[:, k]).float())
        variances.append(estimate.variance)
    return state, torch.stack(errors, 1), torch.stack(variances, 1)


def unlikelihood(errors: torch.Tensor, variances: torch.Tensor, far_out: float) -> torch.Tensor:
    """Return the mean negative log-likelihood of Gaussian errors with these variances."""
    variances = variances.clamp(min=1e-6)
    ratio = errors.square() / variances
    # far out it grows as a logarithm: a bounded gradient that never dies
    ratio = torch.where(ratio > far_out, far_out * (1.0 + torch.log(
        ratio.clamp(min=far_out) / far_out)), ratio)
    return 0.5 * (torch.log(variances) + ratio).mean()


def objective(config: TrainConfig, errors: torch.Tensor, variances: torch.Tensor,
              raw: torch.Tensor, memory: torch.Tensor
              ) -> Tuple[torch.Tensor, torch.Tensor, Dict[str, torch.Tensor]]:
    """
    Return the loss, the new running mean square (N,) and figures to print.

    log of the mean square error, of second differences' mean square error, how far the error is
    above that of the measurements, raw (N, T, A), and the negative log-likelihood of the truth.
    The first log's argument is half this stretch, half the stream so far.
    """
    square = errors.square().mean((1, 2))
    bends = errors.diff(n=2, dim=1).square().mean((1, 2))
    running = torch.where(memory > 0, 0.7 * memory + 0.3 * square.detach(), square.detach())
    weight = 1.0 / (0.5 * square.detach() + 0.5 * running + 1e-4)
    mse = (square * weight).mean()
    accel = torch.log(bends + 1e-4).mean()
    harm = torch.relu(torch.log((square + 1e-4) / (raw.square().mean((1, 2)) + 1e-4))).mean()
    likelihood = unlikelihood(errors, variances, FAR_OUT)
    loss = (mse + config.accel_weight * accel + config.harm_weight * harm
            + config.likelihood_weight * likelihood)
    figures = {'log_mse': torch.log(square + 1e-4).mean(), 'log_accel': accel,
               'harm': harm, 'nll': likelihood,
               'nees': (errors.square() / variances.clamp(min=1e-6)).clamp(max=100).mean()}
    return loss, running, {name: value.detach() for name, value in figures.items()}
