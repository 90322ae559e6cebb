# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
What stands before functions of streams side by side: loops, functions of float, products, turns.

An array there has LANES numbers an element, one a stream.
"""

from typing import List, NamedTuple, Sequence, Tuple

LANES = 16


class Target(NamedTuple):
    """
    Which processors a function is for: its word and its suffix, and what its registers hold.

    vector: a type. tiles: rows and columns of a product whose sums are in registers. side: of the
    squares in which streams and elements are turned. twice: what unrolls a loop over elements.
    """

    word: str
    suffix: str
    vector: str
    tiles: Sequence[Tuple[int, int]]
    side: int
    twice: str = ''


# 32 registers of 16 numbers; 16 of eight, or as many as there are of four
WIDEST = Target('LANES_512', '_512', 'sixteen_single',
                ((6, 4), (6, 1), (3, 8), (3, 2), (3, 1), (1, 4), (1, 1)), 8, 'TWICE ')
USUAL = Target('LANES_256', '_256', 'usual_single', ((3, 4), (3, 1), (1, 4), (1, 1)), 4)

# exp, expm1 and log: polynomials of least largest relative error over the reduced argument, 3e-9
# and 3e-8 without rounding; their form: Cody and Waite, Software Manual for the Elementary
# Functions, 1980. Below the least normal number exp and log count as there.
HEAD = """\
#include <string.h>
#define LANES %(lanes)d
#if defined(__GNUC__) && !defined(__clang__)
/* or loads go into branches, and those loops are of single numbers */
#define STRAIGHT "no-thread-jumps", "no-tree-pre", "no-tree-sink"
#define EXACTLY __attribute__((noinline, optimize(STRAIGHT)))
#define LOOSELY __attribute__((noinline, optimize(STRAIGHT, "fp-contract=fast")))
#define MIX_FOUR(a, b, ...) __builtin_shuffle(a, b, (four_int){__VA_ARGS__})
#define MIX_EIGHT(a, b, ...) __builtin_shuffle(a, b, (eight_int){__VA_ARGS__})
#else
#define EXACTLY __attribute__((noinline))
#define LOOSELY __attribute__((noinline))
#define MIX_FOUR(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#define MIX_EIGHT MIX_FOUR
#endif
#ifdef WIDE
#define LANES_512 __attribute__((target( \\
    "avx512f,avx512dq,avx512vl,fma,tune=icelake-server,prefer-vector-width=512")))
