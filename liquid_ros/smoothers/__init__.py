# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The registry: a new smoother is one file and one line here."""

from typing import Callable, Dict

from liquid_ros.smoothers.base import Estimate, Smoother, State
from liquid_ros.smoothers.direct import LiquidDirect
from liquid_ros.smoothers.ema import Ema
from liquid_ros.smoothers.kalman import Kalman, KalmanGated
from liquid_ros.smoothers.liquid import Liquid
from liquid_ros.smoothers.one_euro import OneEuro

__all__ = ['Estimate', 'SMOOTHERS', 'Smoother', 'State']

SMOOTHERS: Dict[str, Callable[..., Smoother]] = {
    'liquid': Liquid,
    'ema': Ema,
    'one_euro': OneEuro,
    'kalman': Kalman,
    'kalman_gated': KalmanGated,
    'liquid_direct': LiquidDirect,  # to be compared with, not to be used
}
