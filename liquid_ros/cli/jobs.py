# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Recordings evaluated one after the other, or several at once by other processes."""

from dataclasses import replace
from pathlib import Path
from typing import (
    Any,
    Dict,
    Generator,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    TYPE_CHECKING,
)

from liquid_ros.cli import FAILED, in_one_line, OK, progress
from liquid_ros.errors import LiquidError, UnreadableError
from liquid_ros.signals import other_processes, until_ended
from liquid_ros.timing import TimePolicy

if TYPE_CHECKING:
    from liquid_ros.evaluation.runs import Judged

UNREADABLE = 2


class Job(NamedTuple):
    """All that one recording's evaluation is made from; it can go to another process."""

    path: str
    name: str
    checkpoint: str
    device: str
    policy: TimePolicy
    topics: Tuple[str, ...]
    truth: str
    keep: int
    outputs: Tuple[str, ...]
    offline: bool
    lag_s: float
    baselines: bool
    bar: bool
    knobs: Dict[str, float]


class Result(NamedTuple):
    """What came of a recording: its streams, what could not be used, or an error's text."""

    path: str
    judged: 'List[Judged]'
    problems: List[str]
    dead: List[Dict[str, Any]]  # summaries of streams that cannot be judged: their counts
    error: str = ''
    status: int = OK


def evaluate(job: Job) -> Result:
    """Return what came of a recording; errors are in there."""
    from liquid_ros.backend import pick_backend
    from liquid_ros.checkpoint import build
    from liquid_ros.evaluation.collect import collect, Output
    from liquid_ros.evaluation.judge import judge
    from liquid_ros.smoothers.tuning import Tuning
    try:
        backend = pick_backend(job.device)
        model = build(job.name, job.checkpoint, backend)
        if job.knobs:
            model = model.tuned(Tuning(**job.knobs))
        recording = collect(
            Path(job.path), job.name, model, job.policy, topics=job.topics, truth=job.truth,
            backend=backend, keep=job.keep, output=Output(job.outputs, job.offline, job.lag_s),
            progress=progress if job.bar else _silent)
        runs = [replace(run, tuned=bool(job.knobs)) for run in recording.runs]
        judged = [judge(run, baselines=job.baselines) for run in (
            progress(runs, len(runs), ' streams') if job.bar else runs)]
    except (LiquidError, OSError) as error:
        status = UNREADABLE if isinstance(error, UnreadableError) else FAILED
        return Result(job.path, [], [], [], in_one_line(error), status)
    return Result(job.path, judged, recording.problems, [
        {'name': name, 'ratios': {}, 'rows': [], 'stream': tally.counts()}
        for name, tally in recording.dead.items()])


def _silent(items: Iterable[Any], total: Optional[int]) -> Iterator[Any]:
    return iter(items)


def results_of(jobs: Sequence[Job], processes: int) -> Generator[Result, None, None]:
    """Yield the results in the jobs' order, as they come."""
    if processes == 1 or len(jobs) == 1:
        yield from map(evaluate, jobs)
        return
    from concurrent.futures import BrokenExecutor
    from multiprocessing import active_children
    pool = other_processes(min(processes, len(jobs)))
    try:
        for job, coming in [(job, pool.submit(until_ended, evaluate, job)) for job in jobs]:
            try:
                yield coming.result()
            except BrokenExecutor:
                yield Result(job.path, [], [], [], f'{job.path}: a process was killed', FAILED)
    except BaseException:  # Ctrl-C, SIGTERM, or nobody asks for more
        pool.shutdown(wait=False, cancel_futures=True)
        for process in active_children():
            process.terminate()
        raise
    pool.shutdown()
