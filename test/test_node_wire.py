# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Messages as bytes: the same as rclpy's objects, and nothing that bytes can be ends the node."""

import struct
import subprocess
import sys
from time import perf_counter

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from objects import CODECS
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from ros_graph import ROOT, stamped, walk

from liquid_ros.evaluation.bag_messages import KINDS
from liquid_ros.ros.answers import passable
from liquid_ros.ros.layout import MalformedError
from liquid_ros.ros.messages import Head, Smooth
from liquid_ros.ros.wire import WIRES

FRAMES = ['', 'a', 'map', 'tag', 'odom', 'tag_36h11:00001', 'é' * 7, 'x' * 300]
NUMBERS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 5e-324, np.inf, -np.inf, np.nan])


def message_of(kind, frame, child, numbers, poses=2):
    """Return a message of a kind with these names and numbers, which are used over and over."""
    numbers = np.resize(np.array(numbers, dtype=float), 85)
    message = stamped(kind, 17 * 10**9 + 5, walk(kind, 1)[1][0], frame)
    if kind == 'pose_array':
        message.poses = [type(message.poses[0])() for _ in range(poses)]
        targets = message.poses
    elif kind == 'transform':
        message.child_frame_id = child
        t, r = message.transform.translation, message.transform.rotation
        t.x, t.y, t.z, r.x, r.y, r.z, r.w = numbers[:7].tolist()
        return message
    elif kind == 'path':  # of other frames, or all of one
        message.poses = [stamped('pose', 10**9 * i - 1, walk('pose', 1)[1][0],
                                 child if i % 3 == 2 else frame) for i in range(poses)]
        targets = [pose.pose for pose in message.poses]
    elif kind == 'point':
        p = message.point
        p.x, p.y, p.z = numbers[:3].tolist()
        return message
    else:
        targets = [message.pose if kind == 'pose' else message.pose.pose]
    for i, pose in enumerate(targets):
        p, q = pose.position, pose.orientation
        p.x, p.y, p.z, q.x, q.y, q.z, q.w = np.roll(numbers, i)[:7].tolist()
    if kind in ('pose_with_covariance', 'odometry'):
        message.pose.covariance = numbers[7:43]
    if kind == 'odometry':
        message.child_frame_id = child
        v, w = message.twist.twist.linear, message.twist.twist.angular
        v.x, v.y, v.z, w.x, w.y, w.z = numbers[43:49].tolist()
        message.twist.covariance = numbers[49:85]
    return message


def swapped(kind, raw):
    """Return a little-endian message as a big-endian one."""
    sec, nanosec, length = struct.unpack_from('<iII', raw, 4)
    out = b'\0\0\0\0' + struct.pack('>iII', sec, nanosec, length) + raw[16:16 + length]
    at = 16 + length
    if kind == 'path':
        at = (at + 3) // 4 * 4
        count, = struct.unpack_from('<I', raw, at)
        out += bytes(-len(out) % 4) + struct.pack('>I', count)
        at += 4
        for _ in range(count):
            sec, nanosec, length = struct.unpack_from('<iII', raw, at)
            out += struct.pack('>iII', sec, nanosec, length) + raw[at + 12:at + 12 + length]
            at = (at + 12 + length - 4 + 7) // 8 * 8 + 4
            out += bytes((4 - len(out)) % 8)
            out += np.frombuffer(raw, '<f8', 7, at).astype('>f8').tobytes()
            at += 56
        return out
    if kind in ('transform', 'odometry'):
        at = (at + 3) // 4 * 4
        length, = struct.unpack_from('<I', raw, at)
        out += bytes(-len(out) % 4) + struct.pack('>I', length) + raw[at + 4:at + 4 + length]
        at += 4 + length
    if kind == 'pose_array':
        at = (at + 3) // 4 * 4
        count, = struct.unpack_from('<I', raw, at)
        out += bytes(-len(out) % 4) + struct.pack('>I', count)
        at += 4
        if not count:
            return out
    at = (at - 4 + 7) // 8 * 8 + 4
    out += bytes((4 - len(out)) % 8)
    return out + np.frombuffer(raw, '<f8', (len(raw) - at) // 8, at).astype('>f8').tobytes()


def flat(value):
    """Return all that a message holds, floats as their bits: NaN is not equal to itself."""
    if hasattr(value, 'get_fields_and_field_types'):
        return [flat(getattr(value, name)) for name in value.get_fields_and_field_types()]
    if isinstance(value, float):
        return struct.pack('<d', value)
    if isinstance(value, (int, str)):
        return value
    return [flat(part) for part in (value.tolist() if isinstance(value, np.ndarray) else value)]


def assert_reads(raw, message):
    """rclpy reads the bytes as this message, which is as long on the wire."""
    assert flat(deserialize_message(raw, type(message))) == flat(message)
    assert len(raw) == len(serialize_message(message))


def assert_same(one, other):
    """Compare batches, bit for bit."""
    assert (list(one.keys), list(one.stamps_ns)) == (list(other.keys), list(other.stamps_ns))
    assert list(one.frames) == list(other.frames)
    np.testing.assert_array_equal(one.rows, other.rows)
    assert (one.variances is None) == (other.variances is None)
    if one.variances is not None:
        np.testing.assert_array_equal(one.variances, other.variances)


@pytest.mark.parametrize('kind', sorted(CODECS))
@settings(max_examples=60, deadline=None)
@given(frame=st.sampled_from(FRAMES) | st.integers(0, 300).map('f'.__mul__),
       child=st.sampled_from(FRAMES), out_frame=st.sampled_from([None, *FRAMES]),
       numbers=st.lists(NUMBERS, min_size=1, max_size=30), poses=st.integers(0, 5),
       big=st.booleans(), stamp_ns=st.integers(-2**31 * 10**9, 2**31 * 10**9 - 1))
def test_bytes_say_what_objects_say(kind, frame, child, out_frame, numbers, poses, big, stamp_ns):
    typed, wire = CODECS[kind], WIRES[kind]
    message = message_of(kind, frame, child, numbers, poses)
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    raw = serialize_message(message)
    taken = swapped(kind, raw) if big else raw
    assert deserialize_message(taken, typed.message) is not None
    assert_same(wire.read(taken), typed.read(message))
    assert wire.child(taken) == typed.child(message)
    assert passable(wire, taken) == passable(typed, message)
    head = Head(12 * 10**9 + 7, frame if out_frame is None else out_frame)
    axes = 3 if kind == 'point' else 6
    count = len(typed.read(message).rows)
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(count, typed.width))
    if kind in ('pose_array', 'path') and count:
        rows[0] = np.nan
    smooth = Smooth(rows, *(rng.random((count, axes)) for _ in range(3)))
    assert_reads(wire.write(taken, head, smooth), typed.write(message, head, smooth))
    assert_reads(wire.moved(taken, head), typed.moved(message, head))


