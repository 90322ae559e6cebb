# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What can be read of a broken bag: a recorder that was killed, a copy that was cut off.

An mcap is read record by record up to where it breaks, without its index; a chunk that is damaged
or compressed and not whole is left out. A sqlite3 file is read page by page.
Source: mcap.dev/spec.
"""

import contextlib
import os
from pathlib import Path
import re
import shutil
import sqlite3
from struct import error as StructError
from struct import Struct
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, BinaryIO, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import quote

from liquid_ros.errors import InputError, UnreadableError
from liquid_ros.evaluation.salvage_sqlite import rows

MAGIC = b'\x89MCAP0\r\n'
SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 3, 4, 5, 6, 15
_LENGTH, _WORD, _SHORT = Struct('<Q'), Struct('<I'), Struct('<H')
_MESSAGE = Struct('<HIQQ')
_CHUNK = Struct('<QQQI')

Found = Tuple[Any, int, bytes]


class Connection(NamedTuple):
    """A topic, as rosbags has it."""

    id: int
    topic: str
    msgtype: str
    msgcount: int
    msgdef: Any
    digest: str
    ext: Any


def _connection(number: int, topic: str, msgtype: str, definition: str, encoding: str
                ) -> Connection:
    return Connection(number, topic, msgtype, 0, SimpleNamespace(data=definition), '',
                      SimpleNamespace(serialization_format=encoding, offered_qos_profiles=[]))


class Salvage:
    """Reads like rosbags' Reader; problems tell what is lost."""

    def __init__(self, path: Path, why: str) -> None:
        """
        Look through all there is once, for the topics.

        why: what is wrong with the bag. Errors: UnreadableError where no message can be read,
        InputError for a folder of several bags.
        """
        there = list(path.iterdir()) if path.is_dir() else [path]
        # of one that was about to be packed there are both, and which of them is whole is known
        self._files = sorted((file for file in there if _plain(file).suffix in ('.mcap', '.db3')
                              and (file == _plain(file) or _plain(file) not in there)),
                             key=_in_turn)
        if path.is_dir() and not (path / 'metadata.yaml').exists() and len(
                set(map(_whole, self._files))) > 1:
            raise InputError(f'{path}: holds several recordings: name them one by one')
        self._ids: Dict[Tuple[str, str], int] = {}
        self._known: Dict[int, Connection] = {}
        self.problems: List[str] = []
        counts: Dict[int, int] = {}
        for connection, _, _ in self._all(self.problems):
            counts[connection.id] = counts.get(connection.id, 0) + 1
        self.connections = [connection._replace(msgcount=counts.get(number, 0))
                            for number, connection in self._known.items()]
        if not counts:
            raise UnreadableError(why)
        self.problems.insert(0, f'{why}; {sum(counts.values())} messages were read')

    def messages(self, connections: Sequence[Any]) -> Iterator[Found]:
        """Yield (connection, log_ns, CDR) of these connections."""
        wanted = {connection.id for connection in connections}
        for connection, log_ns, raw in self._all([]):
            if connection.id in wanted:
                yield connection, log_ns, raw

    def close(self) -> None:
        """Do nothing: files are open only while they are read."""

    def _all(self, problems: List[str]) -> Iterator[Found]:
        for file in self._files:
            for connection, log_ns, raw in _messages(file, problems):
                name = connection.topic, connection.msgtype
                number = self._ids.setdefault(name, len(self._ids) + 1)
                if number not in self._known:
                    self._known[number] = connection._replace(id=number)
                yield self._known[number], log_ns, raw


def _plain(file: Path) -> Path:
    """Return what a file is called that is not compressed as a whole."""
    return file.with_suffix('') if file.suffix == '.zstd' else file


def _messages(file: Path, problems: List[str]) -> Iterator[Found]:
    plain = _plain(file)
    reader = _mcap if plain.suffix == '.mcap' else _sqlite
    if file == plain:
        yield from reader(file, problems)
        return
    from rosbags.rosbag2.storage_mcap import DECOMPRESSORS
    with TemporaryDirectory() as folder:
        copy = Path(folder, plain.name)
        try:
            copy.write_bytes(DECOMPRESSORS['zstd'](file.read_bytes(), 0))
        except Exception as error:  # of its own kind, or MemoryError for an absurd length
            problems.append(f'{file.name}: is damaged: {error}')
            return
        yield from reader(copy, problems)


def _in_turn(file: Path) -> List[Tuple[int, str]]:
    """Return a key that puts bag_10.mcap behind bag_2.mcap."""
    return [(int(part), '') if part.isdecimal() else (-1, part)
            for part in re.split(r'([0-9]+)', file.name)]


