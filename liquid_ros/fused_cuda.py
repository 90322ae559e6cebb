# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The liquid smoother's step as one CUDA kernel, where torch sees such a device.

A step is one launch: messages are read from, and estimates written to, the host's own pinned
memory, states and weights stay on the device. Rows are float64 up to the innovation and all else
is float32, as in training. What is compiled is kept in the user's cache.
"""

from typing import Any, Dict, Hashable, NamedTuple, Optional, Tuple
import warnings

import numpy as np

from liquid_ros.arrays import Array, tangent_size
from liquid_ros.cuda import Kernel, Launch
from liquid_ros.errors import DeviceError
from liquid_ros.fused import Fused, packed_weights
from liquid_ros.fusing.cuda_source import kernel_source
from liquid_ros.fusing.source import function
from liquid_ros.fusing.threads import Shape
from liquid_ros.packing import estimate_layout
from liquid_ros.smoothers.base import Estimate, Smoother, State
from liquid_ros.smoothers.liquid import Liquid
from liquid_ros.smoothers.tuning import Tuning

# Few streams take least time with many threads each, many streams with few (docs/performance.md).
FEW, MANY = Shape(128, 4), Shape(64, 8)

# What was compiled in this process, by device, what makes the source, and shape.
_kernels: Dict[Tuple[Hashable, ...], Kernel] = {}


def on_cuda(smoother: Liquid) -> Smoother:
    """Return the smoother with its step in one kernel, or as it is where that is not possible."""
    weights = smoother.weights['bias_out']
    if not weights.is_cuda:
        return smoother
    try:
        Kernel('extern "C" __global__ void nothing() {}', 'nothing', 0, 1, weights.device)
    except DeviceError as error:
        warnings.warn(f'a step is a thousand operations of torch, not one kernel: {error}',
                      stacklevel=2)
        return smoother
    return OnCuda(smoother, Liquid(smoother.config, {
        name: array.cpu().numpy() for name, array in smoother.weights.items()}, smoother.tuning))


class Staged(NamedTuple):
    """The host's memory for up to so many streams, as NumPy, and the pinned tensors it is of."""

    rows: np.ndarray
    dt_s: np.ndarray
    variances: np.ndarray
    said: np.ndarray
    pinned: Tuple[Any, ...]


class OnCuda(Fused):
    """The step in CUDA, on torch."""

    def __init__(self, plain: Liquid, host: Liquid) -> None:
        """Pack the weights; host: the same smoother on NumPy."""
        import torch
        super().__init__(plain, host)
        self._torch, self._device = torch, plain.weights['bias_out'].device
        properties = torch.cuda.get_device_properties(self._device)
        self._few = FEW.blocks * properties.multi_processor_count
        self._smoothing = bool(plain.tuning.smoothing)
        self._shared = [torch.from_numpy(array).to(self._device)
                        for array in packed_weights(self.host)]
        self._staged: Dict[int, Staged] = {}
        self._launches: Dict[Tuple[int, Shape], Launch] = {}

    def prepare(self, width: int) -> None:
        """Compile what few and many points or poses need. Errors: DeviceError."""
        for count in (self._few, self._few + 1):
            self._launch(width, count)

    def tuned(self, tuning: Tuning) -> 'OnCuda':
        """Return the smoother with another R and, where one is asked for, another gate."""
        return OnCuda(self.plain.tuned(tuning), self.host.tuned(tuning))

    def step_packed(self, packed: Array, rows: np.ndarray, dt_s: np.ndarray,
                    variances: Optional[np.ndarray] = None) -> np.ndarray:
        """Advance packed states in place; return the estimates."""
        width, count = rows.shape[1], len(rows)
        staged = self.stage(width, count)
        staged.rows[:count], staged.dt_s[:count] = rows, dt_s
        if variances is not None:
            staged.variances[:count] = variances
        self.run(width, count, packed.data_ptr(), variances is not None)
        return staged.said[:count]

    def step(self, state: State, rows: Array, dt_s: Array, variances: Optional[Array] = None
             ) -> Tuple[State, Estimate]:
        """Return the state after one more message."""
        layout, said = self.layout(rows.shape[1]), estimate_layout(rows.shape[1])
        packed = layout.pack(state).contiguous()
        answer = self.step_packed(packed, rows.cpu().numpy(), dt_s.cpu().numpy(),
                                  None if variances is None else variances.cpu().numpy())
        told = self._torch.from_numpy(answer[:, :-1].copy()).to(self._device)
        return layout.unpack(packed), Estimate(**said.unpack(told))

    def stage(self, width: int, count: int) -> Staged:
        """Return the memory for so many messages and estimates, the same until there are more."""
        staged = self._staged.get(width)
        if staged is None or len(staged.rows) < count:
            pinned = tuple(
                self._torch.empty((count, size), dtype=self._torch.float64, pin_memory=True)
                for size in (width, 1, tangent_size(width), estimate_layout(width).size + 1))
            rows, dt_s, variances, said = (array.numpy() for array in pinned)
            staged = self._staged[width] = Staged(rows, dt_s, variances, said, pinned)
        return staged

    def _launch(self, width: int, count: int) -> Launch:
        shape = FEW if count <= self._few else MANY
        launch = self._launches.get((width, shape))
        if launch is None:
            key = str(self._device), self.config, width, self._smoothing, shape
            if key not in _kernels:
                source, shared = kernel_source(self.host, self._smoothing, width, shape)
                _kernels[key] = Kernel(source, function(width, self._smoothing), shared,
                                       shape.threads, self._device, shape.blocks)
            launch = self._launches[width, shape] = Launch(
                _kernels[key], 0, *(array.data_ptr() for array in self._shared), *5 * (0,))
        return launch

    def run(self, width: int, count: int, packed: int, stated: bool) -> None:
        """Advance packed states at an address by the messages that stage() holds, all there."""
        rows, dt_s, variances, said = (
            array.data_ptr() for array in self.stage(width, count).pinned)
        launch = self._launch(width, count)
        launch.values[0] = count
        launch.values[3:] = packed, rows, dt_s, variances if stated else 0, said
        if count:
            stream = self._torch.cuda.current_stream(self._device).cuda_stream
            launch(stream, count)
            launch.wait(stream)
