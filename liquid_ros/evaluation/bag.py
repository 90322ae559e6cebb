# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Bags of rosbag2, mcap and sqlite3, read without ROS through rosbags."""

from collections import defaultdict
from contextlib import contextmanager
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from struct import error as StructError
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from liquid_ros.cdr import LITTLE
from liquid_ros.errors import InputError, UnreadableError
from liquid_ros.evaluation.bag_messages import KINDS, store, TRANSFORMS
from liquid_ros.evaluation.sample import Sample
from liquid_ros.frames import fits, is_smooth
from liquid_ros.navsat import Datum, Fixes

TOLD = 20  # streams
STATIC = 'tf_static'  # how topics end whose transforms never change
ZSTD = b'\x28\xb5\x2f\xfd'  # how a frame begins, and no CDR (RFC 8878, 3.1.1)

Tap = Callable[[Any, int, bytes], None]


class BagSource:
    """The topics of an opened bag that are to be smoothed; taps see all messages."""

    def __init__(self, path: Path, reader: Any, patterns: Sequence[str], left_out: Sequence[str]
                 ) -> None:
        """Choose topics by name or glob, all supported ones for no pattern at all."""
        self.path = path
        self.problems: List[str] = list(getattr(reader, 'problems', ()))
        self.connections = list(reader.connections)
        self.chosen = choose(path, self.connections, patterns, left_out)
        self.taps: List[Tap] = []
        self.others: Dict[str, None] = {}  # streams that were not asked for
        self._reader = reader
        self._streams = [pattern.partition('#') for pattern in patterns]
        self._without = [one.partition('#') for one in left_out if '#' in one
                         and one not in patterns]
        self.total: Optional[int] = sum(connection.msgcount for connection in self.chosen)
        self.datum = Datum()  # of all fixes in it
        self._fixes: Dict[str, Fixes] = defaultdict(partial(Fixes, self.datum))  # by topic
        self.width = KINDS[self.chosen[0].msgtype].width

    def samples(self) -> Iterator[Sample]:
        """Yield the chosen topics' messages as recorded, each after the taps have seen it."""
        chosen = {connection.id for connection in self.chosen}
        wanted = self.connections if self.taps else self.chosen
        empty = True
        broken: Dict[str, int] = {}
        for connection, log_ns, raw in self._messages(wanted):
            if raw[:4] == ZSTD:  # rosbags knows of it from metadata.yaml alone
                raw = _decompressed(raw)
            for tap in self.taps:
                tap(connection, log_ns, raw)
            if connection.id not in chosen:
                continue
            empty = False
            sample = self._sample(connection, log_ns, raw)
            if sample is None:
                broken[connection.topic] = broken.get(connection.topic, 0) + 1
            elif sample.stamps_ns:
                yield sample
        self.problems += [f'{topic}: {count} messages are damaged'
                          for topic, count in broken.items()]
        if empty:
            topics = ', '.join(connection.topic for connection in self.chosen)
            raise (UnreadableError if self.problems else InputError)(
                f'{self.path}: is empty, it has no message on {topics}')

    def _messages(self, wanted: Sequence[Any]) -> Iterator[Any]:
        count, last_ns = 0, -1
        try:
            with readable(self.path):
                for message in self._reader.messages(connections=wanted):
                    count, last_ns = count + 1, message[1]
                    yield message
        except UnreadableError as error:  # the index is whole, but not what it points to
            for message in self._salvaged(wanted, error, last_ns):
                count += 1
                yield message
            if not count:
                raise
            total = sum(connection.msgcount for connection in wanted)
            self.problems.append(f'{error}; {count} of {total} messages were read')

    def _salvaged(self, wanted: Sequence[Any], error: UnreadableError, last_ns: int
                  ) -> Iterator[Tuple[Any, int, bytes]]:
        """Yield what can be read behind a damaged place, of later than the last message."""
        from liquid_ros.evaluation.salvage import Salvage
        if isinstance(self._reader, Salvage):
            return
        try:
            salvage = Salvage(self.path, str(error))
        except UnreadableError:
            return
        own = {connection.topic: connection for connection in wanted}
        self.problems += salvage.problems[1:]
        for connection, log_ns, raw in salvage.messages(salvage.connections):
            if connection.topic in own and log_ns > last_ns:
                yield own[connection.topic], log_ns, raw

    def _sample(self, connection: Any, log_ns: int, raw: bytes) -> Optional[Sample]:
        try:
            if raw[:2] != LITTLE[:2]:
                with readable(self.path):
                    raw = bytes(store().serialize_cdr(
                        store().deserialize_cdr(raw, connection.msgtype), connection.msgtype))
            kind = KINDS[connection.msgtype]
            fixes = (self._fixes[connection.topic],) if kind.geodetic else ()
            sample = kind.read(connection.topic, log_ns, raw, *fixes)
            return self._of_streams(sample, connection.msgtype == TRANSFORMS)
        except (StructError, ValueError, UnreadableError):
            return None

    def _of_streams(self, sample: Sample, listed: bool) -> Sample:
        """
        Return the message with the streams only that were asked for.

        listed: of transforms those that are smooth already are asked for by their names alone.
        """
        wanted, without = ([stream or '*' for topic, _, stream in streams
                            if fnmatchcase(sample.topic, topic)]
                           for streams in (self._streams, self._without))
        every = not without and (not wanted or '*' in wanted)
        if every and not listed:
            return sample
        keys = list(map(str, sample.keys))
        smooth = {key for key in keys if listed and is_smooth(key)}
        if every and not smooth:
            return sample
        named = list(filter(is_smooth, wanted))
        kept = [i for i, key in enumerate(keys) if not fits(key, without) and fits(
            key, named if key in smooth else wanted or ['*'])]
        if len(kept) == len(keys):
            return sample
        if len(self.others) < TOLD:
            self.others.update(dict.fromkeys(
                key for key in keys[:TOLD] if key not in smooth))
        return sample._replace(
            keys=[sample.keys[i] for i in kept], stamps_ns=[sample.stamps_ns[i] for i in kept],
            rows=sample.rows[kept], frames=[sample.frames[i] for i in kept],
            variances=None if sample.variances is None else sample.variances[kept])


