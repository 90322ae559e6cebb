# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Messages at the edge of what a node must bear, given to its channel one by one."""

from dataclasses import replace

from channels import accounted, array_of, channel, give, NS, path, pose, ROW, tag, take
from geometry_msgs.msg import Pose, PoseArray, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry, Path
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from ros_graph import stamped, START_NS
from std_srvs.srv import SetBool, Trigger

from liquid_ros.ros.diagnostics import SHOWN_STREAMS, StreamTally
from liquid_ros.ros.messages import header_at
from liquid_ros.ros.outputs import OFFERED, topic_word
from liquid_ros.timing import Arrival


def stamps_of(messages):
    """Return stamps in s."""
    return [m.header.stamp.sec + m.header.stamp.nanosec / NS for m in messages]


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


# -- paths that come in


def test_poses_of_a_path_with_one_stamp_are_left_out_but_the_first(graph, capfd):
    """Not copies of the first under the others' places."""
    _, made, out = channel(graph, input_type='path')
    give(made, path('map', 5.0, 0.0, 1.0, 2.0, step_s=0.0))
    assert [p.pose.position.x for p in out[0].poses] == [0.0]
    assert 'duplicate' in capfd.readouterr().err and accounted(made)


def test_poses_of_a_path_that_cannot_be_used_are_told_for_each_reason(graph, capfd):
    """The others go out."""
    _, made, out = channel(graph, input_type='path')
    message = path('map', 5.0, 0.0, 1.0, np.nan, 3.0)
    message.poses[1].pose.orientation.w = 0.0
    give(made, message)
    assert [p.pose.position.x for p in out[0].poses] == [0.0, pytest.approx(3.0, abs=2.0)]
    said = capfd.readouterr().err
    assert 'zero_quaternion' in said and 'non_finite' in said and accounted(made)


def test_the_newest_pose_of_a_path_may_come_first(graph):
    """The same estimates as in the order of their stamps, where the message has them."""
    _, made, out = channel(graph, input_type='path')
    message = path('map', 5.0, 0.0, 0.1, 0.25, 0.3)
    give(made, message)
    made.flow.reset('service')
    message.poses.reverse()
    give(made, message)
    first, turned = ([p.pose.position.x for p in message.poses] for message in out)
    assert len(first) == 4 and turned == first[::-1]


def test_a_path_in_another_frame_does_not_repeat_poses_of_the_old_one(graph):
    """What was remembered is in the frame before."""
    _, made, out = channel(graph, input_type='path')
    give(made, path('map', 1.0, 0.0, 0.1, 0.2), path('odom', 1.0, 90.0, 90.1, 90.2, 90.3))
    assert {p.header.frame_id for p in out[1].poses} == {'odom'}
    assert all(p.pose.position.x > 80.0 for p in out[1].poses)


# -- frames, pass-through, switches


def test_a_fixed_rate_after_a_pass_through_is_in_the_frame_that_came_meanwhile(graph):
    """No row under the name of another frame."""
    node, made, out = channel(graph, publish_rate_hz=0.01, hold_timeout_s=60.0)
    flow = made.flow
    for i in range(3):
        take(flow, pose(100 + 0.1 * i, 1.0), 100 * NS)
    node._on_enable(SetBool.Request(data=False), SetBool.Response())
    for i in range(3):
        take(flow, pose(100.5 + 0.1 * i, 77.0, 'odom'), 100 * NS)
    node._on_enable(SetBool.Request(data=True), SetBool.Response())
    flow.tick(round(100.8 * NS))
    assert out[-1].header.frame_id == 'odom' and abs(out[-1].pose.position.x - 77.0) < 1.0


def test_a_place_that_stayed_in_another_frame_is_not_predicted_into_this_one(graph):
    """Its quaternion is of zeros, as where nothing is known."""
    _, made, out = channel(graph, input_type='pose_array')
    for i, frame in enumerate(('map', 'map', 'odom')):
        message = PoseArray(header=header_at((100 + i) * NS, frame))
        message.poses = [pose(0, 1.0).pose, Pose() if i < 2 else pose(0, np.nan).pose]
        message.poses[1].orientation.w = 1.0
        give(made, message)
    assert out[1].poses[1].orientation.w == 1.0 and out[2].header.frame_id == 'odom'
    assert out[2].poses[1].orientation.w == 0.0 and out[2].poses[0].orientation.w == 1.0


