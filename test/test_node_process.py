# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The node as its own process: start, stop, mistakes on the command line, bags."""

import signal
import subprocess
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.srv import GetState
import numpy as np
from objects import stamp_ns
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from ros_graph import (
    lossless,
    read_log,
    ROOT,
    rows_of,
    run,
    SMOOTHER,
    stamped,
    START_NS,
    stop,
    walk,
)
from std_srvs.srv import Trigger

from liquid_ros.params import SPECS
from liquid_ros.ros.arguments import idle

ACTIVE = ('-p', 'autostart:=true', '-p', 'device:=cpu', '-p', f'smoother:={SMOOTHER}')


def options(values):
    """Return -p arguments."""
    return [word for n, v in values.items() for word in ('-p', f'{n}:={v}')]


def prime(graph, publisher, received, reset, row):
    """Send until an output comes, then forget it: both ends are matched, the stream is new."""
    stamps_ns = iter(range(10**6, 10**12, 10**6))

    def poke():
        publisher.publish(stamped('pose', next(stamps_ns), row))
        return received

    graph.matched(publisher)
    graph.until(poke, 'a first output')
    # the first few may have gone out before anybody was there to hear the answers
    last_ns = next(stamps_ns)
    publisher.publish(stamped('pose', last_ns, row))
    graph.until(lambda: stamp_ns(received[-1].header) == last_ns, 'the last of them')
    assert graph.call(Trigger, reset, Trigger.Request()).success
    del received[:]


