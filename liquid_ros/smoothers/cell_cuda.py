# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The recurrences of cell_sequence in CUDA, each one launch for all steps.

A block a row of the batch, a thread a unit (two from WIDE on, for half a sum each). U stays in
registers while it fits, else it comes out of the caches. What acts on all units, h or s, is
in shared memory twice: a step reads one while it writes the other, so it needs one barrier.
"""

from typing import Dict, NamedTuple, Optional, Tuple
import warnings

import torch
from torch import Tensor

from liquid_ros.cuda import Kernel
from liquid_ros.errors import DeviceError

WIDE = 64  # words of 4 bytes in a row of U: more are shared by two threads
# units whose U registers hold: a block has 65536, a thread 255
MOST_HELD = {torch.float32: 200, torch.float64: 128}
MOST = 512, 2**26  # beyond: units, and numbers of U that all rows read in a step
REAL = {torch.float32: 'float', torch.float64: 'double'}
# phi of u, and phi' of phi
ACTIVE = {'tanh': ('tanh(u)', '1 - phi * phi'),
          'sigmoid': ('1 / (1 + exp(-u))', 'phi * (1 - phi)'),
          'relu': ('u < 0 ? 0 : u', 'phi > 0 ? 1 : 0')}

HEAD = """
#define H {hidden}
#define HELD {held}
#define LANES {lanes}
#define THREADS {threads}
#define AHEAD 4  // steps: what comes from memory is asked for so early; even
typedef {real} Real;
#define EACH (16 / (int)sizeof(Real))
#define PACKS ((H + LANES * EACH - 1) / (LANES * EACH))
#define ROOM (PACKS * LANES * EACH)
struct alignas(16) Pack {{ Real at[EACH]; }};

static __device__ __forceinline__ Real active(Real u) {{ return {active}; }}
static __device__ __forceinline__ Real slope(Real phi) {{ return {slope}; }}
"""
KERNELS = """
// sum_k v_k m[k, unit], v in shared memory with zeros up to ROOM
struct Product {
#if HELD
  Real w[PACKS * EACH];
  __device__ __forceinline__ Product(const Real *m, int unit, int lane) {
#pragma unroll
    for (int i = 0; i < PACKS * EACH; ++i) {
      const int k = (i / EACH * LANES + lane) * EACH + i % EACH;
      w[i] = k < H ? m[k * H + unit] : 0;
    }
  }
  __device__ __forceinline__ Real operator()(const Real *v, int lane) const {
    const Pack *packs = (const Pack *)v;
    Real sum[4] = {0, 0, 0, 0};
#pragma unroll
    for (int p = 0; p < PACKS; ++p) {
      const Pack pack = packs[p * LANES + lane];
#pragma unroll
      for (int j = 0; j < EACH; ++j)
        sum[(p * EACH + j) % 4] += w[p * EACH + j] * pack.at[j];
    }
    Real all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
#if LANES == 2
    all += __shfl_xor_sync(0xffffffff, all, 1);
#endif
    return all;
  }
#else
  const Real *m;
  __device__ __forceinline__ Product(const Real *m, int unit, int) : m(m + unit) {}
  __device__ __forceinline__ Real operator()(const Real *v, int) const {
    Real sum[4] = {0, 0, 0, 0};
#pragma unroll 16
    for (int k = 0; k < H; ++k)
      sum[k % 4] += v[k] * m[k * H];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
  }
#endif
};

// (T, B, H): keep E, amount c; drive x W^T, becomes phi; states one more, h_0 is there
extern "C" __global__ void __launch_bounds__(THREADS)
forward(long long steps, const Real *turned, const Real *keep, const Real *amount, Real *drive,
        Real *states) {
  extern __shared__ double b[];
  Real *const v = (Real *)b;
  const int unit = threadIdx.x / LANES, lane = threadIdx.x % LANES, near = unit < H ? unit : H - 1;
  const bool writes = unit < H && lane == 0;
  const long long row = (long long)gridDim.x * H, at = (long long)blockIdx.x * H + near;
  const Product product(turned, near, lane);
  keep += at, amount += at, drive += at, states += at;
  for (int k = threadIdx.x; k < 2 * ROOM; k += THREADS) v[k] = 0;
  Real u[AHEAD], e[AHEAD], c[AHEAD], h = states[0];
#pragma unroll
  for (int k = 0; k < AHEAD; ++k)
    if (k < steps) u[k] = drive[k * row], e[k] = keep[k * row], c[k] = amount[k * row];
  __syncthreads();
  if (writes) v[unit] = h;
  __syncthreads();
  for (long long start = 0; start < steps; start += AHEAD)
#pragma unroll
    for (int k = 0; k < AHEAD; ++k) {
      const long long t = start + k, next = t + AHEAD;
      if (t >= steps) return;
      const Real now_u = u[k], now_e = e[k], now_c = c[k];
      if (next < steps)
        u[k] = drive[next * row], e[k] = keep[next * row], c[k] = amount[next * row];
      const Real phi = active(now_u + product(v + k % 2 * ROOM, lane));
      h = now_e * h + now_c * phi;
      if (writes) {
        v[(k + 1) % 2 * ROOM + unit] = h;
        drive[t * row] = phi;
        states[(t + 1) * row] = h;
      }
      __syncthreads();
    }
}

