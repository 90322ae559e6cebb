# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A bag through the commands and the same bag through the node over DDS: the same bits."""

from bags import flawed, TYPES, write_bag
from objects import CODECS
import pytest
from rclpy.serialization import serialize_message
from ros_graph import lossless, settle
from rosbags.rosbag2 import Reader

from liquid_ros.__main__ import main
from liquid_ros.checkpoint import build
from liquid_ros.evaluation.bag_messages import store
from liquid_ros.fused import Fused


def numbers(raw, msgtype):
    """Return a message with every field as it is, padding aside."""
    message = store().deserialize_cdr(raw, msgtype)
    return bytes(store().serialize_cdr(message, msgtype))


def topic_of(path, topic):
    with Reader(path) as reader:
        chosen = [c for c in reader.connections if c.topic == topic]
        return [bytes(raw) for _, _, raw in reader.messages(connections=chosen)]


@pytest.mark.parametrize('kind', sorted(CODECS))
def test_a_bag_through_the_node_gives_the_same_bits(graph, tmp_path, kind):
    if kind in ('pose_array', 'transform') and not isinstance(build(), Fused):
        pytest.skip("without a compiler NumPy's products round by how many streams there are")
    messages = flawed(kind, 150)
    write_bag(tmp_path / 'bag', {'/pose': (TYPES[kind], messages)})
    assert main(['smooth', str(tmp_path / 'bag'), '-o', str(tmp_path / 'a'),
                 '--device', 'cpu']) == 0
    assert main(['evaluate', str(tmp_path / 'bag'), '-o', str(tmp_path / 'b'),
                 '--device', 'cpu', '--no-baselines']) == 0
    node = graph.smoother(input_type=kind, **lossless('/pose'))
    publisher, _ = graph.connect(node, kind)
    for _, raw in messages:
        publisher.publish(raw)
    tally, received = settle(graph, node, len(messages))
    assert 10 < tally.accepted < len(messages) and tally.resets
    online = [numbers(serialize_message(message), TYPES[kind]) for message in received]
    for name in ('a', 'b'):
        offline = topic_of(tmp_path / name, '/pose/smoothed')
        assert len(offline) == len(online)
        for raw, other in zip(offline, online):
            assert numbers(raw, TYPES[kind]) == other
