# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One timer for all that is due at one rate: an executor grows slow, and says so, with many."""

from typing import Any, Callable, Dict, List, NamedTuple, Tuple

from rclpy.clock import Clock, ClockType

from liquid_ros.timing import NS_PER_S


class Due(NamedTuple):
    """
    What is due every period.

    steady: of a clock that never stands still, though time be simulated.
    """

    period_s: float
    steady: bool
    callback: Callable[[], None]


Shared = Tuple[float, bool]


class Timers:
    """The timers of a node, shared by what has the same period on the same clock."""

    def __init__(self, node: Any) -> None:
        """Start with none."""
        self._node = node
        self._due: List[Due] = []
        self._timers: Dict[Shared, Any] = {}
        self._called_ns: Dict[Shared, int] = {}  # when, of simulated time

    def every(self, period_s: float, callback: Callable[[], None], steady: bool = False) -> Due:
        """
        Call back every period: of simulated time where there is such, else of a steady clock.

        A timer of the system's clock waits for as long as somebody sets that back.
        """
        due = Due(period_s, steady, callback)
        self._due.append(due)
        if due[:2] not in self._timers:
            self._start(due[:2])
        return due

    def _start(self, shared: Shared) -> None:
        period_s, steady = shared
        simulated = not steady and self._simulated()
        clock = None if simulated else Clock(clock_type=ClockType.STEADY_TIME)
        self._timers[shared] = self._node.create_timer(
            period_s, lambda: self._on_timer(shared, simulated), clock=clock)

    def _simulated(self) -> bool:
        return self._node.get_clock().ros_time_is_active  # type: ignore[no-any-return]

    def stop(self, due: Due) -> None:
        """Call back no more."""
        self._due.remove(due)
        if not any(other[:2] == due[:2] for other in self._due):
            self._end(due[:2])

    def _end(self, shared: Shared) -> None:
        self._node.destroy_timer(self._timers.pop(shared))
        self._called_ns.pop(shared, None)
        forget_dead(self._node)

    def _on_timer(self, shared: Shared, simulated: bool) -> None:
        if not shared[1] and simulated != self._simulated():
            self._end(shared)
            self._start(shared)
        if simulated:
            # under load the executor of events fires once more for each /clock that came
            now_ns = self._node.get_clock().now().nanoseconds
            since_ns = now_ns - self._called_ns.get(shared, now_ns + 1)
            if 0 <= since_ns < 0.5 * NS_PER_S * shared[0]:
                return
            self._called_ns[shared] = now_ns
        for due in [due for due in self._due if due[:2] == shared]:
            due.callback()


def forget_dead(node: Any) -> None:
    """Take out of a node's callback group the dead references that rclpy keeps there."""
    entities = node.default_callback_group.entities
    entities.difference_update([one for one in entities if one() is None])
