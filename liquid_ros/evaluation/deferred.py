# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Messages that wait for what comes after them before they are written."""

from collections import deque
from typing import Deque, Dict, Hashable, Optional, Tuple

import numpy as np

from liquid_ros.evaluation.later import Hindsight, Told
from liquid_ros.evaluation.replay import Answered
from liquid_ros.evaluation.sample import Key, Sample, Sink
from liquid_ros.smoothers import Smoother
from liquid_ros.timing import RESTARTS
from liquid_ros.update import Update

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
        self._by_width = {width: Hindsight(smoother, lag_ns) for width in (3, 7)}
        self._waiting: Dict[Hashable, Deque[Tuple[Optional[_Waiting], int]]] = {}

    def take(self, answer: Answered) -> None:
        """Take a message with the states after it; write those that are final now."""
        sample, update = answer.sample, answer.update
        if not sample.keys and not answer.withheld:
            self._write(sample, update)
        item = None if answer.withheld else _Waiting(sample, update)
        for i in np.flatnonzero(update.accepted).tolist():
            stream = sample.topic, sample.keys[i]
            self._waiting.setdefault(stream, deque()).append((item, i))
            state = answer.states[i]
            assert state is not None
            self._fill(self._by_width[sample.rows.shape[1]].add(
                stream, update.stamps_ns[i], state, update.arrivals[i] in RESTARTS))

    def end(self) -> None:
        """Write all that waits."""
        for hindsight in self._by_width.values():
            self._fill(hindsight.end())

    def _fill(self, told: Told) -> None:
        for stream, later in told:
            for rows, variance, twist in zip(*later[:3]):
                item, i = self._waiting[stream].popleft()
                if item is None:
                    continue
                estimate = item.update.estimate
                estimate.rows[i], estimate.variance[i], estimate.twist[i] = rows, variance, twist
                item.missing -= 1
                if not item.missing:
                    self._write(item.sample, item.update)