#define TWICE _Pragma("GCC unroll 2")
#define LANES_256 __attribute__((target("avx2,fma")))
#define HAS_LANES (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
typedef float usual_single __attribute__((vector_size(32), may_alias));
#else
#define LANES_256
#define HAS_LANES 1
typedef float usual_single __attribute__((vector_size(16), may_alias));
#endif
#define LANE _Pragma("omp simd") for (int l = 0; l < LANES; l++)
#define INLINE static inline __attribute__((always_inline))
typedef int four_int __attribute__((vector_size(16)));
typedef int eight_int __attribute__((vector_size(32)));
typedef float sixteen_single __attribute__((vector_size(64), may_alias));
#ifdef LIBMVEC
#pragma omp declare simd notinbranch
extern double atan2(double, double);
#endif
INLINE float of_bits(int bits) { float x; memcpy(&x, &bits, 4); return x; }
INLINE int bits_of(float x) { int bits; memcpy(&bits, &x, 4); return bits; }
/* expm1(r) and 2^n of x = r + n log(2); from 88.38 on inf and NaN: float64 steps that stream */
INLINE float reduced(float x, float *power)
{
  const float low = MAX_ONE(x, -87.0f), at = MIN_ONE(low, 88.5f);
  const float shifted = at * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
  const float r = (at - n * 0.693359375f) + n * 2.12194440e-4f;
  *power = of_bits((bits_of(shifted) << 23) + 0x3f800000);
  return r + r * r * (0.49999994f + r * (0.16666521f + r * (
      0.041668389f + r * (0.0083687454f + r * 0.0013814540f))));
}
INLINE float exp_single(float x)
{
  float power;
  const float p = reduced(x, &power);
  return power + power * p;
}
INLINE float expm1_single(float x)
{
  float power;
  const float p = reduced(x, &power);
  return power * p + (power - 1.0f);
}
INLINE float tanh_single(float x)
{
  const float e = expm1_single(-2.0f * fabsf(x)), y = e / (2.0f + e);
  return x < 0.0f ? y : -y;
}
INLINE float log_single(float x)
{
  const float at = MAX_ONE(x, 1.17549435e-38f);
  const int bits = bits_of(at) - 0x3f3504f3;
  const float n = (float)(bits >> 23), f = of_bits((bits & 0x7fffff) + 0x3f3504f3) - 1.0f;
  const float more = f * f * f * (0.33333910f + f * (-0.25001338f + f * (0.19963063f + f * (
      -0.16577585f + f * (0.14914769f + f * (-0.14267486f + f * 0.087004349f))))));
  const float y = n * 0.693359375f + (f + (more - 0.5f * f * f - n * 2.12194440e-4f));
  const float some = x == 0.0f ? -INFINITY : NAN, found = x > 0.0f ? y : some;
  return x < INFINITY ? found : x;
}
INLINE float asinh_single(float x)
{
  const float size = fabsf(x), y = log_single(size + sqrtf(1.0f + size * size));
  return x < 0.0f ? -y : y;
}
""" % {'lanes': LANES}

KINDS = {4: 'four', 8: 'eight'}


def _square(side: int) -> List[str]:
    """Return the source of a function that turns a square of so many streams and elements."""
    kind = KINDS[side]
    lines = [f'INLINE void turn_{kind}(const {kind}_single *x, {kind}_single *out)', '{']
    now = [f'x[{i}]' for i in range(side)]
    step = 1
    while step < side:
        following = list(now)
        # of each pair of rows: blocks of step numbers alternately, of the low or the high blocks
        for at in range(0, side, 2 * step):
            for i in range(at, at + step):
                a, b = now[i], now[i + step]
                for half, row in ((0, i), (1, i + step)):
                    places = [start + half * step + inner + which * side
                              for start in range(0, side, 2 * step) for which in (0, 1)
                              for inner in range(step)]
                    name = f'y{step}_{row}'
                    lines.append(f'  const {kind}_single {name} = MIX_{kind.upper()}({a}, {b}, '
                                 f'{", ".join(map(str, places))});')
                    following[row] = name
        now, step = following, 2 * step
    return [*lines, *(f'  out[{i}] = {name};' for i, name in enumerate(now)), '}']


def _turns(side: int) -> str:
    """Return the source of functions that lay packed numbers out in lanes, and back."""
    kind = KINDS[side]
    return '\n'.join([*_square(side), f"""\
