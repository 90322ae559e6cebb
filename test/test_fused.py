# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The compiled step is the plain one: operation by operation, and over long random streams."""

import ctypes
from pathlib import Path
import platform
import shutil
import subprocess
import sys
from typing import NamedTuple, Sequence

import numpy as np
import pytest

from liquid_ros import fused
from liquid_ros.arrays import namespace, tangent_size
from liquid_ros.backend import NumpyBackend
from liquid_ros.checkpoint import build, load, SHIPPED
from liquid_ros.fused import place
from liquid_ros.fusing.emit import emit
from liquid_ros.fusing.graph import Graph
from liquid_ros.fusing.prelude import PRELUDE
from liquid_ros.fusing.schedule import Result, Room
from liquid_ros.fusing.source import recipe, TEXTS
from liquid_ros.fusing.writer import Given
from liquid_ros.packing import estimate_layout, Layout
from liquid_ros.smoothers.liquid import Liquid
from liquid_ros.smoothers.tuning import Tuning
from liquid_ros.stepping import predicted
from liquid_ros.streams import StreamBank

ROOT = Path(__file__).resolve().parents[1]
COMPILER = shutil.which('cc') or shutil.which('gcc')
needs_compiler = pytest.mark.skipif(not COMPILER, reason='no C compiler')


@pytest.fixture(scope='module')
def plain():
    """Return the shipped smoother, its step as it is written."""
    return load('liquid', SHIPPED, NumpyBackend())


@pytest.fixture(scope='module')
def compiled(plain, tmp_path_factory):
    """Return the shipped smoother compiled, a stream at a time: as built, or built here."""
    if isinstance(fused.fuse(plain), fused.Fused):
        return fused.Compiled(plain, fused.library(), lanes=False)
    if not COMPILER:
        pytest.skip('no C compiler')
    folder = tmp_path_factory.mktemp('built')
    subprocess.run([sys.executable, 'setup.py', '-q', 'build_ext', '--build-lib', str(folder),
                    '--build-temp', str(folder / 'temp')], cwd=ROOT, check=True, timeout=300)
    library = next(folder.glob('liquid_ros/_step*'))
    return fused.Compiled(plain, ctypes.PyDLL(str(library)), lanes=False)


def test_it_is_of_these_sources(compiled, plain):
    """What was built is what would be built now: nothing stale is tested here."""
    assert compiled._compiled.recipe().decode() == recipe(plain.config)


def test_the_recipe_is_of_all_that_the_source_is_made_by():
    """Of errors only what is raised."""
    told = 'import sys, liquid_ros.fusing.source; print(*sys.modules)'
    loaded = subprocess.run([sys.executable, '-c', told], cwd=ROOT, check=True, text=True,
                            capture_output=True).stdout.split()
    folder = ROOT / 'liquid_ros'
    counted = {path for text in TEXTS for path in folder.glob(text)}
    for name in loaded:
        path = ROOT / f'{name.replace(".", "/")}.py'
        if name.startswith('liquid_ros.') and path.exists() and path != folder / 'errors.py':
            assert path in counted, name


def some_rows(rng, k, count, width):
    """Return rows (count, width) along a way, with outliers."""
    rows = rng.normal(size=(count, width)) * 0.01
    rows[:, :3] += 0.02 * k + np.where(rng.random((count, 1)) < 0.03,
                                       10.0**rng.uniform(-2, 3, (count, 1)), 0.0)
    if width == 7:
        rows[:, 6] = 1.0
        rows[:, 3:6] += np.where(rng.random((count, 1)) < 0.02, 2.0, 0.0)
        rows[:, 3:] /= np.linalg.norm(rows[:, 3:], axis=1, keepdims=True)
    return rows


