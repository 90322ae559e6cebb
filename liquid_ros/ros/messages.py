# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What messages hold: rows, their stamps and frames.

A message holds one row a pose: PoseArray many streams, told apart by their place in it; Path one
stream with many stamps; TransformStamped the stream of its child_frame_id; TFMessage, a transform
at a time, that of its two frames, 'parent:child'; the others one stream.
"""

from importlib import import_module
from typing import Any, Callable, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from std_msgs.msg import Header

from liquid_ros.cdr import text
from liquid_ros.errors import ParameterError
from liquid_ros.navsat import Fixes
from liquid_ros.timing import held_ns, NS_PER_S

Key = Union[int, str]
ONE: Tuple[Key, ...] = (0,)
UNTURNED = (0.0, 0.0, 0.0, 1.0)  # a quaternion xyzw

# Packages that a machine may be without, and for what they are wanted.
WANTED = {'sensor_msgs': 'input_type fix', 'tf2_msgs': 'publish_tf true or input_type tf'}


class Batch(NamedTuple):
    """
    The rows of a message.

    keys: N names of streams. stamps_ns: N integers, one of an empty array. rows: (N, width).
    frames: of the stamps. variances: the sender's own (N, A), NaN where unknown; None: none.
    The order is that of StreamBank.update().
    """

    keys: Sequence[Key]
    stamps_ns: Sequence[int]
    rows: np.ndarray
    frames: Sequence[str]
    variances: Optional[np.ndarray] = None


class Arrived(NamedTuple):
    """A message, its rows and when it came by the node's clock, 0 where that stands still."""

    message: Any
    batch: Batch
    now_ns: int


class Smooth(NamedTuple):
    """
    What goes into an output, in the units and axes of smoothers.base.Estimate.

    rows (N, width), NaN where nothing is known; variance, twist and twist_variance (N, A).
    """

    rows: np.ndarray
    variance: np.ndarray
    twist: np.ndarray
    twist_variance: np.ndarray


class Head(NamedTuple):
    """The stamp and frame of an output."""

    stamp_ns: int
    frame_id: str

    def header(self) -> Header:
        """Return it as a message."""
        return header_at(self.stamp_ns, self.frame_id)


class Codec(NamedTuple):
    """
    How a message becomes rows, and rows a message, both as bytes.

    kind: its ROS name. read: message -> Batch. write: (input message, Head, Smooth) -> output
    message, which has what the smoother does not touch as it was. moved: (message, Head) -> the
    message under another header. child: its child_frame_id, or ''. numbers: what else in it must
    be finite. many: True where there may be more than one stream. apart: message -> the names of
    its streams, and of each the message that it alone would be; None where none are chosen.
    layout: where its names and numbers stand; None where there may be more than one row.
    frame: what the rows are in where messages name none. fixes: what remembers
    their datum and height, None where rows are measured from none.
    """

    kind: str
    width: int
    read: Callable[[bytes], Batch]
    write: Callable[[bytes, Head, Smooth], bytes]
    moved: Callable[[bytes, Head], bytes]
    child: Callable[[bytes], str]
    numbers: Callable[[bytes], Sequence[float]]
    many: bool
    apart: Optional[Callable[[bytes], Sequence[Tuple[str, bytes]]]] = None
    layout: Any = None  # a layout.Layout
    frame: str = ''
    fixes: Optional[Fixes] = None

    @property
    def side_by_side(self) -> bool:
        """Return whether one step takes several streams."""
        return self.many and self.apart is None

    @property
    def message(self) -> type:
        """Return its class. Errors: ParameterError where that is not installed."""
        return message_class(self.kind)


def message_class(kind: str) -> type:
    """Return the class of a ROS name. Errors: ParameterError where it is not installed."""
    package, _, name = kind.split('/')
    try:
        module = import_module(f'{package}.msg')
    except ImportError as error:
        raise ParameterError(f'got {WANTED.get(package, name)}, but {package} is not installed'
                             ) from error
    return getattr(module, name)  # type: ignore[no-any-return]


def one(stamp_ns: int, frame: bytes, row: Sequence[float]) -> Batch:
    """Return the batch of a message with one row."""
    return Batch(ONE, (stamp_ns,), np.array([row]), (text(frame),))


def nothing(_: bytes) -> Sequence[float]:
    """Return no numbers that must be finite beside the rows."""
    return ()


def header_at(at_ns: int, frame_id: str) -> Header:
    """Return a header; a stamp beyond what a message holds becomes the furthest."""
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = divmod(held_ns(at_ns), NS_PER_S)
    return header


def turned(rows: np.ndarray) -> np.ndarray:
    """Return rows (..., 3 | 7) as poses (..., 7); points are not turned."""
    if rows.shape[-1] == 7:
        return rows
    return np.concatenate([rows, np.broadcast_to(UNTURNED, (*rows.shape[:-1], 4))], -1)
