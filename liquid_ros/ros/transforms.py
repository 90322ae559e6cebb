# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Transforms: a message of /tf taken apart into one for each, and put together again.

A TFMessage is a sequence of TransformStamped, each with its own stamp and two frames, that is,
a message of each of so many streams; inside the node there are but TFMessages of one.
"""

from contextlib import contextmanager
import re
import struct
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from liquid_ros.cdr import even, LITTLE, POSE_BYTES, read_count, read_header, read_string, text
from liquid_ros.frames import fits, is_smooth, stream_name
from liquid_ros.params import Params
from liquid_ros.ros.layout import Layout, LENGTH, little, malformed, MalformedError, ORIGIN
from liquid_ros.ros.messages import Batch, Codec, Head, Key, nothing, one, Smooth
from liquid_ros.ros.warner import Warner

TF = 'tf2_msgs/msg/TFMessage'
ALONE = LENGTH['<'].pack(1)
FIRST = ORIGIN + len(ALONE)  # where a transform begins, of one
SHOWN = 5  # streams in a warning
MOST_KNOWN = 10000  # names of which it is known whether they are chosen


def _codec(layout: Layout, name: Callable[[str, str], str],
           apart: Callable[[bytes], Sequence[Tuple[str, bytes]]]) -> Codec:
    """Return the codec of one transform, whose stream has the name of its frames."""
    def read(raw: bytes) -> Batch:
        stamp_ns, (frame, child), row = layout.split(raw)
        return one(stamp_ns, frame, row)._replace(keys=(name(text(frame), text(child)),))

    def write(raw: bytes, head: Head, smooth: Smooth) -> bytes:
        frame, child = layout.split(raw)[1]
        return layout.join(head, frame, (child,), smooth.rows[0].tolist())

    return Codec(layout.kind, 7, read, write, layout.moved, layout.child, nothing, True, apart,
                 layout)


def single_transform() -> Codec:
    """Return the codec of a TransformStamped."""
    layout = Layout('geometry_msgs/msg/TransformStamped', 1, 7)
    return _codec(layout, lambda _, child: child, lambda raw: [(layout.child(raw), raw)])


_LISTED = Layout(TF, 1, 7, ALONE)


def listed_transform() -> Codec:
    """Return the codec of a TFMessage of one transform; apart() takes any other."""
    codec = _codec(_LISTED, stream_name, apart)

    def read(raw: bytes) -> Batch:
        try:
            return codec.read(raw)
        except MalformedError:
            apart(raw)  # which may know better why
            raise

    return codec._replace(read=read)


def apart(raw: bytes) -> List[Tuple[str, bytes]]:
    """
    Return each transform's stream, and the TFMessage that it alone would be.

    Errors: MalformedError.
    """
    found: List[Tuple[str, bytes]] = []
    try:
        plain = little(raw, TF)
        count, at = read_count(plain, ORIGIN)
        for _ in range(count):
            begun = at = at + -at % 4
            _, parent, at = read_header(plain, at)
            child, at = read_string(plain, at)
            numbers = plain[even(at):even(at) + POSE_BYTES]
            if len(numbers) < POSE_BYTES:
                raise ValueError(f'it ends in the transform {len(found)} of {count}')
            found.append((stream_name(parent, child), _sequence((plain[begun:at], numbers))))
            at = even(at) + POSE_BYTES
    except (struct.error, ValueError, RuntimeError) as error:
        raise malformed(raw, TF, error) from error
    return found


def _sequence(*transforms: Tuple[bytes, bytes]) -> bytes:
    """Return a TFMessage of transforms: header and child, numbers."""
    out = LITTLE + LENGTH['<'].pack(len(transforms))
    for names, numbers in transforms:
        out += bytes(-len(out) % 4) + names
        out += bytes(even(len(out)) - len(out)) + numbers
    return out


def joined(parts: Sequence[bytes]) -> bytes:
    """Return one TFMessage for several of one transform."""
    if len(parts) == 1:
        return parts[0]
    return _sequence(*((part[FIRST:read_string(part, read_header(part, FIRST)[2])[1]],
                      part[-POSE_BYTES:]) for part in parts))


def transform(head: Head, child: str, row: Sequence[float]) -> bytes:
    """Return a TFMessage of one transform; row (7,)."""
    return _LISTED.join(head, b'', (child.encode('utf-8', 'replace'),), row)


class Frames:
    """Who publishes a frame to /tf: another one of them would make it jump to and fro."""

    def __init__(self) -> None:
        """Know of none."""
        self._whose: Dict[str, Tuple[str, Key]] = {}

    def taken(self, child: str, by: str, stream: Key = '') -> str:
        """Return who else publishes a child frame, '' where nobody does."""
        if len(self._whose) >= MOST_KNOWN:
            self._whose.clear()
        whose = self._whose.setdefault(child, (by, stream))
        return ' '.join(map(str, filter(None, whose))) if whose != (by, stream) else ''

    def release(self, by: str, stream: Optional[Key] = None) -> None:
        """Forget what was published by one, or by a stream of its."""
        self._whose = {child: whose for child, whose in self._whose.items()
                       if whose[0] != by or stream not in (None, whose[1])}


class Bundle:
    """A publisher of TFMessages; what is given while it is held goes out as one."""

    def __init__(self, publisher: Any) -> None:
        """Hold nothing."""
        self._publisher = publisher
        self._held: Optional[List[bytes]] = None

    def publish(self, part: bytes) -> None:
        """Publish a TFMessage of one transform, or keep it."""
        if self._held is None:
            self._publisher.publish(part)
        else:
            self._held.append(part)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Keep what is given until the end, of the outer one where there are two."""
        if self._held is not None:
            yield
            return
        held = self._held = []
        try:
            yield
        finally:
            self._held = None
            if held:
                self._publisher.publish(joined(held))


