# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The message types that can be smoothed: a new one is a pair of functions and a line here.

What becomes of each is what the node makes of it: an output is its input with other numbers. A
TFMessage has a stream for each pair of frames 'parent:child'.
"""

from functools import lru_cache
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence

import numpy as np

from liquid_ros import cdr, navsat
from liquid_ros.evaluation.sample import Key, ONE, Sample
from liquid_ros.frames import stream_name
from liquid_ros.geometry import own_variances, pose_covariance, stand_in_twist
from liquid_ros.smoothers.base import Estimate
from liquid_ros.update import Update

# What stands for a type whose description a bag does not carry.
NO_HASH = 'RIHS01_' + '0' * 64
COVARIANCE_BYTES = 288
TRANSFORMS = 'tf2_msgs/msg/TFMessage'

Known = Dict[int, np.ndarray]  # stamp_ns -> the smooth poses of a path's last message
Read = Callable[..., Sample]


class Kind(NamedTuple):
    """
    How a message becomes rows of numbers, and rows a message.

    read: (topic, log_ns, CDR) -> Sample; ValueError or struct.error where it is broken.
    write: (input, answer, its covariances (N, 36), what is known of a path) -> CDR.
    many: True where a topic may have more than one stream.
    states: True where the covariance goes out with it.
    geodetic: True where read takes a navsat.Fixes, too, that remembers.
    """

    width: int
    read: Read
    write: Callable[[Sample, Update, np.ndarray, Known], bytes]
    many: bool = False
    states: bool = False
    geodetic: bool = False


@lru_cache(maxsize=None)
def store() -> Any:
    """Return the type store; these types are the same from Humble to Rolling."""
    from rosbags.typesys import get_typestore, Stores
    return get_typestore(Stores.ROS2_HUMBLE)


def message_of(stamp_ns: int, frame_id: str, *numbers: np.ndarray) -> bytes:
    """Return a stamped message in CDR: a point, a pose, a pose with covariance."""
    out = cdr.Builder()
    out.header(stamp_ns, frame_id)
    out.doubles(*numbers)
    return out.message()


def _single(count: int, strings: int = 0, named: bool = False) -> Read:
    """Return a reader of a header, strings and numbers; named: the first string is the stream."""
    def read(topic: str, log_ns: int, raw: bytes) -> Sample:
        stamp_ns, frame_id, at = cdr.read_header(raw, 4)
        keys: Sequence[Key] = ONE
        for _ in range(strings):
            name, at = cdr.read_string(raw, at)
            keys = (name,) if named else ONE
        at = cdr.even(at)
        numbers = cdr.read_doubles(raw, at, count)[None]
        rows = numbers[:, :7]
        stated = own_variances(numbers[:, 7:], rows[:, 3:]) if count > 7 else None
        return Sample(topic, log_ns, keys, (stamp_ns,), rows, (frame_id,), stated, raw, at)
    return read


def _read_poses(topic: str, log_ns: int, raw: bytes) -> Sample:
    stamp_ns, frame_id, at = cdr.read_header(raw, 4)
    count, at = cdr.read_count(raw, at)
    at = cdr.even(at) if count else at
    rows = cdr.read_doubles(raw, at, 7 * count).reshape(count, 7) if count else np.zeros((0, 7))
    heads = max(count, 1)
    return Sample(topic, log_ns, range(count), (stamp_ns,) * heads, rows, (frame_id,) * heads,
                  None, raw, at, whole=True)


def _read_path(topic: str, log_ns: int, raw: bytes) -> Sample:
    """Take a pose without a frame to be in the path's."""
    _, frame_id, at = cdr.read_header(raw, 4)
    stamps_ns, frames, rows = cdr.read_poses(raw, at)
    return Sample(topic, log_ns, ONE * len(rows), stamps_ns, rows,
                  [own or frame_id for own in frames], None, raw, at, repeats=True)


def _read_transforms(topic: str, log_ns: int, raw: bytes) -> Sample:
    (stamps_ns, parents, rows), children = cdr.listed_poses(raw, 4, has_child=True)
    keys = list(map(stream_name, parents, children))
    return Sample(topic, log_ns, keys, stamps_ns, rows, parents, None, raw, 4)


def _write_rows(sample: Sample, update: Update, _: np.ndarray, __: Known) -> bytes:
    """Put the rows in the place of the input's; what is not known is all zeros."""
    rows = update.estimate.rows
    if not sample.whole:
        return sample.raw[:sample.at] + rows.tobytes() + sample.raw[sample.at + rows.nbytes:]
    out = bytearray(sample.raw)  # a key is a place; --topic may have chosen some
    for place, row in zip(sample.keys, np.where(np.isnan(rows[:, :1]), 0.0, rows)):
        at = sample.at + cdr.POSE_BYTES * int(place)
        out[at:at + cdr.POSE_BYTES] = row.tobytes()
    return bytes(out)


