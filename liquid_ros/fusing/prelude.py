# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What stands at the head of the C source: types, macros, the products of matrices."""

from liquid_ros.fusing.product import PRODUCT

PRELUDE = """\
#include <math.h>
#define MAX(a, b) ((a) >= (b) || isnan(a) ? (a) : (b))
#define MIN(a, b) ((a) <= (b) || isnan(a) ? (a) : (b))
#define MAX_ONE(a, one) ((one) > (a) ? (one) : (a)) /* one is not NaN: an instruction */
#define MIN_ONE(a, one) ((one) < (a) ? (one) : (a))
#define APART __restrict__ /* GCC or Clang; other compilers leave the step plain */
#define TILE static inline __attribute__((always_inline)) void
typedef double two __attribute__((vector_size(16), aligned(8), may_alias));
typedef double four __attribute__((vector_size(32), aligned(8), may_alias));
typedef double eight __attribute__((vector_size(64), aligned(8), may_alias));
typedef float two_single __attribute__((vector_size(8), aligned(4), may_alias));
typedef float four_single __attribute__((vector_size(16), aligned(4), may_alias));
typedef float eight_single __attribute__((vector_size(32), aligned(4), may_alias));
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__gnu_linux__)
#define CLONED __attribute__((target_clones("avx2", "default")))
#define WIDE __attribute__((target("avx512f,avx512dq,avx512vl")))
#define HAS_WIDE (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") \\
                  && __builtin_cpu_supports("avx512vl"))
#else
#define CLONED
#endif
#ifdef LIBMVEC /* glibc's functions of four numbers at once, within 4 units in the last place */
#pragma omp declare simd notinbranch
extern double exp(double);
#pragma omp declare simd notinbranch
extern double expm1(double);
#pragma omp declare simd notinbranch
extern double log(double);
#pragma omp declare simd notinbranch
extern double tanh(double);
#pragma omp declare simd notinbranch
extern double asinh(double);
#define MANY _Pragma("omp simd")
#define WHOLE(n) (((n) + 7) / 8 * 8)
#else
#define MANY
#define WHOLE(n) (n)
#endif
""" + PRODUCT
