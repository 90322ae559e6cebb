# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Train every cell with one budget and compare them; python benchmarks/family.py writes the page.

config/family.yaml says what is trained. What is done in --folder is not done again, and a run that
was interrupted goes on, so the command may be stopped and started at will. --iterations asks for
another budget than the committed one (in a folder of its own).
"""

import argparse
from pathlib import Path

from family_runs import fit, runs, settings


def main():
    """Train and judge what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--iterations', type=int, default=0)
    parser.add_argument('--folder', default='runs/family')
    parser.add_argument('--train-only', action='store_true')
    a = parser.parse_args()
    found = settings(a.iterations)
    folder = Path(a.folder) / str(found['training']['iterations'])
    folder.mkdir(parents=True, exist_ok=True)
    for run in runs(found):
        fit(run, found, folder)


if __name__ == '__main__':
    main()
