# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The source of a product of two matrices, in tiles whose sums stay in registers.

Its types and words (four, two, TILE, APART, CLONED) are those of emit.PRELUDE.
"""

# rows and columns that a product keeps in registers, and the type that holds the columns
TILES = tuple((rows, columns, kind) for rows in (3, 1) for columns, kind in (
    (16, 'four'), (8, 'four'), (4, 'four'), (2, 'two'), (1, 'double')))
TYPES = {'double': 'double', 'single': 'float'}
LANES = {'four': 4, 'two': 2, 'double': 1}


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
        f'TILE tile_{weight}_{rows}_{columns}(int inner, const double *APART a, int a_row, '
        f'const {TYPES[weight]} *APART w, int w_row,',
        '                      double *APART out, int out_row)', '{',
        f'  {kind} ' + ', '.join(f'{one} = {zero}' for one in sums) + ';',
        '  for (int k = 0; k < inner; k++, w += w_row) {',
        *('    ' + line for line in body), '  }',
        *('  ' + line for line in ends), '}'])


def _product(weight: str) -> str:
    """Return the source of product_<weight>(): out = a w, each sum in the order of k."""
    lines = [f'CLONED static void product_{weight}(int rows, int columns, int inner, '
             'const double *APART a, int a_row,',
             f'                           const {TYPES[weight]} *APART w, int w_row, '
             'double *APART out)', '{', '  int i = 0;']
    for rows in sorted({tile[0] for tile in TILES}, reverse=True):
        lines += [f'  for (; i + {rows} <= rows; i += {rows}) {{', '    int j = 0;']
        lines += [f'    for (; j + {columns} <= columns; j += {columns}) '
                  f'tile_{weight}_{rows}_{columns}(inner, a + a_row * i, a_row, w + j, w_row, '
                  'out + columns * i + j, columns);' for of, columns, _ in TILES if of == rows]
        lines.append('  }')
    return '\n'.join([*lines, '}', ''])


PRODUCT = '\n'.join(part for weight in TYPES for part in (
    *(_tile(*tile, weight) for tile in TILES), _product(weight)))
