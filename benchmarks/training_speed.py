# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
How long training takes: an iteration, and an epoch of recordings; how fast bags are read.

    PYTHONPATH=. python benchmarks/training_speed.py [--bags 8] [--messages 1000] [--compile]
    PYTHONPATH=. python benchmarks/training_speed.py --device cuda [--batch 96 2048] \
        [--ways eager captured compiled both] [--recordings] [--within 150]

An epoch is as many messages as the recordings have to learn from. On a GPU simulated streams are
timed launch by launch (eager), as one CUDA graph (captured), with the step compiled and with both;
--recordings: fitting to recordings as well, held in memory. The last line is JSON. No way is begun
after so many seconds as --within says.
"""

import argparse
from dataclasses import replace
import json
from pathlib import Path
import tempfile
import time
from typing import Any, Dict, List

import numpy as np
import torch

from liquid_ros.cli import bags
from liquid_ros.evaluation import scenario
from liquid_ros.timing import TimePolicy
from liquid_ros.training.config import TrainConfig
from liquid_ros.training.fit import Trainer
from liquid_ros.training.loader import Loaded, Loader
from liquid_ros.training.tracks import prepare, Track
from liquid_ros.training.tune import Tuner
from liquid_ros.training.tune_config import TuneConfig
from liquid_ros.training.world import join, World

# name -> whether the step is compiled, and the iteration captured
WAYS = {'eager': (False, False), 'captured': (False, True), 'compiled': (True, False),
        'both': (True, True)}


def seconds(trainer: Trainer, count: int = 5) -> float:
    """Return how long an iteration takes, the first one left out."""
    trainer.advance()
    begun = time.perf_counter()
    for _ in range(count):
        trainer.advance()
    return (time.perf_counter() - begun) / count


def shipped() -> Dict[str, np.ndarray]:
    """Return the package's weights."""
    return {name: array.astype('float32') for name, array in bags.smoother('').weights.items()}


def on_cpu(a: argparse.Namespace) -> None:
    """Print the figures of the CPU."""
    config = TuneConfig()
    with tempfile.TemporaryDirectory() as folder:
        for k in range(a.bags):
            scenario.write(Path(folder, f'{k}'), scenario.made_up(a.messages / 50.0, seed=k))
        jobs = bags.jobs([folder], ['/pose'], '', TimePolicy(), '', config)
        for workers in (0, 2):
            source = Loader(jobs, bags.load, workers)
            begun = time.perf_counter()
            held = source.some(a.bags)
            spent = time.perf_counter() - begun
            read = sum(len(item.track.rows) for item in held)
            print(f'reading and preparing, {workers} processes beside: {read / spent:.0f} '
                  'messages/s')
            source.close()
        to_learn = sum(item.parts.fit for item in held)
        for trainable in ('bias', 'all'):
            own = replace(config, trainable=trainable)
            took = seconds(Tuner(own, shipped(), source, held))
            epoch = to_learn / (own.rows * own.stretch)
            print(f'fitting {trainable}, {own.rows} rows of {own.stretch} messages and '
                  f'{own.batch} simulated: {took:.2f} s an iteration, {took * epoch:.0f} s an '
                  f'epoch of {to_learn} messages')
    plain = TrainConfig(compile=a.compile)
    took = seconds(Trainer(plain), 2)
    print(f'simulated streams, {plain.batch} rows of {plain.stretch} messages'
          f'{", fused" if a.compile else ""}: {took:.2f} s an iteration, '
          f'{plain.batch * plain.stretch / took:.0f} messages/s')


