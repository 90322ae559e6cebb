# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The parameter checkpoint while messages flow: other weights between two of them."""

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import pytest
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter
from ros_graph import lossless, rows_of, walk

from liquid_ros import safetensors
from liquid_ros.backend import NumpyBackend
from liquid_ros.checkpoint import build, SHIPPED, WEIGHTS
from liquid_ros.saved import weights_hash
from liquid_ros.smoothers.tuning import Tuning
from liquid_ros.streams import StreamBank


def ask(graph, **values):
    """Set all of the values at once through the service; return its result."""
    request = SetParametersAtomically.Request(
        parameters=[Parameter(n, value=v).to_parameter_msg() for n, v in values.items()])
    return graph.call(
        SetParametersAtomically, '/smoother/set_parameters_atomically', request).result


@pytest.fixture
def other(tmp_path):
    """Return the path of weights whose measurement noise is another one."""
    arrays, meta = safetensors.load(SHIPPED)
    arrays = {name: array.copy() for name, array in arrays.items()}
    arrays['bias_out'][0] += 2.0
    path = str(tmp_path / 'other.safetensors')
    safetensors.save(path, arrays, meta)
    return path


def untouched(graph, node, reason, words):
    """Check that a refusal says why, and that the node goes on with what it has."""
    assert not reason.successful and words in reason.reason and '\n' not in reason.reason
    assert node.params.checkpoint == '' == node.get_parameter('checkpoint').value


def test_other_weights_between_two_messages_and_the_streams_go_on(graph, other, capfd):
    """To the bit what a bank does whose weights are exchanged there; the knob stays turned."""
    node = graph.smoother(smoother='liquid', smoothing=0.3, **lossless('/pose'))
    publisher, received = graph.connect(node, 'pose')
    told = graph.listen(DiagnosticArray, '/diagnostics')
    stamps, rows = walk('pose', 120)
    bank, expected = StreamBank(build(), 7), []
    for begin, checkpoint in ((0, None), (40, other), (80, '')):
        if checkpoint is not None:
            assert ask(graph, checkpoint=checkpoint).successful
            bank.exchange(build('liquid', checkpoint))
        bank.tune(Tuning(0.3, 0.0))
        part = slice(begin, begin + 40)
        graph.send(publisher, 'pose', stamps[part], rows[part])
        graph.until(lambda n=begin + 40: len(received) == n, 'the output')
        expected += [bank.update((0,), (stamp,), row[None]).estimate.rows[0]
                     for stamp, row in zip(stamps[part], rows[part])]
        own = weights_hash(build('liquid', checkpoint or ''), NumpyBackend())
        del told[:]
        graph.until(lambda: len(told) > 1, 'diagnostics')
        values = {pair.key: pair.value for pair in told[-1].status[0].values}
        assert values['weights'] == own and own in capfd.readouterr().err
    np.testing.assert_array_equal(rows_of('pose', received)[1], np.array(expected))
    assert not node.channels[0].tally.resets
    assert not np.array_equal(expected[60], StreamBank(build(), 7).update(
        (0,), (stamps[60],), rows[60][None]).estimate.rows[0])


def test_what_does_not_fit_is_refused_with_a_reason(graph, tmp_path, other):
    """Another shape, a broken file, none, no such package; an unknown value beside it."""
    node = graph.smoother(smoother='liquid', **lossless('/pose'))
    publisher, received = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 40)
    graph.send(publisher, 'pose', stamps[:20], rows[:20])
    graph.until(lambda: len(received) == 20, 'the output')
    small = tmp_path / 'small.safetensors'
    torch = pytest.importorskip('torch', reason='making weights of another shape needs torch')
    assert torch
    from liquid_ros.training.config import TrainConfig
    from liquid_ros.training.fit import Trainer
    Trainer(TrainConfig(hidden=6, batch=8, shares=2, compile=False)).export(str(small))
    (tmp_path / 'broken').write_bytes(b'no weights')
    for checkpoint, words in (
            (str(small), 'hidden=6'), (str(tmp_path / 'broken'), 'is no .safetensors file'),
            (str(tmp_path / 'none'), 'No such file'),
            ('package://no_such_package/x', "there is no package 'no_such_package'"),
            ('~nobody_of_this_name/x', 'No such file'), (300 * 'x', 'too long')):
        untouched(graph, node, ask(graph, checkpoint=checkpoint), words)
    untouched(graph, node, ask(graph, checkpoint=other, path_length=-1), 'path_length')
    graph.send(publisher, 'pose', stamps[20:], rows[20:])
    graph.until(lambda: len(received) == 40, 'the output')
    bank = StreamBank(build(), 7)
    expected = [bank.update((0,), (stamp,), row[None]).estimate.rows[0]
                for stamp, row in zip(stamps, rows)]
    np.testing.assert_array_equal(rows_of('pose', received)[1], np.array(expected))


def test_a_smoother_without_weights_takes_none(graph, other):
    node = graph.smoother(smoother='kalman')
    untouched(graph, node, ask(graph, checkpoint=other), 'has no weights')


def test_a_name_and_a_resource_of_a_package(graph, tmp_path, monkeypatch, other):
    """While unconfigured, too."""
    share = tmp_path / 'share'
    (share / 'ament_index/resource_index/packages').mkdir(parents=True)
    (share / 'ament_index/resource_index/packages/my_robot').write_text('')
    (share / 'my_robot').mkdir()
    (share / 'my_robot' / 'own.safetensors').write_bytes(open(other, 'rb').read())
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'/nowhere:{tmp_path}')
    node = graph.smoother(smoother='liquid', active=False)
    assert ask(graph, checkpoint='package://my_robot/own.safetensors').successful
    assert node.bring_up()
    own = weights_hash(build('liquid', other), NumpyBackend())
    assert {pair.key: pair.value for pair in node.channels[0].status()[0].values}[
        'weights'] == own
    assert ask(graph, checkpoint='liquid').successful
    assert (WEIGHTS / 'liquid.safetensors').exists()
    assert {pair.key: pair.value for pair in node.channels[0].status()[0].values}[
        'weights'] == weights_hash(build(), NumpyBackend())
