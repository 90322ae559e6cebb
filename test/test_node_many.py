# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Ten thousand odd messages, as hypothesis makes them up, through the node over real DDS."""

import math

from geometry_msgs.msg import PoseStamped
from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
import numpy as np
from objects import CODECS
import pytest
from rclpy.parameter import Parameter
from ros_graph import channel_of, Graph, lossless, START_NS
from std_srvs.srv import SetBool, Trigger

from liquid_ros.ros.messages import Head, header_at, Smooth

NS = 10**9
LENGTH = 80  # of a sequence at most
MESSAGES = 10_000
PER_KIND = MESSAGES // len(CODECS) + 1
EXAMPLES = 64  # a third more than it takes to send so many: to draw one takes longest

numbers = st.one_of(st.floats(-10.0, 10.0), st.floats(), st.sampled_from(
    [0.0, -0.0, math.nan, math.inf, -math.inf, 1e300, -1e300, 1e-320, 1e11]))
sound = st.floats(-10.0, 10.0)
rows = st.one_of(st.lists(sound, min_size=7, max_size=7), st.lists(sound, min_size=7, max_size=7),
                 st.lists(numbers, min_size=7, max_size=7))
moves_ns = st.one_of(
    st.integers(1, NS // 20), st.integers(1, NS // 20), st.integers(1, NS // 20),
    st.sampled_from([0, 1, -1, -NS // 2, -2 * NS, 20 * NS, -400 * NS, 10**17, -10**17]),
    st.integers(-NS, 6 * NS))
switches = st.sampled_from([
    {'lookahead_s': 0.2}, {'lookahead_s': 0.0}, {'reorder_s': 0.05}, {'reorder_s': 0.0},
    {'publish_rate_hz': 100.0}, {'publish_rate_hz': 0.0}, {'smoothing': 1.0}, {'smoothing': -0.5},
    {'gate_probability': 0.01}, {'zero_stamp': 'use_receive_time'}, {'zero_stamp': 'reject'},
    {'frame_id': 'map'}, {'frame_id': ''}, {'path_length': 0}, {'path_length': 9},
    {'max_streams': 2}, {'max_streams': 256}, {'gap_reset_s': 0.5}, {'jump_reset_s': 0.3},
    {'enabled': True}, {'enabled': False}, {'reset': True}])
message = st.tuples(moves_ns, st.sampled_from(['map'] * 8 + ['odom', '']),
                    st.lists(rows, min_size=0, max_size=3), st.booleans(),
                    st.sampled_from(['a', 'a', 'a', 'b', 'c', '']), numbers)
sequences = st.lists(st.one_of(*[message] * 12, switches), min_size=LENGTH // 2,
                     max_size=LENGTH)

# What the assertions at the end count on, whatever was drawn before.
GOOD = [[1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0]]
SURELY = [
    {'zero_stamp': 'reject', 'frame_id': '', 'reorder_s': 0.0, 'max_streams': 256},
    {'reset': True},
    (NS, 'map', GOOD, False, 'a', 0.0), (-1, 'map', GOOD, True, 'a', 0.0),
    (-1, 'map', GOOD, False, 'a', 0.0), {'frame_id': 'map'}, (NS, 'odom', GOOD, False, 'a', 0.0)]


def made(kind, stamp_ns, frame, given_rows, child, covariance):
    """Return a message of any type: what does not fit the type is left out."""
    codec, head = CODECS[kind], Head(stamp_ns, frame)
    if kind not in ('pose_array', 'path'):
        given_rows = (given_rows or [[0.0] * 6 + [1.0]])[:1]
    values = np.array(given_rows, dtype=np.float64).reshape(-1, 7)[:, :codec.width]
    ones = np.ones((len(values), 6))
    template = codec.message()
    if kind == 'path':
        template.poses = [PoseStamped(header=header_at(stamp_ns - 10_000_000 * i, frame))
                          for i in reversed(range(len(values)))]
    with np.errstate(all='ignore'):
        message = codec.write(template, head, Smooth(values, ones, ones, ones))
    if hasattr(message, 'child_frame_id'):
        message.child_frame_id = child
    if kind in ('pose_with_covariance', 'odometry'):
        message.pose.covariance = np.full(36, covariance)
    if kind == 'odometry':
        message.twist.twist.linear.y = covariance
    return message


def numbers_of(message):
    """Return every number in a message, in its fields' fields too."""
    if isinstance(message, float):
        return [message]
    if isinstance(message, np.ndarray):
        return message.tolist()
    if isinstance(message, (list, tuple)):
        return [number for part in message for number in numbers_of(part)]
    if hasattr(message, 'get_fields_and_field_types'):
        return [number for name in message.get_fields_and_field_types()
                for number in numbers_of(getattr(message, name))]
    return []


class Watched:
    """A node of one type, its peer, and what must hold of everything that comes out of it."""

    def __init__(self, kind, short=False):
        """Bring it up on a graph of its own; short: with no output beside the smooth messages."""
        self.kind, self.sent, self.checked, self.now_ns = kind, 0, 0, START_NS
        self.graph = Graph()
        self.node = self.graph.smoother(
            input_type=kind, smoother='liquid', publish_odometry=not short, debug=not short,
            hold_timeout_s=60.0, path_smoothed=kind != 'path' and not short, **lossless('/pose'))
        self.publisher, self.received = self.graph.connect(self.node, kind)
        self.channel = channel_of(self.node, '/pose')
        self.newest = {}
        outputs = self.channel.outputs
        send, send_bytes, new_run = outputs.send, outputs.send_bytes, outputs.new_run
        self.runs = []

        def watched(*arguments):
            sent = send(*arguments)
            if sent:
                self.runs.append((arguments[1], arguments[4]))
            return sent

        def watched_bytes(run, stamp_ns, body):
            self.runs.append((stamp_ns, run))
            send_bytes(run, stamp_ns, body)

        def fresh(run=None):
            self.runs.append((None, run))
            new_run(run)

        outputs.send, outputs.send_bytes, outputs.new_run = watched, watched_bytes, fresh

    def play(self, steps):
        """Send one sequence and check."""
        for step in steps:
            if isinstance(step, dict):
                self.switch(**step)
                continue
            move_ns, frame, given_rows, zero, child, covariance = step
            self.now_ns = min(max(self.now_ns + move_ns, -2**31 * NS), (2**31 - 1) * NS)
            stamp_ns = 0 if zero and move_ns < 0 else self.now_ns
            self.publisher.publish(
                made(self.kind, stamp_ns, frame, given_rows, child, covariance))
            self.sent += 1
        self.check()

    def switch(self, **values):
        """Change a parameter, the pass-through, or reset, in midstream."""
        if 'enabled' in values:
            self.node._on_enable(SetBool.Request(data=values['enabled']), SetBool.Response())
        elif 'reset' in values:
            self.node._on_reset(Trigger.Request(), Trigger.Response())
        else:
            result = self.node.set_parameters_atomically(
                [Parameter(name, value=value) for name, value in values.items()])
            assert result.successful, result.reason

    def check(self):
        """Assert the invariants of all that was sent so far."""
        tally = self.channel.tally
        self.graph.until(lambda: tally.received == self.sent, 'the messages at the node')
        self.graph.until(lambda: len(self.received) == tally.published, 'the output')
        accounted = tally.accepted + tally.pending + sum(tally.dropped.values())
        assert tally.received == accounted == self.sent
        for message in self.received[self.checked:]:
            assert all(map(math.isfinite, numbers_of(message)))
        self.checked = len(self.received)
        for stamp_ns, run in self.runs:
            if stamp_ns is None:
                self.newest = {k: v for k, v in self.newest.items()
                               if run is not None and k != run}
                continue
            assert stamp_ns > self.newest.get(run, -math.inf), 'stamps must rise within a run'
            self.newest[run] = stamp_ns
        self.runs.clear()


@pytest.mark.parametrize('kind,short', [
    ('pose', False), ('point', True),
    *(pytest.param(kind, short, marks=pytest.mark.long) for kind, short in [
        ('pose', True), *((kind, False) for kind in CODECS if kind != 'pose')])])
def test_whatever_comes_nothing_breaks(kind, short):
    """No exception, nothing not finite, stamps that rise within a run, all accounted for."""
    watched = Watched(kind, short)

    @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
              suppress_health_check=list(HealthCheck))
    @given(sequences)
    def play(steps):
        if watched.sent < PER_KIND:
            watched.play(steps)

    try:
        play()
        assert watched.sent >= PER_KIND
        watched.now_ns = START_NS
        watched.play(SURELY)
        dropped, resets = watched.channel.tally.dropped, watched.channel.tally.resets
        assert {'zero_stamp', 'late', 'frame'} <= set(dropped) and len(dropped) >= 5
        assert {'gap', 'jump', 'frame', 'service'} <= set(resets)
        assert watched.channel.tally.published > PER_KIND // 10
    finally:
        watched.graph.close()