def test_pass_through_sends_the_message_itself(graph):
    """Off-diagonal and zero covariances and the quaternion's length; odometry has it at one."""
    node, made, out = channel(graph, input_type='pose_with_covariance', publish_odometry=True)
    told = []
    made.outputs._odometry.publish = lambda raw: told.append(deserialize_message(raw, Odometry))
    node._on_enable(SetBool.Request(data=False), SetBool.Response())
    message = PoseWithCovarianceStamped(header=header_at(NS, 'map'))
    message.pose.pose.orientation.w = 2.0
    covariance = np.eye(6)
    covariance[0, 1] = covariance[1, 0] = 0.5
    covariance[5, 5] = 0.0
    message.pose.covariance = covariance.ravel()
    give(made, message)
    assert np.array_equal(out[0].pose.covariance, covariance.ravel())
    assert out[0].pose.pose.orientation.w == 2.0 and out[0].header.stamp.sec == 1
    assert told[0].pose.pose.orientation.w == 1.0


def test_an_array_without_poses_ends_the_predictions_of_a_fixed_rate(graph):
    """Until it is older than hold_timeout_s, too, or poses come again."""
    _, made, out = channel(graph, input_type='pose_array', publish_rate_hz=0.01,
                           hold_timeout_s=0.5)
    for at_s, count in ((100.0, 2), (100.1, 2), (100.2, 0), (100.3, 1)):
        take(made.flow, PoseArray(header=header_at(round(at_s * NS), 'map'),
                                  poses=[pose(0).pose] * count), round(at_s * NS))
        for later_s in (0.01, 0.02):
            made.flow.tick(round((at_s + later_s) * NS))
    assert [len(message.poses) for message in out] == [2, 2, 2, 2, 0, 0, 1, 1]
    take(made.flow, PoseArray(header=header_at(101 * NS, 'map')), 101 * NS)
    for at_s in (101.4, 101.6):
        made.flow.tick(round(at_s * NS))
    assert np.allclose(stamps_of(out)[8:], [101.4]) and not out[8].poses
    assert made.tally.accepted == 5 and not made.tally.dropped


def array(at_s, count):
    """Return an array of so many poses."""
    return array_of(round(at_s * NS), [ROW] * count)


@pytest.mark.parametrize('count', [0, 1])
@pytest.mark.parametrize('params', [{}, {'lookahead_s': 0.1}])
def test_arrays_of_a_loop_go_out_where_its_poses_are_all_new(graph, count, params):
    """What is late by less than jump_reset_s is late nevertheless."""
    _, made, out = channel(graph, input_type='pose_array', **params)
    give(made, *(array(200 + 0.1 * i, 0) for i in range(10)),
         *(array(100 + 0.1 * i, count) for i in range(20)), array(101.5, count))
    assert len(out) == 30 and made.tally.dropped == {'late' if count else 'withheld': 1}


def test_a_clock_that_jumps_back_ends_arrays_without_poses_at_a_fixed_rate(graph):
    """Else the next one would have the time of the old run, and none come after it."""
    _, made, out = channel(graph, input_type='pose_array', publish_rate_hz=0.01)
    take(made.flow, array(200.0, 0), 200 * NS)
    made.flow.tick(round(200.1 * NS))
    made.flow.on_clock_jump(100 * NS, 100 * NS)
    for i in range(5):
        made.flow.tick(round((100.05 + 0.1 * i) * NS))
        take(made.flow, array(100.1 + 0.1 * i, 1), round((100.1 + 0.1 * i) * NS))
    assert np.allclose(stamps_of(out), [200.1, 100.15, 100.25, 100.35, 100.45])


def test_a_fixed_rate_switched_off_does_not_silence_what_is_behind_the_clock(graph):
    """Messages a second old go out from the first on."""
    node, made, out = channel(graph, publish_rate_hz=0.01)
    take(made.flow, pose(100), 100 * NS)
    made.flow.tick(round(100.4 * NS))
    node._on_enable(SetBool.Request(data=False), SetBool.Response())
    take(made.flow, pose(100.1), round(100.5 * NS))
    assert np.allclose(stamps_of(out), [100.4, 100.1])


