# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The launch file: its arguments everywhere, the run itself where launch_ros is installed."""

import ast
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
import pytest
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from ros_graph import read_log, ROOT, SMOOTHER, stamped, START_NS

from liquid_ros.params import SPECS

LAUNCH_FILE = ROOT / 'launch' / 'smoother.launch.py'
ARGUMENTS = {'params_file', 'preset', 'namespace', 'node_name', 'input_topic', 'output_topic',
             'input_type', 'streams', 'publish_tf', 'device', 'use_sim_time', 'rviz', 'log_level',
             'autostart'}

RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
    PythonLaunchDescriptionSource(sys.argv[1]),
    launch_arguments=[word.split(':=') for word in sys.argv[2:]])]))
sys.exit(service.run())
"""

launches = pytest.mark.skipif(
    importlib.util.find_spec('launch_ros') is None,
    reason='launch_ros is not installed; it comes with ROS and is not on PyPI')


def calls(name):
    """Return the keywords of every call of a name in the launch file."""
    return [{k.arg: k.value for k in node.keywords} | {'': node.args}
            for node in ast.walk(ast.parse(LAUNCH_FILE.read_text()))
            if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == name]


def test_every_argument_is_declared_described_and_has_a_default():
    """The set of arguments, read without launch."""
    declared = {call[''][0].value: call for call in calls('DeclareLaunchArgument')}
    assert set(declared) == ARGUMENTS
    assert all('description' in call and 'default_value' in call for call in declared.values())
    for name in ('params_file', 'preset', 'input_topic', 'output_topic', 'input_type', 'streams',
                 'publish_tf', 'device', 'use_sim_time'):
        assert declared[name]['default_value'].value == '', f'{name} would override params_file'
    for name in ('input_type', 'device'):
        choices = [element.value for element in declared[name]['choices'].elts]
        assert tuple(choices[1:]) == SPECS[name].choices


def test_nothing_newer_than_humble_is_used():
    """LifecycleNode(autostart=...) raises TypeError there."""
    node, = calls('LifecycleNode')
    assert set(node) <= {'', 'package', 'executable', 'name', 'namespace', 'output',
                         'parameters', 'arguments'}


@pytest.mark.parametrize('given, topics', [
    ({}, ['/pose', '/pose/smoothed', '/pose/path']),
    ({'input_topic': '/tag_pose'}, ['/tag_pose', '/tag_pose/smoothed', '/tag_pose/path']),
    ({'namespace': '/robot/', 'input_topic': 'tag'},
     ['/robot/tag', '/robot/tag/smoothed', '/robot/tag/path']),
    ({'namespace': 'robot', 'output_topic': '/smooth'},
     ['/robot/pose', '/smooth', '/robot/pose/path']),
    ({'namespace': 'robot', 'input_topic': '~/tag'},
     ['/robot/smoother/tag', '/robot/smoother/tag/smoothed', '/robot/smoother/tag/path'])])
def test_rviz_shows_the_topics_of_the_arguments(given, topics):
    tree = ast.parse(LAUNCH_FILE.read_text())
    tree.body = [node for node in tree.body if getattr(node, 'name', '') == 'shown']
    exec(compile(tree, str(LAUNCH_FILE), 'exec'), names := {})
    layout = (ROOT / 'rviz' / 'smoother.rviz').read_text()
    found = names['shown']({'namespace': '', 'node_name': 'smoother', 'input_topic': '',
                            'output_topic': '', **given})
    assert [other for _, other in found] == topics
    assert all(f'Value: {name}\n' in layout for name, _ in found)


@pytest.fixture
def launch(tmp_path):
    """Return a function that launches the file on an installed package; end it afterwards."""
    prefix = tmp_path / 'install'
    index = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'liquid_ros').touch()
    program = prefix / 'lib' / 'liquid_ros' / 'smoother_node'
    program.parent.mkdir(parents=True)
    program.write_text(f'#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n'
                       'from liquid_ros.ros.main import main\nsys.exit(main())\n')
    program.chmod(0o755)
    paths = [str(prefix), os.environ.get('AMENT_PREFIX_PATH', '')]
    env = {**os.environ, 'AMENT_PREFIX_PATH': os.pathsep.join(filter(None, paths)),
           'ROS_LOG_DIR': str(tmp_path / 'log')}
    params = tmp_path / 'params.yaml'
    started = []

    def start(*arguments, yaml=''):
        params.write_text('/**:\n  ros__parameters:\n    device: cpu\n'
                          f'    smoother: {SMOOTHER}\n{yaml}')
        process = subprocess.Popen(
            [sys.executable, '-c', RUN, str(LAUNCH_FILE), f'params_file:={params}', *arguments],
            env=env, stdout=(log := tempfile.TemporaryFile('w+')), stderr=subprocess.STDOUT)
        process.log = log
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(20.0)


def reach(graph, wanted, name='/smoother'):
    """Wait until the node is in a state."""
    def there():
        answer = graph.call(GetState, f'{name}/get_state', GetState.Request(), again_s=1.0)
        return answer.current_state.id == wanted

    graph.until(there, f'state {wanted} of {name}')


def values(graph, *names, node='/smoother'):
    """Return the node's parameters."""
    answer = graph.call(GetParameters, f'{node}/get_parameters',
                        GetParameters.Request(names=names), again_s=1.0)
    return [parameter_value_to_python(value) for value in answer.values]


