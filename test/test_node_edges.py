# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Messages at the edge of what a node must bear, given to its channel one by one."""

from ros_graph import stamped, START_NS

from liquid_ros.ros.outputs import topic_word

NS = 10**9
ROW = [1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0]


def channel(graph, **params):
    """Return a node, its channel and what its output publishes from here on."""
    node = graph.smoother(**params)
    made, out = node.channels[0], []
    publish = made.outputs.main.publish
    made.outputs.main.publish = lambda message: (out.append(message), publish(message))
    return node, made, out


def give(made, *messages):
    """Let messages come."""
    for message in messages:
        made._on_message(message)


def pose(at_s, x=0.0, frame='map'):
    """Return a pose at so many seconds."""
    return stamped('pose', round(at_s * NS), [x, *ROW[1:]], frame)


def tag(child, at_s, x=0.0):
    """Return a transform."""
    message = stamped('transform', round(at_s * NS), [x, *ROW[1:]])
    message.child_frame_id = child
    return message


# -- paths of streams


def test_a_long_child_frame_has_a_path_of_a_bounded_name(graph):
    """Two that differ at their end only have two paths."""
    _, made, _ = channel(graph, input_type='transform')
    give(made, tag('x' * 300, 1), tag('x' * 299 + 'y', 1))
    made.outputs.send_paths()
    names = {publisher.topic_name for publisher in made.outputs._paths.values()}
    assert len(names) == 2 and max(map(len, names)) < 100
    assert topic_word('tag 1/b') == 'tag_1_b'


def test_a_path_that_cannot_be_published_is_told_and_the_rest_goes_on(graph, capfd):
    """A base of 230 letters leaves no room below it."""
    _, made, out = channel(graph, input_type='transform', path_topic='/' + 'p' * 230)
    give(made, tag('x' * 80, 1))
    made.outputs.send_paths()
    made.outputs.send_paths()
    give(made, tag('x' * 80, 1.1))
    made.outputs.send_paths()
    assert len(out) == 2
    told = [line for line in capfd.readouterr().err.splitlines() if 'no path' in line]
    assert len(told) == 1


def test_streams_that_go_leave_nothing_behind(graph):
    """Thirty child frames one after the other: no parameter, no publisher, no entity more."""
    node, made, _ = channel(graph, input_type='transform', max_streams=4, gap_reset_s=0.5)
    counts = []
    for i in range(30):
        give(made, tag(f'tag_{i}', 100.0 + i))
        made.outputs.send_paths()
        if i in (9, 29):
            counts.append((len(node._parameters), len(list(node.publishers)),
                           len(node.default_callback_group.entities)))
    assert counts[0][0] == counts[1][0]
    assert counts[1][1] <= counts[0][1] + 3 and counts[1][2] <= counts[0][2] + 6


def test_a_path_in_hindsight_is_not_for_paths(graph, capfd):
    """One line at configure."""
    node = graph.smoother(active=False, input_type='path', path_smoothed=True)
    assert not node.bring_up()
    assert 'path_smoothed: got input_type path' in capfd.readouterr().err


def test_the_child_frame_is_named_after_the_topic_it_really_is(graph):
    """A remap counts."""
    node = graph.smoother('-r', 'pose:=/robot/left_hand', publish_odometry=True)
    made, told = node.channels[0], []
    made.outputs._odometry.publish = told.append
    give(made, pose(START_NS / NS))
    assert told[0].child_frame_id == 'left_hand_smoothed'
