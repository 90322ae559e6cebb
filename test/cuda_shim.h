// Copyright 2026 the liquid_ros authors
// SPDX-License-Identifier: Apache-2.0

// CUDA kernels as C++ on the CPU: a thread of a block is a thread here, one block after the other.
// A kernel's shared memory is `extern __shared__ double b[]`. What synchronises a warp
// synchronises the block here: all of it has to come by. launch(blocks, threads, kernel) runs it.

#include <math.h>
#include <pthread.h>
#include <string.h>

#include <thread>
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
static pthread_barrier_t wall;
static int any_true;
static double passed[1024];
struct Index { unsigned x; };
static thread_local Index threadIdx, blockIdx, gridDim, blockDim;

static inline void __syncthreads() { pthread_barrier_wait(&wall); }
static inline void __syncwarp(unsigned = ~0u) { __syncthreads(); }

static inline int __syncthreads_or(int mine)
{
  __syncthreads();
  if (threadIdx.x == 0) any_true = 0;
  __syncthreads();
  if (mine) __atomic_store_n(&any_true, 1, __ATOMIC_RELAXED);
  __syncthreads();
  return __atomic_load_n(&any_true, __ATOMIC_RELAXED);
}

static inline int __any_sync(unsigned, int mine) { return __syncthreads_or(mine); }

template <class Number> static inline Number __shfl_xor_sync(unsigned, Number mine, int lanes)
{
  __syncthreads();
  passed[threadIdx.x] = mine;
  __syncthreads();
  return passed[threadIdx.x ^ lanes];
}

static inline double __longlong_as_double(long long bits)
{
  double number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

template <class Kernel> static void launch(unsigned blocks, unsigned threads, Kernel kernel)
{
  pthread_barrier_init(&wall, nullptr, threads);
  for (unsigned block = 0; block < blocks; ++block) {
    for (double &number : b) number = NAN;  // what is read before it is written
    std::vector<std::thread> all;
    for (unsigned thread = 0; thread < threads; ++thread)
      all.emplace_back([=] {
        threadIdx.x = thread, blockIdx.x = block, gridDim.x = blocks, blockDim.x = threads;
        kernel();
      });
    for (std::thread &thread : all) thread.join();
  }
  pthread_barrier_destroy(&wall);
}
