# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The short way through the node, for the message after a message of the same frame.

Where a type is a header and one row, next to every message differs from the one before by its
stamp and its numbers alone: one unpacking, one step, one packing. Whatever is not so is declined,
with nothing changed, and goes the long way (flow.py, wire.py), which gives the same bytes.
"""

import struct
from time import perf_counter

import numpy as np

from liquid_ros.cdr import LITTLE, text
from liquid_ros.packing import estimate_layout
from liquid_ros.params import Params
from liquid_ros.ros.diagnostics import Tally
from liquid_ros.ros.layout import HEADER, ORIGIN
from liquid_ros.ros.outputs import Outputs
from liquid_ros.streams import StreamBank
from liquid_ros.timing import Arrival, NS_PER_S

SIMPLE = ('pose', 'point')  # the types that are a header and one row
KEY = 0  # of their only stream
FRAME = ORIGIN + HEADER['<'].size  # where the letters of frame_id begin


class Express:
    """Takes what it can from bytes to bytes; one input, one stream, one frame at a time."""

    def __init__(self, bank: StreamBank, tally: Tally, outputs: Outputs) -> None:
        """Know no frame yet."""
        self._nis = slice(*estimate_layout(bank.width).columns['nis'])
        self._bank, self._tally, self._outputs = bank, tally, outputs
        self._learn_layout(struct.Struct(''))
        self._mark, self._frame = (b'', 0, b''), ''

    def take(self, raw: bytes, now_ns: int) -> bool:
        """Smooth and publish a message that came at now_ns, 0 where unknown; or return False."""
        try:
            mark, sec, nanosec, length, frame, *row = self._unpack(raw)
        except (struct.error, ValueError):  # too short, or no frame is known yet
            return self._learn(raw)
        if (mark, length, frame) != self._mark or nanosec >= NS_PER_S:
            return self._learn(raw)
        stamp_ns = sec * NS_PER_S + nanosec
        stream = self._tally.streams.get(KEY)
        if stream is None or not self._outputs.expects(KEY, stamp_ns):
            return False
        began = perf_counter()
        said = self._bank.advance(KEY, stamp_ns, row, self._frame, now_ns or None)
        if said is None:
            return False
        took_s = perf_counter() - began
        numbers = said.tolist()
        smooth = numbers[:self._bank.width]
        self._outputs.send_bytes(KEY, stamp_ns, self._pack(
            mark, sec, nanosec, length, frame, *smooth))
        # what nobody waits for comes last
        self._tally.steps_s.add(took_s)
        stream.accept(stamp_ns, Arrival.STEP, numbers[self._nis])
        stream.heard = self._tally.received
        trail = self._outputs.trail(KEY)
        if trail is not None:
            trail.add(stamp_ns, self._frame, np.array(smooth))
        self._tally.accepted += 1
        self._tally.published += 1
        return True

    def _learn_layout(self, whole: struct.Struct) -> None:
        self._unpack, self._pack = whole.unpack_from, whole.pack

    def _learn(self, raw: bytes) -> bool:
        """Take this message's frame for that of the next ones; return False."""
        if len(raw) < FRAME or raw[:ORIGIN] != LITTLE:
            return False
        length = HEADER['<'].unpack_from(raw, ORIGIN)[2]
        frame = raw[FRAME:FRAME + length]
        if len(frame) == length and frame[-1:] == b'\0':
            padding = -(FRAME + length - ORIGIN) % 8
            self._learn_layout(struct.Struct(f'<4siII{length}s{padding}x{self._bank.width}d'))
            self._mark, self._frame = (LITTLE, length, frame), text(frame[:-1])
        return False


def possible(params: Params) -> bool:
    """Return whether messages may go the short way: nothing but the smooth ones goes out."""
    return params.input_type in SIMPLE and not (
        params.reorder_s or params.lookahead_s or params.publish_rate_hz or params.frame_id
        or params.path_smoothed or params.publish_odometry or params.publish_tf or params.debug)
