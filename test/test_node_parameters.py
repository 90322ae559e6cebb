# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The node's parameters through ROS: descriptors, YAML, changes while running, refusals."""

import dataclasses

import pytest
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from ros_graph import lossless, ROOT, START_NS, walk

from liquid_ros.errors import ParameterError
from liquid_ros.params import Params, SPECS


def ask(graph, **values):
    """Set all of the values at once through the service; return its result."""
    request = SetParametersAtomically.Request(
        parameters=[Parameter(n, value=v).to_parameter_msg() for n, v in values.items()])
    return graph.call(
        SetParametersAtomically, '/smoother/set_parameters_atomically', request).result


def test_descriptors_come_from_the_dataclass(graph):
    """Description, type, range and read_only, as a ROS tool sees them."""
    graph.smoother(active=False)
    request = DescribeParameters.Request(names=list(SPECS))
    told = graph.call(DescribeParameters, '/smoother/describe_parameters', request).descriptors
    types = {bool: ParameterType.PARAMETER_BOOL, int: ParameterType.PARAMETER_INTEGER,
             float: ParameterType.PARAMETER_DOUBLE, str: ParameterType.PARAMETER_STRING,
             tuple: ParameterType.PARAMETER_STRING_ARRAY}
    for spec, descriptor in zip(SPECS.values(), told):
        assert descriptor.name == spec.name and descriptor.description == spec.description
        assert descriptor.type == types[type(spec.default)]
        assert descriptor.read_only == spec.read_only
        ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
        assert [r.to_value for r in ranges] == ([] if spec.maximum is None else [spec.maximum])


def test_the_config_file_gives_the_defaults(graph):
    """config/smoother.yaml loads, and changes nothing."""
    node = graph.smoother('--params-file', str(ROOT / 'config' / 'smoother.yaml'), active=False)
    changed = {'smoother': node.params.smoother, 'device': 'cpu'}
    assert node.params == dataclasses.replace(Params(), **changed)


def test_yaml_values_reach_the_node_and_whole_numbers_are_numbers(graph, tmp_path):
    """Wildcard and named sections; 3 is taken for 3.0."""
    path = tmp_path / 'p.yaml'
    path.write_text('/**:\n  ros__parameters:\n    gap_reset_s: 3\n    path_length: 7\n'
                    '/a/smoother:\n  ros__parameters:\n    path_length: 9\n')
    here = graph.smoother('--params-file', str(path), active=False)
    there = graph.smoother('--params-file', str(path), active=False, namespace='a')
    assert (here.params.gap_reset_s, here.params.path_length) == (3.0, 7)
    assert (there.params.gap_reset_s, there.params.path_length) == (3.0, 9)
    assert here.get_parameter('gap_reset_s').type_ == Parameter.Type.DOUBLE


@pytest.mark.parametrize('line, told', [
    ('gap_reset_s: five', "gap_reset_s: got 'five', expected a number > 0.0 and <= 86400.0 s"),
    ('gap_reset_s: 0.0', 'gap_reset_s: got 0.0, expected a number > 0.0 and <= 86400.0 s'),
    ('path_length: 2.5', 'path_length: got 2.5, expected an integer >= 0 and <= 10000'),
    ('zero_stamp: keep', "zero_stamp: got 'keep', expected one of reject, use_receive_time"),
    ('path_length: [1, 2]', 'path_length: got [1, 2], expected an integer >= 0 and <= 10000'),
    ('require_device: maybe', "require_device: got 'maybe', expected true or false")])
def test_a_bad_value_in_yaml_stops_the_node_with_its_name_and_range(graph, tmp_path, line, told):
    """ParameterError, one line."""
    path = tmp_path / 'p.yaml'
    path.write_text(f'/**:\n  ros__parameters:\n    {line}\n')
    with pytest.raises(ParameterError) as caught:
        graph.smoother('--params-file', str(path), active=False)
    assert str(caught.value) == told


def test_a_typo_is_told_with_the_nearest_name(graph, capfd):
    """Of parameters at start; of QoS overrides when the topics are known."""
    graph.smoother(gap_resets=2.0, **{'qos_overrides./pse.subscription.depth': 9})
    told = capfd.readouterr().err
    assert "'gap_resets', which this node does not have; the nearest is 'gap_reset_s'" in told
    assert "the nearest is 'qos_overrides./pose.subscription.depth'" in told


@pytest.mark.parametrize('depth', [-1, 2**40])
@pytest.mark.parametrize('end', ['/pose.subscription', '/pose/smoothed.publisher'])
def test_a_queue_that_dds_has_no_number_for_is_refused_in_a_line(graph, capfd, end, depth):
    node = graph.smoother(active=False, **{f'qos_overrides.{end}.depth': depth})
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    told = capfd.readouterr().err
    assert f'depth: got {depth}, expected an integer from 0 to' in told
    assert 'Traceback' not in told


