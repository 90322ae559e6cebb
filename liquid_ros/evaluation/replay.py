# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Drive the node's StreamBank from a recording.

Within a stream messages go one after the other, in recorded order. Streams know nothing of one
another, so the first messages of all that wait go in one batch, then the second ones, and so on.
"""

from typing import (
    Any,
    Callable,
    Dict,
    Hashable,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Tuple,
)

import numpy as np

from liquid_ros.arrays import tangent_size
from liquid_ros.backend import Backend
from liquid_ros.evaluation.bag_messages import covariances
from liquid_ros.evaluation.sample import began, Sample
from liquid_ros.evaluation.tally import Tally
from liquid_ros.intake import Revisions
from liquid_ros.smoothers import Smoother
from liquid_ros.smoothers.base import Estimate, State
from liquid_ros.streams import StreamBank
from liquid_ros.timing import Arrival, arrive, TimePolicy
from liquid_ros.update import Update

Wants = Callable[[Hashable], bool]

MOST = 512  # rows that wait


class Answered(NamedTuple):
    """
    A message and the estimates of its rows.

    sample: the input; of a path only the poses that are newer than the last.
    update: as StreamBank has it; but a place of a PoseArray that was not accepted holds the
    prediction of its stream, where that is known and no older than a gap.
    covariance: (N, 36) as messages have it, where it was asked for.
    withheld: True where nothing goes out: a PoseArray whose stamp is not newer than the last,
    though it is of use to some places, or that has neither poses nor a stamp.
    states: N, after each accepted message, where they were asked for.
    """

    sample: Sample
    update: Update
    withheld: bool
    covariance: Optional[np.ndarray] = None
    states: Tuple[Optional[State], ...] = ()


def replay(samples: Iterable[Sample], smoother: Smoother, policy: TimePolicy = TimePolicy(),
           backend: Optional[Backend] = None, tally: Optional[Tally] = None,
           most: int = MOST, states: Optional[Wants] = None, covariance: bool = False
           ) -> Iterator[Answered]:
    """
    Yield each message with its estimates, exactly as the node computes them.

    Points and poses may be mixed. smoother: with its weights on the backend; None is NumPy.
    tally: counts, where given. most: rows that are read before some of them are answered.
    states: of which streams they are wanted; the smoother must have a motion model.
    covariance: whether it is wanted.
    """
    player = _Player(smoother, policy, backend, states, covariance)
    most = min(most, getattr(smoother, 'alike', most))
    waiting: List[Sample] = []
    count = 0
    for sample in samples:
        if waiting and (sample.repeats or count + len(sample.keys) > most):
            yield from player.answer(waiting, tally)
            waiting, count = [], 0
        if sample.repeats:
            sample = player.newer(sample)
        if sample.stamps_ns:
            waiting.append(sample)
            count += len(sample.keys)
        if waiting and (sample.repeats or count >= most):
            yield from player.answer(waiting, tally)
            waiting, count = [], 0
    yield from player.answer(waiting, tally)


class _Part:
    """The rows of one width that wait."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.keys: List[Hashable] = []
        self.stamps_ns: List[int] = []
        self.frames: List[str] = []
        self.whole: List[int] = []  # rows in a PoseArray
        self._rows: List[np.ndarray] = []
        self._variances: List[Tuple[int, np.ndarray]] = []

    def add(self, sample: Sample) -> int:
        start = len(self.keys)
        self.keys += [(sample.topic, key) for key in sample.keys]
        self.stamps_ns += sample.stamps_ns[:len(sample.keys)]
        self.frames += sample.frames[:len(sample.keys)]
        self._rows.append(sample.rows)
        if sample.whole:
            self.whole += range(start, len(self.keys))
        if sample.variances is not None:
            self._variances.append((start, sample.variances))
        return start

    def rows(self) -> np.ndarray:
        return np.concatenate(self._rows)

    def variances(self) -> Optional[np.ndarray]:
        if not self._variances:
            return None
        found = np.full((len(self.keys), tangent_size(self.width)), np.nan)
        for start, stated in self._variances:
            found[start:start + len(stated)] = stated
        return found

    def rounds(self) -> List[List[int]]:
        """Return the rows that are the first of their stream, then the second ones, ..."""
        seen: Dict[Hashable, int] = {}
        rounds: List[List[int]] = []
        for i, key in enumerate(self.keys):
            k = seen.get(key, 0)
            seen[key] = k + 1
            if k == len(rounds):
                rounds.append([])
            rounds[k].append(i)
        return rounds