def _instead(pattern: str, connections: Sequence[Any]) -> str:
    """Return what is wrong with a pattern that names nothing supported, and what is near it."""
    name = pattern.partition('#')[0]
    if any(fnmatchcase(c.topic, name) for c in connections):
        return f'expected one of the types {", ".join(KINDS)}'
    near = get_close_matches(name, [c.topic for c in connections if c.msgtype in KINDS], 1)
    return 'but none has that name' + ''.join(f' (did you mean {one}?)' for one in near)


def choose(path: Path, connections: Sequence[Any], patterns: Sequence[str],
           left_out: Sequence[str] = ()) -> List[Any]:
    """
    Return the supported connections that a pattern names, those of a topic all of one type.

    patterns: TOPIC or TOPIC#STREAM, both globs; without any, all but transforms that never change
    and what the node or smooth made of another topic.
    left_out: likewise what is not chosen, unless a pattern is the same.
    Errors: InputError, which lists what there is.
    """
    there = ', '.join(f'{c.topic} ({c.msgtype})' for c in connections) or 'no topics'
    there = ' '.join(there.split())  # a damaged name may have lines
    supported = [c for c in connections if c.msgtype in KINDS]
    for pattern in patterns:
        named = [c for c in supported if fnmatchcase(c.topic, pattern.partition('#')[0])]
        if not named:
            raise InputError(f'{path}: got topic {pattern!r}, {_instead(pattern, connections)}; '
                             f'the bag has {there}')
        if not any(_names(pattern, c) for c in named):
            raise InputError(f'{path}: got {pattern!r}, expected no # behind it: '
                             f'{named[0].msgtype} has one stream')
    without = [one for one in left_out if '#' not in one and one not in patterns]
    made = _made({c.topic for c in supported})
    chosen = [c for c in supported if (
        any(_names(pattern, c) for pattern in patterns) if patterns
        else not c.topic.endswith(STATIC) and c.topic not in made
    ) and not any(_names(one, c) for one in without)]
    if not chosen:
        raise InputError(f'{path}: no topic of the types {", ".join(KINDS)}'
                         + ''.join(f' beside {one}' for one in without)
                         + f'; the bag has {there}')
    types: Dict[str, str] = {}
    for c in chosen:
        if types.setdefault(c.topic, c.msgtype) != c.msgtype:
            raise InputError(f'{path}: {c.topic} is of two types, {types[c.topic]} and '
                             f'{c.msgtype}; --topic chooses another one')
    return chosen


