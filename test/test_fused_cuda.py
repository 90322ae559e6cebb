# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The step's kernel is the plain step: on the CPU as C++, and on CUDA."""

import ctypes
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
import shutil
import subprocess

import numpy as np
import pytest
from test_fused import some_rows

from liquid_ros.arrays import tangent_size
from liquid_ros.backend import NumpyBackend, TorchBackend
from liquid_ros.checkpoint import build, load, SHIPPED
from liquid_ros.fused import fuse, Fused, packed_weights
from liquid_ros.fusing.cuda_source import kernel_source
from liquid_ros.fusing.graph import Graph
from liquid_ros.fusing.kernel import kernel, Near
from liquid_ros.fusing.schedule import Result
from liquid_ros.fusing.source import function
from liquid_ros.fusing.threads import Shape
from liquid_ros.fusing.writer import Given
from liquid_ros.packing import estimate_layout, Layout
from liquid_ros.smoothers.tuning import Tuning
from liquid_ros.streams import StreamBank
from liquid_ros.timing import NS_PER_S

COMPILER = shutil.which('g++')
RUN = """
extern "C" void run(long long n, const float *w, const double *exact, double *state,
    const double *rows, const double *dt_s, const double *variances, double *said)
{
  launch(2, THREADS, [=] { %s(n, w, exact, state, rows, dt_s, variances, said); });
}
"""
TUNINGS = (Tuning(), Tuning(0.6), Tuning(0.0, 0.01), Tuning(-0.7, 0.1))


def has_cuda():
    """Return whether a kernel can run here."""
    if not find_spec('torch') or not find_spec('cuda'):
        return False
    import torch
    return torch.cuda.is_available()


on_cuda = pytest.mark.skipif(not has_cuda(), reason='no CUDA, or no cuda-bindings')


@pytest.fixture(scope='module')
def plain():
    """Return the shipped smoother, its step as it is written."""
    return load('liquid', SHIPPED, NumpyBackend())


def emulated(source, name, folder, *options):
    """Return a kernel as a function on the CPU, two blocks of it, and an order of its threads."""
    path, library = folder / 'kernel.cpp', folder / 'kernel.so'
    path.write_text(f'#include "cuda_shim.h"\n{source}{RUN % name}', encoding='utf-8')
    subprocess.run(['g++', '-O1', '-w', '-fno-strict-aliasing', '-shared', '-fPIC',
                    *options, '-I', str(Path(__file__).parent), str(path), '-o', str(library)],
                   check=True, timeout=300)
    loaded = ctypes.CDLL(str(library))
    run = loaded.run
    run.argtypes, run.restype = [ctypes.c_longlong] + [ctypes.c_void_p] * 7, None

    def call(*given, order=0):
        ctypes.c_int.in_dll(loaded, 'order').value = order
        run(len(given[2]), *(None if one is None else one.ctypes.data for one in given))
    return call


def streams(rng, count, width, steps):
    """Yield rows, dt_s and variances of streams of all scales and rates, with outliers."""
    size = 10.0**rng.uniform(-4, 4, (count, 1))
    pace = 10.0**rng.uniform(-3, 0, (count, 1))
    for k in range(steps):
        rows = some_rows(rng, k, count, width)
        rows[:, :3] *= size
        dt_s = pace * np.exp(rng.normal(size=(count, 1)) * 0.3)
        variances = np.full((count, tangent_size(width)), np.nan)
        if k % 3 == 2:
            variances[::2] = np.exp(rng.normal(size=variances[::2].shape)) * size[::2]**2
        yield rows, dt_s, variances


def assert_alike(wanted, got, before, said, width, message=''):
    """
    Compare estimates; in float32 a sum is as exact as its largest term.

    Of what is estimated that is the step's own length, of its variance the variance before.
    """
    wanted = said.unpack(wanted)
    got = said.unpack(got)
    scale = np.sqrt(wanted['variance']) + 1e-12
    apart = np.abs(got['rows'][:, :3] - wanted['rows'][:, :3]) / scale[:, :3]
    moved = np.abs(wanted['rows'][:, :3] - before[:, :3]) / scale[:, :3]
    over = apart / (1.0 + 0.01 * moved)
    assert np.quantile(over, 0.99) < 1e-3 and over.max() < 0.1, f'{message}: {over.max()}'
    for name in ('variance', 'nis', 'weight'):
        off = np.abs(got[name] - wanted[name]) / (1e-3 + np.abs(wanted[name]))
        assert np.quantile(off, 0.99) < 1e-2, f'{message} {name}: {np.quantile(off, 0.99)}'


