# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Bags written without ROS through rosbags: the input's topics and those that were smoothed."""

from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
import re
import sqlite3
from typing import Any, Dict, Iterator, Literal, Optional, Sequence, Set, Tuple

import numpy as np

from liquid_ros.errors import InputError
from liquid_ros.evaluation.bag import BagSource
from liquid_ros.evaluation.bag_messages import (
    covariances,
    key_text,
    KINDS,
    Known,
    message_of,
    NO_HASH,
    store,
)
from liquid_ros.evaluation.sample import began, Key, Sample, Sink
from liquid_ros.files import replacing
from liquid_ros.timing import Arrival
from liquid_ros.update import Update

STORAGES = {'.mcap': 'MCAP', '.db3': 'SQLITE3'}
MARK = ('smoothed_by', 'liquid_ros')  # in the metadata, of a file of its own, too
SUFFIX = '/smoothed'
STATED = '/smoothed_with_covariance'
STATED_TYPE = 'geometry_msgs/msg/PoseWithCovarianceStamped'
TEXT_TOPICS = {3: ('/point', 'geometry_msgs/msg/PointStamped'),
               7: ('/pose', 'geometry_msgs/msg/PoseStamped')}
UNTURNED = np.array([[0.0, 0.0, 0.0, 1.0]])

# rosbag2 format 8: its quality-of-service text is read from Humble to Rolling.
BAG_VERSION: Literal[8] = 8


def storage_of(path: Path) -> str:
    """Return the suffix, .mcap or .db3, of a bag's storage; .mcap for what is no bag yet."""
    if path.is_dir():
        return '.db3' if any(path.glob('*.db3*')) else '.mcap'
    return _storage(path) or '.mcap'


def _storage(path: Path) -> str:
    suffix = path.suffix.lower()
    return suffix if suffix in STORAGES else ''


@contextmanager
def new_bag(path: Path, suffix: str) -> Iterator[Any]:
    """
    Yield a rosbags Writer; the bag appears under its path when the block ends well.

    path: a folder, or a single file where it ends in .mcap or .db3.
    suffix: the storage, .mcap or .db3; a single file's own suffix wins.
    """
    try:
        from rosbags.rosbag2 import StoragePlugin, Writer
    except ImportError as error:
        raise InputError(f'{path}: a bag needs rosbags: pip install rosbags ({error})') from error
    suffix = _storage(path) or suffix
    plugin = StoragePlugin[STORAGES[suffix]]
    if path.is_dir() and not _is_disposable(path):
        raise InputError(f'{path}: is a folder with something else than a rosbag2 in it, '
                         'it is not replaced')
    with replacing(path, folders=True) as fresh, _told(path):
        if not _storage(path):
            with Writer(fresh, version=BAG_VERSION, storage_plugin=plugin) as writer:
                yield writer
            _rename_storage(fresh, path.name)
            return
        folder = fresh.with_name(fresh.name + '.d')
        with replacing(folder) as inner:
            with Writer(inner, version=BAG_VERSION, storage_plugin=plugin) as writer:
                yield writer
            next(inner.glob('*' + suffix)).rename(fresh)
        (folder / 'metadata.yaml').unlink()
        folder.rmdir()


def _is_disposable(folder: Path) -> bool:
    names = {entry.name for entry in folder.iterdir()}
    return not names or 'metadata.yaml' in names and all(
        name == 'metadata.yaml' or name.endswith(('.mcap', '.db3')) for name in names)


