# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What every cell is: a pure step, the shapes of its weights, and what else is known of it."""

from functools import partial
from typing import Callable, Dict, NamedTuple, Optional, Tuple

from liquid_ros.arrays import Array
from liquid_ros.errors import ParameterError

Weights = Dict[str, Array]
Shapes = Dict[str, Tuple[int, ...]]
Step = Callable[..., Tuple[Array, Array]]
Tau = Callable[[Weights, Array, Array], Array]


def as_many(hidden: int) -> int:
    """Return the size of what has one number a unit."""
    return hidden


class CellKind(NamedTuple):
    """
    A cell.

    step: of weights, features x (B, A, F), state h (B, A, S) and the pace dt / mean dt (B, 1, 1)
    the next state and what is read out of it (B, A, R). A state begins at nought.
    shapes: for H units and F features, those of its weights.
    state, read: S and R for H units.
    positive: weights that must be above zero.
    activations: those it can be asked for, its own first; none where it has no choice.
    tau: of weights, features and state each unit's effective time constant (B, A, R), in mean dt;
    None where there is none.
    library: drawn with the ncps library (the extra [family]); only its training needs that.
    """

    step: Step
    shapes: Callable[[int, int], Shapes]
    state: Callable[[int], int] = as_many
    read: Callable[[int], int] = as_many
    positive: Tuple[str, ...] = ()
    activations: Tuple[str, ...] = ()
    tau: Optional[Tau] = None
    library: bool = False

    def stepper(self, activation: str) -> Step:
        """
        Return the step with this activation.

        Errors: ParameterError where the cell does not have it.
        """
        if activation not in (self.activations or ('tanh',)):
            raise ParameterError(f'got activation: {activation!r}, expected one of '
                                 f'{", ".join(self.activations or ("tanh",))} for this cell')
        return partial(self.step, activation=activation) if self.activations else self.step
