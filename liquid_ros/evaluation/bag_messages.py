# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The message types that can be smoothed: a new one is a pair of functions and a line here."""

from functools import lru_cache
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence

# What stands for a type whose description a bag does not carry.
NO_HASH = 'RIHS01_' + '0' * 64


class Kind(NamedTuple):
    """How a message becomes a row of numbers, and a row a message."""

    width: int
    read: Callable[[Any], List[float]]
    build: Callable[[Mapping[str, Any], Any, Sequence[float]], Any]


@lru_cache(maxsize=None)
def store() -> Any:
    """Return the type store; these types are the same from Humble to Rolling."""
    from rosbags.typesys import get_typestore, Stores
    return get_typestore(Stores.ROS2_HUMBLE)


def read_point_stamped(message: Any) -> List[float]:
    """Return x y z of a PointStamped."""
    return [message.point.x, message.point.y, message.point.z]


def build_point_stamped(types: Mapping[str, Any], header: Any, row: Sequence[float]) -> Any:
    """Return the PointStamped of a header and x y z."""
    return types['geometry_msgs/msg/PointStamped'](
        header, types['geometry_msgs/msg/Point'](*row))


def read_pose_stamped(message: Any) -> List[float]:
    """Return x y z qx qy qz qw of a PoseStamped."""
    p, q = message.pose.position, message.pose.orientation
    return [p.x, p.y, p.z, q.x, q.y, q.z, q.w]


def build_pose_stamped(types: Mapping[str, Any], header: Any, row: Sequence[float]) -> Any:
    """Return the PoseStamped of a header and x y z qx qy qz qw."""
    pose = types['geometry_msgs/msg/Pose'](types['geometry_msgs/msg/Point'](*row[:3]),
                                           types['geometry_msgs/msg/Quaternion'](*row[3:]))
    return types['geometry_msgs/msg/PoseStamped'](header, pose)


KINDS: Dict[str, Kind] = {
    'geometry_msgs/msg/PoseStamped': Kind(7, read_pose_stamped, build_pose_stamped),
    'geometry_msgs/msg/PointStamped': Kind(3, read_point_stamped, build_point_stamped),
}
