# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is true at the stamps of messages: another trajectory, interpolated."""

from pathlib import Path
from typing import Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from liquid_ros.errors import InputError
from liquid_ros.evaluation.recording import datum_of, is_bag, open_source
from liquid_ros.intake import refusals
from liquid_ros.manifold import minus, plus, unit_rows
from liquid_ros.navsat import Datum
from liquid_ros.timing import NS_PER_S, ns_to_seconds_text

LONGEST_NS = 500_000_000  # nothing is known in a longer gap
MANY = 20_000  # poses that may be there twice


class Truth(NamedTuple):
    """
    A trajectory that is taken for true.

    name: where it is from. stamps_ns: (T,) int64, rising. rows: (T, 3 | 7), quaternions of
    length one. problems: what of it could not be read, in words. datum: that of fixes.
    """

    name: str
    stamps_ns: np.ndarray
    rows: np.ndarray
    problems: Sequence[str] = ()
    datum: Optional[Datum] = None

    def about(self, datum: Optional[Datum]) -> 'Truth':
        """
        Return the same fixes measured from another datum; what is of no fixes stays.

        Without altitudes in either there is no truth of them.
        """
        if self.datum is None or datum is None:
            return self
        ours, theirs = self.datum.enu, datum.enu
        rows = np.array([theirs.row(ours.place(row)) for row in self.rows.tolist()])
        if self.datum.is_level or datum.is_level:
            rows[:, 2] = np.nan
        return self._replace(rows=rows, datum=datum)

    def at(self, stamps_ns: np.ndarray) -> np.ndarray:
        """
        Return the truth (N, 3 | 7) at these stamps (N,), NaN where there is none.

        Positions on a line, rotations on the shortest arc (slerp) between two neighbours; none
        across gaps longer than 0.5 s, nor before the first or after the last.
        """
        out = np.full((len(stamps_ns), self.rows.shape[1]), np.nan)
        right = np.clip(np.searchsorted(self.stamps_ns, stamps_ns), 1, len(self.stamps_ns) - 1)
        before, after = self.stamps_ns[right - 1], self.stamps_ns[right]
        gap = after - before
        exact = (stamps_ns == before) | (stamps_ns == after)
        known = (stamps_ns >= before) & (stamps_ns <= after) & ((gap <= LONGEST_NS) | exact)
        right, share = right[known], ((stamps_ns - before)[known] / gap[known])[:, None]
        low, high = self.rows[right - 1], self.rows[right]
        out[known] = plus(low, share * minus(high, low))
        return out

    def told(self, problems: Sequence[str]) -> List[str]:
        """Return its problems less those that are the recording's, too."""
        return [f'the truth: {text}' for text in self.problems if text not in problems]


def read_truth(text: str, recording: Path) -> Truth:
    """
    Return the trajectory that --truth names.

    text: a topic of the recording, a file, or a bag and a topic of it with a colon between.
    Errors: InputError where there is none, or more than one.
    """
    path, topic = split(text)
    if path is None and not is_bag(recording):
        raise InputError(f'{text}: no such file, and {recording} has no topics')
    if path is not None and not topic and not is_bag(path) and path.samefile(recording):
        raise InputError(f'{text}: got the recording itself for the truth')
    return _read(path or recording, topic, text)


def split(text: str) -> Tuple[Optional[Path], str]:
    """Return the file, None where a topic of the recording is meant, and the topic, '' for any."""
    if Path(text).exists():
        return Path(text), ''
    name, colon, topic = text.partition(':/')
    if colon and name and Path(name).exists():
        return Path(name), '/' + topic
    if text.startswith('/') and not Path(text).suffix:
        return None, text
    raise InputError(f'{text}: got no file and no topic (/...) for the truth')


def own(text: str) -> List[str]:
    """Return the topic or stream of the recording that is its truth, in a list, [] for none."""
    path, topic = split(text) if text else (None, '')
    return [topic] if topic and path is None else []


