# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What benchmarks/family.py says of the original figures and of the default cell, from numbers."""

from family_runs import ALONE, BUDGETS
from family_times import TRAJECTORY
import numpy as np

CLAIMED_MS = 4.0
# Student's t: so many standard errors are sure (95 %, two-sided), by the number of seeds
SURE = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57}


def difference(table, key, other, where, name):
    """Return by how much of a logarithm key is above other, its standard error, and the seeds."""
    ours, theirs = (table.values(k, where, name) for k in (key, other))
    both = sorted(set(ours) & set(theirs))
    d = np.array([np.log(ours[s] / theirs[s]) for s in both])
    if not len(d):
        return None
    error = d.std(ddof=1) / np.sqrt(len(d)) if len(d) > 1 else np.inf
    return float(d.mean()), float(error), len(d)


def percent(found):
    """Return a difference of logarithms in words."""
    if found is None:
        return 'not measured'
    mean, error, count = found
    noise = f'+- {100 * error:.1f}, {count} seeds' if np.isfinite(error) else 'one seed'
    return f'{100 * np.expm1(mean):+.1f} % ({noise})'


def verdict(found):
    """Return -1 where it is surely lower, 1 where it is surely higher, 0 where that is open."""
    if found is None or not np.isfinite(found[1]):
        return 0
    if abs(found[0]) <= SURE.get(found[2], min(SURE.values())) * found[1]:
        return 0
    return 1 if found[0] > 0.0 else -1


def claims(table, found, trajectory):
    """Return the table of claims, and whether they hold."""
    rows = found[BUDGETS[0]]
    keys = {cell: (cell, hidden) for cell, hidden in rows.items() if (cell, hidden) in table.runs}
    best = max(keys, key=lambda cell: table.jitter(keys[cell])['reduction'])
    jitter = table.jitter(keys[best])
    recorded = list(table.values(keys[best], 'recorded', 'jitter').values())
    real = f'; on recordings {np.mean(recorded):.1%} (median)' if recorded else ''
    lines = ['| claimed | measured | holds |', '|---|---|---|']
    lines.append(
        f'| 99 % jitter reduction | at most {jitter["reduction"]:.1%} (`{best}`), with '
        f'{jitter["rmse"]:.2f} of the RMSE and {1e3 * jitter["lag_s"]:.0f} ms of lag{real}; the '
        f'truth itself {jitter["of_truth"]:.1%}; a constant 100 % | '
        f'{"yes" if jitter["reduction"] >= 0.985 else "no"}, and it would be smoother than the '
        'truth |' if jitter['of_truth'] < 0.985 else
        f'| 99 % jitter reduction | at most {jitter["reduction"]:.1%} (`{best}`) | '
        f'{"yes" if jitter["reduction"] >= 0.985 else "no"} |')
    times = ', '.join(f'{ms:.1f} ms {name}' for name, ms in trajectory.items())
    reach = ', '.join(f'{CLAIMED_MS / ms * TRAJECTORY:.0f} messages {name}'
                      for name, ms in trajectory.items())
    lines.append(f'| {CLAIMED_MS:g} ms a trajectory | the shipped smoother, one pose, '
                 f'{TRAJECTORY} messages: {times} | for trajectories up to {reach} |')
    large = next(iter(found[ALONE].items()))
    apart = difference(table, keys.get('liquid'), large, 'simulated', 'position')
    equal = difference(table, keys.get('liquid'), keys.get('transformer'), 'simulated', 'position')
    numbers = [next(iter(table.runs[k].values()))['parameters'] if k in table.runs else None
               for k in (keys.get('liquid'), large)]
    size = f'{numbers[1] / numbers[0]:.1f} times the numbers' if all(numbers) else 'not trained'
    held = 'open' if apart is None or apart[2] < 2 else {
        -1: 'yes', 0: 'not refuted: no difference that the seeds can tell',
        1: 'no'}[verdict(apart)]
    lines.append(f"| a tenth of a Transformer's size | position of `liquid` over that of the "
                 f'Transformer of this page with {size}: {percent(apart)}; of the same size: '
                 f'{percent(equal)} | {held}, for this Transformer and this budget |')
    for cell in ('ncp', 'ncp_cfc'):
        gain = difference(table, keys.get(cell), keys.get('liquid'), 'simulated', 'position')
        real = difference(table, keys.get(cell), keys.get('liquid'), 'recorded', 'rmse')
        held = 'open' if gain is None or gain[2] < 2 else {
            -1: 'there is a gain', 0: 'no difference that the seeds can tell',
            1: 'no: it is worse'}[verdict(gain)]
        lines.append(f'| "maybe 0.5-1 %" to gain from NCPs | position of `{cell}` over that of '
                     f'`liquid`, simulated {percent(gain)}, recordings {percent(real)} | {held} |')
    return '\n'.join(lines) + '\n'


def default_cell(table, found):
    """Return each cell's difference from the default, seed by seed, and what follows."""
    lines = ['| cell | budget | simulated: position | acceleration | recordings: position '
             '| rotation | acceleration |', '|---|---|---|---|---|---|---|']
    better = []
    for budget in BUDGETS:
        liquid = 'liquid', found[budget]['liquid']
        for key in found[budget].items():
            if key[0] == 'liquid' or key not in table.runs or liquid not in table.runs:
                continue
            if budget != BUDGETS[0] and key[1] == found[BUDGETS[0]][key[0]]:
                continue  # the same runs
            d = {name: difference(table, key, liquid, *name) for name in (
                ('simulated', 'position'), ('simulated', 'acceleration'), ('recorded', 'rmse'),
                ('recorded', 'rot_deg'), ('recorded', 'accel'))}
            lines.append(f'| `{key[0]}` | {budget} | {" | ".join(map(percent, d.values()))} |')
            if verdict(d['simulated', 'position']) < 0:
                better.append((key[0], percent(d['simulated', 'position']),
                               percent(d['recorded', 'rmse'])))
    if better:
        lines.append("\nBetter than `liquid` in position on simulated motion at 95 % (Student's "
                     't, each cell by itself): ' + '; '.join(
                         f'`{cell}` {simulated}, on recordings {real}'
                         for cell, simulated, real in better) + '.')
    else:
        lines.append('\nNo cell is better than `liquid` in position on simulated motion at 95 % '
                     "(Student's t, each cell by itself): by this table the default stays.")
    return '\n'.join(lines) + '\n'
