# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The node's parameters: one source for descriptors, checks, YAML and the README's table."""

from dataclasses import dataclass, field, fields
import difflib
import math
import textwrap
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple, Union

from liquid_ros.errors import ParameterError

ANY_TIME = 'at any time'
UNCONFIGURED = 'while unconfigured'
AT_START = 'at start only'

Value = Union[bool, int, float, str]


class Spec(NamedTuple):
    """What is known of a parameter: bounds are inclusive, but above is not."""

    name: str
    default: Value
    description: str
    unit: str
    minimum: Optional[float]
    above: Optional[float]
    maximum: Optional[float]
    choices: Tuple[str, ...]
    changes: str  # ANY_TIME, UNCONFIGURED or AT_START

    @property
    def read_only(self) -> bool:
        """Return True where the value is taken at start and never changes."""
        return self.changes == AT_START

    @property
    def bounded(self) -> bool:
        """Return True where not every value of the type will do."""
        return bool(self.choices) or self.maximum is not None

    def expected(self) -> str:
        """Return what a value must be, in words."""
        if self.choices:
            return f'one of {", ".join(self.choices)}'
        kind = {bool: 'true or false', int: 'an integer', float: 'a number', str: 'a text'}
        bounds = [f'{sign} {bound}' for sign, bound in (
            ('>', self.above), ('>=', self.minimum), ('<=', self.maximum)) if bound is not None]
        words = [kind[type(self.default)], ' and '.join(bounds), self.unit]
        return ' '.join(word for word in words if word)

    def check(self, value: Any) -> Value:
        """
        Return the value in the parameter's own type; an int is taken for a number.

        Errors: ParameterError that names the parameter, what came and what was expected.
        """
        kind = type(self.default)
        taken = float(value) if kind is float and type(value) is int else value
        if type(taken) is not kind or not self._allows(taken):
            raise ParameterError(f'{self.name}: got {value!r}, expected {self.expected()}')
        return taken  # type: ignore[no-any-return]

    def _allows(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        if isinstance(value, float) and not math.isfinite(value):
            return False
        return ((self.minimum is None or value >= self.minimum)
                and (self.above is None or value > self.above)
                and (self.maximum is None or value <= self.maximum))


def _parameter(default: Value, description: str, changes: str, *, unit: str = '',
               minimum: Optional[float] = None, above: Optional[float] = None,
               maximum: Optional[float] = None, choices: Tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={
        'description': description, 'unit': unit, 'minimum': minimum, 'above': above,
        'maximum': maximum, 'choices': choices, 'changes': changes,
        'read_only': changes == AT_START})


@dataclass(frozen=True)
class Params:
    """The parameters of smoother_node."""

    input_topic: str = _parameter(
        'pose', 'Topic of the noisy input; a relative name lands in the namespace of the node.',
        UNCONFIGURED)
    input_type: str = _parameter(
        'pose', 'What the input carries: pose (geometry_msgs/PoseStamped) or point '
        '(geometry_msgs/PointStamped). The output has the same type.',
        UNCONFIGURED, choices=('pose', 'point'))
    output_topic: str = _parameter(
        '', 'Topic of the smooth output; empty: <input_topic>/smoothed.', UNCONFIGURED)
    path_topic: str = _parameter(
        '', 'Topic of the nav_msgs/Path; empty: <input_topic>/path.', UNCONFIGURED)
    path_length: int = _parameter(
        200, 'How many of the newest poses the path keeps; 0 publishes none.',
        ANY_TIME, minimum=0, maximum=10000)
    path_rate_hz: float = _parameter(
        2.0, 'How often the path is published while it changes.',
        ANY_TIME, unit='Hz', above=0.0, maximum=100.0)
    smoother: str = _parameter(
        'liquid', 'Name of the smoother in the registry.', UNCONFIGURED)
    checkpoint: str = _parameter(
        '', 'Path of the .safetensors file with the weights; empty: those the package ships.',
        UNCONFIGURED)
    device: str = _parameter(
        'auto', 'Where the smoother runs; auto takes CUDA where there is a device, else the CPU.',
        UNCONFIGURED, choices=('auto', 'cuda', 'cpu'))
    require_device: bool = _parameter(
        False, 'Fail to configure where auto finds no CUDA device, instead of using the CPU.',
        UNCONFIGURED)
    gap_reset_s: float = _parameter(
        5.0, 'A silence longer than this, by the stamps, starts the stream anew.',
        ANY_TIME, unit='s', above=0.0, maximum=86400.0)
    jump_reset_s: float = _parameter(
        1.0, 'A stamp further back than this starts the stream anew (a bag that loops); '
        'one less far back is dropped as late.',
        ANY_TIME, unit='s', above=0.0, maximum=86400.0)
    autostart: bool = _parameter(
        False, 'Configure and activate without waiting for a lifecycle manager; the launch file '
        'does that from outside and keeps this false.', AT_START)


SPECS: Dict[str, Spec] = {
    entry.name: Spec(entry.name, entry.default, *(  # type: ignore[arg-type]
        entry.metadata[key] for key in Spec._fields[2:]))
    for entry in fields(Params)}


def from_mapping(values: Mapping[str, Any]) -> Params:
    """
    Return the parameters with these values, the others at their defaults.

    Errors: ParameterError for an unknown name, a wrong type or a value out of range.
    """
    checked = {}
    for name, value in values.items():
        if name not in SPECS:
            raise ParameterError(f'got parameter {unknown(name)}')
        checked[name] = SPECS[name].check(value)
    return Params(**checked)  # type: ignore[arg-type]


def unknown(name: str, known: Iterable[str] = ()) -> str:
    """Return words for a name that is no parameter, with the nearest known one (else of SPECS)."""
    near = difflib.get_close_matches(name, list(known) or list(SPECS), n=1, cutoff=0.0)
    return f'{name!r}, which this node does not have; the nearest is {near[0]!r}'


def yaml_text() -> str:
    """Return config/smoother.yaml: every parameter at its default, its description above it."""
    lines = [
        '# Copyright 2026 the liquid_ros authors',
        '# SPDX-License-Identifier: Apache-2.0',
        '',
        '# Every parameter of smoother_node at its default; liquid_ros/params.py is the source.',
        '/**:',
        '  ros__parameters:']
    for spec in SPECS.values():
        tells = f'{spec.expected()}; ' if spec.bounded else ''
        for note in (spec.description, f'({tells}can change {spec.changes})'):
            lines += textwrap.wrap(note, 99, initial_indent='    # ', subsequent_indent='    # ',
                                   break_on_hyphens=False)
        lines.append(f'    {spec.name}: {_yaml(spec.default)}')
    return '\n'.join(lines) + '\n'


def markdown_table() -> str:
    """Return the README's table of parameters."""
    rows: List[Tuple[str, ...]] = [
        ('parameter', 'default', 'what it does', 'can change'), ('---',) * 4]
    for spec in SPECS.values():
        rows.append((f'`{spec.name}`', f'`{_yaml(spec.default)}`',
                     spec.description + (f' ({spec.expected()})' if spec.bounded else ''),
                     spec.changes))
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows) + '\n'


def _yaml(value: Value) -> str:
    if isinstance(value, bool):
        return 'true' if value else 'false'
    return (value or "''") if isinstance(value, str) else repr(value)