class _Player:
    """The banks, one for points and one for poses."""

    def __init__(self, smoother: Smoother, policy: TimePolicy, backend: Optional[Backend],
                 states: Optional[Wants], covariance: bool) -> None:
        self._make = lambda width: StreamBank(smoother, width, policy, backend)
        self._policy, self._wants, self._covariance = policy, states, covariance
        self._banks: Dict[int, StreamBank] = {}
        self._newest_ns: Dict[str, int] = {}
        self._revisions: Dict[str, Revisions] = {}

    def _bank(self, width: int) -> StreamBank:
        if width not in self._banks:
            self._banks[width] = self._make(width)
        return self._banks[width]

    def newer(self, sample: Sample) -> Sample:
        """Return a path's poses after its last one; all, if it is revised or time went back."""
        stamps, key = sample.stamps_ns, (sample.topic, 0)
        if self._revisions.setdefault(sample.topic, Revisions()).take(stamps, sample.rows):
            self._bank(7).reset((key,))
        new = self._policy.newer(stamps, self._bank(7).last_ns(key))
        return sample._replace(keys=[0] * len(new), stamps_ns=[stamps[i] for i in new],
                               rows=sample.rows[new], frames=[sample.frames[i] for i in new])

    def answer(self, samples: List[Sample], tally: Optional[Tally]) -> Iterator[Answered]:
        parts: Dict[int, _Part] = {}
        starts = []
        for sample in samples:
            width = sample.rows.shape[1]
            if width not in parts:
                parts[width] = _Part(width)
            starts.append(parts[width].add(sample))
        done = {width: self._update(part) for width, part in parts.items()}
        for sample, start in zip(samples, starts):
            whole, full, states = done[sample.rows.shape[1]]
            stop = start + len(sample.keys)
            update = Update(whole.accepted[start:stop], whole.reasons[start:stop],
                            whole.arrivals[start:stop], whole.stamps_ns[start:stop],
                            whole.future[start:stop],
                            Estimate(*[part[start:stop] for part in whole.estimate]))
            if tally is not None:
                tally.add(update)
            yield Answered(sample, update, sample.whole and self._is_late(sample, update),
                           None if full is None else full[start:stop],
                           tuple(states[start:stop]))

    def _is_late(self, sample: Sample, update: Update) -> bool:
        if sample.keys and not update.accepted.any():
            return False
        stamp_ns = sample.stamps_ns[0]
        newest_ns = self._newest_ns.get(sample.topic, stamp_ns)
        # of an array all poses may be new, and time have gone back nevertheless
        if began(update, Arrival.JUMP, Arrival.STAMP_AHEAD) or stamp_ns and (
                newest_ns > self._policy.latest_ns(stamp_ns)):
            self._newest_ns.pop(sample.topic, None)
        if not sample.keys and arrive(None, stamp_ns, self._policy)[0] is Arrival.ZERO_STAMP:
            return True
        if stamp_ns <= self._newest_ns.get(sample.topic, stamp_ns - 1):
            return True
        self._newest_ns[sample.topic] = stamp_ns
        return False

    def _update(self, part: _Part
                ) -> Tuple[Update, Optional[np.ndarray], List[Optional[State]]]:
        bank, rows, variances = self._bank(part.width), part.rows(), part.variances()
        states: List[Optional[State]] = [None] * len(rows) if self._wants else []
        whole: Any = None
        rounds = part.rounds() or [[]]  # of arrays without poses
        for chosen in rounds:
            if len(rounds) == 1:
                whole = update = bank.update(part.keys, part.stamps_ns, rows, part.frames,
                                             variances)
            else:
                update = bank.update(
                    [part.keys[i] for i in chosen], [part.stamps_ns[i] for i in chosen],
                    rows[chosen], [part.frames[i] for i in chosen],
                    None if variances is None else variances[chosen])
                whole = whole or _blank(len(rows), update)
                _put(whole, chosen, update)
            if part.whole and not update.accepted.all():
                _fill(bank, part, chosen, whole)
            if self._wants:
                for i, good in zip(chosen, update.accepted):
                    if good and self._wants(part.keys[i]):
                        states[i] = bank.peek(part.keys[i])
        return whole, covariances(whole.estimate) if self._covariance else None, states


def _blank(count: int, like: Update) -> Update:
    return Update(np.zeros(count, dtype=bool), [None] * count, [None] * count, [0] * count,
                  np.zeros(count, dtype=bool),
                  Estimate(*[np.empty((count, part.shape[1])) for part in like.estimate]))


def _put(whole: Update, at: List[int], update: Update) -> None:
    whole.accepted[at], whole.future[at] = update.accepted, update.future
    for target, part in zip(whole.estimate, update.estimate):
        target[at] = part
    for j, i in enumerate(at):
        whole.reasons[i], whole.arrivals[i] = update.reasons[j], update.arrivals[j]
        whole.stamps_ns[i] = update.stamps_ns[j]


def _fill(bank: StreamBank, part: _Part, chosen: List[int], whole: Update) -> None:
    """Put predictions in the place of what a PoseArray has and could not be used."""
    frames, gap_ns = bank.frames(), bank.policy.gap_reset_ns
    here = set(chosen)
    lost = [i for i in part.whole if i in here and not whole.accepted[i]
            and frames.get(part.keys[i]) == part.frames[i]
            and part.stamps_ns[i] - (bank.last_ns(part.keys[i]) or 0) <= gap_ns]
    if lost:
        found = bank.predict([part.keys[i] for i in lost], [part.stamps_ns[i] for i in lost])
        for target, values in zip(whole.estimate, found):
            target[lost] = values
