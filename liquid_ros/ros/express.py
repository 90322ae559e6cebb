# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The short way through the node, for the message after a message of the same names.

Where a type is a header and one row, next to every message differs from one before by its stamp
and its numbers alone: it goes through one compiled call. Whatever is not so is declined, with
nothing changed, and goes the long way (flow.py, wire.py), which gives the same bytes.
"""

import struct
from time import perf_counter
from typing import Dict, Optional, Tuple

from liquid_ros.cdr import even, LITTLE
from liquid_ros.packing import estimate_layout
from liquid_ros.params import Params
from liquid_ros.ros.answers import Answers
from liquid_ros.ros.diagnostics import Tally
from liquid_ros.ros.layout import HEADER, LENGTH, MalformedError
from liquid_ros.ros.messages import Codec, Head
from liquid_ros.ros.outputs import Outputs
from liquid_ros.smoothers.base import Estimate
from liquid_ros.streams import StreamBank
from liquid_ros.way import Way, WHENEVER_NS

STAMP_BYTES = 8
HEAD, COUNT = HEADER['<'], LENGTH['<']
MOST_KNOWN, LONG = 1000, 500  # names, and letters of some

Names = Tuple[bytes, bytes]  # of the frame and its child


class Express:
    """Takes what it can from bytes to bytes, one message of one stream at a time."""

    def __init__(self, params: Params, codec: Codec, bank: StreamBank, tally: Tally,
                 outputs: Outputs, answers: Answers) -> None:
        """Know no names yet."""
        columns = estimate_layout(bank.width).columns
        self._columns = [slice(*columns[name]) for name in Estimate._fields]
        self._rows, self._nis = slice(*columns['rows']), slice(*columns['nis'])
        self._codec, self._frame_id = codec, params.frame_id
        self._most = max(MOST_KNOWN, params.max_streams)
        self._at = len(LITTLE + codec.layout.before)
        self._bank, self._tally, self._outputs, self._answers = bank, tally, outputs, answers
        self._hindsight = params.path_smoothed
        self._known: Dict[Names, Way] = {}
        self._only: Optional[Way] = None  # of a type that has one stream

    def take(self, raw: bytes, now_ns: int) -> bool:
        """Smooth and publish a message that came at now_ns, 0 where unknown; or return False."""
        if self.follow(raw, now_ns):
            return True
        self._learn(raw)
        return False

    def follow(self, raw: bytes, now_ns: int) -> bool:
        """Do what take() does, but with names that are known alone."""
        if self._only is not None:
            return self._along(self._only, raw, now_ns)
        try:
            way = self._known.get(self._names(raw))
        except struct.error:  # too short
            return False
        return way is not None and self._along(way, raw, now_ns)

    def _along(self, way: Way, raw: bytes, now_ns: int) -> bool:
        key, outputs, tally = way.key, self._outputs, self._tally
        stream = tally.streams.get(key)
        if stream is None:
            return False
        began = perf_counter()
        stamp_ns = self._bank.advance_bytes(
            way, raw, outputs.newest_ns.get(key, -WHENEVER_NS), now_ns or None)
        if not stamp_ns:
            return False
        took_s = perf_counter() - began
        outputs.send_bytes(key, stamp_ns, way.out)
        said = way.said
        if outputs.has_bodies:
            estimate = Estimate(*(said[None, part] for part in self._columns))
            outputs.send_bodies(raw, Head(stamp_ns, way.frame), (key,),
                                self._answers.smooth((key,), estimate))
        # what nobody waits for comes last
        tally.steps_s.append(took_s)
        stream.step(stamp_ns, said[self._nis].tolist())
        stream.heard = tally.received
        trail = outputs.trail(key)
        if trail is not None:
            trail.add(stamp_ns, way.frame,
                      self._bank.peek(key) if self._hindsight else said[self._rows].copy())
        tally.accepted += 1
        tally.published += 1
        return True

    def _names(self, raw: bytes) -> Names:
        """Return the names of a message. Errors: struct.error."""
        begin = self._at + HEAD.size
        at = begin + HEAD.unpack_from(raw, self._at)[-1]
        frame, child = raw[begin:at], b''
        if self._codec.layout.strings:
            at += -at % COUNT.size
            length, = COUNT.unpack_from(raw, at)
            at += COUNT.size
            child = raw[at:at + length]
        return frame, child

    def _learn(self, raw: bytes) -> None:
        """Take note of a message's names."""
        try:
            names = self._names(raw)
            way = self._known.get(names) or self._way(raw, names)
        except (struct.error, MalformedError):
            return
        if way is None:
            return
        if names not in self._known and len(self._known) >= self._most:
            self._known.clear()
        self._known[names] = way
        self._only = None if self._codec.many else way

    def _way(self, raw: bytes, names: Names) -> Optional[Way]:
        """Return the way of a message's names, None where that is not to be. Errors: of read()."""
        batch = self._codec.read(raw)
        key, frame = batch.keys[0], batch.frames[0]
        if (self._frame_id and frame != self._frame_id or key not in self._tally.streams
                or sum(map(len, names)) > LONG):
            return None
        # what it would be in the node's own writing, which has no random bytes in its gaps
        same = self._codec.moved(raw, Head(batch.stamps_ns[0], frame))
        if len(same) != len(raw) or self._names(same) != names:
            return None
        layout, begin = self._codec.layout, self._at + STAMP_BYTES
        pieces = [(0, self._at), (begin, begin + COUNT.size + len(names[0]))]
        if layout.strings:
            begin = pieces[-1][1] + -pieces[-1][1] % COUNT.size
            pieces.append((begin, begin + COUNT.size + len(names[1])))
        return Way(key, frame, self._bank.width, same[:even(pieces[-1][1])], layout.count,
                   self._at, pieces)


def possible(params: Params, codec: Codec) -> bool:
    """Return whether messages may go the short way: an output a message, at its stamp."""
    return codec.layout is not None and not (
        params.reorder_s or params.lookahead_s or params.publish_rate_hz or params.debug)
