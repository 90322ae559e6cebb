# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Several inputs in one node, services, and why nothing comes, over real DDS."""

import gc
import os

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from fixes import fix_of
from geometry_msgs.msg import PointStamped, PoseArray
import numpy as np
from objects import CODECS
import pytest
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_graph import Graph, lossless, ROOT, rows_of, settle, SMOOTHER, stamped, START_NS, walk
from sensor_msgs.msg import NavSatFix
from std_msgs.msg import Float64
from std_srvs.srv import SetBool, Trigger

from liquid_ros.checkpoint import build
from liquid_ros.presets import PRESETS
from liquid_ros.ros import outputs
from liquid_ros.ros.outputs import DEBUG
from liquid_ros.streams import StreamBank

NS = 10**9
THREE = {'inputs': ['tag', 'uwb', 'wheel'], 'uwb.preset': 'uwb', 'wheel.input_type': 'odometry',
         'wheel.input_topic': 'base/odom', 'gap_reset_s': 3.0, 'tag.gap_reset_s': 2.0}
TOPICS = {'/tag': 'pose', '/uwb': 'point', '/base/odom': 'odometry'}


def call(graph, name, kind=Trigger, **request):
    """Return a service's answer."""
    return graph.call(kind, f'/smoother/{name}', kind.Request(**request))


def offline(kind, stamps, rows):
    """Return the bank's rows."""
    bank = StreamBank(build(SMOOTHER), CODECS[kind].width)
    return [bank.update(*CODECS[kind].read(stamped(kind, s, row))).estimate.rows[0]
            for s, row in zip(stamps, rows)]


def test_three_inputs_each_with_its_own_type_and_parameters(graph):
    """Interleaved messages: each stream as if alone, each with its own counts and report."""
    node = graph.smoother(**THREE, **{n: v for t in TOPICS for n, v in lossless(t).items()})
    told = {c.topic: (c.params.input_type, c.params.gap_reset_s, c.params.hold_timeout_s)
            for c in node.channels}
    assert told == {'/tag': ('pose', 2.0, 0.5), '/uwb': ('point', 3.0, 1.0),
                    '/base/odom': ('odometry', 3.0, 0.5)}
    reports = graph.listen(DiagnosticArray, '/diagnostics')
    ends = {topic: graph.connect(node, kind, topic)[0] for topic, kind in TOPICS.items()}
    sent = {topic: walk(kind, 60, seed=i) for i, (topic, kind) in enumerate(TOPICS.items())}
    for i in range(60):
        for topic, kind in TOPICS.items():
            stamps, rows = sent[topic]
            ends[topic].publish(stamped(kind, stamps[i], rows[i]))
    for topic, kind in TOPICS.items():
        _, received = settle(graph, node, 60, topic)
        assert np.array_equal(rows_of(kind, received)[1], offline(kind, *sent[topic]))
    names = {f'/smoother: {topic}' for topic in TOPICS}
    graph.until(lambda: reports and {s.name for s in reports[-1].status} == names, 'reports')


def test_a_parameter_of_one_input_and_of_all(graph):
    """`ros2 param set`: one input's alone; without a name, every input's; read back as set."""
    node = graph.smoother(**THREE)

    def told():
        return [channel.params.gap_reset_s for channel in node.channels]

    def put(**values):
        request = SetParameters.Request(parameters=[
            Parameter(n.replace('__', '.'), value=v).to_parameter_msg()
            for n, v in values.items()])
        return graph.call(SetParameters, '/smoother/set_parameters', request).results

    assert told() == [2.0, 3.0, 3.0]
    assert put(uwb__gap_reset_s=7)[0].successful
    assert told() == [2.0, 7.0, 3.0]
    assert put(gap_reset_s=4.0)[0].successful
    assert told() == [4.0, 4.0, 4.0]
    names = ['gap_reset_s', 'tag.gap_reset_s', 'uwb.gap_reset_s']
    answer = graph.call(GetParameters, '/smoother/get_parameters',
                        GetParameters.Request(names=names))
    assert [parameter_value_to_python(v) for v in answer.values] == [4.0, 4.0, 4.0]
    refused, = put(tag__gap_reset_s=-1.0)
    assert refused.reason == ('tag.gap_reset_s: got -1.0, expected a number > 0.0 and '
                              '<= 86400.0 s')
    assert told() == [4.0, 4.0, 4.0]


