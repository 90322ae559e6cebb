# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
How long training takes: an iteration, and an epoch of recordings; how fast bags are read.

    PYTHONPATH=. python benchmarks/training_speed.py [--bags 8] [--messages 1000] [--compile]

An epoch is as many messages as the recordings have to learn from.
"""

import argparse
from dataclasses import replace
from pathlib import Path
import tempfile
import time

import torch

from liquid_ros.cli import bags
from liquid_ros.evaluation import scenario
from liquid_ros.timing import TimePolicy
from liquid_ros.training.config import TrainConfig
from liquid_ros.training.fit import Trainer
from liquid_ros.training.loader import Loader
from liquid_ros.training.tune import Tuner
from liquid_ros.training.tune_config import TuneConfig


def seconds(trainer: Trainer, count: int = 5) -> float:
    """Return how long an iteration takes, the first one left out."""
    trainer.advance()
    begun = time.perf_counter()
    for _ in range(count):
        trainer.advance()
    return (time.perf_counter() - begun) / count


def main() -> None:
    """Print the figures."""
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--bags', type=int, default=8)
    p.add_argument('--messages', type=int, default=1000)
    p.add_argument('--compile', action='store_true', help='the simulated run as it is, fused')
    a = p.parse_args()
    torch.set_num_threads(1)
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
        start = bags.smoother('')
        weights = {n: w.astype('float32') for n, w in start.weights.items()}
        for trainable in ('bias', 'all'):
            own = replace(config, trainable=trainable)
            took = seconds(Tuner(own, weights, source, held))
            epoch = to_learn / (own.rows * own.stretch)
            print(f'fitting {trainable}, {own.rows} rows of {own.stretch} messages and '
                  f'{own.batch} simulated: {took:.2f} s an iteration, {took * epoch:.0f} s an '
                  f'epoch of {to_learn} messages')
    plain = TrainConfig(compile=a.compile)
    took = seconds(Trainer(plain), 2)
    print(f'simulated streams, {plain.batch} rows of {plain.stretch} messages'
          f'{", fused" if a.compile else ""}: {took:.2f} s an iteration, '
          f'{plain.batch * plain.stretch / took:.0f} messages/s')


if __name__ == '__main__':
    main()
