# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""How many neurons of each kind a circuit policy has (Lechner et al. 2020), as AutoNCP has it."""

from typing import NamedTuple

LEAST = 4  # units that such a wiring needs


class Layers(NamedTuple):
    """Counts of neurons; AutoNCP numbers motor, command, inter."""

    inter: int
    command: int
    motor: int


def layers(units: int) -> Layers:
    """Return the counts of AutoNCP(units, motors(units))."""
    motor = motors(units)
    command = max(int(0.4 * (units - motor)), 1)
    return Layers(units - motor - command, command, motor)


def motors(units: int) -> int:
    """Return how many neurons are read out: three in ten."""
    return max(int(0.3 * units), 1)
