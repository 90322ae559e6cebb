# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Streams of transforms: their names, which a pattern is for, which are smooth already."""

from fnmatch import fnmatchcase
from typing import Sequence

SMOOTHED = '_smoothed'  # behind the child of a transform that goes out to /tf


def stream_name(parent: str, child: str) -> str:
    """Return the name of the stream of two frames."""
    return f'{parent}:{child}'


def fits(name: str, patterns: Sequence[str]) -> bool:
    """Return whether a pattern is for a stream, or for the child frame in its name."""
    # a child may have a colon, as tag36h11:7 has
    both = name, name.partition(':')[2]
    return any(fnmatchcase(one, pattern) for pattern in patterns for one in both)


def is_smooth(name: str) -> bool:
    """Return whether a stream was made by a smoother: its child, or a pattern of such."""
    return name.endswith(SMOOTHED)
