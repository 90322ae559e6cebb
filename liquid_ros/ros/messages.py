# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Messages to rows and back.

A stamp is taken as it stands: one that the sender left at zero means 1970, so of such messages
the first is accepted and the others are dropped as duplicates.
"""

from typing import Any, Callable, Dict, NamedTuple, Tuple

from geometry_msgs.msg import PointStamped, PoseStamped
import numpy as np
from std_msgs.msg import Header

from liquid_ros.timing import NS_PER_S


class Codec(NamedTuple):
    """
    How a message type becomes a row, and a row a message.

    read: message -> (stamp_ns, (1, width) float64). write: (row (width,), header) -> message.
    to_pose: an output message -> PoseStamped for a path; the message itself where it is one.
    """

    message: type
    width: int
    read: Callable[[Any], Tuple[int, np.ndarray]]
    write: Callable[[np.ndarray, Header], Any]
    to_pose: Callable[[Any], PoseStamped]


def stamp_ns(header: Header) -> int:
    """Return the header's stamp in integer nanoseconds."""
    return header.stamp.sec * NS_PER_S + header.stamp.nanosec  # type: ignore[no-any-return]


def read_point(message: PointStamped) -> Tuple[int, np.ndarray]:
    """Return stamp_ns and x y z (1, 3)."""
    point = message.point
    return stamp_ns(message.header), np.array([[point.x, point.y, point.z]])


def write_point(row: np.ndarray, header: Header) -> PointStamped:
    """Return the message for x y z (3,) under the input's header."""
    message = PointStamped(header=header)
    point = message.point
    point.x, point.y, point.z = row.tolist()
    return message


def point_to_pose(message: PointStamped) -> PoseStamped:
    """Return a pose at the point, not turned."""
    pose = PoseStamped(header=message.header)
    pose.pose.position = message.point
    return pose


def read_pose(message: PoseStamped) -> Tuple[int, np.ndarray]:
    """Return stamp_ns and x y z qx qy qz qw (1, 7)."""
    p, q = message.pose.position, message.pose.orientation
    return stamp_ns(message.header), np.array([[p.x, p.y, p.z, q.x, q.y, q.z, q.w]])


def write_pose(row: np.ndarray, header: Header) -> PoseStamped:
    """Return the message for x y z qx qy qz qw (7,) under the input's header."""
    message = PoseStamped(header=header)
    p, q = message.pose.position, message.pose.orientation
    p.x, p.y, p.z, q.x, q.y, q.z, q.w = row.tolist()
    return message


def same(message: PoseStamped) -> PoseStamped:
    """Return the message as it is."""
    return message


CODECS: Dict[str, Codec] = {
    'pose': Codec(PoseStamped, 7, read_pose, write_pose, same),
    'point': Codec(PointStamped, 3, read_point, write_point, point_to_pose),
}
