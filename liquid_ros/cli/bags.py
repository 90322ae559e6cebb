# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Recordings for liquid_ros train: read, cut and prepared, where wanted in other processes."""

from functools import lru_cache
from pathlib import Path
from typing import Any, List, NamedTuple, Sequence, Tuple

from liquid_ros.errors import InputError
from liquid_ros.timing import TimePolicy

MOST = 0.9  # of the messages


class Job(NamedTuple):
    """All that a recording is prepared from; it can go to another process."""

    path: str
    topics: Tuple[str, ...]
    truth: str
    policy: TimePolicy
    start: str  # weights
    horizons: Tuple[int, ...]
    held_out: float
    every: int


def jobs(bags: Sequence[str], topics: Sequence[str], truth: str, policy: TimePolicy, start: str,
         config: Any) -> List[Job]:
    """
    Return a job for each recording, of folders of bags for each of theirs.

    Errors: InputError where there is none.
    """
    from liquid_ros.evaluation.accepted import recordings
    paths = [path for bag in bags for path in recordings(Path(bag))]
    return [Job(str(path), tuple(topics), truth, policy, start, config.horizons, config.held_out,
                config.stretch) for path in paths]


@lru_cache(maxsize=2)
def smoother(start: str) -> Any:
    """Return the smoother of LIQUID weights on the CPU, the package's for ''."""
    from liquid_ros.checkpoint import build
    return build('liquid', start)


def load(job: Job) -> Any:
    """
    Return a recording as training takes it, a Loaded.

    Errors: InputError where it cannot be used, with its path.
    """
    from liquid_ros.evaluation.accepted import accepted, digest
    from liquid_ros.training.loader import Loaded
    from liquid_ros.training.tracks import prepare, Track
    path = Path(job.path)
    streams, problems = accepted(path, job.topics, job.truth, job.policy)
    runs = []
    for stream in streams:
        problems += _sparse(stream, job.held_out)
        edges = [k for k, begins in enumerate(stream.starts) if begins or k == 0]
        runs.append([Track(
            stream.name, stream.stamps_ns[a:b], stream.rows[a:b],
            None if stream.truth is None else stream.truth[a:b],
            None if stream.variances is None else stream.variances[a:b])
            for a, b in zip(edges, edges[1:] + [len(stream.rows)])])
    try:
        tracks = prepare(runs, smoother(job.start), job.horizons, job.held_out, job.every)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    return Loaded(tracks, digest(path), [f'{path}: {text}' for text in problems])


def _sparse(stream: Any, held_out: float) -> List[str]:
    """Return at how many messages the truth is known, where that is not most of them."""
    import numpy as np
    if stream.truth is None:
        return []
    known = np.isfinite(stream.truth[:, :3]).any(1)
    learned, held = np.split(known, [round(len(known) * (1.0 - held_out))])
    if min(part.mean() for part in (learned, held) if len(part)) > MOST:
        return []
    return [f'{stream.name}: the truth is known at {learned.sum()} of the {len(learned)} messages '
            f'to learn from, and at {held.sum()} of the {len(held)} held out']
