# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Messages as the bytes they travel in.

rclpy spends more time on making Python objects of a message, and a message of these, than the
smoother on its step; here the numbers are read out of the bytes and the output is written as
bytes, of either byte order; other encodings go through rclpy. Layout: cdr.py.
"""

from typing import Dict, Sequence, Tuple

import numpy as np

from liquid_ros.cdr import path_of, Poses, read_header, read_poses, text
from liquid_ros.geometry import own_variances, pose_covariance, stand_in_twist
from liquid_ros.navsat import Datum
from liquid_ros.ros.fixes import FixWire
from liquid_ros.ros.layout import Layout, Once, ORIGIN
from liquid_ros.ros.messages import Batch, Codec, Head, nothing, ONE, one, Smooth
from liquid_ros.ros.transforms import listed_transform, single_transform
from liquid_ros.timing import held_ns

PATH = 'nav_msgs/msg/Path'
COVARIANCE = slice(7, 43)  # of the numbers of a pose with covariance
TWIST = slice(43, 85)  # and of an odometry: linear, angular, covariance


def odometry(head: Head, child_frame_id: str, numbers: np.ndarray) -> bytes:
    """Return an Odometry; numbers (85,): pose, its covariance, twist, its covariance."""
    return _ODOMETRY.join(head, b'', (child_frame_id.encode('utf-8', 'replace'),),
                          numbers.tolist())


_ODOMETRY = Layout('nav_msgs/msg/Odometry', 1, 85)


def path(head: Head, poses: Poses) -> bytes:
    """Return a Path; a stamp beyond what a message holds becomes the furthest."""
    return path_of(held_ns(head.stamp_ns), head.frame_id, poses._replace(
        stamps_ns=[held_ns(stamp_ns) for stamp_ns in poses.stamps_ns]))


def _simple(kind: str, width: int) -> Codec:
    """Return the codec of a type that is a header and one row."""
    wire = Layout(kind, 0, width)

    def read(raw: bytes) -> Batch:
        stamp_ns, (frame,), row = wire.split(raw)
        return one(stamp_ns, frame, row)

    def write(raw: bytes, head: Head, smooth: Smooth) -> bytes:
        return wire.join(head, wire.split(raw)[1][0], (), smooth.rows[0].tolist())

    return Codec(kind, width, read, write, wire.moved, wire.child, nothing, many=False,
                 layout=wire)


def _covariant(kind: str, strings: int, count: int) -> Codec:
    """Return the codec of a pose with covariance, or of an odometry."""
    wire = Layout(kind, strings, count)

    def read(raw: bytes) -> Batch:
        stamp_ns, (frame, *_), numbers = wire.split(raw)
        batch = one(stamp_ns, frame, numbers[:7])
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

    return Codec(kind, 7, read, write, wire.moved, wire.child, numbers, many=False, layout=wire)


def _poses() -> Codec:
    wire = Layout('geometry_msgs/msg/PoseArray', 0, -1)

    def read(raw: bytes) -> Batch:
        stamp_ns, (frame,), rows = wire.split(raw)
        heads = max(len(rows), 1)
        return Batch(range(len(rows)), (stamp_ns,) * heads, rows, (text(frame),) * heads)

    def write(raw: bytes, head: Head, smooth: Smooth) -> bytes:
        rows = np.where(np.isnan(smooth.rows[:, :1]), 0.0, smooth.rows)
        return wire.join(head, wire.split(raw)[1][0], (), rows)

    return Codec(wire.kind, 7, read, write, wire.moved, wire.child, nothing, many=True)


class Paths:
    """A nav_msgs/Path: a header and poses with headers of their own."""

    def __init__(self) -> None:
        """Prepare to read."""
        self._split = Once(PATH, self._frame_and_poses)

    @staticmethod
    def _frame_and_poses(plain: bytes) -> Tuple[str, Poses]:
        _, frame_id, at = read_header(plain, ORIGIN)
        return frame_id, read_poses(plain, at)

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
    return Codec(PATH, 7, wire.read, wire.write, wire.moved, lambda raw: '', nothing, many=False)


# A new type is a codec and a line here.
WIRES: Dict[str, Codec] = {
    'pose': _simple('geometry_msgs/msg/PoseStamped', 7),
    'point': _simple('geometry_msgs/msg/PointStamped', 3),
    'pose_with_covariance': _covariant('geometry_msgs/msg/PoseWithCovarianceStamped', 0, 43),
    'transform': single_transform(),
    'tf': listed_transform(),
    'pose_array': _poses(),
    'odometry': _covariant('nav_msgs/msg/Odometry', 1, 85),
    'path': _path(),
    'fix': FixWire(Datum()).codec(),
}
