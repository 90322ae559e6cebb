# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Compare the untuned smoother with the Kalman filter that knows q and R.

Constant velocity with white acceleration and white noise: there that filter is the optimum.
A row a decade of the tracking index, rates from 1 to 1000 Hz; then NEES / n over all simulated
motions and sensors. The last line is JSON.
"""

import argparse
import json

import numpy as np

from liquid_ros.checkpoint import build
from liquid_ros.training.motions import chain, Clock, log_uniform, MOTIONS
from liquid_ros.training.sensors import KINDS
from liquid_ros.training.synthetic import simulate

DECADES = ((1e-4, 1e-3), (1e-3, 1e-2), (1e-2, 1e-1), (1e-1, 1.0), (1.0, 3.0))
EARLY = slice(10, 51)


def linear_gaussian(rng, streams, steps, low, high):
    """Return dt_s (N, T), truth, measured (N, T, 3), q (N, 1); R = 1."""
    dt0 = 1.0 / log_uniform(rng, 1.0, 1000.0, streams, 1)
    dt = dt0 * np.exp(0.3 * rng.standard_normal((streams, steps))
                      * (rng.random((streams, 1)) < 0.5))
    q = log_uniform(rng, low, high, streams, 1)**2 / dt0**3
    flat = np.zeros((streams, steps, 3))
    still = np.zeros((streams, 1))
    truth = chain(rng, Clock(dt, np.cumsum(dt, 1), dt0, 3), flat + q[:, None], flat, still, still,
                  10.0 * np.sqrt(q * dt0) * np.ones((streams, 3)))
    return dt, truth, truth + rng.standard_normal(truth.shape), q


def known_kalman(dt, measured, q):
    """Return (N, T, 3): the filter with the true q and R = 1, from an unknown velocity."""
    p, v = measured[:, 0], np.zeros_like(measured[:, 0])
    p11, p12, p22 = np.ones_like(q), np.zeros_like(q), 10.0 / dt.mean(1, keepdims=True)**2
    out = [p]
    for k in range(1, dt.shape[1]):
        d = dt[:, k:k + 1]
        a11 = p11 + 2 * d * p12 + d * d * p22 + q * d**3 / 3
        a12 = p12 + d * p22 + q * d * d / 2
        a22 = p22 + q * d
        k1, k2 = a11 / (a11 + 1), a12 / (a11 + 1)
        nu = measured[:, k] - p - v * d
        p, v = p + v * d + k1 * nu, v + k2 * nu
        p11, p12, p22 = (1 - k1) * a11, (1 - k1) * a12, a22 - k2 * a12
        out.append(p)
    return np.stack(out, 1)


def smooth(smoother, dt, measured):
    """Return estimates and variances (N, T, A)."""
    state, estimate = smoother.init(measured[:, 0])
    rows, variances = [estimate.rows], [estimate.variance]
    for k in range(1, dt.shape[1]):
        state, estimate = smoother.step(state, measured[:, k], dt[:, k:k + 1])
        rows.append(estimate.rows)
        variances.append(estimate.variance)
    return np.stack(rows, 1), np.stack(variances, 1)


def rms(error):
    """Return (N,) root mean square over messages and axes."""
    return np.sqrt(np.mean(error**2, axis=(1, 2)))


def main():
    """Print the rows, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--checkpoint', default='')
    parser.add_argument('--streams', type=int, default=200)
    parser.add_argument('--steps', type=int, default=1500)
    parser.add_argument('--seed', type=int, default=1000)
    a = parser.parse_args()
    smoother = build('liquid', a.checkpoint)
    rng = np.random.default_rng(a.seed)
    figures = {}
    print('RMSE over the Kalman filter that knows q and R\n'
          'tracking index      median    mean   messages 10-50: median   mean   NEES/n')
    for low, high in DECADES:
        dt, truth, measured, q = linear_gaussian(rng, a.streams, a.steps, low, high)
        rows, variances = smooth(smoother, dt, measured)
        known = known_kalman(dt, measured, q)
        whole = rms((rows - truth)[:, 10:]) / rms((known - truth)[:, 10:])
        early = rms((rows - truth)[:, EARLY]) / rms((known - truth)[:, EARLY])
        nees = float(np.mean(((rows - truth)**2 / variances)[:, 10:]))
        figures[f'{low:g}..{high:g}'] = {
            'median': float(np.median(whole)), 'mean': float(whole.mean()),
            'early_median': float(np.median(early)), 'early_mean': float(early.mean()),
            'nees': nees}
        print(f'{low:8g} .. {high:<6g} {np.median(whole):8.3f} {whole.mean():7.3f} '
              f'{np.median(early):23.3f} {early.mean():6.3f} {nees:8.3f}')
    batch = simulate(np.random.default_rng(a.seed + 1), 2 * a.streams, 1000)
    rows, variances = smooth(smoother, batch.dt_s, batch.measured)
    # an axis that reads the same throughout is not estimated
    live = (batch.measured != batch.measured[:, :1]).any(1)
    ratio = (((rows - batch.truth)**2 / variances)[:, 10:].mean(1) * live).sum(1)
    kept = live.any(1)
    ratio = ratio[kept] / live.sum(1)[kept]
    batch = batch._replace(motion=batch.motion[kept], sensor=batch.sensor[kept])
    print('NEES / n of axes that move, simulated: mean, median over streams')
    for what, names, index in (('motion', MOTIONS, batch.motion),
                               ('sensor', KINDS, batch.sensor)):
        for i, name in enumerate(names):
            part = ratio[index == i]
            print(f'  {what} {name:24s} {part.mean():8.3f} {np.median(part):8.3f}')
    figures['nees'] = {'mean': float(ratio.mean()), 'median': float(np.median(ratio))}
    print(f'  overall {"":23s} {ratio.mean():8.3f} {np.median(ratio):8.3f}')
    print(json.dumps(figures))


if __name__ == '__main__':
    main()
