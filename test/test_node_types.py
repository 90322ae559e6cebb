# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is particular to a message type, over real DDS."""

import importlib.util

from channels import array_of
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry, Path
import numpy as np
from objects import CODECS
import pytest
from ros_graph import lossless, rows_of, settle, SMOOTHER, stamped, START_NS, walk

from liquid_ros.checkpoint import build
from liquid_ros.geometry import body_twist, pose_covariance, twist_covariance
from liquid_ros.ros.messages import header_at
from liquid_ros.smoothers.rts import Window
from liquid_ros.streams import StreamBank
from liquid_ros.timing import NS_PER_S

POSES = ('pose_with_covariance', 'odometry')


def with_covariance(kind, stamp_ns, row, variance):
    """Return a message whose sender states this variance on all axes."""
    message = stamped(kind, stamp_ns, row)
    message.pose.covariance = np.diag([variance] * 6).ravel()
    return message


@pytest.mark.parametrize('kind', POSES)
def test_the_sender_s_covariance_informs_the_output(graph, kind):
    """A message that says it is bad moves the output less; a constant covariance nothing."""
    node = graph.smoother(input_type=kind, **lossless('/pose'))
    publisher, _ = graph.connect(node, kind)
    stamps, rows = walk(kind, 60, rate_hz=20.0)
    runs = ((0.01,) * 60, (25.0,) * 60, (0.01,) * 59 + (100.0,), (0.0,) * 60)
    for variances in runs:
        for stamp_ns, row, variance in zip(stamps, rows, variances):
            publisher.publish(with_covariance(kind, stamp_ns, row, variance))
    tally, received = settle(graph, node, 240)
    assert tally.accepted == 240 and tally.resets == {'jump': 3}
    small, large, doubted, silent = np.split(rows_of(kind, received)[1], 4)
    assert np.allclose(small, large, rtol=0, atol=1e-9)
    assert np.allclose(small, silent, rtol=0, atol=1e-9)
    assert np.array_equal(doubted[:59], small[:59])
    far = [np.linalg.norm(run[-1, :3] - rows[-1, :3]) for run in (doubted, small)]
    assert far[0] > 1.1 * far[1]


@pytest.mark.parametrize('kind', POSES)
def test_the_output_s_covariance_is_the_estimate_s(graph, kind):
    """Positive definite, about the fixed axes, and that of the bank."""
    node = graph.smoother(input_type=kind, **lossless('/pose'))
    publisher, _ = graph.connect(node, kind)
    stamps, rows = walk(kind, 30)
    bank, messages = StreamBank(build(SMOOTHER), 7), []
    for stamp_ns, row in zip(stamps, rows):
        messages.append(with_covariance(kind, stamp_ns, row, 0.25))
        publisher.publish(messages[-1])
    _, received = settle(graph, node, 30)
    for message, got in zip(messages, received):
        estimate = bank.update(*CODECS[kind].read(message)).estimate
        want, = pose_covariance(estimate.variance, estimate.rows[:, 3:])
        assert np.array_equal(got.pose.covariance, want)
        assert (np.linalg.eigvalsh(want.reshape(6, 6)) > 0.0).all()


@pytest.mark.parametrize('odometry', [False, True])
def test_an_odometry_s_other_fields_are_copied(graph, odometry):
    """Twist, its covariance and child_frame_id; a twist of NaN becomes the estimate's."""
    node = graph.smoother(input_type='odometry', publish_odometry=odometry, **lossless('/pose'))
    publisher, _ = graph.connect(node, 'odometry')
    stamps, rows = walk('odometry', 3)
    for stamp_ns, row, speed in zip(stamps, rows, (1.5, np.nan, 2.5)):
        message = stamped('odometry', stamp_ns, row)
        message.child_frame_id = 'base_link'
        message.twist.twist.linear.x = speed
        message.twist.covariance = np.full(36, 0.5)
        publisher.publish(message)
    tally, received = settle(graph, node, 3)
    assert [m.child_frame_id for m in received] == ['base_link'] * 3 and not tally.dropped
    assert [received[i].twist.twist.linear.x for i in (0, 2)] == [1.5, 2.5]
    assert all((m.twist.covariance == 0.5).all() for m in (received[0], received[2]))
    assert np.isfinite(received[1].twist.twist.linear.x)
    assert (received[1].twist.covariance.reshape(6, 6).diagonal() > 9e5).all()  # not known


