# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One stream of a recording as it came and as it left, and what is said of it."""

from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Tuple

import numpy as np

from liquid_ros.evaluation.tally import Tally
from liquid_ros.timing import NS_PER_S

FARTHEST_NS = 10**14  # about a day


@dataclass(frozen=True)
class Run:
    """
    The accepted messages of one stream, in order; N messages, A = 3 or 6 axes, G = A / 3.

    name: its topic; with '#' and a child frame or place behind it where a topic has many streams.
    stamps_ns: (N,) int64. raw, smooth: (N, 3 | 7). variance, twist: (N, A). nis, weight: (N, G).
    starts: (N,) bool, True where a run begins anew; within a run stamps rise.
    offline, offline_variance: the estimate in hindsight (RTS), where the smoother has one.
    expected: (N, 3 | 7) what was predicted of each message before it came, as rts.Smoothed has
    it; of no meaning where a run begins. None: the estimate before and its twist must do.
    tally: counts of the whole stream. left_out: accepted messages that are not kept here.
    truth: (N, 3 | 7), NaN where there is none; None without any. truth_name: where it is from.
    tuned: whether a knob was turned.
    """

    name: str
    msgtype: str
    frame_id: str
    smoother: str
    stamps_ns: np.ndarray
    raw: np.ndarray
    smooth: np.ndarray
    variance: np.ndarray
    twist: np.ndarray
    nis: np.ndarray
    weight: np.ndarray
    starts: np.ndarray
    tally: Tally
    left_out: int = 0
    offline: Optional[np.ndarray] = None
    offline_variance: Optional[np.ndarray] = None
    truth: Optional[np.ndarray] = None
    truth_name: str = ''
    expected: Optional[np.ndarray] = None
    tuned: bool = False

    @property
    def truth_known(self) -> int:
        """Return at how many messages there is truth, judged or not."""
        return 0 if self.truth is None else int(np.isfinite(self.truth[:, :3]).any(1).sum())

    @property
    def duration_s(self) -> float:
        """Return the sum of dt between messages that go on from one another."""
        return float(np.sum(np.diff(self.stamps_ns)[~self.starts[1:]]) / NS_PER_S)

    @property
    def times_s(self) -> np.ndarray:
        """
        Return (N,) seconds since the first message, in which no run is FARTHEST_NS from the next.

        A clock that begins in 1970 and is set later would leave no digits for dt.
        """
        steps_ns = np.diff(self.stamps_ns, prepend=self.stamps_ns[:1])
        return np.cumsum(np.where(self.starts, np.clip(steps_ns, -FARTHEST_NS, FARTHEST_NS),
                                  steps_ns)) / NS_PER_S


@dataclass(frozen=True)
class Row:
    """
    One smoother's figures on a run; None for what cannot be told there.

    in_hindsight: its settings were picked with the whole recording in hand, for that figure.
    causal: no output knew a later message.
    Units: m, rad in degrees, s. rotation figures are of poses only.
    """

    name: str  # raw, liquid, liquid_offline, ema, one_euro, kalman, kalman_gated
    label: str
    in_hindsight: bool = False
    causal: bool = True
    settings: Dict[str, float] = field(default_factory=dict)
    rmse_m: Optional[float] = None
    rmse_aligned_m: Optional[float] = None
    rotation_deg: Optional[float] = None
    accel_error_m_s2: Optional[float] = None
    lag_s: Optional[float] = None
    nees: Optional[float] = None  # mean of e^2 / variance over axes; 1 is expected
    jerk_m_s3: Optional[float] = None
    jitter_m: Optional[float] = None  # RMS of what a local parabola leaves, see docs/evaluation.md
    jitter_deg: Optional[float] = None
    lag_to_offline_s: Optional[float] = None
    rmse_to_offline_m: Optional[float] = None
    rotation_to_offline_deg: Optional[float] = None
    log_likelihood: Optional[float] = None  # mean of log p(z | past), nats a message


@dataclass(frozen=True)
class Judged:
    """
    All that is said of a run.

    rows: raw first, then the run's own smoother, its estimate in hindsight, the baselines.
    ratios: such as rmse_ratio: the run's smoother over the best causal baseline in hindsight.
    stream: counts and dt statistics, NIS, innovation whiteness (plain numbers and texts).
    sweeps: name of a baseline -> arrays 'jitter_m', 'lag_s', 'rmse_m' over its whole grid, (S,);
    NaN where it cannot be told. Against the truth, or stream['reference'] without any.
    series: arrays that the plots need: errors, the innovations' autocorrelation, spectra;
    docs/evaluation.md has the keys.
    verdict: sentences in plain words, the most important first.
    """

    run: Run
    rows: Tuple[Row, ...]
    ratios: Dict[str, float]
    stream: Dict[str, Any]
    sweeps: Dict[str, Dict[str, np.ndarray]]
    series: Dict[str, np.ndarray]
    verdict: Tuple[str, ...]
