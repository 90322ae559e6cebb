# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Messages as bytes, and what they have in common, for tests of the short way."""

import struct

import numpy as np

from liquid_ros.cdr import LITTLE
from liquid_ros.timing import NS_PER_S
from liquid_ros.way import Way, WHENEVER_NS

LONG_AGO = -WHENEVER_NS


def raw_of(stamp_ns, numbers, frame='map', gap=b'\0\0\0\0'):
    """Return a message: a header and numbers."""
    name = frame.encode() + b'\0'
    head = LITTLE + struct.pack('<iII', *divmod(stamp_ns, NS_PER_S), len(name)) + name
    return head + gap[:(4 - len(head)) % 8] + np.asarray(numbers, np.float64).tobytes()


def way_of(width, count=None, key=0, frame='map'):
    """Return the way of such messages."""
    head = raw_of(0, [], frame)
    return Way(key, frame, width, head, count or width, 4, [(0, 4), (12, 17 + len(frame))])


def advance(bank, key, stamp_ns, row, frame):
    """Return the packed estimate of a message that went the short way, None where it did not."""
    way = way_of(len(row), key=key, frame=frame)
    took = bank.advance_bytes(way, raw_of(stamp_ns, row, frame), LONG_AGO)
    return way.said[:-1] if took else None