def test_names_of_inputs_and_presets_from_a_file(graph, tmp_path, capfd):
    """As a user writes them; a typo below an input's name is told with the nearest."""
    path = tmp_path / 'p.yaml'
    path.write_text('/**:\n  ros__parameters:\n    inputs: [tag, uwb]\n    tag:\n'
                    '      preset: apriltag\n      hold_timeout_s: 1\n      smoothin: 0.5\n'
                    '    uwb: {preset: uwb}\n')
    node = graph.smoother('--params-file', str(path))
    assert [c.params.preset for c in node.channels] == ['apriltag', 'uwb']
    assert [c.params.hold_timeout_s for c in node.channels] == [1.0, 1.0]
    told = capfd.readouterr().err
    assert "'tag.smoothin', which this node does not have; the nearest is 'tag.smoothing'" in told
    assert "tag.hold_timeout_s: 1.0, as given, comes before the preset 'apriltag'" in told


@pytest.mark.parametrize('name', PRESETS)
def test_every_preset_runs_by_name_and_as_a_file(graph, name):
    """Both ways lead to the same values, and messages flow."""
    file = str(ROOT / 'config' / 'presets' / f'{name}.yaml')
    by_file = graph.smoother('--params-file', file, active=False, namespace='file')
    node = graph.smoother(preset=name, publish_rate_hz=0.0, **lossless('/pose'))
    for parameter, value in PRESETS[name].items():
        assert getattr(by_file.params, parameter) == value
        assert parameter == 'publish_rate_hz' or getattr(node.params, parameter) == value
    kind = node.params.input_type
    publisher, _ = graph.connect(node, NavSatFix if kind == 'fix' else kind)
    stamps, rows = walk('point' if kind == 'fix' else kind, 10)
    for stamp_ns, row in zip(stamps, rows):
        publisher.publish(fix_of(stamp_ns, row) if kind == 'fix' else stamped(kind, stamp_ns, row))
    settle(graph, node, 10)


@pytest.mark.parametrize('params', [
    {'tag.input_topic': 'uwb'}, {'tag.output_topic': 'uwb'}, {'path_topic': '/all/paths'},
    {'input_topic': 'both'}, {'path_topic': '/all/paths', 'input_type': 'pose_array'}])
def test_two_inputs_may_not_share_a_topic(graph, capfd, params):
    """One line, and nothing is left over."""
    node = graph.smoother(active=False, inputs=['tag', 'uwb'], smoother='ema', **params)
    assert not node.bring_up()
    line, = [line for line in capfd.readouterr().err.splitlines() if line]
    assert 'cannot configure: got /' in line and ' twice ' in line
    assert not node.channels and not list(node.timers)


@pytest.mark.parametrize('params, fits', [
    ({}, False), ({'child_frame': 'body'}, False), ({'left.child_frame': 'pose'}, True),
    ({'left.child_frame': 'pose_smoothed'}, False),
    ({'left.input_type': 'pose_array'}, True), ({'input_type': 'odometry'}, True),
    ({'input_type': 'transform', 'child_frame': 'body'}, False)])
def test_two_inputs_may_not_share_a_frame_in_tf(graph, capfd, monkeypatch, params, fits):
    """Nothing is sent here, so that another type may stand for one that is not installed."""
    monkeypatch.setattr(outputs, 'message_class', lambda _: PoseArray)
    node = graph.smoother(active=False, inputs=['left', 'right'], smoother='ema', publish_tf=True,
                          **{'left.input_topic': '/left/pose', 'right.input_topic': '/right/pose'},
                          **params)
    assert node.bring_up() == fits
    assert fits or 'cannot configure: got /tf (' in capfd.readouterr().err


def test_a_set_up_that_fails_half_way_leaves_nothing(graph, capfd):
    """The second input cannot be opened: the first is taken down again, and it can be mended."""
    node = graph.smoother(active=False, inputs=['tag', 'uwb'], smoother='ema',
                          **{'uwb.input_topic': 'two words'})
    assert not node.bring_up()
    assert 'two words' in capfd.readouterr().err
    assert node.count_publishers('/tag/smoothed') == 0 and not node.channels
    assert node.set_parameters([Parameter('uwb.input_topic', value='uwb')])[0].successful
    assert node.bring_up()


