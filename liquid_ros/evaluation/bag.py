# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Bags of rosbag2, mcap and sqlite3, read and written without ROS through rosbags."""

from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Literal, Optional, Sequence, Tuple

import numpy as np

from liquid_ros.errors import InputError
from liquid_ros.evaluation.bag_messages import KINDS, NO_HASH, store
from liquid_ros.evaluation.sample import replacing, Sample, Sink

STORAGES = {'.mcap': 'MCAP', '.db3': 'SQLITE3'}
SUFFIX = '/smoothed'
TEXT_TOPICS = {3: ('/point', 'geometry_msgs/msg/PointStamped'),
               7: ('/pose', 'geometry_msgs/msg/PoseStamped')}

# rosbag2 format 8: its quality-of-service text is read from Humble to Rolling.
BAG_VERSION: Literal[8] = 8

Tap = Callable[[Any, int, bytes], None]


class BagSource:
    """The topics of an opened bag that are to be smoothed; tap, when set, sees all messages."""

    def __init__(self, path: Path, reader: Any, patterns: Sequence[str]) -> None:
        """Choose topics by name or glob, all supported ones for no pattern at all."""
        self.path = path
        self.connections = list(reader.connections)
        self.chosen = choose(path, self.connections, patterns)
        self.tap: Optional[Tap] = None
        self._reader = reader
        self.total: Optional[int] = sum(connection.msgcount for connection in self.chosen)
        self.width = KINDS[self.chosen[0].msgtype].width

    def samples(self) -> Iterator[Sample]:
        """Yield the chosen topics' messages in recorded order, each after the tap has seen it."""
        chosen = {connection.id for connection in self.chosen}
        wanted = self.chosen if self.tap is None else self.connections
        empty = True
        for connection, log_ns, raw in self._messages(wanted):
            if self.tap is not None:
                self.tap(connection, log_ns, raw)
            if connection.id in chosen:
                empty = False
                yield self._sample(connection, log_ns, raw)
        if empty:
            raise InputError(f'{self.path}: is empty, it has no message on '
                             f'{", ".join(connection.topic for connection in self.chosen)}')

    def _messages(self, wanted: Sequence[Any]) -> Iterator[Any]:
        with readable(self.path):
            yield from self._reader.messages(connections=wanted)

    def _sample(self, connection: Any, log_ns: int, raw: bytes) -> Sample:
        kind = KINDS[connection.msgtype]
        with readable(self.path):
            message = store().deserialize_cdr(raw, connection.msgtype)
            stamp = message.header.stamp
            return Sample(connection.topic, stamp.sec * 1_000_000_000 + stamp.nanosec,
                          np.array(kind.read(message)), log_ns, message.header.frame_id)


def choose(path: Path, connections: Sequence[Any], patterns: Sequence[str]) -> List[Any]:
    """Return the supported connections that a pattern names; InputError lists what there is."""
    there = ', '.join(f'{c.topic} ({c.msgtype})' for c in connections) or 'no topics'
    supported = [c for c in connections if c.msgtype in KINDS]
    for pattern in patterns:
        if not any(fnmatchcase(c.topic, pattern) for c in supported):
            raise InputError(f'{path}: got topic {pattern!r}, expected one of the types '
                             f'{", ".join(KINDS)}; the bag has {there}')
    chosen = [c for c in supported
              if not patterns or any(fnmatchcase(c.topic, pattern) for pattern in patterns)]
    if not chosen:
        raise InputError(f'{path}: no topic of the types {", ".join(KINDS)}; '
                         f'the bag has {there}')
    return chosen


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn whatever a broken bag raises in the reader into an InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # a dozen kinds, MemoryError for an absurd length among them
        text = ' '.join(str(error).split()) or type(error).__name__
        raise InputError(f'{path}: is not a readable rosbag2, it may be truncated: {text}'
                         ) from error


@contextmanager
def open_bag(path: Path, patterns: Sequence[str] = ()) -> Iterator[BagSource]:
    """Open a rosbag2 folder, .mcap or .db3 file; InputError where it cannot be used."""
    if not path.exists():
        raise InputError(f'{path}: no such file or folder')
    if path.is_dir() and not (path / 'metadata.yaml').exists():
        raise InputError(f'{path}: is no rosbag2, it has no metadata.yaml')
    from rosbags.rosbag2 import Reader
    with readable(path):
        reader = Reader(path)
        reader.open()
    try:
        yield BagSource(path, reader, patterns)
    finally:
        reader.close()


