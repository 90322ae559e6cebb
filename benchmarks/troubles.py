# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Run the untuned smoother through what goes wrong with sensors, one trouble at a time.

A hand's motion, poses of 5 mm and 1 degree of noise an axis, 1,000 messages. Of each trouble,
over several seeds, the geometric mean and the worst of the RMSE of positions and rotations over
that of the best of 550 classic filters tuned with the truth in hand, and over that of the
messages. The last line is JSON.
"""

import argparse
import json

import numpy as np

from liquid_ros.checkpoint import build
from liquid_ros.evaluation import hindsight, metrics
from liquid_ros.manifold import plus, unit_row
from liquid_ros.streams import StreamBank

NOISE_M, NOISE_RAD = 0.005, np.radians(1.0)
COUNT = 1000


def motion(rng, times_s, reach_m=0.5, reach_rad=0.8):
    """Return true poses (N, 7): sums of sines from 0.05 to 0.6 Hz."""
    rate = rng.uniform(0.05, 0.6, (6, 5)) * 2.0 * np.pi
    size = rng.uniform(0.2, 1.0, (6, 5)) / 3.0
    phase = rng.uniform(0.0, 2.0 * np.pi, (6, 5))
    way = (size * np.sin(times_s[:, None, None] * rate + phase)).sum(-1)
    return plus(np.repeat(unit_row(7), len(times_s), 0), way * np.repeat([reach_m, reach_rad], 3))


def noisy(rng, truth, size=1.0):
    """Return poses (N, 7) as a sensor with white noise has them; size: (6,) of the usual one."""
    scale = np.repeat([NOISE_M, NOISE_RAD], 3) * size
    return plus(truth, scale * rng.standard_normal((len(truth), 6)))


def even(rng, rate=30.0):
    """Return stamps in s, truth and messages with nothing wrong."""
    times_s = np.arange(COUNT) / rate
    truth = motion(rng, times_s)
    return times_s, truth, noisy(rng, truth)


def outliers(rng):
    """Put one message in twenty anywhere within a metre and half a turn."""
    times_s, truth, rows = even(rng)
    wrong = rng.random(COUNT) < 0.05
    off = rng.uniform(-1.0, 1.0, (wrong.sum(), 6)) * np.repeat([1.0, 1.8], 3)
    rows[wrong] = plus(truth[wrong], off)
    return times_s, truth, rows


def second_place(rng):
    """Put one message in twenty at one wrong place, 30 cm and a rad away on one axis."""
    times_s, truth, rows = even(rng)
    wrong = rng.random(COUNT) < 0.05
    rows[wrong] = plus(rows[wrong], np.array([0.3, 0.0, 0.0, 0.0, 1.0, 0.0]))
    return times_s, truth, rows


def wrong_depth(rng):
    """Put one message in twenty 10 cm and 20 degrees off, to either side, on one axis."""
    times_s, truth, rows = even(rng)
    wrong = rng.random(COUNT) < 0.05
    off = np.array([0.0, 0.0, 0.1, 0.0, np.radians(20.0), 0.0])
    rows[wrong] = plus(rows[wrong], off * rng.choice([-1.0, 1.0], (wrong.sum(), 1)))
    return times_s, truth, rows


def half_turns(rng):
    """Turn one message in ten by half a turn, as of a body that looks the same from behind."""
    times_s, truth, rows = even(rng)
    wrong = rng.random(COUNT) < 0.1
    rows[wrong] = plus(rows[wrong], np.array([0.0, 0.0, 0.0, 0.0, 0.0, np.pi]))
    return times_s, truth, rows


def shaken(rng):
    """Shake left and right by 10 cm three times a second; all other axes rest."""
    times_s = np.arange(COUNT) / 30.0
    way = np.zeros((COUNT, 6))
    way[:, 0] = 0.1 * np.sin(6.0 * np.pi * times_s + rng.uniform(0.0, 6.0))
    truth = plus(np.repeat(unit_row(7), COUNT, 0), way)
    return times_s, truth, noisy(rng, truth)


def jump(rng):
    """Move what is tracked by 3 m at once; nobody counts the four messages behind that."""
    times_s, truth, rows = even(rng)
    for poses in (truth, rows):
        poses[COUNT // 2:, 0] += 3.0
    return times_s, truth, rows


def zeros_first(rng):
    """Begin with three messages of zeros, 3 m away."""
    times_s, truth, rows = even(rng)
    for poses in (truth, rows):
        poses[:, 0] += 3.0
    rows[:3] = unit_row(7)
    return times_s, truth, rows


def lost(rng, seconds=0.5):
    """Return stamps, truth, messages and where (N,) a sensor sees nothing every three seconds."""
    times_s, truth, rows = even(rng)
    for poses in (truth, rows):
        poses[:, 0] += 3.0
    return times_s, truth, rows, (times_s > 3.0) & (times_s % 3.0 < seconds)


def frozen(rng):
    """Send what was seen last while nothing is seen."""
    times_s, truth, rows, blind = lost(rng)
    seen = np.where(blind, 0, np.arange(COUNT))
    return times_s, truth, rows[np.maximum.accumulate(seen)]


def zeros_while_lost(rng):
    """Send zeros, 3 m away, while nothing is seen."""
    times_s, truth, rows, blind = lost(rng)
    rows[blind] = unit_row(7)
    return times_s, truth, rows


def gaps(rng):
    """Leave out one message in ten, and twice two seconds."""
    times_s, truth, rows = even(rng)
    kept = rng.random(COUNT) > 0.1
    kept[300:360] = kept[600:660] = False
    return times_s[kept], truth[kept], rows[kept]


def bursts(rng):
    """Hand on messages of 50 Hz five at a time, stamped on receipt 0.2 ms apart."""
    times_s, truth, rows = even(rng, 50.0)
    at = np.arange(COUNT)
    return (at // 5 * 5 + 4) / 50.0 + at % 5 * 2e-4, truth, rows


def sent_again(rng):
    """Send the poses of a camera of 10 Hz at 50 Hz."""
    times_s, truth, rows = even(rng, 50.0)
    return times_s, truth, rows[np.arange(COUNT) // 5 * 5]


def planar(rng):
    """Drive a vehicle, whose z, roll and pitch rest and have a thousandth of the noise."""
    times_s = np.arange(COUNT) / 30.0
    flat = np.array([1.0, 1.0, 0.0, 0.0, 0.0, 1.0])
    way = motion(rng, times_s)
    truth = plus(np.repeat(unit_row(7), COUNT, 0), np.concatenate(
        [way[:, :3], 3.0 * way[:, 3:6]], 1) * flat)
    return times_s, truth, noisy(rng, truth, np.maximum(flat, 1e-3))


def grains(rng):
    """Round positions to 1 cm."""
    times_s, truth, rows = even(rng)
    rows[:, :3] = 0.01 * np.round(rows[:, :3] / 0.01)
    return times_s, truth, rows


def belt(rng):
    """Carry a body that rests along at 1 m/s and round at 1 rad/s."""
    times_s = np.arange(COUNT) / 30.0
    way = times_s[:, None] * np.array([0.8, 0.6, 0.0, 0.0, 0.0, 1.0])
    truth = plus(np.repeat(unit_row(7), COUNT, 0), way)
    return times_s, truth, noisy(rng, truth)


def roaming(rng):
    """Move at random, from message to message by ten times the noise."""
    times_s = np.arange(COUNT) / 5.0
    steps = 10.0 * np.repeat([NOISE_M, NOISE_RAD], 3) * rng.standard_normal((COUNT, 6))
    truth = plus(np.repeat(unit_row(7), COUNT, 0), np.cumsum(steps, 0))
    return times_s, truth, noisy(rng, truth)


TROUBLES = {'none': even, 'outliers': outliers, 'a second place': second_place,
            'a wrong depth': wrong_depth, 'half turns': half_turns, 'shaken': shaken,
            'a jump': jump, 'zeros first': zeros_first, 'zeros while lost': zeros_while_lost,
            'frozen': frozen, 'gaps': gaps, 'bursts': bursts,
            'sent again': sent_again, 'a vehicle': planar, 'a belt': belt, 'grains': grains,
            'roaming': roaming}


def smoothed(smoother, times_s, rows):
    """Return the node's answer to each message (N, 7)."""
    bank = StreamBank(smoother, 7)
    stamps = 10**9 + np.round(times_s * 1e9).astype(np.int64)
    return bank.update(['a'] * len(rows), stamps.tolist(), rows).estimate.rows


