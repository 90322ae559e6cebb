# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What benchmarks/family.py measures on recordings, where ../shared has them and their scorer.

The scorer's own figures and baselines, each tuned in hindsight for each recording; the smoother
runs in a StreamBank, all recordings side by side, as in the node.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np

from liquid_ros.streams import StreamBank

SHARED = Path(__file__).resolve().parents[2] / 'shared'


class Recording(NamedTuple):
    """t (N,) s, z and truth (N, 3 | 7), the position axes that count, which rows are judged."""

    name: str
    t: np.ndarray
    z: np.ndarray
    truth: np.ndarray
    axes: List[int]
    judged: np.ndarray


def scorer() -> Optional[Any]:
    """Return the scorer's module, None where there is none."""
    path = SHARED / 'score' / 'score.py'
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location('score', path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recordings(score: Any) -> List[Recording]:
    """Return every recording."""
    found = []
    for path in sorted((SHARED / 'data').glob('*.npz')):
        data = np.load(path)
        t, z, truth = (data[name].astype(float) for name in ('t', 'z', 'gt'))
        meta = json.loads(str(data['meta'])) if 'meta' in data.files else {}
        found.append(Recording(path.stem, t, z, truth, meta.get('good_axes') or [0, 1, 2],
                               (t - t[0] >= score.SKIP_S) & (np.arange(len(t)) >= 10)))
    return found


def described(score: Any, one: Recording, rows: np.ndarray, judged: np.ndarray
              ) -> Dict[str, float]:
    """Return the scorer's figures of rows (N, 3 | 7)."""
    origin = one.z[0, one.axes]
    found = dict(score.describe(one.t, rows[:, one.axes] - origin, one.truth[:, one.axes] - origin,
                                judged))
    if one.z.shape[1] == 7:
        found['rot_deg'] = score.rot_deg(rows[judged, 3:], one.truth[judged, 3:])
    return found


def baselines(score: Any, found: List[Recording]) -> Dict[str, Dict[str, float]]:
    """Return the figures of each recording's best baselines, chosen by the scorer's rule."""
    table = {}
    for one in found:
        origin = one.z[0, one.axes]
        z, truth = one.z[:, one.axes] - origin, one.truth[:, one.axes] - origin
        candidates = [y for make in score.BASELINES.values() for y in [min(
            make(one.t, z), key=lambda y: score.rmse(y[one.judged], truth[one.judged]))]]
        best = min(candidates, key=lambda y: score.rmse(y[one.judged], truth[one.judged]))
        table[one.name] = dict(score.describe(one.t, best, truth, one.judged))
        if one.z.shape[1] == 7:
            table[one.name]['rot_deg'] = min(
                score.rot_deg(q[one.judged], one.truth[one.judged, 3:])
                for make in score.ROTATION_BASELINES.values()
                for q in make(one.t, one.z[:, 3:]))
    return table


def smoothed(smoother: Any, found: List[Recording]) -> List[np.ndarray]:
    """Return what the bank makes of each recording; NaN where it dropped a message."""
    out = [np.full_like(one.z, np.nan) for one in found]
    for width in (3, 7):
        bank = StreamBank(smoother, width)
        chosen = [i for i, one in enumerate(found) if one.z.shape[1] == width]
        stamps = {i: np.round(found[i].t * 1e9).astype(np.int64) + 10**9 for i in chosen}
        for k in range(max(len(found[i].t) for i in chosen)):
            now = [i for i in chosen if k < len(found[i].t)]
            update = bank.update(now, [int(stamps[i][k]) for i in now],
                                 np.stack([found[i].z[k] for i in now]))
            for row, i in enumerate(now):
                if update.accepted[row]:
                    out[i][k] = update.estimate.rows[row]
    return out


def judged(score: Any, smoother: Any, found: List[Recording],
           best: Dict[str, Dict[str, float]]) -> Dict[str, float]:
    """Return geometric means of the ratios to the best baselines, and of the jitter taken away."""
    ratios: Dict[str, List[float]] = {'rmse': [], 'accel': [], 'rot_deg': []}
    jitter = []
    for one, rows in zip(found, smoothed(smoother, found)):
        answered = np.isfinite(rows).all(1)
        rows = np.where(answered[:, None], rows, one.z)
        figures = described(score, one, rows, one.judged & answered)
        for name, values in ratios.items():
            if name in figures and name in best[one.name]:
                values.append(figures[name] / best[one.name][name])
        still = np.zeros((int(one.judged.sum()), len(one.axes)))
        bends = [score.accel_error(one.t[one.judged], a[one.judged][:, one.axes], still)
                 for a in (rows, one.z)]
        jitter.append(1.0 - bends[0] / bends[1])
    return {**{name: score.geometric(values) for name, values in ratios.items()},
            'worst': max(ratios['rmse']), 'jitter': float(np.median(jitter))}
