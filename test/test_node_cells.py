# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Every cell in the node over real DDS: what comes out is what the bank says."""

from cells import smoother
import numpy as np
import pytest
from ros_graph import lossless, rows_of, settle, stamped, walk

from liquid_ros.backend import NumpyBackend
from liquid_ros.checkpoint import load, save
from liquid_ros.smoothers.cells import CELLS
from liquid_ros.streams import StreamBank


@pytest.mark.parametrize('cell', CELLS)
def test_the_node_runs_the_checkpoint_s_cell(cell, graph, tmp_path):
    model, path = smoother(cell), str(tmp_path / 'w.safetensors')
    save('liquid', path, model.config, model.weights, {})
    node = graph.smoother(smoother='liquid', checkpoint=path, **lossless('/pose'))
    publisher, _ = graph.connect(node, 'pose')
    stamps, rows = walk('pose', 30)
    for stamp_ns, row in zip(stamps, rows):
        publisher.publish(stamped('pose', stamp_ns, row))
    tally, received = settle(graph, node, 30)
    assert not tally.dropped
    seen_stamps, seen = rows_of('pose', received)
    assert seen_stamps == stamps
    expected = StreamBank(load('liquid', path, NumpyBackend()), 7).update(
        ['a'] * 30, stamps, rows).estimate.rows
    np.testing.assert_allclose(seen, expected, rtol=1e-12, atol=1e-12)