def _made(topics: Set[str]) -> Set[str]:
    """Return those that a smoother made of others, by their names."""
    found = set()
    for smooth in (f'{topic}/smoothed' for topic in topics):
        topic = smooth[:-len('/smoothed')]
        if smooth in topics:
            beside = smooth, f'{topic}/path', f'{topic}/odometry'
            found |= {one for one in topics if one in beside or one.startswith(
                (f'{smooth}_with_covariance', f'{topic}/path/'))}
    return found


def _decompressed(raw: bytes) -> bytes:
    """Return the message in a frame, or a damaged one as it is."""
    from rosbags.rosbag2.storage_mcap import DECOMPRESSORS
    try:
        return DECOMPRESSORS['zstd'](raw, 0)
    except Exception:  # of its own kind, or MemoryError for an absurd length
        return raw


def _names(pattern: str, connection: Any) -> bool:
    topic, _, stream = pattern.partition('#')
    return fnmatchcase(connection.topic, topic) and (
        not stream or KINDS[connection.msgtype].many)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn whatever a broken bag raises in the reader into an UnreadableError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # a dozen kinds, MemoryError for an absurd length among them
        text = ' '.join(str(error).split()) or type(error).__name__
        raise UnreadableError(f'{path}: is not a readable rosbag2, it may be truncated: {text}'
                              ) from error


@contextmanager
def open_bag(path: Path, patterns: Sequence[str] = (), left_out: Sequence[str] = ()
             ) -> Iterator[BagSource]:
    """
    Open a rosbag2 folder, .mcap or .db3 file; of a broken one what can be read.

    patterns, left_out: as in choose.
    Errors: InputError where it cannot be used, UnreadableError where nothing can be read.
    """
    if not path.exists():
        raise InputError(f'{path}: no such file or folder')
    reader = _open(path)
    try:
        yield BagSource(path, reader, patterns, left_out)
    finally:
        reader.close()


def _open(path: Path) -> Any:
    try:
        from rosbags.rosbag2 import Reader
    except ImportError as error:
        raise InputError(f'{path}: a bag needs rosbags: pip install rosbags ({error})') from error
    try:
        with readable(path):
            _no_folder_of_bags(path)
            _closed(path)
            reader = Reader(path)
            reader.open()
            return reader
    except UnreadableError as error:
        from liquid_ros.evaluation.salvage import Salvage
        return Salvage(path, str(error))


def _no_folder_of_bags(path: Path) -> None:
    """Raise InputError for a folder that is no bag and has some in it."""
    if path.is_dir() and not any(file.is_file() for file in path.iterdir()):
        bags = sorted(file.parent.name for file in path.glob('*/metadata.yaml'))
        if bags:
            raise InputError(f'{path}: is no rosbag2, but has some in it, such as {bags[0]}: name '
                             f'them, as in {path}/*')


def _closed(path: Path) -> None:
    """Raise UnreadableError where there are messages in a log, of which rosbags does not know."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        log = file.with_name(file.name + '-wal')
        if file.suffix == '.db3' and log.exists() and log.stat().st_size:
            raise UnreadableError(f'{path}: was not closed, {log.name} is left')


def raw_messages(path: Path, topic: str) -> List[Tuple[int, bytes]]:
    """Return a topic's messages as they stand in the bag: (recorded at in ns, CDR)."""
    with open_bag(path, [topic]) as source:
        messages: List[Tuple[int, bytes]] = []
        source.taps.append(lambda connection, log_ns, raw: (
            messages.append((log_ns, bytes(raw))) if connection.topic == topic else None))
        for _ in source.samples():
            pass
    return messages
