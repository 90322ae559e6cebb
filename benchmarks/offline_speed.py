# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Measure how fast a recording is smoothed on one core, reading and writing included.

Makes bags of noisy poses, runs the smooth command's function on each and prints poses a second:
one topic, 64 topics, and one PoseArray of 64 places; then evaluate's, which also keeps what is
judged, writes covariances and goes back over it (RTS). The last line is JSON.
"""

import argparse
from contextlib import redirect_stderr
import io
import json
import os
from pathlib import Path
import resource
import sys
import tempfile
import time
from typing import Any, Callable, Dict, List

for threads in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'):
    os.environ.setdefault(threads, '1')

import numpy as np  # noqa: E402

from liquid_ros import cdr  # noqa: E402
from liquid_ros.checkpoint import build  # noqa: E402
from liquid_ros.cli.smooth import smooth  # noqa: E402
from liquid_ros.evaluation import scenario  # noqa: E402
from liquid_ros.evaluation.bag_write import declare, encode, new_bag  # noqa: E402
from liquid_ros.evaluation.collect import collect, Output  # noqa: E402
from liquid_ros.manifold import plus  # noqa: E402

POSE, ARRAY = 'geometry_msgs/msg/PoseStamped', 'geometry_msgs/msg/PoseArray'
STREAMS = 64
PERIOD_NS = 20_000_000


def poses(count: int, streams: int) -> np.ndarray:
    """Return noisy poses (count, streams, 7)."""
    rng = np.random.default_rng(0)
    truth = scenario.motion(np.arange(count) * PERIOD_NS / 1e9)[:, None]
    noise = rng.normal(size=(count, streams, 6)) * np.repeat([0.015, 0.025], 3)
    return plus(np.broadcast_to(truth, (count, streams, 7)), noise)


def write(path: Path, count: int, streams: int, array: bool) -> None:
    """Write count messages on each of the topics, or as many arrays."""
    rows = poses(count, streams)
    with new_bag(path, '.mcap') as writer:
        topics = [declare(writer, f'/pose_{k}', ARRAY if array else POSE)
                  for k in range(1 if array else streams)]
        for k in range(count):
            stamp_ns = scenario.EPOCH_NS + k * PERIOD_NS
            if array:
                out = cdr.Builder()
                out.header(stamp_ns, 'map')
                out.count(streams)
                out.doubles(rows[k])
                writer.write(topics[0], stamp_ns, out.message())
            else:
                for topic, row in zip(topics, rows[k]):
                    writer.write(topic, stamp_ns, encode(stamp_ns, 'map', row))


def measure(work: Callable[[Path, Path], Any], bag: Path, out: Path, count: int, repeats: int
            ) -> float:
    """Return poses a second of processor time, the median of some runs."""
    rates: List[float] = []
    for _ in range(repeats):
        begun = time.process_time()
        with redirect_stderr(io.StringIO()):
            work(bag, out)
        rates.append(count / (time.process_time() - begun))
    return float(np.median(rates))


def main() -> None:
    """Measure and print."""
    p = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    p.add_argument('--smoother', default='liquid')
    p.add_argument('--poses', type=int, default=128_000, help='in all streams together')
    p.add_argument('--repeats', type=int, default=3)
    args = p.parse_args()

    def smoothed(bag: Path, out: Path) -> None:
        smooth(bag, out, smoother=args.smoother, device='cpu')

    def evaluated(bag: Path, out: Path) -> None:
        collect(bag, args.smoother, build(args.smoother), output=Output((str(out),)))

    found: Dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, streams, array in (('one_topic', 1, False), ('topics_64', STREAMS, False),
                                     ('array_64', STREAMS, True)):
            count = args.poses // (8 if streams == 1 else streams)
            bag = Path(folder) / name
            write(bag, count, streams, array)
            for what, work in (('smooth', smoothed), ('evaluate', evaluated)):
                rate = measure(work, bag, Path(folder) / 'out', count * streams, args.repeats)
                found[f'{what}_{name}'] = round(rate)
                print(f'{what:8} {name:10} {rate:8.0f} poses/s', flush=True)
    print(json.dumps({'smoother': args.smoother, 'poses_per_s': found,
                      'peak_rss_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


if __name__ == '__main__':
    sys.exit(main())
