# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Recordings one after the other: read by other processes, few of them in memory at once."""

from collections import OrderedDict
from concurrent.futures import BrokenExecutor, Future
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

from liquid_ros.errors import InputError, LiquidError
from liquid_ros.signals import other_processes
from liquid_ros.training.tracks import Prepared


class Loaded(NamedTuple):
    """A recording: its runs, what it is made of (sha256), and what could not be read."""

    tracks: List[Prepared]
    digest: str = ''
    problems: Sequence[str] = ()


class Loader:
    """Reads recording i when it is asked for, or before; keeps as many messages as told."""

    def __init__(self, jobs: Sequence[Any], load: Callable[[Any], Loaded], workers: int = 0,
                 keep: int = 200_000, asked: str = '') -> None:
        """
        Start with nothing read; load must be a function of a module where there are workers.

        asked: what of the recordings is read, for a run that goes on from another one.
        """
        self.asked = asked
        self.jobs, self.digests, self.problems = list(jobs), {}, {}  # type: ignore[var-annotated]
        self._load, self._keep = load, keep
        self._kept: 'OrderedDict[int, List[Prepared]]' = OrderedDict()
        self._ahead: Dict[int, 'Future[Loaded]'] = {}
        self._most = 2 * workers
        self._pool = other_processes(workers) if workers else None

    def __len__(self) -> int:
        """Return how many recordings there are."""
        return len(self.jobs)

    def want(self, wanted: Sequence[int]) -> None:
        """Let these be read meanwhile, as far as there is room in the queue."""
        for i in wanted:
            if (self._pool is not None and len(self._ahead) < self._most
                    and i not in self._ahead and i not in self._kept):
                try:
                    self._ahead[i] = self._pool.submit(self._load, self.jobs[i])
                except BrokenExecutor:
                    self._read_alone()

    def get(self, i: int) -> List[Prepared]:
        """
        Return a recording's runs; one of many that cannot be used has none, and problems tell.

        Errors: those of load, of the only recording.
        """
        if i in self._kept:
            self._kept.move_to_end(i)
            return self._kept[i]
        try:
            loaded = self._read(i)
        except (LiquidError, OSError) as error:
            if len(self.jobs) == 1:
                raise
            loaded = Loaded([], '', [str(error)])
        if loaded.problems:
            self.problems[i] = list(loaded.problems)
        self.digests[i] = loaded.digest
        self._kept[i] = loaded.tracks
        while len(self._kept) > 1 and sum(map(_messages, self._kept.values())) > self._keep:
            self._kept.popitem(last=False)
        return loaded.tracks

    def _read(self, i: int) -> Loaded:
        ahead = self._ahead.pop(i, None)
        if ahead is not None:
            try:
                return ahead.result()
            except BrokenExecutor:
                self._read_alone()
        return self._load(self.jobs[i])

    def _read_alone(self) -> None:
        """Do without other processes: one was killed, which is the end of all of them."""
        self.close()
        self._pool = None
        self._ahead.clear()

    def some(self, most: int) -> List[Prepared]:
        """
        Return the runs of at most so many recordings, evenly among all, or else of another one.

        Errors: InputError where none can be used.
        """
        found: List[Prepared] = []
        count = min(most, len(self))
        at = [round(k * (len(self) - 1) / max(count - 1, 1)) for k in range(count)]
        for k, i in enumerate(at):
            self.want(at[k:k + 1 + self._most])
            found += self.get(i)
        for i in sorted(set(range(len(self))) - set(at)):
            if found:
                break
            found += self.get(i)
        if not found:
            raise self.nothing()
        return found

    def nothing(self) -> InputError:
        """Return what to raise where no recording can be used, with the reasons."""
        return InputError('none of the recordings can be used: ' + '; '.join(dict.fromkeys(
            text for _, texts in sorted(self.problems.items()) for text in texts)))

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _messages(tracks: Sequence[Prepared]) -> int:
    return sum(len(item.track.rows) for item in tracks)
