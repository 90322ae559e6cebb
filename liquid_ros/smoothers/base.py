# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What every smoother is: pure functions over a dictionary of arrays."""

from typing import Any, Dict, NamedTuple, Optional, Protocol, Tuple

import numpy as np

from liquid_ros.arrays import Array, clip, namespace
from liquid_ros.smoothers.grain import at_least
from liquid_ros.smoothers.tuning import Tuning

State = Dict[str, Array]  # every array's first axis is the stream
LOST = 1e30  # on P: stands for a stream that was found anew
LEAST_S = 1e-30  # stands for no interval at all where something is divided by it


class Estimate(NamedTuple):
    """
    What a smoother says after a message; B streams, A axes (3, or 6 for poses), G = A / 3.

    rows: (B, 3) x y z in m, or (B, 7) x y z qx qy qz qw.
    variance: (B, A) of the error, m^2, then rad^2 in the body's tangent space.
    twist: (B, A) velocity, m/s in the fixed frame, then rad/s in the body frame.
    nis: (B, G) normalised innovation squared of a group of three axes; expected value 3.
    weight: (B, G) in [0, 1]: how far the message was believed; 0 for a rejected one.
    A prediction has no message to judge: its nis is 3 and its weight 1.
    """

    rows: Array
    variance: Array
    twist: Array
    nis: Array
    weight: Array


class Known(NamedTuple):
    """
    What a filter of n states an axis knows after messages, as rts.Window goes back with it.

    rows: (B, 3 | 7). motion: (B, A, n - 1) velocity and so on. covariance: (B, A, n, n).
    lasting, besides, grain, unknown: (B, A) the stated variance is lasting P11 + besides, more by
    the grain, or the last where nothing has moved.
    """

    rows: Array
    motion: Array
    covariance: Array
    lasting: Array
    besides: Array
    grain: Array
    unknown: Array

    def stated(self, p11: Array, newest: Any) -> Array:
        """
        Return the stated variance (N, A) of what P11 in hindsight is.

        newest: index of the messages with none after them; of the others it is known by now
        whether they were outliers.
        """
        variance = self.lasting * clip(p11, 0.0, np.inf)  # of rounding
        variance[newest] += self.besides[newest]
        return at_least(namespace(variance), variance, self.grain, self.unknown)


class Link(NamedTuple):
    """
    What a filter's states predict for the next ones.

    rows, motion, covariance: the prediction x^-, P^-, as in Known.
    start, transition: (B, A, n, n) the P that the prediction began with, and F.
    """

    rows: Array
    motion: Array
    covariance: Array
    start: Array
    transition: Array


class Smoother(Protocol):
    """
    A causal smoother: weights and settings inside, no state.

    rows (B, 3) or (B, 7). dt_s (B, 1) > 0, for predict >= 0.
    variances: (B, A) the messages' own, in the units of Estimate.variance and above zero, NaN
    where none is stated; None where no message states any. A low pass has no use for them.
    """

    def init(self, rows: Array, variances: Optional[Array] = None) -> Tuple[State, Estimate]:
        """Return the state after the first message of B streams."""

    def step(self, state: State, rows: Array, dt_s: Array, variances: Optional[Array] = None
             ) -> Tuple[State, Estimate]:
        """Return the state after one more message."""

    def predict(self, state: State, dt_s: Array) -> Estimate:
        """Return the estimate dt_s after the last message."""

    def tuned(self, tuning: Tuning) -> 'Smoother':
        """Return the same smoother with other knobs, for the same states."""
