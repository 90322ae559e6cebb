# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The training runs of benchmarks/family.py: which there are, and how one is made and resumed."""

import json
from pathlib import Path
import sys
import time
from typing import Any, Dict, List, NamedTuple

import yaml

from liquid_ros.training.config import TrainConfig

CONFIG = Path(__file__).resolve().parents[1] / 'config' / 'family.yaml'
BUDGETS = ('parameters', 'step_time')
ALONE = 'tenfold'  # beside both
EVERY = 25  # iterations between two saves


class Run(NamedTuple):
    """One run: a cell, its hidden units and a seed; budgets: the tables that it is a row of."""

    cell: str
    hidden: int
    seed: int
    budgets: List[str]

    @property
    def name(self) -> str:
        """Return what its files are called."""
        return f'{self.cell}_{self.hidden}_{self.seed}'


def settings(path: Path = CONFIG, iterations: int = 0) -> Dict[str, Any]:
    """Return what a YAML file says, with another number of iterations where one is given."""
    found = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    if iterations:
        found['training']['iterations'] = iterations
    return found


def runs(found: Dict[str, Any]) -> List[Run]:
    """Return every run once, budget by budget and seed by seed: cells are compared early."""
    at: Dict[Any, Run] = {}
    for budget in (*BUDGETS, ALONE):
        for seed in found['seeds']:
            for cell, hidden in found[budget].items():
                at.setdefault((cell, hidden, seed), Run(cell, hidden, seed, [])
                              ).budgets.append(budget)
    return list(at.values())


def config_of(run: Run, found: Dict[str, Any]) -> TrainConfig:
    """Return the run's configuration."""
    return TrainConfig.from_dict({**found['training'], 'cell': run.cell, 'hidden': run.hidden,
                                  'seed': run.seed})


def fit(run: Run, found: Dict[str, Any], folder: Path) -> None:
    """Train, or go on with, a run; NAME.json is there when it is done."""
    done = folder / f'{run.name}.json'
    if done.exists():
        return
    import torch

    from liquid_ros.training.fit import Trainer
    config = config_of(run, found)
    torch.set_num_threads(config.threads)
    torch.compiler.reset()  # where it is asked for, each run is compiled by itself
    trainer, saved = Trainer(config), folder / f'{run.name}.pt'
    spent = 0.0
    if saved.exists():
        trainer.load(str(saved))
        spent = json.loads((folder / f'{run.name}.part').read_text())
    begun = time.process_time()
    while trainer.iteration < config.iterations:
        trainer.advance()
        if trainer.iteration % EVERY == 0:
            trainer.save(str(saved))
            (folder / f'{run.name}.part').write_text(
                json.dumps(spent + time.process_time() - begun))
    spent += time.process_time() - begun
    trainer.export(str(folder / f'{run.name}.safetensors'))
    done.write_text(json.dumps({
        'parameters': trainer.parameters(), 'iterations': config.iterations,
        'ms_an_iteration': 1e3 * spent / config.iterations, 'figures': trainer.figures}))
    saved.unlink(missing_ok=True)
    (folder / f'{run.name}.part').unlink(missing_ok=True)
    print(f'{run.name}: {spent:.0f} s of CPU', file=sys.stderr, flush=True)
