# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A writer of float32 where the graph is, float64 elsewhere."""

from typing import Set

import numpy as np

from liquid_ros.fusing.graph import Node, TRUTHS
from liquid_ros.fusing.writer import Writer


class Mixed(Writer):
    """What writers of both types share: which type an operation and a number have."""

    zero = '0'  # of either type
    truth = 'bool'
    wide = True  # of constants

    def expression(self, node: Node, inside: Set[int]) -> str:
        """Return an elementwise operation, in float32 where no argument is wider."""
        self.wide = any(self.nodes[view.node].wide for view in node.args)
        return super().expression(node, inside)

    def constant(self, value: float) -> str:
        """Return a number of the operation's type."""
        with np.errstate(over='ignore'):
            narrow = float(np.float32(value))
        if self.wide or not np.isfinite(narrow):
            return super().constant(value if self.wide else narrow)
        return f'({narrow!r}f)'

    def type(self, n: int) -> str:
        """Return the type of a node's numbers."""
        return 'double' if self.nodes[n].wide else 'float'

    def held(self, n: int) -> str:
        """Return the type of a number in a register."""
        return self.truth if self.nodes[n].what in TRUTHS else self.type(n)


def never(_: object) -> bool:
    """Return False: no elementwise operation needs a loop of its own."""
    return False
