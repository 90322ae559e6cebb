# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where the header, the names and the numbers of a message stand; bytes of either byte order."""

import struct
from typing import Any, Callable, Sequence, Tuple

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message

from liquid_ros.cdr import bare, LITTLE, text
from liquid_ros.ros.messages import Head, message_class
from liquid_ros.timing import held_ns, NS_PER_S

ORIGIN = 4  # offsets are aligned from behind the encapsulation
HEADER = {order: struct.Struct(order + 'iII') for order in '<>'}  # sec, nanosec, len(frame_id)
LENGTH = {order: struct.Struct(order + 'I') for order in '<>'}


class MalformedError(ValueError):
    """Bytes that are no message of their type."""


def malformed(raw: bytes, kind: str, error: Exception) -> MalformedError:
    """Return the error of bytes that are no message of that ROS name."""
    return MalformedError(f'got {len(raw)} bytes that are no {kind.rpartition("/")[2]}: {error}')


def opened(raw: bytes, kind: str) -> Tuple[bytes, str]:
    """Return a plain CDR message and its byte order; other encodings go through rclpy."""
    if len(raw) < ORIGIN:  # of which rclpy may die
        raise ValueError('there is no encapsulation')
    if raw[:1] != b'\0' or raw[1] > 1:
        raw = again(raw, kind)
    return raw, '<' if raw[1] else '>'


def again(raw: bytes, kind: str) -> bytes:
    """Return a message as rclpy would write it."""
    return serialize_message(  # type: ignore[no-any-return]
        deserialize_message(raw, message_class(kind)))


def little(raw: bytes, kind: str) -> bytes:
    """Return a message as little-endian CDR."""
    plain, order = opened(raw, kind)
    return plain if order == '<' else again(plain, kind)


class Once:
    """Reads a type's messages as little-endian CDR; what was read and is written is kept."""

    def __init__(self, kind: str, read: Callable[[bytes], Any]) -> None:
        """Prepare to read; read: of the bytes."""
        self._kind, self._read = kind, read
        self._last: Tuple[Any, Any] = None, None

    def __call__(self, raw: bytes) -> Any:
        """Return what a message says. Errors: MalformedError."""
        if raw is not self._last[0]:
            try:
                self._last = raw, self._read(little(raw, self._kind))
            except (struct.error, ValueError, RuntimeError) as error:
                raise malformed(raw, self._kind, error) from error
        return self._last[1]


class Layout:
    """One type: its header, then so many strings and so many numbers, or an array of poses."""

    def __init__(self, kind: str, strings: int, numbers: int, before: bytes = b'') -> None:
        """Prepare to read; numbers: doubles, -1 for an array of poses. before: the header."""
        self.kind, self.strings, self.count, self.before = kind, strings, numbers, before
        self._last: Tuple[Any, Tuple[int, Tuple[bytes, ...], Any]] = None, (0, (), ())
        self._numbers = {order: struct.Struct(f'{order}{max(numbers, 0)}d') for order in '<>'}

    def split(self, raw: bytes) -> Tuple[int, Tuple[bytes, ...], Any]:
        """
        Return the stamp in ns, frame_id and the other strings, and the numbers.

        Errors: MalformedError.
        """
        if raw is self._last[0]:  # read, and now written
            return self._last[1]
        given = raw
        try:
            raw, order = opened(raw, self.kind)
            at = ORIGIN + len(self.before)
            if raw[ORIGIN:at] != self.before:
                raise ValueError('there are more or fewer in it than one')
            sec, nanosec, length = HEADER[order].unpack_from(raw, at)
            at += HEADER[order].size
            strings = [raw[at:at + length]]
            at += length
            for _ in range(self.strings):
                at = at + 3 & ~3
                length, = LENGTH[order].unpack_from(raw, at)
                at += 4
                strings.append(raw[at:at + length])
                at += length
            numbers: Any
            if self.count < 0:
                at = at + 3 & ~3
                count, = LENGTH[order].unpack_from(raw, at)
                at = (at + 4 - ORIGIN + 7 & ~7) + ORIGIN
                numbers = np.zeros((0, 7)) if not count else np.frombuffer(
                    raw, order + 'f8', 7 * count, at).reshape(count, 7).astype(np.float64)
            else:
                at = (at - ORIGIN + 7 & ~7) + ORIGIN
                numbers = self._numbers[order].unpack_from(raw, at)
        except (struct.error, ValueError, IndexError, RuntimeError) as error:
            raise malformed(raw, self.kind, error) from error
        self._last = given, (sec * NS_PER_S + nanosec, tuple(map(bare, strings)), numbers)
        return self._last[1]

    def join(self, head: Head, frame: bytes, strings: Sequence[bytes], numbers: Any) -> bytes:
        """Return a message; frame: how frame_id was written, where the head has the same."""
        if text(frame) != head.frame_id:
            frame = head.frame_id.encode('utf-8', 'replace')
        sec, nanosec = divmod(held_ns(head.stamp_ns), NS_PER_S)
        out = self.before + HEADER['<'].pack(sec, nanosec, len(frame) + 1) + frame + b'\0'
        for string in strings:
            out += bytes(-len(out) % 4) + LENGTH['<'].pack(len(string) + 1) + string + b'\0'
        if self.count < 0:
            out += bytes(-len(out) % 4) + LENGTH['<'].pack(len(numbers))
            if len(numbers):
                out += bytes(-len(out) % 8) + np.ascontiguousarray(numbers, '<f8').tobytes()
        else:
            out += bytes(-len(out) % 8) + self._numbers['<'].pack(*numbers)
        return LITTLE + out

    def moved(self, raw: bytes, head: Head) -> bytes:
        """Return the message as it is under another header."""
        _, (frame, *strings), numbers = self.split(raw)
        return self.join(head, frame, strings, numbers)

    def child(self, raw: bytes) -> str:
        """Return the child_frame_id, '' where the type has none."""
        return text(self.split(raw)[1][1]) if self.strings else ''
