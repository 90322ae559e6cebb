# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Weights fitted to recordings, from weights that fit all sensors, beside simulated streams."""

from typing import Any, Dict, List, Mapping, NamedTuple

import numpy as np

from liquid_ros.checkpoint import LEARNED
from liquid_ros.errors import CheckpointError
from liquid_ros.fused import fuse
from liquid_ros.smoothers import Smoother, SMOOTHERS
from liquid_ros.training.coordinates import RAW
from liquid_ros.training.fit import Kind, Loss, Trainer
from liquid_ros.training.foresight import advance, foreseen, off
from liquid_ros.training.held_out import judge, Judged
from liquid_ros.training.loader import Loader
from liquid_ros.training.recorded import Recorded
from liquid_ros.training.tracks import Prepared
from liquid_ros.training.tune_config import TRAINABLE, TuneConfig
from liquid_ros.training.world import World


class Look(NamedTuple):
    """What was seen of the messages to stop by after so many iterations; cost in nats."""

    iteration: int
    cost: float
    gain: float  # over the first weights, less one standard error


class Tuner(Trainer):
    """A run that can stop and go on; it ends by itself where the held-out part gains no more."""

    def __init__(self, config: TuneConfig, weights: Mapping[str, np.ndarray], source: Loader,
                 held: List[Prepared], world: World = World()) -> None:
        """
        Begin at iteration 0, seeded.

        weights: as the smoother has them. source: recordings. held: those to look at.
        """
        super().__init__(config, world)
        self.tuning = config
        self.cell.begin_with(weights)
        names = TRAINABLE[config.trainable]
        for name, parameter in self.cell.named_parameters():
            parameter.requires_grad_(not names or name in names)
        self.average = {n: p.detach().clone() for n, p in self.cell.named_parameters()}
        self._first = {n: p.detach().clone() for n, p in self.cell.named_parameters()
                       if p.requires_grad}
        self._optimise([p for p in self.cell.parameters() if p.requires_grad])
        self._begun = {n: np.asarray(w) for n, w in weights.items()}
        self._source, self._held = source, held
        self._true = any(item.track.truth is not None for item in held)
        self._recorded = Recorded(config, source, world.rank, world.size)
        self._carried['path'] = {}
        self.looks: List[Look] = []
        self.curve: List[Dict[str, float]] = []  # of each iteration
        self.best: Dict[str, np.ndarray] = dict(self._begun)
        self._before = self.look_at(self._begun)

    def _given(self) -> Dict[str, Any]:
        """Return what the next loss is of: stretches, and what the streams carry on."""
        stretch = self._recorded.next()
        own = {'stretch': stretch, 'path': self._carried['path'] or stretch.begun}
        return {**own, **super()._given()} if self._simulates else own

    @property
    def _simulates(self) -> bool:
        """Return whether there are simulated streams beside the recordings."""
        return bool(self.tuning.simulated_weight and self.tuning.batch)

    def _loss(self, kind: Kind, given: Dict[str, Any]) -> Loss:
        """Return the loss of stretches of recordings and of simulated streams."""
        c, weights, stretch = self.tuning, self._weights(False), given['stretch']
        smoother = SMOOTHERS[c.smoother](self.shape, weights)
        path, needed, rows = advance(smoother, self._step, given['path'], stretch)
        carried: Dict[str, Any] = {'path': path}
        expected = foreseen(smoother, needed, stretch, c.horizons).mean()
        loss, figures = expected, {'foreseen': expected}
        if c.truth_weight and self._true:
            error = off(rows, stretch).mean()
            loss = c.foresight_weight * loss + c.truth_weight * error
            figures['log_rmse'] = error
        if self._simulates:
            simulated, more, beside = self._simulated(kind, weights, given)
            loss = loss + c.simulated_weight * simulated
            figures.update((f'simulated_{name}', value) for name, value in more.items())
            carried.update(beside)
        for name, parameter in self.cell.named_parameters():
            if name in self._first:
                loss = loss + 0.5 * c.anchor * (parameter - self._first[name]).square().sum()
        return loss, figures, carried

    def advance(self) -> Dict[str, float]:
        """Return this iteration's figures after one stretch and one step of the optimiser."""
        figures = super().advance()
        self.curve.append(figures)
        return figures

    def _forget(self) -> None:
        """Begin all streams anew: a step went wrong."""
        super()._forget()
        self._carried['path'] = {}

    def weights(self) -> Dict[str, np.ndarray]:
        """Return the weights of now as the smoother takes them; what is not fitted to the bit."""
        now = {n: w.detach().cpu().numpy().copy() for n, w in self.cell.weights().items()}
        changed = {name.removesuffix(RAW) for name in self._first}
        if 'alpha' in changed:  # the recurrent weights act on alpha h
            changed.add('weight_rec')
        return {**self._begun, **{n: w for n, w in now.items() if n in changed}}

    def smoother(self, weights: Mapping[str, np.ndarray]) -> Smoother:
        """Return a smoother on the CPU with these weights."""
        given = {n: np.asarray(w, np.float32).astype(float) for n, w in weights.items()}
        given.update(LEARNED[self.config.smoother].constants())
        return fuse(SMOOTHERS[self.config.smoother](self.shape, given))  # type: ignore

    def look_at(self, weights: Mapping[str, np.ndarray]) -> Judged:
        """Return how the messages to stop by are expected with these weights."""
        return judge(self.smoother(weights), self._held, self.tuning.horizons, 'stop')

    def look(self) -> bool:
        """Take note of the weights of now; return whether to go on."""
        now = self.weights()
        after = self.look_at(now)
        gain, error = after.gain_over(self._before)
        self.looks.append(Look(self.iteration, after.cost, gain - error))
        if max(look.gain for look in self.looks) == self.looks[-1].gain > 0.0:
            self.best = now
        where = max(range(len(self.looks)), key=lambda k: self.looks[k].gain)
        return len(self.looks) - 1 - where < self.tuning.patience

    @property
    def gained(self) -> bool:
        """Return whether weights on the way were better."""
        return any(look.gain > 0.0 for look in self.looks)

    def found(self) -> Dict[str, np.ndarray]:
        """Return the best weights on the way, those of now where none were better."""
        return self.best if self.gained else self.weights()

    def state(self) -> Dict[str, Any]:
        """Return all that an uninterrupted run would have in memory."""
        return {**super().state(), 'recorded': self._recorded.state(),
                'looks': [tuple(look) for look in self.looks], 'curve': self.curve,
                'best': self.best, 'begun': self._begun, 'recordings': len(self._source),
                'asked': self._source.asked,
                'digests': dict(self._source.digests)}

    def restore(self, saved: Dict[str, Any]) -> None:
        """Go on from what state() returned."""
        same = all(np.array_equal(array, saved['begun'].get(name))
                   for name, array in self._begun.items())
        if not same or saved['asked'] != self._source.asked or saved['recordings'] != len(
                self._source) or any(
                self._source.digests.get(i, digest) != digest
                for i, digest in saved['digests'].items()):
            raise CheckpointError('what is to go on is a run of other recordings, topics, truth '
                                  'or resets, or from other weights; begin anew without --resume')
        super().restore(saved)
        self._recorded.restore(saved['recorded'])
        self.best = saved['best']
        self.looks = [Look(*look) for look in saved['looks']]
        self.curve = list(saved['curve'])
        self._source.digests.update(saved['digests'])