def test_a_clock_that_goes_back_a_little_begins_no_new_run(graph):
    """Stamps go on rising; beyond jump_reset_s they begin anew."""
    _, made, out = channel(graph, publish_rate_hz=0.01, hold_timeout_s=60.0)
    take(made.flow, pose(100), 100 * NS)
    for at_s in (100.30, 100.29, 100.31):
        made.flow.on_clock_jump(round(at_s * NS), 10_000_000)
        made.flow.tick(round(at_s * NS))
    assert np.allclose(stamps_of(out), [100.30, 100.31])
    made.flow.on_clock_jump(50 * NS, 50 * NS)
    take(made.flow, pose(50), 50 * NS)
    made.flow.tick(50 * NS)
    assert stamps_of(out)[-1] == 50.0 and made.tally.resets == {'clock': 1}


def test_a_clock_that_goes_back_a_little_resets_no_stream_ahead_of_it(graph):
    """GNSS time is 18 s ahead of UTC."""
    _, made, _ = channel(graph)
    take(made.flow, pose(118), 100 * NS)
    made.flow.on_clock_jump(round(99.999 * NS), 1_000_000)
    assert not made.tally.resets
    made.flow.on_clock_jump(98 * NS, 2 * NS)
    assert made.tally.resets == {'clock': 1}


