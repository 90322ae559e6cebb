# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The processes of one run: torchrun starts them, DistributedDataParallel averages gradients."""

import gc
import os
from typing import Any, Dict, List, NamedTuple

import torch
from torch import distributed

from liquid_ros.errors import ParameterError


class World(NamedTuple):
    """This process, one of size; its device."""

    rank: int = 0
    size: int = 1
    device: str = 'cpu'

    def share(self, module: torch.nn.Module) -> Any:
        """Return the module so that gradients through its forward() are everybody's mean."""
        if self.size == 1:
            return module
        return torch.nn.parallel.DistributedDataParallel(module)

    def mean(self, figures: Dict[str, float]) -> Dict[str, float]:
        """Return the means over all processes."""
        if self.size == 1:
            return figures
        values = torch.tensor(list(figures.values()), dtype=torch.float64, device=self.device)
        distributed.all_reduce(values)
        return dict(zip(figures, (values / self.size).tolist()))

    def all(self, value: Any) -> List[Any]:
        """Return what each process has."""
        if self.size == 1:
            return [value]
        box = [None] * self.size
        distributed.all_gather_object(box, value)
        return box

    def first(self, value: Any) -> Any:
        """Return what the first process has, on all."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, 0)
        return box[0]


def join(device: str) -> World:
    """
    Return this process's place among those of torchrun, or a world of one.

    device: cpu, cuda, or auto. gloo on the CPU, nccl on GPUs, one process each.
    Errors: ParameterError where there is no such device.
    """
    if device not in ('auto', 'cuda', 'cpu'):
        raise ParameterError(f'got device {device!r}, expected auto, cuda or cpu')
    if device == 'auto':
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    if device == 'cuda' and not torch.cuda.is_available():
        raise ParameterError(f'got device cuda, but torch {torch.__version__} sees none')
    size = int(os.environ.get('WORLD_SIZE', '1'))
    if device == 'cuda':
        local = int(os.environ.get('LOCAL_RANK', '0'))
        torch.cuda.set_device(local)
        # matrix products of 48 units in TF32; the filters' own arithmetic stays float32
        torch.set_float32_matmul_precision('high')
        device = f'cuda:{local}'
    if size == 1:
        return World(0, 1, device)
    if not distributed.is_initialized():
        distributed.init_process_group('gloo' if device == 'cpu' else 'nccl')
    return World(distributed.get_rank(), size, device)


def leave() -> None:
    """End what join() began."""
    if distributed.is_available() and distributed.is_initialized():
        gc.collect()  # a module that is shared still must not outlive its group
        distributed.destroy_process_group()