@pytest.mark.parametrize('sent', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('state', ['active', 'unconfigured'])
def test_a_signal_ends_it_with_code_0_and_no_traceback(graph, sent, state):
    """Nothing but log lines, and never an error."""
    process = graph.process(*(ACTIVE if state == 'active' else ()))
    topic = '/pose/smoothed' if state == 'active' else '/smoother/transition_event'
    graph.matched(topic=topic)
    # answered only once the node spins: a signal amid configure is rcl's to log
    answer = graph.call(GetState, '/smoother/get_state', GetState.Request(), again_s=1.0)
    assert answer.current_state.label == state
    status, output = stop(process, sent)
    assert status == 0, output
    assert ('waits for configure and activate' in output) == (state == 'unconfigured')
    assert 'Traceback' not in output and 'ERROR' not in output


def test_a_signal_amid_messages_ends_it_with_code_0(graph):
    """While messages flow, too."""
    process = graph.process(*ACTIVE)
    publisher = graph.speak('pose', '/pose')
    received = graph.listen('pose', '/pose/smoothed')
    graph.matched(publisher)
    stamps, rows = walk('pose', 400)

    def flow():
        publisher.publish(stamped('pose', stamps.pop(), rows[0]))
        return len(received) > 20

    stamps.reverse()
    graph.until(flow, 'output')
    graph.send(publisher, 'pose', stamps[::-1], rows)
    status, output = stop(process, signal.SIGTERM)
    assert status == 0 and 'Traceback' not in output, output


@pytest.mark.parametrize('arguments, told', [
    (['-p', 'gap_reset_s:=soon'], "gap_reset_s: got 'soon', expected a number > 0.0"),
    (['-p', 'gap_reset_s:=0'], 'gap_reset_s: got 0, expected a number > 0.0'),
    (['-p', 'device:=tpu'], "device: got 'tpu', expected one of auto, fastest, cuda, cpu"),
    (['-p', 'use_sim_time:=3'], 'use_sim_time'),
    (['--params-file', '/nowhere.yaml'], '/nowhere.yaml'),
    (['--wat'], '--wat'),
    (['-r', '__node:=not-a-name'], 'not-a-name'),
    ([*ACTIVE, '-p', 'input_topic:=two words'], 'two words'),
    ([*ACTIVE, '-p', 'smoother:=emma'], "got smoother 'emma', expected one of"),
    ([*ACTIVE, '-p', 'smoother:=liquid', '-p', 'checkpoint:=/nowhere'], '/nowhere')])
def test_a_mistake_is_told_in_a_line_and_the_status_is_1(arguments, told):
    """Never a traceback."""
    status, output = run(*arguments)
    assert status == 1, output
    assert told in output and 'Traceback' not in output
    own = [line for line in output.splitlines() if line and '[rcl]' not in line]
    assert len(own) == 1, output


def test_help_lists_the_parameters_and_starts_nothing():
    status, output = run('-h')
    assert (status, output) == run('--', '--help')
    assert status == 0 and output.startswith('usage: smoother_node --ros-args')
    assert all(f'\n  {name}' in output for name in SPECS)


@pytest.mark.parametrize('name, told', [
    ('smoother_node', True), ('/ns/smoother', True), ('smoother', False), ('/**', False),
    ('/*', False), ('/**/smoother', False)])
def test_parameters_of_another_node_are_told(tmp_path, name, told):
    path = tmp_path / 'my.yaml'
    path.write_text(f'# mine\n{name}:\n  ros__parameters:\n    gap_reset_s: 3.0\n')
    found = idle(['--ros-args', '--params-file', str(path)], '/smoother')
    whole = '/' + name.lstrip('/')
    assert found == [f'{path} has no parameters for /smoother, but for {whole}'] * told


def test_how_a_file_of_parameters_names_nodes(tmp_path):
    path = tmp_path / 'my.yaml'
    nested = ('ns:\n  "smoother":\n    ros__parameters:\n      a: 1\n  other:\n'
              '    ros__parameters: {b: 2}\n')
    path.write_text(nested)
    given = ['--ros-args', '--params-file', str(path)]
    assert idle(given, '/ns/smoother') == idle(given, '/ns/other') == []
    assert idle(given, '/smoother') == [
        f'{path} has no parameters for /smoother, but for /ns/smoother, /ns/other']
    assert idle(['--ros-args', '-r', 'a:=b', *given, '--'], '/ns/other') == []
    path.write_text(nested + 'c: {ros__parameters: {d: 3}}\n')  # beyond what is looked for
    assert idle(given, '/smoother') == []
    assert idle(['my.yaml', *given], '/smoother') == [
        "the argument 'my.yaml' does nothing: expected --ros-args before it"]


def test_what_does_nothing_is_in_the_log(graph, tmp_path):
    path = tmp_path / 'my.yaml'
    path.write_text('smoother_node:\n  ros__parameters:\n    input_topic: tag\n')
    process = graph.process('--params-file', str(path))
    graph.matched(topic='/smoother/transition_event')
    graph.call(GetState, '/smoother/get_state', GetState.Request(), again_s=1.0)
    assert 'has no parameters for /smoother, but for /smoother_node' in stop(process)[1]


def test_yaml_that_does_not_parse_is_told(tmp_path):
    """One line, status 1."""
    path = tmp_path / 'broken.yaml'
    path.write_text('/**:\n  ros__parameters:\n  gap_reset_s: [1\n')
    status, output = run('--params-file', str(path))
    assert status == 1 and str(path) in output and 'Traceback' not in output


@pytest.mark.parametrize('device, loaded', [('cpu', False), ('cuda', True)])
def test_torch_is_loaded_in_configure_and_only_for_a_device(device, loaded):
    """The CPU path never loads it; asking for CUDA does, whether there is one or not."""
    if loaded:
        pytest.importorskip('torch')
    code = f"""
import sys, rclpy
from liquid_ros.ros.node import SmootherNode
rclpy.init(args=['test', '--ros-args', '-p', 'device:={device}'])
node = SmootherNode()
before = 'torch' in sys.modules
node.trigger_configure()
print(before, 'torch' in sys.modules)
node.destroy_node()
rclpy.shutdown()
"""
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, text=True, capture_output=True,
                          timeout=120)
    assert done.stdout.split() == ['False', str(loaded)], done.stderr


def test_two_instances_in_namespaces_do_not_disturb_each_other(graph):
    """One YAML file, two namespaces, two recordings; each equals its own."""
    names, both = ('left', 'right'), {}
    for seed, name in enumerate(names):
        topic = f'/{name}/pose'
        graph.process(*ACTIVE, *options(lossless(topic)), '-r', f'__ns:=/{name}')
        received = graph.listen('pose', f'{topic}/smoothed')
        publisher = graph.speak('pose', topic)
        both[name] = (publisher, received, *walk('pose', 100, seed=seed))
    for name, (publisher, received, _, rows) in both.items():
        prime(graph, publisher, received, f'/{name}/smoother/reset', rows[0])
    for publisher, _, stamps, rows in both.values():
        graph.send(publisher, 'pose', stamps, rows)
    for name, (_, received, stamps, rows) in both.items():
        graph.until(lambda r=received: len(r) >= 100, f'the output of {name}')
        got_stamps, got_rows = rows_of('pose', received)
        assert got_stamps == stamps
        assert np.abs(got_rows[:, :3] - rows[:, :3]).max() < 3.0  # its own walk, not the other's
    reports = graph.listen(DiagnosticArray, '/diagnostics')
    want = {f'/{name}/smoother: /{name}/pose' for name in names}
    graph.until(lambda: {s.name for a in reports for s in a.status} == want, 'both reports')


