# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Streams side by side, in float32 behind the innovation, are the plain step to its rounding."""

import ctypes

import numpy as np
import pytest
from test_fused import builds, CASES, compile_here, needs_compiler, some_rows, streams_of_all_kinds
from test_fused_cuda import assert_alike, TUNINGS

from liquid_ros import fused
from liquid_ros.backend import NumpyBackend
from liquid_ros.checkpoint import build, load, SHIPPED
from liquid_ros.fused import Compiled, REST
from liquid_ros.fusing.graph import Graph
from liquid_ros.fusing.lane_prelude import helpers, LANE_PRELUDE, LANES, USUAL, WIDEST
from liquid_ros.fusing.lane_source import lane_source
from liquid_ros.fusing.lanes import Lanes
from liquid_ros.fusing.prelude import PRELUDE
from liquid_ros.fusing.schedule import Result
from liquid_ros.fusing.source import record, state_layout, weight_layouts
from liquid_ros.fusing.writer import Given
from liquid_ros.packing import estimate_layout, Layout
from liquid_ros.smoothers.tuning import Tuning
from liquid_ros.stepping import predicted
from liquid_ros.streams import StreamBank
from liquid_ros.timing import NS_PER_S

needs_step = pytest.mark.skipif(not isinstance(build(), Compiled), reason='no compiled step')


@pytest.fixture(scope='module')
def plain():
    """Return the shipped smoother, its step as it is written."""
    return load('liquid', SHIPPED, NumpyBackend())


@pytest.fixture(scope='module')
def alone(plain):
    """Return the compiled smoother that takes one stream after the other."""
    return Compiled(plain, fused.library(), lanes=False)


@pytest.fixture(scope='module')
def lanes(plain):
    """Return the compiled smoother that takes LANES streams at once."""
    smoother = Compiled(plain, fused.library())
    if not smoother._lanes_room:
        pytest.skip('no vectors that are long enough')
    return smoother


def packed_after(smoother, rng, count, width, steps=8):
    """Return packed states (count, S) some messages after the start."""
    layout = smoother.layout(width)
    state, _ = smoother.init(some_rows(rng, 0, count, width))
    packed = np.array(layout.pack(state), order='C')
    for k in range(1, steps):
        smoother.step_packed(packed, some_rows(rng, k, count, width), np.full((count, 1), 0.02))
    return packed


# -- the step


@needs_step
@pytest.mark.parametrize('width', [3, 7])
@pytest.mark.parametrize('tuning', TUNINGS)
def test_a_hundred_thousand_steps_side_by_side(plain, lanes, tuning, width):
    """From the same state: streams of all kinds, and a rest that does not fill the lanes."""
    rng, count = np.random.default_rng(3), 31 * LANES + REST
    plain, lanes = plain.tuned(tuning), lanes.tuned(tuning)
    state, _ = plain.init(some_rows(rng, 0, count, width))
    layout, said = lanes.layout(width), estimate_layout(width)
    steps = 200 if tuning == Tuning() else 20
    for k, given in enumerate(streams_of_all_kinds(rng, count, width, steps), 1):
        packed, before = np.array(layout.pack(state), order='C'), state['output_rows']
        with np.errstate(all='ignore'):
            state, estimate = plain.step(state, *given)
        answer = lanes.step_packed(packed, *given)
        assert (answer[:, -1] == 0.0).all()
        assert_alike(np.concatenate(estimate, 1), answer[:, :-1], before, said, width, k)
        assert np.isfinite(packed).all()
    assert k * count > (100_000 if tuning == Tuning() else 10_000)


@needs_step
@pytest.mark.parametrize('width', [3, 7])
def test_a_stream_is_the_same_to_the_last_bit_in_any_lane(lanes, width):
    rng, count = np.random.default_rng(4), 2 * LANES + REST
    packed = packed_after(lanes, rng, count, width)
    rows, dt_s = some_rows(rng, 9, count, width), rng.uniform(0.01, 0.1, (count, 1))
    order = rng.permutation(count)
    moved = packed[order]
    answer = lanes.step_packed(packed, rows, dt_s).copy()
    np.testing.assert_array_equal(lanes.step_packed(moved, rows[order], dt_s[order]),
                                  answer[order])
    np.testing.assert_array_equal(moved, packed[order])


