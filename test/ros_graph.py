# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A real ROS graph for the tests: a peer, nodes in this process, and nodes in their own."""

import gc
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time

from geometry_msgs.msg import PoseStamped
import numpy as np
from objects import CODECS
import rclpy
from rclpy.context import Context
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from liquid_ros.params import Params
from liquid_ros.ros.main import make_executor
from liquid_ros.ros.messages import Head, header_at, Smooth
from liquid_ros.ros.node import SmootherNode

ROOT = Path(__file__).resolve().parents[1]
SMOOTHER = Params().smoother
DEADLINE_S = 15.0
START_NS = 1_700_000_000_123_456_789
DEEP = QoSProfile(depth=5000)

# Every message of a test must arrive, so its input is reliable and deep; the default is neither.
LOSSLESS = {
    f'qos_overrides.{{0}}.{end}.{key}': value
    for end in ('subscription', 'publisher')
    for key, value in (('reliability', 'reliable'), ('depth', 5000))}


def lossless(topic, output=''):
    """Return the QoS overrides that lose nothing from topic to output."""
    output = output or f'{topic}/smoothed'
    return {name.format(topic if 'subscription' in name else output): value
            for name, value in LOSSLESS.items()}


def stamped(kind, stamp_ns, row, frame='map'):
    """Return the message of a row."""
    row = np.asarray(row, dtype=np.float64)
    codec, head = CODECS[kind], Head(int(stamp_ns), frame)
    rows = row.reshape(-1, codec.width)
    ones = np.ones((len(rows), 6))
    template = codec.message()
    if kind == 'path':
        template.poses = [PoseStamped(header=head.header())] * len(rows)
    with np.errstate(invalid='ignore'):  # a quaternion of zeros
        message = codec.write(template, head, Smooth(rows, ones, ones, ones))
    if kind == 'transform':
        message.child_frame_id = 'tag'
    return message


def rows_of(kind, messages):
    """Return stamps (list of int, ns) and rows (N, width) of messages."""
    batches = [CODECS[kind].read(message) for message in messages]
    width = CODECS[kind].width
    return ([stamp for batch in batches for stamp in batch.stamps_ns],
            np.concatenate([b.rows for b in batches]) if batches else np.zeros((0, width)))


def walk(kind, count, seed=0, rate_hz=100.0, start_ns=START_NS):
    """Return a noisy walk: stamps (list of int, ns), rows (count, width); quaternions not unit."""
    rng = np.random.default_rng(seed)
    steps_ns = (1e9 / rate_hz * rng.uniform(0.5, 1.5, count)).astype(np.int64)
    rows = np.cumsum(rng.normal(size=(count, 3)) * 0.02, axis=0) + rng.normal(size=(count, 3)) * .1
    if CODECS[kind].width == 7:
        quat = np.array([0.1, -0.2, 0.3, 0.9]) + rng.normal(size=(count, 4)) * 0.02
        rows = np.concatenate([rows, quat], axis=1)
    return [start_ns + int(t) for t in np.cumsum(steps_ns)], rows


