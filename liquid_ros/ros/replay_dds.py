# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Replay serialised messages into a smoother node over DDS and collect what it answers."""

from contextlib import contextmanager
from functools import partial
import os
from pathlib import Path
import struct
import time
from typing import Any, Callable, Iterator, List, NamedTuple, Sequence, Set, Tuple

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile

from liquid_ros.errors import LiquidError
from liquid_ros.ros.process import NodeProcess
from liquid_ros.ros.wire import WIRES
from liquid_ros.signals import deferred
from liquid_ros.timing import NS_PER_S

NODE = 'smoother'
START_DEADLINE_S = 60.0  # a cold machine that loads torch and CUDA
TAIL_DEADLINE_S = 5.0
PROBE_PERIOD_S = 0.05
QOS = QoSProfile(depth=10000)
STAMP = slice(4, 12)  # sec and nanosec of the header, after CDR's four bytes

Message = Tuple[int, bytes]  # time in ns, CDR


class Played(NamedTuple):
    """What came out of the node, in the order it came; start_s is the time until it answered."""

    received: List[Message]
    start_s: float


def own_domain() -> None:
    """Stay on this machine, and apart from other graphs unless the user named a domain."""
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 99))
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    if os.environ.get('ROS_DISTRO') == 'humble':  # which knows no range
        os.environ['ROS_LOCALHOST_ONLY'] = '1'


def play(messages: Sequence[Message], kind: str, command: Sequence[str],
         parameters: Sequence[str], log: Path, *, expected: int, rate: float = 1.0,
         advance: Callable[[], Any] = lambda: None) -> Played:
    """
    Start a node, replay the messages with their own timing and stop the node.

    messages: with stamps of this century. kind: 'pose' or 'point'. command: of the node.
    parameters: 'name:=value'. log: a file for what the node says.
    expected: how many answers there will be when none is lost. rate: 2.0 is twice as fast.
    advance: called after each message sent.
    Errors: LiquidError where the node does not start, with the last line that it said.
    """
    began = time.monotonic()
    namespace = f'/demo_{os.getpid()}'
    arguments = ['--ros-args', '-r', f'__ns:={namespace}', '-p', 'input_topic:=measured',
                 '-p', 'output_topic:=answered', '-p', f'input_type:={kind}']
    for parameter in [*parameters, *_lossless(namespace)]:
        arguments += ['-p', parameter]
    # rclpy: "SystemError: take_response returned a result with an exception set"
    with deferred() as act, NodeProcess(command, arguments, log) as process, \
            _peer(namespace, process, act) as peer:
        peer.open(kind)
        peer.change_state(Transition.TRANSITION_CONFIGURE, 'configure')
        peer.change_state(Transition.TRANSITION_ACTIVATE, 'activate')
        peer.probe([raw for _, raw in messages])
        start_s = time.monotonic() - began
        peer.send(messages, rate, advance)
        peer.collect(expected)
        return Played(peer.received, start_s)


def _lossless(namespace: str) -> List[str]:
    """Return overrides of the node's QoS: what it takes by default may lose messages."""
    return [f'qos_overrides.{namespace}/{end}.{key}:={value}'
            for end in ('measured.subscription', 'answered.publisher')
            for key, value in (('reliability', 'reliable'), ('depth', QOS.depth))]


@contextmanager
def _peer(namespace: str, process: NodeProcess, act: Callable[[], None]) -> Iterator['_Peer']:
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node('replay', namespace=namespace, context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        yield _Peer(node, executor, process, act)
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)


class _Peer:
    """The other end of the node's topics and services."""

    def __init__(self, node: Any, executor: Any, process: NodeProcess,
                 act: Callable[[], None]) -> None:
        self._node, self._executor, self._process, self._act = node, executor, process, act
        self._publisher: Any = None
        self._awaited: Set[bytes] = set()
        self._probed = False
        self.received: List[Message] = []

    def open(self, kind: str) -> None:
        """Create the topics; messages go and come serialised."""
        message = WIRES[kind].message
        self._publisher = self._node.create_publisher(message, 'measured', QOS)
        self._node.create_subscription(message, 'answered', self._on_answer, QOS, raw=True)

    def _on_answer(self, raw: bytes) -> None:
        if raw[STAMP] in self._awaited:
            self.received.append((time.time_ns(), bytes(raw)))
        else:
            self._probed = True

    def _spin(self, timeout_s: float) -> None:
        self._executor.spin_once(timeout_sec=timeout_s)
        self._act()

    def wait(self, done: Callable[[], bool], deadline_s: float) -> bool:
        """Run callbacks until done() or the deadline; return whether it is done."""
        limit = time.monotonic() + deadline_s
        while not done():
            if time.monotonic() > limit:
                return False
            self._process.check()
            self._spin(0.02)
        return True

    def change_state(self, transition: int, name: str) -> None:
        """Take the node through a transition; LiquidError where it refuses."""
        answer = self._call(ChangeState, f'{NODE}/change_state',
                            ChangeState.Request(transition=Transition(id=transition)))
        if not answer.success:
            raise LiquidError(f'the node does not {name}: {self._process.last_words()}')

    def probe(self, raws: Sequence[bytes]) -> None:
        """
        Send messages stamped 1970 until one is answered.

        Each of the four endpoints learns of its partner in its own time, and only two of them
        can be asked here: an answer shows that all have. The recording is decades later, a gap
        after which the node starts the stream anew.
        """
        limit = time.monotonic() + START_DEADLINE_S
        sec = 0
        while not self._probed:
            if time.monotonic() > limit:
                raise LiquidError(f'the node answers nothing: {self._process.last_words()}')
            sec += 1
            raw = raws[sec % len(raws)]
            self._publisher.publish(raw[:4] + struct.pack('<iI', sec, 0) + raw[12:])
            self.wait(lambda: self._probed, PROBE_PERIOD_S)

    def send(self, messages: Sequence[Message], rate: float, advance: Callable[[], Any]) -> None:
        """Publish each message at its time, in one thread with the callbacks."""
        self._awaited = {raw[STAMP] for _, raw in messages}
        start, first_ns = time.monotonic(), messages[0][0]
        for log_ns, raw in messages:
            due = start + (log_ns - first_ns) / NS_PER_S / rate
            while True:
                ahead_s = due - time.monotonic()
                if ahead_s <= 0.0:
                    break
                self._spin(min(ahead_s, 0.1))
            self._process.check()
            self._publisher.publish(raw)
            self._spin(0.0)
            advance()

    def collect(self, expected: int) -> None:
        """Wait for the answers still under way, as long as some come."""
        came = True
        while came and len(self.received) < expected:
            goal = len(self.received) + 1
            came = self.wait(partial(self._has, goal), TAIL_DEADLINE_S)

    def _has(self, count: int) -> bool:
        return len(self.received) >= count

    def _call(self, service: Any, name: str, request: Any) -> Any:
        client = self._node.create_client(service, name)
        try:
            if not self.wait(client.service_is_ready, START_DEADLINE_S):
                raise LiquidError(f'the node offers no service {name}: '
                                  f'{self._process.last_words()}')
            future = client.call_async(request)
            if not self.wait(future.done, START_DEADLINE_S):
                raise LiquidError(f'the node does not answer {name}: '
                                  f'{self._process.last_words()}')
            return future.result()
        finally:
            self._node.destroy_client(client)
