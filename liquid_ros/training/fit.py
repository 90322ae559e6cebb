# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The loop that fits the liquid cell: truncated backpropagation over long simulated streams."""

import math
from pathlib import Path
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple

import numpy as np
import torch

from liquid_ros.checkpoint import save
from liquid_ros.errors import CheckpointError, ParameterError
from liquid_ros.smoothers import SMOOTHERS
from liquid_ros.training.config import TrainConfig
from liquid_ros.training.feed import begin_anew, Chunk, Feed
from liquid_ros.training.modules import CONFIGS, MODULES
from liquid_ros.training.stages import ROUGH, Stage, stages
from liquid_ros.training.world import World

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
              ) -> Tuple[torch.Tensor, torch.Tensor, Dict[str, float]]:
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
    return loss, running, {name: float(value.detach()) for name, value in figures.items()}


class Trainer:
    """A run that can stop and go on: the weights, their average, the optimiser, the streams."""

    def __init__(self, config: TrainConfig, world: World = World(),
                 begun: Optional[Mapping[str, np.ndarray]] = None) -> None:
        """
        Begin at iteration 0, seeded; each process of a world has a batch of its own.

        begun: weights as the smoother has them; then begin behind the iterations that fit them.
        """
        torch.manual_seed(config.seed)
        self.config, self.world = config, world
        self.shape = CONFIGS[config.smoother](config)
        self.cell = MODULES[config.smoother](config).to(world.device)
        self._shared: Any = None
        if begun is not None:
            self.cell.begin_with(begun)
            self.cell.to(world.device)
        self.average = {n: p.detach().clone() for n, p in self.cell.named_parameters()}
        self._stages = stages(config)
        self.iteration = 0 if begun is None else config.iterations
        self._optimise(self.stage.fitted(self.cell))
        self.ended = False  # before all iterations were done
        self.figures: Dict[str, float] = {}
        self._feed = Feed(config, world.rank, world.size)
        self._state: Dict[str, torch.Tensor] = {}
        self._memory = torch.zeros(config.batch, device=world.device)
        self._step = torch.compile(self._plain, dynamic=False) if config.compile else self._plain

    def _plain(self, weights: Dict[str, torch.Tensor], state: Dict[str, torch.Tensor],
               rows: torch.Tensor, dt_s: torch.Tensor) -> Any:
        return SMOOTHERS[self.config.smoother](self.shape, weights).step(state, rows, dt_s)

    @property
    def total(self) -> int:
        """Return how many iterations there are."""
        return self._stages[-1].last

    @property
    def stage(self) -> Stage:
        """Return the part of the run that the next iteration is of; of the last one at the end."""
        return self._stage_of(self.iteration)

    def _stage_of(self, iteration: int) -> Stage:
        return next((s for s in self._stages if iteration < s.last), self._stages[-1])

    def _optimise(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Begin to fit these; the rate is set at each advance()."""
        self.optimiser = torch.optim.Adam(parameters, self.config.learning_rate,
                                          betas=(0.9, 0.98))

    def rate(self) -> float:
        """Return the learning rate: a short rise, then a cosine down to a hundredth."""
        c = self.config
        first, last, *_ = stage = self.stage
        if stage.rate:
            return stage.rate * (1.0 - (self.iteration - first) / (last - first))
        rise = min(1.0, (self.iteration + 1) / (0.03 * c.iterations + 1))
        fall = 0.5 * (1.0 + math.cos(math.pi * min(1.0, self.iteration / c.iterations)))
        return c.learning_rate * rise * (0.01 + 0.99 * fall)

    def _weights(self, steady: bool) -> Dict[str, torch.Tensor]:
        """Return the weights, whose gradients are the mean over all processes."""
        if self._shared is None:  # what is trained is known by now
            self._shared = self.world.share(self.cell)
        return self._shared(steady)  # type: ignore[no-any-return]

    def _loss(self) -> Tuple[torch.Tensor, Dict[str, float]]:
        """Return the loss of the next stretch, and figures."""
        steady = self.iteration < self.config.steady * self.config.iterations
        return self._simulated(self._weights(steady))

    def _simulated(self, weights: Dict[str, torch.Tensor]
                   ) -> Tuple[torch.Tensor, Dict[str, float]]:
        """Return the loss of the next stretch of simulated streams, and figures."""
        stage = self.stage
        chunk = self._feed.next(ROUGH * stage.turning).on(self.world.device)
        self._memory = torch.where(chunk.fresh, torch.zeros_like(self._memory), self._memory)
        smoother = SMOOTHERS[self.config.smoother](self.shape, weights)
        state, errors, variances = advance(smoother, self._step, self._state, chunk)
        self._state = {name: array.detach() for name, array in state.items()}
        raw = (chunk.measured - chunk.truth)[:, 1:].float()
        if stage.turning:
            errors, variances, raw = errors[..., 3:], variances[..., 3:], raw[..., 3:]
        loss, self._memory, figures = objective(self.config, errors, variances, raw, self._memory)
        if stage.stating:
            loss = unlikelihood(errors.detach(), variances, FURTHEST)
        return loss, figures

    def _forget(self) -> None:
        """Begin all streams anew: a step went wrong."""
        self._state = {}

    def advance(self) -> Dict[str, float]:
        """Return this iteration's figures after one stretch and one step of the optimiser."""
        stage = self.stage
        begun = stage.first
        if begun and self.iteration == begun:
            self.cell.load_state_dict(self.average)
            self._optimise(stage.fitted(self.cell))
        for group in self.optimiser.param_groups:
            group['lr'] = self.rate()
        loss, figures = self._loss()
        self.optimiser.zero_grad()
        loss.backward()
        fitted = self.optimiser.param_groups[0]['params']
        stage.keep(fitted)
        norm = torch.nn.utils.clip_grad_norm_(fitted, self.config.clip_norm)
        if bool(torch.isfinite(norm)):
            self.optimiser.step()
        else:
            self._forget()
        self.iteration += 1
        keep = min(0.998, 1.0 - 1.0 / (self.iteration - begun))
        for name, value in self.cell.named_parameters():
            self.average[name].mul_(keep).add_(value.detach(), alpha=1.0 - keep)
        figures = self.world.mean({'loss': float(loss.detach()), **figures})
        figures['gradient'] = float(norm)
        for name, value in figures.items():
            if math.isfinite(value):
                self.figures[name] = 0.98 * self.figures.get(name, value) + 0.02 * value
        return figures

    def weights(self) -> Dict[str, np.ndarray]:
        """Return the averaged weights as the smoother takes them."""
        cell = MODULES[self.config.smoother](self.config)
        cell.load_state_dict(self.average)
        return {n: w.detach().cpu().numpy() for n, w in cell.weights().items()}

    def parameters(self) -> int:
        """Return how many numbers are trained."""
        return sum(p.numel() for p in self.cell.parameters() if p.requires_grad)

    def export(self, path: str, **origin: str) -> None:
        """Write the averaged weights as the smoother reads them; origin: what else to tell."""
        save(self.config.smoother, path, self.shape, self.weights(), {
            **origin, 'training': self.config.to_dict(), 'iterations': self.iteration,
            'figures': {name: round(value, 4) for name, value in self.figures.items()}})

    def state(self) -> Dict[str, Any]:
        """Return all that an uninterrupted run would have in memory."""
        return {'config': self.config.to_dict(), 'iteration': self.iteration, 'ended': self.ended,
                'cell': self.cell.state_dict(), 'average': self.average,
                'optimiser': self.optimiser.state_dict(), 'figures': self.figures,
                'feed': self._feed.state(), 'state': self._state, 'memory': self._memory}

    def restore(self, saved: Dict[str, Any]) -> None:
        """Go on from what state() returned."""
        self.cell.load_state_dict(saved['cell'])
        self.iteration, self.average = saved['iteration'], saved['average']
        last = self._stage_of(self.iteration - 1)  # which the optimiser is of
        if last.first:
            self._optimise(last.fitted(self.cell))
        self.optimiser.load_state_dict(saved['optimiser'])
        self._feed.restore(saved['feed'])
        self.ended = saved['ended']
        self.figures, self._state = saved['figures'], saved['state']
        self._memory = saved['memory']

    def save(self, path: str) -> None:
        """
        Write state(), all or nothing; each process of a world writes a file of its own.

        Errors: CheckpointError where it cannot be written.
        """
        target = Path(self._own(path))
        fresh = target.with_name(target.name + '.part')
        try:
            torch.save(self.state(), fresh)
            fresh.replace(target)
        except (OSError, RuntimeError) as error:  # torch.save has the one in the other
            fresh.unlink(missing_ok=True)
            why = str(error).splitlines()[0].partition('; ')[0]
            raise CheckpointError(f'cannot write {str(target)!r}: {why}') from error

    def load(self, path: str) -> None:
        """
        Go on from what save() wrote; the file must be one's own, it is a pickle.

        Errors: CheckpointError where it cannot be read or belongs to another configuration.
        """
        path = self._own(path)
        try:
            saved = torch.load(path, map_location=self.world.device, weights_only=False)
        except Exception as error:  # torch.load raises whatever the pickle does
            raise CheckpointError(f'cannot resume from {path!r}: {error!r}') from error
        try:
            same = isinstance(saved, dict) and type(self.config).from_dict(
                saved.get('config', {})) == self.config
        except ParameterError:  # a setting that this kind of run does not have
            same = False
        if not same:
            raise CheckpointError(f'{path!r} belongs to a run with other settings; '
                                  'use those, or begin anew without --resume')
        try:
            self.restore(saved)
        except KeyError as error:
            raise CheckpointError(f'{path!r} is of another version of this package: it has no '
                                  f'{error}') from error
        except ValueError as error:  # the optimiser's, of other weights
            raise CheckpointError(f'{path!r} belongs to a run with another --start') from error

    def _own(self, path: str) -> str:
        return path if self.world.rank == 0 else f'{path}.{self.world.rank}'
