# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Messages that wait for what comes after them before they are written."""

from collections import deque
from typing import Callable, Deque, Dict, List, Optional, Tuple

import numpy as np

from liquid_ros.evaluation.later import Hindsight, Later
from liquid_ros.evaluation.replay import Answered
from liquid_ros.evaluation.sample import Key, Sample, Sink
from liquid_ros.smoothers import Smoother
from liquid_ros.streams import Update
from liquid_ros.timing import RESTARTS

Stream = Tuple[str, Key]


class _Waiting:
    """A message and how many of its rows are not final yet."""

    def __init__(self, sample: Sample, update: Update) -> None:
        self.sample = sample
        self.update = update._replace(estimate=update.estimate._replace(
            rows=update.estimate.rows.copy(), variance=update.estimate.variance.copy(),
            twist=update.estimate.twist.copy()))
        self.missing = int(update.accepted.sum())


class Deferred:
    """Writes each message when all its estimates know what comes later."""

    def __init__(self, write: Sink, smoother: Smoother, lag_ns: Optional[int]) -> None:
        """Start empty; lag_ns: as in Hindsight."""
        self._write = write
        self._make: Callable[[], Hindsight] = lambda: Hindsight(smoother, lag_ns)
        self._streams: Dict[Stream, Hindsight] = {}
        self._waiting: Dict[Stream, Deque[Tuple[Optional[_Waiting], int]]] = {}

    def take(self, answer: Answered) -> None:
        """Take a message with the states after it; write those that are final now."""
        sample, update = answer.sample, answer.update
        item = None if answer.withheld else _Waiting(sample, update)
        for i in np.flatnonzero(update.accepted).tolist():
            stream = sample.topic, sample.keys[i]
            if stream not in self._streams:
                self._streams[stream], self._waiting[stream] = self._make(), deque()
            state = answer.states[i]
            assert state is not None
            done = self._streams[stream].add(update.stamps_ns[i], state,
                                             update.arrivals[i] in RESTARTS)
            self._waiting[stream].append((item, i))
            self._fill(stream, done)

    def end(self) -> None:
        """Write all that waits."""
        for stream, hindsight in self._streams.items():
            self._fill(stream, hindsight.end())

    def _fill(self, stream: Stream, done: List[Later]) -> None:
        for later in done:
            for rows, variance, twist in zip(*later[:3]):
                item, i = self._waiting[stream].popleft()
                if item is None:
                    continue
                estimate = item.update.estimate
                estimate.rows[i], estimate.variance[i], estimate.twist[i] = rows, variance, twist
                item.missing -= 1
                if not item.missing:
                    self._write(item.sample, item.update)