INLINE void lanes_in_{kind}(int count, const double *APART x, long stride, const int *at,
                         float *APART out)
{{
  int i = 0;
  for (; i + {side} <= count; i += {side})
    for (int l = 0; l < LANES; l += {side}) {{
      {kind}_single y[{side}], z[{side}];
      _Pragma("GCC unroll 8") for (int m = 0; m < {side}; m++)
        y[m] = __builtin_convertvector(*(const {kind} *)(x + stride * at[l + m] + i),
                                       {kind}_single);
      turn_{kind}(y, z);
      _Pragma("GCC unroll 8") for (int m = 0; m < {side}; m++)
        *({kind}_single *)(out + LANES * (i + m) + l) = z[m];
    }}
  for (; i < count; i++)
    for (int l = 0; l < LANES; l++) out[LANES * i + l] = (float)x[stride * at[l] + i];
}}
INLINE void lanes_out_{kind}(int count, const float *APART x, int step, double *APART out,
                          long stride, const int *goes)
{{
  for (int l = 0; l < LANES; l += {side}) {{
    int i = 0, all = 1;
    for (int m = 0; m < {side}; m++) all &= goes[l + m];
    for (; all && i + {side} <= count; i += {side}) {{
      {kind}_single y[{side}], z[{side}];
      _Pragma("GCC unroll 8") for (int m = 0; m < {side}; m++)
        y[m] = *(const {kind}_single *)(x + LANES * step * (i + m) + l);
      turn_{kind}(y, z);
      _Pragma("GCC unroll 8") for (int m = 0; m < {side}; m++)
        *({kind} *)(out + stride * (l + m) + i) = __builtin_convertvector(z[m], {kind});
    }}
    for (int m = 0; m < {side}; m++)
      if (goes[l + m])
        for (int j = i; j < count; j++)
          out[stride * (l + m) + j] = x[LANES * step * j + l + m];
  }}
}}
"""])


LANE_PRELUDE = HEAD + '\n'.join(_turns(side) for side in KINDS)


# the sums over k of a w[k], for some rows of a and some columns of w; then what is called
HELPERS = """\
INLINE void lanes_tile{suffix}(const int rows, const int columns, int inner,
    const float *APART a, int a_row, const float *APART w, int w_row, float *APART out,
    int out_row)
{{
  {vector} s[{rows}][{columns}], x[{rows}];
  _Pragma("GCC unroll 8") for (int i = 0; i < rows; i++)
    _Pragma("GCC unroll 8") for (int j = 0; j < columns; j++) s[i][j] = ({vector}){{0.0f}};
  for (int k = 0; k < inner; k++, w += w_row) {{
    _Pragma("GCC unroll 8") for (int i = 0; i < rows; i++)
      x[i] = *(const {vector} *)(a + LANES * (a_row * i + k));
    _Pragma("GCC unroll 8") for (int j = 0; j < columns; j++)
      _Pragma("GCC unroll 8") for (int i = 0; i < rows; i++) s[i][j] += x[i] * w[j];
  }}
  _Pragma("GCC unroll 8") for (int i = 0; i < rows; i++)
    _Pragma("GCC unroll 8") for (int j = 0; j < columns; j++)
      *({vector} *)(out + LANES * (out_row * i + j)) = s[i][j];
}}
{word} LOOSELY static void lanes_product{suffix}(int rows, int columns, int inner,
    const float *APART a, int a_row, const float *APART w, int w_row, float *APART out)
{{
  for (int l = 0; l < LANES; l += sizeof({vector}) / 4, a += sizeof({vector}) / 4,
                             out += sizeof({vector}) / 4) {{
    int i = 0;
{loops}
  }}
}}
{word} EXACTLY static void lanes_in{suffix}(int count, const double *APART x, long stride,
    const int *at, float *APART out)
{{
  lanes_in_{kind}(count, x, stride, at, out);
}}
{word} EXACTLY static void lanes_out{suffix}(int count, const float *APART x, int step,
    double *APART out, long stride, const int *goes)
{{
  lanes_out_{kind}(count, x, step, out, stride, goes);
}}
{word} EXACTLY static void lanes_finite{suffix}(int count, const float *APART x, int step,
    float *APART bad)
{{
  for (int l = 0; l < LANES; l += sizeof({vector}) / 4) {{
    {vector} s = {{0.0f}}, t = {{0.0f}};
    int i = 0;
    for (; i + 2 <= count; i += 2) {{
      s += *(const {vector} *)(x + LANES * step * i + l) * 0.0f;
      t += *(const {vector} *)(x + LANES * step * (i + 1) + l) * 0.0f;
    }}
    if (i < count) s += *(const {vector} *)(x + LANES * step * i + l) * 0.0f;
    *({vector} *)(bad + l) += s + t;
  }}
}}
"""


def helpers(target: Target) -> str:
    """Return the source of the functions that steps for a target call."""
    loops = []
    for rows in sorted({tile[0] for tile in target.tiles}, reverse=True):
        loops += [f'    for (; i + {rows} <= rows; i += {rows}) {{', '      int j = 0;']
        loops += [f'      for (; j + {columns} <= columns; j += {columns})\n'
                  f'        lanes_tile{target.suffix}({rows}, {columns}, inner, '
                  'a + LANES * a_row * i, a_row, w + j, w_row, out + LANES * (columns * i + j), '
                  'columns);' for high, columns in target.tiles if high == rows]
        loops.append('    }')
    return HELPERS.format(
        word=target.word, suffix=target.suffix, vector=target.vector, kind=KINDS[target.side],
        loops='\n'.join(loops), rows=max(tile[0] for tile in target.tiles),
        columns=max(tile[1] for tile in target.tiles))
