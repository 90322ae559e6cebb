# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a message is answered with: the estimate, a prediction, or what came itself."""

from typing import Any, Sequence, Tuple

import numpy as np

from liquid_ros.intake import refuse
from liquid_ros.manifold import unit_rows
from liquid_ros.ros.diagnostics import Tally
from liquid_ros.ros.messages import Batch, Codec, Key, Smooth
from liquid_ros.ros.trail import twist_variance
from liquid_ros.smoothers.base import Estimate, Smoother
from liquid_ros.streams import StreamBank
from liquid_ros.update import Update


class Answers:
    """Makes rows, variances and twists of an input's streams from its bank."""

    def __init__(self, smoother: Smoother, bank: StreamBank, tally: Tally) -> None:
        """Take the bank's smoother; spread: whether the twist's variance is wanted."""
        self.spread = False
        self._smoother, self._bank, self._tally = smoother, bank, tally

    def smooth(self, keys: Sequence[Key], estimate: Estimate) -> Smooth:
        """Return an estimate with the variance of its twist, where that is wanted and known."""
        spread = np.nan * estimate.twist
        if self.spread:
            twist_variance(self._smoother, self._bank, keys, spread)
        return Smooth(estimate.rows, estimate.variance, estimate.twist, spread)

    def passed(self, batch: Batch, update: Update) -> Smooth:
        """Return the usable messages as they came; what they do not say is the estimate's."""
        smooth = self.smooth(batch.keys, update.estimate)
        own = batch.variances if batch.variances is not None else smooth.variance
        return smooth._replace(
            rows=unit_rows(np.where(update.accepted[:, None], batch.rows, np.nan)),
            variance=np.where(np.isfinite(own), own, smooth.variance))

    def predicted(self, keys: Sequence[Key], stamps_ns: Sequence[int], frames: Sequence[str],
                  oldest_ns: int) -> Smooth:
        """Return the estimates at stamps; NaN for streams in other frames, or too old."""
        streams = self._tally.streams
        unknown = []
        for key, frame_id in zip(keys, frames):
            last_ns = streams[key].last_ns if key in streams else None
            unknown.append(last_ns is None or streams[key].frame_id != frame_id
                           or last_ns < oldest_ns)
        estimate = self._bank.predict(keys, stamps_ns)
        for part in estimate:
            part[unknown] = np.nan
        return self.smooth(keys, estimate)

    def ahead(self, keys: Sequence[Key], stamp_ns: int, frame_id: str, oldest_ns: int) -> Smooth:
        """Return the estimates of some streams at one stamp, in one frame."""
        return self.predicted(keys, [stamp_ns] * len(keys), [frame_id] * len(keys), oldest_ns)

    def filled(self, batch: Batch, update: Update, stamp_ns: int, frame_id: str,
               oldest_ns: int) -> Smooth:
        """Return the estimate, with a prediction in the place of what could not be used."""
        smooth = self.smooth(batch.keys, update.estimate)
        if update.accepted.all():
            return smooth
        return Smooth(*(np.where(update.accepted[:, None], ours, other) for ours, other in zip(
            smooth, self.ahead(batch.keys, stamp_ns, frame_id, oldest_ns))))


def passable(codec: Codec, message: Any) -> bool:
    """Return whether a message can go out as it came: every pose usable, every number finite."""
    return bool(np.isfinite(codec.numbers(message)).all()) and all(
        refuse(row) is None for row in codec.read(message).rows)


def debug_numbers(update: Update, dt_s: float, age_s: float, took_s: float
                  ) -> Tuple[float, ...]:
    """Return what outputs.DEBUG names, of the accepted poses."""
    _, variance, _, nis, weight = (part[update.accepted] for part in update.estimate)
    rotation = variance[:, 3:].mean() if variance.shape[1] > 3 else np.nan
    return (nis.mean(), weight.mean(), np.sqrt(variance[:, :3].mean()), np.sqrt(rotation),
            dt_s, age_s, 1e3 * took_s)