# -- services


def test_save_and_load_go_on_as_if_nothing_had_been_between(graph, tmp_path):
    """State saved, disturbed and loaded, and loaded into another node: the same bits."""
    path = str(tmp_path / 'state.safetensors')
    params = {**THREE, 'state_file': path, **{n: v for t in TOPICS for n, v in
                                              lossless(t).items()}}
    node = graph.smoother(**params)
    ends = {topic: graph.connect(node, kind, topic)[0] for topic, kind in TOPICS.items()}
    sent = {topic: walk(kind, 80, seed=i) for i, (topic, kind) in enumerate(TOPICS.items())}

    def play(first, last, total):
        for topic, kind in TOPICS.items():
            stamps, rows = sent[topic]
            graph.send(ends[topic], kind, stamps[first:last], rows[first:last])
            settle(graph, node, total, topic)

    play(0, 40, 40)
    answer = call(graph, 'save_state')
    assert answer.success and path in answer.message, answer.message
    play(40, 80, 80)
    answer = call(graph, 'load_state')
    assert answer.success, answer.message
    play(40, 80, 120)
    for topic, kind in TOPICS.items():
        received = graph.received[f'{topic}/smoothed']
        stamps, got = rows_of(kind, received)
        assert stamps[40:80] == stamps[80:120]
        assert np.array_equal(got[40:80], got[80:120])
        assert node.channels[list(TOPICS).index(topic)].tally.resets == {'load': 1}
    assert call(graph, 'reset').success
    assert call(graph, 'load_state').success
    play(40, 80, 160)
    for topic, kind in TOPICS.items():
        _, got = rows_of(kind, graph.received[f'{topic}/smoothed'])
        assert np.array_equal(got[40:80], got[120:160])


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(graph, tmp_path, monkeypatch):
    """No path, no file, other inputs, another smoother, no file at all: one sentence each."""
    path = tmp_path / 'state.safetensors'
    node = graph.smoother(smoother='ema', **lossless('/pose'))
    publisher, received = graph.connect(node, 'pose')

    def put(value):
        assert node.set_parameters([Parameter('state_file', value=str(value))])[0].successful

    for name in ('save_state', 'load_state'):
        answer = call(graph, name)
        assert not answer.success and answer.message.startswith("state_file: got ''")
    put(tmp_path / 'nowhere' / 'state')
    assert not call(graph, 'save_state').success and not call(graph, 'load_state').success
    monkeypatch.setenv('HOME', str(tmp_path))
    put('~/state.safetensors')
    stamps, rows = walk('pose', 60)
    graph.send(publisher, 'pose', stamps[:20], rows[:20])
    settle(graph, node, 20)
    assert call(graph, 'save_state').success
    saved = path.read_bytes()
    for i, other in enumerate((
            {'smoother': 'one_euro'}, {'smoother': 'ema', 'input_type': 'point'},
            {'smoother': 'ema', 'inputs': ['tag', 'uwb']})):
        another = graph.smoother(state_file=str(path), namespace=f'other_{i}', **other)
        answer = graph.call(Trigger, f'/other_{i}/smoother/load_state', Trigger.Request())
        assert not answer.success and 'expected' in answer.message, answer.message
        assert '\n' not in answer.message
        assert not another.channels[0].tally.resets
    header = b'{"__metadata__":[]}'
    for spoilt in (saved[:-9], len(header).to_bytes(8, 'little') + header):
        path.write_bytes(spoilt)
        answer = call(graph, 'load_state')
        assert not answer.success and '\n' not in answer.message
    graph.send(publisher, 'pose', stamps[20:], rows[20:])
    tally, _ = settle(graph, node, 60)
    assert not tally.resets
    bank = StreamBank(build('ema'), 7)
    assert np.array_equal(rows_of('pose', received)[1], [
        bank.update((0,), (s,), row[None]).estimate.rows[0] for s, row in zip(stamps, rows)])


@pytest.mark.parametrize('name', ['reset', 'save_state', 'load_state'])
def test_services_of_an_unconfigured_node_say_so(graph, name):
    graph.smoother(active=False)
    answer = call(graph, name)
    assert not answer.success and answer.message == 'the node is not configured'


