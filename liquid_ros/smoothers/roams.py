# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What roams: it moves at random, and from message to message farther than the noise.

The best gain is almost one there. So to smooth gains next to nothing, while an R that is too
large, which the messages hardly contradict, costs any multiple of the noise: then the message
itself is given out. Unless what strays so may be noise, as at rest, where it leads nowhere.
"""

from types import ModuleType

from liquid_ros.arrays import Array, clip
from liquid_ros.smoothers.bank import Judgement

MIDDLE = 1  # of the bank's memories
FIRST, SOON = 8.0, 14.0  # messages from which on, and in full
EARLY = 0.05  # of the messages so far: what a walk is off their mean, squared, in steps, at least
FAR, MORE = 2.2, 0.4  # log of squares: the slowest walk's cost over the best's, and for certain
AHEAD, ALONE = (0.14, 0.19), (-0.2, -0.1)  # so far are walks likelier; by an axis alone
AT_ONCE = (0.45, 0.6)  # so far ahead they are by one wild message or jump
STROLLS = (0.75, 1.05)  # log step: where a walk's gain comes near one
LEFT = -7.0  # log of the share of what a gain leaves out that still is, of what surely roams


def roaming(xp: ModuleType, judged: Judgement, comes_back: Array, count: Array) -> Array:
    """
    Return how surely (B, A) an axis roams, 0 to 1.

    comes_back: (B, A) how often wild messages of late were strays: what has outliers is not to be
    given out. count: (B, 1) messages so far.
    """
    ahead = -judged.lag[..., MIDDLE]
    walks = (_ramp(ahead, *AHEAD) * _ramp(-judged.own_lag, *ALONE)
             * (1.0 - _ramp(ahead, *AT_ONCE)) * _ramp(judged.walk[..., MIDDLE], *STROLLS))
    least = xp.minimum(xp.log(EARLY * count), FAR + 0.0 * count)
    leads = _ramp(judged.roam[..., MIDDLE] - least, 0.0, MORE)
    return (walks * leads * _ramp(count, FIRST, SOON)
            * clip(1.0 - 2.0 * comes_back, 0.0, 1.0))


def _ramp(values: Array, low: float, high: float) -> Array:
    """Return 0 up to low, 1 from high on."""
    return clip((values - low) / (high - low), 0.0, 1.0)
