# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The messages of an input that wait for older ones, by stream."""

from time import monotonic
from typing import Dict, Iterator, List

from liquid_ros.params import Params
from liquid_ros.reorder import Reorder
from liquid_ros.ros.messages import Arrived, Key
from liquid_ros.timing import NS_PER_S, TimePolicy

MOST_HELD = 1000  # messages of a stream


class Held:
    """A reorder buffer for each of a bounded number of streams."""

    def __init__(self) -> None:
        """Start empty."""
        self._buffers: Dict[Key, Reorder] = {}
        self._heard: Dict[Key, float] = {}
        self._time_ns = 0  # that passes as the stamps of any stream advance
        self._at_ns: Dict[Key, int] = {}  # it was when a stream's newest message came

    def __len__(self) -> int:
        """Return how many messages wait."""
        return sum(len(buffer) for buffer in self._buffers.values())

    def judge_by(self, policy: TimePolicy) -> None:
        """Take over what is made of stamps."""
        for buffer in self._buffers.values():
            buffer.judge_by(policy)

    def add(self, arrived: Arrived, params: Params, policy: TimePolicy) -> List[Arrived]:
        """
        Take a message; return those whose turn it is, its own stream's first.

        The others' follow as its stamps advance, whatever lies between them: a stream that fell
        silent is not held back for ever.
        """
        key, stamp_ns = next(iter(arrived.batch.keys), 0), arrived.batch.stamps_ns[0]
        if key not in self._buffers and not self._make_room(params.max_streams):
            return [arrived]
        if key not in self._buffers:
            self._buffers[key] = Reorder(round(params.reorder_s * NS_PER_S), MOST_HELD, policy)
        self._heard[key] = monotonic()
        before_ns = self._buffers[key].newest_ns
        due = self._buffers[key].add(stamp_ns, arrived, arrived.now_ns or None)
        newest_ns = self._buffers[key].newest_ns
        if newest_ns is None:  # there were but stamps that cannot be used
            return due
        if before_ns is not None:
            self._time_ns = max(self._time_ns, self._at_ns[key] + newest_ns - before_ns)
        if newest_ns != before_ns:
            self._at_ns[key] = self._time_ns
        for other, buffer in self._buffers.items():
            if other != key and len(buffer):
                # not by the stamp alone, for clocks differ; nor by time alone, for messages come
                # in bursts
                due += buffer.release(min(newest_ns, buffer.newest_ns  # type: ignore
                                          + self._time_ns - self._at_ns[other]))
        return due

    def _make_room(self, most: int) -> bool:
        if len(self._buffers) >= most:
            for key in [key for key, buffer in self._buffers.items() if not len(buffer)]:
                self.drop(key)
        return len(self._buffers) < most

    def flush(self, silent_s: float = 0.0) -> Iterator[Arrived]:
        """Give all that waits in streams silent for so long; a stream may be dropped meanwhile."""
        limit = monotonic() - silent_s
        for key in [key for key, heard in self._heard.items() if heard <= limit]:
            if key in self._buffers:
                yield from self._buffers[key].flush()

    def drop(self, key: Key) -> int:
        """Forget a stream; return how many messages are lost with it."""
        self._heard.pop(key, None)
        self._at_ns.pop(key, None)
        return len(self._buffers.pop(key, ()))

    def clear(self) -> int:
        """Forget all streams; return how many messages are lost with them."""
        lost = len(self)
        self._buffers.clear()
        self._heard.clear()
        self._at_ns.clear()
        return lost
