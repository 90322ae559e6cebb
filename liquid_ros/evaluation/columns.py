# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Which of a CSV's columns are the time and the 3 or 7 numbers, by what they are called.

t x y z qx qy qz qw first; else names that end alike, as other programs write them: those of
EuRoC (p_RS_R_x [m], #timestamp in ns), of PlotJuggler (/pose/pose/position/x), of messages
(pose.orientation.w, header.stamp.sec beside header.stamp.nanosec).
"""

from functools import partial
import re
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from liquid_ros.errors import InputError
from liquid_ros.evaluation.sample import POSE_FIELDS
from liquid_ros.timing import seconds_to_ns

POSITION = {'p', 'pos', 'position', 'translation'}
ROTATION = {'q', 'quat', 'quaternion', 'orientation', 'rotation', 'rot'}
ANGLES = {'roll', 'pitch', 'yaw', 'theta', 'heading'}
STAMPS, CLOCKS = {'stamp', 'timestamp'}, {'time', 't'}
SECONDS, NANOSECONDS = 0, -9  # powers of ten of a second
UNITS = {**dict.fromkeys(('s', 'sec', 'secs', 'second', 'seconds'), SECONDS),
         **dict.fromkeys(('ms', 'msec', 'msecs', 'milliseconds'), -3),
         **dict.fromkeys(('us', 'usec', 'usecs', 'microseconds'), -6),
         **dict.fromkeys(('ns', 'nsec', 'nsecs', 'nanosec', 'nanosecs', 'nanoseconds'),
                         NANOSECONDS)}
NOT_METRES = {'mm', 'cm', 'dm', 'km', 'um', 'in', 'ft', 'inch', 'inches', 'feet', 'millimeters',
              'millimetres', 'centimeters', 'centimetres'}
DIGITS = 18  # of a whole number that can be no seconds: these would not fit into 64 bits of ns

ToNs = Callable[[str], int]

# The name of a CSV's time column says its unit.
TIME_COLUMNS: Dict[str, ToNs] = {'t': seconds_to_ns, 'stamp': seconds_to_ns, 'stamp_ns': int}


class Layout(NamedTuple):
    """
    Where the time and the 3 or 7 numbers of a row stand among a line's columns.

    times: columns whose sum is the stamp, and what makes nanoseconds of each. unread: names of
    columns that have to do with rotations, where none are read.
    """

    columns: int
    times: Tuple[Tuple[int, ToNs], ...]
    numbers: Tuple[int, ...]
    unread: Tuple[str, ...] = ()


def layout_of(names: Sequence[str], what: str) -> Layout:
    """
    Return where things stand under these names.

    Errors: InputError, which begins with what, where one is missing or there are two.
    """
    plain = [re.sub(r'[\[(].*', '', name).strip().lower() for name in names]
    own = [(i, TIME_COLUMNS[name]) for i, name in enumerate(plain) if name in TIME_COLUMNS
           and (name == 'stamp_ns' or _unit(names[i]) is None)]  # a unit counts
    times = own[:len(own) == 1] if own else _times(names)
    found = [_field(name) for name in names]
    at = {field: [i for i, name in enumerate(plain) if name == field]
          or [i for i, name in enumerate(found) if name == field] for field in POSE_FIELDS}
    twice = [field for field in POSE_FIELDS if len(at[field]) > 1]
    whole = all(at[field] for field in POSE_FIELDS)
    torn = not whole and any(field in plain for field in POSE_FIELDS[3:])
    if not times or twice or torn or not all(at[field] for field in POSE_FIELDS[:3]):
        raise InputError(
            f'{what}: got the CSV header {",".join(names)!r}, expected one of t, stamp, stamp_ns, '
            'then x y z and optionally qx qy qz qw, with commas between them'
            + (f'; got more than one {", ".join(twice)}' if twice else ''))
    for unit in (_unit(names[at[field][0]]) for field in POSE_FIELDS[:3]):
        if unit is not None and unit.lower() in NOT_METRES:
            raise InputError(f'{what}: got x y z in {unit} by the CSV header '
                             f'{",".join(names)!r}, expected m')
    fields = POSE_FIELDS if whole else POSE_FIELDS[:3]
    unread = [] if whole else [name.strip() for name, field in zip(names, found)
                               if field.startswith('q') or ANGLES & set(_words(name))]
    return Layout(len(names), tuple(times), tuple(at[field][0] for field in fields),
                  tuple(unread))


def _unit(name: str) -> Optional[str]:
    """Return the first word in brackets behind a name, None without brackets."""
    found = re.search(r'[\[(]\s*(\w*)', name)
    return found[1] if found else None


def _words(name: str) -> List[str]:
    return re.findall('[a-z]+', re.sub('([a-z])([A-Z])', r'\1 \2', name).lower())


def _field(name: str) -> str:
    """Return which of POSE_FIELDS a name is, '' for none."""
    *before, last = _words(re.sub(r'[\[(].*', '', name)) or ['']
    if re.fullmatch('q[xyzw]', last):
        return last
    if re.fullmatch('[pt][xyz]', last) or last in ('x', 'y', 'z') and POSITION & set(before):
        return last[-1]
    return f'q{last}' if last in ('x', 'y', 'z', 'w') and ROTATION & set(before) else ''


def _times(names: Sequence[str]) -> List[Tuple[int, ToNs]]:
    """Return where stamps stand, else times; seconds and nanoseconds may have a column each."""
    for wanted in (STAMPS, CLOCKS):
        found = []
        for i, name in enumerate(names):
            words = _words(name)
            unit = UNITS[words.pop()] if len(words) > 1 and words[-1] in UNITS else None
            if words and words[-1] in wanted:
                found.append((i, words, unit))
        if len(found) == 1:
            (i, _, unit), = found
            return [(i, _seconds_or_ns if unit is None else partial(seconds_to_ns, power=unit))]
        if len(found) == 2 and found[0][1] == found[1][1] and sorted(
                unit for _, _, unit in found if unit is not None) == [NANOSECONDS, SECONDS]:
            return [(i, partial(seconds_to_ns, power=unit or 0)) for i, _, unit in found]
        if found:
            return []
    return []


def _seconds_or_ns(text: str) -> int:
    digits = text.strip()
    return int(digits) if digits.isdigit() and len(digits) >= DIGITS else seconds_to_ns(text)