def streams_of_all_kinds(rng, count, width, steps):
    """Yield rows, dt_s and variances of streams at all scales and rates, some of them still."""
    axes = tangent_size(width)
    size = 10.0**rng.uniform(-4, 4, (count, 1))
    pace = 10.0**rng.uniform(-3, 0, (count, 1))
    still = rng.random((count, 3)) < 0.1
    for k in range(1, steps + 1):
        rows = some_rows(rng, k if k % 50 < 40 else 40, count, width)
        rows[:, :3] = np.where(still, 0.0, size * rows[:, :3])
        dt_s = pace * np.exp(rng.normal(size=(count, 1))
                             * np.where(rng.random((count, 1)) < 0.05, 5.0, 0.3))
        variances = None
        if k % 3 == 0:
            variances = np.where(rng.random((count, axes)) < 0.5, np.nan,
                                 np.exp(rng.normal(size=(count, axes))))
        yield rows, dt_s, variances


@pytest.mark.parametrize('width', [3, 7])
@pytest.mark.parametrize('tuning, thousands', [
    (Tuning(), 30), pytest.param(Tuning(), 100, marks=pytest.mark.long), (Tuning(0.6), 10),
    (Tuning(0.0, 0.01), 10), (Tuning(-0.7, 0.1), 10)])
def test_thousands_of_steps(plain, compiled, tuning, thousands, width):
    """
    From the same state, each step's numbers are the same but for rounding.

    Streams of all scales and rates, with rests, outliers, bursts of stamps, gaps, frozen axes
    and messages that state variances.
    """
    rng, count = np.random.default_rng(3), 500
    plain, compiled = plain.tuned(tuning), compiled.tuned(tuning)
    state, _ = plain.init(some_rows(rng, 0, count, width))
    steps = streams_of_all_kinds(rng, count, width, 2 * thousands)
    for k, (rows, dt_s, variances) in enumerate(steps, 1):
        with np.errstate(all='ignore'):
            after, estimate = plain.step(state, rows, dt_s, variances)
            fast, said = compiled.step(state, rows, dt_s, variances)
        for wanted, got in ((after, fast), (estimate._asdict(), said._asdict())):
            for name in wanted:
                # of acceleration a covariance is what is left of a much larger one
                np.testing.assert_allclose(
                    got[name], wanted[name], rtol=1e-6 if 'covariance' in name else 1e-7,
                    atol=1e-9, err_msg=f'{k} {name}')
        state = after
    assert k * count == 1000 * thousands


@pytest.mark.parametrize('width', [3, 7])
@pytest.mark.parametrize('tuning', [Tuning(), Tuning(0.6), Tuning(0.0, 0.01), Tuning(-0.7, 0.1)])
def test_predictions_are_the_plain_ones(plain, compiled, tuning, width):
    """After one message and more, to the present, over gaps and without an end."""
    rng = np.random.default_rng(4)
    plain, compiled = plain.tuned(tuning), compiled.tuned(tuning)
    count, layout = 200, compiled.layout(width)
    state, _ = plain.init(some_rows(rng, 0, count, width))
    for k in range(1, 60):
        dt_s = np.where(rng.random((count, 1)) < 0.1, 0.0, 10.0**rng.uniform(-9, 3, (count, 1)))
        with np.errstate(all='ignore'):
            wanted = plain.predict(state, dt_s)
            packed = np.array(layout.pack(state), order='C')
            before = packed.copy()
            said, _ = predicted(compiled, NumpyBackend(), layout, packed, dt_s)
            got = estimate_layout(width).unpack(said).values()
        assert np.array_equal(before, packed)
        for name, one, other in zip(wanted._fields, wanted, got):
            np.testing.assert_allclose(other, one, rtol=1e-7, atol=1e-9, err_msg=f'{k} {name}')
        dt_s = 0.05 * np.exp(0.3 * rng.normal(size=(count, 1)))
        state, _ = plain.step(state, some_rows(rng, k, count, width), dt_s)


def test_what_is_not_finite_is_marked(compiled):
    layout = compiled.layout(3)
    state, _ = compiled.init(np.zeros((3, 3)))
    rows = np.array([[0.0, 1.0, 2.0], [0.0, np.nan, 2.0], [np.inf, 0.0, 0.0]])
    packed = layout.pack(state)
    before = packed.copy()
    said = compiled.step_packed(packed, rows, np.full((3, 1), 0.1))
    assert (said[:, -1] == 0.0).tolist() == [True, False, False]
    np.testing.assert_array_equal(packed[1:], before[1:])
    assert (packed[0] != before[0]).any()


