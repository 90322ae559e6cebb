# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""From a recording to the runs of its streams, in bounded memory, and to a smoothed one."""

from collections import Counter
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np

from liquid_ros.arrays import tangent_size
from liquid_ros.backend import Backend
from liquid_ros.errors import InputError, ParameterError
from liquid_ros.evaluation.bag import BagSource
from liquid_ros.evaluation.bag_messages import KINDS, TRANSFORMS
from liquid_ros.evaluation.deferred import Deferred, Stream
from liquid_ros.evaluation.later import Hindsight, Later, Told
from liquid_ros.evaluation.recording import (
    datum_of,
    nothing_asked_for,
    open_sink,
    open_source,
    policy_for,
    refuse_overlap,
    told_of_fixes,
)
from liquid_ros.evaluation.replay import Answered, replay
from liquid_ros.evaluation.runs import Run
from liquid_ros.evaluation.sample import Sample, Source
from liquid_ros.evaluation.tally import Tally
from liquid_ros.evaluation.truth import moved_to, no_overlap, own, read_truth, Truth
from liquid_ros.frames import fits
from liquid_ros.navsat import Datum, KIND
from liquid_ros.smoothers import Smoother
from liquid_ros.smoothers.rts import ABLE, has_hindsight
from liquid_ros.timing import NS_PER_S, RESTARTS, TimePolicy
from liquid_ros.update import Update

KEEP = 20_000

Progress = Callable[[Iterable[Any], Optional[int]], Iterator[Any]]


@dataclass(frozen=True)
class Output:
    """
    Where smoothed recordings go, and what their estimates know.

    paths: of text files, bags, and folders of bags where the user put a slash behind them.
    offline: all later messages. lag_s: those up to so much later. Neither: the node's own.
    """

    paths: Sequence[str] = ()
    offline: bool = False
    lag_s: float = 0.0


class Recording(NamedTuple):
    """
    The runs of a recording, and what of it could not be used, in words.

    dead: by name, the counts of streams of which nothing can be used.
    """

    path: Path
    runs: List[Run]
    problems: List[str]
    dead: Dict[str, Tally]


def collect(path: Path, name: str, smoother: Smoother, policy: TimePolicy = TimePolicy(), *,
            topics: Sequence[str] = (), truth: str = '', backend: Optional[Backend] = None,
            keep: int = KEEP, output: Output = Output(),
            progress: Progress = lambda items, _: iter(items)) -> Recording:
    """
    Replay a recording and return its runs; what is smoothed is written as it comes.

    name: of the smoother. topics: as in bag.choose. truth: as in truth.read_truth.
    keep: how many accepted messages of each stream are in its run: the first ones.
    Errors: InputError; UnreadableError where nothing can be read.
    """
    if keep < 2:
        raise ParameterError(f'got keep {keep}, expected 2 or more')
    if not path.exists():
        raise InputError(f'{path}: no such file or folder')
    known = read_truth(truth, path) if truth else None
    keeper = _Keeper(smoother, keep)
    with open_source(path, topics, own(truth)) as source, \
            _writing(output, source, smoother, name) as (write, states):
        samples = progress(source.samples(), source.total)
        for answer in replay(samples, smoother, policy_for(source, policy), backend,
                             states=states or keeper.wants,
                             covariance=states is None and bool(output.paths)):
            keeper.take(answer)
            write(answer)
        problems, dead = list(source.problems), _silent(source, topics, keeper.streams)
        problems += [f'{called}: {nothing_asked_for(source)}' for called in dead]
        problems += known.told(problems) if known is not None else []
        # within: what raises here leaves an older output as it is
        runs = keeper.runs(name, source, problems, dead)
        if known is not None:
            runs = _with_truth(runs, known.about(datum_of(source)), path, keep, keeper.left_ns)
            problems += _of_one_topic(runs)
            if known.datum is None:
                runs = [_set_on(run, problems, datum_of(source)) if run.msgtype == KIND else run
                        for run in runs]
        problems += told_of_fixes(source, map(Path, output.paths))
    return Recording(path, runs, problems, dead)


