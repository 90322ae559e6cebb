# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The short way through the node beside the long one: the same bytes, the same counts."""

import struct

from nav_msgs.msg import Path
import numpy as np
from objects import CODECS
import pytest
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message, serialize_message
from ros_graph import channel_of, DEEP, lossless, stamped, START_NS, walk

from liquid_ros.checkpoint import build
from liquid_ros.fused import Fused
from liquid_ros.ros.wire import WIRES

NS = 10**9
COUNT = 400

pytestmark = pytest.mark.skipif(not isinstance(build(), Fused), reason='no compiled step')


def odd(kind, raw, i, rng):
    """Return what becomes of a message now and then: all that a wire can bring."""
    body, (sec, nanosec) = bytearray(raw), struct.unpack_from('<iI', raw, 4)
    case = rng.integers(12) if rng.random() < 0.25 else -1
    behind = len(raw) - 8 * WIRES[kind].layout.count + 8 * CODECS[kind].width  # the pose or point
    if case == 0:
        return raw[:rng.integers(len(raw))]  # cut off
    if case == 1:
        struct.pack_into('<d', body, behind - 8 * rng.integers(1, 4), np.nan)
    elif case == 2:
        struct.pack_into('<d', body, behind - 8, 1e13)
    elif case == 3:
        struct.pack_into('<iI', body, 4, 0, 0)
    elif case == 4:
        struct.pack_into('<iI', body, 4, sec - 1, nanosec)  # late
    elif case == 5:
        struct.pack_into('<iI', body, 4, sec - 100, nanosec)  # time goes back
    elif case == 6:
        struct.pack_into('<iI', body, 4, sec - 1, nanosec + NS)  # more than a second of them
    elif case == 7:
        struct.pack_into('<iI', body, 4, sec + 6, nanosec)  # a gap
    elif case == 8:
        return bytes(body) + b'more'
    elif case == 9:
        body[2:4] = b'\0\1'  # options of the encapsulation
    elif case == 10 and kind != 'point':
        struct.pack_into('<4d', body, behind - 32, 0.0, 0.0, 0.0, 0.0)
    elif case == 11:
        return serialize_message(stamped(kind, START_NS + i * NS // 100, walk(kind, 1)[1][0],
                                         ['', 'odom', 'a' * 7, 'é', 'tag\0tag'][i % 5]))
    return bytes(body)


def message_of(kind, stamp_ns, row, rng):
    """Return a message as bytes, with random ones in its gaps and all that a sender may state."""
    message = stamped(kind, stamp_ns, row)
    if kind == 'transform':
        message.child_frame_id = ['a', 'tag', 'left/hand'][rng.integers(3)]
    if kind in ('odometry', 'pose_with_covariance'):
        root = rng.normal(size=(6, 6)) * 0.1
        message.pose.covariance = (
            root @ root.T if rng.random() < 0.7 else
            np.diag(rng.choice([0.0, -1.0, 1e-4, 1e-30, 1e30, np.inf, np.nan], 6))).ravel()
    if kind == 'odometry':
        message.child_frame_id = 'base'
        v = message.twist.twist.linear
        v.x, v.y = rng.normal(), rng.choice([0.5, np.nan, np.inf], p=[0.9, 0.05, 0.05])
        message.twist.covariance = rng.choice([0.1, 1e300, np.nan], 36, p=[0.98, 0.018, 0.002])
    body = bytearray(serialize_message(message))
    at = 16 + struct.unpack_from('<I', body, 12)[0]
    if kind in ('odometry', 'transform'):
        body[at:at + -at % 4] = rng.bytes(-at % 4)
        at += -at % 4 + 5 + len(message.child_frame_id)
    body[at:at + (4 - at) % 8] = rng.bytes((4 - at) % 8)
    return bytes(body)


@pytest.mark.parametrize('options', [
    {'path_length': 0}, {'path_length': 30}, {'path_length': 0, 'frame_id': 'map'},
    {'path_length': 30, 'path_smoothed': True, 'publish_odometry': True}])
@pytest.mark.parametrize('kind', sorted(
    kind for kind, codec in WIRES.items() if codec.layout is not None and kind != 'tf'))