@pytest.mark.parametrize('lookahead_s', [0.0, 0.1])
def test_a_lost_place_is_predicted_as_long_as_its_stream_would_go_on(graph, lookahead_s):
    """Then its quaternion is of zeros; found again it is smoothed again."""
    _, made, out = channel(graph, input_type='pose_array', gap_reset_s=1.0,
                           lookahead_s=lookahead_s)
    for i in range(31):
        message = PoseArray(header=header_at((1000 + i) * NS // 10, 'map'))
        lost = 10 <= i < 30
        message.poses = [pose(0, 1.0).pose, pose(0, np.nan if lost else 0.1 * i).pose]
        give(made, message)
    length = [m.poses[1].orientation.w for m in out]
    assert length[:20] == [1.0] * 20 and length[20:30] == [0.0] * 10 and length[30] == 1.0
    assert all(m.poses[0].orientation.w == 1.0 for m in out)
    assert out[19].poses[1].position.x > out[9].poses[1].position.x


# -- reordering and eviction


@pytest.mark.parametrize('behind_s', [0.0, 0.15, -3.0])
def test_streams_whose_clocks_differ_are_put_in_order_each(graph, behind_s):
    _, made, _ = channel(graph, input_type='transform', reorder_s=0.05)
    for i in range(60):
        give(made, tag('a', 100 + 0.02 * (i ^ 1)), tag('b', 100 + 0.02 * (i ^ 1) - behind_s))
    made.flow.flush()
    assert not made.tally.dropped and made.tally.accepted == 120


@pytest.mark.parametrize('burst', [5, 25])
def test_a_stream_that_comes_in_bursts_does_not_hurry_another(graph, burst):
    """As over a radio link; the other's messages are late by less than is waited."""
    _, made, _ = channel(graph, input_type='transform', reorder_s=0.05)
    rng = np.random.default_rng(0)
    stamps = 100.0 + 0.01 * np.arange(400)
    comes = [(at + rng.uniform(0.0, 0.04), 'a', at) for at in stamps]
    comes += [(stamps[i - i % burst] + 0.01 * burst, 'b', at) for i, at in enumerate(stamps)]
    for _, child, at in sorted(comes):
        give(made, tag(child, at))
    made.flow.flush()
    assert not made.tally.dropped and made.tally.accepted == 800


def test_streams_that_come_and_go_leave_nothing_in_the_buffers(graph):
    _, made, _ = channel(graph, input_type='transform', reorder_s=0.05, max_streams=3)
    for i in range(60):
        give(made, tag(f'tag_{i}', 100 + 10 * i))
        made.flow.flush()
    held = made.flow._held
    assert len(held._at_ns) <= len(held._buffers) <= 3
    held.clear()
    assert not held._at_ns


def test_messages_of_another_frame_do_not_disturb_the_order(graph):
    _, made, out = channel(graph, frame_id='map', reorder_s=0.05)
    for i in range(60):
        give(made, pose(100 + 0.02 * (i ^ 1)), pose(103 + 0.02 * i, frame='odom'))
    made.flow.flush()
    assert made.tally.dropped == {'frame': 60} and made.tally.accepted == 60
    assert stamps_of(out) == sorted(stamps_of(out))


@pytest.mark.parametrize('end', ['trigger_deactivate', 'trigger_shutdown', 'flush'])
def test_what_is_held_goes_out_at_the_end(graph, end):
    node, _, out = channel(graph, reorder_s=1.0)
    give(node.channels[0], *(pose(100 + 0.01 * i) for i in range(20)))
    assert not out
    getattr(node, end)()
    assert len(out) == 20 and stamps_of(out) == sorted(stamps_of(out))


def test_a_stream_evicted_while_another_is_flushed_is_counted_once(graph):
    """Received is accepted, dropped or pending at every moment."""
    _, made, _ = channel(graph, input_type='transform', max_streams=2, reorder_s=0.05)
    for message in (tag('c', 100), tag('b', 1), tag('b', 100), tag('a', 100), tag('z', 200)):
        give(made, message)
        assert accounted(made)
    made.flow.flush()
    assert made.tally.pending == 0 and accounted(made)


def test_a_stream_that_falls_silent_is_let_out_by_the_stamps_of_another(graph):
    """Not when it comes again, half a minute later."""
    _, made, out = channel(graph, input_type='transform', reorder_s=0.05)
    give(made, tag('a', 100), tag('b', 100), tag('b', 100.04))
    assert not out
    give(made, tag('b', 100.06))
    assert [m.child_frame_id for m in out] == ['b', 'a']


def test_messages_that_come_slower_than_their_stamps_are_still_put_in_order(graph):
    """The wall clock lets nothing go within a second."""
    _, made, out = channel(graph, reorder_s=0.02)
    for i in range(8):
        give(made, pose(100 + 0.01 * (i ^ 1)))
        graph.pause(0.03)
        made._flush_if_silent()
    assert not made.tally.dropped and stamps_of(out) == sorted(stamps_of(out))


def test_a_bad_message_makes_no_room_for_itself(graph):
    """NaN of a new child far ahead: those there are stay, with their states."""
    _, made, _ = channel(graph, input_type='transform', max_streams=3)
    give(made, *(tag(child, 100 + 0.1 * i) for i in range(3) for child in 'abc'))
    give(made, tag('junk', 2e9, np.nan), tag('junk', 0))
    assert list(made.tally.streams) == ['a', 'b', 'c'] and accounted(made)
    assert made.tally.dropped == {'non_finite': 1, 'zero_stamp': 1}
    take(made.flow, tag('junk', 2e9), 101 * NS)  # whatever it says, it is 101 s
    assert list(made.tally.streams) == ['a', 'b', 'c']


def test_streams_of_before_a_jump_back_make_room(graph):
    """A few messages are lost, not all from there on."""
    _, made, _ = channel(graph, input_type='transform', max_streams=3)
    give(made, *(tag(child, 1000) for child in 'abc'), *(tag('new', 1 + i) for i in range(20)))
    assert 0 < made.tally.dropped['max_streams'] < 10 and 'new' in made.tally.streams


# -- what is told


def test_a_loaded_stream_is_told_of_and_its_next_message_is_no_reset(graph, tmp_path):
    """Neither 'resets: step' nor a stream that is not there."""
    values = {'input_type': 'transform', 'state_file': str(tmp_path / 'state')}
    node, made, _ = channel(graph, **values)
    give(made, *(tag('a', 100 + 0.1 * i) for i in range(5)))
    assert node._on_save(None, Trigger.Response()).success
    other, made, _ = channel(graph, **values)
    assert other._on_load(None, Trigger.Response()).success
    assert list(made.tally.streams) == ['a'] and made.tally.streams['a'].last_ns is not None
    give(made, tag('a', 100.5))
    assert not made.tally.streams['a'].resets and made.tally.resets == {'load': 1}


def test_a_fixed_rate_goes_on_over_what_is_held_back(graph):
    node, made, out = channel(graph, publish_rate_hz=0.01, smoother='ema', reorder_s=0.6)
    for i in range(40):
        now_ns = NS * 100 + i * NS // 10
        take(made.flow, pose(100 + 0.1 * i), now_ns)
        made.flow.tick(now_ns + NS // 20)
    assert len(out) > 30 and made.flow.at_rate.trouble(NS * 104) == ''
    assert made.flow.at_rate.trouble(NS * 105) != ''


def test_streams_of_their_own_times_and_frames_are_predicted_at_once(graph, monkeypatch):
    """Each as by itself, by one call of the bank's."""
    _, made, out = channel(graph, input_type='transform', publish_rate_hz=0.01)
    bank, names = made.flow.bank, ('a', 'b', 'c')
    for i in range(20):
        for j, child in enumerate(names):
            message = tag(child, 100 + 0.1 * i + 0.01 * j, 0.2 * i * j)
            message.header.frame_id = f'map_{child}'
            take(made.flow, message, 102 * NS)
    now_ns, calls, predict = round(102.1 * NS), [], bank.predict
    keys = list(bank.frames())
    alone = [predict([key], [now_ns]).rows[0, :3] for key in keys]
    monkeypatch.setattr(bank, 'predict', lambda *given: (calls.append(given), predict(*given))[1])
    made.flow.tick(now_ns)
    assert len(calls) == 1 and len(out) == 3
    for key, row, sent in zip(keys, alone, out):
        at, child = sent.transform.translation, sent.child_frame_id
        assert np.array_equal([at.x, at.y, at.z], row)
        assert child in str(key) and sent.header.frame_id == f'map_{child}'


def test_one_stream_of_a_wrong_clock_does_not_make_the_others_stale(graph):
    node, made, out = channel(graph, input_type='transform', publish_rate_hz=0.01,
                              smoother='ema')
    take(made.flow, tag('ghost', 1100.0), 100 * NS)
    assert 'ahead of the clock' in made.flow.at_rate.trouble(100 * NS)
    take(made.flow, tag('sound', 101.0), 101 * NS)
    assert made.flow.at_rate.trouble(101 * NS) == ''
    assert 'ahead' in made.flow.at_rate.trouble(104 * NS)


def test_a_fixed_rate_that_a_clock_ahead_cuts_is_told(graph, capfd):
    node, made, out = channel(graph, publish_rate_hz=100.0, smoother='ema')
    for ahead_s in (0.005, 0.3):
        take(made.flow, pose(200.0 + ahead_s), 200 * NS)
        made.flow.tick(200 * NS)
        told = [line for line in capfd.readouterr().err.splitlines() if 'ahead' in line]
        assert len(told) == (ahead_s > 0.01)
    assert 'by 0.300 s' in told[0] and 'in step' in told[0]


def test_a_path_is_smooth_again_after_a_pass_through(graph):
    node, made, out = channel(graph, input_type='path', smoother='ema')
    xs = np.random.default_rng(0).normal(size=30)
    through, plain = channel(graph, input_type='path', smoother='ema', namespace='plain')[1:]
    node._on_enable(SetBool.Request(data=False), SetBool.Response())
    give(made, path('map', 1.0, *xs[:28]))
    give(made, path('map', 1.0, *xs[:28], np.nan, xs[28]))  # cannot go out as it came
    raw = [p.pose.position.x for p in out[-1].poses]
    assert raw[:28] == xs[:28].tolist() and len(raw) == 29 and raw[28] == xs[28]
    node._on_enable(SetBool.Request(data=True), SetBool.Response())
    give(made, path('map', 1.0, *xs[:28]), path('map', 1.0, *xs[:28], np.nan, *xs[28:]))
    give(through, path('map', 1.0, *xs[:28], np.nan, *xs[28:]))
    assert ([p.pose.position.x for p in out[-1].poses]
            == [p.pose.position.x for p in plain[-1].poses])


def test_who_listens_later_gets_the_path_of_a_stream_that_rests(graph):
    node, made, _ = channel(graph, smoother='ema', path_rate_hz=50.0)
    first, second = [], []
    graph.peer.create_subscription(Path, '/pose/path', first.append, 10)
    give(made, pose(1.0), pose(1.1))
    graph.until(lambda: first and len(first[-1].poses) == 2, 'the path')
    graph.peer.create_subscription(Path, '/pose/path', second.append, 10)
    graph.until(lambda: second, 'the path once more')
    assert len(second[-1].poses) == 2
    graph.pause(0.2)
    assert len(second) == 1


def test_stamps_ahead_of_the_clock_are_told_at_a_fixed_rate(graph):
    """One output, then none until the clock is there: the report says so."""
    _, made, _ = channel(graph, publish_rate_hz=0.01)
    take(made.flow, pose(100), 100 * NS)
    assert made.flow.at_rate.trouble(100 * NS) == ''
    take(made.flow, pose(104), 100 * NS)
    assert '4.0 s ahead of the clock' in made.flow.at_rate.trouble(100 * NS)


def test_the_age_is_not_told_where_there_is_no_time(graph):
    """Before the first /clock; minus 1.7e9 s would be told otherwise."""
    _, made, _ = channel(graph, debug=True)
    told = []
    for publisher in made.outputs._debug:
        publisher.publish = lambda m, p=publisher: told.append(p.topic_name.rsplit('/')[-1])
    take(made.flow, pose(100), 0)
    assert 'age' not in told and 'step_ms' in told
    take(made.flow, pose(100.1), 101 * NS)
    assert 'age' in told


def test_the_child_frame_is_named_after_the_topic_it_really_is(graph):
    """A remap counts."""
    node = graph.smoother('-r', 'pose:=/robot/left_hand', publish_odometry=True)
    made, told = node.channels[0], []
    made.outputs._odometry.publish = lambda raw: told.append(deserialize_message(raw, Odometry))
    give(made, pose(START_NS / NS))
    assert told[0].child_frame_id == 'left_hand_smoothed'


def test_a_stream_that_enters_those_shown_has_its_own_rate(graph):
    """Not all that it ever took, as if it had come since the last report."""
    _, made, _ = channel(graph, input_type='transform', max_streams=SHOWN_STREAMS + 1,
                         gap_reset_s=1.0)
    for i in range(50):
        give(made, *(tag(f't{c}', 100 + 0.1 * i) for c in range(SHOWN_STREAMS + 1)
                     if c or i < 5))
    made.status()
    graph.pause(0.2)
    give(made, tag('new', 105))  # t0 is outdated and goes
    rates = {status.name: float(pair.value) for status in made.status()
             for pair in status.values if pair.key == 'rate Hz'}
    assert rates[f'/smoother: /pose [t{SHOWN_STREAMS}]'] == 0.0 and len(rates) == SHOWN_STREAMS


def test_a_latched_listener_of_a_stream_s_path_is_advised_what_helps(graph, capfd):
    """That publisher has no parameters."""
    _, made, _ = channel(graph, input_type='transform')
    graph.peer.create_subscription(Path, '/pose/path/stream_a', print, QoSProfile(
        depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    give(made, tag('a', 100))
    made.outputs.send_paths()
    said = []
    graph.until(lambda: said.append(capfd.readouterr().err)
                or 'let it ask for volatile durability' in ''.join(said), 'the advice')
    assert 'qos_overrides' not in ''.join(said)


def test_paths_of_many_streams_are_published_where_somebody_listens(graph):
    _, made, _ = channel(graph, input_type='transform', frame_id='')
    give(made, *(tag(f't{c}', 100) for c in range(OFFERED + 30)))
    made.outputs.send_paths()
    there = [name for name, _ in made._node.get_topic_names_and_types() if '/stream_' in name]
    assert 0 < len(there) <= OFFERED
    got = []
    last = f'/pose/path/stream_t{OFFERED + 29}'
    graph.peer.create_subscription(Path, last, got.append, 1)
    graph.until(lambda: made.outputs.send_paths() or got, last)
    assert got[0].poses


def test_the_mean_nis_is_of_the_newest_poses():
    stream = StreamTally()
    for k, nis in enumerate([1e9] + [3.0] * 300):
        stream.accept(k, Arrival.STEP, [nis])
    assert stream.mean_nis() == 3.0


def test_streams_that_are_heard_are_shown_before_those_that_fell_silent(graph):
    _, made, _ = channel(graph, input_type='transform', gap_reset_s=1e4)
    give(made, *(tag(f't{c}', 100 + c) for c in range(SHOWN_STREAMS + 8)))
    shown = [status.name for status in made.status() if '[' in status.name]
    assert len(shown) == SHOWN_STREAMS and f't{SHOWN_STREAMS + 7}]' in shown[-1]
    assert not any('[t0]' in name for name in shown)


def test_a_false_start_is_told_and_forgotten(graph):
    """The first message is of the origin: the third tells."""
    node, made, out = channel(graph, publish_odometry=True)
    give(made, pose(1.0), *(pose(1.0 + 0.1 * k, 3.0 + 0.001 * (k % 2)) for k in range(1, 30)))
    assert made.tally.resets == {'false_start': 1} and made.tally.accepted == 30
    assert len(out) == 30 and abs(out[-1].pose.position.x - 3.0) < 0.001


@pytest.mark.parametrize('options', [{}, {'publish_odometry': True}, {'path_smoothed': True}],
                         ids=lambda options: next(iter(options), 'short'))
def test_a_stamp_ahead_of_its_time_stops_nothing(graph, options):
    """One of sixty messages is stamped 0.9 s late: the next goes on, and the path without it."""
    _, made, out = channel(graph, **options)
    stamps = [100.0 + k / 30.0 for k in range(60)]
    given = [pose(stamp + 0.9 * (k == 30), 0.01 * k) for k, stamp in enumerate(stamps)]
    give(made, *given)
    assert made.tally.resets == {'stamp_ahead': 1} and not made.tally.dropped
    assert made.tally.published == 60
    assert stamps_of(out) == stamps_of(given)
    seen = stamps_of(deserialize_message(made.outputs.trail(0).message(), Path).poses)
    assert seen == sorted(seen) and len(seen) == 59


@pytest.mark.parametrize('smoother', ['liquid', 'kalman'])
def test_a_sensor_that_repeats_itself_is_told(graph, smoother):
    """After a second; not where it is passed through, nor by a smoother that does not know."""
    _, made, _ = channel(graph, smoother=smoother)
    made._stop_timers()
    rng, told = np.random.default_rng(0), []
    rows = np.tile([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], (151, 1))
    rows[:, :3] += 0.02 * rng.standard_normal((151, 3))
    rows[120:] = rows[119]
    for k, row in enumerate(rows):
        take(made.flow, stamped('pose', 100 * NS + k * NS // 10, row), (100 + k // 10) * NS)
        if k in (119, 125, 150):
            told.append(made.status()[0])
    levels = [status.level for status in told]
    assert levels == ([b'\0', b'\0', b'\1'] if smoother == 'liquid' else [b'\0'] * 3)
    if smoother == 'liquid':
        assert told[2].message.startswith('the same values for 3.')
        assert {pair.key: pair.value for pair in told[1].values}['blind s'].startswith('0.')
    made.flow.enabled = False
    assert made.status()[0].level == b'\0'


def test_outputs_that_fall_behind_their_rate_are_told(graph):
    """Of 50 a second 39 are enough, 38 are too few; what was before activation does not count."""
    _, made, _ = channel(graph, publish_rate_hz=50.0, hold_timeout_s=30.0)
    flow = made.flow
    made._stop_timers()  # the time is the test's
    take(flow, pose(100.0), 100 * NS)
    told = []
    for k, count in enumerate((0, 39, 38, 0, 50)):
        for _ in range(count):
            flow.tick((100 + k) * NS)
        made.now_ns = lambda k=k: (100 + k) * NS
        told.append(made.status()[0])
    assert [status.level for status in told] == [b'\0', b'\0', b'\1', b'\1', b'\0']
    assert told[2].message.startswith('38 of 50 outputs at publish_rate_hz')
    made.apply(replace(made.params, publish_rate_hz=0.5))
    made._stop_timers()
    for k in range(5, 9):  # a second in which none is due
        made.now_ns = lambda k=k: (100 + k) * NS
        assert made.status()[0].level == b'\0'
    made.apply(replace(made.params, publish_rate_hz=50.0))
    made.deactivate()
    made.now_ns = lambda: 108 * NS
    made.status()
    made.activate()
    made._stop_timers()
    take(flow, pose(108.5), 108 * NS)
    made.now_ns = lambda: 109 * NS
    assert made.status()[0].level == b'\0'
