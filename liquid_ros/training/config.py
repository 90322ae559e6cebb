# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a training run is made of."""

from dataclasses import dataclass
from typing import Tuple


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run; config/train.yaml holds those of the shipped weights."""

    seed: int = 1
    hidden: int = 32
    iterations: int = 6000
    batch: int = 192
    axes: int = 3
    shares: int = 4
    stretch: int = 48
    stretches: Tuple[int, ...] = (2, 5, 12, 24)
    learning_rate: float = 4e-3
    accel_weight: float = 0.15
    likelihood_weight: float = 0.1
    clip_norm: float = 1.0
    compile: bool = True
