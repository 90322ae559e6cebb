# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What flows through the node, over real DDS."""

import math
import re

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Path
import numpy as np
from objects import CODECS
import pytest
from rclpy.parameter import Parameter
from ros_graph import lossless, rows_of, settle, SMOOTHER, stamped, START_NS, walk
from std_srvs.srv import Trigger

from liquid_ros.backend import NumpyBackend
from liquid_ros.checkpoint import build
from liquid_ros.fused import place
from liquid_ros.params import SPECS
from liquid_ros.ros.messages import Head, Smooth
from liquid_ros.ros.wire import WIRES
from liquid_ros.smoothers.ema import Ema
from liquid_ros.streams import StreamBank
from liquid_ros.update import DROP_REASONS

NS = 10**9


def offline(kind, stamps_ns, rows):
    """Return what the StreamBank says of the same messages, accepted ones only."""
    bank = StreamBank(build(SMOOTHER), CODECS[kind].width)
    updates = [bank.update(*CODECS[kind].read(stamped(kind, s, row)))
               for s, row in zip(stamps_ns, rows)]
    kept = [i for i, update in enumerate(updates) if update.accepted[0]]
    return ([stamps_ns[i] for i in kept],
            np.array([updates[i].estimate.rows[0] for i in kept]).reshape(len(kept), -1))


def test_every_input_type_has_its_codec():
    """The parameter's choices are the codecs; of tf and fix the tests are elsewhere."""
    assert SPECS['input_type'].choices == tuple(WIRES)
    assert set(WIRES) == {*CODECS, 'tf', 'fix'}


@pytest.mark.parametrize('kind', CODECS)
def test_messages_survive_the_way_to_rows_and_back(kind):
    """Stamp, frame and numbers, to the last bit."""
    _, rows = walk(kind, 5)
    for stamp_ns in (0, 1, NS - 1, START_NS, -NS + 5, (2**31 - 1) * NS + NS - 1):
        message = stamped(kind, stamp_ns, rows[0], 'a/frame')
        keys, stamps_ns, got, frames, _ = CODECS[kind].read(message)
        assert (list(stamps_ns), list(frames)) == ([stamp_ns], ['a/frame'])
        assert np.array_equal(got, rows[:1]) and len(keys) == 1
        ones = np.ones((1, 6))
        head = Head(stamp_ns, 'a/frame')
        again = CODECS[kind].write(message, head, Smooth(got, ones, ones, ones))
        assert again == message


@pytest.mark.parametrize('kind', CODECS)
def test_output_equals_the_offline_replay_to_the_last_bit(graph, kind):
    """300 messages with gaps, repeats and a loop: same rows, stamps, type and frame."""
    node = graph.smoother(input_type=kind, **lossless('/pose'))
    publisher, received = graph.connect(node, kind)
    stamps, rows = walk(kind, 300)
    stamps[100] = stamps[99]  # a repeat
    stamps[150] = stamps[148]  # a late one
    stamps[200:] = [s + 20 * NS for s in stamps[200:]]  # a gap
    stamps[250:] = [s - 21 * NS for s in stamps[250:]]  # a loop
    graph.send(publisher, kind, stamps, rows)
    tally, received = settle(graph, node, 300)
    got_stamps, got_rows = rows_of(kind, received)
    want_stamps, want_rows = offline(kind, stamps, rows)
    assert got_stamps == want_stamps and len(want_stamps) == 298
    assert np.array_equal(got_rows, want_rows)
    assert tally.dropped == {'duplicate': 1, 'late': 1}
    assert tally.resets == {'gap': 1, 'jump': 1}
    assert {type(m) for m in received} == {CODECS[kind].message}
    assert {m.header.frame_id for m in received} == {'map'}


def bad_messages(kind):
    """Return (name, message changer, reason) of every kind of bad input."""
    def number(value):
        def change(row):
            row[1] = value
        return change

    def zero(row):
        row[3:] = 0.0

    cases = [('nan', number(math.nan), 'non_finite'), ('inf', number(math.inf), 'non_finite'),
             ('-inf', number(-math.inf), 'non_finite'), ('huge', number(1e300), 'non_finite')]
    if CODECS[kind].width == 7:
        cases.append(('zero quaternion', zero, 'zero_quaternion'))
        cases.append(('nan quaternion', lambda row: row.__setitem__(5, math.nan), 'non_finite'))
    return cases


