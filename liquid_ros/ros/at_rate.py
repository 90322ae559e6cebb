# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Outputs at a fixed rate: predictions to the present, whenever messages come."""

from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence

from liquid_ros.params import Params
from liquid_ros.ros.answers import Answers
from liquid_ros.ros.diagnostics import Tally
from liquid_ros.ros.messages import Key, Smooth
from liquid_ros.ros.outputs import Outputs
from liquid_ros.streams import StreamBank
from liquid_ros.timing import NS_PER_S

KEEPS_UP = 0.8  # share of the outputs asked for, above which nothing is told


class Latest(NamedTuple):
    """The newest message of some streams, from which outputs are made."""

    message: Any
    keys: Sequence[Key]
    stamp_ns: int
    frame_id: str


class AtRate:
    """Keeps the newest messages and makes outputs of them, while wanted."""

    def __init__(self, bank: StreamBank, answers: Answers, outputs: Outputs, tally: Tally,
                 tell: Callable[[str, str], None]) -> None:
        """Start with none."""
        self._bank, self._answers, self._outputs, self._tally = bank, answers, outputs, tally
        self._tell = tell
        self._latest: Dict[Optional[Key], Latest] = {}
        self._ticks, self._told_ns, self._stale_ns = 0, 0, 0
        self.wanted = False

    def apply(self, params: Params) -> None:
        """Take over what can change while messages flow."""
        self.wanted = params.publish_rate_hz > 0.0 and params.input_type != 'path'
        self._rate_hz, self._told_ns = params.publish_rate_hz, 0
        self._hold_ns = round((params.hold_timeout_s + params.reorder_s) * NS_PER_S)
        if not self.wanted:
            self.clear()

    def clear(self) -> None:
        """Forget all messages."""
        self._latest.clear()
        self._told_ns = 0

    def drop(self, run: Key) -> None:
        """Forget a stream's message."""
        self._latest.pop(run, None)

    def end(self, limit_ns: int) -> None:
        """Forget the messages that are later than this."""
        self._latest = {run: latest for run, latest in self._latest.items()
                        if latest.stamp_ns <= limit_ns}

    def keep(self, run: Optional[Key], *latest: Any) -> None:
        """Take a message, as Latest has it, where wanted; run: whose stamps rise together."""
        if self.wanted:
            self._latest[run] = Latest(*latest)

    def judge(self, stamp_ns: int, now_ns: int) -> None:
        """Tell of messages too old to be predicted from; a few of late may wait at a start."""
        if not now_ns or now_ns - stamp_ns <= self._hold_ns:
            self._stale_ns = 0
            return
        self._stale_ns = self._stale_ns or now_ns
        if now_ns - min(self._stale_ns, stamp_ns + self._hold_ns) >= NS_PER_S:
            self._tell('stale', f'it is {(now_ns - stamp_ns) / NS_PER_S:.1f} s old')

    def trouble(self, now_ns: int) -> str:
        """Return why no outputs can be expected; empty where they can, or none are wanted."""
        if not self.wanted:
            return ''
        if not now_ns and self._tally.received:
            self._tell('no time', 'the streams go on')
        if now_ns and any(not latest.keys and now_ns - latest.stamp_ns <= self._hold_ns
                          for latest in self._latest.values()):
            return ''  # nothing is in sight, and that goes out
        return self._tally.why_none_at_rate(now_ns, self._hold_ns, self._bank.policy.future_ns)

    def count(self) -> None:
        """Count that it is time for outputs."""
        self._ticks += 1

    def behind(self, now_ns: int) -> str:
        """Return how much too seldom it was time since last asked; empty where it was not."""
        ticks, since_ns = self._ticks, now_ns - (self._told_ns or now_ns)
        self._ticks, self._told_ns = 0, now_ns
        asked = self._rate_hz * since_ns / NS_PER_S
        if not self.wanted or ticks + 1 >= KEEPS_UP * asked:  # one may be due right now
            return ''
        return (f'{ticks} of {asked:.0f} outputs at publish_rate_hz: the node has not the time, '
                'or /clock comes less often')

    def tick(self, now_ns: int, ahead_ns: int) -> None:
        """Publish predictions to so long after the present of all streams heard of lately."""
        due = []
        for run, latest in self._latest.items():
            lasts = [last for last in map(self._bank.last_ns, latest.keys) if last is not None
                     ] if latest.keys else [latest.stamp_ns]
            if not lasts or now_ns - max(lasts) > self._hold_ns:
                continue
            if max(lasts) - now_ns > NS_PER_S / self._rate_hz:
                self._tell('ahead', f'by {(max(lasts) - now_ns) / NS_PER_S:.3f} s')
            due.append((run, latest, max(now_ns, *lasts) + ahead_ns))
        if not due:
            return
        # all at once: one prediction takes nearly as long as forty
        keys = [key for _, latest, _ in due for key in latest.keys]
        stamps_ns = [at_ns for _, latest, at_ns in due for _ in latest.keys]
        frames = [latest.frame_id for _, latest, _ in due for _ in latest.keys]
        every = self._answers.predicted(keys, stamps_ns, frames, now_ns - self._hold_ns)
        first = 0
        for run, latest, at_ns in due:
            smooth = Smooth(*(part[first:first + len(latest.keys)] for part in every))
            first += len(latest.keys)
            self._tally.published += self._outputs.send(
                latest.message, at_ns, latest.frame_id, smooth, run, latest.keys, smooth)
