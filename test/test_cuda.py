# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is compiled for CUDA is kept, and is compiled again where what was kept is no good."""

import ctypes
from importlib.util import find_spec
import pwd
import sys
from types import ModuleType

import pytest

from liquid_ros import cuda
from liquid_ros.errors import DeviceError

SOURCE = 'extern "C" __global__ void f(float *x) { x[threadIdx.x] += 1.0f; }'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the folder that is kept in."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    return tmp_path / 'liquid_ros'


@pytest.fixture
def calls(monkeypatch):
    """Stand in for the compiler; return the sources that it was given."""
    given = []
    nvrtc = ModuleType('cuda.bindings.nvrtc')
    nvrtc.nvrtcVersion = lambda: (0, 13, 0)
    bindings = ModuleType('cuda.bindings')
    bindings.nvrtc = nvrtc
    for name, module in (('cuda', ModuleType('cuda')), ('cuda.bindings', bindings),
                         ('cuda.bindings.nvrtc', nvrtc)):
        monkeypatch.setitem(sys.modules, name, module)

    def compile_(_, source, flags):
        given.append((source, *flags))
        return f'code of {source}'.encode()
    monkeypatch.setattr(cuda, '_compile', compile_)
    return given


def test_what_was_compiled_is_kept_for_each_source_and_device(folder, calls):
    for _ in range(2):
        for source in ('a', 'b'):
            for architecture in ('sm_87', 'sm_90'):
                assert cuda.compiled(source, architecture) == f'code of {source}'.encode()
    assert len(calls) == 4
    assert len(list(folder.iterdir())) == 4


@pytest.mark.parametrize('size', [0, 5, 40])
def test_what_is_damaged_is_compiled_again(folder, calls, size):
    cuda.compiled('a' * 99, 'sm_90')
    kept, = folder.iterdir()
    kept.write_bytes(kept.read_bytes()[:size])
    for _ in range(2):
        assert cuda.compiled('a' * 99, 'sm_90') == b'code of ' + 99 * b'a'
    assert len(calls) == 2


def test_where_nothing_can_be_kept_it_is_compiled_each_time(folder, calls):
    folder.write_text('a file where the folder would be')
    for _ in range(2):
        assert cuda.compiled('a', 'sm_90') == b'code of a'
    assert len(calls) == 2


def test_without_a_home_it_is_compiled_each_time(calls, monkeypatch, tmp_path):
    def nobody(_):
        raise KeyError('no such user')
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    monkeypatch.delenv('HOME', raising=False)
    monkeypatch.setattr(pwd, 'getpwuid', nobody)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert cuda.compiled('a', 'sm_90') == b'code of a'
    assert len(calls) == 2 and list(tmp_path.iterdir()) == []


def test_without_bindings_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cuda', None)
    monkeypatch.setitem(sys.modules, 'cuda.bindings', None)
    with pytest.raises(DeviceError, match='cuda-bindings is not installed'):
        cuda.compiled('a', 'sm_90')


@pytest.mark.skipif(not find_spec('cuda'), reason='no cuda-bindings')
def test_the_compiler_gives_code_or_a_reason(folder):
    assert cuda.compiled(SOURCE, 'sm_90')[:4] == b'\x7fELF'
    with pytest.raises(DeviceError, match='NVRTC: step.cu'):
        cuda.compiled('nonsense', 'sm_90')
    with pytest.raises(DeviceError, match='architecture'):
        cuda.compiled(SOURCE, 'sm_1')


class Driver:
    """The driver's calls that a launch makes, noted."""

    CUstream = int

    def __init__(self, current):
        """Begin with a thread's context."""
        self.current, self.launches, self.waits = current, [], []

    def cuCtxGetCurrent(self):
        """Return the context."""
        return 0, self.current

    def cuCtxSetCurrent(self, context):
        """Change the context."""
        self.current = context
        return 0,

    def cuLaunchKernel(self, function, x, y, z, *rest):
        """Take note of where it was launched, and of its arguments."""
        threads, _, _, shared, stream, pointers, _ = rest
        at = (ctypes.c_void_p * 3).from_address(pointers)
        given = [ctypes.c_int64.from_address(one).value for one in at]
        self.launches.append((self.current, function, (x, y, z), threads, shared, stream, given))
        return 0,

    def cuStreamSynchronize(self, stream):
        """Take note of where it was waited for."""
        self.waits.append((self.current, stream))
        return 0,


@pytest.mark.parametrize('current', [7, 0, 9])
def test_a_launch_is_in_the_devices_context_and_leaves_the_threads(current):
    kernel = cuda.Kernel.__new__(cuda.Kernel)
    kernel.driver, kernel.function, kernel._context = Driver(current), 'f', 7
    kernel.threads, kernel.shared_bytes = 64, 1000
    launch = cuda.Launch(kernel, 3, 2**40, 0)
    launch.values[2] = 5
    launch(11, 3)
    launch.wait(11)
    kernel.launch(12, 2**31, 1, 2, 3)
    assert kernel.driver.launches == [
        (7, 'f', (3, 1, 1), 64, 1000, 11, [3, 2**40, 5]),
        (7, 'f', (2**30, 1, 1), 64, 1000, 12, [1, 2, 3])]
    assert kernel.driver.waits == [(7, 11)] and kernel.driver.current == current
