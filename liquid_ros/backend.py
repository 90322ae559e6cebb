# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Where the arrays live: NumPy on the CPU, or torch on a device; torch is imported late."""

import ctypes
import importlib.util
from typing import Any, List, Protocol

import numpy as np

from liquid_ros.errors import DeviceError

DEVICES = ('auto', 'fastest', 'cuda', 'cpu')


class Backend(Protocol):
    """Moves arrays in and out; label names the real device."""

    label: str

    def asarray(self, array: np.ndarray) -> Any:
        """Return the array on the device, float64."""

    def to_numpy(self, array: Any) -> np.ndarray:
        """Return the array as NumPy, on the CPU."""

    def zeros(self, count: int, size: int) -> Any:
        """Return zeros (count, size), float64."""

    def base(self, array: Any) -> Any:
        """Return the array that this one is a view of, None where it is not one."""


class NumpyBackend:
    """The CPU path: no torch in the process."""

    label = 'cpu (numpy)'

    def asarray(self, array: np.ndarray) -> np.ndarray:
        """Return the array as it is."""
        return array

    def to_numpy(self, array: np.ndarray) -> np.ndarray:
        """Return the array as it is."""
        return array

    def zeros(self, count: int, size: int) -> np.ndarray:
        """Return zeros (count, size), float64."""
        return np.zeros((count, size))

    def base(self, array: np.ndarray) -> Any:
        """Return the array that this one is a view of, None where it is not one."""
        return array.base


class TorchBackend:
    """A torch device, 'cuda', 'cuda:1' or 'cpu'; float64 as on the NumPy path."""

    def __init__(self, device: str) -> None:
        """Import torch and take the device; DeviceError where it is not there."""
        try:
            import torch
        except ImportError as error:
            raise DeviceError(f'got device {device!r}, but torch is not installed') from error
        except OSError as error:  # a library of its own is missing
            raise DeviceError(f'got device {device!r}, but torch: {error}') from error
        if device.startswith('cuda') and not torch.cuda.is_available():
            raise DeviceError(f'got device {device!r}, but torch {torch.__version__} sees no '
                              'CUDA device; use auto or cpu')
        self._torch = torch
        self.device = torch.device(device)
        name = torch.cuda.get_device_name(self.device) if device.startswith('cuda') else 'torch'
        self.label = f'{device} ({name})'

    def asarray(self, array: np.ndarray) -> Any:
        """Return the array on the device, float64."""
        return self._torch.as_tensor(array, dtype=self._torch.float64, device=self.device)

    def to_numpy(self, array: Any) -> np.ndarray:
        """Return the array as NumPy, on the CPU."""
        return array.detach().cpu().numpy()

    def zeros(self, count: int, size: int) -> Any:
        """Return zeros (count, size), float64."""
        return self._torch.zeros((count, size), dtype=self._torch.float64, device=self.device)

    def base(self, array: Any) -> Any:
        """Return the array that this one is a view of, None where it is not one."""
        return array._base


def pick_backend(device: str) -> Backend:
    """
    Return the backend for 'auto', 'cuda' or 'cpu'; 'fastest' is CUDA where nobody measures.

    Errors: DeviceError for an unknown name, or for 'cuda' where there is none.
    """
    return candidates(device)[0]


def candidates(device: str, many: bool = False, required: bool = False) -> List[Backend]:
    """
    Return the backends that a device may mean, to be measured where there are two.

    many: whether streams come together. 'fastest' is CUDA, where torch sees it, or the CPU;
    'auto' likewise for many streams, else the CPU, which is faster for one. torch is not even
    imported on a machine without an NVIDIA driver. required: 'auto' is CUDA, and DeviceError is
    raised where there is none.
    """
    if device not in DEVICES:
        raise DeviceError(f'got device {device!r}, expected one of {", ".join(DEVICES)}')
    if device == 'cuda':
        return [TorchBackend('cuda')]
    if required:
        if device == 'cpu':
            raise DeviceError("got device 'cpu' and require_device, which asks for CUDA")
        try:
            cuda: List[Backend] = [TorchBackend('cuda')]
        except DeviceError as error:
            raise DeviceError(f'require_device: there is no CUDA device: {error}') from error
        return cuda + [NumpyBackend()] * (device == 'fastest')
    measured = device == 'fastest' or (device == 'auto' and many)
    if measured and _has_nvidia_driver() and importlib.util.find_spec('torch'):
        try:
            return [TorchBackend('cuda'), NumpyBackend()]
        except DeviceError:
            pass
    return [NumpyBackend()]


def _has_nvidia_driver() -> bool:
    try:
        ctypes.CDLL('libcuda.so.1')
    except OSError:
        return False
    return True