@pytest.mark.parametrize('width', [3, 7])
def test_a_batch_is_its_streams_to_the_last_bit(compiled, width):
    rng = np.random.default_rng(4)
    layout = compiled.layout(width)
    rows = some_rows(rng, 0, 9, width)
    state = layout.pack(compiled.init(rows)[0])
    for k in range(1, 12):
        rows, dt_s = some_rows(rng, k, 9, width), rng.uniform(0.01, 0.1, (9, 1))
        before = state.copy()
        whole = compiled.step_packed(state, rows, dt_s).copy()
        for i in range(9):
            alone = before[i:i + 1].copy()
            one = compiled.step_packed(alone, rows[i:i + 1], dt_s[i:i + 1])
            np.testing.assert_array_equal(one[0], whole[i])
            np.testing.assert_array_equal(alone[0], state[i])


def test_a_saved_state_goes_from_one_to_the_other(plain, compiled):
    """With a compiler or without, it is the same bank."""
    fast, slow = StreamBank(compiled, 3), StreamBank(plain, 3)
    rng = np.random.default_rng(5)
    for k in range(20):
        fast.update(('a', 'b'), [k * 10**7] * 2, rng.normal(size=(2, 3)))
    slow.load_state(*fast.state())
    row = rng.normal(size=(2, 3))
    answers = [bank.update(('a', 'b'), [20 * 10**7] * 2, row).estimate for bank in (fast, slow)]
    for got, wanted in zip(*answers):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)


def test_a_library_of_other_sources_is_left_alone(compiled, plain, monkeypatch):
    monkeypatch.setattr(fused, 'library', lambda: compiled._compiled)
    assert isinstance(fused.fuse(plain), fused.Fused)
    monkeypatch.setattr(fused, 'recipe', lambda config: 'another one')
    assert fused.fuse(plain) is plain


@pytest.mark.parametrize('found', [None, 'not a library'])
def test_without_a_library_the_step_is_plain(found, plain, monkeypatch, tmp_path):
    beside = tmp_path / 'fused.py'
    if found:
        for suffix in fused.EXTENSION_SUFFIXES:
            (tmp_path / (fused.LIBRARY + suffix)).write_text(found)
    monkeypatch.setattr(fused, '__file__', str(beside))
    fused.library.cache_clear()
    try:
        assert fused.library() is None and fused.fuse(plain) is plain
        assert type(build()) is Liquid
    finally:
        fused.library.cache_clear()


# -- operation by operation

