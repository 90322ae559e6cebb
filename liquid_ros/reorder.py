# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A small buffer that lets late messages in where they belong, by the stamps alone."""

from bisect import insort
from dataclasses import replace
from typing import Any, List, Optional, Tuple

from liquid_ros.errors import ParameterError
from liquid_ros.timing import ACCEPTED, Arrival, arrive, TimePolicy


class Reorder:
    """
    Hold one stream's messages until one that is wait_ns newer has come.

    No clock is asked, so a replay gives the same order. A message that comes even later than that
    leaves at once, for arrive() to judge; so does one whose stamp is rejected. One that starts the
    stream anew by a jump back, further than wait_ns, lets all the others out first.
    """

    def __init__(self, wait_ns: int, most: int, policy: TimePolicy = TimePolicy()) -> None:
        """
        Start empty; most is how many messages are held at once.

        Errors: ParameterError where wait_ns is negative or most is less than one.
        """
        if wait_ns < 0 or most < 1:
            raise ParameterError(f'got wait_ns {wait_ns} and most {most}, expected 0 or more and '
                                 '1 or more')
        self._wait_ns = wait_ns
        self.judge_by(policy)
        self._most = most
        self._held: List[Tuple[int, int, Any]] = []
        self.newest_ns: Optional[int] = None  # of all that came, None before the first
        self._left_ns: Optional[int] = None  # of all that left
        self._count = 0

    def __len__(self) -> int:
        """Return how many messages are held."""
        return len(self._held)

    def judge_by(self, policy: TimePolicy) -> None:
        """Take over what is made of stamps."""
        # what is waited for is no jump
        self._patient = replace(policy, jump_reset_ns=max(policy.jump_reset_ns, self._wait_ns))

    def add(self, stamp_ns: int, message: Any, received_ns: Optional[int] = None) -> List[Any]:
        """Return the messages whose turn it is, this one among them or held."""
        arrival, stamp_ns, _, _ = arrive(self.newest_ns, stamp_ns, self._patient, received_ns)
        if arrival is Arrival.ZERO_STAMP:
            return [message]
        out = self.flush() if arrival is Arrival.JUMP else []
        if arrival is Arrival.JUMP:
            self._left_ns = None
        newest_ns = self.newest_ns
        if newest_ns is None or arrival in ACCEPTED:
            self.newest_ns = newest_ns = stamp_ns
        if self._left_ns is not None and stamp_ns <= self._left_ns:
            return [message]
        self._count += 1  # the earlier of two with one stamp comes first; messages have no order
        insort(self._held, (stamp_ns, self._count, message))
        due = sum(held_ns <= newest_ns - self._wait_ns for held_ns, _, _ in self._held)
        return out + self._let_out(max(due, len(self._held) - self._most))

    def release(self, newest_ns: int) -> List[Any]:
        """Return what need not wait any more where this would be the newest stamp."""
        return self._let_out(sum(held_ns <= newest_ns - self._wait_ns
                                 for held_ns, _, _ in self._held))

    def flush(self) -> List[Any]:
        """Return all that is held, in order: at the end, or when nothing has come for a while."""
        return self._let_out(len(self._held))

    def clear(self) -> None:
        """Forget what is held and what there was."""
        self._held.clear()
        self.newest_ns = self._left_ns = None

    def _let_out(self, count: int) -> List[Any]:
        out, self._held = self._held[:count], self._held[count:]
        if out:
            self._left_ns = out[-1][0]
        return [message for _, _, message in out]