def main():
    """Run all troubles and print a row of each."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--seeds', type=int, default=6)
    parser.add_argument('--checkpoint', default='')
    args = parser.parse_args()
    smoother, told = build('liquid', args.checkpoint), {}
    print(f'{"":16}position over best, worst  over raw   rotation over best, worst  over raw')
    for name, trouble in TROUBLES.items():
        ratios = []
        for seed in range(args.seeds):
            times_s, truth, rows = trouble(np.random.default_rng(seed))
            judged = metrics.scored(times_s)
            if trouble is jump:
                judged[COUNT // 2:COUNT // 2 + 4] = False  # held off: they may be outliers

            def errors(out, goal=truth, judged=judged):
                return np.array([metrics.rmse(out[judged, :3], goal[judged, :3]),
                                 metrics.rotation_rms_deg(out[judged, 3:], goal[judged, 3:])])
            ours, raw = errors(smoothed(smoother, times_s, rows)), errors(rows)
            best = np.min([errors(hindsight.best_in_hindsight(
                which, times_s, rows, truth)) for which in hindsight.GRIDS], axis=0)
            ratios.append([ours / best, ours / raw])
        mean = np.exp(np.log(ratios).mean(0))
        worst = np.max(ratios, axis=0)[0]
        told[name] = {'position': mean[0, 0], 'position_worst': worst[0],
                      'position_raw': mean[1, 0], 'rotation': mean[0, 1],
                      'rotation_worst': worst[1], 'rotation_raw': mean[1, 1]}
        print(f'{name:16}{mean[0, 0]:18.2f}{worst[0]:7.2f}{mean[1, 0]:10.2f}'
              f'{mean[0, 1]:21.2f}{worst[1]:7.2f}{mean[1, 1]:10.2f}', flush=True)
    print(json.dumps({name: {key: round(float(value), 4) for key, value in row.items()}
                      for name, row in told.items()}))


if __name__ == '__main__':
    main()
