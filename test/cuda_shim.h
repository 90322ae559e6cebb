// Copyright 2026 the liquid_ros authors
// SPDX-License-Identifier: Apache-2.0

// CUDA kernels as C++ on the CPU: each thread of a block runs to its next barrier, one after the
// other, in an order that can be chosen: where a barrier is missing another order gives other
// numbers. A kernel's shared memory is `extern __shared__ double b[]`. What synchronises a warp
// synchronises the block here: all of it has to come by. launch(blocks, threads, kernel) runs it.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <functional>
#include <vector>

#define __global__
#define __device__
#define __shared__
#define __restrict__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define asm
#define volatile(...)

alignas(16) double b[32768];
extern "C" int order;  // 0: forwards, 1: backwards, 2: in turn
int order = 0;
struct Index { unsigned x; };
static Index threadIdx, blockIdx, gridDim, blockDim;

static const unsigned MOST = 1024, STACK = 1 << 17;
static ucontext_t scheduler, fibers[MOST];
static std::vector<char> stacks[MOST];
static bool ended[MOST];
static std::function<void()> work;
static int any_now, any_before;
static double passed[MOST];

static inline void __syncthreads() { swapcontext(&fibers[threadIdx.x], &scheduler); }
static inline void __syncwarp(unsigned = ~0u) { __syncthreads(); }

static inline int __syncthreads_or(int mine)
{
  any_now |= mine != 0;
  __syncthreads();
  return any_before;
}

static inline int __any_sync(unsigned, int mine) { return __syncthreads_or(mine); }

template <class Number> static inline Number __shfl_xor_sync(unsigned, Number mine, int lanes)
{
  passed[threadIdx.x] = mine;
  __syncthreads();
  const Number theirs = passed[threadIdx.x ^ lanes];
  __syncthreads();
  return theirs;
}

static inline double __longlong_as_double(long long bits)
{
  double number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

static void run(int thread)
{
  work();
  ended[thread] = true;
  swapcontext(&fibers[thread], &scheduler);
}

template <class Kernel> static void launch(unsigned blocks, unsigned threads, Kernel kernel)
{
  work = kernel, gridDim.x = blocks, blockDim.x = threads;
  for (unsigned block = 0; block < blocks; ++block) {
    for (double &number : b) number = NAN;  // what is read before it is written
    blockIdx.x = block, any_now = any_before = 0;
    for (unsigned thread = 0; thread < threads; ++thread) {
      stacks[thread].resize(STACK), ended[thread] = false;
      getcontext(&fibers[thread]);
      fibers[thread].uc_stack.ss_sp = stacks[thread].data();
      fibers[thread].uc_stack.ss_size = STACK;
      makecontext(&fibers[thread], (void (*)())run, 1, thread);
    }
    for (unsigned barrier = 0, through = 0; !through; ++barrier) {
      const bool backwards = order == 1 || (order == 2 && barrier % 2);
      for (unsigned k = 0; k < threads; ++k) {
        threadIdx.x = backwards ? threads - 1 - k : k;
        swapcontext(&scheduler, &fibers[threadIdx.x]);
        through += ended[threadIdx.x];
      }
      if (through && through < threads) {
        fprintf(stderr, "some threads came to a barrier, others to the end\n");
        abort();
      }
      any_before = any_now, any_now = 0;
    }
  }
}