def timed(trainer: Trainer, way: str, messages: int, count: int) -> Dict[str, Any]:
    """
    Return how long a way takes.

    first_s: the first iteration, which compiles and captures. capture_s: of it warm-up and
    capture. work_s: an iteration's work on the GPU alone, without new streams.
    """
    torch.cuda.reset_peak_memory_stats()
    learn = trainer._learn
    learn.capturing, before = WAYS[way][1], learn.spent_s
    begun = time.perf_counter()
    trainer.advance()
    first = time.perf_counter() - begun
    begun = time.perf_counter()
    losses = [trainer.advance()['loss'] for _ in range(count)]
    took = (time.perf_counter() - begun) / count
    given = trainer._given()
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(count):
        learn(learn._kind, given)
    torch.cuda.synchronize()
    work = (time.perf_counter() - begun) / count
    return {'way': way, 'fell_back': WAYS[way][1] != learn.capturing, 'first_s': first,
            'capture_s': learn.spent_s - before, 'iteration_s': took, 'work_s': work,
            'messages_per_s': messages / took, 'peak_gb': torch.cuda.max_memory_allocated() / 1e9,
            'loss': losses[-1]}


def told(found: List[Dict[str, Any]], **more: Any) -> None:
    """Keep a way's figures and print them."""
    found.append({**more, **found.pop()})
    print(json.dumps({name: float(f'{value:.4g}') if isinstance(value, float) else value
                      for name, value in found[-1].items()}), flush=True)


def recordings(a: argparse.Namespace, world: World, compiled: bool) -> Any:
    """Return a run on made-up recordings in memory, and their messages to learn from."""
    config = replace(TuneConfig(), trainable='all', compile=compiled)
    kept = []
    for k in range(a.bags):
        made = scenario.made_up(a.messages / 50.0, seed=k)
        kept.append(prepare([[Track('x', np.array(made.stamps_ns), made.rows)]],
                            bags.smoother(''), config.horizons, config.held_out, config.stretch))
    source = Loader(kept, Loaded)
    held = source.some(a.bags)
    return (Tuner(config, shipped(), source, held, world),
            sum(item.parts.fit for item in held))


def on_gpu(a: argparse.Namespace) -> None:
    """Print the figures of a GPU."""
    world, begun = join('cuda'), time.monotonic()
    found: List[Dict[str, Any]] = []
    left_out = []
    jobs: List[Any] = [('simulated', batch) for batch in a.batch]
    for what, batch in jobs + [('recordings', 0)] * a.recordings:
        for compiled in (False, True):
            trainer: Any = None
            for way in (way for way in WAYS if way in a.ways and WAYS[way][0] == compiled):
                if time.monotonic() - begun > a.within:
                    left_out.append(f'{what} {batch} {way}')
                    continue
                if what == 'recordings':
                    if trainer is None:
                        trainer, to_learn = recordings(a, world, compiled)
                    own = trainer.config
                    messages, epoch = own.rows * own.stretch, to_learn
                else:
                    config = TrainConfig(batch=batch, compile=compiled)
                    trainer = trainer or Trainer(config, world)
                    messages, epoch = batch * config.stretch, a.bags * a.messages
                # it is long launch by launch: two are enough
                found.append(timed(trainer, way, messages, a.count if WAYS[way][1] else 2))
                told(found, what=what, rows=messages // trainer.config.stretch,
                     epoch_messages=epoch,
                     epoch_s=found[-1]['iteration_s'] * epoch / messages)
    print(json.dumps({'device': torch.cuda.get_device_name(), 'torch': torch.__version__,
                      'seconds': round(time.monotonic() - begun, 1), 'left_out': left_out,
                      'ways': found}))


def main() -> None:
    """Print the figures."""
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--bags', type=int, default=8)
    p.add_argument('--messages', type=int, default=1000)
    p.add_argument('--compile', action='store_true', help='the simulated run as it is, fused')
    p.add_argument('--device', default='cpu', choices=('cpu', 'cuda'))
    p.add_argument('--batch', type=int, nargs='*', default=[96, 2048], help='of simulated streams')
    p.add_argument('--ways', nargs='+', default=list(WAYS), choices=WAYS)
    p.add_argument('--count', type=int, default=5, help='iterations of what is captured')
    p.add_argument('--recordings', action='store_true')
    p.add_argument('--within', type=float, default=150.0, metavar='S')
    a = p.parse_args()
    torch.set_num_threads(1)
    (on_gpu if a.device == 'cuda' else on_cpu)(a)


if __name__ == '__main__':
    main()
