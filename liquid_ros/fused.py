# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The liquid smoother's step as compiled code, where the package was built with a C compiler.

The library is made from the step itself (fusing/), says which one, and is left alone where the
sources or the shape of the weights have changed since; the plain step does the same, slower.
"""

import ctypes
from functools import cached_property, lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from liquid_ros.arrays import Array, tangent_size
from liquid_ros.backend import Backend
from liquid_ros.fusing.lane_prelude import LANES
from liquid_ros.fusing.source import (
    EXACT,
    function,
    KNOBS,
    recipe,
    state_layout,
    weight_layouts,
    WIDTHS,
)
from liquid_ros.packing import estimate_layout, Layout
from liquid_ros.smoothers.base import Estimate, Known, Link, Smoother, State
from liquid_ros.smoothers.liquid import Liquid
from liquid_ros.smoothers.tuning import Tuning

LIBRARY = '_step'  # beside this file, with the suffix of an extension module
LINE = 64  # bytes of a cache's line
REST = 5  # streams beyond whole LANES: from so many on they are faster as LANES, too


@lru_cache(maxsize=None)
def library() -> Optional[ctypes.PyDLL]:
    """Return the compiled functions, None where there are none."""
    for suffix in EXTENSION_SUFFIXES:
        path = Path(__file__).with_name(LIBRARY + suffix)
        if path.exists():
            try:
                return ctypes.PyDLL(str(path))  # a call is too short to give the GIL away
            except OSError:  # built for another machine
                return None
    return None


def fuse(smoother: Smoother) -> Smoother:
    """Return the smoother with its step compiled, or as it is where that is not possible."""
    if type(smoother) is not Liquid:
        return smoother
    if not isinstance(smoother.weights['bias_out'], np.ndarray):
        from liquid_ros.fused_cuda import on_cuda
        return on_cuda(smoother)
    compiled = library()
    if compiled is None:
        return smoother
    compiled.recipe.restype = ctypes.c_char_p
    if compiled.recipe().decode() != recipe(smoother.config) or not _single(smoother.weights):
        return smoother
    return Compiled(smoother, compiled)


def place(smoother: Smoother, backend: Backend) -> str:
    """Return where steps are computed, and whether by compiled code."""
    return 'cpu (compiled)' if isinstance(smoother, Compiled) else backend.label


def _single(weights: Dict[str, np.ndarray]) -> bool:
    """Return whether the weights are what float32 can hold, as save() writes them."""
    return all(np.array_equal(array.astype(np.float32), array)
               for name, array in weights.items() if name not in EXACT)


def packed_weights(plain: Liquid) -> List[np.ndarray]:
    """Return the weights and knobs to give to a smoother's functions."""
    knobs = dict(zip(KNOBS, (plain.tuning.noise_factor, *plain.tuning.gates)))
    given = {**plain.weights, **knobs}
    layouts = weight_layouts({name: array.shape for name, array in plain.weights.items()})
    return [
        np.concatenate([np.ravel(np.transpose(given[name])) for name in layout.shapes]
                       ).astype(kind)
        for layout, kind in zip(layouts, (np.float32, np.float64))]


class Fused:
    """A liquid smoother whose step is one call over packed states; all else is the plain one's."""

    linked = Liquid.linked

    def __init__(self, plain: Liquid, host: Liquid) -> None:
        """Take the weights; host: the same on NumPy. Nothing here changes afterwards."""
        self.plain, self.host = plain, host
        self.config, self.weights, self.tuning = plain.config, plain.weights, plain.tuning
        self._layouts = {width: state_layout(host, width) for width in WIDTHS}

    @cached_property
    def on_host(self) -> Smoother:
        """Return what begins streams and predicts: on NumPy, compiled if it can be."""
        return fuse(self.host)

    def prepare(self, width: int) -> None:
        """Compile what points or poses need, where that is not done by now."""

    def step_packed(self, packed: Array, rows: np.ndarray, dt_s: np.ndarray,
                    variances: Optional[np.ndarray] = None) -> np.ndarray:
        """
        Advance packed states (B, S) in place, C-contiguous, as layout() says.

        Returns (B, E + 1): packed estimates, and 0.0 where all is finite; where not, the state is
        what it was. The next call writes into the same array.
        """
        raise NotImplementedError

    def layout(self, width: int) -> Layout:
        """Return how step_packed() has a state."""
        return self._layouts[width]

    def init(self, rows: Array, variances: Optional[Array] = None) -> Tuple[State, Estimate]:
        """Return the state after the first message of B streams."""
        return self.plain.init(rows, variances)

    def predict(self, state: State, dt_s: Array) -> Estimate:
        """Return the estimate dt_s after the last message."""
        return self.plain.predict(state, dt_s)

    def known(self, state: State) -> Known:
        """Return what the filter knows after messages."""
        return self.plain.known(state)

    def link(self, before: State, after: State, dt_s: Array) -> Link:
        """Return what states predicted for the following ones."""
        return self.plain.link(before, after, dt_s)

    def step(self, state: State, rows: Array, dt_s: Array, variances: Optional[Array] = None
             ) -> Tuple[State, Estimate]:
        """Return the state after one more message."""
        layout = self._layouts[rows.shape[1]]
        packed = np.array(layout.pack(state), order='C')
        answer = self.step_packed(packed, rows, dt_s, variances)
        said = estimate_layout(rows.shape[1])
        return layout.unpack(packed), Estimate(**said.unpack(answer[:, :-1].copy()))


