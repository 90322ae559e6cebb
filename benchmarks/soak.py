# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Does the node live for an hour? 10 streams, 1 kHz together, bag loops every minute, memory flat.

Two processes: the node under test, with six inputs, one of them an array of five streams, and
this one, which sends what robots send at 100 Hz a stream: drops, repeats, late and zero stamps,
NaN, and stamps that go back a minute every minute. The node smooths with the shipped weights on
the CPU and publishes one output a message, and paths; predictions, reordering, Path inputs and the
services are not used. It prints a line a minute and exits with 1 where the node dies, its memory
grows by more than 5 MB after the first minute, a message is not accounted for, an output is not
finite, stamps of outputs do not rise within a run, or the outputs did not loop as the inputs did.

    PYTHONPATH=. .venv/bin/python benchmarks/soak.py                # an hour
    PYTHONPATH=. .venv/bin/python benchmarks/soak.py --minutes 5    # 2 or more
"""

import argparse
from collections import deque
import math
import os
from pathlib import Path
import sys
import tempfile
import time
from typing import Any, Deque, Dict, List

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import rclpy
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message

from liquid_ros.ros import process, replay_dds
from liquid_ros.ros.main import make_executor
from liquid_ros.ros.messages import Codec, Head, Smooth
from liquid_ros.ros.wire import WIRES

ARRAY = 5  # streams of the array
RATE_HZ = 100.0  # of each of the ten streams
ROUND_S = 60.0  # length of the bag that loops
WARM_UP_S = 60.0
MOST_GROWTH_MB = 5.0
BATCH_S = 0.01
KINDS = ('pose', 'point', 'pose_with_covariance', 'transform', 'odometry', 'pose_array')
BASE_NS = 1_700_000_000 * 10**9


class Stream:
    """One topic: what is sent, and what came back."""

    def __init__(self, node: Any, name: str, kind: str, seed: int) -> None:
        """Create both ends."""
        self.name, self.codec = name, WIRES[kind]
        self.rng = np.random.default_rng(seed)
        qos = QoSProfile(depth=1000)
        self.publisher = node.create_publisher(self.codec.message, f'/{name}', qos)
        node.create_subscription(self.codec.message, f'/{name}/smoothed', self.take, qos, raw=True)
        self.template = serialize_message(self.codec.message())
        self.streams = ARRAY if kind == 'pose_array' else 1
        self.sent = self.received = 0
        self.loops = self.runs = 0  # how often the stamps of inputs, and of outputs, went back
        self.past: Deque[int] = deque([0], maxlen=3)  # the newest stamps
        self.last_ns = -1
        self.faults: List[str] = []

    def send(self, stamp_ns: int, time_s: float) -> None:
        """Send a message, as often as not a good one."""
        if self.rng.random() < 0.02:
            return
        odd = self.rng.random()
        if odd < 0.01:
            stamp_ns = (0, self.past[0], self.past[-1])[self.sent % 3]  # zero, late, a repeat
        else:
            self.loops += stamp_ns < self.past[-1]
            self.past.append(stamp_ns)
        row = np.array([[math.sin(time_s), math.cos(time_s), 0.1 * time_s, 0.0, 0.0,
                         math.sin(0.1 * time_s), math.cos(0.1 * time_s)]] * self.streams)
        row[:, :3] += self.rng.normal(scale=0.01, size=(self.streams, 3))
        if 0.01 < odd < 0.015:
            row[0, 1 + self.sent % 2] = math.nan
        self.publisher.publish(write(self.codec, self.template, stamp_ns, row))
        self.sent += 1

    def take(self, message: bytes) -> None:
        """Check an output."""
        self.received += 1
        batch = self.codec.read(message)
        if not np.isfinite(batch.rows).all():
            self.faults.append(f'{self.name}: not finite')
        stamp_ns = batch.stamps_ns[0]
        if stamp_ns <= self.last_ns:
            self.runs += 1
            if self.last_ns - stamp_ns < 0.5 * ROUND_S * 1e9:
                self.faults.append(f'{self.name}: a stamp of {stamp_ns} after {self.last_ns}')
        self.last_ns = stamp_ns


def write(codec: Codec, template: bytes, stamp_ns: int, row: np.ndarray) -> bytes:
    """Return the message of a row."""
    ones = np.full((len(row), 6), 1e-4)
    return codec.write(template, Head(stamp_ns, 'map'),
                       Smooth(row[:, :codec.width], ones, ones, ones))


def memory_mb(pid: int) -> float:
    """Return what a process holds: resident, and not shared with files."""
    words = Path(f'/proc/{pid}/statm').read_text().split()
    return (int(words[1]) - int(words[2])) * os.sysconf('SC_PAGE_SIZE') / 1e6


def counts(arrays: List[DiagnosticArray]) -> Dict[str, Dict[str, str]]:
    """Return the newest report of each input by its topic's name."""
    if not arrays:
        return {}
    return {status.name.rsplit('/', 1)[-1]: {pair.key: pair.value for pair in status.values}
            for status in arrays[-1].status if '[' not in status.name}


def arguments(names: Dict[str, str]) -> List[str]:
    """Return the node's command line."""
    given = ['--ros-args', '--log-level', 'error', '-p', 'autostart:=true', '-p', 'device:=cpu',
             '-p', f'inputs:=[{", ".join(names)}]']
    for name, kind in names.items():
        given += ['-p', f'{name}.input_type:={kind}']
        for end in (f'{name}.subscription', f'{name}/smoothed.publisher'):
            given += ['-p', f'qos_overrides./{end}.reliability:=reliable',
                      '-p', f'qos_overrides./{end}.depth:=1000']
    return given


