# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Conditions on a run's figures, for a program that stops where one holds."""

from dataclasses import fields
import operator
import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional

from liquid_ros.errors import ParameterError
from liquid_ros.evaluation.judge import RATIOS
from liquid_ros.evaluation.runs import Row

OPERATORS: Dict[str, Callable[[float, float], bool]] = {
    '>=': operator.ge, '<=': operator.le, '>': operator.gt, '<': operator.lt}

# Of the stream; the figures of the smoother itself and the ratios are told by their names, too.
COUNTS = ('received', 'accepted', 'dropped', 'restarted', 'left_out', 'messages', 'duration_s')
FIGURES = tuple(field.name for field in fields(Row) if field.default is None)
NAMES = RATIOS + FIGURES + COUNTS


class Condition(NamedTuple):
    """A figure's name, a comparison and a number; text: as it was given."""

    text: str
    name: str
    holds: Callable[[float, float], bool]
    limit: float


def parse(text: str) -> Condition:
    """
    Return the condition of a text such as 'rmse_ratio>1.0'.

    Errors: ParameterError where it is none, or names no figure.
    """
    match = re.fullmatch(r'\s*(\w+)\s*(>=|<=|>|<)\s*(\S+)\s*', text)
    try:
        limit = float(match.group(3)) if match else float('nan')
    except ValueError:
        limit = float('nan')
    if match is None or limit != limit:
        raise ParameterError(f'got condition {text!r}, expected NAME>NUMBER, or <, >=, <=')
    if match.group(1) not in NAMES:
        raise ParameterError(f'got {match.group(1)!r} in the condition {text!r}, expected one of '
                             f'{", ".join(NAMES)}')
    return Condition(text.strip(), match.group(1), OPERATORS[match.group(2)], limit)


def failures(conditions: List[Condition], summary: Mapping[str, Any]) -> List[str]:
    """Return, in words, which conditions hold for a summary, and which cannot be told there."""
    out = []
    for condition in conditions:
        value = _value(condition.name, summary)
        if value is None:
            out.append(f'{summary["name"]}: {condition.name} cannot be told, '
                       f'and {condition.text} was asked for')
        elif condition.holds(value, condition.limit):
            out.append(f'{summary["name"]}: {condition.text}: it is {value:.6g}')
    return out


def _value(name: str, summary: Mapping[str, Any]) -> Optional[float]:
    if name in RATIOS:
        return summary['ratios'].get(name)  # type: ignore[no-any-return]
    if name in COUNTS:
        return summary['stream'].get(name)  # type: ignore[no-any-return]
    return next((row[name] for row in summary['rows'] if row['name'] == summary['smoother']), None)