class ToTf(Bundle):
    """The publisher of /tf."""

    def __init__(self, publisher: Any, frames: Frames, warn: Warner) -> None:
        """Take what all such of a node share."""
        super().__init__(publisher)
        self._frames, self._warn = frames, warn

    def send(self, head: Head, transforms: Sequence[Tuple[str, Key, np.ndarray]], by: str
             ) -> None:
        """Publish child frames, of streams, and rows (7,); by: whose they are, for warnings."""
        frame = head.frame_id  # of a tf2 listener an error, if it is '' or the child's own
        fit = [one for one in transforms if one[0] != frame] if frame else []
        if len(fit) < len(transforms):
            self._warn('tf', lambda: f'{by}: no transform from {frame!r}: set '
                       + ('child_frame, it is the same' if frame else 'frame_id'))
        with self.holding():
            for child, stream, row in fit:
                if whose := self._frames.taken(child, by, stream):
                    self._twice(child, whose, by)
                self.publish(transform(head, child, row.tolist()))

    def _twice(self, child: str, whose: str, by: str) -> None:
        self._warn('tf twice', lambda: f'{by}: {whose} publishes {child} to /tf, too: set '
                   'child_frame or streams')


class Chooser:
    """Picks the streams that an input is for out of its messages."""

    def __init__(self, codec: Codec, params: Params) -> None:
        """Know no stream; codec: one that can take messages apart."""
        assert codec.apart is not None
        self._apart, self._listed = codec.apart, codec.kind == TF
        self._known: Dict[str, bool] = {}
        self._came, self._missed = False, False
        self.apply(params)

    def apply(self, params: Params) -> None:
        """Take over what can change while messages flow."""
        self._text = params.streams
        self._patterns = [word for word in re.split(r'[\s,]+', params.streams) if word]
        self._known.clear()
        self._came = False

    def take(self, raw: bytes) -> Sequence[bytes]:
        """Return the chosen parts of a message; one that is malformed goes on as it is."""
        try:
            chosen = [part for name, part in self._apart(raw) if self.wants(name)]
        except MalformedError:
            return [raw]
        self.note(bool(chosen))
        return chosen

    def note(self, chosen: bool) -> None:
        """Note whether there was something in a message."""
        self._came, self._missed = self._came or chosen, not chosen

    def wants(self, name: str) -> bool:
        """Return whether a stream is chosen; what was smoothed already is not."""
        found = self._known.get(name)
        if found is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            found = self._known[name] = not self._is_smooth(name) and (
                not self._patterns or fits(name, self._patterns))
        return found

    def _is_smooth(self, name: str) -> bool:
        return self._listed and is_smooth(name)

    def passed_over(self) -> str:
        """Return, in words, that there is nothing but streams which are not chosen; or ''."""
        others = sorted(name for name, wanted in self._known.items()
                        if not wanted and not self._is_smooth(name))
        if not others or not self._missed:
            return ''
        more = f' and {len(others) - SHOWN} more' if len(others) > SHOWN else ''
        which = 'no stream comes any more that' if self._came else 'none of its streams'
        return f'{which} fits {self._text!r}; there are {", ".join(others[:SHOWN])}{more}'
