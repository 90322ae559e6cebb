# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The node's parameters: one source for descriptors, checks, YAML and the README's table."""

from dataclasses import dataclass, field, fields
import difflib
import math
import re
from typing import Any, Dict, Iterable, Mapping, NamedTuple, Optional, Tuple, Union

from liquid_ros.errors import ParameterError
from liquid_ros.presets import PRESETS

ANY_TIME = 'at any time'
UNCONFIGURED = 'while unconfigured'
AT_START = 'at start only'

TYPES = ('pose', 'point', 'pose_with_covariance', 'transform', 'tf', 'pose_array', 'odometry',
         'path', 'fix')

TF_TOPIC = '/tf'

Value = Union[bool, int, float, str, Tuple[str, ...]]


class Spec(NamedTuple):
    """What is known of a parameter: bounds are inclusive, but above is not."""

    name: str
    default: Value
    description: str
    unit: str
    minimum: Optional[float]
    above: Optional[float]
    least: Optional[float]  # what is smaller must be 0
    maximum: Optional[float]
    choices: Tuple[str, ...]
    changes: str  # ANY_TIME, UNCONFIGURED or AT_START
    per_input: bool  # also to be given as <input>.<name>

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
            return f'one of {", ".join(choice or repr(choice) for choice in self.choices)}'
        kind = {bool: 'true or false', int: 'an integer', float: 'a number', str: 'a text',
                tuple: 'a list of different names (letters, digits, _) that are no parameters'}
        bounds = [f'{sign} {bound}' for sign, bound in (
            ('>', self.above), ('0 or >=', self.least),
            ('>=', self.minimum if self.least is None else None), ('<=', self.maximum))
            if bound is not None]
        words = [kind[type(self.default)], ' and '.join(bounds), self.unit]
        return ' '.join(word for word in words if word)

    def check(self, value: Any) -> Value:
        """
        Return the value in the parameter's own type; an int is taken for a number.

        Errors: ParameterError that names the parameter, what came and what was expected.
        """
        kind = type(self.default)
        taken = float(value) if kind is float and type(value) is int else value
        if kind is tuple and isinstance(value, (list, tuple, type(None))):
            taken = tuple(name for name in value or () if name != '')
        if type(taken) is not kind or not self._allows(taken):
            raise ParameterError(f'{self.name}: got {value!r}, expected {self.expected()}')
        return taken  # type: ignore[no-any-return]

    def _allows(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        if isinstance(value, tuple):
            return len(set(value)) == len(value) and all(
                isinstance(name, str) and re.fullmatch('[A-Za-z][A-Za-z0-9_]*', name)
                and name not in (*SPECS, 'qos_overrides') for name in value)
        if isinstance(value, float) and not math.isfinite(value):
            return False
        return ((self.least is None or value == 0 or value >= self.least)
                and (self.minimum is None or value >= self.minimum)
                and (self.above is None or value > self.above)
                and (self.maximum is None or value <= self.maximum))


def _node(default: Value, description: str, changes: str, *, unit: str = '',
          minimum: Optional[float] = None, above: Optional[float] = None,
          least: Optional[float] = None, maximum: Optional[float] = None,
          choices: Tuple[str, ...] = (), per_input: bool = False) -> Any:
    return field(default=default, metadata={
        'description': description, 'unit': unit, 'minimum': minimum, 'above': above,
        'least': least, 'maximum': maximum, 'choices': choices, 'changes': changes,
        'per_input': per_input})


def _input(default: Value, description: str, changes: str, **bounds: Any) -> Any:
    return _node(default, description, changes, per_input=True, **bounds)


@dataclass(frozen=True)
class Params:
    """The parameters of smoother_node, or of one of its inputs."""

    inputs: Tuple[str, ...] = _node(
        (), 'Names of several inputs. Each parameter marked * can then be given as '
        '<name>.<parameter>, too. Empty: one input, which has no name.', AT_START)
    preset: str = _input(
        'default', 'The kind of sensor: values for the parameters that are not given.',
        AT_START, choices=tuple(PRESETS))
    input_topic: str = _input(
        'pose', 'Topic of the noisy input; a relative name lands in the namespace of the node. '
        'Of an input with a name: that name; of a tf at start: /tf.', UNCONFIGURED)
    input_type: str = _input(
        'pose', 'What the input carries, and the output: PoseStamped, PointStamped, '
        'PoseWithCovarianceStamped, TransformStamped, TFMessage (needs tf2_msgs), PoseArray, '
        'Odometry, Path or NavSatFix.', UNCONFIGURED, choices=TYPES)
    streams: str = _input(
        '', 'Which streams of a transform or tf are used: patterns, between blanks or commas, of '
        'child frames, of tf also of parent:child, such as tag* or odom:base_link (in a file in '
        'quotes); empty: all. Others are as if they had not come.', ANY_TIME)
    output_topic: str = _input(
        '', 'Topic of the smooth output; empty: <input_topic>/smoothed, of a named tf '
        '<name>/smoothed.', UNCONFIGURED)
    frame_id: str = _input(
        '', 'The only frame used, and that of messages which name none; empty: any, and another '
        'than the last begins anew. Of a fix: of odometry, path; fixed; empty: map.', ANY_TIME)
    datum: str = _input(
        '', "Where a fix's frame is: 48.1372, 11.5756, 519.0; empty: at the first.", UNCONFIGURED)
    smoother: str = _node(
        'liquid', 'Name of the smoother in the registry.', UNCONFIGURED)
    checkpoint: str = _node(
        '', 'The weights: path of a .safetensors file, package://PACKAGE/PATH, or a name of those '
        'the package ships; empty: those of the smoother. Streams go on where they fit.', ANY_TIME)
    device: str = _node(
        'auto', 'Where the smoother runs; auto measures CUDA and the CPU in configure where an '
        'input has arrays, else takes the CPU, which is faster for one stream; '
        'fastest measures for all.',
        UNCONFIGURED, choices=('auto', 'fastest', 'cuda', 'cpu'))
    require_device: bool = _node(
        False, 'Fail to configure where there is no CUDA device; auto takes it for any input.',
        UNCONFIGURED)
    smoothing: float = _input(
        0.0, 'From -1, responsive, to 1, smooth; 0 is as trained. Does nothing for the smoother '
        'liquid_direct.',
        ANY_TIME, minimum=-1.0, maximum=1.0)
    gate_probability: float = _input(
        0.0, 'How likely a good message is taken for an outlier; 0 leaves that to the weights. '
        'Only the smoothers liquid and kalman_gated have such a gate.',
        ANY_TIME, minimum=0.0, maximum=0.5)
    gap_reset_s: float = _input(
        5.0, 'A silence longer than this, by the stamps, starts the stream anew.',
        ANY_TIME, unit='s', above=0.0, maximum=86400.0)
    jump_reset_s: float = _input(
        1.0, 'A stamp, or the clock, further back than this starts the stream anew (a bag that '
        'loops); a stamp less far back is dropped as late.',
        ANY_TIME, unit='s', above=0.0, maximum=86400.0)
    zero_stamp: str = _input(
        'reject', 'What becomes of a message whose stamp is zero.',
        ANY_TIME, choices=('reject', 'use_receive_time'))
    future_s: float = _input(
        1.0, 'A stamp further ahead of the clock than this is warned of.',
        ANY_TIME, unit='s', above=0.0, maximum=86400.0)
    reorder_s: float = _input(
        0.0, 'How long, by the stamps, a message is held back for older ones that come late; '
        'it goes out when one comes that is so much later, or after as long a silence, a second '
        'at least. 0 holds none, and no more than 1000 messages a stream are held; ~/save_state '
        'does not save them. Does nothing for input_type path.',
        ANY_TIME, unit='s', minimum=0.0, least=0.001, maximum=10.0)
    publish_rate_hz: float = _input(
        0.0, 'Publish predictions to the present at this rate; 0: one output a message. Does '
        'nothing for input_type path.',
        ANY_TIME, unit='Hz', minimum=0.0, least=0.01, maximum=1000.0)
    hold_timeout_s: float = _input(
        0.5, 'At publish_rate_hz, how long after a message predictions go on (and reorder_s '
        'longer).',
        ANY_TIME, unit='s', above=0.0, maximum=60.0)
    lookahead_s: float = _input(
        0.0, 'Predict each output so far ahead of its stamp, and stamp it so. Does nothing for '
        'input_type path.',
        ANY_TIME, unit='s', minimum=0.0, maximum=10.0)
    publish_odometry: bool = _input(
        False, 'Publish nav_msgs/Odometry at <input_topic>/odometry (of a tf with a name '
        '<name>/odometry): pose, twist and the covariance of both.', UNCONFIGURED)
    publish_tf: bool = _input(
        False, 'Publish the smooth poses to /tf; needs tf2_msgs.', UNCONFIGURED)
    child_frame: str = _input(
        '', "The body's frame in odometry and TF. Empty: the input's child_frame_id or the last "
        'word of its topic, with _smoothed behind it (_0_smoothed, ... in a PoseArray). Of '
        'an input with many streams: what their places or frames go behind, <child_frame>_0; of '
        'tf _smoothed goes behind that.', UNCONFIGURED)
    path_topic: str = _input(
        '', 'Topic of the nav_msgs/Path, or of one for each stream below it; empty: '
        '<input_topic>/path, of a tf with a name <name>/path.', UNCONFIGURED)
    path_length: int = _input(
        200, 'How many of the newest poses the path keeps; 0 publishes none.',
        ANY_TIME, minimum=0, maximum=10000)
    path_rate_hz: float = _input(
        2.0, 'How often the path is published while it changes.',
        ANY_TIME, unit='Hz', minimum=0.01, maximum=100.0)
    path_smoothed: bool = _input(
        False, 'The path in hindsight: each pose corrected by those that came after it (RTS); '
        'takes about 0.1 ms a pose each time it is published. Not for input_type path.',
        UNCONFIGURED)
    max_streams: int = _input(
        256, 'How many streams an input may have: frames or places in a PoseArray. '
        'Those there are stay.',
        ANY_TIME, minimum=1, maximum=100000)
    no_data_s: float = _node(
        5.0, 'Warn of an input that has been silent for so long, by the wall clock.',
        ANY_TIME, unit='s', above=0.0, maximum=86400.0)
    debug: bool = _node(
        False, 'Publish what the smoother thinks as plain numbers at ~/debug/...', UNCONFIGURED)
    state_file: str = _node(
        '', 'File of ~/save_state and ~/load_state.', ANY_TIME)
    autostart: bool = _node(
        False, 'Configure and activate without waiting for a lifecycle manager; the launch file '
        'does that from outside and keeps this false.', AT_START)


SPECS: Dict[str, Spec] = {}
SPECS.update({
    entry.name: Spec(entry.name, entry.default, *(  # type: ignore[arg-type]
        entry.metadata[key] for key in Spec._fields[2:]))
    for entry in fields(Params)})


def from_mapping(values: Mapping[str, Any]) -> Params:
    """
    Return the parameters with these values, the others at their defaults.

    Errors: ParameterError for an unknown name, a wrong type or a value out of range.
    """
    return Params(**_checked(values, ()))


def find(name: str, inputs: Iterable[str]) -> Optional[Spec]:
    """Return what is known of a parameter, <input>.<name> among them; None for any other."""
    head, _, tail = name.partition('.')
    if tail and head in inputs and tail in SPECS and SPECS[tail].per_input:
        return SPECS[tail]._replace(name=name)
    return SPECS.get(name)


def resolve(given: Mapping[str, Any]) -> Dict[str, Value]:
    """
    Return every parameter's value, <input>.<name> among them, for those that were given.

    An input's own value comes before one for all inputs, and both before its preset.
    Errors: ParameterError for an unknown name, a wrong type or a value out of range.
    """
    inputs = SPECS['inputs'].check(given.get('inputs', ()))
    given = _checked(given, inputs)  # type: ignore[arg-type]
    values = {**{n: spec.default for n, spec in SPECS.items()},
              **PRESETS.get(given.get('preset', 'default'), {}), **given}
    if values['input_type'] == 'tf' and 'input_topic' not in given:
        values['input_topic'] = TF_TOPIC
    for name in inputs:  # type: ignore[union-attr]
        own = {n: given[f'{name}.{n}'] for n in SPECS if f'{name}.{n}' in given}
        top = {n: value for n, value in given.items() if n in SPECS}
        kind = PRESETS.get(own.get('preset', top.get('preset', 'default')), {})
        is_tf = {**kind, **top, **own}.get('input_type') == 'tf'
        for n, spec in SPECS.items():
            if spec.per_input:
                fallback = spec.default if n != 'input_topic' else TF_TOPIC if is_tf else name
                values[f'{name}.{n}'] = own.get(n, top.get(n, kind.get(n, fallback)))
    return values


def of_input(values: Mapping[str, Value], name: str) -> Params:
    """Return the parameters of an input, '' for the only one, from all that resolve() gave."""
    prefix = f'{name}.' if name else ''
    return Params(**{n: values[prefix + n if spec.per_input else n]  # type: ignore[arg-type]
                     for n, spec in SPECS.items()})


def _checked(values: Mapping[str, Any], inputs: Iterable[str]) -> Dict[str, Any]:
    checked = {}
    for name, value in values.items():
        spec = find(name, inputs)
        if spec is None:
            raise ParameterError(f'got parameter {unknown(name)}')
        checked[name] = spec.check(value)
    return checked


def unknown(name: str, known: Iterable[str] = ()) -> str:
    """Return words for a name that is no parameter, with the nearest known one (else of SPECS)."""
    head, _, tail = name.partition('.')
    if tail in SPECS and SPECS[tail].per_input:
        return f'{name!r}, of an input that inputs does not name: expected inputs: [{head}]'
    near = difflib.get_close_matches(name, list(known) or list(SPECS), n=1, cutoff=0.0)
    return f'{name!r}, which this node does not have; the nearest is {near[0]!r}'
