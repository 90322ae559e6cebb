# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One way to open any recording, TUM, CSV or rosbag2, and to write any from any."""

from dataclasses import replace
import os
from pathlib import Path
from typing import Iterable, List, Optional, Sequence, Set

from liquid_ros.errors import InputError
from liquid_ros.evaluation.bag import BagSource, open_bag
from liquid_ros.evaluation.bag_messages import KINDS
from liquid_ros.evaluation.bag_write import storage_of, STORAGES, write_bag
from liquid_ros.evaluation.sample import OpenSink, OpenSource, Source
from liquid_ros.evaluation.text import open_text, write_text
from liquid_ros.navsat import Datum
from liquid_ros.timing import TimePolicy

# Suffixes that say what a file is, and that it is no TUM text.
OTHERS = {**dict.fromkeys(('.npz', '.npy', '.json', '.yaml', '.html', '.png', '.xlsx'), ''),
          '.bag': ' (rosbags-convert makes a rosbag2 of a bag of ROS 1)'}


def is_bag(path: Path) -> bool:
    """Return whether a path names a rosbag2: a folder, .mcap or .db3."""
    return path.is_dir() or path.suffix.lower() in STORAGES


def _expect_known(path: Path) -> None:
    """Raise InputError for a suffix of something else, or in capitals, which rosbag2 knows not."""
    if path.suffix.lower() in OTHERS and not path.is_dir():
        raise InputError(f'{path}: got the suffix {path.suffix}, expected .tum, .csv, .mcap, .db3 '
                         'or a folder' + OTHERS[path.suffix.lower()])
    if path.suffix.lower() in STORAGES and path.suffix not in STORAGES:
        raise InputError(f'{path}: got the suffix {path.suffix}, expected {path.suffix.lower()}')


def open_source(path: Path, topics: Sequence[str] = (), left_out: Sequence[str] = ()
                ) -> OpenSource:
    """
    Open a recording by its extension; what is neither a bag nor .csv is read as TUM.

    Of a broken one what can be read is taken, and its problems tell the rest.
    topics, left_out: as in bag.choose, for a bag only.
    Errors: InputError, some in the opened block.
    """
    _expect_known(path)
    if is_bag(path):
        return open_bag(path, topics, left_out)
    if topics:
        raise InputError(f'{path}: got topic {topics[0]!r}, but only a bag has topics')
    return open_text(path, path.suffix.lower() == '.csv')


def open_sink(path: Path, source: Source, is_folder: bool = False, stated: bool = False
              ) -> OpenSink:
    """
    Open the output by its extension; without one, a bag's output is a bag folder.

    is_folder: the user said so, with a closing slash. stated: a bag is to have covariances, too.
    Errors: InputError for a bag with many topics into one text file.
    """
    _expect_known(path)
    from_bag = isinstance(source, BagSource)
    if is_folder or is_bag(path) or (from_bag and not path.suffix and not path.exists()):
        return write_bag(path, storage_of(source.path) if from_bag else '.mcap', source, stated)
    if isinstance(source, BagSource) and len({c.topic for c in source.chosen}) > 1:
        there = ', '.join(f'{c.topic} ({c.msgtype})' for c in source.chosen)
        raise InputError(f'{source.path}: a text file takes one topic, expected --topic with '
                         f'one of {there}')
    return write_text(path, path.suffix.lower() == '.csv', source.width)


def policy_for(source: Source, policy: TimePolicy) -> TimePolicy:
    """Return the node's policy for a bag; in a text file 0 is a time like any other."""
    return replace(policy, zero_stamp='reject') if isinstance(source, BagSource) else policy


def datum_of(source: Source) -> Optional[Datum]:
    """Return where a recording's fixes are measured from, None where it has none."""
    found = source.datum if isinstance(source, BagSource) else None
    return found if found is not None and found.place is not None else None


def of_fixes(source: Source) -> Set[str]:
    """Return the topics that are fixes."""
    return {c.topic for c in source.chosen if KINDS[c.msgtype].geodetic
            } if isinstance(source, BagSource) else set()


def told_of_fixes(source: Source, outputs: Iterable[Path]) -> List[str]:
    """Return, in words, what x y z of fixes are in texts that are written."""
    datum = datum_of(source)
    texts = [str(path) for path in outputs if path.suffix and not is_bag(path)]
    return [f'{", ".join(texts)}: x y z are metres east, north and up of latitude, longitude, '
            f'altitude {datum.place}'] if datum is not None and texts else []


def states_covariance(source: Source) -> bool:
    """Return whether covariances go out with some message of the source's own types."""
    return isinstance(source, BagSource) and any(
        KINDS[connection.msgtype].states for connection in source.chosen)


def refuse_overlap(source: Path, output: Path) -> None:
    """Raise InputError where writing the output would touch the input."""
    a, b = source.resolve(), output.resolve()
    same = a == b or a in b.parents or b in a.parents
    if same or (source.exists() and output.exists() and os.path.samefile(source, output)):
        raise InputError(f'{output}: would overwrite the input {source}')


def other_streams(source: Source) -> str:
    """Return, in words, streams of a bag that were not asked for; or ''."""
    others = source.others if isinstance(source, BagSource) else ()
    return f'; there are {", ".join(others)}' if others else ''


def nothing_asked_for(source: Source) -> str:
    """Return, in words, that what was asked for did not come, and what else there is."""
    return f'no message has a pose that was asked for{other_streams(source)}'
