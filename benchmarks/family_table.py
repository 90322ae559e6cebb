# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The page docs/family.md: what benchmarks/family.py found, as tables and in words."""

from pathlib import Path

from family_claims import claims, default_cell
from family_motion import AFTER, FASTER, GAPS_S, RATE_HZ
from family_runs import ALONE, BUDGETS
from family_times import MANY
import numpy as np

TEMPLATE = Path(__file__).with_name('family_page.md')
SHIPPED_MESSAGES = 13000 * 96 * 96


def page(found, listed, judged, times, trajectory):
    """Return the page; times: (cell, hidden) -> microseconds; trajectory: milliseconds."""
    training, table = found['training'], Table(judged, times)
    done = {run.name for run, _ in judged}
    missing = [run.name for run in listed if run.name not in done]
    told = (f'\n**{len(done)} of {len(listed)} runs are done.** Missing (cell, units, seed): '
            f'{", ".join(missing)}.\n')
    no_gpu = '' if any('gpu' in t for t in times.values()) else (
        'On a GPU nothing was measured: there was none.\n')
    messages = training['iterations'] * training['batch'] * training['stretch']
    return TEMPLATE.read_text(encoding='utf-8').format(
        **training, seeds=', '.join(map(str, found['seeds'])), share=SHIPPED_MESSAGES / messages,
        missing=told if missing else '', parameters=table.quality(found[BUDGETS[0]]),
        step_time=table.quality(found[BUDGETS[1]]), many=MANY, gpu=no_gpu,
        times=table.times(found), faster=FASTER,
        rate=RATE_HZ, rate_faster=FASTER * RATE_HZ, after=AFTER, truth_jitter=table.truth_jitter(),
        behaviour=table.behaviour(found[BUDGETS[0]]), claims=claims(table, found, trajectory),
        default_cell=default_cell(table, found))


class Table:
    """The figures of all runs, by cell and hidden units."""

    def __init__(self, judged, times):
        """Take [(run, figures)] and the times."""
        self.runs = {}
        for run, figures in judged:
            self.runs.setdefault((run.cell, run.hidden), {})[run.seed] = figures
        self.step = times

    def values(self, key, where, name):
        """Return seed -> one figure."""
        return {seed: figures[where][name] for seed, figures in self.runs.get(key, {}).items()
                if name in figures.get(where, {})}

    def text(self, key, where, name, digits=3):
        """Return mean +- standard deviation over the seeds."""
        values = np.array(list(self.values(key, where, name).values()))
        if not len(values):
            return '-'
        if len(values) == 1 or not np.isfinite(values).all():
            return f'{values.mean():.{digits}f}'
        return f'{values.mean():.{digits}f} +- {values.std(ddof=1):.{digits}f}'

    def quality(self, rows):
        """Return the table of one budget."""
        lines = ['| cell | units | numbers | seeds | simulated: position | rotation '
                 '| acceleration | recordings: position | worst | rotation | acceleration '
                 '| step (us) |',
                 '|---|---|---|---|---|---|---|---|---|---|---|---|']
        for key in rows.items():
            runs = self.runs.get(key)
            if not runs:
                continue
            cells = [f'`{key[0]}`', key[1], next(iter(runs.values()))['parameters'], len(runs)]
            cells += [self.text(key, 'simulated', n) for n in ('position', 'rotation',
                                                              'acceleration')]
            cells += [self.text(key, 'recorded', n) for n in ('rmse', 'worst', 'rot_deg', 'accel')]
            lines.append(f'| {" | ".join(map(str, cells))} | {self.step[key]["one"]:.0f} |')
        return '\n'.join(lines) + '\n'

    def times(self, found):
        """Return the table of times, a cell's largest size first."""
        gpu = any('gpu' in t for t in self.step.values())
        lines = [f'| cell | units | one pose (us) | {MANY} poses (us) | '
                 + f'{MANY} poses, GPU (us) | ' * gpu + 'training (ms an iteration) |',
                 '|---|---|---|---|---|' + '---|' * gpu]
        order = list({**found[BUDGETS[0]], **found[ALONE]})
        for key in sorted(self.runs, key=lambda key: (order.index(key[0]), -key[1])):
            ms = np.median([f['ms_an_iteration'] for f in self.runs[key].values()])
            step = self.step[key]
            lines.append(f'| `{key[0]}` | {key[1]} | {step["one"]:.0f} | {step["many"]:.0f} | '
                         + (f'{step["gpu"]:.0f} | ' if gpu else '') + f'{ms:.0f} |')
        return '\n'.join(lines) + '\n'

    def behaviour(self, rows):
        """Return the table of gaps, rates and jitter."""
        gaps = [f'gap {g:g} s' for g in GAPS_S]
        lines = [f'| cell | {" | ".join(gaps)} | {RATE_HZ:g} Hz | {FASTER * RATE_HZ:g} Hz | '
                 'jitter gone | RMSE | lag (ms) |', '|---|' + '---|' * (len(gaps) + 5)]
        for key in rows.items():
            if key not in self.runs:
                continue
            cells = [self.text(key, 'simulated', f'gap_{g:g}', 2) for g in GAPS_S]
            cells += [self.text(key, 'simulated', n) for n in ('rate', 'rate_faster')]
            jitter = self.jitter(key)
            cells += [f'{jitter["reduction"]:.1%}', f'{jitter["rmse"]:.3f}',
                      f'{1e3 * jitter["lag_s"]:.0f}']
            lines.append(f'| `{key[0]}` | {" | ".join(cells)} |')
        return '\n'.join(lines) + '\n'

    def jitter(self, key):
        """Return the means of a cell's jitter figures."""
        found = list(self.values(key, 'simulated', 'jitter').values())
        return {name: float(np.mean([one[name] for one in found])) for name in found[0]}

    def truth_jitter(self):
        """Return how much jitter the truth itself would take away."""
        return self.jitter(next(iter(self.runs)))['of_truth']
