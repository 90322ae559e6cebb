# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""/tf as an input: transforms taken apart and put together, and which of them are meant."""

import importlib.util

from bags import flawed, make, START_NS, store, transform, TYPES, write_bag
from geometry_msgs.msg import PoseArray
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from rclpy.parameter import Parameter
from ros_graph import DEEP, lossless
from rosbags.rosbag2 import Reader

from liquid_ros.__main__ import main
from liquid_ros.checkpoint import build
from liquid_ros.fused import Fused
from liquid_ros.params import resolve
from liquid_ros.ros import layout, messages, outputs
from liquid_ros.ros.layout import MalformedError
from liquid_ros.ros.messages import Head, message_class, Smooth
from liquid_ros.ros.transforms import apart, joined
from liquid_ros.ros.wire import WIRES

TF = TYPES['tf']
FRAMES = st.sampled_from(['', 'map', 'tag36h11:17', 'é' * 7]) | st.integers(0, 60).map('f'.__mul__)
ONE = st.tuples(FRAMES, FRAMES, st.integers(-2**31 * 10**9, 2**31 * 10**9 - 1),
                st.lists(st.floats(width=64, allow_nan=False), min_size=7, max_size=7))
INSTALLED = importlib.util.find_spec('tf2_msgs') is not None


def bytes_of(*transforms):
    """Return a TFMessage as rosbags writes it; each of transforms: parent, child, ns, row."""
    listed = [transform(stamp_ns, parent, child, row)
              for parent, child, stamp_ns, row in transforms]
    return bytes(store().serialize_cdr(make(TF, listed), TF))


def listed(raw):
    """Return parent, child, ns and row of each transform, as rosbags reads them."""
    found = []
    for one in store().deserialize_cdr(raw, TF).transforms:
        t, r, stamp = one.transform.translation, one.transform.rotation, one.header.stamp
        found.append((one.header.frame_id, one.child_frame_id, stamp.sec * 10**9 + stamp.nanosec,
                      (t.x, t.y, t.z, r.x, r.y, r.z, r.w)))
    return found


@settings(max_examples=100, deadline=None)
@given(transforms=st.lists(ONE, max_size=6))
def test_taken_apart_and_put_together_a_message_is_what_it_was(transforms):
    parts = apart(bytes_of(*transforms))
    assert [name for name, _ in parts] == [f'{parent}:{child}' for parent, child, *_ in transforms]
    for (_, part), one in zip(parts, transforms):
        assert part == bytes_of(one)
        batch = WIRES['tf'].read(part)
        assert list(batch.keys) == [f'{one[0]}:{one[1]}'] and list(batch.stamps_ns) == [one[2]]
        np.testing.assert_array_equal(batch.rows, [one[3]])
    if parts:
        assert joined([part for _, part in parts]) == bytes_of(*transforms)


@settings(max_examples=60, deadline=None)
@given(one=ONE, other=ONE, data=st.data())
def test_what_goes_out_has_the_frames_and_other_numbers(one, other, data):
    """Of one of several, under a header that is its own or another one."""
    codec = WIRES['tf']
    part = apart(bytes_of(one, other))[data.draw(st.integers(0, 1))][1]
    parent, child, _, row = listed(part)[0]
    frame = data.draw(st.sampled_from([parent, 'odom']))
    ones = np.ones((1, 6))
    smooth = Smooth(np.arange(7.0)[None], ones, ones, ones)
    assert listed(codec.write(part, Head(5, frame), smooth)) == [
        (frame, child, 5, tuple(range(7)))]
    assert listed(codec.moved(part, Head(5, frame))) == [(frame, child, 5, tuple(row))]
    assert codec.child(part) == child


@settings(max_examples=100, deadline=None)
@given(transforms=st.lists(ONE, min_size=1, max_size=3), data=st.data())
def test_bytes_that_are_no_transforms_are_malformed(transforms, data):
    """Cut anywhere, or with any length in a string's or the sequence's place."""
    raw = bytes_of(*transforms)
    with pytest.raises(MalformedError, match='bytes that are no TFMessage'):
        apart(raw[:data.draw(st.integers(0, len(raw) - 1))])
    at = data.draw(st.integers(4, len(raw) - 4))
    spoilt = raw[:at] + data.draw(st.integers(0, 2**32 - 1)).to_bytes(4, 'little') + raw[at + 4:]
    try:
        for _, part in apart(spoilt):
            WIRES['tf'].read(part)
    except MalformedError:
        pass


