# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What is said of a run as plain text: a table of the smoothers, then sentences."""

from textwrap import wrap
from typing import Callable, List, NamedTuple, Optional, Tuple

from liquid_ros.evaluation.runs import Judged, Row

WIDTH = 99
SMALL = 0.1  # two digits behind the point would say next to nothing
ALIGNED = 'aligned (mm)'  # told only where the truth has another frame


class Column(NamedTuple):
    """A figure: its heading, its text and where it is from."""

    heading: str
    text: str
    value: Callable[[Row], Optional[float]]


def _scaled(name: str, factor: float = 1.0) -> Callable[[Row], Optional[float]]:
    def value(row: Row) -> Optional[float]:
        found = getattr(row, name)
        return None if found is None else float(found) * factor
    return value


# A low jitter alone means nothing: how far off or how late stands to the left of it.
COLUMNS: Tuple[Column, ...] = (
    Column('RMSE (mm)', '.2f', _scaled('rmse_m', 1e3)),
    Column(ALIGNED, '.2f', _scaled('rmse_aligned_m', 1e3)),
    Column('rotation (deg)', '.3f', _scaled('rotation_deg')),
    Column('accel. error (m/s^2)', '.3f', _scaled('accel_error_m_s2')),
    Column('lag (ms)', '.0f', _scaled('lag_s', 1e3)),
    Column('NEES', '.2f', _scaled('nees')),
    Column('off RTS (mm)', '.2f', _scaled('rmse_to_offline_m', 1e3)),
    Column('rotation off RTS (deg)', '.3f', _scaled('rotation_to_offline_deg')),
    Column('lag to RTS (ms)', '.0f', _scaled('lag_to_offline_s', 1e3)),
    Column('log lik.', '.3f', _scaled('log_likelihood')),
    Column('jitter (mm)', '.2f', _scaled('jitter_m', 1e3)),
)
WITH_TRUTH = ('RMSE (mm)', ALIGNED, 'rotation (deg)', 'accel. error (m/s^2)', 'lag (ms)',
              'NEES', 'jitter (mm)')
FEW = 0.5  # of the messages: less are told of
WITHOUT = ('off RTS (mm)', 'rotation off RTS (deg)', 'lag to RTS (ms)', 'log lik.', 'jitter (mm)')


def text_of(judged: Judged) -> str:
    """Return a few lines: the stream and its counts, the table, the verdict."""
    run = judged.run
    head = f'{run.name} ({run.msgtype.rpartition("/")[2]}): {run.tally}'
    if run.left_out:
        head += f'; judged by the first {len(run.stamps_ns)}, {run.left_out} left out'
    if run.truth is not None:
        head += f'; truth: {run.truth_name}'
        if run.truth_known < FEW * len(run.stamps_ns):
            head += f', known at {run.truth_known} of {len(run.stamps_ns)} messages'
    lines = wrap(head, WIDTH, subsequent_indent='  ')
    lines += ['  ' + line for line in _table(judged)]
    for sentence in judged.verdict:
        lines += wrap(sentence, WIDTH, initial_indent='- ', subsequent_indent='  ')
    return '\n'.join(lines)


def _table(judged: Judged) -> List[str]:
    known = any(row.rmse_m is not None for row in judged.rows)
    wanted = WITH_TRUTH if known else WITHOUT
    columns = [column for column in COLUMNS if column.heading in wanted
               and (column.heading != ALIGNED or judged.stream['frames_differ'])
               and any(column.value(row) is not None for row in judged.rows)]
    if not columns or all(column.heading == 'jitter (mm)' for column in columns):
        return []
    cells = [['', *(column.heading for column in columns)]]
    for row in judged.rows:
        line = [_cell(column, row) for column in columns]
        if set(line) != {'-'}:
            cells.append([row.label, *line])
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ['  '.join([line[0].ljust(widths[0]), *(
        cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]).rstrip()
        for line in cells]
    return [lines[0], '-' * (sum(widths) + 2 * len(columns)), *lines[1:]]


def _cell(column: Column, row: Row) -> str:
    value = column.value(row)
    alone = column.heading.startswith('jitter') and all(
        figure is None for figure in (row.rmse_m, row.rmse_to_offline_m, row.lag_s,
                                      row.lag_to_offline_s))
    if value is None or alone:
        return '-'
    small = column.text == '.2f' and 0.0 < abs(value) < SMALL
    return format(value, '.3g' if small else column.text)
