# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What a message's own variance says of its noise beside that of its neighbours.

A sender's covariance is right up to an unknown factor, if at all; how it changes from message
to message is worth more. So it is taken over its own running geometric mean, and that mean is
taken for what it says only where nothing else is known.
"""

import math
from typing import Tuple

from liquid_ros.arrays import Array, cast, clip, namespace, stack
from liquid_ros.smoothers.units import UNKNOWN_VARIANCE

MEMORY = 50.0  # messages that the geometric mean goes back
LIMIT = math.log(1e4)


def unheard(zero: Array) -> Array:
    """Return the state of streams that have stated nothing yet (B, A, 2); zero (B, A)."""
    return stack(zero, zero)


def heed(stated: Array, variances: Array) -> Tuple[Array, Array]:
    """
    Return the factor on R (B, A), one where nothing is stated, and the state after it.

    stated: (B, A, 2) mean of log variance, and of how many. variances: (B, A), NaN for none.
    """
    xp = namespace(stated)
    known = variances > 0.0  # not for NaN
    level = cast(xp.log(xp.where(known, variances, xp.ones_like(variances))), stated)
    middle, count = stated[..., 0], stated[..., 1]
    middle = xp.where(count < 0.5, level, middle)
    apart = clip(xp.where(known, level - middle, 0.0 * middle), -LIMIT, LIMIT)
    more = clip(count + 1.0, 0.0, MEMORY)
    return xp.exp(apart), xp.where(known[..., None], stack(middle + apart / more, more), stated)


def claimed(stated: Array) -> Array:
    """Return the variance (B, A) that messages state, UNKNOWN_VARIANCE where they state none."""
    xp, level = namespace(stated), stated[..., 0]
    return xp.where(stated[..., 1] > 0.5, xp.exp(level), UNKNOWN_VARIANCE + 0.0 * level)
