# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""TUM and CSV recordings: exact stamps, numbers that read back as they were written."""

from contextlib import contextmanager
import csv
from itertools import chain
from pathlib import Path
from typing import Dict, IO, Iterator, List, Optional, Sequence

import numpy as np

from liquid_ros.errors import InputError, UnreadableError
from liquid_ros.evaluation.columns import Layout, layout_of
from liquid_ros.evaluation.sample import Key, POSE_FIELDS, Sample, single, Sink, writing
from liquid_ros.timing import ns_to_seconds_text, seconds_to_ns
from liquid_ros.update import Update

TUM_FIELDS = ('t',) + POSE_FIELDS
UNSORTED = 0.05  # of the lines: fewer are late messages
IDENTITY = (0.0, 0.0, 0.0, 1.0)
STRANGE = '\0\ufffd'  # the latter stands for what is no UTF-8, as a comment may be

TUM_LAYOUT = Layout(8, ((0, seconds_to_ns),), tuple(range(1, 8)))


class TextSource:
    """A TUM or CSV file; also a pipe, then without a total."""

    def __init__(self, path: Path, stream: IO[str], is_csv: bool) -> None:
        """Read a CSV's header; InputError where it names no usable columns."""
        self.path = path
        self.total: Optional[int] = _count_lines(path)
        self.problems: List[str] = []
        self._line = 0
        self._waiting: List[List[str]] = []  # a line that was read to see whether it names columns
        if is_csv:
            # line by line: a quote that is not closed, in a comment, takes no other line with it
            self._records: Iterator[List[str]] = (
                next(csv.reader([line], skipinitialspace=True), []) for line in stream)
            self._layout = self._read_header()
        else:
            self._records = (line.split() for line in stream)
            self._layout = TUM_LAYOUT
        self.width = len(self._layout.numbers)

    def samples(self) -> Iterator[Sample]:
        """Yield one sample a line; problems tell of lines that are none, an error if all are."""
        count, broken, back, last_ns, strange = 0, [], 0, -2**63, False
        times, numbers = self._layout.times, self._layout.numbers
        for fields in chain(self._waiting, self._read()):
            try:
                if len(fields) != self._layout.columns:
                    raise ValueError(f'got {len(fields)} columns, expected '
                                     f'{self._layout.columns}{_hint(fields)}')
                stamp_ns = sum(to_ns(fields[i]) for i, to_ns in times)
                if abs(stamp_ns) >= 2**63:
                    raise ValueError(f'got the stamp {stamp_ns}, expected less than 2^63 ns')
                row = np.array([float(fields[i]) for i in numbers])
            except ValueError as error:
                broken.append(f'{self.path}:{self._line}: {error}')
                strange = strange or _is_strange(fields)
                continue
            count += 1
            back += stamp_ns < last_ns
            last_ns = stamp_ns
            yield single('', stamp_ns, row)
        if broken and not count:
            raise UnreadableError(self._no_text() if strange else broken[0])
        if broken:
            self.problems.append(f'{broken[0]}; lines left out: {len(broken)}')
        if back > UNSORTED * count:
            self.problems.append(f'{self.path}: {back} of {count} lines go back in time: expected '
                                 'lines in the order of time')
        if self._layout.unread:
            self.problems.append(f'{self.path}: {", ".join(self._layout.unread)}: not read, '
                                 'rotations are expected as qx qy qz qw')
        if not count:
            raise UnreadableError(f'{self.path}: is empty, expected rows of {self._expected()}')

    def _read(self, comments: bool = False) -> Iterator[List[str]]:
        """Yield the fields of each line that is neither blank nor, unless wanted, a comment."""
        try:
            for fields in self._records:
                self._line += 1
                if fields and (comments or not fields[0].startswith('#')):
                    yield fields
        except csv.Error as error:
            raise UnreadableError(self._no_text()) from error

    def _no_text(self) -> str:
        return f'{self.path}: is not a text file, expected rows of {self._expected()}'

    def _expected(self) -> str:
        return ' '.join(TUM_FIELDS)

    def _read_header(self) -> Layout:
        """Return the layout of the first line, or of a comment before it where that has none."""
        commented: Optional[Layout] = None
        for fields in self._read(comments=True):
            is_comment = fields[0].startswith('#')
            try:
                found = layout_of([fields[0].lstrip('#'), *fields[1:]], str(self.path))
            except InputError:
                if is_comment:
                    continue
                if commented is None:
                    if _is_strange(fields):
                        raise UnreadableError(self._no_text()) from None
                    raise
                self._waiting.append(fields)
                return commented
            if not is_comment:
                return found
            commented = found
        if commented is None:
            raise UnreadableError(f'{self.path}: is empty, expected a header, such as t,x,y,z')
        return commented


def _is_strange(fields: Sequence[str]) -> bool:
    return any(mark in field for field in fields for mark in STRANGE)


@contextmanager
def open_text(path: Path, is_csv: bool) -> Iterator[TextSource]:
    """Open a text recording; InputError where there is none."""
    if not path.exists():
        raise InputError(f'{path}: no such file')
    with open(path, encoding='utf-8-sig', errors='replace',
              newline='' if is_csv else None) as stream:
        yield TextSource(path, stream, is_csv)


@contextmanager
def write_text(path: Path, is_csv: bool, width: int) -> Iterator[Sink]:
    """
    Yield a function that appends the accepted rows under their stamps.

    width: 3 or 7; a TUM row of a point carries the identity quaternion.
    The file appears under its name when the block ends well; a pipe gets rows as they come.
    Errors: InputError, from the function, for a second stream.
    """
    with writing(path) as stream:
        yield _text_sink(stream, is_csv, width)


def _text_sink(stream: IO[str], is_csv: bool, width: int) -> Sink:
    separator = ',' if is_csv else ' '
    tail: Sequence[float] = () if is_csv or width == 7 else IDENTITY
    if is_csv:
        stream.write(','.join(('t',) + POSE_FIELDS[:width]) + '\n')
    else:
        stream.write('# ' + ' '.join(TUM_FIELDS) + '\n')

    streams: Dict[str, Key] = {}

    def write(sample: Sample, update: Update, covariance: Optional[np.ndarray] = None) -> None:
        for i in np.flatnonzero(update.accepted).tolist():
            key = sample.keys[i]
            if streams.setdefault(sample.topic, key) != key:
                first = streams[sample.topic]
                raise InputError(f"a text file takes one stream, got '{sample.topic}#{first}' "
                                 f"and '{sample.topic}#{key}', expected --topic with one of them")
            row = update.estimate.rows[i].tolist()
            numbers = [repr(value) for value in (*row, *tail)]  # repr reads back exactly
            stream.write(separator.join([ns_to_seconds_text(sample.stamps_ns[i]), *numbers])
                         + '\n')

    return write


def _count_lines(path: Path) -> Optional[int]:
    if not path.is_file():
        return None
    with open(path, 'rb') as stream:
        return sum(block.count(b'\n') for block in iter(lambda: stream.read(1 << 20), b''))


def _hint(fields: Sequence[str]) -> str:
    """Return what may be wrong with a line of one field."""
    marks = [mark for mark in ',;' if len(fields) == 1 and mark in fields[0]]
    return ''.join(f', with blanks between them, not {mark!r}; .csv has a header and commas'
                   for mark in marks[:1])