def test_several_transforms_are_not_taken_for_one():
    one = 'map', 'tag', 5, (1.0,) * 7
    for count in (0, 2):
        with pytest.raises(MalformedError, match='more or fewer'):
            WIRES['tf'].read(bytes_of(*[one] * count))


# -- over DDS. Bytes go and come: where tf2_msgs is not installed another type's name will do.


@pytest.fixture
def tf(graph, monkeypatch):
    """Yield what makes a node with /tf for its input, and the other end of it."""
    if not INSTALLED:
        def stand_in(kind):
            return PoseArray if kind == TF else message_class(kind)
        for module in (layout, messages, outputs):
            monkeypatch.setattr(module, 'message_class', stand_in)
    return Tf(graph)


class Tf:
    """A node and its peer."""

    def __init__(self, graph):
        """Make nothing yet."""
        self.graph = graph
        self.message = messages.message_class(TF)
        self.publisher = graph.peer.create_publisher(self.message, '/tf', DEEP)

    def node(self, **params):
        """Return a node that loses nothing."""
        params = {'input_topic': '/tf', 'input_type': 'tf', **lossless('/tf'), **params}
        made = self.graph.smoother(**params)
        self.graph.matched(self.publisher, count=len(made.channels))
        return made

    def listen(self, topic):
        """Collect the transforms of each message on a topic."""
        found = []
        self.graph.peer.create_subscription(
            self.message, topic, lambda raw: found.append(listed(raw)), DEEP, raw=True)
        self.graph.matched(topic=topic)
        return found

    def send(self, *raws):
        """Publish messages."""
        for raw in raws:
            self.publisher.publish(raw)

    def settle(self, node, transforms, out, answers, place=0):
        """Wait until the node has taken so many transforms, and answered."""
        tally = node.channels[place].tally
        self.graph.until(lambda: tally.received >= transforms, f'{transforms} transforms')
        self.graph.until(lambda: len(out) >= answers, f'{answers} answers')
        self.graph.pause(0.2)
        assert (tally.received, len(out)) == (transforms, answers)
        assert tally.received == tally.accepted + sum(tally.dropped.values())
        return tally


