# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Learning curves of liquid_ros train --bag as one figure."""

from pathlib import Path
from typing import Any

from liquid_ros.errors import InputError

MEAN = 10  # iterations


def check(path: Path) -> None:
    """Raise InputError where plot() could not write; the format goes by the path's suffix."""
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise InputError('--plot needs matplotlib: pip install matplotlib') from error
    kinds = FigureCanvasBase.get_supported_filetypes()
    if path.suffix and path.suffix[1:].lower() not in kinds:
        raise InputError(f'{path}: got the suffix {path.suffix!r}, expected one of '
                         f'{", ".join(sorted(kinds))}')


def plot(path: Path, tuner: Any, verdict: Any) -> None:
    """Write a figure: what was learned from, what was held out, where the weights are from."""
    import numpy as np

    from liquid_ros.evaluation.plots import RAW, sheet, SMOOTH, TRUTH
    looks = tuner.looks
    best = max(looks, key=lambda look: look.gain, default=None)
    with sheet(path, figsize=(7.0, 2.6), layout='constrained') as figure:
        left, right = figure.subplots(1, 2)
        at = range(1, len(tuner.curve) + 1)
        by_truth = all('log_rmse' in one for one in tuner.curve)
        costs = np.array([one['log_rmse' if by_truth else 'foreseen'] for one in tuner.curve])
        left.plot(at, costs, '.', ms=4.0, mew=0, color=RAW)
        if len(costs) > MEAN:
            mean = np.convolve(costs, np.full(MEAN, 1.0 / MEAN), 'valid')
            left.plot(np.arange(len(mean)) + 0.5 * (MEAN + 1), mean, color=SMOOTH)
        left.set(xlabel='iteration', title='learned from',
                 ylabel='log of the error' if by_truth else 'nats a message')
        right.axhline(0.0, color=TRUTH, lw=0.7, ls=(0, (4, 2)))
        right.plot([0] + [look.iteration for look in looks],
                   [0.0] + [look.gain for look in looks], '.-', ms=4.0, color=SMOOTH)
        if best is not None and best.gain > 0.0:
            right.axvline(best.iteration, color=SMOOTH, lw=0.5)
        right.set(xlabel='iteration', ylabel='nats a message',
                  title='held out: gain less one standard error')
        figure.suptitle(verdict.words()[0].partition(' (')[0], x=0.01, ha='left', fontsize=8)