@needs_step
@pytest.mark.parametrize('width', [3, 7])
@pytest.mark.parametrize('count', [LANES - 1, LANES + REST - 1, 1])
def test_what_fills_no_lanes_is_as_it_is_alone(lanes, alone, width, count):
    rng, first = np.random.default_rng(5), count // LANES * LANES
    packed = packed_after(alone, rng, count, width)
    rows, dt_s = some_rows(rng, 9, count, width), rng.uniform(0.01, 0.1, (count, 1))
    ways = packed.copy(), packed.copy()
    answers = [smoother.step_packed(way, rows, dt_s)
               for smoother, way in zip((lanes, alone), ways)]
    np.testing.assert_array_equal(answers[0][first:], answers[1][first:])
    np.testing.assert_array_equal(ways[0][first:], ways[1][first:])


@needs_step
@pytest.mark.parametrize('width', [3, 7])
def test_what_is_not_finite_is_marked_in_its_lane(lanes, width):
    rng, count = np.random.default_rng(6), 2 * LANES
    packed = packed_after(lanes, rng, count, width)
    before, rows = packed.copy(), some_rows(rng, 9, count, width)
    rows[3, 1], rows[20, 0] = np.nan, np.inf
    answer = lanes.step_packed(packed, rows, np.full((count, 1), 0.02))
    wrong = [3, 20]
    assert np.flatnonzero(answer[:, -1] != 0.0).tolist() == wrong
    np.testing.assert_array_equal(packed[wrong], before[wrong])
    assert (packed != before).any(1).sum() == count - len(wrong)


@needs_step
def test_what_float32_cannot_hold_is_stepped_alone(lanes, alone):
    rng, count = np.random.default_rng(7), LANES
    packed = packed_after(alone, rng, count, 3)
    rows = some_rows(rng, 9, count, 3)
    rows[5] = 1e25  # its square is beyond float32
    ways = packed.copy(), packed.copy()
    answers = [smoother.step_packed(way, rows, np.full((count, 1), 0.02))
               for smoother, way in zip((lanes, alone), ways)]
    assert (answers[1][:, -1] == 0.0).all()
    np.testing.assert_array_equal(answers[0][5], answers[1][5])
    np.testing.assert_array_equal(ways[0][5], ways[1][5])
    assert (answers[0][:, -1] == 0.0).all() and (answers[0][0] != answers[1][0]).any()


@needs_step
@pytest.mark.parametrize('width', [3, 7])
def test_predictions_are_those_of_a_stream_alone(lanes, alone, width):
    rng, count = np.random.default_rng(8), 2 * LANES
    packed = packed_after(lanes, rng, count, width)
    dt_s = rng.uniform(0.0, 0.1, (count, 1))
    ways = [[part.copy() for part in predicted(smoother, NumpyBackend(), smoother.layout(width),
                                               packed, dt_s)] for smoother in (lanes, alone)]
    for got, wanted in zip(*ways):
        np.testing.assert_array_equal(got, wanted)


