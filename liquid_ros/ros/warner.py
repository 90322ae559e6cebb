# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Warnings that come again and again, told now and then."""

from time import monotonic
from typing import Any, Callable, Dict

WARN_EVERY_S = 10.0


class Warner:
    """Warns of each thing at most once in ten seconds."""

    def __init__(self, node: Any) -> None:
        """Take the node that logs."""
        self._logger = node.get_logger()
        self._said_at: Dict[str, float] = {}

    def __call__(self, thing: str, text: Callable[[], str]) -> None:
        """Warn, unless it was done a moment ago; the text is made only then."""
        now = monotonic()
        if now - self._said_at.get(thing, -WARN_EVERY_S) >= WARN_EVERY_S:
            self._said_at[thing] = now
            self._logger.warning(text())
