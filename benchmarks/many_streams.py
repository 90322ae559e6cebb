# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Time one message on each of many streams at once, from one stream to a hundred thousand.

step: the smoother's own, states and rows side by side. bank: a StreamBank.update, which is what
the node does with a message: stamps, checks, states by name. Microseconds, medians; steps a second
of the step; the last line is JSON. On CUDA the times include the way there and back, and launch is
the step without laying the messages out in pinned memory.
"""

import argparse
import json
import time

import numpy as np

from liquid_ros.backend import NumpyBackend, TorchBackend
from liquid_ros.checkpoint import build
from liquid_ros.fused import Fused
from liquid_ros.fused_cuda import OnCuda
from liquid_ros.manifold import unit_row
from liquid_ros.packing import Layout
from liquid_ros.streams import StreamBank

PERIOD_NS = 10_000_000
MOST_BANK = 100_000  # beyond it Python takes seconds


def messages(rng, count, width):
    """Return rows (count, width) around the origin."""
    rows = np.repeat(unit_row(width), count, 0)
    rows[:, :3] += 0.01 * rng.standard_normal((count, 3))
    return rows


def step_us(smoother, backend, count, width, repeats):
    """Return the median time of a step of all streams, and of the launch alone."""
    rng, dt_s = np.random.default_rng(0), np.full((count, 1), PERIOD_NS / 1e9)
    fused = isinstance(smoother, Fused)
    state, _ = smoother.init(backend.asarray(messages(rng, 1 if fused else count, width)))
    if fused:
        packed = smoother.layout(width).pack(state)
        packed = (np.repeat(packed, count, 0) if isinstance(packed, np.ndarray)
                  else packed.repeat(count, 1))
    times, launches = [], []
    for k in range(repeats):
        if count <= MOST_BANK or not k:
            rows = messages(rng, count, width)
        begun = time.perf_counter()
        if fused:
            smoother.step_packed(packed, rows, dt_s)
        else:
            state, estimate = smoother.step(state, backend.asarray(rows), backend.asarray(dt_s))
            backend.to_numpy(estimate.rows)
        times.append(time.perf_counter() - begun)
        if isinstance(smoother, OnCuda):
            begun = time.perf_counter()
            smoother.run(width, count, packed.data_ptr(), False)
            launches.append(time.perf_counter() - begun)
    return tuple(1e6 * float(np.median(found)) if found else None for found in (times, launches))


def bank_us(smoother, backend, count, width, repeats):
    """Return the median time of a bank's update of all streams."""
    rng, bank = np.random.default_rng(0), StreamBank(smoother, width, backend=backend)
    keys, times = list(range(count)), []
    for k in range(repeats + 1):
        rows, stamps = messages(rng, count, width), [(k + 1) * PERIOD_NS] * count
        begun = time.perf_counter()
        bank.update(keys, stamps, rows)
        times.append(time.perf_counter() - begun)
    return 1e6 * float(np.median(times[1:]))


def text(microseconds):
    """Return it with one decimal, where there is one."""
    return '-' if microseconds is None else f'{microseconds:.1f}'


def main():
    """Print a row a number of streams, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--on', default='compiled', choices=('compiled', 'numpy', 'torch', 'cuda'),
                        help='the step in C, in NumPy, in torch on the CPU, on the GPU')
    parser.add_argument('--smoother', default='liquid')
    parser.add_argument('--width', type=int, default=7, choices=(3, 7), help='points or poses')
    parser.add_argument('--streams', type=int, nargs='*',
                        default=[1, 8, 64, 256, 1024, 10_000, 100_000], help='on an H200 to 10**7')
    a = parser.parse_args()
    backend = (TorchBackend('cpu' if a.on == 'torch' else 'cuda') if a.on in ('torch', 'cuda')
               else NumpyBackend())
    if a.on == 'torch':
        import torch
        torch.set_num_threads(1)  # more only wait for each other at this size
    smoother = build(a.smoother, backend=backend)
    if a.on == 'numpy':
        smoother = getattr(smoother, 'plain', smoother)
    table = {}
    print(f'{a.smoother}, {a.on}: {backend.label}\n'
          'streams    step (us)   launch (us)   a stream (us)    steps/s   bank (us)')
    for count in a.streams:
        repeats = max(5, min(300, 300_000 // count))
        step, launch = step_us(smoother, backend, count, a.width, repeats)
        bank = (bank_us(smoother, backend, count, a.width, repeats) if count <= MOST_BANK
                else None)
        table[count] = {'step_us': step, 'launch_us': launch, 'steps_per_s': 1e6 * count / step,
                        'bank_us': bank}
        print(f'{count:8d} {step:11.1f} {text(launch):>13s} {step / count:15.2f} '
              f'{1e6 * count / step:10.0f} {text(bank):>11s}', flush=True)
    state, _ = smoother.init(backend.asarray(unit_row(a.width)))
    size = 8 * Layout.of(state).size
    print(f'{size} bytes a stream')
    print(json.dumps({'on': a.on, 'device': backend.label, 'bytes_per_stream': size,
                      'streams': table}))


if __name__ == '__main__':
    main()
