# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The ordinary next message of one stream, of which nothing is to be told: the short ways."""

from typing import Dict, Hashable, Optional, Sequence

import numpy as np

from liquid_ros.beginnings import Beginnings
from liquid_ros.fused import Fused
from liquid_ros.intake import usable_values
from liquid_ros.leaps import Leaps
from liquid_ros.smoothers.base import Smoother
from liquid_ros.store import Store
from liquid_ros.timing import NS_PER_S, plain_step_s, TimePolicy
from liquid_ros.way import Way, WHENEVER_NS


class Ordinary:
    """What a StreamBank does for a message that goes on as those before; else it is declined."""

    policy: TimePolicy
    _smoother: Smoother
    _store: Store
    _young: Beginnings
    _leaps: Leaps
    _last_ns: Dict[Hashable, int]
    _frames: Dict[Hashable, str]

    def advance(self, key: Hashable, stamp_ns: int, row: Sequence[float], frame: str,
                received_ns: Optional[int] = None, variances: Optional[Sequence[float]] = None
                ) -> Optional[np.ndarray]:
        """
        Return the packed estimate of an ordinary next message, in half of update()'s time.

        row: width floats; variances: A, as usable_variances() has them. None, and all is as it
        was, where update() has more to say or nothing is compiled. The next call overwrites it.
        """
        dt_s = plain_step_s(self._last_ns.get(key), stamp_ns, self.policy, received_ns)
        values = usable_values(row)
        if (not dt_s or values is None or self._frames.get(key) != frame or key in self._young
                or not isinstance(self._smoother, Fused) or not self._leaps.ordinary(key, dt_s)):
            return None
        said = self._smoother.step_one(self._store.find(key), values, dt_s, variances)
        if said.item(-1) != 0.0:  # not finite
            return None
        self._last_ns[key] = stamp_ns
        return said[:-1]

    def advance_bytes(self, way: Way, raw: bytes, after_ns: int, received_ns: Optional[int] = None
                      ) -> int:
        """
        Return the stamp of an ordinary next message in bytes; way has what becomes of it.

        0, and all is as it was, where update() has more to say, nothing is compiled, or the stamp
        is not later than after_ns.
        """
        key = way.key
        last_ns = self._last_ns.get(key)
        if (last_ns is None or self._frames.get(key) != way.frame or key in self._young
                or not way.fits(self._smoother)):
            return 0
        policy = self.policy
        until_ns = WHENEVER_NS if received_ns is None else received_ns + policy.future_ns
        later_ns: int = way.call(
            way.at, raw, len(raw), self._store.find(key), last_ns, after_ns, until_ns,
            policy.gap_reset_ns, self._leaps.most_s(key))
        if not later_ns:
            return 0
        self._leaps.ordinary(key, later_ns / NS_PER_S)
        self._last_ns[key] = last_ns + later_ns
        return last_ns + later_ns
