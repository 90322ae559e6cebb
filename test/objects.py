# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Messages as Python objects to rows and back: what the node's own way of bytes is held to."""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from geometry_msgs.msg import (
    PointStamped,
    Pose,
    PoseArray,
    PoseStamped,
    PoseWithCovarianceStamped,
    TransformStamped,
)
from nav_msgs.msg import Odometry, Path
import numpy as np
from std_msgs.msg import Header

from liquid_ros.geometry import own_variances, pose_covariance, stand_in_twist
from liquid_ros.ros.messages import Batch, Head, ONE, Smooth
from liquid_ros.timing import NS_PER_S


def _under(message: Any, head: Head) -> Any:
    message.header = head.header()
    return message


class Codec(NamedTuple):
    """That of liquid_ros.ros.messages, of objects."""

    message: type
    width: int
    read: Callable[[Any], Batch]
    write: Callable[[Any, Head, Smooth], Any]
    many: bool = False
    numbers: Callable[[Any], Sequence[float]] = lambda message: ()
    moved: Callable[[Any, Head], Any] = _under
    child: Callable[[Any], str] = lambda message: getattr(message, 'child_frame_id', '')


def stamp_ns(header: Header) -> int:
    """Return the header's stamp in integer nanoseconds."""
    return header.stamp.sec * NS_PER_S + header.stamp.nanosec  # type: ignore[no-any-return]


def _row(pose: Pose) -> Tuple[float, ...]:
    p, q = pose.position, pose.orientation
    return p.x, p.y, p.z, q.x, q.y, q.z, q.w


def _put(pose: Pose, row: np.ndarray) -> None:
    p, q = pose.position, pose.orientation
    p.x, p.y, p.z, q.x, q.y, q.z, q.w = row.tolist()


def _one(header: Header, row: Tuple[float, ...], variances: Optional[np.ndarray] = None) -> Batch:
    return Batch(ONE, (stamp_ns(header),), np.array([row]), (header.frame_id,), variances)


def _read_point(message: PointStamped) -> Batch:
    point = message.point
    return _one(message.header, (point.x, point.y, point.z))


def _write_point(_: PointStamped, head: Head, smooth: Smooth) -> PointStamped:
    message = PointStamped(header=head.header())
    point = message.point
    point.x, point.y, point.z = smooth.rows[0].tolist()
    return message


def _read_pose(message: PoseStamped) -> Batch:
    return _one(message.header, _row(message.pose))


def _write_pose(_: PoseStamped, head: Head, smooth: Smooth) -> PoseStamped:
    message = PoseStamped(header=head.header())
    _put(message.pose, smooth.rows[0])
    return message


def _read_with_covariance(message: Any) -> Batch:
    batch = _one(message.header, _row(message.pose.pose))
    return batch._replace(variances=own_variances(
        message.pose.covariance[None], batch.rows[:, 3:]))


def _write_with_covariance(_: PoseWithCovarianceStamped, head: Head, smooth: Smooth
                           ) -> PoseWithCovarianceStamped:
    message = PoseWithCovarianceStamped(header=head.header())
    _put(message.pose.pose, smooth.rows[0])
    message.pose.covariance = pose_covariance(smooth.variance, smooth.rows[:, 3:])[0]
    return message


def _read_transform(message: TransformStamped) -> Batch:
    p, q = message.transform.translation, message.transform.rotation
    return _one(message.header, (p.x, p.y, p.z, q.x, q.y, q.z, q.w))._replace(
        keys=(message.child_frame_id,))


def _write_transform(taken: TransformStamped, head: Head, smooth: Smooth) -> TransformStamped:
    message = TransformStamped(header=head.header(), child_frame_id=taken.child_frame_id)
    p, q = message.transform.translation, message.transform.rotation
    p.x, p.y, p.z, q.x, q.y, q.z, q.w = smooth.rows[0].tolist()
    return message


def _read_poses(message: PoseArray) -> Batch:
    header, rows = message.header, [_row(pose) for pose in message.poses]
    heads = max(len(rows), 1)
    return Batch(range(len(rows)), (stamp_ns(header),) * heads, np.reshape(rows, (-1, 7)),
                 (header.frame_id,) * heads)


def _write_poses(_: PoseArray, head: Head, smooth: Smooth) -> PoseArray:
    """Keep every place; a quaternion of zeros in those of which nothing is known."""
    message = PoseArray(header=head.header())
    nothing = np.zeros(7)
    for row in smooth.rows:
        pose = Pose()
        _put(pose, nothing if row[0] != row[0] else row)  # NaN
        message.poses.append(pose)
    return message


def _write_odometry(taken: Odometry, head: Head, smooth: Smooth) -> Odometry:
    """Copy the sender's twist; where it is not finite, the estimate's is better than none."""
    message = _under(Odometry(child_frame_id=taken.child_frame_id, twist=taken.twist), head)
    _put(message.pose.pose, smooth.rows[0])
    quat = smooth.rows[:, 3:]
    message.pose.covariance = pose_covariance(smooth.variance, quat)[0]
    v, r = taken.twist.twist.linear, taken.twist.twist.angular
    if not (np.isfinite((v.x, v.y, v.z, r.x, r.y, r.z)).all()
            and np.isfinite(taken.twist.covariance).all()):
        message.twist = type(taken.twist)()
        put_twist(message, *np.split(stand_in_twist(smooth.twist, quat)[0], [6]))
    return message


def put_twist(message: Odometry, twist: np.ndarray, covariance: np.ndarray) -> None:
    """Fill in a twist (6,) in the child frame and its covariance (36,)."""
    v, r = message.twist.twist.linear, message.twist.twist.angular
    v.x, v.y, v.z, r.x, r.y, r.z = twist.tolist()
    message.twist.covariance = covariance


def _read_path(message: Path) -> Batch:
    """Take a pose without a frame to be in the path's."""
    poses, frame_id = message.poses, message.header.frame_id
    return Batch(ONE * len(poses), [stamp_ns(pose.header) for pose in poses],
                 np.array([_row(pose.pose) for pose in poses]).reshape(len(poses), 7),
                 [pose.header.frame_id or frame_id for pose in poses])


def _write_path(taken: Path, head: Head, smooth: Smooth) -> Path:
    """Leave out poses of which nothing is known."""
    message = Path(header=head.header())
    for pose, row in zip(taken.poses, smooth.rows):
        if row[0] == row[0]:
            made = PoseStamped(header=pose.header)
            _put(made.pose, row)
            message.poses.append(made)
    return message


def _covariance(message: Any) -> List[float]:
    return message.pose.covariance.tolist()  # type: ignore[no-any-return]


def _all_of_odometry(message: Odometry) -> List[float]:
    v, r = message.twist.twist.linear, message.twist.twist.angular
    return [*_covariance(message), v.x, v.y, v.z, r.x, r.y, r.z, *message.twist.covariance]


CODECS: Dict[str, Codec] = {
    'pose': Codec(PoseStamped, 7, _read_pose, _write_pose),
    'point': Codec(PointStamped, 3, _read_point, _write_point),
    'pose_with_covariance': Codec(
        PoseWithCovarianceStamped, 7, _read_with_covariance, _write_with_covariance,
        numbers=_covariance),
    'transform': Codec(TransformStamped, 7, _read_transform, _write_transform, many=True),
    'pose_array': Codec(PoseArray, 7, _read_poses, _write_poses, many=True),
    'odometry': Codec(Odometry, 7, _read_with_covariance, _write_odometry,
                      numbers=_all_of_odometry),
    'path': Codec(Path, 7, _read_path, _write_path),
}