def walks(count, *names, rate_hz=30.0):
    """Return count messages of noisy transforms: parent, child."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(count, len(names), 7)) * 0.01 + [1, 2, 3, 0, 0, 0, 1]
    return [bytes_of(*((parent, child, START_NS + round(k / rate_hz * 1e9) + 1000 * i, row)
                       for i, ((parent, child), row) in enumerate(zip(names, rows[k]))))
            for k in range(count)]


def test_a_bag_through_the_node_gives_what_smooth_gives(tf, tmp_path):
    """Broken, late and repeated transforms among them: message for message, bit for bit."""
    if not isinstance(build(), Fused):
        pytest.skip("without a compiler NumPy's products round by how many streams there are")
    sent = flawed('tf', 150)
    write_bag(tmp_path / 'bag', {'/tf': (TF, sent)})
    assert main(['smooth', str(tmp_path / 'bag'), '-o', str(tmp_path / 'out'),
                 '--device', 'cpu']) == 0
    with Reader(tmp_path / 'out') as reader:
        wanted = [listed(bytes(raw)) for connection, _, raw in reader.messages()
                  if connection.topic == '/tf/smoothed']
    node = tf.node()
    out = tf.listen('/tf/smoothed')
    tf.send(*(raw for _, raw in sent))
    tally = tf.settle(node, sum(len(listed(raw)) for _, raw in sent), out, len(wanted))
    assert out == wanted and sum(map(len, wanted)) == tally.accepted
    assert tally.dropped and tally.resets


def test_only_the_streams_that_are_asked_for_are_smoothed(tf):
    """Patterns, changed while it runs; other transforms are as if they had not come."""
    node = tf.node(streams='camera:tag*, odom:base')
    out = tf.listen('/tf/smoothed')
    tf.send(*walks(10, ('odom', 'base'), ('base', 'wheel'), ('camera', 'tag36h11:7'),
                   ('map', 'tag'), ('base', 'arm')))
    tally = tf.settle(node, 20, out, 10)
    assert {tuple((parent, child) for parent, child, *_ in one) for one in out} == {
        (('odom', 'base'), ('camera', 'tag36h11:7'))}
    assert tally.accepted == 20 and set(tally.streams) == {'odom:base', 'camera:tag36h11:7'}
    assert node.set_parameters([Parameter('streams', value='base:wheel')])[0].successful
    tf.send(*walks(5, ('odom', 'base'), ('base', 'wheel')))
    tf.settle(node, 25, out, 15)
    assert out[-1][0][:2] == ('base', 'wheel') and len(out[-1]) == 1
    assert list(tally.streams) == ['base:wheel'] and tally.poses == 20
    assert [told.name for told in node.channels[0].status()] == [
        '/smoother: /tf', '/smoother: /tf [base:wheel]']


@pytest.mark.parametrize('child_frame', ['', 'held'])
def test_its_own_transforms_are_not_smoothed_again(tf, child_frame):
    """What goes out to /tf comes back."""
    node = tf.node(publish_tf=True, child_frame=child_frame)
    seen, out = tf.listen('/tf'), tf.listen('/tf/smoothed')
    tf.send(*walks(10, ('camera', 'a'), ('camera', 'b')))
    tf.settle(node, 20, out, 10)
    names = [f'held_{name}_smoothed' if child_frame else f'{name}_smoothed' for name in 'ab']
    made = [one for one in seen if one[0][1] in names]
    assert len(seen) == 20 and [[t[1] for t in one] for one in made] == [names] * 10
    assert [[t[3] for t in one] for one in made] == [[t[3] for t in one] for one in out]


def test_at_a_rate_all_streams_go_out_together(tf):
    node = tf.node(publish_rate_hz=50.0, hold_timeout_s=1.0)
    out = tf.listen('/tf/smoothed')
    now_ns = node.get_clock().now().nanoseconds
    for k in range(5):
        tf.send(bytes_of(*(('map', child, now_ns + k * 10_000_000, (1.0, 2.0, 3.0, 0, 0, 0, 1))
                           for child in 'ab')))
    tf.graph.until(lambda: len(out) > 5, 'predictions')
    assert {tuple(t[1] for t in one) for one in out[1:]} == {('a', 'b')}


def test_two_inputs_may_be_of_one_topic(tf):
    """Each with streams, topics, transforms and diagnostics of its own."""
    node = tf.node(**{'inputs': ['tags', 'base'], 'input_topic': '/tf', 'tags.streams': 'tag?',
                      'base.streams': 'odom:base', 'publish_tf': True, 'publish_odometry': True,
                      'tags.child_frame': 'x', 'base.child_frame': 'y'})
    tags, base = tf.listen('/tags/smoothed'), tf.listen('/base/smoothed')
    tf.send(*walks(10, ('odom', 'base'), ('camera', 'tag1'), ('camera', 'tag2')))
    tf.settle(node, 20, tags, 10)
    tf.settle(node, 10, base, 10, place=1)
    assert {t[1] for one in tags for t in one} == {'tag1', 'tag2'}
    assert {t[1] for one in base for t in one} == {'base'}
    told = [channel.status()[0].name for channel in node.channels]
    assert told == ['/smoother: /tf (tags)', '/smoother: /tf (base)']
    assert node.count_publishers('/tags/odometry') == node.count_publishers('/base/odometry') == 1


def test_a_frame_that_two_inputs_publish_is_told(tf, capfd):
    """Once one of them is there no more nothing is wrong."""
    node = tf.node(**{'inputs': ['tags', 'all'], 'input_topic': '/tf', 'tags.streams': 'tag*',
                      'publish_tf': True})
    out = tf.listen('/tags/smoothed')
    tf.send(*walks(10, ('odom', 'base'), ('camera', 'tag1')))
    tf.settle(node, 10, out, 10)
    said = capfd.readouterr().err
    assert said.count('publishes tag1_smoothed to /tf, too: set child_frame or streams') == 1
    assert 'base_smoothed' not in said
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert not node.frames.taken('tag1_smoothed', 'another')


def test_a_frame_of_two_parents_is_told(tf, capfd):
    """One camera's is another frame than the other's, and only one of them can be in /tf."""
    node = tf.node(publish_tf=True)
    out = tf.listen('/tf/smoothed')
    tf.send(*walks(10, ('left', 'tag:7'), ('right', 'tag:7'), ('right', 'tag:8')))
    tf.settle(node, 30, out, 10)
    said = capfd.readouterr().err
    assert said.count('/tf left:tag:7 publishes tag:7_smoothed to /tf, too') == 1
    assert 'tag:8_smoothed' not in said
    node.channels[0].flow.leave_out(['left:tag:7'])
    assert node.frames.taken('tag:8_smoothed', 'another')
    assert not node.frames.taken('tag:7_smoothed', 'another')


def test_tf_is_where_transforms_come_from(tf):
    """Of the only input and of named ones, where nothing else is said."""
    node = tf.graph.smoother(active=False, input_type='tf')
    assert node.get_parameter('input_topic').value == '/tf'
    here = {'input_type': 'tf', 'tags.input_topic': 'here'}
    for values, wanted in (({'tags.input_type': 'tf'}, '/tf'), ({}, 'tags'), (here, 'here')):
        assert resolve({'inputs': ['tags'], **values})['tags.input_topic'] == wanted


def test_streams_of_what_has_one_stream_are_told(graph, capfd):
    graph.smoother(streams='tag*')
    assert "streams: got 'tag*', which does nothing for input_type pose" in capfd.readouterr().err


@pytest.mark.parametrize('more', [{}, {'inputs': ['a', 'b'], 'a.input_topic': '/tf',
                                       'b.input_topic': '/else', 'b.output_topic': '/tf'}])
def test_no_output_may_go_where_an_input_comes_from(tf, capfd, more):
    params = {'input_topic': '/tf', 'input_type': 'tf', 'output_topic': '/tf'}
    node = tf.graph.smoother(active=False, **(more and {'input_type': 'tf'} or params), **more)
    assert not node.bring_up()
    assert 'cannot configure: got /tf twice' in capfd.readouterr().err


def test_where_no_stream_is_meant_the_reason_is_told(tf):
    node = tf.node(streams='camera:tag*', no_data_s=0.2)
    tf.send(*walks(5, ('odom', 'base'), ('base', 'wheel')))
    told = []

    def found():
        told[:] = [one.message for one in node.channels[0].status()]
        return 'base:wheel' in told[0]

    tf.graph.until(found, 'a diagnosis')
    assert "none of its streams fits 'camera:tag*'; there are base:wheel, odom:base" in told[0]
    tf.send(*walks(2, ('camera', 'tag')), *walks(5, ('odom', 'base')))
    tf.graph.until(lambda: node.channels[0].tally.received == 2, 'a tag')
    tf.graph.pause(0.3)
    found()
    assert "no stream comes any more that fits 'camera:tag*'; there are base:wheel" in told[0]


def test_where_nobody_else_sends_that_is_told(tf):
    """The node's own transforms are none that it could smooth."""
    node = tf.graph.smoother(input_topic='/tf', input_type='tf', publish_tf=True, no_data_s=0.2)
    tf.graph.peer.destroy_publisher(tf.publisher)
    tf.graph.until(lambda: 'nobody publishes it' in node.channels[0].status()[0].message,
                   'a diagnosis')


