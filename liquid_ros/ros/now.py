# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The node's time in a tenth of what asking its clock takes."""

from time import time_ns
from typing import Any

from rclpy.clock import JumpThreshold, TimeJump


class Now:
    """Knows whether time is simulated: the clock tells when that changes."""

    def __init__(self, clock: Any) -> None:
        """Listen to the clock until close()."""
        self._clock = clock
        self._jumps = clock.create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=None, on_clock_change=True),
            post_callback=self._on_change)
        self._simulated = clock.ros_time_is_active

    def _on_change(self, _: TimeJump) -> None:
        self._simulated = self._clock.ros_time_is_active

    def ns(self) -> int:
        """Return the node's time; 0 before the first /clock of a simulation."""
        if self._simulated:
            return self._clock.now().nanoseconds  # type: ignore[no-any-return]
        return time_ns()  # what the clock would say, without its objects

    def close(self) -> None:
        """Listen no more."""
        self._jumps.unregister()
