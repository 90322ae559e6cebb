# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A stream's messages from bytes to bytes in one call, where they differ by stamp and numbers."""

import ctypes
import sys
from typing import Any, Sequence, Tuple

import numpy as np

from liquid_ros.arrays import tangent_size
from liquid_ros.fused import Compiled
from liquid_ros.fusing.way import PIECES, PLAN
from liquid_ros.packing import estimate_layout
from liquid_ros.smoothers.base import Smoother

WHENEVER_NS = 2**63 - 1


class Way:
    """What the messages of one stream have in common, and where the compiled step is."""

    def __init__(self, key: Any, frame: str, width: int, head: bytes, count: int, stamp: int,
                 pieces: Sequence[Tuple[int, int]]) -> None:
        """
        Take what stands before the numbers.

        key, frame: of the stream. head: as it goes out. count: of the numbers, a row and, where
        there are more, those of a pose's covariance and of a twist. stamp: where the stamp
        stands. pieces: where what must be as in head begins and ends.
        """
        self.key, self.frame = key, frame
        # the packed estimate of the last message, and 0.0
        said = estimate_layout(width)
        self.said = np.empty(said.size + 1)
        self._width, self._head = width, head
        self._smoother: Any = None
        self._out = ctypes.create_string_buffer(len(head) + 8 * count)
        self._given = np.full(width + 1 + tangent_size(width), np.nan)
        self._plan = np.zeros(len(PLAN) + 2 * PIECES, np.int64)
        borders = [border for piece in pieces for border in piece]
        self._plan[len(PLAN):len(PLAN) + len(borders)] = borders
        begin = ctypes.cast(ctypes.c_char_p(head), ctypes.c_void_p).value or 0
        self._put(given=self._given.ctypes.data, said=self.said.ctypes.data,
                  last=said.size, variance=said.columns['variance'][0], width=width, count=count,
                  size=len(self._out), stamp=stamp, numbers=len(head), head=begin,
                  out=ctypes.addressof(self._out))
        self.at = self._plan.ctypes.data
        self.call: Any = None

    def _put(self, **numbers: int) -> None:
        for name, number in numbers.items():
            self._plan[PLAN.index(name)] = number

    def fits(self, smoother: Smoother) -> bool:
        """Return whether call() can be called, with that smoother's step."""
        if smoother is not self._smoother:
            self._smoother, self.call = smoother, None
            if isinstance(smoother, Compiled) and sys.byteorder == 'little':
                self.call = smoother.way
                self._put(**smoother.addresses(self._width))
        return self.call is not None

    @property
    def out(self) -> bytes:
        """Return the message that goes out for the last one."""
        return self._out.raw