@pytest.mark.parametrize('kind', CODECS)
def test_bad_input_is_counted_dropped_and_leaves_no_trace(graph, kind):
    """received = published + dropped by reason; the good ones come out as if alone."""
    node = graph.smoother(input_type=kind, **lossless('/pose'))
    publisher, _ = graph.connect(node, kind)
    stamps, rows = walk(kind, 120)
    expected, sent = {}, 0
    for i, (stamp_ns, row) in enumerate(zip(stamps, rows)):
        _, change, reason = bad_messages(kind)[i % len(bad_messages(kind))]
        broken = row.copy()
        change(broken)
        publisher.publish(stamped(kind, stamp_ns, broken, 'other'))  # before its good twin
        publisher.publish(stamped(kind, stamp_ns, row))
        publisher.publish(stamped(kind, stamp_ns, row))  # repeats
        publisher.publish(stamped(kind, stamp_ns - 1, row, 'other'))  # back, in another frame
        sent += 4
        for why in (reason, 'duplicate', 'late'):
            expected[why] = expected.get(why, 0) + 1
    tally, received = settle(graph, node, sent)
    assert tally.dropped == expected and set(expected) <= set(DROP_REASONS)
    assert not tally.resets
    got_stamps, got_rows = rows_of(kind, received)
    want_stamps, want_rows = offline(kind, stamps, rows)
    assert got_stamps == want_stamps == stamps
    assert np.array_equal(got_rows, want_rows) and np.isfinite(got_rows).all()


class Fragile(Ema):
    """An average whose state ends as soon as it sees an x above 5."""

    def step(self, state, rows, dt_s, variances=None):
        """Return a state that is not finite for such a row."""
        following, estimate = super().step(state, rows, dt_s, variances)
        broken = np.where(rows[:, :1] > 5.0, np.nan, 1.0)
        return {name: array * broken for name, array in following.items()}, estimate


def test_a_state_that_ends_is_rolled_back_and_counted(graph, monkeypatch):
    """The message counts as diverged; the others come out as if it had never come."""
    monkeypatch.setattr('liquid_ros.ros.node.build', lambda *_: Fragile())
    node = graph.smoother(**lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 40)
    rows[10::10, 0] = 6.0
    graph.send(publisher, 'pose', stamps, rows)
    tally, received = settle(graph, node, 40)
    assert tally.dropped == {'diverged': 3} and not tally.resets
    kept = np.setdiff1d(np.arange(40), [10, 20, 30])
    bank = StreamBank(Ema(), 7)
    want = [bank.update((0,), (stamps[i],), rows[i][None]).estimate.rows[0] for i in kept]
    assert rows_of('pose', received)[0] == [stamps[i] for i in kept]
    assert np.array_equal(rows_of('pose', received)[1], want)


def test_quaternions_of_any_length_and_sign_come_out_unit(graph):
    """Scaled and flipped inputs are rotations all the same."""
    node = graph.smoother(**lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 60)
    rows[::2, 3:] *= -1.0
    rows[::3, 3:] *= 1e-3
    graph.send(publisher, 'pose', stamps, rows)
    _, received = settle(graph, node, 60)
    quat = rows_of('pose', received)[1][:, 3:]
    assert np.allclose(np.linalg.norm(quat, axis=1), 1.0, rtol=0, atol=1e-12)
    assert (np.abs((quat[1:] * quat[:-1]).sum(1)) > 0.9).all()


def test_a_new_frame_starts_the_stream_anew(graph):
    """frame_id changes once: a reset, counted; the new frame's first output is its input."""
    node = graph.smoother(input_type='point', **lossless('/pose'))
    publisher, _ = graph.connect(node, 'point')
    stamps, rows = walk('point', 40)
    graph.send(publisher, 'point', stamps[:20], rows[:20], 'map')
    graph.send(publisher, 'point', stamps[20:], rows[20:], 'odom')
    tally, received = settle(graph, node, 40)
    assert tally.resets == {'frame': 1}
    assert [m.header.frame_id for m in received] == ['map'] * 20 + ['odom'] * 20
    want = np.concatenate([offline('point', stamps[a:b], rows[a:b])[1]
                           for a, b in ((0, 20), (20, 40))])
    assert np.array_equal(rows_of('point', received)[1], want)


def test_a_looped_bag_repeats_itself_and_stamps_rise_within_each_run(graph):
    """Three rounds of one recording give three times the same output."""
    node = graph.smoother(**lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 150, rate_hz=50.0)  # 3 s
    for _ in range(3):
        graph.send(publisher, 'pose', stamps, rows)
    tally, received = settle(graph, node, 450)
    assert tally.resets == {'jump': 2} and not tally.dropped
    got_stamps, got_rows = rows_of('pose', received)
    for round_ in (0, 150, 300):
        assert np.all(np.diff(got_stamps[round_:round_ + 150]) > 0)
        assert np.array_equal(got_rows[round_:round_ + 150], got_rows[:150])


def test_reset_service_makes_a_fresh_node(graph):
    """After ~/reset the same recording gives the same output, to the last bit."""
    node = graph.smoother(**lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 80)
    graph.send(publisher, 'pose', stamps, rows)
    settle(graph, node, 80)
    answer = graph.call(Trigger, '/smoother/reset', Trigger.Request())
    assert answer.success
    graph.send(publisher, 'pose', stamps, rows)
    tally, received = settle(graph, node, 160)
    assert tally.resets == {'service': 1} and not tally.dropped
    _, got = rows_of('pose', received)
    assert np.array_equal(got[:80], got[80:])


def test_reset_service_of_an_unconfigured_node_says_so(graph):
    """No success, and why."""
    graph.smoother(active=False)
    answer = graph.call(Trigger, '/smoother/reset', Trigger.Request())
    assert not answer.success and answer.message == 'the node is not configured'