def test_transforms_are_streams_by_their_child_frame(graph):
    """Two tags on one topic: each as if alone; a third is one too many."""
    node = graph.smoother(input_type='transform', max_streams=2, **lossless('/pose'))
    publisher, _ = graph.connect(node, 'transform')
    sent = {}
    for seed, child in enumerate(('tag_1', 'tag_2')):
        stamps, rows = walk('transform', 40, seed=seed)
        sent[child] = [stamped('transform', s, row) for s, row in zip(stamps, rows)]
        for message in sent[child]:
            message.child_frame_id = child
    for one, two in zip(*sent.values()):
        publisher.publish(one)
        publisher.publish(two)
    late = stamped('transform', START_NS, np.eye(7)[6])
    late.child_frame_id = 'tag_3'
    publisher.publish(late)
    tally, received = settle(graph, node, 81)
    assert tally.dropped == {'max_streams': 1} and not tally.resets
    for child, messages in sent.items():
        bank = StreamBank(build(SMOOTHER), 7)
        want = [bank.update(*CODECS['transform'].read(m)).estimate.rows[0] for m in messages]
        got = [m for m in received if m.child_frame_id == child]
        assert np.array_equal(rows_of('transform', got)[1], want)
    # once a stream has been silent for gap_reset_s, another may have its place
    for i, child in enumerate(('tag_1', 'tag_3')):
        message = stamped('transform', START_NS + (6 + i) * 10**9, np.eye(7)[6])
        message.child_frame_id = child
        publisher.publish(message)
    tally, received = settle(graph, node, 83)
    assert received[-1].child_frame_id == 'tag_3' and set(tally.streams) == {'tag_1', 'tag_3'}


