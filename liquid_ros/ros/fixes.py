# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A NavSatFix as the node has it: metres in, a fix out."""

import struct

import numpy as np

from liquid_ros.cdr import LITTLE
from liquid_ros.geometry import told
from liquid_ros.navsat import Datum, Fixes, FRAME, KIND, read_fix, written
from liquid_ros.ros.layout import Once, ORIGIN
from liquid_ros.ros.messages import Batch, Codec, Head, ONE, Smooth
from liquid_ros.timing import held_ns, NS_PER_S

_STAMP = struct.Struct('<iI')


class FixWire:
    """Reads and writes the fixes of one input."""

    def __init__(self, datum: Datum) -> None:
        """Prepare to read."""
        self.fixes = Fixes(datum)
        self._split = Once(KIND, lambda plain: (plain, read_fix(plain)))

    def codec(self) -> Codec:
        """Return how these fixes become rows and rows fixes."""
        return Codec(KIND, 3, self.read, self.write, self.moved, lambda raw: '',
                     lambda raw: self._split(raw)[1].covariance, many=False, frame=FRAME,
                     fixes=self.fixes)

    def read(self, raw: bytes) -> Batch:
        """Return a row in no frame: that of the receiver is none that it is measured in."""
        fix = self._split(raw)[1]
        row, variances = self.fixes.measure(fix)
        return Batch(ONE, (fix.stamp_ns,), np.array([row]), ('',),
                     None if variances is None else np.array([variances]))

    def write(self, raw: bytes, head: Head, smooth: Smooth) -> bytes:
        """Leave the frame as it came: it is the receiver's."""
        plain, fix = self._split(raw)
        return _stamped(written(plain, fix, self.fixes.datum.enu, smooth.rows[0].tolist(),
                                list(map(told, smooth.variance[0].tolist()))), head)

    def moved(self, raw: bytes, head: Head) -> bytes:
        """Return the message as it is at another stamp."""
        return _stamped(self._split(raw)[0], head)


def _stamped(plain: bytes, head: Head) -> bytes:
    return LITTLE + _STAMP.pack(*divmod(held_ns(head.stamp_ns), NS_PER_S)) + plain[
        ORIGIN + _STAMP.size:]
