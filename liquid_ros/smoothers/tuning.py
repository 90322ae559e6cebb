# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What may change while a smoother runs, and the gate that a probability stands for."""

from dataclasses import dataclass
import math
from typing import Tuple

from liquid_ros.arrays import Array, namespace
from liquid_ros.errors import ParameterError


@dataclass(frozen=True)
class Tuning:
    """
    Two knobs, both in the middle by default.

    smoothing: in [-1, 1], from responsive to smooth; 0 is as trained, or as set.
    gate_probability: in [0, 1), how often a good message is rejected; 0 is the smoother's own
    gate.
    Errors: ParameterError for a value out of range.
    """

    smoothing: float = 0.0
    gate_probability: float = 0.0

    def __post_init__(self) -> None:
        """Check the settings."""
        if not -1.0 <= self.smoothing <= 1.0:
            raise ParameterError(f'got smoothing {self.smoothing!r}, expected -1 to 1')
        if not 0.0 <= self.gate_probability < 1.0:
            raise ParameterError(f'got gate_probability {self.gate_probability!r}, '
                                 'expected 0 or more and less than 1')

    @property
    def time_factor(self) -> float:
        """Return what a low pass multiplies its time constant by."""
        return float(10.0**self.smoothing)

    @property
    def noise_factor(self) -> float:
        """Return what a Kalman filter multiplies its measurement variance by."""
        return float(10.0**(2.0 * self.smoothing))

    @property
    def gates(self) -> Tuple[float, float, float]:
        """Return the largest accepted mean of nu^2 / S over one, two and three axes; 0: none."""
        if not self.gate_probability:
            return 0.0, 0.0, 0.0
        one, two, three = (chi2_quantile(self.gate_probability, n) / n for n in (1, 2, 3))
        return one, two, three


def gate_for(gates: Tuple[float, float, float], average: Array) -> Array:
    """Return the gate (B, A) of each axis's group, 0: none; average (B, A, A) over what moves."""
    xp = namespace(average)
    moving = 1.0 / (average * average).sum(-1)  # n entries of 1 / n
    zero = xp.zeros_like(moving)
    return xp.where(moving > 2.5, zero + gates[2],
                    xp.where(moving > 1.5, zero + gates[1], zero + gates[0]))


def chi2_quantile(tail: float, degrees: int) -> float:
    """Return what a chi-square variable of 1, 2 or 3 degrees exceeds with this probability."""
    low, high = 0.0, 1500.0  # the tail at 1500 is below the smallest float64
    while True:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            return middle
        low, high = (middle, high) if _chi2_tail(middle, degrees) > tail else (low, middle)


def _chi2_tail(x: float, degrees: int) -> float:
    if degrees == 2:
        return math.exp(-0.5 * x)
    beyond = math.erfc(math.sqrt(0.5 * x))
    return beyond if degrees == 1 else beyond + math.sqrt(2.0 * x / math.pi) * math.exp(-0.5 * x)
