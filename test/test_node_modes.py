# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Time and modes over real DDS: clocks, odd stamps, prediction, pass-through, reordering."""

from time import time_ns

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import pytest
from rclpy.parameter import Parameter
from ros_graph import lossless, rows_of, settle, SMOOTHER, stamped, START_NS, walk
from std_srvs.srv import SetBool

from liquid_ros.checkpoint import build
from liquid_ros.streams import StreamBank

NS = 10**9
STILL = [1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0]


def stamps_of(messages):
    """Return stamps in ns."""
    return [m.header.stamp.sec * NS + m.header.stamp.nanosec for m in messages]


def put(node, **values):
    """Set parameters at once."""
    result = node.set_parameters_atomically([Parameter(n, value=v) for n, v in values.items()])
    assert result.successful, result.reason


# -- odd stamps


def test_a_zero_stamp_is_dropped_and_told(graph, capfd):
    """The stream before and after it goes on as if it had not been there."""
    node = graph.smoother(**lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 20)
    for stamp_ns, row in zip(stamps, rows):
        publisher.publish(stamped('pose', 0, row))
        publisher.publish(stamped('pose', stamp_ns, row))
    tally, received = settle(graph, node, 40)
    assert tally.dropped == {'zero_stamp': 20} and not tally.resets
    assert stamps_of(received) == stamps
    told = [line for line in capfd.readouterr().err.splitlines() if 'zero_stamp' in line]
    assert len(told) == 1 and 'use_receive_time' in told[0] and '/pose' in told[0]


def test_a_zero_stamp_can_become_the_time_of_receipt(graph):
    """Stamped by the node's own clock; two within one tick of it are one too many."""
    graph = graph
    node = graph.smoother(use_sim_time=True, zero_stamp='use_receive_time', **lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    times = [START_NS + i * 20_000_000 for i in range(5)]
    for i, now_ns in enumerate(times):
        graph.set_clock(now_ns, node)
        publisher.publish(stamped('pose', 0, STILL))
        settle(graph, node, i + 1)
    publisher.publish(stamped('pose', 0, STILL))
    tally, received = settle(graph, node, 6)
    assert stamps_of(received) == times and tally.dropped == {'duplicate': 1}


def test_time_may_become_simulated_and_real_again_while_the_node_runs(graph):
    graph = graph
    node = graph.smoother()
    channel, = node.channels
    assert abs(channel.now_ns() - time_ns()) < NS
    put(node, use_sim_time=True)
    assert channel.now_ns() == node.get_clock().now().nanoseconds == 0
    graph.set_clock(START_NS, node)
    assert channel.now_ns() == START_NS
    put(node, use_sim_time=False)
    assert abs(channel.now_ns() - time_ns()) < NS


def test_a_stamp_from_the_future_is_used_and_told(graph, capfd):
    """Counted and warned of; at future_s or less it is nothing special."""
    graph = graph
    node = graph.smoother(use_sim_time=True, future_s=0.5, **lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    graph.set_clock(START_NS, node)
    for i, ahead_ns in enumerate((0, 500_000_000, 500_000_001, 700_000_000)):
        publisher.publish(stamped('pose', START_NS + ahead_ns, STILL))
        tally, received = settle(graph, node, i + 1)
    assert tally.future == 2 and not tally.dropped and len(received) == 4
    told = [line for line in capfd.readouterr().err.splitlines() if 'future' in line]
    assert len(told) == 1 and "ahead of the node's clock" in told[0]


def test_a_clock_that_jumps_back_resets_once(graph):
    """A bag that loops under use_sim_time: the same output in each round, one reset a loop."""
    graph = graph
    node = graph.smoother(use_sim_time=True, **lossless('/pose'))
    publisher, received = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 60, rate_hz=20.0)
    outputs = []
    for round_ in range(3):
        for first in range(0, 60, 20):
            graph.set_clock(stamps[first], node)
            part = slice(first, first + 20)
            graph.send(publisher, 'pose', stamps[part], rows[part])
            settle(graph, node, 60 * round_ + first + 20)
        outputs.append(rows_of('pose', received[60 * round_:])[1])
        assert stamps_of(received[60 * round_:]) == stamps
    assert node.channels[0].tally.resets == {'clock': 2}
    assert all(np.array_equal(output, outputs[0]) for output in outputs)


def test_a_clock_that_jumps_back_loses_nothing_that_was_held_back(graph):
    """The end of each loop goes out before the next one begins."""
    graph = graph
    node = graph.smoother(use_sim_time=True, reorder_s=0.5, **lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 60, rate_hz=20.0)
    for count in (60, 120):
        graph.set_clock(stamps[0], node)
        graph.send(publisher, 'pose', stamps, rows)
        graph.until(lambda goal=count: node.channels[0].tally.received == goal, 'messages')
        graph.set_clock(stamps[-1], node)
    graph.until(lambda: node.channels[0].tally.accepted == 120, 'the last ones')
    assert not node.channels[0].tally.dropped and node.channels[0].tally.resets == {'clock': 1}


def test_a_clock_that_jumps_back_after_the_messages_did_resets_nothing_more(graph):
    """The stream of the new run is kept, whichever of the two comes first."""
    graph = graph
    node = graph.smoother(use_sim_time=True, **lossless('/pose'))
    publisher, received = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 60, rate_hz=20.0)
    graph.set_clock(stamps[-1], node)
    graph.send(publisher, 'pose', stamps, rows)
    settle(graph, node, 60)
    graph.send(publisher, 'pose', stamps[:10], rows[:10])
    settle(graph, node, 70)
    graph.set_clock(stamps[10], node)
    graph.send(publisher, 'pose', stamps[10:], rows[10:])
    tally, _ = settle(graph, node, 120)
    assert tally.resets == {'jump': 1} and not tally.dropped
    first, second = np.split(rows_of('pose', received)[1], 2)
    assert np.array_equal(first, second)


