# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Train every cell with one budget and compare them; python benchmarks/family.py writes the page.

config/family.yaml says what is trained. What is done in --folder is not done again, and a run that
was interrupted goes on, so the command may be stopped and started at will. --iterations asks for
another budget than the committed one (in a folder of its own), --config for other settings
altogether. --as-is trains nothing and writes
the page of the runs that are there, which says what is missing.
"""

import argparse
import json
from pathlib import Path
import sys

import family_motion
import family_recordings
from family_runs import CONFIG, fit, runs, settings
from family_table import page
from family_times import times, trajectory

from liquid_ros.backend import NumpyBackend
from liquid_ros.checkpoint import load

PAGE = Path(__file__).resolve().parents[1] / 'docs' / 'family.md'


def cached(path, make):
    """Return what a JSON file holds, made and written first where it is not there."""
    if not path.exists():
        path.write_text(json.dumps(make()))
    return json.loads(path.read_text())


def judge(done, folder):
    """Return each finished run's figures, those of its training among them."""
    score = family_recordings.scorer()
    if score is None:
        print('../shared is not there: no recordings', file=sys.stderr)
    recordings = family_recordings.recordings(score) if score else []
    best = cached(folder / 'baselines.json',
                  lambda: family_recordings.baselines(score, recordings)) if score else {}
    found = []
    for run in done:
        def figures(run=run):
            smoother = load('liquid', str(folder / f'{run.name}.safetensors'), NumpyBackend())
            print(f'judging {run.name}', file=sys.stderr, flush=True)
            return {'simulated': family_motion.judged(smoother), 'recorded':
                    family_recordings.judged(score, smoother, recordings, best) if score else {}}
        found.append((run, {**json.loads((folder / f'{run.name}.json').read_text()),
                            **cached(folder / f'{run.name}.judged.json', figures)}))
    return found


def main():
    """Train and judge what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--config', default=str(CONFIG))
    parser.add_argument('--iterations', type=int, default=0)
    parser.add_argument('--folder', default='runs/family')
    parser.add_argument('--as-is', action='store_true')
    parser.add_argument('-o', '--output', default=str(PAGE))
    a = parser.parse_args()
    found = settings(Path(a.config), a.iterations)
    folder = Path(a.folder) / f'{Path(a.config).stem}_{found["training"]["iterations"]}'
    folder.mkdir(parents=True, exist_ok=True)
    listed = runs(found)
    for run in [] if a.as_is else listed:
        fit(run, found, folder)
    done = [run for run in listed if (folder / f'{run.name}.json').exists()]
    judged = judge(done, folder)
    smoothers = {(run.cell, run.hidden): load(
        'liquid', str(folder / f'{run.name}.safetensors'), NumpyBackend()) for run in done}
    Path(a.output).write_text(page(found, listed, judged, times(smoothers), trajectory()),
                              encoding='utf-8')
    print(f'{a.output}: {len(done)} of {len(listed)} runs', file=sys.stderr)


if __name__ == '__main__':
    main()
