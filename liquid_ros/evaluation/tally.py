# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Counts of one stream of a recording."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, Optional

from liquid_ros.timing import Arrival, RESETS
from liquid_ros.update import Update


@dataclass
class Tally:
    """How many messages came, were used, were dropped and why, and what began anew."""

    received: int = 0
    accepted: int = 0
    drops: 'Counter[str]' = field(default_factory=Counter)
    restarts: 'Counter[str]' = field(default_factory=Counter)

    def add(self, update: Update) -> None:
        """Count an update's messages."""
        for reason, arrival in zip(update.reasons, update.arrivals):
            self.count(reason, arrival)

    def count(self, reason: Optional[str], arrival: Optional[Arrival]) -> None:
        """Count one message."""
        self.received += 1
        if reason is not None:
            self.drops[reason] += 1
            return
        self.accepted += 1
        if arrival in RESETS:
            self.restarts[arrival.value] += 1

    def counts(self) -> Dict[str, float]:
        """Return them by the names that a condition has for them."""
        return {'received': self.received, 'accepted': self.accepted,
                'dropped': sum(self.drops.values()), 'restarted': sum(self.restarts.values())}

    def __str__(self) -> str:
        """Return one line, such as '9 in, 7 out, 2 dropped (late 2)'."""
        text = f'{self.received} in, {self.accepted} out, {sum(self.drops.values())} dropped'
        text += _listed(self.drops)
        if self.restarts:
            text += f', {sum(self.restarts.values())} restarted{_listed(self.restarts)}'
        return text


def cause(tally: Tally) -> str:
    """Return, in words, why most of a stream's messages began it anew."""
    if 2 * tally.restarts[Arrival.FRAME.value] > sum(tally.restarts.values()):
        return 'as their frame_id changes (a stream has one frame)'
    return ('after a gap or a step back of their stamps (expected times in seconds, in their '
            'order, and gaps of less than --gap-reset)')


def _listed(counts: 'Counter[str]') -> str:
    if not counts:
        return ''
    return ' (' + ', '.join(f'{name} {count}' for name, count in counts.most_common()) + ')'