def test_diagnostics_come_also_while_the_clock_stands_still(graph):
    """Without any /clock a report still comes, under the node's own stamp."""
    graph = graph
    graph.smoother(use_sim_time=True)
    arrays = graph.listen(DiagnosticArray, '/diagnostics')
    graph.until(lambda: len(arrays) >= 2, 'two reports')
    assert arrays[0].header.stamp.sec == 0


# -- prediction


def test_lookahead_is_the_bank_s_prediction(graph):
    """Each output is what predict() says, and stamped so."""
    node = graph.smoother(lookahead_s=0.05, **lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 50)
    graph.send(publisher, 'pose', stamps, rows)
    _, received = settle(graph, node, 50)
    assert stamps_of(received) == [s + 50_000_000 for s in stamps]
    bank, want = StreamBank(build(SMOOTHER), 7), []
    for stamp_ns, row in zip(stamps, rows):
        bank.update((0,), (stamp_ns,), row[None])
        want.append(bank.predict((0,), (stamp_ns + 50_000_000,)).rows[0])
    assert np.array_equal(rows_of('pose', received)[1], want)


def test_stamps_rise_within_a_run_and_a_switch_back_begins_one(graph):
    """Lookahead up and down, pass-through on and off: nothing is withheld."""
    node = graph.smoother(**lossless('/pose'))
    publisher, received = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 120)
    aheads = (0.0, 0.3, 0.3, 0.3, 0.1, 0.0)
    for i in range(0, 120, 20):
        put(node, lookahead_s=aheads[i // 20])
        request = SetBool.Request(data=i // 20 != 2)
        assert graph.call(SetBool, '/smoother/set_enabled', request).success
        graph.send(publisher, 'pose', stamps[i:i + 20], rows[i:i + 20])
        tally, _ = settle(graph, node, i + 20)
    assert not tally.dropped
    runs = [stamps_of(received[i:j]) for i, j in ((0, 40), (40, 80), (80, 100), (100, 120))]
    assert all(np.all(np.diff(run) > 0) for run in runs)
    ahead_ns = np.repeat([0, 300_000_000, 0, 300_000_000, 100_000_000, 0], 20)
    assert stamps_of(received) == [s + int(a) for s, a in zip(stamps, ahead_ns)]


def test_pass_through_publishes_what_comes_and_the_smoother_goes_on(graph):
    """Usable messages as they are, bad ones dropped; enabled again as if it had never stopped."""
    node = graph.smoother(**lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 60)
    rows[25, 0] = np.nan
    for part, enabled in ((slice(0, 20), True), (slice(20, 40), False), (slice(40, 60), True)):
        answer = graph.call(SetBool, '/smoother/set_enabled', SetBool.Request(data=enabled))
        assert answer.success and ('passing' in answer.message) != enabled
        graph.send(publisher, 'pose', stamps[part], rows[part])
        tally, received = settle(graph, node, part.stop)
    bank = StreamBank(build(SMOOTHER), 7)
    smooth = np.array([bank.update((0,), (s,), row[None]).estimate.rows[0]
                       for s, row in zip(stamps, rows)])
    _, got = rows_of('pose', received)
    assert tally.dropped == {'non_finite': 1}
    assert np.array_equal(got[:20], smooth[:20])
    assert np.array_equal(got[20:39], np.delete(rows[20:40], 5, 0))
    assert np.array_equal(got[39:], smooth[40:])


@pytest.mark.parametrize('kind', ['pose', 'pose_array', 'odometry'])
def test_a_fixed_rate_predicts_until_the_hold_time_is_over(graph, kind):
    """At 50 Hz of /clock between messages at 10 Hz; then nothing, and STALE in the reports."""
    graph = graph
    node = graph.smoother(use_sim_time=True, input_type=kind, publish_rate_hz=50.0,
                          hold_timeout_s=0.2, **lossless('/pose'))
    publisher, received = graph.connect(node, kind)
    reports = graph.listen(DiagnosticArray, '/diagnostics')
    bank = StreamBank(build(SMOOTHER), 7)
    wanted = {}
    _, rows = walk('pose', 6)
    for i in range(60):
        now_ns = START_NS + i * 20_000_000
        if i % 5 == 0 and i < 30:
            publisher.publish(stamped(kind, now_ns, rows[i // 5]))
            settle_input(graph, node, i // 5 + 1)
            bank.update((0,), (now_ns,), rows[i // 5][None])
        graph.set_clock(now_ns, node)
        wanted[now_ns] = bank.predict((0,), (now_ns,)).rows[0]
        graph.pause(0.012)
    last_ns = START_NS + 25 * 20_000_000
    got_stamps, got_rows = rows_of(kind, received)
    assert np.all(np.diff(got_stamps) > 0)
    assert 25 <= len(received) <= 36 and got_stamps[-1] <= last_ns + 200_000_000
    assert got_stamps[-1] > last_ns + 100_000_000
    assert np.allclose(got_rows, [wanted[s] for s in got_stamps], rtol=0, atol=1e-12)
    tally = node.channels[0].tally
    assert tally.accepted == 6 and tally.published == len(received) and not tally.dropped
    graph.until(lambda: any('hold_timeout_s' in s.message for a in reports for s in a.status),
                'a report that it is stale')


def settle_input(graph, node, count):
    """Wait until the node has received so many messages."""
    graph.until(lambda: node.channels[0].tally.received >= count, f'{count} messages')


def test_what_waited_a_moment_at_the_start_is_no_clock_that_differs(graph, capfd):
    """Only where it goes on for a second."""
    node = graph.smoother(publish_rate_hz=100.0, hold_timeout_s=0.2, **lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    row = walk('pose', 1)[1][0]

    def send(count):
        for _ in range(count):
            now_ns = node.get_clock().now().nanoseconds
            publisher.publish(stamped('pose', now_ns - 300_000_000, row))
            graph.pause(0.02)

    send(10)
    assert 'stale' not in capfd.readouterr().err
    send(60)
    assert capfd.readouterr().err.count('use_sim_time missing') == 1


def test_a_fixed_rate_far_from_the_stamps_says_why_nothing_comes(graph, capfd):
    """Old stamps and a real clock: one warning that names use_sim_time."""
    node = graph.smoother(publish_rate_hz=100.0, **lossless('/pose'))
    publisher, received = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 10)
    graph.send(publisher, 'pose', stamps, rows)
    settle_input(graph, node, 10)
    graph.pause(0.1)
    assert not received
    told = [line for line in capfd.readouterr().err.splitlines() if 'stale' in line]
    assert len(told) == 1 and 'use_sim_time' in told[0]


def test_a_fixed_rate_follows_the_real_clock(graph):
    """100 Hz of output from 20 Hz of input, changed while running, then per message again."""
    node = graph.smoother(publish_rate_hz=100.0, **lossless('/pose'))
    publisher, received = graph.connect(node, 'pose')

    def now_ns():
        return node.get_clock().now().nanoseconds

    def feed(seconds):
        end, sent = now_ns() + int(seconds * NS), 0
        while now_ns() < end:
            publisher.publish(stamped('pose', now_ns(), STILL))
            sent += 1
            graph.pause(0.05)
        return sent

    feed(1.0)
    assert 30 < len(received) <= 120
    stamps = stamps_of(received)
    assert np.all(np.diff(stamps) > 0) and np.median(np.diff(stamps)) < 15_000_000
    put(node, publish_rate_hz=0)
    tally = node.channels[0].tally
    before, accepted = tally.published, tally.accepted
    sent = feed(0.3)
    graph.until(lambda: tally.accepted == accepted + sent, 'the last messages')
    assert tally.published == before + sent
    assert np.all(np.diff(stamps_of(received)) > 0)


# -- reordering


def test_messages_out_of_order_are_put_in_order(graph):
    """Neighbours swapped: with reorder_s nothing is late, and the output is the sorted one."""
    node = graph.smoother(reorder_s=0.05, **lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 60)
    order = [i + 1 if i % 2 == 0 else i - 1 for i in range(60)]
    graph.send(publisher, 'pose', [stamps[i] for i in order], rows[order])
    tally = node.channels[0].tally
    graph.until(lambda: tally.accepted == 60, 'the last ones, after a silence')
    tally, received = settle(graph, node, 60)
    assert not tally.dropped and tally.pending == 0
    assert stamps_of(received) == stamps
    bank = StreamBank(build(SMOOTHER), 7)
    assert np.array_equal(rows_of('pose', received)[1], [
        bank.update((0,), (s,), row[None]).estimate.rows[0] for s, row in zip(stamps, rows)])


def test_what_is_held_back_at_a_reset_goes_out_before_it(graph):
    """Received is accepted, dropped or pending, always."""
    node = graph.smoother(reorder_s=10.0, **lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 30)
    graph.send(publisher, 'pose', stamps, rows)
    tally, _ = settle(graph, node, 30)
    assert tally.pending == 30
    node.channels[0].flow.reset('service')
    assert tally.pending == 0 and tally.accepted == 30 and not tally.dropped
    put(node, reorder_s=0.0)
    graph.send(publisher, 'pose', stamps, rows)
    tally, received = settle(graph, node, 60)
    assert tally.accepted == 60 and stamps_of(received) == [*stamps, *stamps]


def test_streams_that_never_end_are_bounded_while_held_back(graph):
    """A new child frame with every message: as many as max_streams are held, none is lost."""
    node = graph.smoother(input_type='transform', reorder_s=1.0, max_streams=3,
                          **lossless('/pose'))
    publisher, _ = graph.connect(node, 'transform')
    for i in range(40):
        message = stamped('transform', START_NS + i * NS, STILL)
        message.child_frame_id = f'tag_{i}'
        publisher.publish(message)
    tally, _ = settle(graph, node, 40)
    assert tally.pending <= 3 and len(node.channels[0].flow._held) <= 3
    node.channels[0].flow.flush()
    settle(graph, node, 40)
    assert tally.pending == 0 and tally.accepted > 3 and len(tally.streams) <= 3


@pytest.mark.parametrize('knob', [{'smoothing': 1.0}, {'gate_probability': 0.05}])
def test_knobs_turn_while_messages_flow(graph, knob):
    """The output from there on is that of a bank with the same knob; back at 0 as before."""
    from liquid_ros.smoothers.tuning import Tuning
    node = graph.smoother(**lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 60)
    bank, want = StreamBank(build(SMOOTHER), 7), []
    for i, values in ((0, {}), (20, knob), (40, dict.fromkeys(knob, 0))):
        if values:
            put(node, **values)
        bank.tune(Tuning(**values))
        graph.send(publisher, 'pose', stamps[i:i + 20], rows[i:i + 20])
        _, received = settle(graph, node, i + 20)
        want += [bank.update((0,), (s,), row[None]).estimate.rows[0]
                 for s, row in zip(stamps[i:i + 20], rows[i:i + 20])]
    assert np.array_equal(rows_of('pose', received)[1], want)
    plain = StreamBank(build(SMOOTHER), 7)
    untouched = [plain.update((0,), (s,), row[None]).estimate.rows[0]
                 for s, row in zip(stamps, rows)]
    assert not np.array_equal(want, untouched)
