# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What goes wrong around a node, and that it says so and stays within reach."""

from time import monotonic

from channels import accounted, array_of, channel, give, NS, path, pose, ROW, tag, take
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import GetState
import numpy as np
import pytest
from rclpy.clock import ClockType
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from ros_graph import read_log, START_NS
from rosgraph_msgs.msg import Clock
from std_srvs.srv import SetBool, Trigger

from liquid_ros.checkpoint import build
from liquid_ros.evaluation.bag_messages import KINDS
from liquid_ros.evaluation.replay import replay
from liquid_ros.ros.layout import HEADER, ORIGIN
from liquid_ros.ros.messages import header_at
from liquid_ros.ros.state import load, save
from liquid_ros.ros.wire import WIRES
from liquid_ros.streams import StreamBank


def status(made):
    """Return level and message of an input's first status."""
    told = made.status()[0]
    return told.level, told.message


# -- time


def test_timers_wait_for_no_clock_that_can_be_set_back(graph):
    """Of real time they are steady; once time is simulated they follow /clock."""
    node, _, _ = channel(graph, publish_rate_hz=50.0)
    timers = node._shared_timers

    def clocks():
        return {timer.clock.clock_type for due, timer in timers._timers.items() if not due[1]}
    assert clocks() == {ClockType.STEADY_TIME}
    node.set_parameters([Parameter('use_sim_time', value=True)])
    graph.until(lambda: clocks() == {ClockType.ROS_TIME}, 'timers of simulated time')
    assert {timer.clock.clock_type for due, timer in timers._timers.items() if due[1]} == {
        ClockType.STEADY_TIME}


def test_a_timer_of_simulated_time_is_called_once_a_period(graph):
    """However often an executor fires it, and again once time went back."""
    node, calls = graph.smoother(use_sim_time=True), []
    due = node._shared_timers.every(0.1, lambda: calls.append(node.get_clock().now().nanoseconds))
    times_ns = [START_NS, START_NS + 20_000_000, START_NS + 100_000_000, START_NS - NS]
    for now_ns in times_ns:
        graph.set_clock(now_ns, node)
        for _ in range(5):
            node._shared_timers._on_timer(due[:2], True)
    assert [now_ns for now_ns in times_ns if now_ns in calls] == [
        START_NS, START_NS + 100_000_000, START_NS - NS]
    assert len(calls) == len(set(calls))


