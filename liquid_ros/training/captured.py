# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
A function of tensors as one CUDA graph.

An iteration is some 400,000 launches of small kernels, or some 10,000 of compiled ones, and a GPU
would wait for Python all the time. So it is recorded once and sent as a whole from then on.
"""

import gc
import sys
import time
from typing import Any, Callable, Dict, Hashable, List, NamedTuple, Optional, Tuple

import torch

# The first one compiles what is to be compiled, the second one is as all that follow.
WARM_UP = 2


def each(do: Callable[[torch.Tensor], Any], tree: Any) -> Any:
    """Return a tensor, or a dictionary, tuple or None of such, with each tensor replaced."""
    if isinstance(tree, torch.Tensor):
        return do(tree)
    if isinstance(tree, dict):
        return {name: each(do, part) for name, part in tree.items()}
    if isinstance(tree, tuple):
        parts = [each(do, part) for part in tree]
        return type(tree)(*parts) if hasattr(tree, '_fields') else tuple(parts)
    return tree


def leaves(tree: Any) -> List[torch.Tensor]:
    """Return the tensors, those of a dictionary by their names' order."""
    if isinstance(tree, dict):
        tree = tuple(tree[name] for name in sorted(tree))
    if isinstance(tree, tuple):
        return [array for part in tree for array in leaves(part)]
    return [] if tree is None else [tree]


def room(tree: Any, device: str) -> Any:
    """Return tensors of the same shapes on a device, of any values."""
    return each(lambda array: torch.empty_like(array, device=device), tree)


def record(work: Callable[[], Any], device: str = 'cuda') -> Tuple[Any, Any]:
    """Return a CUDA graph of what work does, and its answer, which each replay() writes anew."""
    # warm-up and capture share a stream: what autograd keeps of a parameter is a stream's
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream(device).wait_stream(stream)
    gc.collect()  # no autograd graph of before may live on
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        answer = work()
    return graph, answer


class Held(NamedTuple):
    """Where the arguments of a function lie, and a graph of it with where its answer lies."""

    given: Any
    graph: Any = None
    answer: Any = None


class Captured:
    """
    A pure function of a kind and of tensors, called with copies of them that never move.

    Where it is captured, its answer stays what it is up to the next call alone. Of each kind a
    graph is made for each set of shapes; those of another kind than the last call's are dropped.
    """

    def __init__(self, work: Callable[[Any, Any], Any], device: str, capture: bool = True) -> None:
        """Take the function; capture: as a graph, where the device has graphs."""
        self._work, self._device = work, device
        self.capturing = capture and torch.device(device).type == 'cuda'
        self.spent_s = 0.0  # for warm-up and capture
        self._kind: Optional[Hashable] = None
        self._held: Dict[Hashable, Held] = {}

    def __call__(self, kind: Hashable, given: Any) -> Any:
        """Return what the function returns, without its autograd graph."""
        if kind != self._kind:
            self._kind, self._held = kind, {}
        shapes = tuple((array.shape, array.dtype) for array in leaves(given))
        held = self._held.get(shapes) or Held(room(given, self._device))
        for here, array in zip(leaves(held.given), leaves(given)):
            here.copy_(array)
        if self.capturing and held.graph is None:
            held = self._capture(kind, held)
        self._held[shapes] = held
        if held.graph is None:
            return self._answer(kind, held)
        held.graph.replay()
        return held.answer

    def _answer(self, kind: Hashable, held: Held) -> Any:
        """Return what the function returns, apart from its arguments."""
        own = {array.untyped_storage().data_ptr() for array in leaves(held.given)}

        def apart(array: torch.Tensor) -> torch.Tensor:
            array = array.detach()
            return array.clone() if array.untyped_storage().data_ptr() in own else array
        return each(apart, self._work(kind, held.given))

    def _capture(self, kind: Hashable, held: Held) -> Held:
        """Return it with a graph of the function, or as it is where that cannot be captured."""
        begun = time.monotonic()
        try:
            graph, answer = self._record(kind, held)
        except RuntimeError as error:  # out of memory is one, too
            self.capturing = False
            print('liquid_ros: an iteration cannot be captured as a CUDA graph and runs eagerly: '
                  f'{(str(error).splitlines() or [""])[0]}', file=sys.stderr)
            return held
        self.spent_s += time.monotonic() - begun
        return Held(held.given, graph, answer)

    def _record(self, kind: Hashable, held: Held) -> Tuple[Any, Any]:
        """Return a graph of the function and its answer; RuntimeError where there can be none."""
        return record(lambda: self._answer(kind, held), self._device)
