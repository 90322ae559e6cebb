# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What fitting to a sensor's own recordings is made of."""

from dataclasses import dataclass
from typing import Tuple

from liquid_ros.training.config import setting, TrainConfig

# What is fitted: names of the cell's weights; () is all of them.
TRAINABLE = {'bias': ('bias_out',), 'slow': ('bias_out', 'weight_slow'), 'all': ()}


@dataclass(frozen=True)
class TuneConfig(TrainConfig):
    """Settings of a run that fits weights to recordings; those above for the simulated ones."""

    iterations: int = setting(60, 1, 10**9, 'steps of the optimiser, at most')
    batch: int = setting(32, 0, 10**6, 'simulated streams beside the recordings')
    stretch: int = setting(48, 4, 10**5, 'messages gradients flow back through')
    stretches: Tuple[int, ...] = setting((1, 3, 6), 1, 10**4,
                                         'lengths of a turn, in stretches, drawn evenly')
    learning_rate: float = setting(0.1, 1e-9, 1.0, 'at its highest')
    steady: float = setting(0.0, 0.0, 1.0, 'share of the run in which P may not be inflated')
    turning: int = setting(0, 0, 0, 'nothing comes after the last look')
    calibrate: int = setting(0, 0, 0, 'nothing comes after the last look')
    compile: bool = setting(False, 0, 1, 'fuse the step with torch.compile: for long runs')
    rows: int = setting(16, 1, 10**6, 'stretches of recordings advanced side by side')
    trainable: str = setting('bias', 0, 0, 'what is fitted', TRAINABLE)
    horizons: Tuple[int, ...] = setting((1, 2, 4), 1, 1000, 'messages ahead that are predicted')
    calm: int = setting(20, 0, 10**6, 'first messages of a stream that are not learned from')
    truth_weight: float = setting(3.0, 0.0, 100.0, 'of the log of the error, with truth')
    foresight_weight: float = setting(0.2, 0.0, 100.0, 'of what messages cost, with truth')
    simulated_weight: float = setting(0.5, 0.0, 100.0, "of the simulated streams' loss")
    anchor: float = setting(0.01, 0.0, 1e6, 'of the squared distance from the first weights')
    held_out: float = setting(0.4, 0.05, 0.9, 'share of a recording, at its end, held out: half '
                              'to stop by, half to judge by')
    every: int = setting(10, 1, 10**9, 'iterations between looks at what is held out')
    patience: int = setting(3, 1, 10**9, 'looks without gain after which it ends')
    forgotten: float = setting(0.05, 0.0, 10.0, 'how much larger the error on simulated streams '
                               'of all kinds may become')
    judges: int = setting(32, 1, 10**6, 'recordings that are judged by, at most')
    keep: int = setting(200_000, 1, 10**9, 'messages of recordings in memory, about')