CASES = {
    'broadcast': lambda a, m, s: a[:, :, None] * m[0] + 2.0 - s,
    'divide': lambda a, m, s: (1.0 / (a * a + 1.0)) / (s + 5.0),
    'views': lambda a, m, s: m.T[1:] + a.reshape(-1)[:1] - m[None, :, 1:3][0].T,
    'reshaped': lambda a, m, s: a.reshape(3, 2) @ m[:2, :],
    'gathered': lambda a, m, s: a[:, [2, 0, 1, 1]] * 3.0,
    'joined': lambda a, m, s: _xp(a).concatenate([a, -a[:, ::-1], a[:, :1]], 1),
    'stacked': lambda a, m, s: _xp(a).stack([a, a + 1.0, a * s], -1)[..., 1:],
    'summed': lambda a, m, s: a.sum(1)[:, None] + m.sum(-1)[:2] + a.mean(0)[0],
    'largest': lambda a, m, s: _xp(a).amax(a, -1) + _xp(m).amax(m, 0)[:2] + _xp(a).amax(
        _xp(a).where(a[:1] > 9.0, _nan(a), a), -1),
    'wide product': lambda a, m, s: _wide(m) @ _wide(m).T,
    'product of views': lambda a, m, s: _wide(m)[:, ::2] @ _wide(m).T[::2, 1:],
    'product of every tile': lambda a, m, s: (
        _xp(m).concatenate([_wide(m), _wide(m)[:1]], 0)
        @ _xp(m).concatenate([_wide(m).T * k for k in range(1, 11)] + [_wide(m).T[:, :1]], 1)),
    'product of taller tiles': lambda a, m, s: (
        _xp(m).concatenate([_wide(m)] * 3 + [_wide(m)[:1]], 0)
        @ _xp(m).concatenate([_wide(m).T * k for k in range(1, 11)] + [_wide(m).T[:, :1]], 1)),
    'a wide product of a few': lambda a, m, s: m[:, :2] @ _wide(m)[:2],
    'functions': lambda a, m, s: (_xp(a).exp(a) + _xp(a).expm1(a) + _xp(a).tanh(a)
                                  + _xp(a).log(a * a + 1.0) + _xp(a).sqrt(_xp(a).abs(a))
                                  + _xp(a).arcsinh(a) + _xp(a).sin(a) * _xp(a).cos(a)
                                  + _xp(a).arctan2(a, s)),
    'where': lambda a, m, s: _xp(a).where((a > 0.0) & ~(a > 1.0) | (a == s), a, -s),
    'order': lambda a, m, s: _xp(a).where(a <= 0.0, _xp(a).zeros_like(a), _xp(a).ones_like(a))
    + _xp(a).where(a >= 0.1, a**3, a) + _xp(a).where(a != s, a, s) + (a < s) * 1.0,
    'nan': lambda a, m, s: _xp(a).stack([
        _xp(a).maximum(_nan(a), a), _xp(a).maximum(a, _nan(a)),
        _xp(a).minimum(_nan(a), a), _xp(a).minimum(a, _nan(a)), _xp(a).minimum(a, s),
        _xp(a).maximum(_nan(a), 0.1), _xp(a).maximum(a, 0.1), _xp(a).maximum(0.1, _nan(a)),
        _xp(a).minimum(_nan(a), 0.1), _xp(a).minimum(a, 0.1), _xp(a).minimum(0.1, _nan(a)),
        _xp(a).where(_nan(a) > 0.0, a, s)], 0),
}


def _xp(array):
    return namespace(array)


def _wide(m):
    return _xp(m).concatenate([m, m + 1.0, m * m, m - 0.5], -1)


def _nan(a):
    return 0.0 * a / (0.0 * a)


class Build(NamedTuple):
    """What the step is compiled with, and for which processors."""

    flags: Sequence[str]
    how: str = 'CLONED void'


def builds():
    """Yield a build for any processor, for this one, with glibc's functions of many numbers."""
    wide = Path('/proc/cpuinfo').exists() and {'avx512f', 'avx512dq', 'avx512vl'} <= set(
        Path('/proc/cpuinfo').read_text().split())
    yield Build(['-U__gnu_linux__'])
    for how in ['CLONED void'] + ['WIDE void'] * wide:
        yield Build([], how)
        name, version = platform.libc_ver()
        if platform.machine() == 'x86_64' and name == 'glibc' and tuple(
                int(part) for part in version.split('.')[:2]) >= (2, 35):
            yield Build(['-DLIBMVEC', '-lmvec'], how)


def compile_here(folder, parts, build):
    """Return the library of these parts of a source, with setup.py's flags."""
    (folder / 'c.c').write_text('\n'.join(parts))
    subprocess.run([COMPILER, '-O2', '-ftree-vectorize', '-fopenmp-simd', '-ffp-contract=off',
                    '-fno-math-errno', '-fno-trapping-math', '-shared', '-fPIC', '-o', 'c.so',
                    'c.c', *build.flags, '-lm'], cwd=folder, check=True)
    return ctypes.PyDLL(str(folder / 'c.so'))


PRODUCTS = {
    'right': lambda x, w: x @ w,
    'right, turned': lambda x, w: x[:, :3] @ w[:3].T[:, ::-1].T,
    'left': lambda x, w: w[:, :16] @ x,
    'a left with few': lambda x, w: w[:, :4] @ x.T,
    'both': lambda x, w: w @ w.T,
    'ones': lambda x, w: _xp(x).ones_like(x[:, :1]) @ x[:1],
}


