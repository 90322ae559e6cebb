# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Stretches of recordings, side by side, for truncated backpropagation."""

from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

import numpy as np
import torch

from liquid_ros.arrays import tangent_size
from liquid_ros.manifold import unit_rows
from liquid_ros.timing import NS_PER_S
from liquid_ros.training.loader import Loader
from liquid_ros.training.tracks import Prepared, states_at, width_of
from liquid_ros.training.tune_config import TuneConfig


class Stretch(NamedTuple):
    """
    Messages of N rows, the first of them the last one of the stretch before.

    times_s (N, T + 1) from the first; measured (N, T + 1, 3 | 7) float64; truth, alike, NaN where
    it is not known; variances (N, T + 1, A), NaN: none, or None. valid (N, T + 1): not behind the
    end. fresh (N,): rows that begin in the state begun. scale (N, G, H). learned (N, T) bool: the
    messages that count.
    """

    times_s: torch.Tensor
    measured: torch.Tensor
    truth: torch.Tensor
    variances: Optional[torch.Tensor]
    valid: torch.Tensor
    fresh: torch.Tensor
    begun: Dict[str, torch.Tensor]
    scale: torch.Tensor
    learned: torch.Tensor


class Place(NamedTuple):
    """Where a row is: its turn, the run of the recording, the next message, stretches left."""

    turn: int
    run: int
    at: int
    left: int


class Recorded:
    """
    Rows that go through recordings, each turn through a part of one, from where it is known.

    Row s of S takes turns s, s + S, ...; the turns go through the recordings in an order that is
    drawn anew for each round. So what a row does depends on no other, and not on how rows are
    shared among processes.
    """

    def __init__(self, config: TuneConfig, source: Loader, rank: int = 0, size: int = 1) -> None:
        """Begin every row of this process."""
        self.config, self._source = config, source
        self._rows = config.rows * size
        own = range(rank * config.rows, (rank + 1) * config.rows)
        self._next = list(own)
        self._places: List[Optional[Place]] = [None for _ in own]
        self._items: List[Optional[Prepared]] = [None for _ in own]
        self._orders: Dict[int, np.ndarray] = {}
        self._useless: Set[int] = set()

    def _recording(self, turn: int) -> int:
        """Return which recording it is that turn's."""
        count = len(self._source)
        around, k = divmod(turn, count)
        if around not in self._orders:
            self._orders = {around: np.random.default_rng(
                (self.config.seed, 5, around)).permutation(count)}
        return int(self._orders[around][k])

    def _begin(self, row: int) -> None:
        """
        Let a row take its next turn; those of recordings that cannot be used are left out.

        Errors: InputError where none can be used.
        """
        lengths: np.ndarray = np.zeros(0)
        while not lengths.any():
            if len(self._useless) == len(self._source):
                raise self._source.nothing()
            turn = self._next[row]
            self._next[row] += self._rows
            at = self._recording(turn)
            if at in self._useless:
                continue
            tracks = self._source.get(at)
            lengths = np.array([max(item.parts.fit - 1, 0) for item in tracks], float)
            if not lengths.any():
                self._useless.add(at)
        rng = np.random.default_rng((self.config.seed, 7, turn))
        run = int(rng.choice(len(tracks), p=lengths / lengths.sum()))
        item = tracks[run]
        marks = [k for k, mark in enumerate(item.marks) if mark < item.parts.fit - 1]
        mark = int(rng.choice(marks))
        self._items[row] = item
        self._places[row] = Place(turn, run, mark, int(rng.choice(self.config.stretches)))

    def next(self) -> Stretch:
        """Return the next stretch of every row."""
        every, fresh, pieces, calm = self.config.stretch, [], [], []
        begun: List[Tuple[Prepared, int]] = []
        for row, place in enumerate(self._places):
            new = place is None
            if new:
                self._begin(row)
            place, item = self._places[row], self._items[row]
            assert place is not None and item is not None
            first, fit = item.marks[place.at], item.parts.fit
            last = min(first + every, fit - 1)
            fresh.append(new)
            calm.append(self.config.calm - first)
            begun.append((item, place.at))
            pieces.append(_cut(item, first, last, every))
            goes_on = place.left > 1 and last == first + every and last < fit - 1
            self._places[row] = place._replace(at=place.at + 1, left=place.left - 1) \
                if goes_on else None
        self._source.want([i for i in map(self._recording, self._next)
                           if i not in self._useless])
        width_of([item for item, _ in begun])
        times, measured, truth, variances, valid = (np.stack(part) for part in zip(*pieces))
        scale = np.stack([item.scale for item, _ in begun])
        states = states_at(begun)
        learned = valid[:, 1:] & (np.arange(1, every + 1) > np.array(calm)[:, None])
        return Stretch(
            torch.from_numpy(times), torch.from_numpy(measured), torch.from_numpy(truth),
            torch.from_numpy(variances) if np.isfinite(variances).any() else None,
            torch.from_numpy(valid), torch.tensor(fresh),
            {name: _like_a_state(name, array) for name, array in states.items()},
            torch.from_numpy(scale).float(), torch.from_numpy(learned))

    def state(self) -> Dict[str, Any]:
        """Return what a later run needs to go on with the same stretches."""
        return {'next': list(self._next), 'places': [
            None if place is None else tuple(place) for place in self._places]}

    def restore(self, state: Dict[str, Any]) -> None:
        """Go on from what state() returned."""
        self._next = list(state['next'])
        self._places = [None if place is None else Place(*place) for place in state['places']]
        self._items = [None if place is None else self._source.get(
            self._recording(place.turn))[place.run] for place in self._places]


def _like_a_state(name: str, array: np.ndarray) -> torch.Tensor:
    """Return an array as the step has it: rows in float64, all else in float32."""
    made = torch.from_numpy(array)
    return made if name in ('rows', 'output_rows', 'measured', 'anchor') else made.float()


def _cut(item: Prepared, first: int, last: int, every: int) -> Tuple[np.ndarray, ...]:
    """Return a piece of a track, its last message repeated at the usual dt behind the end."""
    track = item.track
    index = np.minimum(np.arange(first, first + every + 1), last)
    valid = np.arange(first, first + every + 1) <= last
    rows = unit_rows(track.rows[index])
    times = (track.stamps_ns[index] - track.stamps_ns[first]) / NS_PER_S
    usual = times[last - first] / max(last - first, 1)
    times = times + usual * np.maximum(np.arange(every + 1) - (last - first), 0)
    unknown = np.full(rows.shape, np.nan)
    said = np.full((len(rows), tangent_size(rows.shape[1])), np.nan)
    return (times, rows, unknown if track.truth is None else track.truth[index],
            said if track.variances is None else track.variances[index], valid)