@needs_step
@pytest.mark.parametrize('width', [3, 7])
def test_a_bank_goes_on_side_by_side_as_alone(lanes, alone, width):
    """Sixty messages of forty streams, some of which rest, from the start on."""
    rng, keys = np.random.default_rng(9), list(range(40))
    banks, apart = [StreamBank(smoother, width) for smoother in (lanes, alone)], []
    rest = some_rows(rng, 0, 6, width)
    for k in range(60):
        rows = some_rows(rng, k, len(keys), width)
        rows[::7] = rest
        answers = [bank.update(keys, [(k + 1) * NS_PER_S // 50] * len(keys), rows)
                   for bank in banks]
        assert answers[0].reasons == answers[1].reasons
        apart.append(np.abs(answers[0].estimate.rows - answers[1].estimate.rows).ravel())
    off = np.concatenate(apart)  # where a decision is a close one, a stream goes another way
    assert (np.quantile(off, [0.5, 0.9, 0.99]) < (1e-6, 1e-4, 1e-2)).all()


# -- operation by operation


def targets():
    """Yield a target with a build: for any processor, and for those whose vectors this one has."""
    for build_here in builds():
        wide = build_here.how == 'WIDE void'
        if wide or 'CLONED' in build_here.how:
            yield pytest.param(WIDEST if wide else USUAL, build_here, id=f'{build_here}')


@needs_compiler
@pytest.mark.parametrize('wide', [True, False])
@pytest.mark.parametrize('target, build_here', targets())
def test_each_operation_is_that_of_numpy_in_lanes(target, build_here, wide, tmp_path):
    rng = np.random.default_rng(6)
    inputs = Layout({'a': (2, 3), 'm': (3, 3), 's': ()})
    parts, shapes = [PRELUDE, LANE_PRELUDE, helpers(target)], {}
    room = 0
    for at, case in enumerate(CASES.values()):
        graph = Graph(reciprocals=not wide)
        arrays = [graph.input(name, shape, wide) for name, shape in inputs.shapes.items()]
        result = case(*arrays)
        shapes[at] = result.shape
        places = {name: Given('given', inputs.columns[name][0]) for name in inputs.shapes}
        text, size = lane_source(
            f'case_{at}', graph, places, [Result('out', 0, result)],
            {'given': inputs.size, 'out': result.index.size + 1}, [], target)
        parts.append(text)
        room = max(room, size)
    functions = compile_here(tmp_path, parts, build_here)
    count = LANES + 3
    given, held = rng.normal(size=(count, inputs.size)), np.zeros(room + 64, np.uint8)
    close = {'rtol': 1e-13, 'atol': 1e-14} if wide else {'rtol': 2e-4, 'atol': 2e-5}
    for at, (name, case) in enumerate(CASES.items()):
        out = np.zeros((count, int(np.prod(shapes[at])) + 1))
        getattr(functions, f'case_{at}')(ctypes.c_long(count), *(
            ctypes.c_void_p(address) for address in (
                given.ctypes.data, out.ctypes.data, -(-held.ctypes.data // 64) * 64)))
        for row, got in zip(given, out):
            parts = inputs.unpack(row[None])
            with np.errstate(invalid='ignore'):
                wanted = np.asarray(case(*(part[0] for part in parts.values())), dtype=float)
            np.testing.assert_allclose(got[:-1], wanted.reshape(-1), err_msg=name, **close)
            assert np.isnan(got[-1]) == (not np.isfinite(wanted).all()), name


def some_work(xp, x, y):
    """Return what is computed axis by axis, across axes, and joined; x (1, 6, 4, 5), y (1, 6)."""
    power = xp.exp(0.1 * x)
    share = power / power.sum(-1)[..., None]
    level = (share * share).sum(-1) - xp.amax(share, -1) / 3.0
    mixed = (share * y[..., None, None]).sum(-1) + level
    across = mixed[:, ::-1] * level  # of another axis
    joined = xp.stack([level, across], -1)
    behind = (joined * joined).sum(-1) / (1.0 + y * y)[..., None]
    return share, joined, behind, xp.concatenate([behind[:, :3], mixed[:, 3:]], 1)


@needs_compiler
@pytest.mark.parametrize('target, build_here', targets())
def test_what_shares_a_loop_is_as_it_is_alone(target, build_here, tmp_path):
    rng, sizes = np.random.default_rng(8), {'x': (1, 6, 4, 5), 'y': (1, 6)}
    graph, inputs, count = Graph(reciprocals=True), Layout(sizes), LANES + 1
    results, size = [], 0
    given = {name: Given('given', inputs.columns[name][0]) for name in sizes}
    arrays = [graph.input(name, shape, False) for name, shape in sizes.items()]
    for array in some_work(arrays[0].__array_namespace__(), *arrays):
        results.append(Result('out', size, array))
        size += array.index.size
    writer = Lanes(graph, given, results, set(), {'given': inputs.size, 'out': size + 1})
    assert max(len(block.groups) for block in writer.blocks if block.rounds == 6) > 3
    text, room = lane_source('work', graph, given, results,
                             {'given': inputs.size, 'out': size + 1}, [], target)
    functions = compile_here(tmp_path, [PRELUDE, LANE_PRELUDE, helpers(target), text], build_here)
    numbers, out = rng.normal(size=(count, inputs.size)), np.zeros((count, size + 1))
    held = np.zeros(room + 64, np.uint8)
    functions.work(ctypes.c_long(count), *(ctypes.c_void_p(address) for address in (
        numbers.ctypes.data, out.ctypes.data, -(-held.ctypes.data // 64) * 64)))
    for row, got in zip(numbers, out):
        parts = inputs.unpack(row[None]).values()
        wanted = np.concatenate([one.ravel() for one in some_work(
            np, *(part[0] for part in parts))])
        np.testing.assert_allclose(got[:-1], wanted, rtol=1e-5, atol=1e-6)


def test_a_block_is_after_what_it_needs(plain):
    layouts = weight_layouts({name: array.shape for name, array in plain.weights.items()})
    for width in (3, 7):
        recorded = record(False, width, plain.config, layouts,
                          state_layout(plain, width), wide=False, reciprocals=True)
        writer = Lanes(*recorded[:3], {'w'}, recorded.strides)
        written, groups = set(), 0
        for block in writer.blocks:
            inside = {n for group in block.groups for n in group}
            for n in inside:
                for view in writer.nodes[n].args:
                    kind = writer.nodes[view.node].kind
                    assert kind in ('input', 'const') or view.node in written | inside
            written |= inside
            groups += len(block.groups)
        assert len(writer.blocks) < groups - 50


FUNCTIONS = {
    'exp': (np.exp, -86.0, 88.0), 'expm1': (np.expm1, -86.0, 88.0), 'tanh': (np.tanh, -12.0, 12.0),
    'log': (np.log, 1e-37, 1e37), 'arcsinh': (np.arcsinh, -1e6, 1e6),
}


@needs_compiler
@pytest.mark.parametrize('target, build_here', targets())
def test_functions_of_float_are_right_to_some_units_in_the_last_place(target, build_here,
                                                                      tmp_path):
    """Small numbers and large ones, and what is none."""
    parts, special = [PRELUDE, LANE_PRELUDE, helpers(target)], [np.nan, 0.0, np.inf, -np.inf]
    beyond = [88.5, 100.0, 1e30]  # of exp in float32
    for name in FUNCTIONS:
        graph = Graph()
        result = graph.map(name, graph.input('x', (1,), False))
        text, size = lane_source(f'f_{name}', graph, {'x': Given('x', 0)},
                                 [Result('out', 0, result)], {'x': 1, 'out': 2}, [], target)
        parts.append(text)
    functions = compile_here(tmp_path, parts, build_here)
    held = np.zeros(size + 64, np.uint8)
    for name, (function, low, high) in FUNCTIONS.items():
        x = (np.geomspace(low, high, 4000) if name == 'log' else np.concatenate([
            np.linspace(low, high, 4000), *(sign * np.geomspace(1e-6, high, 4000)
                                            for sign in (-1.0, 1.0))]))
        x = np.concatenate([x[x >= low], special, beyond]).astype(np.float32).astype(float)
        out = np.zeros((len(x), 2))
        getattr(functions, f'f_{name}')(ctypes.c_long(len(x)), *(
            ctypes.c_void_p(address) for address in (
                x.ctypes.data, out.ctypes.data, -(-held.ctypes.data // 64) * 64)))
        with np.errstate(all='ignore'):
            wanted = function(x)
        n = len(x) - len(special) - len(beyond)
        # of asinh what is near 0 is as exact as 1 is
        np.testing.assert_allclose(out[:n, 0], wanted[:n], rtol=6e-7, err_msg=name,
                                   atol=2e-7 if name == 'arcsinh' else 0.0)
        assert np.isnan(out[n, 0]), name
        assert name not in ('exp', 'expm1') or not np.isfinite(out[-len(beyond):, 0]).any()
        if name in ('tanh', 'log'):
            known = slice(n + 1, n + len(special))
            np.testing.assert_array_equal(out[known, 0], wanted[known], err_msg=name)
        else:
            np.testing.assert_allclose(out[n + 1, 0], wanted[n + 1], atol=1e-7, err_msg=name)