@needs_compiler
@pytest.mark.parametrize('build', builds(), ids=str)
def test_products_of_weights_that_are_float32(build, tmp_path):
    rng = np.random.default_rng(9)
    weight, given = rng.normal(size=(4, 20)).astype(np.float32), rng.normal(size=(16, 4))
    parts, shapes = [PRELUDE], {}
    for name, case in PRODUCTS.items():
        graph = Graph()
        x, w = graph.input('x', given.shape), graph.input('w', weight.shape)
        result = case(x, w)
        shapes[name] = result.shape
        parts.append(emit(f'case_{len(shapes)}', graph, {'x': Given('x', 0), 'w': Given('w', 0)},
                          [Result('out', 0, result)],
                          {'x': 0, 'w': 0, 'out': result.index.size + 1}, single=['w'],
                          how=build.how))
    functions = compile_here(tmp_path, parts, build)
    for at, (name, case) in enumerate(PRODUCTS.items(), 1):
        out = np.empty(int(np.prod(shapes[name])) + 1)
        getattr(functions, f'case_{at}')(ctypes.c_long(1), *(
            ctypes.c_void_p(array.ctypes.data) for array in (given, weight, out)))
        wanted = case(given, weight.astype(float))
        assert wanted.shape == shapes[name], name
        np.testing.assert_allclose(out[:-1], wanted.ravel(), rtol=1e-13, atol=1e-14, err_msg=name)


@needs_compiler
@pytest.mark.parametrize('build', builds(), ids=str)
def test_each_operation_is_that_of_numpy(build, tmp_path):
    rng = np.random.default_rng(6)
    shapes = {'a': (2, 3), 'm': (3, 3), 's': ()}
    parts, layouts = [PRELUDE], {}
    for at, case in enumerate(CASES.values()):
        graph = Graph()
        inputs = Layout(shapes)
        arrays = [graph.input(name, shape) for name, shape in shapes.items()]
        result = case(*arrays)
        layouts[at] = result.shape
        places = {name: Given('given', inputs.columns[name][0]) for name in shapes}
        parts.append(emit(f'case_{at}', graph, places, [Result('out', 0, result)],
                          {'given': inputs.size, 'out': result.index.size + 1}, how=build.how))
    functions = compile_here(tmp_path, parts, build)
    given = rng.normal(size=(4, Layout(shapes).size))
    for at, (name, case) in enumerate(CASES.items()):
        out = np.empty((4, int(np.prod(layouts[at])) + 1))
        getattr(functions, f'case_{at}')(ctypes.c_long(4), ctypes.c_void_p(given.ctypes.data),
                                         ctypes.c_void_p(out.ctypes.data))
        for row, got in zip(given, out):
            parts = Layout(shapes).unpack(row[None])
            with np.errstate(invalid='ignore'):
                wanted = np.asarray(case(*(part[0] for part in parts.values())), dtype=float)
            assert wanted.shape == layouts[at], name
            np.testing.assert_allclose(got[:-1], wanted.reshape(-1), rtol=1e-14, atol=1e-15,
                                       err_msg=name)
            assert np.isnan(got[-1]) == (not np.isfinite(wanted).all()), name


def test_buffers_do_not_overlap_and_gaps_are_used():
    rng, room, held = np.random.default_rng(8), Room(), []
    for _ in range(400):
        if held and rng.random() < 0.5:
            room.give(*held.pop(rng.integers(len(held))))
        else:
            size = int(rng.integers(1, 30))
            held.append((room.take(size), size))
        places = [at for start, size in held for at in range(start, start + size)]
        assert len(places) == len(set(places)) and max(places, default=0) <= room.size
    for one in held:
        room.give(*one)
    most = room.size
    assert [room.take(10), room.take(5)] == [0, 16]
    room.give(0, 10)
    assert [room.take(17), room.take(4), room.take(6)] == [24, 0, 8]
    assert room.size == max(most, 48)


def test_what_a_traced_step_cannot_do_says_so():
    graph = Graph()
    a = graph.input('a', (2, 3))
    for wrong in (lambda: bool(a[0, 0] > 0.0), lambda: a + np.ones(3), lambda: a**0.5,
                  lambda: a.__array_namespace__().sinh):
        with pytest.raises((TypeError, AttributeError), match='got'):
            wrong()


def test_where_and_by_what_a_step_is_computed_is_told(plain, compiled):
    assert place(plain, NumpyBackend()) == 'cpu (numpy)'
    assert place(compiled, NumpyBackend()) == 'cpu (compiled)'