@pytest.mark.long  # of a machine that has something else to do more is lost
def test_little_is_lost_where_time_is_simulated(graph):
    """Forty frames at 30 Hz, /clock at 100: an executor that waits lost a third and more."""
    graph.process('-p', 'autostart:=true', '-p', 'input_type:=transform', '-p',
                  'use_sim_time:=true')
    publisher = graph.speak('transform', '/pose')
    clock = graph.peer.create_publisher(Clock, '/clock', 10)
    reports = graph.listen(DiagnosticArray, '/diagnostics')
    graph.matched(publisher)
    begun, sent, ticks = monotonic(), 0, 0
    while (passed := monotonic() - begun) < 3.0:
        while ticks < 100 * passed:
            ticks += 1
            clock.publish(Clock(clock=header_at(START_NS + ticks * 10_000_000, '').stamp))
        for _ in range(int(min(40 * 30 * passed - sent, 20))):  # no burst beyond its queue
            publisher.publish(tag(f'tag_{sent % 40}', START_NS / NS + sent // 40 / 30.0))
            sent += 1
        graph.executor.spin_once(timeout_sec=0.0005)

    def received():
        return int(next(pair.value for pair in reports[-1].status[0].values
                        if pair.key == 'received')) if reports else 0
    graph.until(lambda: received() > 0.8 * sent, 'four of five messages')


def test_timers_that_end_leave_nothing_in_the_node(graph):
    node, made, _ = channel(graph)
    entities = node.default_callback_group.entities
    before = len(entities)
    for rate_hz in np.linspace(1.0, 50.0, 40):
        node.set_parameters([Parameter('path_rate_hz', value=float(rate_hz))])
    assert len(entities) == before


def test_a_fixed_rate_without_clock_is_told(graph, capfd):
    node, made, out = channel(graph, publish_rate_hz=100.0, use_sim_time=True)
    for i in range(20):
        take(made.flow, pose(100 + 0.1 * i), 0)
        made.tally.received += 1
    level, message = status(made)
    assert level == DiagnosticStatus.STALE and 'no /clock' in message and not out
    status(made)
    told = [line for line in capfd.readouterr().err.splitlines() if '/clock' in line]
    assert len(told) == 1 and 'WARN' in told[0]


def test_a_stream_that_always_begins_anew_is_told(graph):
    """Slower than gap_reset_s, or in two frames in turn: nothing is smoothed, and that is WARN."""
    _, made, _ = channel(graph)
    give(made, *(pose(100 + 10.0 * i) for i in range(20)))
    level, message = status(made)
    assert level == DiagnosticStatus.WARN and '19 of 20' in message and 'gap_reset_s' in message
    give(made, *(pose(400 + 0.1 * i) for i in range(20)))
    assert status(made) == (DiagnosticStatus.OK, '20 messages')


def test_a_gap_of_an_array_is_one_of_all_its_poses(graph):
    """One message of twenty is not smoothed, not all."""
    _, made, _ = channel(graph, input_type='pose_array', max_streams=30)
    for first_s in (100.0, 200.0):
        for i in range(20):
            give(made, array_of(round((first_s + 0.1 * i) * NS), [ROW] * 21))
    assert status(made) == (DiagnosticStatus.OK, '40 messages')
    assert made.tally.resets == {'gap': 21}


def test_each_stream_is_told_of_by_itself(graph):
    """What is dropped of one says nothing of another."""
    _, made, _ = channel(graph, input_type='transform')
    give(made, *(tag('a', 100 + 0.1 * i) for i in range(4)), tag('b', 100.0), tag('b', 99.9))
    own = {told.name.rpartition(' ')[2]: (told.level, told.message) for told in made.status()[1:]}
    assert own == {'[a]': (DiagnosticStatus.OK, '4 poses'),
                   '[b]': (DiagnosticStatus.WARN, 'dropped 1 of 2')}
    assert {told.message for told in made.status()} == {'0 messages', '0 poses'}


def test_what_came_while_inactive_is_no_loss(graph):
    node, made, _ = channel(graph)
    node.trigger_deactivate()
    give(made, *(pose(100 + 0.1 * i) for i in range(20)))
    node.trigger_activate()
    assert status(made) == (DiagnosticStatus.OK, '0 messages')
    assert made.tally.dropped == {'inactive': 20}


def test_a_fixed_rate_of_which_all_is_dropped_says_so(graph):
    _, made, _ = channel(graph, publish_rate_hz=100.0)
    give(made, *(pose(100 + 0.1 * i, np.nan) for i in range(5)))
    level, message = status(made)
    assert level == DiagnosticStatus.STALE and message.endswith('; dropped 5 of 5')


def test_more_than_can_be_smoothed_leaves_the_node_within_reach(graph):
    """Diagnostics come, services answer, and a warning tells of loss, until it is over."""
    node = graph.process('-p', 'autostart:=true', '-p', 'input_type:=pose_array', '-p',
                         'publish_odometry:=true')
    publisher = graph.speak('pose_array', '/pose', best_effort=True)
    reports = []
    graph.peer.create_subscription(DiagnosticArray, '/diagnostics', reports.append, 10)
    client = graph.peer.create_client(GetState, '/smoother/get_state')
    graph.until(lambda: publisher.get_subscription_count() and client.service_is_ready(),
                'the node', 60.0)
    answers, told_at = [], []
    rows = np.tile([1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0], (250, 1))
    body = bytearray(serialize_message(array_of(0, rows)))

    def flood():
        for _ in range(30):
            stamp_ns = graph.peer.get_clock().now().nanoseconds
            HEADER['<'].pack_into(body, ORIGIN, *divmod(stamp_ns, NS), len('map') + 1)
            publisher.publish(bytes(body))
        if not told_at and 'messages may be lost' in read_log(node):
            told_at.append(len(reports))
            answers.append(client.call_async(GetState.Request()))
        return told_at and len(reports) > told_at[0] + 1 and answers[0].done()
    graph.until(flood, 'a warning, reports and an answer', 40.0)
    graph.until(lambda: 'no more comes' in read_log(node), 'the flood to be over', 40.0)
    answers[:] = [client.call_async(GetState.Request())]
    before = len(reports)
    graph.until(lambda: answers[0].done() and len(reports) > before + 1, 'all as before', 10.0)


def test_a_stream_that_always_begins_anew_is_told_beside_others(graph):
    """One tag of three that two cameras see in turns, each in its own frame."""
    node, made, _ = channel(graph, input_type='transform')
    status(made)
    for i in range(20):
        give(made, tag('left', 100 + 0.1 * i), tag('right', 100 + 0.1 * i))
        seen = tag('both', 100 + 0.1 * i)
        seen.header.frame_id = ('left_camera', 'right_camera')[i % 2]
        give(made, seen)
    told = {one.name.split('[')[-1][:-1]: one for one in made.status()[1:]}
    assert told['both'].level == DiagnosticStatus.WARN
    assert '19 of 20 poses began a stream anew' in told['both'].message
    assert told['left'].level == told['right'].level == DiagnosticStatus.OK


def test_poses_of_a_path_that_are_left_out_are_told(graph):
    """As of a planner, whose poses all have one stamp."""
    node, made, out = channel(graph, input_type='path')
    for i in range(4):
        give(made, path('map', 100 + i, *range(10), step_s=0.0))
    assert status(made) == (DiagnosticStatus.WARN, 'left out 36 of 40 poses')
    assert len(out) == 4


def test_nothing_in_sight_at_a_fixed_rate_is_no_trouble(graph):
    """Arrays without poses go out, and a report says so."""
    node, made, out = channel(graph, input_type='pose_array', publish_rate_hz=20.0)
    for _ in range(5):
        give(made, array_of(node.get_clock().now().nanoseconds, []))
        graph.pause(0.05)
    graph.until(lambda: len(out) > 3, 'empty arrays')
    give(made, array_of(node.get_clock().now().nanoseconds, []))
    assert status(made)[0] == DiagnosticStatus.OK


def test_what_is_passed_through_is_told_as_such(graph, capfd):
    node, made, _ = channel(graph)
    graph.call(SetBool, '/smoother/set_enabled', SetBool.Request(data=False))
    give(made, pose(100), pose(100.1))
    assert status(made) == (DiagnosticStatus.OK, '2 messages, passed through')
    assert {pair.key: pair.value for pair in made.status()[0].values}['enabled'] == 'False'
    assert 'passing messages through' in capfd.readouterr().err


# -- frames and paths


def test_a_path_that_is_revised_is_smoothed_anew(graph):
    """A loop that closes moves poses that are known: none of what was before stays."""
    node, made, out = channel(graph, input_type='path')
    sent = [path('map', 100, *range(first, last)) for first, last in (
        (0, 10), (0, 12), (50, 63), (50, 64))]
    give(made, *sent[:2])
    assert not made.tally.resets
    give(made, *sent[2:])
    assert made.tally.resets == {'revised': 1} and accounted(made)
    assert [len(message.poses) for message in out] == [10, 12, 13, 14]
    bank = StreamBank(build(), 7)
    rows = np.array([[x, *ROW[1:]] for x in range(50, 64)], float)
    stamps = [round((100 + 0.1 * i) * NS) for i in range(14)]
    wanted = [bank.update((0,), (stamp,), row[None]).estimate.rows[0, 0]
              for stamp, row in zip(stamps, rows)]
    assert [one.pose.position.x for one in out[-1].poses] == wanted
    strangers = path('odom', 100, *range(90, 105))
    node.set_parameters([Parameter('frame_id', value='map')])
    give(made, strangers, sent[3])
    assert made.tally.resets == {'revised': 1} and made.tally.dropped == {
        'frame': 1, 'duplicate': 1}
    read = KINDS['nav_msgs/msg/Path'].read
    answers = replay([read('/pose', 0, serialize_message(message)) for message in sent], build())
    found = [answer.update.estimate.rows[:, 0].tolist() for answer in answers]
    assert [len(xs) for xs in found] == [10, 2, 13, 1] and found[2] + found[3] == wanted


def test_transforms_that_no_listener_takes_are_left_out(graph, capfd):
    """Those from no frame, or from a frame to itself."""
    _, made, out = channel(graph, child_frame='body')
    told = []
    made.outputs._tf = type('Publisher', (), {'publish': staticmethod(told.append)})
    made.outputs._transforms._publisher = made.outputs._tf
    give(made, pose(100.0), pose(100.1, frame=''), pose(100.2, frame='body'), pose(100.3))
    assert [WIRES['tf'].child(message) for message in told] == ['body', 'body']
    assert len(out) == 4
    assert 'set frame_id' in capfd.readouterr().err


def test_a_path_goes_on_after_a_load_with_what_was_before(graph, tmp_path):
    """Smoothed it is no more, but there."""
    node, made, out = channel(graph, input_type='path')
    give(made, path('map', 1.0, *np.arange(20.0)))
    save(str(tmp_path / 'state'), node.channels)
    load(str(tmp_path / 'state'), node.channels)
    give(made, path('map', 1.0, *np.arange(25.0)))
    assert [len(message.poses) for message in out] == [20, 25]
    assert [p.pose.position.x for p in out[1].poses[:20]] == list(range(20))
    give(made, path('map', 1.0, *np.arange(30.0)))
    assert len(out[2].poses) == 30


def test_a_path_passed_through_has_what_can_be_used(graph):
    """Not a pose that was good once, and the second of one stamp where the first is bad."""
    node, made, out = channel(graph, input_type='path')
    good = path('map', 1.0, 0.0, 1.0, 2.0)
    give(made, good)
    node._on_enable(SetBool.Request(data=False), SetBool.Response())
    bad = path('map', 1.0, 0.0, 1.0, 2.0, 3.0)
    bad.poses[1].pose.orientation.w = 0.0
    twice = path('map', 1.0, 0.0, 1.0, 2.0, 3.0, np.nan, 5.0)
    twice.poses[5].header = twice.poses[4].header
    give(made, bad, twice)
    assert [[p.pose.position.x for p in message.poses] for message in out[1:]] == [
        [0.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0, 5.0]]
    assert all(p.pose.orientation.w == 1.0 for message in out for p in message.poses)


# -- services and parameters


def test_nothing_is_not_saved_over_something(graph, tmp_path):
    node, made, _ = channel(graph, state_file=str(tmp_path / 'state'), input_type='transform')
    give(made, *(tag('a', 100 + 0.1 * i) for i in range(5)))
    assert node._on_save(None, Trigger.Response()).success
    before = (tmp_path / 'state').read_bytes()
    node.trigger_deactivate()
    answer = node._on_save(None, Trigger.Response())
    assert not answer.success and 'no stream that has begun' in answer.message
    assert (tmp_path / 'state').read_bytes() == before


def test_a_parameter_may_be_set_to_what_it_is(graph):
    """As where a dump is loaded into the node that it came from."""
    node, _, _ = channel(graph, smoothing=0.2)
    same = [Parameter(name, value=node.get_parameter(name).value) for name in (
        'input_topic', 'autostart', 'smoother', 'gap_reset_s', 'inputs')]
    assert node.set_parameters_atomically(same).successful
    other = Parameter('input_topic', value='/elsewhere')
    assert not node.set_parameters_atomically([*same, other]).successful
