# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The one place that decides what a time stamp means for a stream."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Optional, Tuple

NS_PER_S = 1_000_000_000


class Arrival(Enum):
    """What a message's stamp says about its place in the stream."""

    FIRST = 'first'  # nothing came before it
    STEP = 'step'  # later than the last one
    DUPLICATE = 'duplicate'  # the same stamp again: dropped
    LATE = 'late'  # a little back in time: dropped
    GAP = 'gap'  # so late after the last one that the stream starts anew
    JUMP = 'jump'  # so far back in time that the stream starts anew (a looped bag)


ACCEPTED = frozenset({Arrival.FIRST, Arrival.STEP, Arrival.GAP, Arrival.JUMP})
RESTARTS = frozenset({Arrival.FIRST, Arrival.GAP, Arrival.JUMP})


@dataclass(frozen=True)
class TimePolicy:
    """Thresholds in nanoseconds beyond which a stream starts anew."""

    gap_reset_ns: int = 5 * NS_PER_S
    jump_reset_ns: int = 1 * NS_PER_S

    @classmethod
    def from_seconds(cls, gap_reset_s: float, jump_reset_s: float) -> 'TimePolicy':
        """Return the policy for thresholds in seconds."""
        return cls(round(gap_reset_s * NS_PER_S), round(jump_reset_s * NS_PER_S))


def arrive(last_ns: Optional[int], stamp_ns: int, policy: TimePolicy) -> Tuple[Arrival, float]:
    """
    Return what a stamp means and dt.

    last_ns: stamp of the last accepted message, None before the first.
    stamp_ns: integer nanoseconds.
    Returns (arrival, dt_s); dt_s is positive for STEP and 0.0 otherwise.
    """
    if last_ns is None:
        return Arrival.FIRST, 0.0
    delta_ns = stamp_ns - last_ns
    if delta_ns == 0:
        return Arrival.DUPLICATE, 0.0
    if delta_ns < 0:
        return (Arrival.JUMP if -delta_ns > policy.jump_reset_ns else Arrival.LATE), 0.0
    if delta_ns > policy.gap_reset_ns:
        return Arrival.GAP, 0.0
    return Arrival.STEP, delta_ns / NS_PER_S


def seconds_to_ns(text: str) -> int:
    """
    Return integer nanoseconds for a decimal number of seconds.

    Digits are kept as they are written, with no detour through a float: epoch seconds
    with nine decimals do not fit into one.
    Errors: ValueError where the text is not a decimal number, or its nanoseconds do not fit
    into 64 bits.
    """
    try:
        stamp_ns = (Decimal(text.strip()) * NS_PER_S).to_integral_value()
        if -2**63 <= stamp_ns < 2**63:
            return int(stamp_ns)
    except ArithmeticError:  # no number, NaN, or beyond what Decimal holds
        pass
    raise ValueError(f'got {text!r}, expected seconds as a decimal number')


def ns_to_seconds_text(stamp_ns: int) -> str:
    """Return seconds with nine decimals, exact for every integer."""
    sign = '-' if stamp_ns < 0 else ''
    whole, fraction = divmod(abs(stamp_ns), NS_PER_S)
    return f'{sign}{whole}.{fraction:09d}'