def test_the_poses_of_an_array_are_streams_by_their_place(graph):
    """Five streams in one batched step: each as if alone; the array may shrink and grow."""
    node = graph.smoother(input_type='pose_array', **lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose_array')
    stamps, _ = walk('pose', 60)
    rows = np.stack([walk('pose', 60, seed=seed)[1] for seed in range(5)], 1)
    counts = [5] * 30 + [3] * 10 + [5] * 20
    for stamp_ns, row, count in zip(stamps, rows, counts):
        publisher.publish(array_of(stamp_ns, row[:count]))
    tally, received = settle(graph, node, 60)
    assert not tally.dropped and not tally.resets
    assert [len(m.poses) for m in received] == counts
    assert [s.accepted for s in tally.streams.values()] == [60, 60, 60, 50, 50]
    for k in range(5):
        bank = StreamBank(build(SMOOTHER), 7)
        for message, stamp_ns, row, count in zip(received, stamps, rows, counts):
            if k < count:
                want = bank.update((0,), (stamp_ns,), row[k:k + 1]).estimate.rows[0]
                got = CODECS['pose_array'].read(message).rows[k]
                assert np.allclose(got, want, rtol=0, atol=1e-12)


def test_an_unusable_pose_of_an_array_leaves_the_others_alone(graph):
    """Its place holds its stream's prediction; zeros where nothing is known."""
    node = graph.smoother(input_type='pose_array', **lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose_array')
    stamps, rows = walk('pose', 30)
    for i, (stamp_ns, row) in enumerate(zip(stamps, rows)):
        publisher.publish(array_of(stamp_ns, [row, None, row if i < 20 else None]))
    publisher.publish(array_of(stamps[-1] + 1, [None, None]))
    tally, received = settle(graph, node, 31)
    assert tally.dropped == {'non_finite': 1}
    assert tally.streams[1].dropped == {'non_finite': 31}
    assert tally.streams[2].dropped == {'non_finite': 10}
    bank = StreamBank(build(SMOOTHER), 7)
    for i, message in enumerate(received):
        got = CODECS['pose_array'].read(message).rows
        first = bank.update((0,), (stamps[i],), rows[i][None]).estimate.rows[0]
        assert np.allclose(got[0], first, rtol=0, atol=1e-12)
        assert np.array_equal(got[1], np.zeros(7))
        if i < 20:
            assert np.allclose(got[2], first, rtol=0, atol=1e-12)
        assert np.isfinite(got[2]).all() and abs(np.linalg.norm(got[2, 3:]) - 1.0) < 1e-9


@pytest.mark.parametrize('settings', [
    {}, {'enabled': False}, {'lookahead_s': 0.5}, {'reorder_s': 0.2},
    {'publish_odometry': True}])
def test_an_array_without_poses_says_so(graph, settings):
    """What is seen no more is not left standing at the listeners; the places wait."""
    node = graph.smoother(input_type='pose_array', path_length=0, **settings,
                          **lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose_array')
    stamps, rows = walk('pose', 40)
    for i, (at_ns, row) in enumerate(zip(stamps, rows)):
        publisher.publish(array_of(at_ns, [row, row] if i < 10 or i > 20 else []))
    publisher.publish(array_of(0, []))
    publisher.publish(array_of(stamps[5], []))
    tally, received = settle(graph, node, 42)
    assert tally.dropped == {'zero_stamp': 1, 'withheld': 1} and not tally.resets
    ahead_ns = round(settings.get('lookahead_s', 0.0) * NS_PER_S)
    want = [(header_at(at_ns + ahead_ns, '').stamp, 2 if i < 10 or i > 20 else 0)
            for i, at_ns in enumerate(stamps)]
    assert [(m.header.stamp, len(m.poses)) for m in received] == want[:40 - tally.pending]
    assert all(m.header.frame_id == 'map' for m in received)


def test_a_growing_path_is_one_stream(graph):
    """Every message repeats the past and adds three poses; only those are steps."""
    node = graph.smoother(input_type='path', **lossless('/pose'))
    publisher, _ = graph.connect(node, 'path')
    stamps, rows = walk('pose', 60, rate_hz=20.0)
    poses = [stamped('pose', s, row) for s, row in zip(stamps, rows)]
    bank = StreamBank(build(SMOOTHER), 7)
    want = np.array([bank.update((0,), (s,), row[None]).estimate.rows[0]
                     for s, row in zip(stamps, rows)])
    ends = list(range(3, 61, 3))
    for _ in range(2):  # the second time is a bag that loops
        for end in ends:
            last = poses[max(0, end - 30):end]
            publisher.publish(Path(header=last[-1].header, poses=last))
    publisher.publish(Path(header=poses[-1].header, poses=poses[-5:]))
    publisher.publish(Path(header=poses[-2].header, poses=poses[-5:-1]))
    tally, received = settle(graph, node, 42)
    assert tally.dropped == {'duplicate': 1, 'late': 1} and tally.resets == {'jump': 1}
    assert tally.streams[0].accepted == 120
    for message, end in zip(received, ends + ends):
        got = CODECS['path'].read(message)
        assert got.stamps_ns == stamps[max(0, end - 30):end]
        assert np.array_equal(got.rows, want[max(0, end - 30):end])
        assert message.header.stamp == poses[end - 1].header.stamp


@pytest.mark.parametrize('kind', CODECS)
def test_odometry_has_the_twist_in_the_child_frame(graph, kind):
    """Pose, twist and both covariances of each stream, under the smooth output's header."""
    node = graph.smoother(input_type=kind, publish_odometry=True, **lossless('/pose'),
                          **{'qos_overrides./pose/odometry.publisher.depth': 5000})
    told = graph.listen(Odometry, '/pose/odometry')
    publisher, _ = graph.connect(node, kind)
    graph.until(lambda: node.count_subscribers('/pose/odometry'), 'odometry to be matched')
    stamps, rows = walk(kind, 40)
    graph.send(publisher, kind, stamps, rows)
    _, received = settle(graph, node, 40)
    graph.until(lambda: len(told) == 40, 'odometry')
    child = {'transform': 'tag_smoothed', 'pose_array': 'pose_0_smoothed'}.get(
        kind, 'pose_smoothed')
    bank = StreamBank(build(SMOOTHER), CODECS[kind].width)
    for stamp_ns, row, smooth, message in zip(stamps, rows, received, told):
        estimate = bank.update(*CODECS[kind].read(stamped(kind, stamp_ns, row))).estimate
        assert message.header == smooth.header and message.child_frame_id == child
        got = CODECS['odometry'].read(message)
        assert np.array_equal(got.rows[:, :CODECS[kind].width], estimate.rows)
        quat = estimate.rows[:, 3:] if CODECS[kind].width == 7 else None
        v, r = message.twist.twist.linear, message.twist.twist.angular
        assert np.array_equal([v.x, v.y, v.z, r.x, r.y, r.z], body_twist(estimate.twist, quat)[0])
        assert np.array_equal(message.pose.covariance, pose_covariance(estimate.variance, quat)[0])
        for covariance in (message.pose.covariance, message.twist.covariance):
            assert (np.linalg.eigvalsh(covariance.reshape(6, 6)) > 0.0).all()


def test_child_frame_names_the_body(graph):
    """Given once for one stream; with the stream's place behind it for many."""
    node = graph.smoother(input_type='pose_array', publish_odometry=True, child_frame='marker',
                          **lossless('/pose'))
    told = graph.listen(Odometry, '/pose/odometry')
    publisher, _ = graph.connect(node, 'pose_array')
    graph.until(lambda: node.count_subscribers('/pose/odometry'), 'odometry to be matched')
    _, rows = walk('pose', 2)
    publisher.publish(array_of(START_NS, rows))
    graph.until(lambda: len(told) == 2, 'odometry')
    assert [m.child_frame_id for m in told] == ['marker_0', 'marker_1']


def test_tf_carries_the_smooth_poses_and_needs_tf2_msgs(graph, capfd):
    """The output's numbers under the child frame; one line where tf2_msgs is missing."""
    node = graph.smoother(publish_tf=True, active=False, **lossless('/pose'))
    if importlib.util.find_spec('tf2_msgs') is None:
        assert not node.bring_up()
        assert 'input_type tf, but tf2_msgs is not installed' in capfd.readouterr().err
        assert not node.channels and node.count_publishers('/pose/smoothed') == 0
        return
    from tf2_msgs.msg import TFMessage
    assert node.bring_up()
    told = graph.listen(TFMessage, '/tf')
    publisher, _ = graph.connect(node, 'pose')
    graph.until(lambda: node.count_subscribers('/tf'), 'TF to be matched')
    stamps, rows = walk('pose', 20)
    graph.send(publisher, 'pose', stamps, rows)
    _, received = settle(graph, node, 20)
    graph.until(lambda: len(told) == 20, 'TF')
    transforms = [transform for message in told for transform in message.transforms]
    assert rows_of('transform', transforms)[0] == stamps
    assert np.array_equal(rows_of('transform', transforms)[1], rows_of('pose', received)[1])
    assert {(t.header.frame_id, t.child_frame_id) for t in transforms} == {
        ('map', 'pose_smoothed')}


def test_frame_id_chooses_among_frames_and_names_the_nameless(graph):
    """Messages in another frame are dropped; those in none are taken to be in it."""
    node = graph.smoother(frame_id='camera', **lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 30)
    for i, (stamp_ns, row) in enumerate(zip(stamps, rows)):
        publisher.publish(stamped('pose', stamp_ns, row, ('camera', 'other', '')[i % 3]))
    tally, received = settle(graph, node, 30)
    assert tally.dropped == {'frame': 10} and not tally.resets
    assert {m.header.frame_id for m in received} == {'camera'}
    assert all(isinstance(m, PoseStamped) for m in received)


@pytest.mark.parametrize('kind', ['pose', 'point'])
def test_a_path_in_hindsight_is_the_window_s(graph, kind):
    """The newest pose is the filter's; older ones are those of a smoothed window."""
    node = graph.smoother(input_type=kind, path_smoothed=True, path_length=30, path_rate_hz=50.0,
                          **lossless('/pose'))
    paths = graph.listen(Path, '/pose/path')
    publisher, _ = graph.connect(node, kind)
    graph.until(lambda: node.count_subscribers('/pose/path'), 'the path to be matched')
    stamps, rows = walk(kind, 50)
    graph.send(publisher, kind, stamps, rows)
    settle(graph, node, 50)
    graph.until(lambda: paths and rows_of('pose', paths[-1].poses)[0][-1:] == stamps[-1:],
                'the last path')
    smoother, width = build(SMOOTHER), CODECS[kind].width
    bank, window = StreamBank(smoother, width), Window(smoother, 30)
    for stamp_ns, row in zip(stamps, rows):
        bank.update((0,), (stamp_ns,), row[None])
        window.add(stamp_ns, bank.peek(0))
    got_stamps, got = rows_of('pose', paths[-1].poses)
    assert got_stamps == stamps[-30:]
    assert np.array_equal(got[:, :width], window.smooth().rows)


def test_a_path_in_hindsight_needs_a_motion_model(graph, capfd):
    """One line, and nothing is left over."""
    node = graph.smoother(active=False, smoother='ema', path_smoothed=True)
    assert not node.bring_up()
    assert "path_smoothed: got smoother 'ema'" in capfd.readouterr().err
    assert node.count_publishers('/pose/smoothed') == 0


def test_the_twist_s_variance_is_the_filter_s(graph):
    """Wide before a second message, then that of the velocity, turned into the body."""
    node = graph.smoother(publish_odometry=True, **lossless('/pose'))
    told = graph.listen(Odometry, '/pose/odometry')
    publisher, _ = graph.connect(node, 'pose')
    graph.until(lambda: node.count_subscribers('/pose/odometry'), 'odometry to be matched')
    stamps, rows = walk('pose', 20)
    graph.send(publisher, 'pose', stamps, rows)
    graph.until(lambda: len(told) == 20, 'odometry')
    smoother = build(SMOOTHER)
    bank = StreamBank(smoother, 7)
    for i, (stamp_ns, row, message) in enumerate(zip(stamps, rows, told)):
        rows_now = bank.update((0,), (stamp_ns,), row[None]).estimate.rows
        variance = smoother.known(bank.peek(0)).covariance[:, :, 1, 1]
        want = twist_covariance(variance if i else np.full((1, 6), np.nan), rows_now[:, 3:])
        assert np.array_equal(message.twist.covariance, want[0])
        assert (message.twist.covariance.max() < 1e5) == (i > 0)