class Compiled(Fused):
    """The step in C, on NumPy."""

    alike = LANES - 1  # so many streams at once round as one does

    def __init__(self, plain: Liquid, compiled: ctypes.PyDLL, lanes: bool = True) -> None:
        """Pack the weights; lanes: whether to take many streams at once, in float32."""
        super().__init__(plain, plain)
        self._in_lanes = lanes
        self._packed, smoothing = packed_weights(plain), bool(plain.tuning.smoothing)
        self._at = tuple(array.ctypes.data for array in self._packed)
        self._compiled = compiled

        def entry(width: int, verb: str, pointers: int = 5) -> Any:
            found = getattr(compiled, function(width, smoothing, verb))
            found.argtypes = [ctypes.c_long] + [ctypes.c_void_p] * pointers
            found.restype = None
            return found
        self._steps = {width: entry(width, 'step') for width in WIDTHS}
        self._lanes = {width: entry(width, 'lanes_step', 6) for width in WIDTHS}
        self._predicts = {width: entry(width, 'predict') for width in WIDTHS}
        self.way = compiled.way
        address, number = ctypes.c_void_p, ctypes.c_int64
        self.way.argtypes = [address, ctypes.c_char_p, number, address, number, number, number,
                             number, ctypes.c_double]
        self.way.restype = number
        self._scratch: Dict[int, Tuple[np.ndarray, np.ndarray, int, int]] = {}

    def tuned(self, tuning: Tuning) -> 'Compiled':
        """Return the smoother with another R and, where one is asked for, another gate."""
        return Compiled(self.plain.tuned(tuning), self._compiled, self._in_lanes)

    def addresses(self, width: int) -> Dict[str, int]:
        """Return where the step of a width and the weights are."""
        step = ctypes.cast(self._steps[width], ctypes.c_void_p).value
        return dict(zip(('step', 'w', 'exact'), (step or 0, *self._at)))

    @property
    def on_host(self) -> Smoother:  # type: ignore[override]
        """Return the smoother itself."""
        return self

    def step_packed(self, packed: np.ndarray, rows: np.ndarray, dt_s: np.ndarray,
                    variances: Optional[np.ndarray] = None) -> np.ndarray:
        """Advance packed states in place; return the estimates."""
        width = rows.shape[1]
        given, out, given_at, out_at = self._room(width, len(rows))
        given[:, :width] = rows
        given[:, width:width + 1] = dt_s
        given[:, width + 1:] = np.nan if variances is None else variances
        count, at = len(rows), (packed.ctypes.data, given_at, out_at)
        in_lanes = count if count % LANES >= REST else count - count % LANES
        if count < LANES or not self._lanes_room:
            self._steps[width](count, *self._at, *at)
            return out
        self._lanes[width](in_lanes, *self._at, *at, self._lanes_room)
        out[in_lanes:, -1] = 1.0  # to do, as is what float32 cannot hold: float64 may
        alone = np.flatnonzero(out[:, -1]).tolist()
        starts = [i for i, before in zip(alone, [-2] + alone) if before != i - 1]
        stops = [i + 1 for i, after in zip(alone, alone[1:] + [-1]) if after != i + 1]
        for start, stop in zip(starts, stops):
            self._steps[width](stop - start, *self._at, *(
                address + start * array.strides[0]
                for address, array in zip(at, (packed, given, out))))
        return out

    def predict_packed(self, width: int, packed: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        """
        Return packed estimates (B, E + 1) dt_s (B, 1) after the last messages of states (B, S).

        The next call writes into the same array.
        """
        given, out, given_at, out_at = self._room(width, len(dt_s))
        given[:, width:width + 1] = dt_s
        packed = np.ascontiguousarray(packed)
        self._predicts[width](len(dt_s), *self._at, packed.ctypes.data, given_at, out_at)
        return out

    @cached_property
    def _lanes_room(self) -> int:
        """Return the address of what LANES streams at once need, 0 where it is of no use."""
        self._compiled.lanes_room.restype = ctypes.c_long
        size = self._compiled.lanes_room() if self._in_lanes else 0
        self._held = np.empty(size + LINE, np.uint8)
        return -(-self._held.ctypes.data // LINE) * LINE if size else 0

    def _room(self, width: int, count: int) -> Tuple[np.ndarray, np.ndarray, int, int]:
        """Return what is given and what is said of so many streams, and the addresses."""
        scratch = self._scratch.get(width)
        if scratch is None or len(scratch[0]) != count:
            given = np.empty((count, width + 1 + tangent_size(width)))
            out = np.empty((count, estimate_layout(width).size + 1))
            scratch = self._scratch[width] = given, out, given.ctypes.data, out.ctypes.data
        return scratch
