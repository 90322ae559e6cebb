# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
Which of a CSV's columns are the time and the 3 or 7 numbers, by what they are called.

t x y z qx qy qz qw first; else names that end alike, as other programs write them: those of
EuRoC (p_RS_R_x [m]), of PlotJuggler (/pose/pose/position/x), of messages (pose.orientation.w).
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
UNITS = {'s': 0, 'sec': 0, 'secs': 0, 'seconds': 0, 'ms': -3, 'us': -6, 'ns': -9, 'nsec': -9}

# The name of a CSV's time column says its unit.
TIME_COLUMNS: Dict[str, Callable[[str], int]] = {
    't': seconds_to_ns, 'stamp': seconds_to_ns, 'stamp_ns': int}


class Layout(NamedTuple):
    """
    Where the time and the 3 or 7 numbers of a row stand among a line's columns.

    unread: names of columns that have to do with rotations, where none are read.
    """

    columns: int
    time: int
    to_ns: Callable[[str], int]
    numbers: Tuple[int, ...]
    unread: Tuple[str, ...] = ()


def layout_of(names: Sequence[str], what: str) -> Layout:
    """
    Return where things stand under these names.

    Errors: InputError, which begins with what, where one is missing or there are two.
    """
    plain = [name.strip().lower() for name in names]
    times = [i for i, name in enumerate(plain) if name in TIME_COLUMNS]
    to_ns = TIME_COLUMNS[plain[times[0]]] if times else seconds_to_ns
    if not times:
        times, to_ns = _time(names)
    fields = [_field(name) or '' for name in names]
    numbers = _numbers(plain) or _numbers(fields)
    if len(times) != 1 or not numbers:
        twice = [field for field in POSE_FIELDS if fields.count(field) > 1]
        raise InputError(
            f'{what}: got the CSV header {",".join(plain)!r}, expected one of t, stamp, stamp_ns, '
            'then x y z and optionally qx qy qz qw, with commas between them'
            + (f'; got more than one {", ".join(twice)}' if twice and len(numbers) == 0 else ''))
    turns = [name for name, field in zip(plain, fields) if len(numbers) == 3 and (
        field.startswith('q') or ANGLES & set(_words(name)))]
    return Layout(len(names), times[0], to_ns, tuple(numbers), tuple(turns))


def _numbers(fields: Sequence[str]) -> List[int]:
    """Return where x y z [qx qy qz qw] stand; nothing where one is missing or is there twice."""
    found = [(field, i) for field in POSE_FIELDS for i, name in enumerate(fields) if name == field]
    whole = tuple(field for field, _ in found) in (POSE_FIELDS[:3], POSE_FIELDS)
    return [i for _, i in found] if whole else []


def _words(name: str) -> List[str]:
    return re.findall('[a-z]+', re.sub('([a-z])([A-Z])', r'\1 \2', name).lower())


def _field(name: str) -> Optional[str]:
    """Return which of POSE_FIELDS a name is, None for none."""
    *before, last = _words(re.sub(r'[\[(].*', '', name)) or ['']
    if re.fullmatch('q[xyzw]', last):
        return last
    if re.fullmatch('p[xyz]', last) or last in ('x', 'y', 'z') and POSITION & set(before):
        return last[-1]
    return f'q{last}' if last in ('x', 'y', 'z', 'w') and ROTATION & set(before) else None


def _time(names: Sequence[str]) -> Tuple[List[int], Callable[[str], int]]:
    """Return where stamps stand, else times, and what makes nanoseconds of one."""
    for wanted in (STAMPS, CLOCKS):
        found = []
        for i, name in enumerate(names):
            words = _words(name)
            unit = words.pop() if len(words) > 1 and words[-1] in UNITS else 's'
            if words and words[-1] in wanted:
                found.append((i, UNITS[unit]))
        if found:
            return [i for i, _ in found], partial(seconds_to_ns, power=found[0][1])
    return [], seconds_to_ns
