# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a recording is made of, and how an output comes into being all at once or not at all."""

from contextlib import contextmanager
import os
from pathlib import Path
import secrets
import shutil
from typing import Callable, ContextManager, Iterator, NamedTuple, Optional, Protocol

import numpy as np

from liquid_ros.errors import InputError

POSE_FIELDS = ('x', 'y', 'z', 'qx', 'qy', 'qz', 'qw')


class Sample(NamedTuple):
    """
    One measured message.

    key: its topic, '' in a text file. stamp_ns: time of the measurement.
    row: (3,) x y z in m or (7,) x y z qx qy qz qw. log_ns: time at which it was recorded.
    """

    key: str
    stamp_ns: int
    row: np.ndarray
    log_ns: int
    frame_id: str = 'map'


class Source(Protocol):
    """An opened recording; total is how many messages a progress bar may expect."""

    path: Path
    total: Optional[int]
    width: int

    def samples(self) -> Iterator[Sample]:
        """Yield the measurements in the order in which they were recorded."""


Sink = Callable[[Sample, np.ndarray], None]  # takes an input and its smoothed row
OpenSource = ContextManager[Source]
OpenSink = ContextManager[Sink]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """
    Yield a fresh path beside this one; move it into place when the block ends well.

    Whatever stands there is replaced: a file by a file, a bag folder by a bag folder.
    When the block raises, the fresh path is removed and the old one stays as it was.
    Errors: InputError where the place cannot be taken.
    """
    path = path.resolve()
    if not path.parent.is_dir():
        raise InputError(f'{path}: its folder does not exist')
    if path.is_dir() and not _is_disposable(path):
        raise InputError(f'{path}: is a folder with something else than a rosbag2 in it, '
                         'it is not replaced')
    fresh = path.with_name(f'.{path.name}.{secrets.token_hex(4)}.part')
    try:
        yield fresh
        if path.is_dir():
            old = fresh.with_suffix('.old')
            path.rename(old)
            fresh.rename(path)
            shutil.rmtree(old)
        else:
            os.replace(fresh, path)
    finally:
        if fresh.is_dir():
            shutil.rmtree(fresh, ignore_errors=True)
        elif fresh.exists():
            fresh.unlink()


def _is_disposable(folder: Path) -> bool:
    return all(entry.name == 'metadata.yaml' or entry.suffix in ('.mcap', '.db3')
               for entry in folder.iterdir())
