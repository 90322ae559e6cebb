# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Parameters between ROS and the dataclass."""

from typing import Any, Callable, Dict, List, Mapping, Sequence, Set

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from liquid_ros.errors import ParameterError
from liquid_ros.params import ANY_TIME, find, resolve, Spec, SPECS, unknown, Value
from liquid_ros.presets import PRESETS

QOS_PREFIX = 'qos_overrides.'


def descriptor(spec: Spec) -> ParameterDescriptor:
    """Return what ROS tools show of a parameter; a range's edges count as inside to them."""
    described = ParameterDescriptor(
        name=spec.name, description=spec.description, read_only=spec.read_only,
        additional_constraints=f'{spec.expected()}; can change {spec.changes}')
    low = spec.minimum if spec.above is None else spec.above
    if low is not None and spec.maximum is not None:
        if isinstance(spec.default, int):
            described.integer_range = [
                IntegerRange(from_value=int(low), to_value=int(spec.maximum))]
        else:
            described.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(spec.maximum))]
    return described


def declare(node: Node) -> Dict[str, Value]:
    """
    Declare every parameter with the value given from outside, its preset's or its default.

    Return the values by name, those of named inputs as <input>.<name>.
    Errors: ParameterError that names the parameter, what came and what was expected.
    """
    given = overrides(node)
    inputs = SPECS['inputs'].check(given.get('inputs'))
    values = resolve({n: value for n, value in given.items()
                      if find(n, inputs) is not None})  # type: ignore[arg-type]
    for name, value in values.items():
        spec = find(name, inputs)  # type: ignore[arg-type]
        assert spec is not None
        node.declare_parameter(name, _to_ros(value), descriptor(spec), ignore_override=True)
    return values


def _to_ros(value: Value) -> Any:
    # an empty list has no type
    return (list(value) or ['']) if isinstance(value, tuple) else value


def overrides(node: Node) -> Mapping[str, Any]:
    """Return the values given for this node from outside; rclpy has no public way to ask."""
    return {name: parameter.value for name, parameter in node._parameter_overrides.items()}


def overruled(node: Node, values: Mapping[str, Value]) -> List[str]:
    """Return a sentence for each given value that a preset would have set otherwise."""
    told, given = [], overrides(node)
    for full, value in values.items():
        head, _, name = full.rpartition('.')
        preset = str(values[f'{head}.preset' if head else 'preset'])
        if {full, name} & set(given) and PRESETS[preset].get(name, value) != value:
            told.append(f'{full}: {value!r}, as given, comes before the preset {preset!r}')
    return told


def misspelt(node: Node, prefix: str = '') -> List[str]:
    """Return a sentence for each given name with the prefix that the node has not declared."""
    known = [n for n in node._parameters if n in SPECS or '.' in n]
    return [f'ignored parameter {unknown(name, known)}' for name in sorted(overrides(node))
            if name.startswith(prefix) and not node.has_parameter(name)
            and (prefix or not name.startswith(QOS_PREFIX))]


def accept(wanted: Sequence[Parameter], inputs: Sequence[str], configured: bool,
           now: Mapping[str, Value], declared: Callable[[str], bool]) -> List[Parameter]:
    """
    Return the parameters to set, whole numbers made doubles where one is expected.

    What is set for all inputs is set for each that is not named itself. Names that are rclpy's own
    pass through. now: the values there are.
    Errors: ParameterError for a wrong type or range, one that cannot change now, or that is none.
    """
    accepted: Dict[str, Parameter] = {}
    for parameter in wanted:
        spec = find(parameter.name, inputs)
        if spec is None:
            if not declared(parameter.name):
                raise ParameterError(f'got {unknown(parameter.name, now)}')
            accepted[parameter.name] = parameter
            continue
        value = spec.check(parameter.value)
        names = [spec.name]
        if spec.per_input and spec.name in SPECS:
            named = {other.name for other in wanted}
            names += [n for n in (f'{name}.{spec.name}' for name in inputs) if n not in named]
        changed = any(now[name] != value for name in names)
        if changed and (spec.read_only or configured and spec.changes != ANY_TIME):
            when = (spec.changes if spec.read_only else
                    f'only {spec.changes}; clean the node up first')
            raise ParameterError(f'{spec.name}: got {value!r}, but it can change {when}')
        if changed and configured and 'fix' in _types(names, inputs, now):
            raise ParameterError(f'{spec.name}: got {value!r}, but that of a fix can change only '
                                 'while unconfigured, as its datum; clean the node up first')
        if changed or not spec.read_only:  # rclpy refuses those, equal or not
            accepted.update((name, Parameter(name, value=value)) for name in names)
    return list(accepted.values())


def _types(names: Sequence[str], inputs: Sequence[str], now: Mapping[str, Value]) -> Set[Value]:
    """Return the input_type of all inputs of which the frame_id is among the names."""
    return {now[head + 'input_type'] for head, frame, rest in
            (name.partition('frame_id') for name in names)
            if frame and not rest and (head or not inputs)}
