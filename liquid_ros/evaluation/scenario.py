# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A noisy recording with its truth: made up from a seed, or read from an .npz file."""

import json
from pathlib import Path
from typing import List, NamedTuple, Tuple
from zipfile import BadZipFile, is_zipfile

import numpy as np

from liquid_ros.errors import InputError
from liquid_ros.evaluation.bag_write import declare, encode, new_bag
from liquid_ros.manifold import plus, quat_exp, quat_multiply
from liquid_ros.timing import NS_PER_S

EPOCH_NS = 1_700_000_000 * NS_PER_S
TYPES = {'pose': 'geometry_msgs/msg/PoseStamped', 'point': 'geometry_msgs/msg/PointStamped'}
TRUTH_TOPIC = '/truth'

# What the made-up tracker does wrong.
RATE_HZ = 50.0
JITTER = 0.2  # of the interval
NOISE_M, NOISE_RAD = 0.015, 0.025
OUTLIERS, OUTLIER_M, OUTLIER_RAD = 0.01, 0.3, 0.4
DROPS = 0.03
BLACKOUT_S = 0.4  # once, in the middle


class Scenario(NamedTuple):
    """
    N messages with their truth.

    kind: 'pose' or 'point'. stamps_ns: N integers. rows, truth: (N, 7) or (N, 3).
    axes: the position axes that the truth can judge.
    """

    name: str
    kind: str
    stamps_ns: List[int]
    rows: np.ndarray
    truth: np.ndarray
    axes: Tuple[int, ...]

    @property
    def topic(self) -> str:
        """Return the topic of the noisy messages."""
        return f'/{self.kind}'

    @property
    def times_s(self) -> np.ndarray:
        """Return seconds since the first message, (N,)."""
        return np.array([stamp - self.stamps_ns[0] for stamp in self.stamps_ns]) / NS_PER_S


def motion(times_s: np.ndarray) -> np.ndarray:
    """Return poses (N, 7) on a slow figure of eight that swells, rests and turns."""
    # the phase advances at 0.6 (1 - cos(0.5 t)) rad/s: it comes to rest every 12.6 s
    phase = 0.6 * (times_s - np.sin(0.5 * times_s) / 0.5)
    position = np.stack([1.5 * np.sin(phase), 0.8 * np.sin(2.0 * phase),
                         1.2 + 0.3 * np.sin(0.7 * phase)], axis=1)
    angles = np.stack([0.25 * np.sin(1.3 * phase), 0.2 * np.cos(0.9 * phase),
                       0.9 * np.sin(phase)], axis=1)
    roll, pitch, yaw = (quat_exp(angles[:, i:i + 1] * np.eye(3)[i]) for i in range(3))
    return np.concatenate([position, quat_multiply(yaw, quat_multiply(pitch, roll))], axis=1)


def made_up(seconds: float, seed: int = 1) -> Scenario:
    """Return poses of a tracker with jitter, noise, gross outliers, losses and one blackout."""
    rng = np.random.default_rng(seed)
    count = max(int(seconds * RATE_HZ), 2)
    times = (np.arange(count) + JITTER * rng.uniform(-1.0, 1.0, count)) / RATE_HZ
    noise = rng.normal(size=(count, 6)) * np.repeat([NOISE_M, NOISE_RAD], 3)
    gross = rng.normal(size=(count, 6)) * np.repeat([OUTLIER_M, OUTLIER_RAD], 3)
    noise = np.where(rng.random((count, 1)) < OUTLIERS, gross, noise)
    truth = motion(times)
    middle = np.abs(times - 0.5 * seconds) < 0.5 * BLACKOUT_S
    kept = (rng.random(count) >= DROPS) & ~middle
    stamps = EPOCH_NS + np.round(times[kept] * NS_PER_S).astype(np.int64)
    return Scenario('sample', 'pose', stamps.tolist(), plus(truth, noise)[kept], truth[kept],
                    (0, 1, 2))


def from_npz(path: Path, seconds: float = float('inf')) -> Scenario:
    """
    Return the first seconds of a recording: t (N,) s, z and gt (N, 3 | 7), optional meta.

    meta is JSON text; its good_axes are the position axes that the truth can judge.
    Errors: InputError where the file is no such recording.
    """
    if not path.is_file():
        raise InputError(f'{path}: no such file')
    if not is_zipfile(path):
        raise InputError(f'{path}: is no .npz with the arrays t, z and gt; TUM, CSV and bags are '
                         'for smooth and evaluate')
    try:
        with np.load(path, allow_pickle=False) as data:
            times, rows, truth = (np.asarray(data[key], dtype=float) for key in ('t', 'z', 'gt'))
            meta = json.loads(str(data['meta'])) if 'meta' in data.files else {}
            axes = tuple(int(axis) for axis in meta.get('good_axes') or (0, 1, 2))
    except (OSError, EOFError, KeyError, ValueError, TypeError, AttributeError,
            BadZipFile) as error:
        raise InputError(f'{path}: is no .npz with the arrays t, z and gt: {error}') from error
    if times.ndim != 1 or rows.shape not in ((len(times), 3), (len(times), 7)) \
            or truth.shape != rows.shape or not np.isfinite(times).all():
        raise InputError(f'{path}: got t {times.shape}, z {rows.shape}, gt {truth.shape}, '
                         'expected finite t (N,) and z, gt (N, 3) or (N, 7)')
    if not np.isfinite(truth).all():
        raise InputError(f'{path}: got a gt with NaN, expected the truth at every message')
    if (np.diff(times) < 0.0).any():
        at = int(np.argmax(np.diff(times) < 0.0)) + 1
        raise InputError(f'{path}: got a t that goes back at row {at}, expected it to rise')
    if not all(0 <= axis < 3 for axis in axes):
        raise InputError(f'{path}: got good_axes {axes}, expected some of 0, 1, 2')
    kept = times - times[:1] <= seconds
    stamps = EPOCH_NS + np.round((times[kept] - times[:1]) * NS_PER_S).astype(np.int64)
    return Scenario(path.stem, 'pose' if rows.shape[1] == 7 else 'point', stamps.tolist(),
                    rows[kept], truth[kept], axes)


def write(path: Path, scenario: Scenario) -> None:
    """Write a bag with the noisy messages on /pose or /point and the truth on /truth."""
    msgtype = TYPES[scenario.kind]
    with new_bag(path, '.mcap') as writer:
        topics = [(declare(writer, topic, msgtype), rows) for topic, rows in (
            (TRUTH_TOPIC, scenario.truth), (scenario.topic, scenario.rows))]
        for k, stamp_ns in enumerate(scenario.stamps_ns):
            for connection, rows in topics:
                writer.write(connection, stamp_ns, encode(stamp_ns, 'map', rows[k]))
