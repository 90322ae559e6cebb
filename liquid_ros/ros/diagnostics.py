# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What an input has been through, and how /diagnostics tells it (REP-107)."""

from collections import Counter
from typing import List, Tuple

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
import numpy as np

STEP_WINDOW = 1024  # the newest step times, of which the percentiles are taken


class Tally:
    """
    Counts of one input, since it was configured.

    Every message received is either published or dropped for one reason.
    """

    def __init__(self) -> None:
        """Start from zero."""
        self.received = 0
        self.published = 0
        self.dropped: 'Counter[str]' = Counter()
        self.resets: 'Counter[str]' = Counter()
        self._steps_s = np.zeros(STEP_WINDOW)
        self._steps = 0
        self._nis_sum = 0.0
        self._nis_count = 0
        self._seen = (0, 0)

    def step(self, duration_s: float, nis: np.ndarray) -> None:
        """Take in an accepted message: how long it took, and its normalised innovations."""
        self._steps_s[self._steps % STEP_WINDOW] = duration_s
        self._steps += 1
        self._nis_sum += float(nis.sum())
        self._nis_count += nis.size

    def step_ms(self) -> Tuple[float, float]:
        """Return median and 99th percentile of the newest step times in ms; NaN before any."""
        if not self._steps:
            return float('nan'), float('nan')
        p50, p99 = np.percentile(self._steps_s[:self._steps], (50, 99))
        return 1e3 * float(p50), 1e3 * float(p99)

    def mean_nis(self) -> float:
        """Return the mean over messages and groups of three axes; expected value 3."""
        return self._nis_sum / self._nis_count if self._nis_count else float('nan')

    def news(self) -> Tuple[int, int]:
        """Return how many were received and dropped since the last call."""
        now = (self.received, sum(self.dropped.values()))
        before, self._seen = self._seen, now
        return now[0] - before[0], now[1] - before[1]


def status(tally: Tally, name: str, topic: str, device: str, active: bool) -> DiagnosticStatus:
    """Return the status of an input since the last report; OK, WARN, or STALE without data."""
    received, dropped = tally.news()
    if not active:
        level, message = DiagnosticStatus.OK, 'inactive'
    elif not received:
        level, message = DiagnosticStatus.STALE, f'no data on {topic}'
    elif dropped:
        level, message = DiagnosticStatus.WARN, f'dropped {dropped} of {received}'
    else:
        level, message = DiagnosticStatus.OK, f'{received} messages'
    p50_ms, p99_ms = tally.step_ms()
    values: List[Tuple[str, object]] = [
        ('received', tally.received), ('published', tally.published),
        ('dropped', sum(tally.dropped.values()))]
    values += [(f'dropped: {reason}', n) for reason, n in sorted(tally.dropped.items())]
    values.append(('resets', sum(tally.resets.values())))
    values += [(f'resets: {reason}', n) for reason, n in sorted(tally.resets.items())]
    values += [('device', device), ('step p50 ms', f'{p50_ms:.3f}'),
               ('step p99 ms', f'{p99_ms:.3f}'), ('mean NIS', f'{tally.mean_nis():.3f}')]
    return DiagnosticStatus(
        level=level, name=name, message=message, hardware_id=device,
        values=[KeyValue(key=key, value=str(value)) for key, value in values])
