# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Time forward and backward of a sequence through the cell, beside the cells one could take instead.

Rows: the whole sequence in closed form, the same cell step by step under autograd, and, where
they are installed, torch.nn.GRU and the LTC and CfC of ncps, all of the same width; on CUDA also
the closed form without its kernels (loops) and as a captured graph (captured). Milliseconds,
the median of interleaved rounds on one thread after one to warm up, on CUDA two; then the largest
difference of a gradient from that of the steps in float64, over that gradient's norm. The last
line is JSON. LTC at B 64, T 1000 is left out: its graph takes tens of gigabytes.
"""

import argparse
import json
import time
from unittest import mock

import numpy as np
import torch

from liquid_ros.smoothers import cell, cell_sequence
from liquid_ros.smoothers.cell_sequence import sequence
from liquid_ros.training.captured import record

INPUTS = 8
MOST_LTC = 10_000  # rows of a sequence
SHAPES = [(hidden, batch, steps) for hidden in (32, 64) for batch in (1, 64)
          for steps in (100, 1000)]


def by_steps(x, h, weight_in, weight_rec, alpha, dt):
    """Return the states (T, B, H), a plain step at a time."""
    states = []
    for k in range(len(x)):
        h = cell.exponential(x[k], h, weight_in, weight_rec, alpha, dt[k])
        states.append(h)
    return torch.stack(states)


def problem(hidden, batch, steps, device):
    """Return x, h, W, U, alpha, dt; the weights ask for a gradient."""
    x = torch.randn(steps, batch, INPUTS, device=device)
    weights = (torch.randn(hidden, INPUTS) / INPUTS**0.5,
               torch.randn(hidden, hidden) / hidden**0.5, torch.logspace(-1.0, 1.5, hidden))
    weight_in, weight_rec, alpha = (w.to(device).requires_grad_() for w in weights)
    dt = 0.02 * torch.exp(0.3 * torch.randn(steps, batch, 1, device=device))
    return x, torch.zeros(batch, hidden, device=device), weight_in, weight_rec, alpha, dt


def both_ways(states, weights):
    """Return what runs forward and backward."""
    return lambda: torch.autograd.grad(states().square().mean(), weights, allow_unused=True)


def without_kernels(run):
    """Return the same with the closed form's loops."""
    def loops():
        with mock.patch.object(cell_sequence, 'recurrences', lambda *given: None):
            return run()
    return loops


def captured(run):
    """Return the same as one CUDA graph."""
    graph, answer = record(run)
    return lambda: graph.replay() or answer


def runs(hidden, batch, steps, device):
    """Return name -> what runs forward and backward, and the problem."""
    values = problem(hidden, batch, steps, device)
    gru = torch.nn.GRU(INPUTS, hidden).to(device)
    closed = both_ways(lambda: sequence(*values), values[2:5])
    found = {'closed form': closed,
             'autograd': both_ways(lambda: by_steps(*values), values[2:5]),
             'GRU': both_ways(lambda: gru(values[0])[0], list(gru.parameters()))}
    if device == 'cuda':
        found.update({'loops': without_kernels(closed), 'captured': captured(closed)})
    try:
        from ncps.torch import CfC, LTC
    except ImportError:
        print('without LTC and CfC: ncps is not installed')
        return found, values
    for name, kind in (('LTC', LTC), ('CfC', CfC)):
        if kind is LTC and batch * steps > MOST_LTC:
            continue
        other = kind(INPUTS, hidden, batch_first=False).to(device)
        found[name] = both_ways((lambda other=other: other(values[0])[0]),
                                [p for p in other.parameters() if p.requires_grad])
    return found, values


def time_ms(run, device):
    """Return the milliseconds of one run."""
    if device == 'cuda':
        torch.cuda.synchronize()
    begun = time.perf_counter()
    run()
    if device == 'cuda':
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - begun)


def difference(values):
    """Return the largest error of a gradient over its norm."""
    wide = [v.detach().double().requires_grad_(v.requires_grad) for v in values]
    ours, theirs = (torch.autograd.grad(f(*v).square().mean(), v[2:5])
                    for f, v in ((sequence, values), (by_steps, wide)))
    return max(float((a.double() - b).norm() / b.norm()) for a, b in zip(ours, theirs))


def shape(text):
    """Return (H, B, T) of HxBxT."""
    hidden, batch, steps = map(int, text.split('x'))
    return hidden, batch, steps


def main():
    """Print a row a shape, the ratios, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--device', default='cpu', choices=('cpu', 'cuda'))
    parser.add_argument('--shapes', type=shape, nargs='+', default=SHAPES, metavar='HxBxT')
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    table = {}
    warm = 2 if a.device == 'cuda' else 1
    if a.device == 'cuda':
        print(torch.cuda.get_device_name(), 'torch', torch.__version__)
    for hidden, batch, steps in a.shapes:
        found, values = runs(hidden, batch, steps, a.device)
        if a.device == 'cuda' and not cell_sequence.recurrences('tanh', values[1]):
            print('no kernels: closed form is loops')
        times = {name: [] for name in found}
        for round_ in range(a.rounds + warm - 1):
            for name, run in found.items():
                slow = name in ('LTC', 'CfC') and steps >= 1000
                if slow and round_ > 1:  # they take seconds
                    continue
                times[name].append(time_ms(run, a.device))
        row = {name: float(np.median(t[warm:] or t[-1:])) for name, t in times.items()}
        table[f'H{hidden} B{batch} T{steps}'] = row
        row['gradient_error'] = difference(values)
        print(f'H {hidden:2d}  B {batch:2d}  T {steps:4d}  ' + '  '.join(
            f'{name} {ms:.1f}' if ms >= 10.0 else f'{name} {ms:.2f}'
            for name, ms in row.items() if name in times)
            + f'  gradient {row["gradient_error"]:.1e}', flush=True)
    for name in ('loops', 'autograd', 'LTC', 'CfC', 'GRU', 'captured'):
        over = [row[name] / row['closed form'] for row in table.values() if name in row]
        if over:
            print(f'{name} over closed form: {min(over):.2f} to {max(over):.2f}')
    print(json.dumps(table))


if __name__ == '__main__':
    main()
