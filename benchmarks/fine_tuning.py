# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What fitting to a sensor's own recording is worth: its first half learned from, its second scored.

    PYTHONPATH=. python benchmarks/fine_tuning.py FILE.npz [FILE.npz ...] [--set NAME=VALUE ...]

A FILE.npz holds t (N,) s, z (N, 3 | 7) measured and gt alike. gt is not used but to score, unless
with --truth. Printed are position RMSE of the second half over that of the weights of the package:
of what the command writes (1 where it refuses), and of what it would write with --force.
--made-up N makes N sensors instead, each of a motion and a noise that stay what they are.
--tutorial FOLDER writes the two bags of docs/fine_tuning.md, and no more.
"""

import argparse
import json
from pathlib import Path
import subprocess
import sys
import tempfile
import time
from typing import Any, List, Sequence

import numpy as np

from liquid_ros.checkpoint import build
from liquid_ros.evaluation import scenario
from liquid_ros.manifold import plus
from liquid_ros.training.motions import Clock, MOTIONS
from liquid_ros.training.sensors import first_order
from liquid_ros.training.tracks import follow, Track


def write(path: Path, t_s: np.ndarray, rows: np.ndarray) -> None:
    """Write rows (N, 3 | 7) as CSV."""
    names = ['t', 'x', 'y', 'z', 'qx', 'qy', 'qz', 'qw'][:1 + rows.shape[1]]
    lines = [','.join(names)] + [','.join([f'{t:.9f}', *map(repr, row)])
                                 for t, row in zip(t_s.tolist(), rows.tolist())]
    path.write_text('\n'.join(lines) + '\n', encoding='utf-8')


def made_up(folder: Path, count: int) -> List[str]:
    """Write files of 2000 messages of simulated sensors; return their paths."""
    rng = np.random.default_rng(2026)
    motions = ('singer', 'harmonic', 'turns', 'white_acceleration', 'wander')
    noises = {'white': 0.0, 'ar50': 0.5, 'ar80': 0.8, 'ar95': 0.95, 'heavy': 0.0, 'outliers': 0.0,
              'drops': 0.0}
    paths: List[str] = []
    while len(paths) < count:
        motion, noise = motions[len(paths) % 5], list(noises)[len(paths) % 7]
        steps, dt0 = 2000, 1.0 / 30.0
        dt = dt0 * np.exp(0.1 * rng.standard_normal((1, steps)))
        if noise == 'drops':
            dt = np.where(rng.random((1, steps)) < 0.1,
                          dt * np.floor(rng.uniform(2.0, 15.0, (1, steps))), dt)
        clock = Clock(dt, np.cumsum(dt, 1) - dt[:, :1], np.full((1, 1), dt0), 3)
        truth = MOTIONS[motion](rng, clock)
        if not 0.01 < np.abs(np.diff(truth, axis=1)).mean() < 30.0:
            continue  # rests, or moves so fast that there is nothing to smooth
        error = first_order(rng, rng.standard_normal(truth.shape),
                            np.full((1, 1, 1), noises[noise]))
        if noise == 'heavy':
            error = error / np.sqrt(rng.chisquare(3.0, (1, steps, 1)) / 3.0)
        if noise in ('outliers', 'drops'):
            far = rng.uniform(5.0, 60.0)
            error = np.where(rng.random((1, steps, 1)) < 0.05, far * error, error)
        paths.append(str(folder / f'{len(paths):02d}_{motion}_{noise}.npz'))
        np.savez(paths[-1], t=clock.t_s[0], z=(truth + error)[0], gt=truth[0])
    return paths


def tutorial(folder: Path) -> None:
    """Write bags of a tag seen from afar: 15 Hz, 4 cm, every sixteenth message grossly wrong."""
    for name, seed in (('recorded', 1), ('another_day', 2)):
        rng = np.random.default_rng(seed)
        times_s = np.cumsum(np.exp(0.1 * rng.standard_normal(1500)) / 15.0)
        truth = scenario.motion(times_s + 100.0 * seed)
        noise = rng.standard_normal((1500, 6)) * np.repeat([0.04, 0.03], 3)
        noise = np.where(rng.random((1500, 1)) < 1.0 / 16.0, 9.0 * noise, noise)
        stamps_ns = scenario.EPOCH_NS + np.round(1e9 * times_s).astype(np.int64)
        scenario.write(folder / name, scenario.Scenario(
            name, 'pose', stamps_ns.tolist(), plus(truth, noise), truth, (0, 1, 2)))


def rmse(weights: str, data: Any, half: int, axes: Sequence[int]) -> float:
    """Return the position RMSE of the second half, the first one seen before."""
    stamps_ns = np.round(1e9 * data['t'].astype(float)).astype(np.int64)
    kept = np.append(True, np.diff(stamps_ns) > 0)
    track = Track('', stamps_ns[kept], data['z'].astype(float)[kept])
    error = follow(build('liquid', weights), track).rows - data['gt'].astype(float)[kept]
    later = np.flatnonzero(kept) >= half
    return float(np.sqrt(np.mean(np.sum(error[later][:, list(axes)]**2, axis=1))))


def tuned(folder: Path, settings: Sequence[str], *more: str) -> 'subprocess.CompletedProcess[str]':
    """Run the command on the first half."""
    return subprocess.run(
        [sys.executable, '-m', 'liquid_ros', 'train', '--bag', str(folder / 'half.csv'), '-o',
         str(folder / 'own.safetensors'), *more, '--set', *settings],
        capture_output=True, text=True)


def main() -> None:
    """Print a row a recording and the geometric means."""
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('files', nargs='*')
    p.add_argument('--made-up', type=int, default=0, metavar='N')
    p.add_argument('--tutorial', metavar='FOLDER')
    p.add_argument('--truth', action='store_true', help='learn from gt of the first half, too')
    p.add_argument('--set', nargs='*', default=[], metavar='NAME=VALUE')
    a = p.parse_args()
    if a.tutorial:
        return tutorial(Path(a.tutorial))
    with tempfile.TemporaryDirectory() as made:
        files = [*a.files, *made_up(Path(made), a.made_up)]
        score(files, a.set, a.truth)


def score(files: Sequence[str], settings: Sequence[str], truth: bool) -> None:
    """Print a row a recording and the geometric means."""
    written: List[float] = []
    forced: List[float] = []
    print(f'{"recording":40} {"written":>8} {"forced":>8} {"s":>5}  what the command said')
    for name in files:
        data = np.load(name)
        meta = json.loads(str(data['meta'])) if 'meta' in data.files else {}
        axes = meta.get('good_axes') or [0, 1, 2]
        half = len(data['t']) // 2
        with tempfile.TemporaryDirectory() as text:
            folder, begun = Path(text), time.monotonic()
            write(folder / 'half.csv', data['t'][:half].astype(float),
                  data['z'][:half].astype(float))
            known = ['--truth', str(folder / 'gt.csv')] if truth else []
            if truth:
                write(folder / 'gt.csv', data['t'][:half].astype(float),
                      data['gt'][:half].astype(float))
            done = tuned(folder, settings, *known)
            spent = time.monotonic() - begun
            said = done.stdout.splitlines() or done.stderr.strip().splitlines()[-1:]
            if done.returncode == 3:  # nothing is learned anew: it ended where it is
                tuned(folder, settings, *known, '--resume', '--force')
            own = folder / 'own.safetensors'
            before = rmse('', data, half, axes)
            ratio = rmse(str(own), data, half, axes) / before if own.exists() else 1.0
        forced.append(ratio)
        written.append(ratio if done.returncode == 0 else 1.0)
        print(f'{Path(name).stem:40} {written[-1]:8.4f} {ratio:8.4f} {spent:5.0f}  '
              f'{"written" if done.returncode == 0 else "refused"}: {said[0] if said else ""}',
              flush=True)
    real = [f for f in files if Path(f).stem.startswith('real_')]
    for title, of in (('all', files), ('real_*', real)):
        at = [files.index(f) for f in of]
        if at:
            print(f'{title}: geometric mean {np.exp(np.mean(np.log(np.array(written)[at]))):.4f}, '
                  f'worst {max(np.array(written)[at]):.4f}; forced '
                  f'{np.exp(np.mean(np.log(np.array(forced)[at]))):.4f}, worst '
                  f'{max(np.array(forced)[at]):.4f}')


if __name__ == '__main__':
    main()
