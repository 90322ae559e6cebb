# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The node's states: every transition, again and again, and what cannot be configured."""

from time import monotonic

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from ros_graph import Graph, lossless, rows_of, stamped, START_NS, walk
from rosgraph_msgs.msg import Clock

TOPICS = ('/pose', '/pose/smoothed', '/pose/path', '/diagnostics')


def change(graph, transition):
    """Ask for a transition as a lifecycle manager does; return whether it succeeded."""
    request = ChangeState.Request(transition=Transition(id=transition))
    return graph.call(ChangeState, '/smoother/change_state', request).success


def state(graph):
    """Return the state's id."""
    return graph.call(GetState, '/smoother/get_state', GetState.Request()).current_state.id


def endpoints(node):
    """Return what the node has on the graph: names of (its subscriptions, its publishers)."""
    return ({s.topic_name for s in node.subscriptions} & set(TOPICS),
            {p.topic_name for p in node.publishers} & set(TOPICS))


def test_every_transition_repeatedly_from_outside(graph):
    """Five rounds of configure, activate, deactivate, activate, deactivate, cleanup."""
    node = graph.smoother(active=False, **lossless('/pose'))
    received = graph.listen('pose', '/pose/smoothed')
    publisher = graph.speak('pose', '/pose')
    stamps, rows = walk('pose', 20)
    outputs = []
    for _ in range(5):
        assert endpoints(node) == (set(), set())
        assert change(graph, Transition.TRANSITION_CONFIGURE)
        assert state(graph) == State.PRIMARY_STATE_INACTIVE
        assert endpoints(node) == ({'/pose'}, set(TOPICS[1:]))
        channel = node.channels[0]
        graph.matched(publisher)
        graph.until(lambda c=channel: c.outputs.main.get_subscription_count() > 0,
                    'the output to be matched')
        for _ in range(2):
            assert change(graph, Transition.TRANSITION_ACTIVATE)
            assert state(graph) == State.PRIMARY_STATE_ACTIVE
            del received[:]
            graph.send(publisher, 'pose', stamps, rows)
            graph.until(lambda: len(received) == 20, 'the output')
            outputs.append(rows_of('pose', received)[1])
            assert change(graph, Transition.TRANSITION_DEACTIVATE)
            before = channel.tally.dropped['inactive']
            publisher.publish(stamped('pose', START_NS, rows[0]))
            graph.until(lambda c=channel, b=before: c.tally.dropped['inactive'] == b + 1,
                        'a message while inactive')
        assert channel.tally.received == 42 == channel.tally.published + 2
        assert change(graph, Transition.TRANSITION_CLEANUP)
        assert state(graph) == State.PRIMARY_STATE_UNCONFIGURED
        graph.until(lambda: publisher.get_subscription_count() == 0, 'the input to be gone')
    assert all(np.array_equal(output, outputs[0]) for output in outputs)
    assert not list(node.timers)


def test_a_transition_that_the_state_does_not_have_is_refused(graph):
    node = graph.smoother(active=False, **lossless('/pose'))
    for wrong in (Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_ACTIVE_SHUTDOWN, 99):
        assert not change(graph, wrong)
        assert state(graph) == State.PRIMARY_STATE_UNCONFIGURED
    for right in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        assert change(graph, right)
        assert not change(graph, right)
    assert state(graph) == State.PRIMARY_STATE_ACTIVE
    assert [channel.topic for channel in node.channels] == ['/pose']


@pytest.mark.parametrize('steps, transition', [
    ((), Transition.TRANSITION_UNCONFIGURED_SHUTDOWN),
    (('configure',), Transition.TRANSITION_INACTIVE_SHUTDOWN),
    (('configure', 'activate'), Transition.TRANSITION_ACTIVE_SHUTDOWN)])
def test_shutdown_from_every_state_releases_everything(graph, steps, transition):
    """Finalized, with nothing left on the graph."""
    node = graph.smoother(active=False)
    for step in steps:
        getattr(node, f'trigger_{step}')()
    assert change(graph, transition)
    assert state(graph) == State.PRIMARY_STATE_FINALIZED
    assert endpoints(node) == (set(), set()) and not list(node.timers)