@pytest.mark.parametrize('kind', sorted(CODECS))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_bytes_that_are_no_message_are_malformed(kind, data):
    """Cut anywhere, or with any length in a string's or array's place: refused, or read."""
    raw = serialize_message(message_of(kind, 'map', 'tag', [1.0, 2.0]))
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(MalformedError, match='got'):
        WIRES[kind].read(raw[:cut])
    at = data.draw(st.integers(0, min(len(raw) - 4, 40)))
    spoilt = raw[:at] + struct.pack('<I', data.draw(st.integers(0, 2**32 - 1))) + raw[at + 4:]
    try:
        WIRES[kind].read(spoilt)
    except MalformedError:
        pass


@pytest.mark.parametrize('kind', sorted(WIRES))
def test_no_bytes_at_all_are_malformed_also_before_any_message(kind):
    code = ('from liquid_ros.ros.layout import MalformedError\n'
            'from liquid_ros.ros.wire import WIRES\n'
            f'try:\n    WIRES[{kind!r}].read(b"")\nexcept MalformedError:\n    print("refused")')
    told = subprocess.check_output([sys.executable, '-c', code], cwd=ROOT, text=True)
    assert told == 'refused\n'


def offline(kind, raw):
    """Return the message as a replay reads it."""
    return KINDS[WIRES[kind].kind].read('', 0, raw)


def test_a_string_without_its_closing_zero_keeps_its_letters():
    row = walk('pose', 1)[1][0]
    raw = serialize_message(stamped('pose', 10**9, row, 'mapp'))
    bare = raw[:12] + struct.pack('<I', 4) + raw[16:20] + raw[24:]
    assert deserialize_message(bare, CODECS['pose'].message).header.frame_id == 'mapp'
    assert WIRES['pose'].read(bare).frames[0] == 'mapp'
    assert offline('pose', bare).frames[0] == 'mapp'


def test_a_name_that_is_no_utf8_goes_out_as_it_came():
    raw = serialize_message(stamped('pose', 10**9, walk('pose', 1)[1][0], 'abc'))
    odd = raw.replace(b'abc\0', b'\xff\xfe\x80\0')
    batch = WIRES['pose'].read(odd)
    assert batch.frames[0].encode('utf-8')
    assert offline('pose', odd).frames == batch.frames
    out = WIRES['pose'].moved(odd, Head(10**9, batch.frames[0]))
    assert out[16:20] == odd[16:20] and out[-56:] == odd[-56:]


def test_a_long_path_takes_a_fraction_of_what_its_objects_take():
    rows = walk('pose', 2000)[1]
    path = CODECS['path'].message(poses=[
        stamped('pose', 10**9 + i, row) for i, row in enumerate(rows)])
    raw = serialize_message(path)

    def seconds(read, write):
        begun = perf_counter()
        batch = read()
        written = write(Smooth(batch.rows, *3 * (np.ones((2000, 6)),)))
        return perf_counter() - begun, bytes(written)

    head, wire, typed = Head(5, 'map'), WIRES['path'], CODECS['path']
    ours, got = min(seconds(lambda: wire.read(bytes(bytearray(raw))),
                            lambda smooth: wire.write(raw, head, smooth)) for _ in range(5))
    theirs, wanted = min(seconds(
        lambda: typed.read(deserialize_message(raw, typed.message)),
        lambda smooth: serialize_message(typed.write(path, head, smooth))) for _ in range(3))
    assert deserialize_message(got, typed.message) == deserialize_message(wanted, typed.message)
    assert ours < 0.3 * theirs
