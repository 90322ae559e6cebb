# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The loss of a stretch of recordings: messages as they were expected, errors where known."""

from typing import Any, Dict, List, Sequence, Tuple

import torch

from liquid_ros.manifold import minus
from liquid_ros.training.feed import begin_anew
from liquid_ros.training.recorded import Stretch
from liquid_ros.training.tracks import COST, DEGREES, NEEDED

State = Dict[str, torch.Tensor]


def advance(smoother: Any, step: Any, state: State, stretch: Stretch
            ) -> Tuple[State, List[State], List[torch.Tensor]]:
    """Return the state after a stretch, and after each message what is needed and the rows."""
    state = begin_anew(state, stretch.begun, stretch.fresh)
    dt_s = stretch.times_s.diff(dim=1).float()
    needed, rows = [], []
    for k in range(1, stretch.measured.shape[1]):
        own = () if stretch.variances is None else (stretch.variances[:, k],)
        state, estimate = step(smoother.weights, state, stretch.measured[:, k],
                               dt_s[:, k - 1:k], *own)
        needed.append({name: state[name] for name in NEEDED})
        rows.append(estimate.rows)
    return state, needed, rows


def foreseen(smoother: Any, needed: Sequence[State], stretch: Stretch, horizons: Sequence[int]
             ) -> torch.Tensor:
    """Return (N,) what the messages cost on the average, as tracks.cost() has it."""
    measured = stretch.measured  # of which what is sent again teaches nothing
    learned = stretch.learned & (measured[:, 1:] != measured[:, :-1]).any(-1)
    whole = {name: torch.stack([one[name] for one in needed], 1) for name in NEEDED}
    count, steps = learned.shape
    total = torch.zeros(count, device=learned.device)
    known = torch.zeros_like(total)
    for j, ahead in enumerate(horizons):
        pairs = steps - ahead
        if pairs < 1:
            continue
        before = {name: array[:, :pairs].reshape((count * pairs,) + array.shape[2:])
                  for name, array in whole.items()}
        dt_s = (stretch.times_s[:, 1 + ahead:] - stretch.times_s[:, 1:-ahead]).reshape(-1, 1)
        target = stretch.measured[:, 1 + ahead:].reshape(count * pairs, -1)
        apart = minus(target, smoother.predict(before, dt_s).rows).float()
        square = (apart * apart).reshape(count, pairs, -1, 3).sum(-1)
        scale = stretch.scale[:, None, :, j]
        live = (scale > 0.0) & learned[:, ahead:, None]
        each = COST * torch.log1p(square / (DEGREES * torch.where(
            live, scale, torch.ones_like(scale))))
        total = total + torch.where(live, each, torch.zeros_like(each)).sum((1, 2))
        known = known + live.sum((1, 2))
    return total / known.clamp(min=1)


def off(rows: Sequence[torch.Tensor], stretch: Stretch) -> torch.Tensor:
    """
    Return (N,) half the log of the mean square error over s, of position and rotation.

    Where no truth is known it is 0.
    """
    truth, estimate = stretch.truth[:, 1:], torch.stack(list(rows), 1)
    parts = (truth[..., :3], truth[..., 3:]) if truth.shape[-1] == 7 else (truth,)
    known = torch.stack([torch.isfinite(part).any(-1) for part in parts], -1)
    known = known & stretch.learned[..., None]
    # an axis that the truth lacks has no error
    apart = minus(estimate, torch.where(torch.isfinite(truth), truth, estimate.detach())).float()
    square = (apart * apart).reshape(apart.shape[0], apart.shape[1], -1, 3).sum(-1)
    count, scale = known.sum(1), stretch.scale[..., 0]
    mean = torch.where(known, square, torch.zeros_like(square)).sum(1) / count.clamp(min=1)
    live = (scale > 0.0) & (count > 0)
    least = 1e-4 * scale + 1e-18
    error = 0.5 * torch.log((mean + least) / (scale + least))
    return torch.where(live, error, torch.zeros_like(error)).sum(1) / live.sum(1).clamp(min=1)
