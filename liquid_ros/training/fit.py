# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The loop that fits the liquid cell: truncated backpropagation over long simulated streams."""

import math
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np
import torch

from liquid_ros.checkpoint import save
from liquid_ros.errors import CheckpointError, InputError, ParameterError
from liquid_ros.files import replacing
from liquid_ros.smoothers import SMOOTHERS
from liquid_ros.training.captured import Captured
from liquid_ros.training.compiled import Compiled
from liquid_ros.training.config import TrainConfig
from liquid_ros.training.feed import Feed
from liquid_ros.training.modules import CONFIGS, MODULES
from liquid_ros.training.objective import advance, FURTHEST, objective, unlikelihood
from liquid_ros.training.stages import ROUGH, Stage, stages
from liquid_ros.training.world import World

Loss = Tuple[torch.Tensor, Dict[str, torch.Tensor], Dict[str, Any]]  # figures, what is carried on


class Kind(NamedTuple):
    """What iterations are alike in: all that is not in their tensors."""

    stage: Stage
    steady: bool


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
        self.average = {n: p.detach().clone() for n, p in self.cell.named_parameters()}
        self._stages = stages(config)
        self.iteration = 0 if begun is None else config.iterations
        self._optimise(self.stage.fitted(self.cell))
        self.ended = False  # before all iterations were done
        self.figures: Dict[str, float] = {}
        self._feed = Feed(config, world.rank, world.size)
        self._carried: Dict[str, Any] = {
            'state': {}, 'memory': torch.zeros(config.batch, device=world.device)}
        # what averages gradients over processes waits for them: it is not captured
        self._learn = Captured(self._work, world.device, capture=world.size == 1)
        self._step: Callable[..., Any] = self._plain
        if config.compile:  # on the CPU in three forms, as ever: the one rounds otherwise
            self._step = (torch.compile(self._plain, dynamic=False) if world.device == 'cpu'
                          else Compiled(self._plain))

    def _plain(self, weights: Dict[str, torch.Tensor], state: Dict[str, torch.Tensor],
               *message: torch.Tensor) -> Any:
        return SMOOTHERS[self.config.smoother](self.shape, weights).step(state, *message)

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

    def _given(self) -> Dict[str, Any]:
        """Return what the next loss is of: a stretch, and what the streams carry on."""
        chunk = self._feed.next(ROUGH * self.stage.turning)
        state = self._carried['state']
        if not state:
            smoother = SMOOTHERS[self.config.smoother](self.shape, self.cell.weights())
            state, _ = smoother.init(chunk.measured[:, 0].to(self.world.device))
        return {'chunk': chunk, 'state': state, 'memory': self._carried['memory']}

    def _loss(self, kind: Kind, given: Dict[str, Any]) -> Loss:
        """Return the loss of a stretch, figures, and what the streams carry on."""
        return self._simulated(kind, self._weights(kind.steady), given)

    def _simulated(self, kind: Kind, weights: Dict[str, torch.Tensor], given: Dict[str, Any]
                   ) -> Loss:
        """Return the same of simulated streams."""
        stage, chunk = kind.stage, given['chunk']
        memory = torch.where(chunk.fresh, torch.zeros_like(given['memory']), given['memory'])
        smoother = SMOOTHERS[self.config.smoother](self.shape, weights)
        state, errors, variances = advance(smoother, self._step, given['state'], chunk)
        raw = (chunk.measured - chunk.truth)[:, 1:].float()
        if stage.turning:
            errors, variances, raw = errors[..., 3:], variances[..., 3:], raw[..., 3:]
        loss, memory, figures = objective(self.config, errors, variances, raw, memory)
        if stage.stating:
            loss = unlikelihood(errors.detach(), variances, FURTHEST)
        return loss, figures, {'state': state, 'memory': memory}

    def _work(self, kind: Kind, given: Dict[str, Any]) -> Tuple[Any, ...]:
        """Return figures, what the streams carry on and the gradients of what is fitted."""
        for parameter in self.cell.parameters():
            parameter.grad = None
        loss, figures, carried = self._loss(kind, given)
        loss.backward()
        return ({'loss': loss, **figures}, carried,
                tuple(parameter.grad for parameter in self._fitted))

    @property
    def _fitted(self) -> List[torch.nn.Parameter]:
        """Return the parameters that are fitted now."""
        return self.optimiser.param_groups[0]['params']  # type: ignore[no-any-return]

    def _forget(self) -> None:
        """Begin all streams anew: a step went wrong."""
        self._carried['state'] = {}

    def advance(self) -> Dict[str, float]:
        """Return this iteration's figures after one stretch and one step of the optimiser."""
        stage = self.stage
        begun = stage.first
        if begun and self.iteration == begun:
            self.cell.load_state_dict(self.average)
            self._optimise(stage.fitted(self.cell))
        for group in self.optimiser.param_groups:
            group['lr'] = self.rate()
        steady = self.iteration < self.config.steady * self.config.iterations
        found, carried, gradients = self._learn(Kind(stage, steady), self._given())
        self._carried.update(carried)
        fitted = self._fitted
        for parameter, gradient in zip(fitted, gradients):
            parameter.grad = gradient
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
        figures = self.world.mean(dict(zip(found, torch.stack(list(found.values())).tolist())))
        figures['gradient'] = float(norm)
        for name, value in figures.items():
            if math.isfinite(value):
                self.figures[name] = 0.98 * self.figures.get(name, value) + 0.02 * value
        return figures

    def weights(self) -> Dict[str, np.ndarray]:
        """Return the averaged weights as the smoother takes them."""
        found = torch.func.functional_call(self.cell, self.average, ())
        return {n: w.detach().cpu().numpy().copy() for n, w in found.items()}

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
        return {'config': self.config.to_dict(), 'processes': self.world.size,
                'iteration': self.iteration, 'ended': self.ended,
                'cell': self.cell.state_dict(), 'average': self.average,
                'optimiser': self.optimiser.state_dict(), 'figures': self.figures,
                'feed': self._feed.state(), **self._carried}

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
        self.figures = saved['figures']
        self._carried = {name: saved[name] for name in self._carried}

    def save(self, path: str) -> None:
        """
        Write state(), all or nothing; each process of a world writes a file of its own.

        Errors: CheckpointError where it cannot be written.
        """
        target = Path(self._own(path))
        try:
            with replacing(target) as fresh:
                torch.save(self.state(), fresh)
        except (OSError, RuntimeError, InputError) as error:  # torch.save has the one in the other
            cause = error.__context__ if isinstance(error.__context__, OSError) else error
            why = getattr(cause, 'strerror', None) or str(cause).splitlines()[0]
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
        if saved.get('processes', 1) != self.world.size:
            raise CheckpointError(f'{path!r} belongs to a run of {saved["processes"]} processes, '
                                  f'got {self.world.size}')
        try:
            self.restore(saved)
        except KeyError as error:
            raise CheckpointError(f'{path!r} is of another version of this package: it has no '
                                  f'{error}') from error
        except ValueError as error:  # the optimiser's, of other weights
            raise CheckpointError(f'{path!r} belongs to a run with another --start') from error

    def _own(self, path: str) -> str:
        return path if self.world.rank == 0 else f'{path}.{self.world.rank}'