def test_remaps_lead_topics_services_and_overrides_where_they_should(graph):
    """Input, output, name and namespace remapped on the command line."""
    process = graph.process(
        *ACTIVE, *options(lossless('/camera/tag', '/arm/tool')), '-r', '__ns:=/arm', '-r',
        '__node:=tracker', '-r', 'pose:=/camera/tag', '-r', 'pose/smoothed:=tool')
    received = graph.listen('pose', '/arm/tool')
    publisher = graph.speak('pose', '/camera/tag')
    stamps, rows = walk('pose', 50)
    prime(graph, publisher, received, '/arm/tracker/reset', rows[0])
    graph.send(publisher, 'pose', stamps, rows)
    graph.until(lambda: len(received) >= 50, 'the output')
    assert rows_of('pose', received)[0] == stamps
    reports = graph.listen(DiagnosticArray, '/diagnostics')
    graph.until(lambda: {s.name for a in reports for s in a.status} == {
        '/arm/tracker: /camera/tag'}, 'its report')
    assert 'WARN' not in read_log(process)


def test_a_replayed_bag_equals_what_smooth_makes_of_it(graph, tmp_path):
    """Node process over DDS and `python -m liquid_ros smooth`: the same bytes on the CPU."""
    pytest.importorskip('rosbags')
    pytest.importorskip('liquid_ros.cli.smooth')
    stamps, rows = walk('pose', 250, seed=7)
    stamps[60] = stamps[59]
    stamps[100] = stamps[98]
    rows[120, 1] = np.nan
    rows[130, 3:] = 0.0
    stamps[150:] = [s + 9 * 10**9 for s in stamps[150:]]
    stamps[200:] = [s - 12 * 10**9 for s in stamps[200:]]
    sent = [serialize_message(stamped('pose', s, row)) for s, row in zip(stamps, rows)]
    write_bag(tmp_path / 'in', '/pose', sent)
    subprocess.run([sys.executable, '-m', 'liquid_ros', 'smooth', str(tmp_path / 'in'), '-o',
                    str(tmp_path / 'out'), '--device', 'cpu', '--smoother', SMOOTHER],
                   cwd=ROOT, check=True, capture_output=True)
    offline = read_bag(tmp_path / 'out', '/pose/smoothed')
    assert len(offline) == 246

    graph.process(*ACTIVE, *options(lossless('/pose')))
    received = graph.listen('pose', '/pose/smoothed')
    publisher = graph.speak('pose', '/pose')
    prime(graph, publisher, received, '/smoother/reset', rows[0])
    for message in read_bag(tmp_path / 'in', '/pose'):
        publisher.publish(message)
    graph.until(lambda: len(received) >= len(offline), 'the output')
    assert [serialize_message(message) for message in received] == offline
    assert rows_of('pose', received)[0] == [
        rows_of('pose', [deserialize_message(raw, PoseStamped)])[0][0] for raw in offline]


def write_bag(path, topic, messages):
    """Write serialised poses, 10 ms apart."""
    from rosbags.rosbag2 import Writer
    from rosbags.typesys import get_typestore, Stores
    with Writer(path, version=9) as writer:
        connection = writer.add_connection(
            topic, 'geometry_msgs/msg/PoseStamped', typestore=get_typestore(Stores.ROS2_HUMBLE))
        for i, raw in enumerate(messages):
            writer.write(connection, START_NS + i * 10_000_000, raw)


def read_bag(path, topic):
    """Return a topic's serialised messages in recorded order."""
    from rosbags.rosbag2 import Reader
    with Reader(path) as reader:
        chosen = [c for c in reader.connections if c.topic == topic]
        return [bytes(raw) for _, _, raw in reader.messages(chosen)]


@pytest.mark.parametrize('again', range(3))
def test_ctrl_c_amid_timers_ends_it_without_a_word(graph, again):
    """A timer's callback that finds the context gone would be told as FATAL."""
    process = graph.process(*ACTIVE, '-p', 'publish_rate_hz:=1000.0', '-p',
                            'publish_odometry:=true')
    publisher = graph.speak('pose', '/pose')
    graph.matched(publisher)
    received = graph.listen('pose', '/pose/smoothed')

    def flow():
        publisher.publish(stamped('pose', time.time_ns(), [1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0]))
        return len(received) > 50
    graph.until(flow, 'output')
    status, output = stop(process, signal.SIGINT)
    assert status == 0 and 'FATAL' not in output and 'Traceback' not in output, output
