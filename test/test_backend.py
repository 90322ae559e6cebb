# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Both backends behave alike, and the device that is asked for is the one that is taken."""

import subprocess
import sys

import numpy as np
import pytest

from liquid_ros import backend as backend_module
from liquid_ros.backend import NumpyBackend, pick_backend, TorchBackend
from liquid_ros.checkpoint import build
from liquid_ros.errors import DeviceError
from liquid_ros.fastest import fastest


@pytest.fixture(params=['numpy', 'torch'])
def backend(request):
    """Return each backend that lives on the CPU."""
    if request.param == 'numpy':
        return NumpyBackend()
    pytest.importorskip('torch', reason='this backend is torch')
    return TorchBackend('cpu')


def test_arrays_come_back_as_they_went(backend):
    array = np.array([[1.0, np.nan, -0.0], [5e6 + 1e-9, np.inf, 1e-320]])
    np.testing.assert_array_equal(backend.to_numpy(backend.asarray(array)), array)
    assert backend.to_numpy(backend.asarray(array)).dtype == np.float64
    assert backend.label.startswith('cpu')


def test_zeros_are_numbers_of_64_bits(backend):
    rows = backend.zeros(2, 3)
    rows[1] = backend.asarray(np.array([1.0, 1.0 + 1e-15, 3.0]))
    np.testing.assert_array_equal(backend.to_numpy(rows), [[0, 0, 0], [1.0, 1.0 + 1e-15, 3.0]])


@pytest.mark.parametrize('device', ['', 'gpu', 'CUDA', 'cuda:0'])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(DeviceError, match='expected one of auto, fastest, cuda, cpu'):
        pick_backend(device)


def test_cpu_is_numpy():
    assert isinstance(pick_backend('cpu'), NumpyBackend)


def test_auto_without_a_driver_is_numpy(monkeypatch):
    monkeypatch.setattr(backend_module, '_has_nvidia_driver', lambda: False)
    assert [type(found) for found in backend_module.candidates('auto', True)] == [NumpyBackend]


@pytest.mark.parametrize('driver', [True, False])
def test_where_torch_sees_no_device_auto_falls_back_and_cuda_says_so(monkeypatch, driver):
    torch = pytest.importorskip('torch', reason='asks torch for a device')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(backend_module, '_has_nvidia_driver', lambda: driver)
    assert [type(found) for found in backend_module.candidates('auto', True)] == [NumpyBackend]
    for device in ('auto', 'fastest'):
        with pytest.raises(DeviceError, match='require_device: there is no CUDA device: .*sees'):
            backend_module.candidates(device, required=True)
    with pytest.raises(DeviceError, match="got device 'cpu' and require_device"):
        backend_module.candidates('cpu', required=True)
    with pytest.raises(DeviceError, match='sees no CUDA device'):
        pick_backend('cuda')


def test_without_torch_cuda_says_so_and_auto_falls_back(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', None)
    monkeypatch.setattr(backend_module, '_has_nvidia_driver', lambda: True)
    monkeypatch.setattr(backend_module.importlib.util, 'find_spec', lambda name: None)
    assert [type(found) for found in backend_module.candidates('auto', True)] == [NumpyBackend]
    with pytest.raises(DeviceError, match='torch is not installed'):
        pick_backend('cuda')


def test_a_torch_whose_libraries_are_missing_says_so_and_auto_falls_back(monkeypatch):
    class Missing:
        def find_spec(self, name, *_):
            if name == 'torch':
                raise OSError('libcublas.so.12: cannot open shared object file')
    monkeypatch.delitem(sys.modules, 'torch', raising=False)
    monkeypatch.setattr(sys, 'meta_path', [Missing(), *sys.meta_path])
    monkeypatch.setattr(backend_module, '_has_nvidia_driver', lambda: True)
    monkeypatch.setattr(backend_module.importlib.util, 'find_spec', lambda name: name)
    assert [type(found) for found in backend_module.candidates('auto', True)] == [NumpyBackend]
    with pytest.raises(DeviceError, match='libcublas'):
        pick_backend('cuda')


def test_cuda_where_there_is_one():
    torch = pytest.importorskip('torch', reason='asks torch for a device')
    if not torch.cuda.is_available():
        pytest.skip('torch sees no CUDA device')
    assert isinstance(pick_backend('auto'), NumpyBackend)  # faster for one stream
    taken, cpu = backend_module.candidates('auto', many=True)
    assert isinstance(cpu, NumpyBackend)
    assert backend_module.candidates('auto', required=True)[0].label == taken.label
    assert taken.label.startswith('cuda (')
    assert taken.asarray(np.ones(3)).is_cuda
    np.testing.assert_array_equal(taken.to_numpy(taken.asarray(np.arange(3.0))), np.arange(3.0))


def test_the_fastest_is_measured_and_one_that_fails_is_out():
    """One pose is no work for torch, wherever it runs."""
    pytest.importorskip('torch', reason='asks torch for its CPU')
    numpy, torch = NumpyBackend(), backend_module.TorchBackend('cpu')

    def load(backend):
        return build('liquid', backend=backend)

    def broken(backend):
        if backend is numpy:
            raise RuntimeError('no kernel')
        return load(backend)

    for found in ([numpy, torch], [torch, numpy]):
        assert fastest(found, load, [(7, 1)]) is numpy
        assert fastest(found, broken, [(3, 2)]) is torch


@pytest.mark.parametrize('driver', [True, False])
def test_where_there_is_no_device_fastest_has_no_choice(monkeypatch, driver):
    monkeypatch.setattr(backend_module, '_has_nvidia_driver', lambda: driver)
    torch = pytest.importorskip('torch', reason='asks torch for a device')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert [type(found) for found in backend_module.candidates('fastest')] == [NumpyBackend]


@pytest.mark.parametrize('line', [
    'import liquid_ros.streams, liquid_ros.smoothers, liquid_ros.backend',
    'from liquid_ros.backend import pick_backend; pick_backend("cpu")'])
def test_the_numpy_path_does_not_import_torch(line):
    code = f'{line}; import sys; sys.exit("torch" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
