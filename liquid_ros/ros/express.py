# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The short way through the node, for the message after a message of the same names.

Where a type is a header and one row, next to every message differs from one before by its stamp
and its numbers alone: one unpacking, one step, one packing. Whatever is not so is declined, with
nothing changed, and goes the long way (flow.py, wire.py), which gives the same bytes.
"""

from math import isfinite
import struct
from time import perf_counter
from typing import Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from liquid_ros.cdr import even, LITTLE
from liquid_ros.geometry import own_values, pose_values
from liquid_ros.intake import usable_variances
from liquid_ros.packing import estimate_layout
from liquid_ros.params import Params
from liquid_ros.ros.answers import Answers
from liquid_ros.ros.diagnostics import StreamTally, Tally
from liquid_ros.ros.layout import HEADER, LENGTH, MalformedError
from liquid_ros.ros.messages import Codec, Head, Key
from liquid_ros.ros.outputs import Outputs
from liquid_ros.ros.wire import COVARIANCE, TWIST
from liquid_ros.smoothers.base import Estimate
from liquid_ros.streams import StreamBank
from liquid_ros.timing import NS_PER_S
from liquid_ros.way import Way, WHENEVER_NS

STAMP = struct.Struct('<iI')  # sec, nanosec
HEAD, COUNT = HEADER['<'], LENGTH['<']
MOST_KNOWN, LONG = 1000, 500  # names, and letters of some

Names = Tuple[bytes, bytes]  # of the frame and its child


class Known(NamedTuple):
    """What names stand for: a stream, its frame, how they are written; way: of numbers alone."""

    key: Key
    frame: str
    written: bytes
    way: Optional[Way]


class Express:
    """Takes what it can from bytes to bytes, one message of one stream at a time."""

    def __init__(self, params: Params, codec: Codec, bank: StreamBank, tally: Tally,
                 outputs: Outputs, answers: Answers) -> None:
        """Know no names yet."""
        columns = estimate_layout(bank.width).columns
        self._columns = [slice(*columns[name]) for name in Estimate._fields]
        self._variance, self._nis = slice(*columns['variance']), slice(*columns['nis'])
        layout = codec.layout
        self._codec, self._frame_id = codec, params.frame_id
        self._most = max(MOST_KNOWN, params.max_streams)
        self._begin = LITTLE + layout.before
        self._at = len(self._begin)
        self._child, self._stated = layout.strings > 0, layout.count >= COVARIANCE.stop
        self._numbers = struct.Struct(f'<{layout.count}d')
        self._bank, self._tally, self._outputs, self._answers = bank, tally, outputs, answers
        self._hindsight = params.path_smoothed
        self._known: Dict[Names, Known] = {}
        self._only: Optional[Way] = None  # of a type that has one stream

    def take(self, raw: bytes, now_ns: int) -> bool:
        """Smooth and publish a message that came at now_ns, 0 where unknown; or return False."""
        if self._only is not None and self._along(self._only, raw, now_ns):
            return True
        try:
            sec, nanosec, length = HEAD.unpack_from(raw, self._at)
            names, end = self._split(raw, length)
            given = self._numbers.unpack_from(raw, end)
        except struct.error:  # too short
            return False
        found = self._known.get(names)
        if (found is None or nanosec >= NS_PER_S or len(raw) != end + self._numbers.size
                or raw[:self._at] != self._begin):
            return self._learn(raw, names)
        key, frame, written, way = found
        if way is not None and way is not self._only and self._along(way, raw, now_ns):
            return True
        stamp_ns = sec * NS_PER_S + nanosec
        stream = self._tally.streams.get(key)
        if stream is None or not self._outputs.expects(key, stamp_ns):
            return False
        width = self._bank.width
        variances: Optional[Sequence[float]] = None
        if self._stated:
            if not isfinite(sum(given[TWIST])):
                return False
            if any(given[COVARIANCE]):
                variances = usable_variances(own_values(given[COVARIANCE], given[3:7]))
        began = perf_counter()
        said = self._bank.advance(key, stamp_ns, given[:width], frame, now_ns or None, variances)
        if said is None:
            return False
        took_s = perf_counter() - began
        numbers = said.tolist()
        smooth = numbers[:width]
        out = smooth if not self._stated else (
            *smooth, *pose_values(numbers[self._variance], smooth[3:]), *given[TWIST])
        self._outputs.send_bytes(key, stamp_ns, b''.join((
            self._begin, STAMP.pack(sec, nanosec), written, self._numbers.pack(*out))))
        self._count(stream, key, stamp_ns, took_s, raw, frame, said)
        return True

    def _along(self, way: Way, raw: bytes, now_ns: int) -> bool:
        """Take a message that differs from one before by its stamp and its numbers alone."""
        key, outputs = way.key, self._outputs
        stream = self._tally.streams.get(key)
        if stream is None:
            return False
        began = perf_counter()
        stamp_ns = self._bank.advance_bytes(
            way, raw, outputs.newest_ns.get(key, -WHENEVER_NS), now_ns or None)
        if not stamp_ns:
            return False
        took_s = perf_counter() - began
        outputs.send_bytes(key, stamp_ns, way.out)
        self._count(stream, key, stamp_ns, took_s, raw, way.frame, way.said)
        return True

    def _count(self, stream: StreamTally, key: Key, stamp_ns: int, took_s: float, raw: bytes,
               frame: str, said: np.ndarray) -> None:
        """Publish what else there is of an output; what nobody waits for comes last."""
        outputs, tally = self._outputs, self._tally
        if outputs.has_bodies:
            estimate = Estimate(*(said[None, part] for part in self._columns))
            outputs.send_bodies(raw, Head(stamp_ns, frame), (key,),
                                self._answers.smooth((key,), estimate))
        tally.steps_s.append(took_s)
        stream.step(stamp_ns, said[self._nis].tolist())
        stream.heard = tally.received
        trail = outputs.trail(key)
        if trail is not None:
            trail.add(stamp_ns, frame, self._bank.peek(key) if self._hindsight
                      else said[self._columns[0]].copy())
        tally.accepted += 1
        tally.published += 1

    def _split(self, raw: bytes, length: int) -> Tuple[Names, int]:
        """Return the names of a message, and where its numbers begin."""
        begin = self._at + HEAD.size
        at = begin + length
        frame, child = raw[begin:at], b''
        if self._child:
            at += -at % 4
            length, = COUNT.unpack_from(raw, at)
            at += COUNT.size + length
            child = raw[at - length:at]
        return (frame, child), even(at)

    def _learn(self, raw: bytes, names: Names) -> bool:
        """Take note of this message's names; return False."""
        try:
            batch = self._codec.read(raw)
        except MalformedError:
            return False
        key, frame = batch.keys[0], batch.frames[0]
        if (self._frame_id and frame != self._frame_id or key not in self._tally.streams
                or sum(map(len, names)) > LONG):
            return False
        # what it would be in the node's own writing, which has no random bytes in its gaps
        same = self._codec.moved(raw, Head(batch.stamps_ns[0], frame))
        if len(same) == len(raw) and self._split(same, len(names[0]))[0] == names:
            if len(self._known) >= self._most:
                self._known.clear()
            way = self._way(key, frame, names, same[:-self._numbers.size])
            self._known[names] = Known(key, frame, same[self._at + STAMP.size:-self._numbers.size],
                                       way)
            self._only = None if self._codec.many else way
        return False

    def _way(self, key: Key, frame: str, names: Names, head: bytes) -> Optional[Way]:
        """Return the way of these names; None where a covariance goes along."""
        if self._stated:
            return None
        begin = self._at + STAMP.size
        pieces = [(0, self._at), (begin, begin + COUNT.size + len(names[0]))]
        if self._child:
            end = pieces[-1][1] + -pieces[-1][1] % 4
            pieces.append((end, end + COUNT.size + len(names[1])))
        return Way(key, frame, self._bank.width, head, self._at, pieces)


def possible(params: Params, codec: Codec) -> bool:
    """Return whether messages may go the short way: an output a message, at its stamp."""
    return codec.layout is not None and not (
        params.reorder_s or params.lookahead_s or params.publish_rate_hz or params.debug)
