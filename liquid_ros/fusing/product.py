# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The source of a product of two matrices, in tiles whose sums stay in registers.

Its types and words (eight, four, two, TILE, APART, CLONED, WIDE) are those of prelude.PRELUDE.
Which tiles the processor can have is asked for in each call. Wide ones and narrow ones add up in
the same order: both give the same numbers to the bit.
"""

from typing import Iterator, Sequence, Tuple

Tile = Tuple[int, int, str]

# rows and columns that a product keeps in registers, and the type that holds the columns: in 16
# registers of four numbers, and in AVX-512's 32 of eight
NARROW = tuple((rows, columns, kind) for rows in (3, 1) for columns, kind in (
    (16, 'four'), (8, 'four'), (4, 'four'), (2, 'two'), (1, 'double')))
WIDE = tuple((rows, columns, kind) for rows in (6, 3, 1) for columns, kind in (
    (16, 'eight'), (8, 'eight'), (4, 'four'), (2, 'two'), (1, 'double')))
TYPES = {'double': 'double', 'single': 'float'}
LANES = {'eight': 8, 'four': 4, 'two': 2, 'double': 1}


def _name(weight: str, rows: int, columns: int, kind: str) -> str:
    return f'tile_{weight}_{rows}_{columns}_{kind}'


def _tile(rows: int, columns: int, kind: str, weight: str) -> str:
    """Return the source of a tile; weight: double or single, of what the second matrix is."""
    width = LANES[kind]
    parts = range(columns // width)
    sums = [f's{i}{j}' for i in range(rows) for j in parts]
    zero = '0.0' if width == 1 else '{0.0}'
    read = {'double': '*(const {kind} *)(w + {at})', 'single': 'w[{at}]' if width == 1 else
            '__builtin_convertvector(*(const {kind}_single *)(w + {at}), {kind})'}[weight]
    body = [f'const {kind} w{j} = {read.format(kind=kind, at=width * j)};' for j in parts]
    body += [f'const double x{i} = a[a_row * {i} + k];' for i in range(rows)]
    body += [f's{i}{j} += x{i} * w{j};' for i in range(rows) for j in parts]
    ends = [f'*({kind} *)(out + out_row * {i} + {width * j}) = s{i}{j};'
            for i in range(rows) for j in parts]
    return '\n'.join([
        f'TILE {_name(weight, rows, columns, kind)}(int inner, const double *APART a, int a_row, '
        f'const {TYPES[weight]} *APART w, int w_row,',
        '                      double *APART out, int out_row)', '{',
        f'  {kind} ' + ', '.join(f'{one} = {zero}' for one in sums) + ';',
        '  for (int k = 0; k < inner; k++, w += w_row) {',
        *('    ' + line for line in body), '  }',
        *('  ' + line for line in ends), '}'])


def _taken(weight: str) -> str:
    return ('(int rows, int columns, int inner, const double *APART a, int a_row, '
            f'const {TYPES[weight]} *APART w, int w_row, double *APART out)')


def _product(weight: str, how: str, tiles: Sequence[Tile]) -> str:
    """Return the source of product_<weight>_<how>(): out = a w, each sum in the order of k."""
    lines = [f'static void product_{weight}_{how}{_taken(weight)}', '{', '  int i = 0;']
    for rows in sorted({tile[0] for tile in tiles}, reverse=True):
        lines += [f'  for (; i + {rows} <= rows; i += {rows}) {{', '    int j = 0;']
        lines += [f'    for (; j + {tile[1]} <= columns; j += {tile[1]}) '
                  f'{_name(weight, *tile)}(inner, a + a_row * i, a_row, w + j, w_row, '
                  'out + columns * i + j, columns);' for tile in tiles if tile[0] == rows]
        lines.append('  }')
    return '\n'.join([*lines, '}', ''])


def _products() -> Iterator[str]:
    for weight in TYPES:
        given = 'rows, columns, inner, a, a_row, w, w_row, out'
        yield from (_tile(*tile, weight) for tile in NARROW)
        yield 'CLONED ' + _product(weight, 'narrow', NARROW)
        yield '#ifdef WIDE'
        yield from (_tile(*tile, weight) for tile in WIDE if tile not in NARROW)
        yield 'WIDE ' + _product(weight, 'wide', WIDE) + '#endif'
        yield f"""\
static void product_{weight}{_taken(weight)}
{{
#ifdef WIDE
  if (HAS_WIDE) {{ product_{weight}_wide({given}); return; }}
#endif
  product_{weight}_narrow({given});
}}
"""


PRODUCT = '\n'.join(_products())