def test_pass_through_can_be_set_before_configure_and_outlasts_cleanup(graph):
    """The switch is the node's, not the streams'."""
    node = graph.smoother(active=False, **lossless('/pose'))
    assert call(graph, 'set_enabled', SetBool, data=False).success
    for _ in range(2):
        assert node.bring_up()
        publisher, received = graph.connect(node, 'pose')
        stamps, rows = walk('pose', 10)
        graph.send(publisher, 'pose', stamps, rows)
        settle(graph, node, 10)
        assert np.array_equal(rows_of('pose', received)[1], rows)
        node.trigger_deactivate()
        node.trigger_cleanup()
        graph.peer.destroy_publisher(publisher)


# -- why nothing comes


def reported(graph, params, words):
    """Assert that a report is STALE with these words; return the node."""
    node = graph.smoother(no_data_s=0.1, **params)
    arrays = graph.listen(DiagnosticArray, '/diagnostics')
    graph.until(lambda: any(words in s.message and s.level == DiagnosticStatus.STALE
                            for a in arrays for s in a.status), f'a report: {words}')
    return node


def test_silence_without_a_publisher(graph, capfd):
    """The topic and what to look at, as a report and once as a warning."""
    reported(graph, {}, 'nobody publishes it; see ros2 topic list')
    told = [line for line in capfd.readouterr().err.splitlines() if 'no data on /pose' in line]
    assert len(told) == 1 and 'input_topic' in told[0]


def test_another_reason_of_a_silence_is_told_too(graph, capfd):
    """Nobody publishes, then somebody with another type does."""
    reported(graph, {}, 'nobody publishes it')
    other = Graph()
    try:
        other.peer.create_publisher(PointStamped, '/pose', 10)
        told = []

        def said():
            told.extend(x for x in capfd.readouterr().err.splitlines() if 'no data' in x)
            return 'set input_type to point' in str(told[-1:])
        graph.until(said, 'a warning')
        assert len(told) == 2 and 'nobody publishes it' in told[0]
    finally:
        other.close()


def test_silence_of_a_publisher_that_is_gone(graph):
    """Its topic's name was right."""
    node = graph.smoother(no_data_s=0.3, **lossless('/pose'))
    other = Graph()
    try:
        publisher = other.speak('pose', '/pose')
        other.until(publisher.get_subscription_count, 'a subscription')
        stamps, rows = walk('pose', 5)
        other.send(publisher, 'pose', stamps, rows)
        graph.until(lambda: node.channels[0].tally.received == 5, 'messages')
    finally:
        other.close()
    graph.until(lambda: any('nobody publishes it any more' in s.message
                            for s in node.channels[0].status()), 'a report')


def test_silence_of_a_publisher_of_another_type(graph):
    """The type that is there, and the input_type that takes it."""
    other = Graph()  # one process may not have two types on a topic
    try:
        other.peer.create_publisher(PointStamped, '/pose', 10)
        reported(graph, {}, 'it carries geometry_msgs/msg/PointStamped and not geometry_msgs/msg/'
                 'PoseStamped; set input_type to point')
    finally:
        other.close()


def test_qos_that_does_not_fit_is_told_with_the_override_that_mends_it(graph, capfd):
    """Both ends, by an event, and in the report of silence."""
    params = {'qos_overrides./pose.subscription.reliability': 'reliable',
              'qos_overrides./pose/smoothed.publisher.reliability': 'best_effort'}
    publisher = graph.speak('pose', '/pose', best_effort=True)
    graph.listen('pose', '/pose/smoothed')  # reliable
    reported(graph, params, 'set qos_overrides./pose.subscription.reliability to best_effort')
    said = capfd.readouterr().err
    assert publisher.get_subscription_count() == 0
    assert ('/pose: a publisher offers less than this subscription asks for: set '
            'qos_overrides./pose.subscription.reliability to best_effort') in said
    assert ('/pose/smoothed: a subscription asks for more than this publisher offers: set '
            'qos_overrides./pose/smoothed.publisher.reliability to reliable') in said