@pytest.mark.parametrize('name, bad, good', [
    ('device', 'cuda', 'cpu'),
    ('checkpoint', '/nowhere/weights.safetensors', ''),
    ('smoother', 'emma', 'ema'),
    ('input_topic', 'no spaces allowed', 'pose'),
    ('input_topic', '{foo}', 'pose'),
    ('output_topic', '/diagnostics', ''),
    ('output_topic', 'pose', ''),
    ('path_topic', 'pose/smoothed', '')])
def test_what_cannot_be_configured_fails_in_one_line_and_can_be_mended(
        graph, capfd, name, bad, good):
    """FAILURE, still unconfigured, nothing left over; the right value then configures."""
    if name == 'device' and cuda():
        pytest.skip('this machine has CUDA')
    params = {'smoother': 'liquid'} if name == 'checkpoint' else {'smoother': 'ema'}
    node = graph.smoother(active=False, **{**params, name: bad})
    assert not change(graph, Transition.TRANSITION_CONFIGURE)
    assert state(graph) == State.PRIMARY_STATE_UNCONFIGURED
    assert endpoints(node) == (set(), set())
    lines = [line for line in capfd.readouterr().err.splitlines() if line.strip()]
    assert len(lines) == 1 and 'cannot configure: ' in lines[0] and bad in lines[0], lines
    if name == 'checkpoint':
        assert node.set_parameters_atomically([Parameter('smoother', value='ema')]).successful
    assert node.set_parameters_atomically([Parameter(name, value=good)]).successful
    assert change(graph, Transition.TRANSITION_CONFIGURE)


def cuda():
    """Return whether torch sees a CUDA device."""
    from liquid_ros.backend import NumpyBackend, pick_backend
    return not isinstance(pick_backend('auto'), NumpyBackend)


def test_require_device_refuses_the_fallback(graph, capfd):
    """Auto without CUDA fails where a device is required."""
    if cuda():
        pytest.skip('this machine has CUDA')
    node = graph.smoother(active=False, device='auto', require_device=True)
    assert not node.bring_up()
    assert 'no CUDA device' in capfd.readouterr().err


def test_an_unexpected_error_in_configure_is_told_and_cleaned_up(graph, capfd, monkeypatch):
    """A bug shows its traceback, and the node is unconfigured again."""
    node = graph.smoother(active=False)

    def broken(*_):
        raise ZeroDivisionError('a bug')

    monkeypatch.setattr('liquid_ros.ros.node.build', broken)
    assert not node.bring_up()
    assert state(graph) == State.PRIMARY_STATE_UNCONFIGURED
    assert 'ZeroDivisionError: a bug' in capfd.readouterr().err
    monkeypatch.undo()
    assert node.bring_up()


def test_it_runs_on_the_single_threaded_executor_too():
    """What Humble has: same output."""
    outputs = []
    for make in (None, SingleThreadedExecutor):
        graph = Graph(make)
        try:
            node = graph.smoother(**lossless('/pose'))
            publisher, received = graph.connect(node, 'pose')
            stamps, rows = walk('pose', 50)
            graph.send(publisher, 'pose', stamps, rows)
            graph.until(lambda r=received: len(r) == 50, 'the output')
            outputs.append(rows_of('pose', received)[1])
        finally:
            graph.close()
    assert np.array_equal(*outputs)


def test_diagnostics_have_the_stamps_of_the_simulated_clock(graph):
    """With use_sim_time a report comes every second, however fast /clock goes, under its stamp."""
    clock = graph.peer.create_publisher(Clock, '/clock', QoSProfile(depth=10))
    graph.smoother(use_sim_time=True)
    arrays = graph.listen(DiagnosticArray, '/diagnostics')
    graph.matched(clock)
    graph.matched(topic='/diagnostics')
    now_ns = [START_NS]

    def tick():
        now_ns[0] += 200_000_000
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(now_ns[0], 10**9)
        clock.publish(message)
        graph.pause(0.01)  # with the sender in the same executor
        return len(arrays) >= 4

    began = monotonic()
    graph.until(tick, 'four reports')
    assert 2.5 < monotonic() - began < 10.0
    stamps_ns = [a.header.stamp.sec * 10**9 + a.header.stamp.nanosec for a in arrays[-3:]]
    assert all(START_NS < stamp_ns <= now_ns[0] for stamp_ns in stamps_ns)
    assert stamps_ns == sorted(set(stamps_ns))
