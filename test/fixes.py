# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Fixes of a receiver that is carried along, for tests."""

import numpy as np
from sensor_msgs.msg import NavSatFix

from liquid_ros.navsat import Enu, Place
from liquid_ros.ros.messages import header_at

MUNICH = Place(48.1372, 11.5756, 519.0)


def way(count, seed=0, rate_hz=10.0, noise_m=0.5, start_ns=1_700_000_000_123_456_789):
    """Return stamps, true and measured x y z (count, 3) of a car in a bend, at 10 m/s."""
    rng = np.random.default_rng(seed)
    times_s = np.arange(count) / rate_hz
    true = np.stack([100.0 * np.sin(times_s / 10.0), 100.0 - 100.0 * np.cos(times_s / 10.0),
                     0.2 * times_s], 1)
    return ([start_ns + round(t * 1e9) for t in times_s.tolist()], true,
            true + noise_m * rng.normal(size=true.shape) * (1.0, 1.0, 2.0))


def fix_of(stamp_ns, row, about=MUNICH, frame='gps', altitude=True, covariance=None, status=0):
    """Return the message of x y z about a place."""
    latitude, longitude, height = Enu(about).place(row)
    message = NavSatFix(header=header_at(stamp_ns, frame), latitude=latitude, longitude=longitude,
                        altitude=height if altitude else float('nan'))
    message.status.status, message.status.service = status, 3
    if covariance is not None:
        message.position_covariance = np.diag(covariance).ravel()
        message.position_covariance_type = NavSatFix.COVARIANCE_TYPE_DIAGONAL_KNOWN
    return message


def rows_about(messages, about):
    """Return x y z (N, 3) of messages about a place."""
    enu = Enu(about)
    return np.array([enu.row(Place(m.latitude, m.longitude, m.altitude)) for m in messages])
