# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Compare the node with relays that do nothing: latency, CPU time a message, highest rate.

Each subject is a process of its own on the same executor and the same QoS; all of them run all
the time and are asked in turn, in rounds. typed: a relay that publishes the message it takes, a
PoseStamped if --type says nothing else. raw: one that publishes the bytes. A figure is the median
over rounds; the last line is JSON, its ratios are to the typed relay of the same rounds.
"""

import argparse
import json
from operator import attrgetter
import os
from pathlib import Path
import subprocess
import sys
import tempfile
from time import perf_counter, sleep

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from std_msgs.msg import Int64

from liquid_ros.ros.main import make_executor
from liquid_ros.ros.process import HOOK_DONE, module_command
from liquid_ros.ros.wire import WIRES

DEPTH = 100
BEST_EFFORT = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
SUBJECTS = ('typed', 'raw', 'node')
DEADLINE_S = 30.0
STAMP = slice(4, 12)  # sec and nanosec in a serialised message
LOSSLESS = 0.999  # of what was sent
POSITIONS = {'pose': 'pose.position', 'point': 'point', 'transform': 'transform.translation',
             'pose_with_covariance': 'pose.pose.position', 'odometry': 'pose.pose.position'}


def relay(kind, message):
    """Run a relay that does nothing until it is killed; it tells how many it took."""
    rclpy.init()
    node = rclpy.create_node(f'relay_{kind}')
    publisher = node.create_publisher(message, f'/{kind}/smoothed', QoSProfile(depth=DEPTH))
    counts = node.create_publisher(Int64, f'/{kind}/count', QoSProfile(depth=1))
    taken = [0]

    def take(message):
        taken[0] += 1
        publisher.publish(message)

    node.create_subscription(message, f'/{kind}', take, BEST_EFFORT, raw=kind == 'raw')
    node.create_timer(0.5, lambda: counts.publish(Int64(data=taken[0])))
    executor = make_executor()
    executor.add_node(node)
    while rclpy.ok():
        executor.spin_once(timeout_sec=0.5)


class Subject:
    """A process under test, what is sent to it and what comes back."""

    def __init__(self, name, peer, executor, kind):
        """Start the process and match its topics."""
        self.name, self._peer, self._executor, self._kind = name, peer, executor, kind
        self._message = WIRES[kind].message
        command = ([*module_command(), '--ros-args', '-p', 'autostart:=true', '-p',
                    'input_topic:=/node', '-p', f'input_type:={kind}', '-p', 'path_length:=0']
                   if name == 'node'
                   else [sys.executable, __file__, '--relay', name, '--type', kind])
        environment = {k: v for k, v in os.environ.items() if k != HOOK_DONE}
        with tempfile.TemporaryFile() as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        self.publisher = peer.create_publisher(
            self._message, f'/{name}', QoSProfile(depth=DEPTH))
        self.counted, self.arrived = 0, {}
        self._sink = None
        if name == 'node':
            peer.create_subscription(DiagnosticArray, '/diagnostics', self._diagnosed, 10)
        else:
            peer.create_subscription(Int64, f'/{name}/count', self._told, 10)
        self.until(self.publisher.get_subscription_count, 'its subscription')

    def _told(self, message):
        self.counted = message.data

    def _diagnosed(self, message):
        for status in message.status:
            for value in status.values:
                if value.key == 'received':
                    self.counted = int(value.value)

    def until(self, done, what):
        """Spin until something is so."""
        end = perf_counter() + DEADLINE_S
        while not done():
            if perf_counter() > end or self.process.poll() is not None:
                raise SystemExit(f'node_latency: {self.name}: waited in vain for {what}')
            self._executor.spin_once(timeout_sec=0.1)

    def listen(self):
        """Take what it publishes."""
        self._sink = self._peer.create_subscription(
            self._message, f'/{self.name}/smoothed', self._received, QoSProfile(depth=DEPTH),
            raw=True)
        self.until(lambda: self._peer.count_publishers(f'/{self.name}/smoothed')
                   and self._matched(), 'its output')

    def _matched(self):
        self.publisher.publish(self.message_at(self._peer.get_clock().now().nanoseconds))
        self._executor.spin_once(timeout_sec=0.05)
        return self.arrived

    def deafen(self):
        """Take nothing any more."""
        self._peer.destroy_subscription(self._sink)
        self._sink = None

    def _received(self, raw):
        self.arrived[bytes(raw[STAMP])] = perf_counter()

    def message_at(self, stamp_ns):
        """Return the bytes of a pose somewhere near, of a stated covariance where it has one."""
        message = self._message()
        message.header.frame_id = 'map'
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
        p = attrgetter(POSITIONS[self._kind])(message)
        p.x, p.y, p.z = (0.01 * np.random.standard_normal(3)).tolist()
        if hasattr(message, 'child_frame_id'):
            message.child_frame_id = 'base_link'
        if hasattr(message, 'pose') and hasattr(message.pose, 'covariance'):
            message.pose.covariance = 1e-4 * np.eye(6).ravel()
        return serialize_message(message)

    def cpu_s(self):
        """Return the CPU time of all its threads."""
        tasks = Path(f'/proc/{self.process.pid}/task').glob('*/schedstat')
        return sum(int(path.read_text().split()[0]) for path in tasks) / 1e9


def send(subject, executor, rate_hz, count):
    """Publish so many at a rate, spinning between; return when each left, by its stamp."""
    now_ns = rclpy.clock.Clock().now().nanoseconds
    messages = [subject.message_at(now_ns + round(i * 1e9 / rate_hz)) for i in range(count)]
    left = {}
    began = perf_counter()
    for i, message in enumerate(messages):
        due = began + i / rate_hz
        while (ahead := due - perf_counter()) > 0.0:
            executor.spin_once(timeout_sec=ahead if ahead > 2e-4 else 0.0)
        left[bytes(message[STAMP])] = perf_counter()
        subject.publisher.publish(message)
    return left, perf_counter() - began


def latency_round(subject, executor, rate_hz, seconds):
    """Return p50 and p99 in us, CPU time a message in us and how many were lost."""
    subject.listen()
    subject.arrived.clear()
    cpu_s = subject.cpu_s()
    left, _ = send(subject, executor, rate_hz, round(rate_hz * seconds))
    end = perf_counter() + 0.3
    while perf_counter() < end:
        executor.spin_once(timeout_sec=0.05)
    cpu_s = subject.cpu_s() - cpu_s
    took_us = np.array([1e6 * (subject.arrived[key] - at) for key, at in left.items()
                        if key in subject.arrived])
    subject.deafen()
    return {'p50_us': float(np.percentile(took_us, 50)), 'p99_us': float(
        np.percentile(took_us, 99)), 'cpu_us': 1e6 * cpu_s / len(left),
        'lost': len(left) - len(took_us)}


def highest_rate(subject, executor, seconds):
    """Return the highest rate, in steps of 12 %, that it takes for so long without loss."""
    best, rate_hz = 0.0, 1500.0
    while rate_hz < 40000.0:
        subject.until(lambda: settled(subject, executor), 'its counts')
        before = subject.counted
        left, took_s = send(subject, executor, rate_hz, round(rate_hz * seconds))
        subject.until(lambda: settled(subject, executor), 'its counts')
        taken = subject.counted - before
        if len(left) / took_s < 0.97 * rate_hz:  # this side cannot send faster
            return best, True
        if taken < LOSSLESS * len(left):
            return best, False
        best, rate_hz = rate_hz, 1.12 * rate_hz
    return best, True


def settled(subject, executor):
    """Return whether its count stands still for a while."""
    before, end = subject.counted, perf_counter() + 1.3
    while perf_counter() < end:
        executor.spin_once(timeout_sec=0.1)
    return subject.counted == before


def main():
    """Print the table and, last, the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--relay', choices=('typed', 'raw'), help=argparse.SUPPRESS)
    parser.add_argument('--type', choices=sorted(POSITIONS), default='pose')
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--seconds', type=float, default=3.0)
    parser.add_argument('--rates', type=float, nargs='*', default=[100.0, 1000.0])
    parser.add_argument('--no-saturation', action='store_true')
    args = parser.parse_args()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 99))
    if args.relay:
        return relay(args.relay, WIRES[args.type].message)
    rclpy.init()
    peer = rclpy.create_node('bench')
    executor = make_executor()
    executor.add_node(peer)
    subjects, found = [], {}
    try:
        for name in SUBJECTS:
            subjects.append(Subject(name, peer, executor, args.type))
        sleep(1.0)
        for rate_hz in args.rates:
            rounds = {name: [] for name in SUBJECTS}
            for turn in range(args.rounds):
                for subject in subjects[turn % 3:] + subjects[:turn % 3]:
                    rounds[subject.name].append(
                        latency_round(subject, executor, rate_hz, args.seconds))
            found[f'{rate_hz:g}_hz'] = {name: {
                key: float(np.median([one[key] for one in all_of]))
                if key != 'lost' else sum(one[key] for one in all_of)
                for key in all_of[0]} for name, all_of in rounds.items()}
        if not args.no_saturation:
            found['saturation_hz'] = {}
            for subject in subjects:
                rate_hz, by_sender = highest_rate(subject, executor, 1.0)
                found['saturation_hz'][subject.name] = rate_hz
                if by_sender:
                    found['saturation_hz'][subject.name + '_limited_by_sender'] = True
    finally:
        for subject in subjects:
            subject.process.kill()
    report(found)
    return 0


def report(found):
    """Print a table, then the figures and their ratios as JSON."""
    ratios = {}
    for part, by_name in found.items():
        if part == 'saturation_hz':
            print('highest rate without loss:', ', '.join(
                f'{name} {value:.0f} Hz' for name, value in by_name.items() if value is not True))
            ratios[part] = {name: by_name[name] / by_name['typed'] for name in SUBJECTS}
            continue
        print(f'{part:>8}  p50 (us)  p99 (us)  CPU a message (us)  lost')
        for name, one in by_name.items():
            print(f'{name:>8}  {one["p50_us"]:8.0f}  {one["p99_us"]:8.0f}  {one["cpu_us"]:18.1f}'
                  f'  {one["lost"]:4d}')
        ratios[part] = {name: {key: by_name[name][key] / by_name['typed'][key]
                               for key in ('p50_us', 'p99_us', 'cpu_us')} for name in SUBJECTS}
    print(json.dumps({'figures': found, 'over_typed': ratios}))


if __name__ == '__main__':
    sys.exit(main())
