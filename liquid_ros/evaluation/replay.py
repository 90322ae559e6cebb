# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Drive the node's StreamBank from a recording: one message at a time, in recorded order."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, Iterable, Iterator, Optional, Tuple

from liquid_ros.backend import Backend
from liquid_ros.evaluation.sample import Sample
from liquid_ros.smoothers import Smoother
from liquid_ros.streams import StreamBank, Update
from liquid_ros.timing import Arrival, RESTARTS, TimePolicy


@dataclass
class Tally:
    """How many messages came, were used, were dropped and why, and what began anew."""

    received: int = 0
    accepted: int = 0
    drops: 'Counter[str]' = field(default_factory=Counter)
    restarts: 'Counter[str]' = field(default_factory=Counter)

    def add(self, update: Update) -> None:
        """Count an update's messages."""
        self.received += len(update.reasons)
        for reason, arrival in zip(update.reasons, update.arrivals):
            if reason is not None:
                self.drops[reason] += 1
                continue
            self.accepted += 1
            if arrival in RESTARTS and arrival is not Arrival.FIRST:
                self.restarts[arrival.value] += 1

    def __str__(self) -> str:
        """Return one line, such as '9 in, 7 out, 2 dropped (late 2)'."""
        text = f'{self.received} in, {self.accepted} out, {sum(self.drops.values())} dropped'
        text += _listed(self.drops)
        if self.restarts:
            text += f', {sum(self.restarts.values())} restarted{_listed(self.restarts)}'
        return text


def replay(samples: Iterable[Sample], smoother: Smoother, policy: TimePolicy = TimePolicy(),
           backend: Optional[Backend] = None, tally: Optional[Tally] = None
           ) -> Iterator[Tuple[Sample, Update]]:
    """
    Yield each sample with its Update of one row, exactly as the node computes it.

    A sample's key is its stream; points and poses may be mixed.
    smoother: with its weights on the backend; None is NumPy. tally: counts, where given.
    """
    banks: Dict[int, StreamBank] = {}
    for sample in samples:
        width = sample.row.shape[0]
        if width not in banks:
            banks[width] = StreamBank(smoother, width, policy, backend)
        update = banks[width].update((sample.key,), (sample.stamp_ns,), sample.row[None],
                                     (sample.frame_id,))
        if tally is not None:
            tally.add(update)
        yield sample, update


def _listed(counts: 'Counter[str]') -> str:
    if not counts:
        return ''
    return ' (' + ', '.join(f'{name} {count}' for name, count in counts.most_common()) + ')'
