# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Messages as the bytes they travel in.

rclpy spends more time on making Python objects of a message, and a message of these, than the
smoother on its step; here the numbers are read out of the bytes and the output is written as
bytes, of either byte order; other encodings go through rclpy. Layout: cdr.py.
"""

import struct
from typing import Any, Dict, Sequence, Tuple

from geometry_msgs.msg import (
    PointStamped,
    PoseArray,
    PoseStamped,
    PoseWithCovarianceStamped,
    TransformStamped,
)
from nav_msgs.msg import Odometry, Path
import numpy as np
from rclpy.serialization import deserialize_message, serialize_message

from liquid_ros.cdr import bare, LITTLE, path_of, Poses, read_header, read_poses, text
from liquid_ros.geometry import own_variances, pose_covariance, stand_in_twist
from liquid_ros.ros.messages import Batch, Codec, Head, ONE, Smooth
from liquid_ros.timing import held_ns, NS_PER_S

ORIGIN = 4  # offsets are aligned from behind the encapsulation
HEADER = {order: struct.Struct(order + 'iII') for order in '<>'}  # sec, nanosec, len(frame_id)
LENGTH = {order: struct.Struct(order + 'I') for order in '<>'}
COVARIANCE = slice(7, 43)  # of the numbers of a pose with covariance
TWIST = slice(43, 85)  # and of an odometry: linear, angular, covariance


class MalformedError(ValueError):
    """Bytes that are no message of their type."""


def _malformed(raw: bytes, message: type, error: Exception) -> MalformedError:
    return MalformedError(f'got {len(raw)} bytes that are no {message.__name__}: {error}')


def _opened(raw: bytes, message: type) -> Tuple[bytes, str]:
    """Return a plain CDR message and its byte order; other encodings go through rclpy."""
    if len(raw) < ORIGIN:  # of which rclpy may die
        raise ValueError('there is no encapsulation')
    if raw[:1] != b'\0' or raw[1] > 1:
        raw = _again(raw, message)
    return raw, '<' if raw[1] else '>'


def _again(raw: bytes, message: type) -> bytes:
    """Return a message as rclpy would write it."""
    return serialize_message(  # type: ignore[no-any-return]
        deserialize_message(raw, message))


class Wire:
    """One type: its header, then so many strings and so many numbers, or an array of poses."""

    def __init__(self, message: type, strings: int, numbers: int) -> None:
        """Prepare to read; numbers: doubles, -1 for an array of poses."""
        self.message, self._strings, self._count = message, strings, numbers
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
            raw, order = _opened(raw, self.message)
            sec, nanosec, length = HEADER[order].unpack_from(raw, ORIGIN)
            at = ORIGIN + HEADER[order].size
            strings = [raw[at:at + length]]
            at += length
            for _ in range(self._strings):
                at = at + 3 & ~3
                length, = LENGTH[order].unpack_from(raw, at)
                at += 4
                strings.append(raw[at:at + length])
                at += length
            numbers: Any
            if self._count < 0:
                at = at + 3 & ~3
                count, = LENGTH[order].unpack_from(raw, at)
                at = (at + 4 - ORIGIN + 7 & ~7) + ORIGIN
                numbers = np.zeros((0, 7)) if not count else np.frombuffer(
                    raw, order + 'f8', 7 * count, at).reshape(count, 7).astype(np.float64)
            else:
                at = (at - ORIGIN + 7 & ~7) + ORIGIN
                numbers = self._numbers[order].unpack_from(raw, at)
        except (struct.error, ValueError, IndexError, RuntimeError) as error:
            raise _malformed(raw, self.message, error) from error
        self._last = given, (sec * NS_PER_S + nanosec, tuple(map(bare, strings)), numbers)
        return self._last[1]

    def join(self, head: Head, frame: bytes, strings: Sequence[bytes], numbers: Any) -> bytes:
        """Return a message; frame: how frame_id was written, where the head has the same."""
        if text(frame) != head.frame_id:
            frame = head.frame_id.encode('utf-8', 'replace')
        sec, nanosec = divmod(held_ns(head.stamp_ns), NS_PER_S)
        out = HEADER['<'].pack(sec, nanosec, len(frame) + 1) + frame + b'\0'
        for string in strings:
            out += bytes(-len(out) % 4) + LENGTH['<'].pack(len(string) + 1) + string + b'\0'
        if self._count < 0:
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
        return text(self.split(raw)[1][1]) if self._strings else ''


def odometry(head: Head, child_frame_id: str, numbers: np.ndarray) -> bytes:
    """Return an Odometry; numbers (85,): pose, its covariance, twist, its covariance."""
    return _ODOMETRY.join(head, b'', (child_frame_id.encode('utf-8', 'replace'),),
                          numbers.tolist())


_ODOMETRY = Wire(Odometry, 1, 85)


def path(head: Head, poses: Poses) -> bytes:
    """Return a Path; a stamp beyond what a message holds becomes the furthest."""
    return path_of(held_ns(head.stamp_ns), head.frame_id, poses._replace(
        stamps_ns=[held_ns(stamp_ns) for stamp_ns in poses.stamps_ns]))


def _one(stamp_ns: int, frame: bytes, row: Sequence[float]) -> Batch:
    return Batch(ONE, (stamp_ns,), np.array([row]), (text(frame),))


def _simple(message: type, width: int) -> Codec:
    """Return the codec of a type that is a header and one row."""
    wire = Wire(message, 0, width)

    def read(raw: bytes) -> Batch:
        stamp_ns, (frame,), row = wire.split(raw)
        return _one(stamp_ns, frame, row)

    def write(raw: bytes, head: Head, smooth: Smooth) -> bytes:
        return wire.join(head, wire.split(raw)[1][0], (), smooth.rows[0].tolist())

    return Codec(message, width, read, write, wire.moved, wire.child, _nothing, many=False)


def _nothing(_: bytes) -> Sequence[float]:
    return ()


def _transform() -> Codec:
    wire = Wire(TransformStamped, 1, 7)

    def read(raw: bytes) -> Batch:
        stamp_ns, (frame, child), row = wire.split(raw)
        return _one(stamp_ns, frame, row)._replace(keys=(text(child),))

    def write(raw: bytes, head: Head, smooth: Smooth) -> bytes:
        frame, child = wire.split(raw)[1]
        return wire.join(head, frame, (child,), smooth.rows[0].tolist())

    return Codec(wire.message, 7, read, write, wire.moved, wire.child, _nothing, many=True)


def _covariant(message: type, strings: int, count: int) -> Codec:
    """Return the codec of a pose with covariance, or of an odometry."""
    wire = Wire(message, strings, count)

    def read(raw: bytes) -> Batch:
        stamp_ns, (frame, *_), numbers = wire.split(raw)
        batch = _one(stamp_ns, frame, numbers[:7])
        return batch._replace(variances=own_variances(
            np.array([numbers[COVARIANCE]]), batch.rows[:, 3:]))

    def write(raw: bytes, head: Head, smooth: Smooth) -> bytes:
        _, (frame, *others), numbers = wire.split(raw)
        quat = smooth.rows[:, 3:]
        twist = numbers[TWIST]
        if not np.isfinite(twist).all():
            twist = stand_in_twist(smooth.twist, quat)[0]
        return wire.join(head, frame, others, (
            *smooth.rows[0], *pose_covariance(smooth.variance, quat)[0], *twist))

    def numbers(raw: bytes) -> Sequence[float]:
        return wire.split(raw)[2][7:]  # type: ignore[no-any-return]

    return Codec(message, 7, read, write, wire.moved, wire.child, numbers, many=False)


def _poses() -> Codec:
    wire = Wire(PoseArray, 0, -1)

    def read(raw: bytes) -> Batch:
        stamp_ns, (frame,), rows = wire.split(raw)
        heads = max(len(rows), 1)
        return Batch(range(len(rows)), (stamp_ns,) * heads, rows, (text(frame),) * heads)

    def write(raw: bytes, head: Head, smooth: Smooth) -> bytes:
        rows = np.where(np.isnan(smooth.rows[:, :1]), 0.0, smooth.rows)
        return wire.join(head, wire.split(raw)[1][0], (), rows)

    return Codec(wire.message, 7, read, write, wire.moved, wire.child, _nothing, many=True)


class Paths:
    """A nav_msgs/Path: a header and poses with headers of their own."""

    def __init__(self) -> None:
        """Prepare to read."""
        self._last: Tuple[Any, str, Poses] = None, '', Poses([], [], np.zeros((0, 7)))

    def _split(self, raw: bytes) -> Tuple[str, Poses]:
        """Return the path's frame_id and its poses. Errors: MalformedError."""
        if raw is not self._last[0]:
            try:
                plain, order = _opened(raw, Path)
                if order == '>':
                    plain = _again(plain, Path)
                _, frame_id, at = read_header(plain, ORIGIN)
                self._last = raw, frame_id, read_poses(plain, at)
            except (struct.error, ValueError, RuntimeError) as error:
                raise _malformed(raw, Path, error) from error
        return self._last[1:]

    def read(self, raw: bytes) -> Batch:
        """Take a pose without a frame to be in the path's."""
        frame_id, poses = self._split(raw)
        return Batch(ONE * len(poses.rows), poses.stamps_ns, poses.rows,
                     [own or frame_id for own in poses.frames])

    def write(self, raw: bytes, head: Head, smooth: Smooth) -> bytes:
        """Leave out poses of which nothing is known."""
        stamps_ns, frames, _ = self._split(raw)[1]
        known = np.flatnonzero(~np.isnan(smooth.rows[:, 0])).tolist()
        return path(head, Poses([stamps_ns[i] for i in known], [frames[i] for i in known],
                                smooth.rows[known]))

    def moved(self, raw: bytes, head: Head) -> bytes:
        """Return the message as it is under another header."""
        return path(head, self._split(raw)[1])


def _path() -> Codec:
    wire = Paths()
    return Codec(Path, 7, wire.read, wire.write, wire.moved, lambda raw: '', _nothing, many=False)


# A new type is a codec and a line here.
WIRES: Dict[str, Codec] = {
    'pose': _simple(PoseStamped, 7),
    'point': _simple(PointStamped, 3),
    'pose_with_covariance': _covariant(PoseWithCovarianceStamped, 0, 43),
    'transform': _transform(),
    'pose_array': _poses(),
    'odometry': _covariant(Odometry, 1, 85),
    'path': _path(),
}