def _silent(source: Source, topics: Sequence[str], streams: Iterable[Stream]
            ) -> Dict[str, Tally]:
    """Return counts of nothing for the topics and streams that were asked for and did not come."""
    if not topics or not isinstance(source, BagSource):
        return {}
    streams = list(streams)
    there = {topic for topic, _ in streams}
    missed = [c.topic for c in source.chosen if c.topic not in there]
    asked = [pattern.partition('#') for pattern in topics]
    whole = [topic for topic, _, stream in asked if not stream]
    found = [topic for topic in missed if any(fnmatchcase(topic, one) for one in whole)]
    found += [f'{topic}#{stream}' for topic, _, stream in asked if stream and not any(
        fnmatchcase(one, topic) and fits(str(key), [stream]) for one, key in streams)]
    return {name: Tally() for name in found}


@contextmanager
def _writing(output: Output, source: Source, smoother: Smoother, name: str) -> Iterator[Any]:
    """Yield what takes answers, and of which streams it wants states."""
    knows_later = bool(output.paths and (output.offline or output.lag_s))
    if knows_later and not has_hindsight(smoother):
        raise InputError(f'got smoother {name}, which has no motion model and knows '
                         f'nothing of later messages: expected {ABLE}')
    with ExitStack() as stack:
        sinks = []
        for text in output.paths:
            refuse_overlap(source.path, Path(text))
            sinks.append(stack.enter_context(
                open_sink(Path(text), source, text.endswith('/'), stated=True)))

        def write(sample: Sample, update: Update, covariance: Optional[np.ndarray] = None
                  ) -> None:
            for sink in sinks:
                sink(sample, update, covariance)

        def pass_on(answer: Answered) -> None:
            if not answer.withheld:
                write(answer.sample, answer.update, answer.covariance)

        if not knows_later:
            yield pass_on, None
            return
        lag_ns = None if output.offline else round(output.lag_s * NS_PER_S)
        deferred = Deferred(write, smoother, lag_ns)
        yield deferred.take, lambda _: True
        deferred.end()