@pytest.mark.parametrize('kind', CODECS)
def test_the_path_is_bounded_and_holds_the_newest(graph, kind):
    """path_length poses, the last of them the newest output, under its header."""
    node = graph.smoother(input_type=kind, path_length=25, path_rate_hz=50.0, **lossless('/pose'))
    below = {'transform': '/stream_tag', 'pose_array': '/stream_0'}.get(kind, '')
    paths = graph.listen(Path, f'/pose/path{below}')
    publisher, _ = graph.connect(node, kind)
    graph.until(lambda: below or node.count_subscribers('/pose/path'), 'the path to be matched')
    stamps, rows = walk(kind, 60)
    graph.send(publisher, kind, stamps, rows)
    _, received = settle(graph, node, 60)
    last_ns = rows_of(kind, received)[0][-1]
    graph.until(lambda: paths and rows_of('pose', paths[-1].poses)[0][-1:] == [last_ns],
                'a path up to the last output')
    path = paths[-1]
    assert len(path.poses) == 25 and max(len(p.poses) for p in paths) <= 25
    assert path.header == received[-1].header
    path_stamps, path_rows = rows_of('pose', path.poses)
    got_stamps, got_rows = rows_of(kind, received)
    width = CODECS[kind].width
    assert path_stamps == got_stamps[-25:]
    assert np.array_equal(path_rows[:, :width], got_rows[-25:])
    if kind == 'point':
        assert np.array_equal(path_rows[:, 3:], [[0.0, 0.0, 0.0, 1.0]] * 25)


def test_path_length_zero_publishes_none_and_changes_while_running(graph):
    """0 keeps nothing; a longer path later grows from there."""
    node = graph.smoother(path_length=0, path_rate_hz=100.0, **lossless('/pose'))
    paths = graph.listen(Path, '/pose/path')
    publisher, _ = graph.connect(node, 'pose')
    path_publisher = node.channels[0].outputs._paths[0]
    graph.until(lambda: path_publisher.get_subscription_count() > 0, 'the path to be matched')
    stamps, rows = walk('pose', 40)
    graph.send(publisher, 'pose', stamps[:20], rows[:20])
    settle(graph, node, 20)
    for _ in range(20):
        graph.executor.spin_once(timeout_sec=0.01)
    assert not paths
    assert node.set_parameters_atomically([Parameter('path_length', value=5)]).successful
    graph.send(publisher, 'pose', stamps[20:], rows[20:])
    settle(graph, node, 40)
    graph.until(lambda: paths and len(paths[-1].poses) == 5, 'a path of five')


def test_best_effort_input_matches_both_kinds_of_publisher(graph):
    """The default subscription hears reliable and best-effort publishers alike."""
    node = graph.smoother(input_type='point')
    received = graph.listen('point', '/pose/smoothed')
    loud = graph.speak('point', '/pose')
    quiet = graph.speak('point', '/pose', best_effort=True)
    graph.matched(loud)
    graph.matched(quiet)
    output = node.channels[0].outputs.main
    graph.until(lambda: output.get_subscription_count() > 0, 'the output to be matched')
    for i, publisher in enumerate((loud, quiet)):
        publisher.publish(stamped('point', START_NS + i, [0.0, 0.0, 0.0]))
        graph.until(lambda n=i: len(received) == n + 1, f'message {i}')


def test_diagnostics_count_and_name_everything(graph):
    """/diagnostics: counts by reason, device, step times and mean NIS; OK, WARN, STALE."""
    node = graph.smoother(no_data_s=1.5, **lossless('/pose'))
    arrays = graph.listen(DiagnosticArray, '/diagnostics')
    publisher, _ = graph.connect(node, 'pose')
    graph.matched(topic='/diagnostics')
    stamps, rows = walk('pose', 50)
    graph.send(publisher, 'pose', stamps + [stamps[-1]], [*rows, rows[-1]])
    settle(graph, node, 51)

    def newest(level):
        return [s for a in arrays for s in a.status if s.level == level][-1:]

    graph.until(lambda: newest(DiagnosticStatus.WARN), 'a warning')
    graph.until(lambda: newest(DiagnosticStatus.STALE), 'a report without data')
    status, = newest(DiagnosticStatus.WARN)
    assert status.name == '/smoother: /pose' and status.message == 'dropped 1 of 51'
    assert status.hardware_id == place(build(), NumpyBackend())
    values = {pair.key: pair.value for pair in status.values}
    assert values['received'] == '51' and values['published'] == '50'
    assert values['dropped'] == '1' and values['dropped: duplicate'] == '1'
    assert values['resets'] == '0' and values['device'] == place(build(), NumpyBackend())
    assert 0.0 < float(values['step p50 ms']) <= float(values['step p99 ms'])
    assert float(values['mean NIS']) > 0.0
    told = newest(DiagnosticStatus.STALE)[0].message
    assert re.fullmatch('no data on /pose for [23] s: its publisher sends nothing', told), told
    assert arrays[-1].header.stamp.sec > 0
