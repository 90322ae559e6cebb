# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What stands before a CUDA kernel, behind "#define THREADS": words, functions of both types."""

# Quotients have no branch: a loop's rounds are computed side by side where the code is straight.
# divide(double): the reciprocal's 20 bits and two Newton steps, then one more for the quotient;
# a divisor below the smallest normal number counts as zero, one above 2^1022 as infinite.
# divide(float): one above 2^126 counts as infinite.
PRELUDE = """\
#define INFINITY __longlong_as_double(0x7ff0000000000000LL)
#define NAN __longlong_as_double(0x7ff8000000000000LL)
#if THREADS == 32
#define SYNC __syncwarp();
#define ANY(bad) __any_sync(0xffffffffu, bad)
#else
#define SYNC __syncthreads();
#define ANY(bad) __syncthreads_or(bad)
#endif
#define SHARE(shift, q, n) if (const unsigned i = (threadIdx.x + THREADS - (shift)) % THREADS \\
                           + (q) * THREADS; i < (n))
#define WIDE static __device__ __forceinline__ double
#define NARROW static __device__ __forceinline__ float
WIDE total(double a, double b) { return a + b; }
WIDE largest(double a, double b) { return a >= b || isnan(a) ? a : b; }
WIDE smallest(double a, double b) { return a <= b || isnan(a) ? a : b; }
NARROW total(float a, float b) { return a + b; }
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
WIDE divide(double a, double d)
{
  double x;
  asm("rcp.approx.ftz.f64 %0, %1;" : "=d"(x) : "d"(d));
  const double rough = a * x;
  const bool whole = x == 0.0 || isinf(x) || isinf(rough);
  x = fma(x, fma(-d, x, 1.0), x);
  x = fma(x, fma(-d, x, 1.0), x);
  const double q = a * x;
  return whole ? rough : fma(x, fma(-d, q, a), q);
}
NARROW divide(float a, float d) { return __fdividef(a, d); }
NARROW largest(float a, float b)
{
  float c;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(c) : "f"(a), "f"(b));
  return c;
}
NARROW smallest(float a, float b)
{
  float c;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(c) : "f"(a), "f"(b));
  return c;
}
#define ANEW(x) asm volatile("" : "+r"(x)); // what follows from it is kept in no register
#else
WIDE divide(double a, double d) { return a / d; }
NARROW divide(float a, float d) { return a / d; }
NARROW largest(float a, float b) { return a >= b || isnan(a) ? a : b; }
NARROW smallest(float a, float b) { return a <= b || isnan(a) ? a : b; }
#define ANEW(x)
#endif
#define ANY_TWO(name) template <typename A, typename B> \\
    static __device__ __forceinline__ double name(A a, B b) { return name((double)a, (double)b); }
ANY_TWO(divide)
ANY_TWO(largest)
ANY_TWO(smallest)
extern __shared__ double b[];
"""
