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
from liquid_ros.timing import TimePolicy

OUTLIER_WEIGHT = 0.5  # a message believed less is an outlier
STOPPED = 0.1  # of the speed that nine in ten messages do not exceed: below it stands
TURN_DEG, TURN_S = 30.0, 0.5  # a turn changes the direction by so much within so long
FEWEST = 5  # messages within and without, for an answer


class Activity(NamedTuple):
    """
    A stream's messages: t_s (T,) from 0, rows (T, W) and speed (T,) m/s as estimated.

    neurons: (T, N) mean over the position axes. tau_s: (T, N), None where the cell has none.
    events: name -> (T,) bool.
    """

    t_s: np.ndarray
    rows: np.ndarray
    speed: np.ndarray
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
        self.seen: List[Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        step = self.cell

        def kept(w: Any, x: Any, h: Any, pace: Any) -> Any:
            after, read = step(w, x, h, pace)
            self.seen.append((x, after, read, pace))
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
    rows, stamps, twists, weights, neurons, taus = [], [], [], [], [], []
    for answer in replay(samples, model, policy, most=1):
        key = answer.sample.topic, answer.sample.keys[0]
        stream = stream or key
        if key != stream or not answer.update.accepted[0] or not model.seen:
            model.seen.clear()
            continue
        x, after, read, _ = model.seen.pop()
        model.seen.clear()
        state = read if read.shape[-1] == plain.config.hidden else after
        neurons.append(state[0, :3].mean(0))
        estimate = answer.update.estimate
        stamps.append(answer.sample.stamps_ns[0])
        rows.append(estimate.rows[0])
        twists.append(estimate.twist[0, :3])
        weights.append(estimate.weight[0, 0])
        if kind.tau is not None:
            taus.append(np.exp(np.log(kind.tau(plain.weights, x, after)[0, :3]).mean(0)))
    if len(rows) < 2 * FEWEST:
        raise InputError(f'got {len(rows)} messages of one stream after another, expected at '
                         f'least {2 * FEWEST}')
    t_s = (np.array(stamps) - stamps[0]) / 1e9
    mean_dt = t_s[-1] / (len(t_s) - 1)
    twist = np.array(twists)
    return Activity(t_s, np.array(rows), np.linalg.norm(twist, axis=1), np.array(neurons),
                    mean_dt * np.array(taus) if taus else None,
                    events(t_s, twist, np.array(weights)))


def events(t_s: np.ndarray, velocity: np.ndarray, weight: np.ndarray) -> Dict[str, np.ndarray]:
    """Return when a message was an outlier, the motion stood, or turned; (T,) bool each."""
    speed = np.linalg.norm(velocity, axis=1)
    usual = float(np.quantile(speed, 0.9))
    stop = speed < STOPPED * usual
    before = np.maximum(np.searchsorted(t_s, t_s - TURN_S), 0)
    along = (velocity * velocity[before]).sum(1)
    turned = along < np.cos(np.radians(TURN_DEG)) * speed * speed[before]
    return {'outlier': weight < OUTLIER_WEIGHT, 'stop': stop,
            'turn': turned & ~stop & ~stop[before]}


def answers(activity: Activity) -> Dict[str, List[Answer]]:
    """
    Return each event's neurons by |r| of their activity with it, the strongest first.

    None where fewer than FEWEST messages are within or without it.
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
