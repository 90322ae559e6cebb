# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a stream bank answers."""

from typing import List, NamedTuple, Optional

import numpy as np

from liquid_ros.smoothers.base import Estimate
from liquid_ros.timing import Arrival

DROP_REASONS = ('duplicate', 'late', 'zero_stamp', 'non_finite', 'zero_quaternion', 'diverged')


class Update(NamedTuple):
    """
    One answer a message, in the order they came.

    accepted: (N,) bool; the estimate's rows are NaN where it is False.
    reasons: why a message was dropped, one of DROP_REASONS; None for an accepted one.
    arrivals: what its stamp meant; None where the message was dropped before it was looked at.
    stamps_ns: the stamps that were used: the messages' own, but for a zero one that
    the policy replaced by the time of receipt.
    future: (N,) bool; True where the stamp is ahead of its receipt.
    """

    accepted: np.ndarray
    reasons: List[Optional[str]]
    arrivals: List[Optional[Arrival]]
    stamps_ns: List[int]
    future: np.ndarray
    estimate: Estimate