class OnThreads(Fused):
    """A smoother whose step is the kernel, on the CPU's threads."""

    def __init__(self, plain, folder):
        """Take the smoother; folder: for what is compiled."""
        super().__init__(plain, plain)
        self._folder, self._runs = folder, {}
        self._weights, self._smoothing = packed_weights(plain), bool(plain.tuning.smoothing)

    def tuned(self, tuning):
        """Return the smoother with other knobs."""
        return OnThreads(self.plain.tuned(tuning), self._folder)

    def prepare(self, width):
        """Compile it."""
        if width not in self._runs:
            source, _ = kernel_source(self.plain, self._smoothing, width, Shape(32, 4))
            self._runs[width] = emulated(source, function(width, self._smoothing), self._folder)

    def step_packed(self, packed, rows, dt_s, variances=None):
        """Advance packed states in place; return the estimates."""
        self.prepare(rows.shape[1])
        said = np.empty((len(rows), estimate_layout(rows.shape[1]).size + 1))
        given = (None if one is None else np.array(one, float) for one in (rows, dt_s, variances))
        self._runs[rows.shape[1]](*self._weights, packed, *given, said)
        return said


def follow_a_bank(ours, theirs, width, steps, again=None, close=(1e-6, 5e-4)):
    """
    Send both the same: streams that come and go, in any order, what is not finite among it.

    Where a decision is a close one, a stream goes another way in float32: most are the same.
    again: makes a bank like ours, to go on with what it saved. close: bounds of the median and of
    the ninth decile of the estimates' differences, where the noise is 0.01.
    """
    rng, apart = np.random.default_rng(9), []
    for k in range(steps):
        keys = rng.permutation(8)[:rng.integers(1, 8)].tolist()
        rows, frames = some_rows(rng, k, len(keys), width), ['map'] * len(keys)
        if k % 7 == 3:
            rows[0, 0] = np.inf
        stamp_ns = (k + 1) * NS_PER_S // 50
        answers = [bank.update(keys, [stamp_ns] * len(keys), rows, frames)
                   for bank in (ours, theirs)]
        assert answers[0].reasons == answers[1].reasons
        apart.append(np.abs(answers[0].estimate.rows - answers[1].estimate.rows).ravel())
        if again is not None and k == steps // 2:
            arrays, meta = ours.state()
            ours = again
            ours.load_state(arrays, meta)
        later = [bank.predict(keys, [stamp_ns + NS_PER_S // 40] * len(keys)).rows
                 for bank in (ours, theirs)]
        apart.append(np.abs(later[0] - later[1]).ravel())
    off = np.concatenate(apart)
    off = off[np.isfinite(off)]
    assert len(off) > 30 and (np.quantile(off, [0.5, 0.9]) < close).all()
    ours.tune(Tuning(0.5))
    assert ours.update([0], [NS_PER_S * 9], np.zeros((1, 3)) if width == 3 else
                       np.eye(7)[6:]).reasons == [None]


# -- on the CPU


@pytest.fixture(scope='module')
def threads(plain, tmp_path_factory):
    """Return a function that compiles a step, each once: its weights, and what runs it."""
    @lru_cache(maxsize=None)
    def made(tuning, width):
        smoother = plain.tuned(tuning)
        weights, smoothing = packed_weights(smoother), bool(smoother.tuning.smoothing)
        source, shared_bytes = kernel_source(smoother, smoothing, width, Shape(64, 4))
        assert shared_bytes <= 8 * 32768
        return weights, emulated(source, function(width, smoothing),
                                 tmp_path_factory.mktemp('kernel'))
    return made


@pytest.mark.skipif(not COMPILER, reason='no C++ compiler')
@pytest.mark.parametrize('tuning, width', [
    (TUNINGS[0], 3), pytest.param(TUNINGS[0], 7, marks=pytest.mark.long),
    pytest.param(TUNINGS[3], 7, marks=pytest.mark.long)])
def test_the_kernel_as_threads_is_the_plain_step(plain, threads, tuning, width):
    rng, smoother = np.random.default_rng(5), plain.tuned(tuning)
    weights, run = threads(tuning, width)
    said = estimate_layout(width)
    states = None
    for k, (rows, dt_s, variances) in enumerate(streams(rng, 3, width, 12)):
        if states is None:
            states, _ = smoother.init(rows)
            layout = Layout.of(states)
            continue
        ways = [(np.array(layout.pack(states), order='C'),
                 np.full((len(rows), said.size + 1), 7.0)) for _ in range(3)]
        before = states['output_rows']
        with np.errstate(all='ignore'):
            states, estimate = smoother.step(states, rows, dt_s, variances)
        for order, (packed, answer) in enumerate(ways):
            run(*weights, packed, rows, dt_s, variances, answer, order=order)
            np.testing.assert_array_equal(packed, ways[0][0])  # no thread waits for too few
            np.testing.assert_array_equal(answer, ways[0][1])
        assert (answer[:, -1] == 0.0).all()
        assert_alike(np.concatenate(estimate, 1), answer[:, :-1], before, said, width, k)
        for name, array in layout.unpack(packed).items():
            assert np.isfinite(array).all(), name


@pytest.mark.skipif(not COMPILER, reason='no C++ compiler')
def test_what_is_not_finite_is_marked_as_threads_see_it(plain, threads):
    weights, run = threads(Tuning(), 3)
    state, _ = plain.init(np.zeros((3, 3)))
    packed = np.array(Layout.of(state).pack(state), order='C')
    rows = np.array([[0.0, 1.0, 2.0], [0.0, np.nan, 2.0], [np.inf, 0.0, 0.0]])
    before, answer = packed.copy(), np.zeros((3, estimate_layout(3).size + 1))
    run(*weights, packed, rows, np.full((3, 1), 0.1), None, answer)
    assert (answer[:, -1] == 0.0).tolist() == [True, False, False]
    np.testing.assert_array_equal(packed[1:], before[1:])
    assert (packed[0] != before[0]).any()


@pytest.mark.long
@pytest.mark.skipif(not COMPILER or not isinstance(build(), Fused), reason='no compiled step')
def test_a_bank_goes_on_as_threads_as_on_the_cpu(plain, tmp_path):
    smoother = OnThreads(plain, tmp_path)
    follow_a_bank(StreamBank(smoother, 7), StreamBank(fuse(plain), 7), 7, 14,
                  StreamBank(smoother, 7))


@pytest.mark.skipif(not COMPILER, reason='no C++ compiler')
@pytest.mark.parametrize('wide', [True, False])
def test_each_operation_is_numpys(wide, tmp_path):
    """Views, joins in joins, reductions and products, over more numbers than there are threads."""
    def work(xp, x, y):
        low, high = xp.minimum(x, 0.5), xp.maximum(y, x)
        both = xp.stack([low, high], -1)
        inner = xp.concatenate([both[:, :, 0], x + 1.0], 1)
        outer = xp.concatenate([inner, y * 2.0, inner[:, 3:7]], 1)
        product = outer[:, :90].reshape(1, 9, 10) @ (outer[:, :40].reshape(10, 4) + 0.1)
        turned = product.reshape(1, 36)[:, ::-1] / (1.0 + xp.abs(outer[:, :36]))
        chosen = xp.where((turned < 0.0) | ~(turned < 3.0), -turned, xp.tanh(turned))
        largest = xp.amax(outer[:, :90].reshape(1, 9, 10), 2)
        total = (chosen.reshape(1, 4, 9).sum(2) ** 3)[:, :, None].reshape(1, 4)
        one = xp.sqrt(xp.exp(outer[:, :3]).sum(1))
        late = xp.concatenate([total * one[:, None], largest - 3.0], 1)
        return outer, chosen, late, xp.log(one)[:, None] + x[:, :2], 0.0 * x + 2.0

    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 5, 40))
    graph = Graph()
    given = {'x': Given('given', 0), 'y': Given('given', 40)}
    traced = [graph.input(name, (1, 40), wide) for name in given]
    results, size = [], 0
    for array in work(traced[0].__array_namespace__(), *traced):
        results.append(Result('said', size, array))
        size += array.index.size
    source, _ = kernel('mixed', graph, given, results, {
        'w': 0, 'exact': 0, 'state': 0, 'given': 80, 'said': size + 1}, ['w'],
        Near('given', {'rows': 40, 'dt_s': 0, 'variances': 40}), Shape(96, 1))
    run = emulated(source, 'mixed', tmp_path)
    answers = np.zeros((3, 5, size + 1))
    for order, answer in enumerate(answers):
        run(np.zeros(1), np.zeros(1), np.zeros((5, 0)), x, x, y, answer, order=order)
        np.testing.assert_array_equal(answer, answers[0])
    for i in range(5):
        wanted = np.concatenate([one.ravel() for one in work(np, x[i:i + 1], y[i:i + 1])])
        np.testing.assert_allclose(answer[i, :-1], wanted, rtol=1e-12 if wide else 1e-4,
                                   atol=1e-12 if wide else 1e-4)
        assert answer[i, -1] == 0.0


