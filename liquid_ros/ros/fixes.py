# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A NavSatFix as the node has it: metres in, a fix out, about one datum as long as it runs."""

import struct
from typing import Any, Callable, Optional, Tuple

import numpy as np

from liquid_ros.cdr import LITTLE
from liquid_ros.geometry import told
from liquid_ros.navsat import Enu, Fix, FRAME, KIND, Place, read_fix, written
from liquid_ros.ros.layout import little, malformed, ORIGIN
from liquid_ros.ros.messages import Batch, Codec, Head, ONE, Smooth
from liquid_ros.timing import held_ns, NS_PER_S

_STAMP = struct.Struct('<iI')


class Fixes:
    """Reads and writes fixes; the first usable one is the datum where none is given."""

    def __init__(self, datum: Optional[Place] = None,
                 tell: Callable[[Place], None] = lambda datum: None) -> None:
        """Prepare to read; tell is called with a datum that was found."""
        self._enu = None if datum is None else Enu(datum)
        self._tell = tell
        self._last: Tuple[Any, bytes, Any] = None, b'', None

    @property
    def datum(self) -> Optional[Place]:
        """Return where the rows are measured from, None where that is not known yet."""
        return None if self._enu is None else self._enu.datum

    @datum.setter
    def datum(self, datum: Place) -> None:
        self._enu, self._last = Enu(datum), (None, b'', None)

    def codec(self) -> Codec:
        """Return how these fixes become rows and rows fixes."""
        return Codec(KIND, 3, self.read, self.write, self.moved, lambda raw: '',
                     lambda raw: self._split(raw)[1].covariance, many=False, frame=FRAME,
                     fixes=self)

    def _split(self, raw: bytes) -> Tuple[bytes, Fix]:
        """Return the message as little-endian CDR and what it says. Errors: MalformedError."""
        if raw is not self._last[0]:
            try:
                plain = little(raw, KIND)
                fix = read_fix(plain, self._enu)
            except (struct.error, ValueError, RuntimeError) as error:
                raise malformed(raw, KIND, error) from error
            if self._enu is None and fix.enu is not None:
                self._enu = fix.enu
                self._tell(fix.enu.datum)
            self._last = raw, plain, fix
        return self._last[1:]

    def read(self, raw: bytes) -> Batch:
        """Return a row in no frame: that of the receiver is none that it is measured in."""
        fix = self._split(raw)[1]
        return Batch(ONE, (fix.stamp_ns,), np.array([fix.row]), ('',),
                     None if fix.variances is None else np.array([fix.variances]))

    def write(self, raw: bytes, head: Head, smooth: Smooth) -> bytes:
        """Leave the frame as it came: it is the receiver's."""
        plain, fix = self._split(raw)
        return _stamped(written(plain, fix, smooth.rows[0].tolist(),
                                list(map(told, smooth.variance[0].tolist()))), head)

    def moved(self, raw: bytes, head: Head) -> bytes:
        """Return the message as it is at another stamp."""
        return _stamped(self._split(raw)[0], head)


def _stamped(plain: bytes, head: Head) -> bytes:
    return LITTLE + _STAMP.pack(*divmod(held_ns(head.stamp_ns), NS_PER_S)) + plain[
        ORIGIN + _STAMP.size:]
