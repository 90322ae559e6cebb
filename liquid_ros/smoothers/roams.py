# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What roams: it moves at random, and from message to message farther than the noise.

The best gain is almost one there. So to smooth gains next to nothing, while an R that is too
large, which the messages hardly contradict, costs any multiple of the noise: then the message
itself is given out. Unless what strays so may be noise, as at rest, where it leads nowhere.
"""

import math
from types import ModuleType

from liquid_ros.arrays import Array, clip, ramp
from liquid_ros.smoothers.bank import SETTLED
from liquid_ros.smoothers.likelihood import Judgement
from liquid_ros.smoothers.reading import Reading
from liquid_ros.smoothers.sight import mean

BEGINS = (8.0, 14.0)  # messages from which on, and in full
AHEAD, ALONE = (0.14, 0.19), (-0.2, -0.1)  # so far are walks likelier; by an axis alone
AT_ONCE = (0.45, 0.6)  # so far ahead they are by one wild message or jump
STROLLS = (0.75, 1.05)  # log step: where a walk's gain comes near one
OF_LATE, BY_ITSELF = (0.2, 0.5), (0.0, 0.4)  # in the short memory; of an axis alone
LIVELY = (-2.5, -2.0)  # log of squares: the size of late over that of the middle memory
# log of squares: a walk leads away from its mean by at least EARLY of its messages; after 200 of
# them noise that is correlated by 0.9 from one to the next does not by exp(FAR)
EARLY, FAR, FARTHER = 0.04, 2.0, 0.4
ONCE = 1.0  # a wild message that came back may be chance
LEFT = -7.0  # log of the share of what a gain holds back that still is, of what surely roams


def roaming(xp: ModuleType, got: Reading, judged: Judgement) -> Array:
    """Return how surely (B, A) an axis roams, 0 to 1; each of the bounds above is a ramp."""
    count, said = got.clock.count, judged.walks
    walks = (ramp(-said.lag, *AHEAD) * (1.0 - ramp(-said.lag, *AT_ONCE))
             * ramp(-said.own_lag, *ALONE)
             * ramp(said.step, *STROLLS) * ramp(said.own_step, *BY_ITSELF))
    least = xp.minimum(xp.log(EARLY * count), FAR + 0.0 * count)
    leads = ramp(said.leads - least, 0.0, FARTHER)
    usual = said.agile + math.log(SETTLED)
    lively = mean(got.average, 2.0 * xp.log(got.sizes.fast) - usual)
    still = ramp(said.late, *OF_LATE) * ramp(lively, *LIVELY)
    return walks * leads * still * ramp(count, *BEGINS)


def calm(comes_back: Array) -> Array:
    """
    Return 1, or 0 where (B, A) more than one wild message of late came back.

    Then there are outliers, and no message is given out.
    """
    return clip(1.0 - 2.0 * (comes_back - ONCE), 0.0, 1.0)
