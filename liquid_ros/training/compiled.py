# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A smoother's step fused by torch.compile, in one form for all messages of a stretch."""

import sys
from typing import Any, Callable, Dict, Optional, Set

import torch

SETTLED = 3  # steps after which no more of a state follows from the weights


class Compiled:
    """
    The step, compiled once.

    What of a state has a gradient differs from the first message of a stretch to the second and
    the third, and each would be compiled for itself, which takes a minute. So what will have one
    has one from the first message on; it is not used.
    """

    def __init__(self, step: Callable[..., Any], backend: str = 'inductor') -> None:
        """Take a step of weights, state, rows, dt_s and, of some, variances."""
        self._plain, self._step = step, torch.compile(step, dynamic=False, backend=backend)
        self._follows: Optional[Set[str]] = None

    def __call__(self, weights: Dict[str, torch.Tensor], state: Dict[str, torch.Tensor],
                 *message: torch.Tensor) -> Any:
        """Return the state after one more message, and the estimate."""
        if not any(array.requires_grad for array in state.values()):
            if self._follows is None:
                after = state
                for _ in range(SETTLED):
                    after, _ = self._plain(weights, after, *message)
                self._follows = {name for name, array in after.items() if array.requires_grad}
            state = {name: array.detach().requires_grad_() if name in self._follows else array
                     for name, array in state.items()}
        try:
            return self._step(weights, state, *message)
        except Exception as error:  # whatever it is, the plain step does the same
            if self._step is self._plain or isinstance(error, torch.OutOfMemoryError):
                raise
            print('liquid_ros: the step cannot be compiled and runs as it is: '
                  f'{type(error).__name__} {(str(error).strip().splitlines() or [""])[0]}',
                  file=sys.stderr)
            self._step = self._plain
            return self._step(weights, state, *message)