@launches
def test_it_brings_the_node_to_active_and_messages_flow(graph, launch):
    """With no argument but the parameters; params_file's own autostart does no harm."""
    launch(yaml='    autostart: true\n    gap_reset_s: 3\n')
    reach(graph, State.PRIMARY_STATE_ACTIVE)
    received = graph.listen('pose', '/pose/smoothed')
    publisher = graph.speak('pose', '/pose')
    graph.matched(publisher)
    stamps_ns = iter(range(START_NS, START_NS + 10**12, 10**7))

    def poke():
        publisher.publish(stamped('pose', next(stamps_ns), [0.0] * 6 + [1.0]))
        return received

    graph.until(poke, 'an output')
    assert received[0].header.frame_id == 'map'
    assert values(graph, 'autostart', 'gap_reset_s', 'use_sim_time') == [False, 3.0, False]


@launches
def test_its_arguments_reach_the_node(graph, launch):
    """Names, topics, type and clock, over what params_file says."""
    launch('namespace:=robot', 'node_name:=tracker', 'input_topic:=tag', 'output_topic:=true',
           'input_type:=point', 'streams:=*:tag* odom:base', 'publish_tf:=false',
           'use_sim_time:=true', 'log_level:=warn',
           yaml='    input_topic: other\n    publish_tf: true\n')
    reach(graph, State.PRIMARY_STATE_ACTIVE, '/robot/tracker')
    told = values(graph, 'input_topic', 'output_topic', 'input_type', 'streams', 'publish_tf',
                  'use_sim_time', node='/robot/tracker')
    assert told == ['tag', 'true', 'point', '*:tag* odom:base', False, True]


@launches
def test_arguments_at_their_defaults_leave_params_file_alone(graph, launch):
    """What the file says is what the node has; unconfigured with autostart false."""
    launch('autostart:=false', yaml='    input_topic: tag\n    input_type: point\n'
           '    output_topic: out\n    use_sim_time: true\n')
    reach(graph, State.PRIMARY_STATE_UNCONFIGURED)
    told = values(graph, 'input_topic', 'output_topic', 'input_type', 'use_sim_time', 'device')
    assert told == ['tag', 'out', 'point', True, 'cpu']
    reports = graph.listen(DiagnosticArray, '/diagnostics')
    assert not reports and graph.peer.count_publishers('/diagnostics') == 0


@launches
def test_a_preset_by_name(graph, launch):
    """What the preset says, but for what the file gives."""
    launch('autostart:=false', 'preset:=gnss', yaml='    hold_timeout_s: 4.0\n')
    reach(graph, State.PRIMARY_STATE_UNCONFIGURED)
    told = values(graph, 'preset', 'input_type', 'gap_reset_s', 'hold_timeout_s')
    assert told == ['gnss', 'fix', 30.0, 4.0]


@launches
def test_a_bad_parameter_is_told_in_a_line(graph, launch):
    """The node's one line is in the output, and no traceback."""
    process = launch(yaml='    gap_reset_s: soon\n')
    graph.until(lambda: 'process has died' in read_log(process), 'the end of the node')
    assert "gap_reset_s: got 'soon', expected a number > 0.0" in read_log(process)
    assert 'Traceback' not in read_log(process)


@launches
def test_a_signal_ends_node_and_launch(graph, launch):
    """SIGINT to launch: the node finishes cleanly."""
    process = launch()
    reach(graph, State.PRIMARY_STATE_ACTIVE)
    process.send_signal(signal.SIGINT)
    graph.until(lambda: process.poll() is not None, 'the end of the launch')
    assert 'process has finished cleanly' in read_log(process)