def raw_messages(path: Path, topic: str) -> List[Tuple[int, bytes]]:
    """Return a topic's messages as they stand in the bag: (recorded at in ns, CDR)."""
    with open_bag(path, [topic]) as source:
        messages: List[Tuple[int, bytes]] = []
        source.tap = lambda connection, log_ns, raw: (
            messages.append((log_ns, bytes(raw))) if connection.topic == topic else None)
        for _ in source.samples():
            pass
    return messages


def storage_of(path: Path) -> str:
    """Return the suffix, .mcap or .db3, of a bag's storage; .mcap for what is no bag yet."""
    if path.is_dir():
        return '.db3' if any(path.glob('*.db3*')) else '.mcap'
    return path.suffix if path.suffix in STORAGES else '.mcap'


@contextmanager
def new_bag(path: Path, suffix: str) -> Iterator[Any]:
    """
    Yield a rosbags Writer; the bag appears under its path when the block ends well.

    path: a folder, or a single file where it ends in .mcap or .db3.
    suffix: the storage, .mcap or .db3; a single file's own suffix wins.
    """
    from rosbags.rosbag2 import StoragePlugin, Writer
    suffix = path.suffix if path.suffix in STORAGES else suffix
    plugin = StoragePlugin[STORAGES[suffix]]
    with replacing(path) as fresh:
        if path.suffix not in STORAGES:
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


@contextmanager
def write_bag(path: Path, suffix: str, source: Any) -> Iterator[Sink]:
    """
    Yield a function that writes a smoothed row as a message of its input's type.

    From a bag: the input's topics are copied untouched, the output goes to <topic>/smoothed.
    From a text file: one topic, /pose/smoothed or /point/smoothed.
    """
    with new_bag(path, suffix) as writer:
        if isinstance(source, BagSource):
            _copy_into(writer, source)
            outputs = {c.topic: (c.msgtype, declare(
                writer, c.topic + SUFFIX, c.msgtype, c.ext.offered_qos_profiles))
                for c in source.chosen}
        else:
            name, msgtype = TEXT_TOPICS[source.width]
            outputs = {'': (msgtype, declare(writer, name + SUFFIX, msgtype))}

        def write(sample: Sample, row: np.ndarray) -> None:
            msgtype, connection = outputs[sample.key]
            writer.write(connection, sample.log_ns, encode(sample, row, msgtype))

        yield write


def encode(sample: Sample, row: np.ndarray, msgtype: str) -> bytes:
    """Return a message in CDR with the sample's stamp and frame and this row."""
    sec, nanosec = divmod(sample.stamp_ns, 1_000_000_000)
    if not -2**31 <= sec < 2**31 or sample.log_ns < 0:
        raise InputError(f'got the stamp {sec} s, expected 0 to {2**31 - 1} s in a bag')
    types = store().types
    header = types['std_msgs/msg/Header'](
        types['builtin_interfaces/msg/Time'](sec, nanosec), sample.frame_id)
    message = KINDS[msgtype].build(types, header, row.tolist())
    return bytes(store().serialize_cdr(message, msgtype))


def declare(writer: Any, topic: str, msgtype: str, qos: Sequence[Any] = ()) -> Any:
    """Return the writer's connection for a topic of a supported type."""
    return writer.add_connection(topic, msgtype, typestore=store(), offered_qos_profiles=qos)


def _copy_into(writer: Any, source: BagSource) -> None:
    """Give the writer the source's connections and let its tap copy every message."""
    taken = {c.topic for c in source.connections}
    for connection in source.chosen:
        if connection.topic + SUFFIX in taken:
            raise InputError(f'{source.path}: has a topic {connection.topic + SUFFIX!r} already; '
                             '--topic chooses another one')
    copies: Dict[int, Any] = {}
    for c in source.connections:
        known = c.msgtype in store().fielddefs
        definition = {'typestore': store()} if known and not c.msgdef.data else {
            'msgdef': c.msgdef.data, 'rihs01': c.digest or _hash(c.msgtype)}
        copies[c.id] = writer.add_connection(
            c.topic, c.msgtype, serialization_format=c.ext.serialization_format,
            offered_qos_profiles=c.ext.offered_qos_profiles, **definition)

    def tap(connection: Any, log_ns: int, raw: bytes) -> None:
        writer.write(copies[connection.id], log_ns, raw)

    source.tap = tap


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
