# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Time the node's start, and weigh it, beside a lifecycle node that does nothing.

Seconds from the start of the process to active, and resident memory one second later. Both
processes configure and activate themselves and say when that is done; rounds are interleaved, a
figure is their median. The last line is JSON.
"""

import argparse
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
from time import sleep, time

import numpy as np

from liquid_ros.ros.process import HOOK_DONE

PROGRAMS = {
    'idle': """
import time
import rclpy
from rclpy.lifecycle import LifecycleNode
rclpy.init()
node = LifecycleNode('idle')
node.trigger_configure()
node.trigger_activate()
print(time.time(), flush=True)
rclpy.spin(node)
""",
    'smoother': """
import sys
import time
from liquid_ros.ros import main
bring_up = main.SmootherNode.bring_up
def told(node):
    done = bring_up(node)
    print(time.time(), flush=True)
    return done
main.SmootherNode.bring_up = told
sys.exit(main.main())
"""}


def memory_mb(pid):
    """Return resident memory, all and that which is the process's own."""
    text = Path(f'/proc/{pid}/smaps_rollup').read_text()
    rss, own = (sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(names))
                for names in (('Rss:',), ('Private_Clean:', 'Private_Dirty:')))
    return rss / 1024.0, own / 1024.0


def start(program, device):
    """Return the seconds to active and the megabytes after it."""
    environment = {k: v for k, v in os.environ.items() if k != HOOK_DONE}
    begun = time()
    process = subprocess.Popen(
        [sys.executable, program, '--ros-args', '-p', 'autostart:=true', '-p',
         f'device:={device}'], env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        active = float(process.stdout.readline())
        sleep(1.0)
        return (active - begun, *memory_mb(process.pid))
    finally:
        process.kill()
        process.wait()


def main():
    """Print the table and, last, the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--device', default='cpu', choices=('cpu', 'cuda'), help='of the smoother')
    a = parser.parse_args()
    found = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(a.rounds + 1):
            for name, text in PROGRAMS.items():
                program = Path(folder) / f'{name}.py'
                program.write_text(text)
                taken = start(str(program), a.device)
                if round_:  # the first one fills the disk's cache
                    found[name].append(taken)
    figures = {}
    print('           to active (s)   resident (MB)   its own (MB)')
    for name, rows in found.items():
        figures[name] = dict(zip(('active_s', 'rss_mb', 'own_mb'), np.median(rows, 0).tolist()))
        print(f'{name:10s} {figures[name]["active_s"]:13.2f} {figures[name]["rss_mb"]:15.1f} '
              f'{figures[name]["own_mb"]:14.1f}')
    figures['active_ratio'] = figures['smoother']['active_s'] / figures['idle']['active_s']
    figures['rss_more_mb'] = figures['smoother']['rss_mb'] - figures['idle']['rss_mb']
    print(f'{figures["active_ratio"]:.2f} times as long, {figures["rss_more_mb"]:.1f} MB more')
    print(json.dumps(figures))


if __name__ == '__main__':
    main()
