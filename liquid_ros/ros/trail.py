# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Poses of a stream one after the other: as a nav_msgs/Path that goes out or that came in."""

from collections import deque
import re
from typing import Any, Deque, Dict, Optional, Sequence, Tuple
from zlib import crc32

import numpy as np

from liquid_ros.cdr import Poses
from liquid_ros.errors import ParameterError
from liquid_ros.intake import refuse, Revisions
from liquid_ros.manifold import unit_rows
from liquid_ros.params import Params
from liquid_ros.ros.messages import Batch, Head, Key, ONE, turned
from liquid_ros.ros.wire import path
from liquid_ros.smoothers import Smoother
from liquid_ros.smoothers.rts import ABLE, has_hindsight, Window
from liquid_ros.streams import StreamBank
from liquid_ros.timing import TimePolicy

WORD = 60  # letters of a stream's name in the topic of its path


class Trail:
    """A bounded path; poses are made into a message only when it is published."""

    def __init__(self, length: int) -> None:
        """Start empty."""
        self._poses: Deque[Tuple[int, str, np.ndarray]] = deque(maxlen=length)

    def resize(self, length: int) -> None:
        """Keep so many of the newest poses."""
        if self._poses.maxlen != length:
            self._poses = deque(self._poses, maxlen=length)

    def add(self, stamp_ns: int, frame_id: str, row: Any) -> None:
        """Add a pose (3 | 7,)."""
        self._poses.append((stamp_ns, frame_id, row))

    def cut(self, stamp_ns: int) -> None:
        """Drop the poses from this stamp on."""
        while self._poses and self._poses[-1][0] >= stamp_ns:
            self._poses.pop()

    def message(self) -> bytes:
        """Return the path, a nav_msgs/Path in CDR, under the newest pose's header."""
        if not self._poses:
            return path(Head(0, ''), Poses([], [], np.zeros((0, 7))))
        stamps_ns, frames, rows = zip(*self._poses)
        return path(Head(stamps_ns[-1], frames[-1]),
                    Poses(list(stamps_ns), list(frames), turned(np.array(rows))))


class Hindsight(Trail):
    """A bounded path whose older poses know what came after them."""

    def __init__(self, length: int, smoother: Smoother) -> None:
        """Start empty; the smoother must have a motion model."""
        super().__init__(length)
        self._smoother = smoother
        self._window = Window(smoother, length)
        self._frame_id = ''

    def resize(self, length: int) -> None:
        """Start again with so many poses."""
        if self._poses.maxlen != length:
            super().resize(length)
            self._window = Window(self._smoother, length)

    def add(self, stamp_ns: int, frame_id: str, row: Any) -> None:
        """Add a stream's state, as StreamBank.peek gives it."""
        self._frame_id = frame_id
        self._window.add(stamp_ns, row)

    def cut(self, stamp_ns: int) -> None:
        """Drop the states from this stamp on."""
        self._window.cut(stamp_ns)

    def message(self) -> bytes:
        """Return the path in hindsight, a nav_msgs/Path in CDR, under the newest pose's header."""
        self._poses.clear()
        if len(self._window):
            found = self._window.smooth()
            self._poses.extend((stamp, self._frame_id, row)
                               for stamp, row in zip(found.stamps_ns, found.rows))
        return super().message()


class Track:
    """The smooth poses of an input that comes as a Path: each message repeats older ones."""

    def __init__(self) -> None:
        """Start empty."""
        self._rows: Dict[int, np.ndarray] = {}
        self._revisions = Revisions()
        self._given: Batch  # the newest message
        self._unknown_ns = -np.inf  # of poses up to here nothing need be known

    def clear(self, unknown_ns: Optional[int] = None) -> None:
        """Forget all poses; those up to a stamp are to be given as they were measured."""
        self._rows.clear()
        self._unknown_ns = -np.inf if unknown_ns is None else unknown_ns

    def revised(self, batch: Batch) -> bool:
        """Return whether poses of the message before have moved."""
        return self._revisions.take(batch.stamps_ns, batch.rows)

    def newer(self, batch: Batch, last_ns: Optional[int], policy: TimePolicy) -> Batch:
        """Take a message; return its poses after the last one, or all where time went back."""
        self._given = batch
        new = policy.newer(batch.stamps_ns, last_ns)
        return Batch(ONE * len(new), [batch.stamps_ns[i] for i in new], batch.rows[new],
                     [batch.frames[i] for i in new])

    def take(self, stamps_ns: Sequence[int], rows: np.ndarray) -> None:
        """Take in smooth poses (N, 7); NaN where there is none."""
        self._rows.update((stamp, row) for stamp, row in zip(stamps_ns, rows) if row[0] == row[0])

    def rows(self, passed: bool) -> np.ndarray:
        """
        Return the smooth poses (N, 7) of the newest message, and forget those it does not have.

        NaN where there is none, and from the second pose on of those with one stamp. passed: they
        are given as they were measured.
        """
        stamps = self._given.stamps_ns
        self._rows = {stamp: self._rows[stamp] for stamp in stamps if stamp in self._rows}
        rows, given = np.full((len(stamps), 7), np.nan), set()
        for i, (stamp, measured) in enumerate(zip(stamps, self._given.rows)):
            row = self._rows.get(stamp)
            if passed or row is None:
                there = row is not None or stamp <= self._unknown_ns
                row = unit_rows(measured[None])[0] if there and not refuse(measured) else None
            if row is not None and stamp not in given:
                rows[i] = row
                given.add(stamp)
        return rows


def check_hindsight(params: Params, smoother: Smoother) -> None:
    """Raise ParameterError where a path in hindsight is wanted and there can be none."""
    if params.path_smoothed and not has_hindsight(smoother):
        raise ParameterError(f'path_smoothed: got smoother {params.smoother!r}, which has no '
                             f'motion model; expected {ABLE}')
    if params.path_smoothed and params.input_type == 'path':
        raise ParameterError('path_smoothed: got input_type path, whose poses come many at '
                             'once; expected another type')


def topic_word(name: str) -> str:
    """Return a name as a word of a topic; a long one is cut and told apart by a checksum."""
    word = re.sub('[^A-Za-z0-9]+', '_', name).strip('_')
    return word if len(word) <= WORD else f'{word[:WORD]}_{crc32(name.encode()):08x}'


def twist_variance(smoother: Any, bank: StreamBank, keys: Sequence[Key], out: np.ndarray) -> None:
    """Fill in the variance of each stream's twist (N, A) after its newest message, if known."""
    if not has_hindsight(smoother):
        return
    for i, key in enumerate(keys):
        if bank.last_ns(key) is not None:
            found = smoother.known(bank.peek(key)).covariance[0, :, 1, 1]
            out[i] = np.where(found > 0.0, found, np.nan)  # 0 before a second message
