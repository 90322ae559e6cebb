# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Compare the estimate in hindsight with a Kalman smoother that was tuned with the truth in hand.

Of each recording (.npz with t, z, gt, as liquid_ros demo --data takes it) the position RMSE of
the package's smoother gone back over (RTS), over that of the best of 60 constant-velocity
Kalman smoothers; then the same of the two filters. The last line is JSON.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from liquid_ros.checkpoint import build
from liquid_ros.evaluation import hindsight, metrics
from liquid_ros.evaluation.scenario import from_npz
from liquid_ros.smoothers.rts import Window
from liquid_ros.streams import StreamBank
from liquid_ros.timing import RESTARTS


def smoothed(smoother, scenario):
    """Return starts (N,), the filter's and the smoother's rows (N, W)."""
    bank = StreamBank(smoother, scenario.rows.shape[1])
    starts, online, windows = [], [], []
    for stamp_ns, row in zip(scenario.stamps_ns, scenario.rows):
        update = bank.update(('a',), (stamp_ns,), row[None])
        if not update.accepted[0]:
            raise SystemExit(f'{scenario.name}: a message was dropped ({update.reasons[0]})')
        starts.append(update.arrivals[0] in RESTARTS)
        online.append(update.estimate.rows[0])
        if starts[-1]:
            windows.append(Window(smoother, len(scenario.rows)))
        windows[-1].add(stamp_ns, bank.peek('a'))
    return (np.array(starts), np.array(online),
            np.concatenate([window.smooth().rows for window in windows]))


def main():
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('folder', type=Path, help='folder of .npz recordings')
    parser.add_argument('--smoother', default='liquid', choices=('liquid', 'kalman',
                                                                 'kalman_gated'))
    args = parser.parse_args()
    smoother = build(args.smoother)
    ratios, online_ratios = {}, {}
    print(f'{"RMSE (m)":38} {"raw":>10} {"filter":>10} {"best":>10} {"ratio":>7} '
          f'{"hindsight":>10} {"best":>10} {"ratio":>7}')
    for path in sorted(args.folder.glob('*.npz')):
        scenario = from_npz(path)
        axes, times = list(scenario.axes), scenario.times_s
        starts, online, offline = smoothed(smoother, scenario)
        judged = metrics.scored(times)
        origin = scenario.truth[0, axes]
        goal = (scenario.truth[:, axes] - origin)[judged]
        track = hindsight.Track(np.where(starts, 0.0, np.diff(times, prepend=times[0])), starts,
                                scenario.rows[:, axes] - origin)

        def error(rows, judged=judged, goal=goal):
            return hindsight.errors(rows[judged], goal)

        def score(swept, error=error):
            return {'error': error(swept.rows)}
        filters = [hindsight.tune(name, track, score, 'error') for name in hindsight.GRIDS]
        best = [min(np.nanmin(tuned.figures['error']) for tuned in filters),
                np.nanmin(hindsight.tune_smoother(track, score, 'error').figures['error'])]
        raw, ours, back = (float(error((rows[:, axes] - origin)[:, :, None])[0]) for rows in (
            scenario.rows, online, offline))
        online_ratios[scenario.name], ratios[scenario.name] = ours / best[0], back / best[1]
        print(f'{scenario.name:38} {raw:10.5g} {ours:10.5g} {best[0]:10.5g} '
              f'{ours / best[0]:7.3f} {back:10.5g} {best[1]:10.5g} {back / best[1]:7.3f}')
    if not ratios:
        raise SystemExit(f'{args.folder}: no .npz recordings')
    print(json.dumps({
        'offline_ratio': float(np.exp(np.mean(np.log(list(ratios.values()))))),
        'offline_worst': max(ratios.values()),
        'rmse_ratio': float(np.exp(np.mean(np.log(list(online_ratios.values()))))),
        'recordings': len(ratios), 'each': ratios}))


if __name__ == '__main__':
    main()