def _write_with_covariance(sample: Sample, update: Update, covariance: np.ndarray, _: Known
                           ) -> bytes:
    end = sample.at + cdr.POSE_BYTES + COVARIANCE_BYTES
    return (sample.raw[:sample.at] + update.estimate.rows.tobytes() + covariance.tobytes()
            + sample.raw[end:])


def _write_odometry(sample: Sample, update: Update, covariance: np.ndarray, known: Known) -> bytes:
    """Copy the sender's twist; where it is not finite, the estimate's is better than none."""
    raw = _write_with_covariance(sample, update, covariance, known)
    at = sample.at + cdr.POSE_BYTES + COVARIANCE_BYTES
    if np.isfinite(cdr.read_doubles(raw, at, 42)).all():
        return raw
    quat, twist = update.estimate.rows[:, 3:], update.estimate.twist
    return raw[:at] + stand_in_twist(twist, quat).tobytes() + raw[at + 42 * 8:]


def _write_path(sample: Sample, update: Update, __: np.ndarray, known: Known) -> bytes:
    """Leave out poses of which nothing is known, and the second of those with one stamp."""
    found = cdr.read_poses(sample.raw, sample.at)
    known.update((stamp, row) for stamp, row, good in zip(
        sample.stamps_ns, update.estimate.rows, update.accepted) if good)
    frames: Dict[int, str] = {}
    for stamp_ns, frame_id in zip(found.stamps_ns, found.frames):
        if stamp_ns in known:
            frames.setdefault(stamp_ns, frame_id)
    there = {stamp_ns: known[stamp_ns] for stamp_ns in frames}
    known.clear()
    known.update(there)
    last = int(np.flatnonzero(update.accepted)[-1])
    return cdr.path_of(sample.stamps_ns[last], sample.frames[last], cdr.Poses(
        list(there), list(frames.values()), np.reshape(list(there.values()), (-1, 7))))


def _write_transforms(sample: Sample, update: Update, _: np.ndarray, __: Known) -> bytes:
    out = cdr.Builder()
    out.count(int(update.accepted.sum()))
    for i in np.flatnonzero(update.accepted):
        out.header(sample.stamps_ns[i], sample.frames[i])
        out.string(str(sample.keys[i])[len(sample.frames[i]) + 1:])
        out.doubles(update.estimate.rows[i])
    return out.message()


def _read_fix(topic: str, log_ns: int, raw: bytes, fixes: navsat.Fixes) -> Sample:
    fix = navsat.read_fix(raw)
    row, variances = fixes.measure(fix)
    return Sample(topic, log_ns, ONE, (fix.stamp_ns,), np.array([row]), (navsat.FRAME,),
                  None if variances is None else np.array([variances]), raw, fix.at,
                  fix=(fix, fixes.datum.enu) if fix.usable else None)


def _write_fix(sample: Sample, update: Update, covariance: np.ndarray, _: Known) -> bytes:
    assert sample.fix is not None, 'what is written was usable'
    return navsat.written(sample.raw, *sample.fix, update.estimate.rows[0].tolist(),
                          covariance[0, [0, 7, 14]].tolist())


def covariances(estimate: Estimate) -> np.ndarray:
    """Return (N, 36) as messages have them."""
    rows = estimate.rows
    with np.errstate(all='ignore'):  # of what was not accepted
        return pose_covariance(estimate.variance, rows[:, 3:] if rows.shape[1] == 7 else None)


def key_text(msgtype: str, key: Key) -> Optional[str]:
    """Return the name of a stream within its topic, None where that has one only."""
    return str(key) if KINDS[msgtype].many else None


KINDS: Dict[str, Kind] = {
    'geometry_msgs/msg/PoseStamped': Kind(7, _single(7), _write_rows),
    'geometry_msgs/msg/PointStamped': Kind(3, _single(3), _write_rows),
    'geometry_msgs/msg/PoseWithCovarianceStamped': Kind(
        7, _single(43), _write_with_covariance, states=True),
    'geometry_msgs/msg/TransformStamped': Kind(
        7, _single(7, strings=1, named=True), _write_rows, many=True),
    'geometry_msgs/msg/PoseArray': Kind(7, _read_poses, _write_rows, many=True),
    'nav_msgs/msg/Odometry': Kind(7, _single(43, strings=1), _write_odometry, states=True),
    'nav_msgs/msg/Path': Kind(7, _read_path, _write_path),
    navsat.KIND: Kind(3, _read_fix, _write_fix, states=True, geodetic=True),
    TRANSFORMS: Kind(7, _read_transforms, _write_transforms, many=True),
}
