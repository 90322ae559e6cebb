# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The recurrences' kernels: on the CPU as C++, and on CUDA, against the loops."""

import ctypes
from importlib.util import find_spec
from pathlib import Path
import shutil
import subprocess

import pytest

torch = pytest.importorskip('torch', reason='the sequence is a torch function')
from test_cell_sequence import problem  # noqa: E402

from liquid_ros.smoothers import cell_cuda  # noqa: E402
from liquid_ros.smoothers.cell import ACTIVATIONS  # noqa: E402
from liquid_ros.smoothers.cell_sequence import sequence  # noqa: E402
from liquid_ros.training.captured import record  # noqa: E402

CLOSE = {torch.float32: 1e-5, torch.float64: 1e-10}
COMPILER = shutil.which('g++')
on_cuda = pytest.mark.skipif(not torch.cuda.is_available() or not find_spec('cuda'),
                             reason='no CUDA, or no cuda-bindings')
each_kind = pytest.mark.parametrize('kind', CLOSE)
each_activation = pytest.mark.parametrize('activation', ACTIVATIONS)

RUN = """
extern "C" void run_forward(unsigned blocks, long long steps, const Real *turned,
    const Real *keep, const Real *amount, Real *drive, Real *states)
{
  launch(blocks, THREADS, [=] { forward(steps, turned, keep, amount, drive, states); });
}

extern "C" void run_backward(unsigned blocks, long long steps, const Real *weight_rec,
    const Real *keep, const Real *amount, const Real *phi, const Real *given, Real *total,
    Real *pull, Real *first)
{
  launch(blocks, THREADS, [=] { backward(steps, weight_rec, keep, amount, phi, given, total,
                                         pull, first); });
}
"""


class OnThreads:
    """A kernel as Kernel has it, on the CPU's threads."""

    def __init__(self, function):
        """Take the C function that runs it."""
        self._function = function

    def launch(self, stream, blocks, *arguments):
        """Run it."""
        self._function(ctypes.c_uint(blocks), ctypes.c_longlong(arguments[0]),
                       *map(ctypes.c_void_p, arguments[1:]))


class Emulated(cell_cuda.Recurrences):
    """The kernels compiled as C++."""

    def __init__(self, hidden, kind, activation, folder, *options):
        """Compile them."""
        source, library = folder / 'kernels.cpp', folder / 'kernels.so'
        made = cell_cuda.written(hidden, kind, activation)
        source.write_text(f'#include "cuda_shim.h"\n{made.source}{RUN}', encoding='utf-8')
        subprocess.run(['g++', '-O1', '-w', '-fno-strict-aliasing', '-shared', '-fPIC',
                        *options, '-I', str(Path(__file__).parent), str(source), '-o',
                        str(library)], check=True, timeout=120)
        functions = ctypes.CDLL(str(library))
        assert made.shared_bytes <= 8 * 32768
        self._forward = OnThreads(functions.run_forward)
        self._backward = OnThreads(functions.run_backward)

    def _launch(self, kernel, like, *arrays):
        kernel.launch(0, like.shape[1], len(like), *(array.data_ptr() for array in arrays))


def both(values, exact, activation, where='cpu', seed=1):
    """Return the states, and the gradients of a random mixture of them."""
    values = [v.detach().to(where).requires_grad_() for v in values]
    states = sequence(*values, exact, activation)
    mixture = torch.randn(states.shape, generator=torch.Generator().manual_seed(seed),
                          dtype=torch.float64).to(states)
    return [states.detach(), *torch.autograd.grad((states * mixture).sum(), values)]


def assert_close(ours, theirs, close):
    """Compare each array with the one it should be, by their norms."""
    for name, a, b in zip(('states', 'x', 'h', 'W', 'U', 'alpha', 'dt'), ours, theirs):
        error, size = float((a.cpu().double() - b.double()).norm()), float(b.double().norm())
        assert error <= close * size, f'{name}: {error / size:.1e}'


# -- on the CPU


@pytest.mark.skipif(not COMPILER, reason='no C++ compiler')
@pytest.mark.parametrize('hidden, kind, activation, exact, steps', [
    (1, torch.float64, 'tanh', True, 1), (7, torch.float32, 'sigmoid', True, 9),
    (16, torch.float64, 'relu', False, 8), (32, torch.float32, 'tanh', True, 11),
    (35, torch.float64, 'tanh', False, 6), (67, torch.float32, 'relu', True, 5),
    (130, torch.float64, 'sigmoid', True, 3)])
def test_the_kernels_as_threads_are_the_loops(hidden, kind, activation, exact, steps, tmp_path,
                                              monkeypatch):
    values = problem(steps, 3, 4, hidden, kind=kind)
    theirs = both(values, exact, activation)
    kernels = Emulated(hidden, kind, activation, tmp_path)
    used = []
    monkeypatch.setattr('liquid_ros.smoothers.cell_sequence.recurrences',
                        lambda *given: used.append(given) or kernels)
    assert_close(both(values, exact, activation), theirs,
                 1e-6 if kind == torch.float32 else 1e-14)
    assert used


def test_no_kernel_is_for_the_cpu():
    assert cell_cuda.recurrences('tanh', torch.zeros(2, 3)) is None


@pytest.mark.parametrize('hidden', [1, 64, 65, 200, 201, 1024])
@each_kind
def test_a_block_has_a_thread_a_unit(hidden, kind):
    made = cell_cuda.written(hidden, kind, 'tanh')
    assert hidden <= made.threads <= 1024 and made.threads % 32 == 0
    assert made.shared_bytes >= 2 * hidden * kind.itemsize and made.shared_bytes % 16 == 0


# -- on CUDA