def moved_to(rows: np.ndarray, truth: np.ndarray, datum: Optional[Datum]) -> np.ndarray:
    """
    Return a truth (N, 3 | 7) moved by the median of what rows (N, 3) are away from it.

    datum: that of the rows; without an altitude there is no truth of theirs.
    """
    away = rows - truth[:, :3]
    known = np.isfinite(away).all(1)
    moved = truth.copy()
    if known.any():
        moved[:, :3] += np.median(away[known], axis=0)
    if datum is not None and datum.is_level:
        moved[:, 2] = np.nan
    return moved


def keep_apart(written: Iterable[str], recordings: Sequence[str], truth: str) -> None:
    """Raise InputError where a file is written twice, '' for none, or is of one that is read."""
    try:
        true = split(truth)[0] if truth else None
    except InputError:  # each recording tells of it
        true = None
    read = {Path(path).resolve() for path in [*recordings, true] if path is not None}
    around = {folder for path in read for folder in path.parents}
    taken: Set[Path] = set()
    for path in (Path(text).resolve() for text in written if text):
        if path in taken:
            raise InputError(f'{path}: got one file for two outputs')
        taken.add(path)
        if path in read | around or path.exists() and (
                not read.isdisjoint(path.parents)
                or any(one.exists() and path.samefile(one) for one in read)):  # a hard link
            raise InputError(f'{path}: would overwrite what is read')


def _read(path: Path, topic: str, name: str) -> Truth:
    stamps: List[int] = []
    rows: List[np.ndarray] = [np.empty((0, 3))]
    streams: Set[str] = set()
    most = MANY
    with open_source(path, [topic] if topic else []) as source:
        for sample in source.samples():
            streams.update(f'{sample.topic}#{key}' for key in sample.keys)
            if len(streams) > 1:
                raise InputError(f'{path}: got more than one trajectory for the truth, '
                                 f'{" and ".join(sorted(streams))}; expected one of them')
            stamps += sample.stamps_ns[:len(sample.keys)]
            rows.append(np.array(sample.rows))
            if len(stamps) > most:  # each message of a path repeats those before it
                kept, found = clean(np.array(stamps, dtype=np.int64), _joined(rows))
                stamps, rows, most = kept.tolist(), [found], 2 * len(kept) + MANY
        problems, datum = list(source.problems), datum_of(source)
    kept, found = clean(np.array(stamps, dtype=np.int64), _joined(rows))
    if len(kept) < 2:
        raise InputError(f'{path}: ' + '; '.join([
            f'got {len(kept)} usable poses for the truth, expected 2 or more', *problems]))
    return Truth(name, kept, found, problems, datum)


def _joined(rows: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([part for part in rows if len(part)] or list(rows[:1]))


def clean(stamps_ns: np.ndarray, rows: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return what can be used, sorted by stamps, the last of those with one stamp."""
    good = np.array([reason is None for reason in refusals(rows)], dtype=bool)
    stamps_ns, rows = stamps_ns[good], rows[good]
    stamps_ns, first = np.unique(stamps_ns[::-1], return_index=True)
    return stamps_ns, unit_rows(rows[::-1][first])


def no_overlap(truth: Truth, first_ns: int, last_ns: int, what: str) -> InputError:
    """Return what to raise where the truth is not known at any message, with both time spans."""
    def span(a: int, b: int) -> str:
        return f'{ns_to_seconds_text(a)} to {ns_to_seconds_text(b)} s'

    start_ns, end_ns = int(truth.stamps_ns[0]), int(truth.stamps_ns[-1])
    relation = (f'does not overlap with {what}' if last_ns < start_ns or end_ns < first_ns else
                f'is known at no message of {what}, as it is not across gaps of more than '
                f'{LONGEST_NS / NS_PER_S:g} s')
    return InputError('; '.join([
        f'{truth.name}: the truth {relation}: it spans {span(start_ns, end_ns)}, the messages '
        f'{span(first_ns, last_ns)}', *truth.problems]))
