# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Little-endian CDR: where the header, the names and the numbers of a message stand.

Four bytes say the encoding; all else is aligned to its own size from there on; a string is its
length with the closing zero, and its letters (OMG formal/2002-06-51, section 15.3; DDSI-RTPS 2.2,
section 10).
"""

from struct import Struct
from typing import Iterator, Tuple

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


def each_pose(raw: bytes, at: int, has_child: bool) -> Iterator[Tuple[int, str, str, np.ndarray]]:
    """Yield (stamp_ns, frame_id, child_frame_id, row (7,)) of stamped poses or transforms."""
    count, at = read_count(raw, at)
    child = ''
    for _ in range(count):
        stamp_ns, frame_id, at = read_header(raw, at)
        if has_child:
            child, at = read_string(raw, at)
        at = even(at)
        yield stamp_ns, frame_id, child, read_doubles(raw, at, 7)
        at += POSE_BYTES


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
        data = text.encode() + b'\0'
        self.count(len(data))
        self._out += data

    def header(self, stamp_ns: int, frame_id: str) -> None:
        """Append a std_msgs/Header; ValueError for a stamp that none holds."""
        sec, nanosec = divmod(stamp_ns, NS_PER_S)
        if not -2**31 <= sec < 2**31:
            raise ValueError(f'got the stamp {sec} s, expected -2^31 to 2^31 - 1 s in a bag')
        data = frame_id.encode() + b'\0'
        self._out += bytes(-len(self._out) % 4) + _HEADER.pack(sec, nanosec, len(data)) + data

    def doubles(self, *arrays: np.ndarray) -> None:
        """Append numbers."""
        self._out += bytes(even(len(self._out)) - len(self._out))
        for array in arrays:
            self._out += array.astype(DOUBLE, copy=False).tobytes()

    def message(self) -> bytes:
        """Return what there is."""
        return bytes(self._out)
