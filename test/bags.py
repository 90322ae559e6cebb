# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Messages of every type with all that goes wrong, as rosbags itself writes them."""

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from liquid_ros.evaluation.bag_messages import store

START_NS = 1_700_000_000_123_456_789
TYPES = {
    'pose': 'geometry_msgs/msg/PoseStamped',
    'point': 'geometry_msgs/msg/PointStamped',
    'pose_with_covariance': 'geometry_msgs/msg/PoseWithCovarianceStamped',
    'transform': 'geometry_msgs/msg/TransformStamped',
    'pose_array': 'geometry_msgs/msg/PoseArray',
    'odometry': 'nav_msgs/msg/Odometry',
    'path': 'nav_msgs/msg/Path',
    'tf': 'tf2_msgs/msg/TFMessage'}
CHILDREN = ('tag', 'tag_22', 'gripper/left')
Q = 'geometry_msgs/msg/'


def make(name, *fields):
    return store().types[name](*fields)


def header(stamp_ns, frame):
    sec, nanosec = divmod(int(stamp_ns), 10**9)
    return make('std_msgs/msg/Header', make('builtin_interfaces/msg/Time', sec, nanosec), frame)


def pose(row):
    return make(Q + 'Pose', make(Q + 'Point', *map(float, row[:3])),
                make(Q + 'Quaternion', *map(float, row[3:])))


def transform(stamp_ns, frame, child, row):
    return make(Q + 'TransformStamped', header(stamp_ns, frame), child, make(
        Q + 'Transform', make(Q + 'Vector3', *map(float, row[:3])),
        make(Q + 'Quaternion', *map(float, row[3:]))))


def covariance(rng):
    """Return (36,): mostly one that can be, now and then what senders say instead."""
    root = rng.normal(size=(6, 6)) * 0.1
    odd = (np.zeros((6, 6)), np.full((6, 6), np.nan), -np.eye(6))
    return (odd[rng.integers(3)] if rng.random() < 0.2 else root @ root.T).ravel()


def message(kind, rng, stamp_ns, frame, rows):
    """Return a message of rows (N, 7), as many as it takes."""
    head, row = header(stamp_ns, frame), rows[0]
    if kind == 'pose':
        return make(TYPES[kind], head, pose(row))
    if kind == 'point':
        return make(TYPES[kind], head, make(Q + 'Point', *map(float, row[:3])))
    if kind == 'transform':
        return transform(stamp_ns, frame, CHILDREN[rng.integers(len(CHILDREN))], row)
    if kind == 'tf':
        return make(TYPES[kind], [transform(stamp_ns, frame, child, one)
                                  for child, one in zip(CHILDREN, rows) if rng.random() < 0.8])
    if kind == 'pose_array':
        return make(TYPES[kind], head, [pose(one) for one in rows[:rng.integers(0, 4)]])
    if kind == 'path':
        poses = [make(TYPES['pose'], header(stamp_ns - k * 20_000_000, frame if k else ''),
                      pose(one)) for k, one in enumerate(rows)]
        return make(TYPES[kind], head, poses[::-1][:rng.integers(0, 4)])
    stated = make(Q + 'PoseWithCovariance', pose(row), covariance(rng))
    if kind == 'pose_with_covariance':
        return make(TYPES[kind], head, stated)
    twist = rng.normal(size=6) * np.where(rng.random() < 0.2, np.nan, 1.0)
    return make(TYPES[kind], head, 'body', stated, make(
        Q + 'TwistWithCovariance', make(Q + 'Twist', make(Q + 'Vector3', *twist[:3].tolist()),
                                        make(Q + 'Vector3', *twist[3:].tolist())),
        covariance(rng)))


def flawed(kind, count=120, seed=0):
    """Return (log_ns, CDR) of messages that repeat, go back, fall silent and hold no numbers."""
    rng = np.random.default_rng(seed)
    stamp_ns, log_ns, frame, out = START_NS, START_NS, 'map', []
    rows = np.zeros((3, 7))
    for _ in range(count):
        step = rng.choice(['step', 'repeat', 'late', 'gap', 'jump', 'zero'],
                          p=[0.9, 0.02, 0.03, 0.02, 0.02, 0.01])
        stamp_ns += {'step': int(rng.uniform(1e7, 4e7)), 'repeat': 0, 'late': -50_000_000,
                     'gap': 7 * 10**9, 'jump': -3 * 10**9, 'zero': 0}[step]
        log_ns += 20_000_000
        frame = 'odom' if rng.random() < 0.02 else frame
        rows = rows + rng.normal(size=(3, 7)) * 0.02
        measured = rows + rng.normal(size=(3, 7)) * 0.05 + [0, 0, 0, 0, 0, 0, 1]
        for k in range(3):
            if rng.random() < 0.05:
                measured[k] = rng.choice([np.nan, np.inf])
            elif rng.random() < 0.03:
                measured[k, 3:] = 0.0
        built = message(kind, rng, 0 if step == 'zero' else stamp_ns, frame, measured)
        out.append((log_ns, bytes(store().serialize_cdr(built, TYPES[kind]))))
    return out


def write_bag(path, topics, plugin=StoragePlugin.MCAP, more=None):
    """Write {topic: (type, messages)} in the order of their times; more: on the Writer."""
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        if more:
            more(writer)
        every = []
        for topic, (msgtype, messages) in topics.items():
            connection = writer.add_connection(topic, msgtype, typestore=store())
            every += [(log_ns, len(every), connection, raw) for log_ns, raw in messages]
        for log_ns, _, connection, raw in sorted(every, key=lambda one: one[:2]):
            writer.write(connection, log_ns, raw)
