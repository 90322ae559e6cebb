# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Train each variant of the smoother with one budget and compare them on simulated streams.

RMSE and acceleration error are geometric means over held-out streams of the ratio to the best of
60 constant-velocity Kalman filters, chosen for each stream with the truth in hand. Prints a
Markdown table; the last line is JSON. Rows already trained in --folder are not trained again.
"""

import argparse
from dataclasses import replace
import json
from pathlib import Path
import time

from family_motion import errors, hindsight, Problem, run
import numpy as np

from liquid_ros.checkpoint import build
from liquid_ros.training.config import TrainConfig
from liquid_ros.training.synthetic import in_metres, simulate

ROWS = {
    'liquid cell, exponential (default)': {},
    'liquid cell, Euler': {'cell': 'liquid_euler_held'},
    'liquid cell, input-dependent alpha': {'cell': 'liquid_input'},
    'GRU, no dt': {'cell': 'gru', 'hidden': 27},
    'no recurrence': {'cell': 'static'},
    'hidden 8': {'hidden': 8},
    'hidden 16': {'hidden': 16},
    'hidden 32': {'hidden': 32},
    'hidden 64': {'hidden': 64},
    'two states: position, velocity': {'states': 2},
    'one state: position': {'states': 1},
    'plain readout of coordinates': {'smoother': 'liquid_direct', 'hidden': 32, 'axes': 3,
                                     'batch': 256, 'learning_rate': 1e-2},
}


def fit(config, path):
    """Train and return the number of trained weights and the seconds it took."""
    import torch

    from liquid_ros.training.fit import Trainer
    torch.set_num_threads(config.threads)
    torch.compiler.reset()  # each row is compiled by itself
    trainer = Trainer(config)
    begun = time.monotonic()
    while trainer.iteration < config.iterations:
        trainer.advance()
    trainer.export(str(path))
    path.with_suffix('.json').write_text(json.dumps(
        {'parameters': trainer.parameters(), 'seconds': time.monotonic() - begun}))


def problem(batch):
    """Return simulated points as the family's benchmark has them."""
    return Problem(batch.measured, batch.truth, batch.dt_s)


def step_us(smoother):
    """Return the median time of a plain step of one pose in microseconds."""
    smoother = getattr(smoother, 'plain', smoother)
    pose = np.array([[0.0, 0, 0, 0, 0, 0, 1]])
    state, _ = smoother.init(pose)
    times = []
    for k in range(600):
        begun = time.perf_counter()
        state, _ = smoother.step(state, pose + [[0.01 * (k % 3), 0, 0, 0, 0, 0, 0]],
                                 np.array([[0.01]]))
        times.append(time.perf_counter() - begun)
    return 1e6 * float(np.median(times))


def main():
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--iterations', type=int, default=2000)
    parser.add_argument('--folder', default='runs/ablation')
    parser.add_argument('--streams', type=int, default=300)
    parser.add_argument('--steps', type=int, default=800)
    a = parser.parse_args()
    folder = Path(a.folder)
    folder.mkdir(parents=True, exist_ok=True)
    batch = simulate(np.random.default_rng(77), a.streams, a.steps)
    rmse, bend, _ = hindsight(problem(batch))
    table = {}
    print(f'{a.iterations} iterations each\n\n'
          '| variant | parameters | RMSE ratio | acceleration ratio | step, us |\n'
          '|---|---|---|---|---|')
    for name, changes in ROWS.items():
        path = folder / (name.replace(' ', '_').replace(',', '').replace(':', '')
                         + '.safetensors')
        config = replace(TrainConfig(iterations=a.iterations), **changes)
        if not path.with_suffix('.json').exists():
            fit(config, path)
        smoother = build(config.smoother, str(path))
        seen, unit_m = (in_metres(batch) if config.smoother == 'liquid_direct'
                        else (batch, np.ones(a.streams)))
        ours, ours_bend, _ = errors(run(smoother, problem(seen)), seen.truth) / unit_m
        told = json.loads(path.with_suffix('.json').read_text())
        table[name] = {
            'parameters': told['parameters'], 'step_us': step_us(smoother),
            'rmse_ratio': float(np.exp(np.log(ours / rmse).mean())),
            'accel_ratio': float(np.exp(np.log((ours_bend + 1e-9) / (bend + 1e-9)).mean()))}
        row = table[name]
        print(f'| {name} | {row["parameters"]} | {row["rmse_ratio"]:.3f} '
              f'| {row["accel_ratio"]:.3f} | {row["step_us"]:.0f} |', flush=True)
    print(json.dumps(table))


if __name__ == '__main__':
    main()