def compared(values, exact, activation):
    """Return the kernels' answer and that of the loops on the CPU in float64."""
    ours = both(values, exact, activation, 'cuda')
    h = ours[2]
    made = cell_cuda._made[h.shape[1], h.dtype, activation, h.device]
    assert made is not None, 'the kernel was not compiled'
    theirs = both([v.double() for v in values], exact, activation)
    if activation == 'relu' and h.dtype == torch.float32 and ours[0].numel() > 2**14:
        return ours[:1], theirs[:1]  # on the other side of 0 the gradient is another
    return ours, theirs


@on_cuda
@each_kind
@pytest.mark.parametrize('steps', [1, 2, 100])
@pytest.mark.parametrize('batch', [1, 5, 64])
@pytest.mark.parametrize('hidden', [1, 7, 32, 64, 200])
def test_on_cuda_it_is_what_the_loops_are_in_float64(hidden, batch, steps, kind):
    for exact, activation in ((True, 'tanh'), (False, 'sigmoid'), (True, 'relu')):
        values = problem(steps, batch, 3, hidden, kind=kind, per_row=not exact)
        ours, theirs = compared(values, exact, activation)
        assert_close(ours, theirs, CLOSE[kind])


@on_cuda
@each_kind
@pytest.mark.parametrize('hidden', [33, 65, 100, 128, 129, 192, 201, 300, 512])
def test_on_cuda_every_width_is_right(hidden, kind):
    assert_close(*compared(problem(9, 3, 2, hidden, kind=kind), True, 'tanh'), CLOSE[kind])


@on_cuda
def test_on_cuda_too_many_units_take_the_loops():
    values = problem(2, 2, 2, 600, kind=torch.float32)
    assert_close(both(values, True, 'tanh', 'cuda'), both(values, True, 'tanh'), 1e-5)
    assert not [key for key in cell_cuda._made if key[0] == 600]


@on_cuda
@each_activation
@pytest.mark.parametrize('exact', [True, False])
def test_on_cuda_a_sequence_may_lie_anyhow(exact, activation):
    x, h, weight_in, weight_rec, alpha, dt = (
        v.cuda() for v in problem(20, 4, 3, 8, kind=torch.float64))
    x = x.transpose(0, 1).contiguous().transpose(0, 1)
    values = (x, h[:1].expand(4, 8), weight_in.T.contiguous().T, weight_rec.T.contiguous().T,
              alpha, dt[:, :1].expand(20, 4, 1))
    theirs = both([v.cpu() for v in values], exact, activation)
    leaves = [v.detach().requires_grad_() for v in values]
    states = sequence(*leaves, exact, activation)
    torch.testing.assert_close(states.cpu(), theirs[0])
    for asked in range(6):
        given = [v.detach().requires_grad_(i == asked) for i, v in enumerate(values)]
        wanted = [v.detach().cpu().requires_grad_(i == asked) for i, v in enumerate(values)]
        for all_of in (given, wanted):  # the gradient of a sum is one number, expanded
            sequence(*all_of, exact, activation).sum().backward()
        torch.testing.assert_close(given[asked].grad.cpu(), wanted[asked].grad)


@on_cuda
def test_on_cuda_no_step_is_no_change():
    values = [v.cuda().requires_grad_() for v in problem(0, 4, 3, 8)]
    states = sequence(*values)
    states.sum().backward()
    assert states.shape == (0, 4, 8)
    assert not any(v.grad.any() for v in values)


@on_cuda
def test_on_cuda_another_stream_waits_for_no_other():
    values = [v.cuda() for v in problem(50, 8, 3, 32)]
    theirs = both(values, True, 'tanh')
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        large = torch.randn(3000, 3000, device='cuda')
        for _ in range(20):
            large = large @ large / 100.0
        values[0] = values[0] + 0.0 * large[0, 0].double().nan_to_num(0.0, 0.0, 0.0)
        ours = both(values, True, 'tanh', 'cuda')
    stream.synchronize()
    assert_close(ours, theirs, 1e-10)


@on_cuda
@each_kind
def test_on_cuda_a_captured_graph_follows_its_inputs(kind):
    values = [v.cuda().requires_grad_() for v in problem(60, 5, 3, 32, kind=kind)]

    def run():
        states = sequence(*values)
        return [states, *torch.autograd.grad(states.square().sum(), values)]
    graph, captured = record(run)
    with torch.no_grad():
        for value in values:
            value.mul_(0.9)
    graph.replay()
    assert_close(captured, [array.detach().cpu() for array in run()], CLOSE[kind])
    wide = [v.detach().cpu().double().requires_grad_() for v in values]
    states = sequence(*wide)
    assert_close(captured, [states.detach(), *torch.autograd.grad(states.square().sum(), wide)],
                 CLOSE[kind])


@on_cuda
def test_on_cuda_what_is_not_compiled_yet_is_captured_as_loops(monkeypatch):
    monkeypatch.setattr(cell_cuda, '_made', {})
    values = [v.cuda() for v in problem(4, 2, 3, 8)]
    (values[0] @ values[2].T, values[1] @ values[3])  # what cuBLAS needs is there
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        states = sequence(*values)
    graph.replay()
    assert not cell_cuda._made
    torch.testing.assert_close(states.cpu(), sequence(*(v.cpu() for v in values)))


@on_cuda
def test_on_cuda_without_a_compiler_the_loops_do(monkeypatch):
    def missing(*given):
        raise cell_cuda.DeviceError('no compiler')
    monkeypatch.setattr(cell_cuda, '_made', {})
    monkeypatch.setattr(cell_cuda, 'Kernel', missing)
    values = problem(9, 4, 3, 8)
    assert_close(both(values, True, 'tanh', 'cuda'), both(values, True, 'tanh'), 1e-10)
    assert list(cell_cuda._made.values()) == [None]
