# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Little-endian CDR: where the header, the names and the numbers of a message stand.

Four bytes say the encoding; all else is aligned to its own size from there on; a string is its
length with the closing zero, and its letters (OMG formal/2002-06-51, section 15.3; DDSI-RTPS 2.2,
section 10).
"""

from struct import Struct
from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

from liquid_ros.timing import NS_PER_S

LITTLE = b'\0\1\0\0'
DOUBLE = np.dtype('<f8')
POSE_BYTES = 56
_HEADER = Struct('<iII')  # sec, nanosec, length of frame_id with its NUL
_COUNT = Struct('<I')


def bare(string: bytes) -> bytes:
    """Return a string's letters without the closing zero."""
    return string[:-1] if string[-1:] == b'\0' else string


def text(letters: bytes) -> str:
    """Return letters as text; what is no UTF-8 is replaced."""
    return letters.decode('utf-8', 'replace')


def letters(string: str) -> bytes:
    """Return a text's letters with the closing zero."""
    return string.encode('utf-8', 'replace') + b'\0'


def even(at: int) -> int:
    """Return where a double or a sequence of them begins that may begin here."""
    return at + (4 - at) % 8


def read_header(raw: bytes, at: int) -> Tuple[int, str, int]:
    """Return a std_msgs/Header's stamp in ns, its frame_id and where it ends."""
    sec, nanosec, size = _HEADER.unpack_from(raw, at)
    at += 12
    return sec * NS_PER_S + nanosec, text(bare(raw[at:at + size])), at + size


def read_count(raw: bytes, at: int) -> Tuple[int, int]:
    """Return a sequence's length and where that ends."""
    at += -at % 4
    return _COUNT.unpack_from(raw, at)[0], at + 4


def read_string(raw: bytes, at: int) -> Tuple[str, int]:
    """Return a string and where it ends."""
    size, at = read_count(raw, at)
    return text(bare(raw[at:at + size])), at + size


def read_doubles(raw: bytes, at: int, count: int) -> np.ndarray:
    """Return (count,) doubles; ValueError where the message is too short."""
    # in bytes of their own: aligned, in memory, to eight
    return np.frombuffer(raw[at:at + 8 * count], DOUBLE, count)


class Poses(NamedTuple):
    """Stamped poses: N stamps, their frames, rows (N, 7)."""

    stamps_ns: List[int]
    frames: List[str]
    rows: np.ndarray


def listed_poses(raw: bytes, at: int, has_child: bool) -> Tuple[Poses, List[str]]:
    """Return a sequence's stamped poses, or transforms, and their child_frame_ids, one by one."""
    count, at = read_count(raw, at)
    stamps_ns, frames, children, rows = [], [], [], []
    child = ''
    for _ in range(count):
        stamp_ns, frame_id, at = read_header(raw, at)
        if has_child:
            child, at = read_string(raw, at)
        at = even(at)
        rows.append(read_doubles(raw, at, 7))
        stamps_ns.append(stamp_ns)
        frames.append(frame_id)
        children.append(child)
        at += POSE_BYTES
    return Poses(stamps_ns, frames, np.array(rows).reshape(len(rows), 7)), children


def read_poses(raw: bytes, at: int) -> Poses:
    """
    Return the stamped poses of a sequence that begins there.

    Errors: struct.error, ValueError where the message is too short.
    """
    count, begun = read_count(raw, at)
    if count > 1:
        size = _HEADER.unpack_from(raw, begun)[2]
        name = raw[begun + 8:begun + 12 + size]  # with its length
        step, second = _stamped(len(name)), even(begun + 12 + size) + POSE_BYTES
        if len(raw) >= second + (count - 1) * step.itemsize:
            rest = np.frombuffer(raw, step, count - 1, second)
            if rest['name'].tobytes() == name * (count - 1):  # all in the same frame
                first, frame_id, _ = read_header(raw, begun)
                stamps = rest['sec'].astype(np.int64) * NS_PER_S + rest['nanosec']
                row = read_doubles(raw, second - POSE_BYTES, 7)
                return Poses([first, *stamps.tolist()], [frame_id] * count,
                             np.concatenate([row[None], rest['row']]))
    return listed_poses(raw, at, has_child=False)[0]


def _stamped(name: int) -> np.dtype:
    """Return a stamped pose behind another one; name: bytes of its frame and their count."""
    return np.dtype({
        'names': ['sec', 'nanosec', 'name', 'row'],
        'formats': ['<i4', '<u4', f'V{name}', (DOUBLE, 7)],
        'offsets': [0, 4, 8, (name + 15) // 8 * 8],
        'itemsize': (name + 15) // 8 * 8 + POSE_BYTES})


def _seconds(stamp_ns: int) -> Tuple[int, int]:
    sec, nanosec = divmod(stamp_ns, NS_PER_S)
    if not -2**31 <= sec < 2**31:
        raise ValueError(f'got the stamp {sec} s, expected -2^31 to 2^31 - 1 s in a message')
    return sec, nanosec


class Builder:
    """A message that grows."""

    def __init__(self) -> None:
        """Start with what says the encoding."""
        self._out = bytearray(LITTLE)

    def count(self, count: int) -> None:
        """Append a sequence's length."""
        self._out += bytes(-len(self._out) % 4) + _COUNT.pack(count)

    def string(self, text: str) -> None:
        """Append a string."""
        data = letters(text)
        self.count(len(data))
        self._out += data

    def header(self, stamp_ns: int, frame_id: str) -> None:
        """Append a std_msgs/Header; ValueError for a stamp that none holds."""
        data = letters(frame_id)
        self._out += bytes(-len(self._out) % 4) + _HEADER.pack(
            *_seconds(stamp_ns), len(data)) + data

    def doubles(self, *arrays: np.ndarray) -> None:
        """Append numbers."""
        self._out += bytes(even(len(self._out)) - len(self._out))
        for array in arrays:
            self._out += array.astype(DOUBLE, copy=False).tobytes()

    def poses(self, stamps_ns: Sequence[int], frames: Sequence[str], rows: np.ndarray) -> None:
        """Append a sequence of stamped poses (N, 7); errors as of header()."""
        self.count(len(rows))
        alike = len(set(frames)) == 1
        for stamp_ns, frame_id, row in zip(stamps_ns, frames, rows[:1] if alike else rows):
            self.header(stamp_ns, frame_id)
            self.doubles(row)
        if alike and len(rows) > 1:
            name = letters(frames[0])
            name = _COUNT.pack(len(name)) + name
            rest = np.zeros(len(rows) - 1, _stamped(len(name)))
            for extreme in (min(stamps_ns), max(stamps_ns)):
                _seconds(extreme)
            rest['sec'], rest['nanosec'] = np.divmod(np.array(stamps_ns[1:], np.int64), NS_PER_S)
            rest['name'], rest['row'] = np.void(name), rows[1:]
            self._out += rest.tobytes()

    def message(self) -> bytes:
        """Return what there is."""
        return bytes(self._out)


def path_of(stamp_ns: int, frame_id: str, poses: Poses) -> bytes:
    """Return a nav_msgs/Path; errors as of Builder.header()."""
    out = Builder()
    out.header(stamp_ns, frame_id)
    out.poses(*poses)
    return out.message()
