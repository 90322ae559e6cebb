# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a cell's neurons do over a recording, and which of them answers to an event."""

from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

import numpy as np

from liquid_ros.errors import InputError
from liquid_ros.evaluation.replay import replay
from liquid_ros.evaluation.sample import Sample
from liquid_ros.smoothers.cells import CELLS
from liquid_ros.smoothers.liquid import Liquid
from liquid_ros.timing import Arrival, NS_PER_S, TimePolicy

OUTLIER_WEIGHT = 0.5  # a message believed less is an outlier
OVER_S = 0.5  # speed and direction are those of so long a piece of the estimated path
STOPPED = 0.1  # of the speed that nine in ten messages do not exceed: below it stands
TURN_DEG = 30.0  # a turn changes the direction from one piece to the next by so much
SURE = 3.0  # a piece shorter than so many stated standard deviations shows no direction
FEWEST = 5  # messages within and without, for an answer


class Activity(NamedTuple):
    """
    A stream's messages: t_s (T,) from 0, rows (T, W) as estimated.

    neurons: (T, N) mean over the position axes. tau_s: (T, N), None where the cell has none.
    events: name -> (T,) bool.
    """

    t_s: np.ndarray
    rows: np.ndarray
    neurons: np.ndarray
    tau_s: Optional[np.ndarray]
    events: Dict[str, np.ndarray]


class Answer(NamedTuple):
    """How a neuron's activity goes with an event: its place, and Pearson's r."""

    neuron: int
    r: float


class Watched(Liquid):
    """A liquid smoother that keeps what its cell saw and became."""

    def __init__(self, plain: Liquid) -> None:
        """Take the weights of another one."""
        super().__init__(plain.config, plain.weights, plain.tuning)
        self.seen: List[Tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        step = self.cell

        def kept(w: Any, x: Any, h: Any, pace: Any) -> Any:
            after, read = step(w, x, h, pace)
            self.seen.append((x, after, read))
            return after, read
        self.cell = kept


def watch(samples: Iterable[Sample], plain: Liquid, policy: TimePolicy = TimePolicy()
          ) -> Activity:
    """
    Replay one stream, the first that comes, and return what its neurons do.

    Errors: InputError where it is too short.
    """
    model, kind = Watched(plain), CELLS[plain.config.cell]
    stream: Optional[Tuple[Any, Any]] = None
    last_ns, dts_s = 0, []
    rows, variances, weights, neurons, taus = [], [], [], [], []
    for answer in replay(samples, model, policy, most=1):
        if not answer.sample.keys:
            continue
        key = answer.sample.topic, answer.sample.keys[0]
        stream = stream or key
        seen = model.seen[:]
        model.seen.clear()
        if key != stream or not answer.update.accepted[0]:
            continue
        before_ns, last_ns = last_ns, answer.sample.stamps_ns[0]
        if answer.update.arrivals[0] is not Arrival.STEP:
            continue  # it starts anew, and the cell was not asked
        dts_s.append((last_ns - before_ns) / NS_PER_S)
        x, after, read = seen[0]  # of a message with many rows that of the first
        state = read if read.shape[-1] == plain.config.hidden else after
        neurons.append(state[0, :3].mean(0))
        estimate = answer.update.estimate
        rows.append(estimate.rows[0])
        weights.append(estimate.weight[0, 0])
        variances.append(estimate.variance[0, :3].sum())
        if kind.tau is not None:
            taus.append(np.exp(np.log(kind.tau(plain.weights, x, after)[0, :3]).mean(0)))
    if len(rows) < 2 * FEWEST:
        raise InputError(f'got {len(rows)} messages of one stream after another, expected at '
                         f'least {2 * FEWEST}')
    t_s = np.cumsum(dts_s) - dts_s[0]  # a restart takes no time
    mean_dt = float(np.mean(dts_s[1:]))
    path = np.array(rows)
    return Activity(t_s, path, np.array(neurons), mean_dt * np.array(taus) if taus else None,
                    events(t_s, path[:, :3], np.sqrt(variances), np.array(weights)))


def events(t_s: np.ndarray, path: np.ndarray, sigma: np.ndarray, weight: np.ndarray
           ) -> Dict[str, np.ndarray]:
    """
    Return when a message was an outlier, the motion stood, or turned; (T,) bool each.

    path (T, 3), sigma (T,) of it, and how far each message was believed (T,).
    """
    ends = [t_s, t_s - OVER_S, t_s - 2.0 * OVER_S]
    places = [np.stack([np.interp(t, t_s, axis) for axis in path.T], 1) for t in ends]
    now, before = places[0] - places[1], places[1] - places[2]
    way, way_before = np.linalg.norm(now, axis=1), np.linalg.norm(before, axis=1)
    least = STOPPED * float(np.quantile(way, 0.9))
    known = ends[2] >= t_s[0]
    turned = (now * before).sum(1) < np.cos(np.radians(TURN_DEG)) * way * way_before
    return {'outlier': weight < OUTLIER_WEIGHT, 'stop': (way < least) & known,
            'turn': turned & (np.minimum(way, way_before) >= np.maximum(least, SURE * sigma))
            & known}


def answers(activity: Activity) -> Dict[str, List[Answer]]:
    """
    Return each event's neurons by |r| of their activity with it, the strongest first.

    None of them where fewer than FEWEST messages are within or without it.
    """
    found: Dict[str, List[Answer]] = {}
    moved = activity.neurons - activity.neurons.mean(0)
    size = np.sqrt((moved**2).mean(0))
    for name, when in activity.events.items():
        if min(when.sum(), (~when).sum()) < FEWEST:
            found[name] = []
            continue
        mark = when - when.mean()
        r = (moved * mark[:, None]).mean(0) / np.maximum(size * mark.std(), 1e-30)
        order = np.argsort(-np.abs(r))
        found[name] = [Answer(int(k), float(r[k])) for k in order]
    return found
