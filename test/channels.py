# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Messages for the channels of a node, given to them one by one."""

from geometry_msgs.msg import Pose, PoseArray
from nav_msgs.msg import Path
import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from ros_graph import stamped

from liquid_ros.ros.messages import header_at

NS = 10**9
ROW = [1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0]


def channel(graph, **params):
    """Return a node, its channel and what its output publishes from here on."""
    node = graph.smoother(**params)
    made, out = node.channels[0], []

    def seen(publish):
        return lambda message: (out.append(typed(made, message)), publish(message))

    made.outputs.main.publish = seen(made.outputs.main.publish)
    made.outputs._put = seen(made.outputs._put)  # by the short way
    return node, made, out


def typed(made, message):
    """Return what is published as an object."""
    return deserialize_message(message, made._codec.message)


def take(flow, message, now_ns):
    """Let a message come at a time."""
    flow.take(serialize_message(message), now_ns)


def give(made, *messages):
    """Let messages come."""
    for message in messages:
        made._on_message(serialize_message(message))


def pose(at_s, x=0.0, frame='map'):
    """Return a pose at so many seconds."""
    return stamped('pose', round(at_s * NS), [x, *ROW[1:]], frame)


def tag(child, at_s, x=0.0):
    """Return a transform."""
    message = stamped('transform', round(at_s * NS), [x, *ROW[1:]])
    message.child_frame_id = child
    return message


def path(frame, start_s, *xs, step_s=0.1):
    """Return a path."""
    poses = [pose(start_s + i * step_s, x, frame) for i, x in enumerate(xs)]
    return Path(header=poses[-1].header, poses=poses)


def accounted(made):
    """Return whether every message has one fate."""
    tally = made.tally
    return tally.received == tally.accepted + tally.pending + sum(tally.dropped.values())


def array_of(stamp_ns, rows, frame='map'):
    """Return a PoseArray; a row of None becomes a pose of NaN."""
    message = PoseArray(header=header_at(stamp_ns, frame))
    for row in rows:
        pose = Pose()
        p, q = pose.position, pose.orientation
        p.x, p.y, p.z, q.x, q.y, q.z, q.w = [np.nan] * 7 if row is None else map(float, row)
        message.poses.append(pose)
    return message
