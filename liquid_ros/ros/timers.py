# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One timer for all that is due at one rate: an executor grows slow, and says so, with many."""

from typing import Any, Callable, Dict, List, Tuple

from rclpy.clock import Clock, ClockType

Due = Tuple[float, bool, Callable[[], None]]


class Timers:
    """The timers of a node, shared by what has the same period on the same clock."""

    def __init__(self, node: Any) -> None:
        """Start with none."""
        self._node = node
        self._due: List[Due] = []
        self._timers: Dict[Tuple[float, bool], Any] = {}

    def every(self, period_s: float, callback: Callable[[], None], steady: bool = False) -> Due:
        """Call back every period of the node's clock, or of one that never stands still."""
        due = (period_s, steady, callback)
        self._due.append(due)
        if due[:2] not in self._timers:
            clock = Clock(clock_type=ClockType.STEADY_TIME) if steady else None
            self._timers[due[:2]] = self._node.create_timer(
                period_s, lambda: self._on_timer(due[:2]), clock=clock)
        return due

    def stop(self, due: Due) -> None:
        """Call back no more."""
        self._due.remove(due)
        if not any(other[:2] == due[:2] for other in self._due):
            self._node.destroy_timer(self._timers.pop(due[:2]))

    def _on_timer(self, which: Tuple[float, bool]) -> None:
        for due in [due for due in self._due if due[:2] == which]:
            due[2]()
