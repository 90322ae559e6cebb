# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The soak's own judgement: what it sends, and that a run without loops does not pass."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

SOURCE = Path(__file__).resolve().parents[1] / 'benchmarks' / 'soak.py'


@pytest.fixture(scope='module')
def soak():
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location('soak', SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stream(**changes):
    """Return a stream that everything went well with."""
    return SimpleNamespace(**{'name': 'a', 'faults': [], 'sent': 9, 'received': 8, 'runs': 2,
                              'loops': 2, **changes})


REPORT = {'a': {'received': '9', 'accepted': '8', 'dropped': '1', 'published': '8'}}


@pytest.mark.parametrize('changes, growth_mb, loops, words', [
    ({}, 0.0, 2, ''), ({'runs': 1}, 0.0, 2, 'outputs went back 1 times'),
    ({'loops': 3}, 0.0, 2, 'inputs 3 times'), ({'runs': 0, 'loops': 0}, 0.0, 0, 'at least 1'),
    ({}, 0.0, 3, 'expected 3'), ({}, 6.0, 2, 'memory grew'), ({'sent': 10}, 0.0, 2, 'sent 10'),
    ({'received': 7}, 0.0, 2, 'came 7'), ({'faults': ['odd']}, 0.0, 2, 'odd')])
def test_every_fault_is_found(soak, changes, growth_mb, loops, words):
    found = soak.judge([stream(**changes)], REPORT, growth_mb, loops)
    assert len(found) == bool(words) and words in ''.join(found)


def test_what_is_sent_has_all_that_is_promised(soak, graph):
    sent = []
    made = soak.Stream(graph.peer, 'a', 'pose', 0)
    made.publisher = SimpleNamespace(publish=lambda message: sent.append(
        made.codec.read(message)))
    for step in range(4000):
        at_s = step * 0.01 % 20.0
        made.send(soak.BASE_NS + int(at_s * 1e9), at_s)
    stamps = [batch.stamps_ns[0] for batch in sent]
    assert made.loops == 1 and len(sent) == made.sent < 4000
    steps = [b - a for a, b in zip(stamps, stamps[1:]) if a and b]
    assert 0 in stamps and 0 in steps and any(-10**9 < s < 0 for s in steps)
    assert sum(s < -10**10 for s in steps) == 1
    assert any(batch.rows[0, 1] != batch.rows[0, 1] for batch in sent)
