# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Parameters between ROS and the dataclass."""

from typing import Any, List, Mapping, Sequence

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from liquid_ros.errors import ParameterError
from liquid_ros.params import ANY_TIME, from_mapping, Params, Spec, SPECS, unknown

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


def declare(node: Node) -> Params:
    """
    Declare every parameter with the value the command line or a YAML file gives it.

    Errors: ParameterError that names the parameter, what came and what was expected.
    """
    given = {name: value for name, value in overrides(node).items() if name in SPECS}
    params = from_mapping(given)
    for name, spec in SPECS.items():
        node.declare_parameter(
            name, getattr(params, name), descriptor(spec), ignore_override=True)
    return params


def overrides(node: Node) -> Mapping[str, Any]:
    """Return the values given for this node from outside; rclpy has no public way to ask."""
    return {name: parameter.value for name, parameter in node._parameter_overrides.items()}


def misspelt(node: Node, prefix: str = '') -> List[str]:
    """Return a sentence for each given name with the prefix that the node has not declared."""
    known = [*SPECS, *(n for n in node._parameters if n.startswith(QOS_PREFIX))]
    return [f'ignored parameter {unknown(name, known)}' for name in sorted(overrides(node))
            if name.startswith(prefix) and not node.has_parameter(name)
            and (prefix or not name.startswith(QOS_PREFIX))]


def accept(wanted: Sequence[Parameter], configured: bool) -> List[Parameter]:
    """
    Return the parameters to set, whole numbers made doubles where one is expected.

    Names that are not this node's own pass through.
    Errors: ParameterError for a wrong type or range, or one that cannot change now.
    """
    accepted = []
    for parameter in wanted:
        spec = SPECS.get(parameter.name)
        if spec is None:
            accepted.append(parameter)
            continue
        value = spec.check(parameter.value)
        if spec.read_only or (configured and spec.changes != ANY_TIME):
            when = '' if spec.read_only else '; clean the node up first'
            raise ParameterError(
                f'{spec.name}: got {value!r}, but it can change {spec.changes}{when}')
        accepted.append(Parameter(spec.name, value=value))
    return accepted