def soak(minutes: float, rate_hz: float, folder: Path) -> List[str]:
    """Run it; print a line a minute; return what went wrong."""
    replay_dds.own_domain()
    rclpy.init()
    node = rclpy.create_node('soak')
    executor = make_executor()
    executor.add_node(node)
    names = {f'input_{i}': kind for i, kind in enumerate(KINDS)}
    streams = [Stream(node, name, kind, i) for i, (name, kind) in enumerate(names.items())]
    arrays: List[DiagnosticArray] = []

    def keep(array: DiagnosticArray) -> None:
        arrays[:] = [array]

    node.create_subscription(DiagnosticArray, '/diagnostics', keep, 10)
    faults: List[str] = []
    command = process.find_node(Path.cwd()) or process.module_command()
    with process.NodeProcess(command, arguments(names), folder / 'node.log') as under_test:
        pid = under_test.pid
        wait(executor, lambda: all(s.publisher.get_subscription_count() and node.count_publishers(
            f'/{s.name}/smoothed') for s in streams) and bool(arrays), 60.0)
        start = at = time.monotonic()
        base_mb, told = 0.0, 0
        period = 1.0 / rate_hz
        step = 0
        while at - start < 60.0 * minutes:
            under_test.check()
            at = time.monotonic()
            while step * period < at - start:
                in_round = (step * period) % ROUND_S
                for stream in streams:
                    stream.send(BASE_NS + int(in_round * 1e9), in_round)
                step += 1
                for _ in range(2 * len(streams)):
                    executor.spin_once(timeout_sec=0.0)
            executor.spin_once(timeout_sec=BATCH_S / 10)
            if not base_mb and at - start > WARM_UP_S:
                base_mb = memory_mb(pid)
            if base_mb and int(at - start) // 60 > told:
                told = int(at - start) // 60
                line(told, streams, counts(arrays), memory_mb(pid), base_mb)
        limit = time.monotonic() + 10.0
        while time.monotonic() < limit and not settled(streams, counts(arrays)):
            executor.spin_once(timeout_sec=0.05)
        growth_mb = memory_mb(pid) - base_mb
        faults += judge(streams, counts(arrays), growth_mb, int((step - 1) * period // ROUND_S))
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()
    return faults


def wait(executor: Any, done: Any, deadline_s: float) -> None:
    """Run callbacks until it is done."""
    limit = time.monotonic() + deadline_s
    while not done():
        if time.monotonic() > limit:
            sys.exit('soak: the node does not come up')
        executor.spin_once(timeout_sec=0.05)


def settled(streams: List[Stream], told: Dict[str, Dict[str, str]]) -> bool:
    """Return whether all that was sent is in the report, and all outputs have come."""
    return all(s.name in told and int(told[s.name]['received']) == s.sent
               and int(told[s.name]['published']) == s.received for s in streams)


def judge(streams: List[Stream], told: Dict[str, Dict[str, str]], growth_mb: float,
          loops: int) -> List[str]:
    """Return every fault found; loops: how often the bag began again."""
    faults = [fault for stream in streams for fault in stream.faults[:3]]
    if growth_mb > MOST_GROWTH_MB:
        faults.append(f'memory grew by {growth_mb:.1f} MB, expected at most {MOST_GROWTH_MB}')
    for stream in streams:
        if not stream.runs == stream.loops == loops > 0:
            faults.append(f'{stream.name}: outputs went back {stream.runs} times, inputs '
                          f'{stream.loops} times, expected {loops} and at least 1')
        mine = told.get(stream.name, {})
        received, accepted, dropped, published = (
            int(mine.get(key, -1)) for key in ('received', 'accepted', 'dropped', 'published'))
        if not received == stream.sent == accepted + dropped or published != stream.received:
            faults.append(f'{stream.name}: sent {stream.sent}, received {received} = {accepted} '
                          f'accepted + {dropped} dropped; published {published}, came '
                          f'{stream.received}')
    return faults


def line(minute: int, streams: List[Stream], told: Dict[str, Dict[str, str]], now_mb: float,
         base_mb: float) -> None:
    """Print a minute's line."""
    sent, came = (sum(getattr(s, what) for s in streams) for what in ('sent', 'received'))
    resets = sum(int(mine['resets']) for mine in told.values())
    dropped = sum(int(mine['dropped']) for mine in told.values())
    steps = sorted(float(mine['step p50 ms']) for mine in told.values())
    print(f'{minute:4d} min  sent {sent}  came {came}  dropped {dropped}  resets {resets}  '
          f'step {steps[len(steps) // 2]:.2f} ms  memory {now_mb:.1f} MB '
          f'({now_mb - base_mb:+.1f})', flush=True)


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[1])
    parser.add_argument('--minutes', type=float, default=60.0)
    parser.add_argument('--rate', type=float, default=RATE_HZ, help='of each stream, Hz')
    args = parser.parse_args()
    if args.minutes < 2.0:
        parser.error(f'got --minutes {args.minutes}, expected 2 or more: a warm-up and a loop')
    with tempfile.TemporaryDirectory() as folder:
        faults = soak(args.minutes, args.rate, Path(folder))
    print('\n'.join(faults) or 'nothing went wrong')
    return bool(faults)


if __name__ == '__main__':
    sys.exit(main())
