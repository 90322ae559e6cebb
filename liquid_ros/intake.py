# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a stream bank is given: whether it fits together, and what of it cannot be used."""

from typing import Dict, Hashable, Iterator, List, NamedTuple, Optional, Sequence, Set

import numpy as np

from liquid_ros.arrays import tangent_size
from liquid_ros.errors import InputError
from liquid_ros.geometry import MAX_VARIANCE, MIN_VARIANCE
from liquid_ros.manifold import MAX_ABS_VALUE, MIN_QUAT_NORM

# Steps that poses of a path must have moved, and of their size what may be rounding.
REVISED, ROUNDING = 5.0, 1e-6


class Messages(NamedTuple):
    """What StreamBank.update() was given."""

    keys: Sequence[Hashable]
    rows: np.ndarray
    frames: Optional[Sequence[str]]
    variances: Optional[np.ndarray]
    received_ns: Optional[Sequence[int]]


def checked(width: int, keys: Sequence[Hashable], stamps_ns: Sequence[int], rows: np.ndarray,
            frames: Optional[Sequence[str]], variances: Optional[np.ndarray],
            received_ns: Optional[Sequence[int]]) -> Messages:
    """
    Return the messages, a variance that cannot be one as NaN.

    Errors: InputError where the lengths or the width do not fit.
    """
    rows = np.asarray(rows, dtype=np.float64)
    count, axes = len(keys), tangent_size(width)
    if rows.shape != (count, width) or len(stamps_ns) != count:
        raise InputError(f'got {count} keys, {len(stamps_ns)} stamps and rows of shape '
                         f'{rows.shape}, expected ({count}, {width})')
    for name, given in (('frames', frames), ('received_ns', received_ns)):
        if given is not None and len(given) != count:
            raise InputError(f'got {len(given)} {name} for {count} keys')
    if variances is not None:
        stated = np.asarray(variances, dtype=np.float64)
        if stated.shape != (count, axes):
            raise InputError(f'got variances of shape {stated.shape}, expected '
                             f'({count}, {axes})')
        usable = (stated > MIN_VARIANCE) & (stated < MAX_VARIANCE)  # NaN compares false
        variances = np.where(usable, stated, np.nan) if usable.any() else None
    return Messages(keys, rows, frames, variances, received_ns)


def refusals(rows: np.ndarray) -> List[Optional[str]]:
    """Return why measured rows (N, width) cannot be used, None where they can."""
    if len(rows) == 1:  # a fifth of the time
        return [refuse(rows[0])]
    usable = (np.abs(rows) < MAX_ABS_VALUE).all(1)  # NaN compares false
    reasons: List[Optional[str]] = [None] * len(rows)
    if rows.shape[1] == 7:
        with np.errstate(over='ignore', invalid='ignore'):
            turned = (rows[:, 3:] * rows[:, 3:]).sum(1) >= MIN_QUAT_NORM**2
        for i in np.flatnonzero(usable & ~turned).tolist():
            reasons[i] = 'zero_quaternion'
    for i in np.flatnonzero(~usable).tolist():
        reasons[i] = 'non_finite'
    return reasons


def refuse(row: np.ndarray) -> Optional[str]:
    """Return why a measured row (width,) cannot be used, None where it can."""
    values = row.tolist()
    for value in values:
        if not -MAX_ABS_VALUE < value < MAX_ABS_VALUE:  # NaN compares false
            return 'non_finite'
    if len(values) == 7:
        x, y, z, w = values[3:]
        if not x * x + y * y + z * z + w * w >= MIN_QUAT_NORM**2:
            return 'zero_quaternion'
    return None


def waves(keys: Sequence[Hashable]) -> Iterator[range]:
    """Yield runs of neighbours in which no key comes twice."""
    start = 0
    seen: Set[Hashable] = set()
    if len(set(keys)) < len(keys):
        for stop, key in enumerate(keys):
            if key in seen:
                yield range(start, stop)
                start, seen = stop, set()
            seen.add(key)
    yield range(start, len(keys))


class Revisions:
    """Tells where a path, whose messages repeat older poses, has moved them."""

    def __init__(self) -> None:
        """Start before the first message."""
        self._at: Dict[int, int] = {}  # by stamp, of the last message, where in it
        self._places: np.ndarray = np.zeros((0, 3))

    def take(self, stamps_ns: Sequence[int], rows: np.ndarray) -> bool:
        """
        Take a message; return whether it is revised, as a map is whose loop is closed.

        That is where the median move of poses that were there before is more than REVISED median
        steps of theirs: an optimiser that shifts its last poses a little leaves the past as it is.
        """
        now: Dict[int, int] = {}
        for i, stamp_ns in enumerate(stamps_ns):
            if stamp_ns:
                now.setdefault(stamp_ns, i)
        pairs = [(i, self._at[stamp_ns]) for stamp_ns, i in now.items() if stamp_ns in self._at]
        at, before = np.array(pairs, int).reshape(-1, 2).T
        places, old = rows[at, :3], self._places[before]
        self._at, self._places = now, rows[:, :3]
        sound = (np.maximum(np.abs(places), np.abs(old)) < MAX_ABS_VALUE).all(1)
        places, old = places[sound], old[sound]
        if len(places) < 2 or np.array_equal(places, old):
            return False
        steps, moves = (np.median(np.linalg.norm(apart, axis=1))
                        for apart in (np.diff(places, axis=0), places - old))
        return bool(moves > REVISED * steps + ROUNDING * (1.0 + np.abs(places).max()))
