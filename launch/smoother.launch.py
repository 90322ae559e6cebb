# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Start the smoother and bring it to active; `ros2 launch liquid_ros smoother.launch.py -s`."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.events import matches_action
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from lifecycle_msgs.msg import Transition

SHARE = Path(__file__).resolve().parents[1]  # holds launch/ and config/, installed or not

KEEP = 'empty: as in params_file'
SWITCH = ['true', 'false']

# Arguments that are parameters of the node.
TEXTS = ('preset', 'input_topic', 'output_topic', 'input_type', 'streams', 'device')
SWITCHES = ('publish_tf', 'use_sim_time')

ARGUMENTS = [
    DeclareLaunchArgument(
        'params_file', default_value='',
        description=f'YAML file with parameters of the node, as those in {SHARE / "config"}'),
    DeclareLaunchArgument(
        'preset', default_value='', choices=['', *sorted(
            path.stem for path in (SHARE / 'config' / 'presets').glob('*.yaml'))],
        description=f'the kind of sensor; {KEEP}'),
    DeclareLaunchArgument('namespace', default_value='', description='namespace of the node'),
    DeclareLaunchArgument('node_name', default_value='smoother', description='name of the node'),
    DeclareLaunchArgument(
        'input_topic', default_value='', description=f'topic of the noisy input; {KEEP}'),
    DeclareLaunchArgument(
        'output_topic', default_value='', description=f'topic of the smooth output; {KEEP}'),
    DeclareLaunchArgument(
        'input_type', default_value='', choices=[
            '', 'pose', 'point', 'pose_with_covariance', 'transform', 'tf', 'pose_array',
            'odometry', 'path', 'fix'],
        description=f'what the input carries; {KEEP}'),
    DeclareLaunchArgument(
        'streams', default_value='',
        description=f'which frames of a transform or tf, such as "tag*"; {KEEP}'),
    DeclareLaunchArgument(
        'publish_tf', default_value='', choices=['', *SWITCH],
        description=f'the smooth poses to /tf, too; {KEEP}'),
    DeclareLaunchArgument(
        'device', default_value='', choices=['', 'auto', 'fastest', 'cuda', 'cpu'],
        description=f'where the smoother runs; {KEEP}'),
    DeclareLaunchArgument(
        'use_sim_time', default_value='', choices=['', *SWITCH],
        description=f'take the time from /clock; {KEEP}'),
    DeclareLaunchArgument(
        'rviz', default_value='false', choices=SWITCH, description='start RViz, too'),
    DeclareLaunchArgument(
        'log_level', default_value='info', description='debug, info, warn, error or fatal'),
    DeclareLaunchArgument(
        'autostart', default_value='true', choices=SWITCH,
        description='configure and activate the node; false leaves that to a lifecycle manager'),
]


def generate_launch_description():
    """Return the arguments and what they make."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=actions)])


def actions(context):
    """Return the node, its transitions and RViz, as the arguments have it."""
    given = context.launch_configurations
    overrides = {  # a text as it stands: launch would read 'true' or '5' as YAML
        name: ParameterValue(given[name], value_type=str) for name in TEXTS if given[name]}
    overrides.update((name, given[name] == 'true') for name in SWITCHES if given[name])
    node = LifecycleNode(
        package='liquid_ros', executable='smoother_node', name=given['node_name'],
        namespace=given['namespace'], output='screen',
        # The transitions come from here, so the node must not make them itself.
        parameters=[*filter(None, [given['params_file']]), {**overrides, 'autostart': False}],
        arguments=['--ros-args', '--log-level', given['log_level']])
    made = [node]
    if given['autostart'] == 'true':
        activate = OnStateTransition(
            target_lifecycle_node=node, start_state='configuring', goal_state='inactive',
            entities=[change(node, Transition.TRANSITION_ACTIVATE)])
        made = [RegisterEventHandler(activate), node,
                change(node, Transition.TRANSITION_CONFIGURE)]
    if given['rviz'] == 'true':
        layout = SHARE / 'rviz' / 'smoother.rviz'
        made.append(Node(package='rviz2', executable='rviz2', output='screen',
                         arguments=['-d', str(layout)] if layout.exists() else [],
                         remappings=shown(given),
                         parameters=[{'use_sim_time': given['use_sim_time'] == 'true'}
                                     ] if given['use_sim_time'] else []))
    return made


def shown(given):
    """Return which topics stand for those of the layout, as far as the arguments tell."""
    topic = given['input_topic'] or 'pose'
    stand_ins = {'/pose': topic, '/pose/smoothed': given['output_topic'] or f'{topic}/smoothed',
                 '/pose/path': f'{topic}/path'}
    below = '/'.join(['', *given['namespace'].strip('/').split('/')]).rstrip('/')

    def whole(name):
        name = name.replace('~', f'{below}/{given["node_name"]}', 1)
        return name if name.startswith('/') else f'{below}/{name}'
    return [(name, whole(other)) for name, other in stand_ins.items()]


def change(node, transition_id):
    """Return the action that asks the node for a transition."""
    return EmitEvent(event=ChangeState(
        lifecycle_node_matcher=matches_action(node), transition_id=transition_id))