def test_bytes_that_are_no_message_are_counted(tf, capfd):
    node = tf.node()
    out = tf.listen('/tf/smoothed')
    good, bad = walks(2, ('map', 'tag'))
    tf.send(good, bad[:-9])
    assert tf.settle(node, 2, out, 1).dropped == {'malformed': 1}
    assert 'it ends in the transform 0 of 1' in capfd.readouterr().err


def test_what_waited_goes_out_together(tf):
    """The last message of a sender that falls silent."""
    node = tf.node(reorder_s=0.05)
    out = tf.listen('/tf/smoothed')
    tf.send(*walks(3, ('map', 'a'), ('map', 'b'), rate_hz=5.0))
    tf.graph.until(lambda: len(out) == 3, 'the last message')
    assert [[t[1] for t in one] for one in out[1:]] == [['a', 'b']] * 2 and node.channels


def test_what_is_left_out_is_no_longer_predicted(tf):
    node = tf.node(publish_rate_hz=50.0, hold_timeout_s=30.0)
    out = tf.listen('/tf/smoothed')
    now_ns = node.get_clock().now().nanoseconds
    tf.send(bytes_of(*(('map', child, now_ns, (1.0, 2.0, 3.0, 0, 0, 0, 1)) for child in 'ab')))
    tf.graph.until(lambda: out and len(out[-1]) == 2, 'predictions')
    assert node.set_parameters([Parameter('streams', value='map:a')])[0].successful
    tf.graph.until(lambda: len(out[-1]) == 1, 'less of them')
    assert out[-1][0][1] == 'a'


@pytest.mark.skipif(INSTALLED, reason='tf2_msgs is installed')
def test_without_tf2_msgs_one_line_says_so(graph, capfd):
    node = graph.smoother(active=False, input_topic='/tf', input_type='tf')
    assert not node.bring_up()
    assert 'input_type tf, but tf2_msgs is not installed' in capfd.readouterr().err