def test_without_bindings_or_a_compiler_it_is_told(monkeypatch):
    torch = pytest.importorskip('torch')
    from liquid_ros import cuda, fused_cuda
    from liquid_ros.errors import DeviceError

    class There:
        is_cuda, device = True, torch.device('cuda')

    class Smoother:
        weights = {'bias_out': There()}

    def missing(*_):
        raise DeviceError(cuda.MISSING)

    monkeypatch.setattr(fused_cuda, 'Kernel', missing)
    smoother = Smoother()
    with pytest.warns(UserWarning, match='not one kernel: the package cuda-bindings is not inst'):
        assert fused_cuda.on_cuda(smoother) is smoother


# -- on CUDA


@on_cuda
@pytest.mark.parametrize('width', [3, 7])
@pytest.mark.parametrize('tuning', TUNINGS)
@pytest.mark.parametrize('count', [1, 300, 2000])
def test_on_cuda_it_is_the_plain_step(plain, tuning, width, count):
    """A hundred thousand steps of poses and points, from the same states each."""
    rng, backend = np.random.default_rng(7), TorchBackend('cuda')
    ours, theirs = build(backend=backend).tuned(tuning), plain.tuned(tuning)
    states, said = None, estimate_layout(width)
    for k, (rows, dt_s, variances) in enumerate(streams(rng, count, width, 52)):
        if states is None:
            states, _ = theirs.init(rows)
            layout = ours.layout(width)
            continue
        packed = backend.asarray(layout.pack(states)).clone()
        before = states['output_rows']
        with np.errstate(all='ignore'):
            states, estimate = theirs.step(states, rows, dt_s, variances)
        answer = ours.step_packed(packed, rows, dt_s, variances)
        assert (answer[:, -1] == 0.0).all()
        assert_alike(np.concatenate(estimate, 1), answer[:, :-1], before, said, width, k)
        assert bool(packed.isfinite().all())


