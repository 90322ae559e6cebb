# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The one place that decides what a time stamp means for a stream."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import List, NamedTuple, Optional, Sequence

from liquid_ros.errors import ParameterError

NS_PER_S = 1_000_000_000


class Arrival(Enum):
    """What a message's stamp, or its frame, says about its place in the stream."""

    FIRST = 'first'  # nothing came before it
    STEP = 'step'  # later than the last one
    DUPLICATE = 'duplicate'  # the same stamp again: dropped
    LATE = 'late'  # a little back in time: dropped
    GAP = 'gap'  # so late after the last one that the stream starts anew
    JUMP = 'jump'  # so far back in time that the stream starts anew (a looped bag)
    FRAME = 'frame'  # later, but in another frame: the stream starts anew (StreamBank says so)
    FALSE_START = 'false_start'  # it shows that the first ones were of elsewhere (likewise)
    STAMP_AHEAD = 'stamp_ahead'  # it shows that the last stamp was ahead of its time (likewise)
    ZERO_STAMP = 'zero_stamp'  # the sender left the stamp at zero: dropped


# What follows is no continuation of what went out last.
RESTARTS = frozenset({Arrival.FIRST, Arrival.GAP, Arrival.JUMP, Arrival.FRAME,
                      Arrival.FALSE_START, Arrival.STAMP_AHEAD})
RESETS = RESTARTS - {Arrival.FIRST}
BACK = (Arrival.LATE, Arrival.JUMP)
ACCEPTED = RESTARTS | {Arrival.STEP}

ZERO_STAMPS = ('accept', 'reject', 'use_receive_time')


@dataclass(frozen=True)
class TimePolicy:
    """
    What is made of stamps that are far away, zero or ahead of their time.

    gap_reset_ns, jump_reset_ns: a stamp further ahead, or back, starts the stream anew.
    zero_stamp: accept it as any other (a file may begin at zero), reject it, or use the time of
    receipt in its place; where that is not known, it is rejected.
    future_ns: a stamp further than this after its receipt is accepted and marked.
    Errors: ParameterError for another zero_stamp.
    """

    gap_reset_ns: int = 5 * NS_PER_S
    jump_reset_ns: int = 1 * NS_PER_S
    zero_stamp: str = 'accept'
    future_ns: int = 1 * NS_PER_S

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.zero_stamp not in ZERO_STAMPS:
            raise ParameterError(f'got zero_stamp {self.zero_stamp!r}, expected one of '
                                 f'{", ".join(ZERO_STAMPS)}')

    @classmethod
    def from_seconds(cls, gap_reset_s: float, jump_reset_s: float, zero_stamp: str = 'accept',
                     future_s: float = 1.0) -> 'TimePolicy':
        """Return the policy for thresholds in seconds."""
        return cls(round(gap_reset_s * NS_PER_S), round(jump_reset_s * NS_PER_S), zero_stamp,
                   round(future_s * NS_PER_S))

    def latest_ns(self, stamp_ns: int) -> int:
        """Return up to which stamp others may be, or time has gone back to this one."""
        return stamp_ns + self.jump_reset_ns

    def newer(self, stamps_ns: Sequence[int], last_ns: Optional[int]) -> List[int]:
        """
        Return which of a path's stamps came after its last one, or all where time went back.

        In the order of their stamps; one of 0 is left in, to be judged.
        """
        new: Sequence[int] = range(len(stamps_ns))
        if last_ns is not None and stamps_ns and self.latest_ns(max(stamps_ns)) >= last_ns:
            new = [i for i in new if stamps_ns[i] > last_ns or stamps_ns[i] == 0]
        return sorted(new, key=stamps_ns.__getitem__)


class Arrived(NamedTuple):
    """
    What arrive() answers.

    stamp_ns: the stamp to use; under use_receive_time not always the message's own.
    dt_s: positive for STEP, 0.0 otherwise. future: True for a stamp ahead of its receipt.
    """

    arrival: Arrival
    stamp_ns: int
    dt_s: float = 0.0
    future: bool = False


def arrive(last_ns: Optional[int], stamp_ns: int, policy: TimePolicy,
           received_ns: Optional[int] = None) -> Arrived:
    """
    Return what a stamp means, the stamp to use and dt.

    last_ns: stamp of the last accepted message, None before the first.
    stamp_ns: integer nanoseconds. received_ns: when the message came, on the stamps' own clock;
    None where nobody knows, as in a file.
    """
    future = False
    if stamp_ns == 0 and policy.zero_stamp != 'accept':
        if policy.zero_stamp == 'reject' or received_ns is None:
            return Arrived(Arrival.ZERO_STAMP, stamp_ns)
        stamp_ns = received_ns
    elif received_ns is not None:
        future = stamp_ns - received_ns > policy.future_ns
    if last_ns is None:
        return Arrived(Arrival.FIRST, stamp_ns, 0.0, future)
    delta_ns = stamp_ns - last_ns
    if delta_ns == 0:
        return Arrived(Arrival.DUPLICATE, stamp_ns, 0.0, future)
    if delta_ns < 0:
        jump = -delta_ns > policy.jump_reset_ns
        return Arrived(Arrival.JUMP if jump else Arrival.LATE, stamp_ns, 0.0, future)
    if delta_ns > policy.gap_reset_ns:
        return Arrived(Arrival.GAP, stamp_ns, 0.0, future)
    return Arrived(Arrival.STEP, stamp_ns, delta_ns / NS_PER_S, future)


def plain_step_s(last_ns: Optional[int], stamp_ns: int, policy: TimePolicy,
                 received_ns: Optional[int] = None) -> float:
    """
    Return dt where arrive() has nothing to say but STEP and dt, else 0.0.

    In a quarter of its time; where it says 0.0, arrive() is to be asked.
    """
    if last_ns is None or not stamp_ns or (
            received_ns is not None and stamp_ns - received_ns > policy.future_ns):
        return 0.0
    delta_ns = stamp_ns - last_ns
    return delta_ns / NS_PER_S if 0 < delta_ns <= policy.gap_reset_ns else 0.0


def held_ns(stamp_ns: int) -> int:
    """Return the stamp, or the furthest that a message holds, +-2^31 s."""
    return max(-2**31 * NS_PER_S, min(stamp_ns, 2**31 * NS_PER_S - 1))


def seconds_to_ns(text: str, power: int = 0) -> int:
    """
    Return integer nanoseconds for a decimal number of 10^power seconds.

    Digits are kept as they are written, with no detour through a float: epoch seconds
    with nine decimals do not fit into one.
    Errors: ValueError where the text is not a decimal number, or its nanoseconds do not fit
    into 64 bits.
    """
    hint = ''
    try:
        stamp_ns = (Decimal(text.strip()).scaleb(power) * NS_PER_S).to_integral_value()
        if -2**63 <= stamp_ns < 2**63:
            return int(stamp_ns)
        hint = ' below 2^63 ns: is it in ms, us or ns?' if stamp_ns.is_finite() else ''
    except ArithmeticError:  # no number, NaN, or beyond what Decimal holds
        pass
    raise ValueError(f'got {text!r}, expected {"" if power else "seconds as "}a decimal number'
                     f'{hint}')


def ns_to_seconds_text(stamp_ns: int) -> str:
    """Return seconds with nine decimals, exact for every integer."""
    sign = '-' if stamp_ns < 0 else ''
    whole, fraction = divmod(abs(stamp_ns), NS_PER_S)
    return f'{sign}{whole}.{fraction:09d}'