def test_both_ways_say_the_same(graph, kind, options):
    """One node has debug topics, and with them no short way."""
    path_length, options = options['path_length'], {
        'input_type': kind, 'input_topic': '/in', **options}
    short = graph.smoother('-r', '__node:=short', output_topic='/short',
                           **lossless('/in', '/short'), **options)
    long = graph.smoother('-r', '__node:=long', output_topic='/long', debug=True,
                          **lossless('/in', '/long'), **options)
    took = {}
    for name in ('short', 'long'):
        took[name] = []
        graph.peer.create_subscription(CODECS[kind].message, f'/{name}', took[name].append,
                                       DEEP, raw=True)
    publisher = graph.speak(kind, '/in')
    graph.matched(publisher, count=2)
    channels = [channel_of(node, '/in') for node in (short, long)]
    graph.until(lambda: all(c.outputs.main.get_subscription_count() for c in channels), 'matches')
    express, taken = channels[0].flow.express, []
    along = express._along
    express._along = lambda *message: taken.append(along(*message)) or taken[-1]
    rng = np.random.default_rng(5)
    stamps, rows = walk(kind, COUNT)
    for i, (stamp_ns, row) in enumerate(zip(stamps, rows)):
        raw = message_of(kind, stamp_ns, row, rng)
        publisher.publish(odd(kind, raw, i, rng) if i < COUNT - 50 else raw)
    one, other = tallies = [channel.tally for channel in channels]
    graph.until(lambda: all(t.received == COUNT for t in tallies), 'all messages')
    graph.until(lambda: len(took['short']) == one.published
                and len(took['long']) == other.published, 'all outputs')
    assert took['short'] == took['long'] and len(took['short']) > 250
    assert one.dropped == other.dropped and len(one.dropped) > 3
    assert one.resets == other.resets and one.accepted == other.accepted
    assert list(one.streams) == list(other.streams)
    assert len(one.streams) == (3 if kind == 'transform' else 1)
    for ours, theirs in zip(one.streams.values(), other.streams.values()):
        assert ours.mean_nis() == theirs.mean_nis() and ours.last_ns == theirs.last_ns
    assert sum(taken) > 0.5 * COUNT and channels[1].flow.express is None
    if path_length:
        key = next(iter(one.streams))
        paths = [channel.outputs.trail(key).message() for channel in channels]
        assert paths[0] == paths[1]
        assert len(deserialize_message(paths[0], Path).poses) > 5


def test_what_frame_id_no_longer_allows_does_not_go_the_short_way(graph):
    node = graph.smoother(input_topic='/in', **lossless('/in'))
    made = channel_of(node, '/in')
    stamps, rows = walk('pose', 20)
    raws = [serialize_message(stamped('pose', *one, 'odom')) for one in zip(stamps, rows)]
    for raw in raws[:10]:
        made._on_message(raw)
    assert node.set_parameters([Parameter('frame_id', value='map')])[0].successful
    for raw in raws[10:]:
        made._on_message(raw)
    assert made.tally.accepted == 10 and made.tally.dropped == {'frame': 10}


def test_names_are_known_of_streams_alone_and_of_all_of_those(graph):
    """More of them than were ever to be expected; and what is dropped leaves nothing."""
    node = graph.smoother(input_topic='/in', input_type='transform', max_streams=1200,
                          path_length=0)
    made = channel_of(node, '/in')
    express = made.flow.express
    short = []
    along = express._along
    express._along = lambda *message: short.append(along(*message)) or short[-1]
    rows = walk('pose', 6)[1]
    for k in range(6):
        for i in range(1300):
            message = stamped('transform', START_NS + k * NS // 30, rows[k])
            message.child_frame_id = f'tag_{i}'
            made._on_streams(serialize_message(message))
    assert sum(short[-1200:]) == 1200 and len(express._known) == 1200
    assert made.tally.dropped == {'max_streams': 600}


def test_a_frame_that_comes_back_goes_the_short_way_again(graph):
    node = graph.smoother(input_topic='/in', path_length=0)
    made = channel_of(node, '/in')
    stamps, rows = walk('pose', 60)
    along, short = made.flow.express._along, []
    made.flow.express._along = lambda *one: short.append(along(*one)) or short[-1]
    for i, (stamp_ns, row) in enumerate(zip(stamps, rows)):
        frame = 'odom' if 20 <= i < 40 else 'map'
        made._on_message(serialize_message(stamped('pose', stamp_ns, row, frame)))
    assert all(sum(short[start:start + 20]) > 12 for start in (0, 18, 38))
    assert made.tally.accepted == 60