// (T, B, H): keep E, amount c, phi, given dL/dh_{t+1}; total G_t, pull s_t; first (B, H) dL/dh_0
extern "C" __global__ void __launch_bounds__(THREADS)
backward(long long steps, const Real *weight_rec, const Real *keep, const Real *amount,
         const Real *phi, const Real *given, Real *total, Real *pull, Real *first) {
  extern __shared__ double b[];
  Real *const v = (Real *)b;
  const int unit = threadIdx.x / LANES, lane = threadIdx.x % LANES, near = unit < H ? unit : H - 1;
  const bool writes = unit < H && lane == 0;
  const long long row = (long long)gridDim.x * H, at = (long long)blockIdx.x * H + near;
  const Product product(weight_rec, near, lane);
  keep += at, amount += at, phi += at, given += at, total += at, pull += at;
  for (int k = threadIdx.x; k < 2 * ROOM; k += THREADS) v[k] = 0;
  Real d[AHEAD], e[AHEAD], c[AHEAD], p[AHEAD], after = 0;
#pragma unroll
  for (int k = 0; k < AHEAD; ++k) {
    const long long from = (steps - 1 - k) * row;
    if (k < steps) d[k] = given[from], e[k] = keep[from], c[k] = amount[from], p[k] = phi[from];
  }
  __syncthreads();
  for (long long start = steps - 1; start >= 0; start -= AHEAD)
#pragma unroll
    for (int k = 0; k < AHEAD; ++k) {
      const long long t = start - k, from = (t - AHEAD) * row;
      if (t < 0) break;
      const Real now_d = d[k], now_e = e[k], factor = c[k] * slope(p[k]);
      if (t >= AHEAD)
        d[k] = given[from], e[k] = keep[from], c[k] = amount[from], p[k] = phi[from];
      const Real g = now_d + after, s = g * factor;
      if (writes) {
        v[k % 2 * ROOM + unit] = s;
        total[t * row] = g;
        pull[t * row] = s;
      }
      __syncthreads();
      after = g * now_e + product(v + k % 2 * ROOM, lane);
    }
  if (writes) first[at] = after;
}
"""


class Written(NamedTuple):
    """Both kernels' source, the threads of a block and its shared memory."""

    source: str
    threads: int
    shared_bytes: int


def is_held(hidden: int, kind: torch.dtype) -> bool:
    """Return whether registers hold U."""
    return hidden <= MOST_HELD[kind]


def written(hidden: int, kind: torch.dtype, activation: str) -> Written:
    """Return the kernels of so many units, 1 to 1024, of float32 or float64."""
    held = is_held(hidden, kind)
    lanes = 2 if held and hidden * kind.itemsize // 4 > WIDE else 1
    threads = -(-lanes * hidden // 32) * 32
    active, slope = ACTIVE[activation]
    head = HEAD.format(hidden=hidden, held=int(held), lanes=lanes, threads=threads,
                       real=REAL[kind], active=active, slope=slope)
    packs = -(-hidden * kind.itemsize // (16 * lanes)) * lanes
    return Written(head + KERNELS, threads, 2 * 16 * packs)


class Recurrences:
    """Both recurrences of so many units on a device."""

    def __init__(self, hidden: int, kind: torch.dtype, activation: str, device: torch.device
                 ) -> None:
        """Compile them. Errors: DeviceError."""
        made = written(hidden, kind, activation)
        self._forward, self._backward = (
            Kernel(made.source, name, made.shared_bytes, made.threads, device)
            for name in ('forward', 'backward'))

    def forward(self, weight_rec: Tensor, keep: Tensor, amount: Tensor, drive: Tensor,
                states: Tensor) -> None:
        """Write phi over x W^T in drive (T, B, H), h_1 ... h_T behind h_0 in states."""
        self._launch(self._forward, drive, weight_rec.T.contiguous(), _whole(keep, drive),
                     _whole(amount, drive), drive, states)

    def backward(self, weight_rec: Tensor, keep: Tensor, amount: Tensor, phi: Tensor,
                 given: Tensor, first: Tensor) -> Tuple[Tensor, Tensor]:
        """Return G_t and s_t, both (T, B, H), and write dL/dh_0 into first."""
        total, pull = torch.empty_like(phi), torch.empty_like(phi)
        self._launch(self._backward, phi, weight_rec.contiguous(), _whole(keep, phi),
                     _whole(amount, phi), phi, _whole(given, phi), total, pull, first)
        return total, pull

    @staticmethod
    def _launch(kernel: Kernel, like: Tensor, *arrays: Tensor) -> None:
        with torch.cuda.device(like.device):
            kernel.launch(torch.cuda.current_stream().cuda_stream, like.shape[1], len(like),
                          *(array.data_ptr() for array in arrays))


def _whole(array: Tensor, like: Tensor) -> Tensor:
    """Return what may be broadcast, or lie otherwise, number by number."""
    return array.expand_as(like).contiguous()


_made: Dict[Tuple[int, torch.dtype, str, torch.device], Optional[Recurrences]] = {}


def recurrences(activation: str, h: Tensor, *others: Tensor) -> Optional[Recurrences]:
    """
    Return what runs the recurrences of states like h (B, H), None where the loops have to.

    others: all else that takes part. While a graph is captured nothing is compiled.
    """
    if not h.is_cuda or any((o.dtype, o.device) != (h.dtype, h.device) for o in others):
        return None
    rows, hidden = h.shape
    if h.dtype not in REAL or not h.numel():
        return None
    if not is_held(hidden, h.dtype) and (hidden > MOST[0] or rows * hidden**2 > MOST[1]):
        return None
    key = hidden, h.dtype, activation, h.device
    if key not in _made:
        if torch.cuda.is_current_stream_capturing():
            return None
        try:
            with torch.cuda.device(h.device):
                _made[key] = Recurrences(*key)
        except DeviceError as error:
            warnings.warn(f'a sequence is a loop of torch operations, not a kernel: {error}',
                          stacklevel=2)
            _made[key] = None
    return _made[key]