def _whole(file: Path) -> Tuple[str, str]:
    """Return the storage and the name of the bag that a file is all of, or a part, NAME_<n>."""
    plain = _plain(file)
    part = re.fullmatch('(.+)_[0-9]+', plain.stem)
    return plain.suffix, part[1] if part else plain.name


def _mcap(path: Path, problems: List[str]) -> Iterator[Found]:
    schemas: Dict[int, Tuple[str, str]] = {}
    channels: Dict[int, Connection] = {}
    with open(path, 'rb') as file:
        if file.read(len(MAGIC)) != MAGIC:
            problems.append(f'{path.name}: is no mcap')
            return
        while True:
            record = _record(file)
            if record is None or record[0] == DATA_END:
                return
            try:
                inner = _chunk(record[1]) if record[0] == CHUNK else [record]
                for one in inner:
                    found = _take(one, schemas, channels)
                    if found is not None:
                        yield found
            except (StructError, UnicodeDecodeError):
                problems.append(f'{path.name}: a record is damaged')
            except Exception as error:  # whatever a decompressor raises
                problems.append(f'{path.name}: a chunk is damaged: {error}')


def _record(file: BinaryIO) -> Optional[Tuple[int, bytes]]:
    """Return the next record's kind and body; None where it is not whole, but for a chunk."""
    head = file.read(9)
    if len(head) < 9:
        return None
    size, = _LENGTH.unpack_from(head, 1)
    body = file.read(min(size, os.fstat(file.fileno()).st_size))  # the length may be damaged
    return (head[0], body) if len(body) == size or head[0] == CHUNK else None


def _chunk(body: bytes) -> List[Tuple[int, bytes]]:
    """Return the records of a chunk."""
    from rosbags.rosbag2.storage_mcap import decompress
    _, _, size, crc = _CHUNK.unpack_from(body)
    name, at = _text(body, _CHUNK.size)
    stored, = _LENGTH.unpack_from(body, at)
    at += 8
    data, at, records = body[at:at + stored], 0, []
    if name or len(data) == stored:
        data = decompress(data, name, size, crc)
    while at + 9 <= len(data):
        length, = _LENGTH.unpack_from(data, at + 1)
        if at + 9 + length <= len(data):
            records.append((data[at], data[at + 9:at + 9 + length]))
        at += 9 + length
    return records


def _take(record: Tuple[int, bytes], schemas: Dict[int, Tuple[str, str]],
          channels: Dict[int, Connection]) -> Optional[Found]:
    """Take a schema or channel to heart, or return a message."""
    kind, body = record
    if kind == SCHEMA:
        name, at = _text(body, 2)
        _, at = _text(body, at)
        schemas[_SHORT.unpack_from(body)[0]] = name, _text(body, at)[0]
    elif kind == CHANNEL:
        number, schema = _SHORT.unpack_from(body)[0], _SHORT.unpack_from(body, 2)[0]
        topic, at = _text(body, 4)
        encoding, _ = _text(body, at)
        msgtype, definition = schemas.get(schema, ('', ''))
        channels.setdefault(number, _connection(number, topic, msgtype, definition, encoding))
    elif kind == MESSAGE:
        number, _, log_ns, _ = _MESSAGE.unpack_from(body)
        if number in channels:
            return channels[number], log_ns, body[_MESSAGE.size:]
    return None


def _text(body: bytes, at: int) -> Tuple[str, int]:
    size, = _WORD.unpack_from(body, at)
    return body[at + 4:at + 4 + size].decode(), at + 4 + size


def _sqlite(path: Path, problems: List[str]) -> Iterator[Found]:
    log = path.with_name(path.name + '-wal')
    if log.exists():  # what a killed recorder had not moved into the file yet: SQLite moves it
        with TemporaryDirectory() as folder:
            copy = Path(folder, path.name)
            for file in (path, log):
                shutil.copyfile(file, copy.with_name(file.name))
            with contextlib.suppress(sqlite3.Error), contextlib.closing(
                    sqlite3.connect(copy)) as database:
                database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
            yield from _pages(copy, problems)
    else:
        yield from _pages(path, problems)


def _pages(path: Path, problems: List[str]) -> Iterator[Found]:
    try:
        database = sqlite3.connect(f'file:{quote(str(path))}?immutable=1', uri=True)
        try:
            # a file shorter than it says is refused otherwise
            database.execute('PRAGMA writable_schema=ON')
            topics = {number: _connection(number, topic, msgtype, '', encoding)
                      for number, topic, msgtype, encoding in database.execute(
                          'SELECT id, name, type, serialization_format FROM topics')}
        finally:
            database.close()
        for number, log_ns, raw in rows(path):
            if number in topics:
                yield topics[number], log_ns, raw
    except (sqlite3.Error, UnicodeDecodeError) as error:
        problems.append(f'{path.name}: {error}')