class _Kept:
    """What is kept of one stream, in an array that grows: stamp aside, all in one row."""

    def __init__(self, frame_id: str, width: int) -> None:
        self.frame_id, self.width = frame_id, width
        self.tally = Tally()
        self.stamps_ns: List[int] = []
        self.starts: List[bool] = []
        axes = tangent_size(width)
        self._borders = np.cumsum([width, width, axes, axes, axes // 3, axes // 3])
        self._rows = np.empty((64, self._borders[-1]))
        self.later: List[Later] = []

    def add(self, stamp_ns: int, begins: bool, row: np.ndarray) -> None:
        count = len(self.stamps_ns)
        if count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[count] = row
        self.stamps_ns.append(stamp_ns)
        self.starts.append(begins)

    def parts(self) -> List[np.ndarray]:
        return np.split(self._rows[:len(self.stamps_ns)], self._borders[:-1], axis=1)


class _Keeper:
    """Keeps the first messages of every stream."""

    def __init__(self, smoother: Smoother, keep: int) -> None:
        self._keep = keep
        self._by_width = {width: Hindsight(smoother) for width in (3, 7)} if has_hindsight(
            smoother) else {}
        self.streams: Dict[Stream, _Kept] = {}
        self.left_ns = -2**63  # the latest message that was not kept

    def wants(self, stream: Any) -> bool:
        """Return whether the state after a stream's next message is of use."""
        kept = self.streams.get(stream)
        return bool(self._by_width) and (kept is None or len(kept.stamps_ns) < self._keep)

    def take(self, answer: Answered) -> None:
        """Count a message's rows and keep them where there is room."""
        sample, update, states = answer.sample, answer.update, answer.states
        packed: Optional[np.ndarray] = None
        for i, key in enumerate(sample.keys):
            stream = sample.topic, key
            kept = self.streams.get(stream)
            if kept is None:
                kept = self.streams[stream] = _Kept(sample.frames[i], sample.rows.shape[1])
            arrival = update.arrivals[i]
            kept.tally.count(update.reasons[i], arrival)
            if update.reasons[i] is not None:
                continue
            if len(kept.stamps_ns) >= self._keep:
                self.left_ns = max(self.left_ns, update.stamps_ns[i])
                continue
            if packed is None:
                packed = np.concatenate((sample.rows,) + update.estimate, axis=1)
            begins = arrival in RESTARTS
            kept.add(update.stamps_ns[i], begins, packed[i])
            state = states[i] if states else None
            if self._by_width and state is not None:
                self._look_back(self._by_width[kept.width].add(
                    stream, update.stamps_ns[i], state, begins))

    def _look_back(self, told: Told) -> None:
        for stream, later in told:
            self.streams[stream].later.append(later)  # type: ignore[index]

    def runs(self, name: str, source: Source, problems: List[str], dead: Dict[str, Tally]
             ) -> List[Run]:
        """Return the runs; a stream without any, or a transform that never changes, has none."""
        for hindsight in self._by_width.values():
            self._look_back(hindsight.end())
        types = {c.topic: c.msgtype for c in source.chosen} if isinstance(
            source, BagSource) else {'': source.path.suffix.lstrip('.').upper() or 'TUM'}
        runs = []
        for (topic, key), kept in self.streams.items():
            msgtype = types[topic]
            called = topic or source.path.name
            if msgtype in KINDS and KINDS[msgtype].many:
                called += f'#{key}'
            if not kept.stamps_ns:
                problems.append(f'{called}: no message can be used: {kept.tally}')
                dead[called] = kept.tally
                continue
            run = self._run(called, msgtype, name, kept)
            if msgtype != TRANSFORMS or (run.raw != run.raw[0]).any():
                runs.append(run)
        if not runs:
            raise InputError(f'{source.path}: ' + (
                '; '.join(problems) or ('no transform ever changes' if self.streams else
                                        nothing_asked_for(source))))
        return runs

    def _run(self, called: str, msgtype: str, smoother: str, kept: _Kept) -> Run:
        raw, smooth, variance, twist, nis, weight = kept.parts()
        later = Later(*map(np.concatenate, zip(*kept.later))) if kept.later else None
        return Run(
            called, msgtype, kept.frame_id, smoother, np.array(kept.stamps_ns, dtype=np.int64),
            raw, smooth, variance, twist, nis, weight, np.array(kept.starts), kept.tally,
            kept.tally.accepted - len(kept.stamps_ns),
            later and later.rows, later and later.variance, expected=later and later.expected)


def _set_on(run: Run, problems: List[str], datum: Optional[Datum]) -> Run:
    """Return a run of fixes with a truth of another type where the fixes are."""
    assert run.truth is not None
    problems.append(f'{run.name}: the truth is moved by the median of its differences from it, '
                    'as fixes are measured from the first of them')
    return replace(run, truth=moved_to(run.raw, run.truth, datum))


def _of_one_topic(runs: List[Run]) -> List[str]:
    """Return, in words, where several streams of a topic are judged by one truth."""
    topics = Counter(run.name.partition('#')[0] for run in runs if '#' in run.name)
    return [f'{topic}: all of {count} streams are judged by the one truth; --topic '
            f"'{topic}#NAME' chooses that which it is of"
            for topic, count in topics.items() if count > 1]


def _with_truth(runs: List[Run], truth: Truth, path: Path, keep: int, left_ns: int
                ) -> List[Run]:
    """Return the runs with the truth at their stamps, x y z alone where either has no more."""
    runs = [replace(run, truth=truth.at(run.stamps_ns)[:, :run.raw.shape[1]],
                    truth_name=truth.name) for run in runs]
    if not any(np.isfinite(run.truth).any() for run in runs if run.truth is not None):
        first_ns = min(int(run.stamps_ns.min()) for run in runs)
        last_ns = max(int(run.stamps_ns.max()) for run in runs)
        if last_ns < truth.stamps_ns[-1] and truth.stamps_ns[0] <= left_ns:
            raise no_overlap(truth, first_ns, last_ns,
                             f'the first {keep} messages of each stream of {path} (--keep)')
        raise no_overlap(truth, first_ns, max(last_ns, left_ns), str(path))
    return runs