class Graph:
    """A context, an executor, a peer node and what it received by topic."""

    def __init__(self, make=None):
        """Start with the peer alone; make: an executor's class, the node's own choice if None."""
        self.context = Context()
        rclpy.init(context=self.context)
        self.executor = make(context=self.context) if make else make_executor(self.context)
        self.nodes = []
        self.processes = []
        self.received = {}
        self.peer = self._add(rclpy.create_node('peer', context=self.context))

    def _add(self, node):
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def close(self):
        """Take everything off the graph."""
        for process in self.processes:
            process.kill()
        for node in self.nodes:
            self.executor.remove_node(node)
            node.destroy_node()
        self.executor.shutdown()
        rclpy.shutdown(context=self.context)
        self.nodes.clear()
        del node, self.peer, self.executor
        gc.collect()  # a lifecycle node's own publisher stays on the graph as long as its object

    def until(self, done, what, deadline_s=DEADLINE_S):
        """Run callbacks until done() or fail saying what was waited for."""
        limit = time.monotonic() + deadline_s
        while not done():
            assert time.monotonic() < limit, f'waited {deadline_s} s for {what}'
            for process in self.processes:
                assert not process.poll(), read_log(process)
            self.executor.spin_once(timeout_sec=0.02)

    def smoother(self, *ros_args, namespace=None, active=True, **params):
        """Return a smoother node in this process."""
        params.setdefault('smoother', SMOOTHER)
        params.setdefault('device', 'cpu')
        node = self._add(SmootherNode(
            context=self.context, namespace=namespace,
            cli_args=['--ros-args', *ros_args] if ros_args else None,
            parameter_overrides=[Parameter(name, value=value) for name, value in params.items()]))
        if active:
            assert node.bring_up()
        return node

    def process(self, *ros_args, **popen):
        """Start a smoother node as its own process; its stderr goes to a file it carries."""
        log = tempfile.TemporaryFile('w+')
        process = subprocess.Popen(
            [sys.executable, '-m', 'liquid_ros.ros.main', '--ros-args', *ros_args],
            stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, text=True, **popen)
        process.log = log
        self.processes.append(process)
        return process

    def listen(self, kind, topic):
        """Collect what comes on a topic; kind is a codec's name or a message type."""
        message = CODECS[kind].message if isinstance(kind, str) else kind
        self.received[topic] = []
        self.peer.create_subscription(message, topic, self.received[topic].append, DEEP)
        return self.received[topic]

    def speak(self, kind, topic, best_effort=False):
        """Return a publisher; kind as of listen()."""
        qos = QoSProfile(depth=5000, reliability=(
            ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE))
        message = CODECS[kind].message if isinstance(kind, str) else kind
        return self.peer.create_publisher(message, topic, qos)

    def matched(self, publisher=None, topic=None, count=1):
        """Wait until the peer's publisher, or its subscription to a topic, has its partners."""
        if publisher is not None:
            self.until(lambda: publisher.get_subscription_count() >= count,
                       f'a subscription to {publisher.topic_name}')
        if topic is not None:
            self.until(lambda: self.peer.count_publishers(topic) >= count,
                       f'a publisher of {topic}')

    def connect(self, node, kind, topic='/pose'):
        """Wait for both ends of a smoother in this process; return (publisher, received)."""
        received = self.listen(kind, f'{topic}/smoothed')
        publisher = self.speak(kind, topic)
        self.matched(publisher)
        output = channel_of(node, topic).outputs.main
        self.until(lambda: output.get_subscription_count() > 0, 'the output to be matched')
        return publisher, received

    def call(self, service, name, request, again_s=DEADLINE_S):
        """Return a service's response; ask again where none comes: the first can get lost."""
        client = self.peer.create_client(service, name)
        self.until(client.service_is_ready, f'the service {name}')
        futures, asked = [], [-again_s]

        def answered():
            if time.monotonic() - asked[0] >= again_s:
                asked[0] = time.monotonic()
                futures.append(client.call_async(request))
            return any(future.done() for future in futures)

        self.until(answered, f'an answer of {name}')
        self.peer.destroy_client(client)
        return next(future.result() for future in futures if future.done())

    def set_clock(self, now_ns, *nodes):
        """Publish /clock until it is the nodes' time; they must use simulated time."""
        if not hasattr(self, '_clock'):
            self._clock = self.peer.create_publisher(Clock, '/clock', QoSProfile(depth=10))
        message = Clock(clock=header_at(int(now_ns), '').stamp)

        def taken():
            self._clock.publish(message)
            return all(node.get_clock().now().nanoseconds == now_ns for node in nodes)

        self.until(taken, f'/clock at {now_ns}')

    def pause(self, seconds):
        """Run callbacks for a while, to see that nothing comes."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            self.executor.spin_once(timeout_sec=0.01)

    def send(self, publisher, kind, stamps_ns, rows, frame='map'):
        """Publish rows as messages."""
        for stamp_ns, row in zip(stamps_ns, rows):
            publisher.publish(stamped(kind, stamp_ns, row, frame))


def channel_of(node, topic):
    """Return the channel of an input topic."""
    return next(channel for channel in node.channels if channel.topic == topic)


def settle(graph, node, sent, topic='/pose'):
    """
    Wait until the node has seen all that was sent, and the peer all that it published.

    Return the counts and what the peer received; every message is accounted for.
    """
    channel = channel_of(node, topic)
    tally, received = channel.tally, graph.received[channel.output_topic]
    graph.until(lambda: tally.received >= sent, f'{sent} messages at the node')
    graph.until(lambda: len(received) >= tally.published, 'the output')
    assert tally.received == sent == tally.accepted + tally.pending + sum(tally.dropped.values())
    assert len(received) == tally.published
    if not channel.params.publish_rate_hz:
        assert tally.published == tally.accepted
    return tally, received


def run(*ros_args, timeout_s=20.0):
    """Run the node's process to its end; return (status, output)."""
    done = subprocess.run(
        [sys.executable, '-m', 'liquid_ros.ros.main', '--ros-args', *ros_args], cwd=ROOT,
        capture_output=True, text=True, timeout=timeout_s)
    return done.returncode, done.stdout + done.stderr


def stop(process, sent=signal.SIGINT, timeout_s=10.0):
    """Send a signal; return the exit status and the process's output."""
    process.send_signal(sent)
    return process.wait(timeout_s), read_log(process)


def read_log(process):
    """Return what a process has printed."""
    process.log.seek(0)
    return process.log.read()