@on_cuda
@pytest.mark.parametrize('width', [3, 7])
def test_on_cuda_a_batch_is_its_streams_to_the_last_bit(width):
    rng, backend = np.random.default_rng(8), TorchBackend('cuda')
    smoother = build(backend=backend)
    packed = None
    for rows, dt_s, variances in streams(rng, 9, width, 6):
        if packed is None:
            state, _ = smoother.init(backend.asarray(rows))
            packed = smoother.layout(width).pack(state)
            continue
        alone = packed.clone()
        whole = smoother.step_packed(packed, rows, dt_s, variances).copy()
        for i in range(9):
            own = slice(i, i + 1)
            one = smoother.step_packed(alone[own], rows[own], dt_s[own], variances[own])
            np.testing.assert_array_equal(one[0], whole[i])
        assert bool((alone == packed).all())


@on_cuda
@pytest.mark.parametrize('width', [3, 7])
def test_on_cuda_a_bank_goes_on_as_on_the_cpu(plain, width):
    def bank():
        backend = TorchBackend('cuda')
        return StreamBank(build(backend=backend), width, backend=backend)
    # a GPU's functions and quotients are right to some units in the last place
    follow_a_bank(bank(), StreamBank(fuse(plain), width), width, 60, bank(), (1e-4, 1e-2))
