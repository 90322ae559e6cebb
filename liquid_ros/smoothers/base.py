# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What every smoother is: two pure functions over a dictionary of arrays."""

from typing import Dict, NamedTuple, Protocol, Tuple

from liquid_ros.arrays import Array

State = Dict[str, Array]  # every array's first axis is the stream


class Estimate(NamedTuple):
    """
    What a smoother says after a message; B streams, A axes (3, or 6 for poses), G = A / 3.

    rows: (B, 3) x y z in m, or (B, 7) x y z qx qy qz qw.
    variance: (B, A) of the error, m^2, then rad^2 in the body's tangent space.
    twist: (B, A) velocity, m/s in the fixed frame, then rad/s in the body frame.
    nis: (B, G) normalised innovation squared of a group of three axes; expected value 3.
    weight: (B, G) in [0, 1]: how far the message was believed; 0 for a rejected one.
    """

    rows: Array
    variance: Array
    twist: Array
    nis: Array
    weight: Array


class Smoother(Protocol):
    """A causal smoother: weights and settings inside, no state."""

    def init(self, rows: Array) -> Tuple[State, Estimate]:
        """Return the state after the first message of B streams; rows (B, 3) or (B, 7)."""

    def step(self, state: State, rows: Array, dt_s: Array) -> Tuple[State, Estimate]:
        """Return the state after one more message; rows (B, 3) or (B, 7), dt_s (B, 1) > 0."""