def _is_replaceable(path: Path) -> bool:
    """Return whether a bag has write_bag's mark, or there is none."""
    file = path / 'metadata.yaml' if path.is_dir() else path
    if not file.is_file():
        return True
    mark, before = ': '.join(MARK).encode(), b''
    with open(file, 'rb') as stream:
        while block := stream.read(1 << 20):
            if mark in before + block:
                return True
            before = block[-len(mark):]
    return False


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Make what SQLite complains of, a full disk, an InputError."""
    try:
        yield
    except sqlite3.Error as error:
        raise InputError(f'{path}: cannot be written: {error}') from error


@contextmanager
def write_bag(path: Path, suffix: str, source: Any, stated: bool = False) -> Iterator[Sink]:
    """
    Yield a function that writes an answer as a message of its input's type.

    From a bag: the input's topics are copied untouched, the output goes to <topic>/smoothed.
    From a text file: one topic, /pose/smoothed or /point/smoothed.
    stated: also as PoseWithCovarianceStamped to <topic>/smoothed_with_covariance, where the type
    has no covariance; with the stream's name below it where a topic has many.
    """
    if not _is_replaceable(path):
        raise InputError(f'{path}: was not written by smooth or evaluate, it is not replaced')
    with new_bag(path, suffix) as writer:
        writer.set_custom_data(*MARK)
        if isinstance(source, BagSource):
            _copy_into(writer, source, (SUFFIX, STATED) if stated else (SUFFIX,))
            outputs = {topic: _Output(writer, topic, c.msgtype, c.ext.offered_qos_profiles, stated)
                       for topic, c in {c.topic: c for c in source.chosen}.items()}
        else:
            name, msgtype = TEXT_TOPICS[source.width]
            outputs = {'': _Output(writer, name, msgtype, (), stated)}

        def write(sample: Sample, update: Update, covariance: Optional[np.ndarray] = None
                  ) -> None:
            outputs[sample.topic].write(sample, update, covariance)

        yield write


class _Output:
    """What becomes of one topic."""

    def __init__(self, writer: Any, topic: str, msgtype: str, qos: Sequence[Any],
                 stated: bool) -> None:
        self._writer, self._topic, self._msgtype, self._qos = writer, topic, msgtype, qos
        self._kind = KINDS[msgtype]
        self._main = declare(writer, topic + SUFFIX, msgtype, qos)
        self._stated = stated and not self._kind.states
        self._poses: Dict[Optional[str], Any] = {}
        self._taken: Set[str] = set()  # names of their topics: two streams may be one word
        self._known: Known = {}

    def write(self, sample: Sample, update: Update, full: Optional[np.ndarray]) -> None:
        if sample.keys and not update.accepted.any():
            return
        rows = update.estimate.rows
        if full is None and (self._stated or self._kind.states):
            full = covariances(update.estimate)
        if sample.repeats and began(update, Arrival.FIRST, Arrival.JUMP, Arrival.FRAME):
            self._known.clear()
        if sample.raw:
            raw = self._kind.write(sample, update, rows if full is None else full, self._known)
        else:
            raw = encode(sample.stamps_ns[0], sample.frames[0], rows[0])
        log_ns = max(sample.log_ns, 0)  # an mcap has it unsigned
        self._writer.write(self._main, log_ns, raw)
        if self._stated and full is not None:
            for i in np.flatnonzero(update.accepted):
                pose = rows[i] if rows.shape[1] == 7 else np.append(rows[i], UNTURNED)
                self._writer.write(self._pose_topic(sample.keys[i]), log_ns, encode(
                    sample.stamps_ns[i], sample.frames[i], pose, full[i]))

    def _pose_topic(self, key: Key) -> Any:
        text = key_text(self._msgtype, key)
        if text not in self._poses:
            topic = self._topic + STATED + ('' if text is None else '/' + topic_word(text))
            names = chain([topic], (f'{topic}_{number}' for number in count(2)))
            name = next(name for name in names if name not in self._taken)
            self._taken.add(name)
            self._poses[text] = declare(self._writer, name, STATED_TYPE, self._qos)
        return self._poses[text]


def encode(stamp_ns: int, frame_id: str, *numbers: np.ndarray) -> bytes:
    """Return a point, a pose or a pose with covariance in CDR; InputError for an odd stamp."""
    try:
        return message_of(stamp_ns, frame_id, *numbers)
    except ValueError as error:
        raise InputError(str(error)) from error


def declare(writer: Any, topic: str, msgtype: str, qos: Sequence[Any] = ()) -> Any:
    """Return the writer's connection for a topic of a supported type."""
    return writer.add_connection(topic, msgtype, typestore=store(), offered_qos_profiles=qos)


def topic_word(name: str) -> str:
    """Return a name as a word of a topic."""
    word = re.sub('[^A-Za-z0-9]+', '_', name).strip('_')
    return f'stream_{word}' if not word or word[0].isdigit() else word


def _copy_into(writer: Any, source: BagSource, suffixes: Sequence[str]) -> None:
    """Give the writer the source's connections and let its tap copy every message."""
    taken = {c.topic for c in source.connections}
    for topic in [c.topic + suffix for c in source.chosen for suffix in suffixes]:
        if topic in taken:
            raise InputError(f'{source.path}: has a topic {topic!r} already; --topic chooses '
                             'another one')
    copies: Dict[int, Any] = {}
    same: Dict[Tuple[str, str], int] = {}  # a topic may have a connection for each publisher
    for c in source.connections:
        first = same.setdefault((c.topic, c.msgtype), c.id)
        if first != c.id:
            copies[c.id] = copies[first]
            continue
        known = c.msgtype in store().fielddefs
        definition = {'typestore': store()} if known and not c.msgdef.data else {
            'msgdef': c.msgdef.data, 'rihs01': c.digest or _hash(c.msgtype)}
        copies[c.id] = writer.add_connection(
            c.topic, c.msgtype, serialization_format=c.ext.serialization_format,
            offered_qos_profiles=c.ext.offered_qos_profiles, **definition)

    def tap(connection: Any, log_ns: int, raw: bytes) -> None:
        writer.write(copies[connection.id], log_ns, raw)

    source.taps.append(tap)


def _hash(msgtype: str) -> str:
    return store().hash_rihs01(msgtype) if msgtype in store().fielddefs else NO_HASH


def _rename_storage(folder: Path, name: str) -> None:
    """Name the storage file after the bag, as rosbag2 does, and not after a passing folder."""
    metadata = folder / 'metadata.yaml'
    text = metadata.read_text(encoding='utf-8')
    for storage in folder.glob(folder.name + '*'):
        new = storage.name.replace(folder.name, name, 1)
        storage.rename(folder / new)
        text = text.replace(storage.name, new)
    metadata.write_text(text, encoding='utf-8')
