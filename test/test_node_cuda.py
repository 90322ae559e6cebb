# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The node on CUDA says what it says on the CPU; only where there is a device."""

import numpy as np
import pytest
from ros_graph import lossless, rows_of, walk
from test_fused_cuda import on_cuda

from liquid_ros.checkpoint import build
from liquid_ros.fused_cuda import OnCuda
from liquid_ros.streams import StreamBank

pytestmark = on_cuda


@pytest.mark.parametrize('kind, width', [('pose', 7), ('point', 3)])
@pytest.mark.parametrize('params', [
    {'device': 'cuda'}, {'device': 'auto', 'require_device': True}])
def test_messages_are_those_of_the_cpu(graph, capfd, kind, width, params):
    stamps, rows = walk(kind, 120)
    node = graph.smoother(smoother='liquid', input_type=kind, **params, **lossless('/pose'))
    publisher, received = graph.connect(node, kind)
    for part in range(0, 120, 10):
        graph.send(publisher, kind, stamps[part:part + 10], rows[part:part + 10])
        graph.until(lambda n=part + 10: len(received) == n, f'{part + 10} smoothed messages')
    bank = StreamBank(build(), width)
    wanted = [bank.update([''], [stamp], row[None]).estimate.rows[0]
              for stamp, row in zip(stamps, rows)]
    np.testing.assert_allclose(rows_of(kind, received)[1], wanted, atol=2e-4)
    assert isinstance(node.channels[0].flow.bank._smoother, OnCuda)
    assert 'cuda (' in capfd.readouterr().err


def test_transitions_again_and_again(graph):
    node = graph.smoother(smoother='liquid', device='cuda', **lossless('/pose'))
    publisher, received = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 60)
    for k in range(3):
        del received[:]
        graph.send(publisher, 'pose', stamps[20 * k:20 * k + 20], rows[20 * k:20 * k + 20])
        graph.until(lambda: len(received) == 20, 'smoothed messages')
        assert node.trigger_deactivate() == node.trigger_activate()


@pytest.mark.parametrize('kind, labels', [
    ('pose', ('cpu (',)), ('pose_array', ('cpu (', 'cuda ('))])
def test_auto_measures_for_arrays(graph, capfd, kind, labels):
    graph.smoother(smoother='liquid', device='auto', input_type=kind)
    told = capfd.readouterr().err
    assert any(label in told for label in labels)
