# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a recording is made of, and where a text goes."""

from contextlib import contextmanager
import os
from pathlib import Path
import re
from typing import (
    ContextManager,
    IO,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Union,
)

import numpy as np

from liquid_ros.errors import InputError
from liquid_ros.files import replacing
from liquid_ros.navsat import Enu, Fix
from liquid_ros.timing import Arrival
from liquid_ros.update import Update

POSE_FIELDS = ('x', 'y', 'z', 'qx', 'qy', 'qz', 'qw')

Key = Union[int, str]
ONE: Tuple[Key, ...] = (0,)

STANDARD = {'/dev/stdout': 1, '/dev/stderr': 2}
OPEN = re.compile('|'.join(STANDARD) + r'|(?:/dev|/proc/self)/fd/(\d+)')


class Sample(NamedTuple):
    """
    One message: N poses or points, mostly one.

    topic: '' in a text file. log_ns: time at which it was recorded.
    keys: N names of streams within the topic. stamps_ns: N times of measurement, integers; one,
    and a frame, of an array without poses.
    rows: (N, 3) x y z in m or (N, 7) x y z qx qy qz qw. frames: N frame_ids.
    variances: the sender's own (N, A), NaN where unknown; None: none.
    raw: the message as it stands in a bag, CDR; at: where its numbers begin in there.
    whole: each row has its place, whether it can be used or not (PoseArray).
    repeats: rows of the messages before come again (Path). fix: what a NavSatFix said, and the
    axes of its row.
    """

    topic: str
    log_ns: int
    keys: Sequence[Key]
    stamps_ns: Sequence[int]
    rows: np.ndarray
    frames: Sequence[str]
    variances: Optional[np.ndarray] = None
    raw: bytes = b''
    at: int = 0
    whole: bool = False
    repeats: bool = False
    fix: Optional[Tuple[Fix, Enu]] = None


def single(topic: str, stamp_ns: int, row: np.ndarray, log_ns: Optional[int] = None,
           frame_id: str = 'map') -> Sample:
    """Return a message of one row (3 | 7,), recorded at its stamp if nothing else is said."""
    return Sample(topic, stamp_ns if log_ns is None else log_ns, ONE, (stamp_ns,), row[None],
                  (frame_id,))


def began(update: Update, *arrivals: Arrival) -> bool:
    """Return whether an accepted row came in one of these ways."""
    return any(good and arrival in arrivals
               for good, arrival in zip(update.accepted, update.arrivals))


class Source(Protocol):
    """
    An opened recording.

    total: how many messages a progress bar may expect. problems: what could not be read, in
    words; known when all samples were read.
    """

    path: Path
    total: Optional[int]
    width: int
    problems: List[str]

    def samples(self) -> Iterator[Sample]:
        """Yield the measurements in the order in which they were recorded."""


class Sink(Protocol):
    """Takes an input and the estimates of its rows, and their covariances where they are known."""

    def __call__(self, sample: Sample, update: Update,
                 covariance: Optional[np.ndarray] = None) -> None:
        """Write the accepted rows; covariance: (N, 36) as messages have it."""


OpenSource = ContextManager[Source]
OpenSink = ContextManager[Sink]


@contextmanager
def writing(path: Path) -> Iterator[IO[str]]:
    """
    Yield a text stream: of a pipe or a device, or of a file that takes its place in the end.

    What this process has open, such as /dev/stdout, is a pipe whatever it is.
    Errors: as replacing() has them; InputError for a descriptor that is not open.
    """
    opened = OPEN.fullmatch(os.path.abspath(path))
    place: Union[Path, int] = path
    if opened:
        try:  # opened by its name, a file would lose what it has
            place = os.dup(STANDARD.get(opened[0]) or int(opened[1]))
        except (OSError, OverflowError) as error:
            raise InputError(f'{path}: is not open') from error
    if opened or path.exists() and not path.is_file() and not path.is_dir():
        with open(place, 'w', buffering=1, encoding='utf-8') as stream:  # who reads it waits
            yield stream
        return
    with replacing(path) as fresh:
        with open(fresh, 'w', encoding='utf-8', newline='\n') as stream:
            yield stream