def test_nothing_is_told_where_all_names_are_right(graph, capfd):
    """No warning for QoS overrides, use_sim_time and rclpy's own."""
    graph.smoother(use_sim_time=False, start_type_description_service=True, path_length=3,
                   **lossless('/pose'))
    assert 'WARN' not in capfd.readouterr().err.replace('start_type_description_service', '')


def test_changes_while_active_take_effect(graph):
    """A shorter gap_reset_s, given as a whole number, resets at the next gap."""
    node = graph.smoother(input_type='point', **lossless('/pose'))
    publisher, received = graph.connect(node, 'point')
    second = 10**9
    _, rows = walk('point', 4)
    graph.send(publisher, 'point', [START_NS, START_NS + 3 * second], rows[:2])
    graph.until(lambda: len(received) == 2, 'the output')
    assert not node.channels[0].tally.resets
    assert ask(graph, gap_reset_s=2).successful
    assert node.params.gap_reset_s == 2.0
    graph.send(publisher, 'point', [START_NS + k * second for k in (6, 7)], rows[2:])
    graph.until(lambda: len(received) == 4, 'the output')
    assert node.channels[0].tally.resets == {'gap': 1}
    got = graph.call(GetParameters, '/smoother/get_parameters',
                     GetParameters.Request(names=['gap_reset_s'])).values[0]
    assert got.type == ParameterType.PARAMETER_DOUBLE and got.double_value == 2.0


def test_a_set_is_all_or_nothing(graph):
    """One bad value of two: neither changes, and the reason names it."""
    node = graph.smoother()
    before = node.params
    result = ask(graph, path_length=5, gap_reset_s=-1.0)
    assert not result.successful
    assert result.reason == 'gap_reset_s: got -1.0, expected a number > 0.0 and <= 86400.0 s'
    assert node.params == before and node.get_parameter('path_length').value == 200


@pytest.mark.parametrize('name, value, reason', [
    ('input_topic', 'other', "input_topic: got 'other', but it can change only while "
     'unconfigured; clean the node up first'),
    ('autostart', True, 'autostart: got True, but it can change at start only'),
    ('jump_reset_s', 0, 'jump_reset_s: got 0, expected a number > 0.0 and <= 86400.0 s'),
    ('path_length', 'many', "path_length: got 'many', expected an integer >= 0 and <= 10000"),
    ('path_rate_hz', True, 'path_rate_hz: got True, expected a number >= 0.01 and <= 100.0 Hz'),
    ('publish_rate_hz', 1e-12, 'publish_rate_hz: got 1e-12, expected a number 0 or >= 0.01 and '
     '<= 1000.0 Hz')])
def test_refusals_say_why(graph, name, value, reason):
    """Through both services."""
    node = graph.smoother()
    result = ask(graph, **{name: value})
    assert not result.successful and result.reason == reason
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    result, = graph.call(SetParameters, '/smoother/set_parameters', request).results
    assert not result.successful and result.reason == reason
    assert getattr(node.params, name) == SPECS[name].default


def test_an_unknown_name_is_refused(graph):
    """With the nearest name; the node lives on."""
    graph.smoother()
    answer = ask(graph, gap_resets=1.0)
    assert not answer.successful and answer.reason == (
        "got 'gap_resets', which this node does not have; the nearest is 'gap_reset_s'")
    assert ask(graph, gap_reset_s=1.0).successful


def test_what_changes_only_while_unconfigured_does_so_after_cleanup(graph):
    """Cleanup, set, configure: the new topic is there."""
    node = graph.smoother()
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert ask(graph, input_topic='other', input_type='point').successful
    assert node.bring_up()
    assert node.channels[0].topic == '/other'
    assert node.channels[0].output_topic == '/other/smoothed'


@pytest.mark.parametrize('override, told', [
    ({'qos_overrides./pose.subscription.reliability': 'wild'}, 'wild'),
    ({'qos_overrides./pose.subscription.depth': 'deep'}, 'deep')])
def test_a_bad_qos_override_fails_configure(graph, capfd, override, told):
    """In one line that names it."""
    node = graph.smoother(active=False, **override)
    assert not node.bring_up()
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and told in lines[0]
    assert not node.channels


def test_qos_overrides_reach_both_ends(graph):
    """What DDS announces is what was asked for."""
    node = graph.smoother(**{
        'qos_overrides./pose.subscription.reliability': 'reliable',
        'qos_overrides./pose/smoothed.publisher.reliability': 'best_effort'})
    subscription, = node.get_subscriptions_info_by_topic('/pose')
    publisher, = node.get_publishers_info_by_topic('/pose/smoothed')
    assert subscription.qos_profile.reliability.name == 'RELIABLE'
    assert publisher.qos_profile.reliability.name == 'BEST_EFFORT'