def test_durability_overrides_reach_late_listeners(graph):
    """A transient_local output gives its last message to who comes later."""
    node = graph.smoother(**{
        **lossless('/pose'), 'qos_overrides./pose/smoothed.publisher.durability':
        'transient_local', 'qos_overrides./pose/smoothed.publisher.depth': 1})
    publisher = graph.speak('pose', '/pose')
    graph.matched(publisher)
    publisher.publish(stamped('pose', START_NS, np.eye(7)[6]))
    graph.until(lambda: node.channels[0].tally.published == 1, 'the output')
    late = []
    qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL,
                     reliability=ReliabilityPolicy.RELIABLE)
    graph.peer.create_subscription(CODECS['pose'].message, '/pose/smoothed', late.append, qos)
    graph.until(lambda: late, 'the last message')


# -- what is told


def test_debug_topics_are_plain_numbers(graph):
    """Off by default; on, each message gives each number, finite and sound."""
    plain = graph.smoother(namespace='plain')
    assert not [n for n, _ in plain.get_publisher_names_and_types_by_node('smoother', '/plain')
                if 'debug' in n]
    node = graph.smoother(debug=True, inputs=['tag'], **lossless('/tag'))
    heard = {word: graph.listen(Float64, f'/smoother/debug/tag/{word}') for word in DEBUG}
    publisher, _ = graph.connect(node, 'pose', '/tag')
    for word in DEBUG:
        graph.until(lambda w=word: node.count_subscribers(f'/smoother/debug/tag/{w}'), word)
    stamps, rows = walk('pose', 9)
    graph.send(publisher, 'pose', stamps, rows)
    settle(graph, node, 9, '/tag')
    for word, values in heard.items():
        count = 8 if word == 'dt' else 9  # the first message has no dt
        graph.until(lambda v=values, c=count: len(v) == c, word)
        assert np.isfinite([v.data for v in values]).all()
    assert np.allclose([v.data for v in heard['dt']], np.diff(stamps) / NS)
    assert min(v.data for v in heard['step_ms']) > 0.0
    assert all(0.0 <= v.data <= 1.0 for v in heard['weight'])


def test_every_stream_of_an_array_has_its_report(graph):
    """Counts, rate, age, dt percentiles and NIS by place; at most 32 of them."""
    node = graph.smoother(input_type='pose_array', **lossless('/pose'))
    arrays = graph.listen(DiagnosticArray, '/diagnostics')
    publisher, _ = graph.connect(node, 'pose_array')
    stamps, rows = walk('pose', 20)
    rows = np.repeat(rows[:, None], 40, 1)
    rows[5, 1, 2] = np.nan
    graph.send(publisher, 'pose_array', stamps, rows)
    settle(graph, node, 20)
    graph.until(lambda: arrays and len(arrays[-1].status) == 33, 'the reports')
    assert [s.name for s in arrays[-1].status[:2]] == ['/smoother: /pose', '/smoother: /pose [0]']
    streams = [{p.key: p.value for p in s.values} for s in arrays[-1].status]
    assert streams[0]['streams'] == '40' and streams[0]['accepted'] == '20'
    assert streams[1]['poses accepted'] == '20' and streams[2]['poses accepted'] == '19'
    assert streams[2]['poses dropped: non_finite'] == '1'
    for values in streams[1:]:
        assert {'rate Hz', 'age s', 'dt p50 ms', 'dt p99 ms', 'mean NIS'} <= set(values)
        assert 5.0 <= float(values['dt p50 ms']) <= 15.0 <= 1e3
        assert float(values['age s']) > 1e6 and float(values['mean NIS']) > 0.0


# -- no leaks


@pytest.mark.long
def test_thirty_rounds_of_every_transition_leave_nothing_behind(graph):
    """Entities, file descriptors and Python objects are those of the first rounds."""
    node = graph.smoother(active=False, inputs=['a', 'b'], smoother='kalman', debug=True,
                          publish_odometry=True, publish_rate_hz=50.0, reorder_s=0.1)

    def left():
        gc.collect()
        return (len(list(node.timers)), len(list(node.publishers)), len(list(node.subscriptions)),
                len(list(node.services)), len(os.listdir('/proc/self/fd')))

    counts, objects = [], []
    for _ in range(30):
        assert node.bring_up()
        graph.executor.spin_once(timeout_sec=0.0)
        node.trigger_deactivate()
        node.trigger_activate()
        node.trigger_deactivate()
        node.trigger_cleanup()
        counts.append(left())
        objects.append(len(gc.get_objects()))
    assert set(counts[2:]) == {counts[2]}
    assert objects[-1] - objects[9] < 20 * 5, objects  # no entity stays, nor a reference
