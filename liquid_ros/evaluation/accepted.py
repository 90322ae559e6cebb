# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The messages of a recording that the node would accept, stream by stream, as arrays."""

import hashlib
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from liquid_ros.arrays import tangent_size
from liquid_ros.errors import InputError
from liquid_ros.evaluation.alignment import between_frames, tells, turn_sigma_deg
from liquid_ros.evaluation.bag_write import STORAGES
from liquid_ros.evaluation.recording import (
    datum_of,
    is_bag,
    nothing_asked_for,
    of_fixes,
    open_source,
    policy_for,
)
from liquid_ros.evaluation.replay import replay, Tally
from liquid_ros.evaluation.truth import moved_to, no_overlap, own, read_truth, Truth
from liquid_ros.evaluation.view import moving
from liquid_ros.manifold import quat_normalise
from liquid_ros.navsat import Datum
from liquid_ros.smoothers import SMOOTHERS
from liquid_ros.timing import RESTARTS, TimePolicy

LEFT = 1 / 3  # of the rotations' error, where they are smoothed


class Accepted(NamedTuple):
    """
    One stream, N messages.

    stamps_ns: (N,) int64. rows: (N, 3 | 7). variances: (N, A) the messages' own, NaN where none
    is stated, None where none ever is. starts: (N,) bool. truth: (N, 3 | 7) in the messages'
    frame, NaN where it is not known.
    """

    name: str
    stamps_ns: np.ndarray
    rows: np.ndarray
    variances: Optional[np.ndarray]
    starts: np.ndarray
    truth: Optional[np.ndarray]


class _Kept:
    def __init__(self) -> None:
        self.tally = Tally()
        self.messages: List[Tuple[int, bool, np.ndarray, Optional[np.ndarray]]] = []


def accepted(path: Path, topics: Sequence[str] = (), truth: str = '',
             policy: TimePolicy = TimePolicy()) -> Tuple[List[Accepted], List[str]]:
    """
    Return the streams of a recording, and what of it could not be read, in words.

    topics: as in bag.choose. truth: as in truth.read_truth, '' for none.
    Errors: InputError; UnreadableError where nothing can be read.
    """
    if not path.exists():
        raise InputError(f'{path}: no such file or folder')
    known = read_truth(truth, path) if truth else None
    streams: Dict[Any, _Kept] = {}
    with open_source(path, topics, own(truth)) as source:
        # which messages are accepted is no smoother's business: the cheapest will do
        for answer in replay(source.samples(), SMOOTHERS['ema'](), policy_for(source, policy)):
            sample, update = answer.sample, answer.update
            for i, key in enumerate(sample.keys):
                kept = streams.setdefault((sample.topic, key), _Kept())
                kept.tally.count(update.reasons[i], update.arrivals[i])
                if update.reasons[i] is None:
                    kept.messages.append((
                        update.stamps_ns[i], update.arrivals[i] in RESTARTS, sample.rows[i],
                        None if sample.variances is None else sample.variances[i]))
        problems = list(source.problems)
        if known is not None:
            problems += known.told(problems)
            known = known.about(datum_of(source))
    found = []
    for (topic, key), kept in streams.items():
        name = f'{topic or path.name}#{key}'
        if kept.messages:
            found.append(_stream(name, kept))
        else:
            problems.append(f'{name}: no message can be used: {kept.tally}')
    if not found:
        raise InputError(f'{path}: ' + ('; '.join(problems) or nothing_asked_for(source)))
    if known is not None:
        fixes = {f'{topic}#0' for topic in of_fixes(source)} if known.datum is None else set()
        found = [_with_truth(stream, known, problems, stream.name in fixes, datum_of(source))
                 for stream in found]
        if not any(np.isfinite(stream.truth).any() for stream in found):  # type: ignore[arg-type]
            raise no_overlap(known, min(int(stream.stamps_ns.min()) for stream in found),
                             max(int(stream.stamps_ns.max()) for stream in found), str(path))
    return found, problems


def _stream(name: str, kept: _Kept) -> Accepted:
    stamps, starts, rows, variances = zip(*kept.messages)
    unknown = np.full(tangent_size(len(rows[0])), np.nan)
    said = None if all(one is None for one in variances) else np.array(
        [unknown if one is None else one for one in variances])
    return Accepted(name, np.array(stamps, dtype=np.int64), np.array(rows), said,
                    np.array(starts), None)


def _with_truth(stream: Accepted, truth: Truth, problems: List[str], moved: bool,
                datum: Optional[Datum]) -> Accepted:
    there = truth.at(stream.stamps_ns)[:, :stream.rows.shape[1]]
    if moved:
        there = moved_to(stream.rows, there, datum)
    rows = np.full(stream.rows.shape, np.nan)
    rows[:, :there.shape[1]] = there
    axes = list(moving(stream.rows, rows))
    at = np.isfinite(rows[:, axes]).all(1)
    z, g = stream.rows[at], rows[at]
    found = between_frames(g[:, axes], z[:, axes])
    if found is not None:
        turn_deg = turn_sigma_deg(found, g[:, axes], z[:, axes])
        rows = found.moved_rows(rows, axes)
        if there.shape[1] == 7 and not tells(
                turn_deg / LEFT, quat_normalise(z[:, 3:]), rows[at, 3:]):
            rows[:, 3:] = np.nan
            problems.append(f'{stream.name}: the truth is in another frame, and such positions '
                            'do not tell how far it is turned: its rotations are left out')
    # an axis that never moves is not held against a truth that does
    still = [axis for axis in range(3) if np.ptp(stream.rows[:, axis]) == 0.0]
    rows[:, still] = np.where(at, stream.rows[0, still, None], np.nan).T
    return stream._replace(truth=rows)


def recordings(path: Path) -> List[Path]:
    """
    Return a recording, or all bags of a folder that is none itself, by name.

    Errors: InputError where there is none.
    """
    if not path.exists():
        raise InputError(f'{path}: no such file or folder')
    if not path.is_dir() or (path / 'metadata.yaml').exists():
        return [path]
    bags = [entry for entry in sorted(path.iterdir()) if is_bag(entry) and (
        not entry.is_dir() or (entry / 'metadata.yaml').exists())]
    if not bags:
        raise InputError(f'{path}: is no rosbag2 and has none in it')
    return bags


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of a bag folder's files one after the other by name."""
    whole = hashlib.sha256()
    files = [path] if path.is_file() else sorted(
        entry for entry in path.iterdir() if entry.suffix in STORAGES or entry.suffix == '.zstd')
    for file in files:
        with file.open('rb') as stream:
            while block := stream.read(1 << 20):
                whole.update(block)
    return whole.hexdigest()
