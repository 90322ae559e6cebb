# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The tables of the report: the smoothers side by side, the facts of a stream, all streams."""

from datetime import datetime, timezone
from html import escape
import math
import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from liquid_ros.evaluation.report_scene import length_unit, Unit
from liquid_ros.evaluation.report_svg import number
from liquid_ros.evaluation.runs import Judged, Row, Run

NOTHING = '\N{EN DASH}'
Cost = Callable[[float], float]
ACCURACY = ('rmse_m', 'rmse_aligned_m', 'rmse_to_offline_m', 'lag_s', 'lag_to_offline_s')
OLDEST_S = 946684800  # 2000: earlier stamps count from a start, not from 1970


class Column(NamedTuple):
    """
    A figure of Row: its title, its unit and which value is the best, that of least cost.

    alone: another column; this one is left out where that one has values.
    """

    field: str
    title: str
    unit: str
    cost: Optional[Cost]
    meaning: str
    alone: str = ''


def _off_one(value: float) -> float:
    return abs(math.log(max(value, 1e-300)))


COLUMNS = (
    Column('rmse_m', 'RMSE', 'length', abs, 'root mean square distance from the truth'),
    Column('rmse_aligned_m', 'RMSE aligned', 'length', abs,
           'the same after the rigid motion that fits best'),
    Column('rotation_deg', 'Rotation', 'deg', abs, 'root mean square angle to the truth'),
    Column('rmse_to_offline_m', 'To hindsight', 'length', abs,
           'root mean square distance from the estimate in hindsight (RTS), which knows all '
           'messages; no truth, but near to it where the noise is white', 'rmse_m'),
    Column('rotation_to_offline_deg', 'Rotation to hindsight', 'deg', abs,
           'root mean square angle to the estimate in hindsight', 'rotation_deg'),
    Column('lag_s', 'Lag', 'ms', abs, 'the delay at which the output fits the truth best'),
    Column('lag_to_offline_s', 'Lag to hindsight', 'ms', abs,
           'the delay at which the output fits the estimate in hindsight best', 'lag_s'),
    Column('jitter_m', 'Jitter', 'length', abs,
           'how far the output trembles about a local line; alone it means nothing, a frozen '
           'output has none'),
    Column('jitter_deg', 'Jitter, turn', 'deg', abs, 'the same for the rotation'),
    Column('accel_error_m_s2', 'Accel. error', 'm/s²', abs,
           'root mean square difference of the second derivatives'),
    Column('jerk_m_s3', 'Jerk', 'm/s³', abs, 'root mean square third derivative'),
    Column('nees', 'NEES', '', _off_one,
           'squared error over stated variance, mean over axes; 1 is honest, more is too sure'),
    Column('log_likelihood', 'Log likelihood', 'nats', lambda value: -value,
           'mean of log p(next message | past): how well the smoother foresees, truth or not'),
)
TRIVIAL_RAW = ('lag_s', 'lag_to_offline_s', 'jerk_m_s3')


def value_of(row: Row, column: Column) -> Optional[float]:
    """Return a figure, None where it is unknown, or a jitter that nothing stands beside."""
    value = getattr(row, column.field)
    if value is None or not math.isfinite(value):
        return None
    if column.field.startswith('jitter') and all(getattr(row, f) is None for f in ACCURACY):
        return None
    return float(value)


def columns_of(rows: Sequence[Row]) -> List[Column]:
    """Return the columns that have something to say."""
    told = {c.field for c in COLUMNS if any(value_of(row, c) is not None for row in rows)}
    return [c for c in COLUMNS if c.field in told and c.alone not in told]


def texts(values: Sequence[Optional[float]], column: Column) -> Tuple[str, List[str]]:
    """Return the unit of a column and its values in it, all with the same decimals."""
    known = [abs(value) for value in values if value is not None]
    size = max(known, default=0.0)
    unit = length_unit(size) if column.unit == 'length' else \
        Unit(column.unit, 1e3 if column.unit == 'ms' else 1.0)
    shown = sorted(value * unit.factor for value in known if value)
    middle = shown[(len(shown) - 1) // 2] if shown else 1.0
    digits = 4 - max(0, math.floor(math.log10(max(shown, default=1.0))))  # of the largest
    decimals = max(0, min(3, digits, 2 - math.floor(math.log10(middle))))
    decimals = 0 if unit.name == 'ms' and middle >= 1.0 else decimals
    return unit.name, [NOTHING if value is None else number(value * unit.factor, decimals)
                       for value in values]


def best_of(rows: Sequence[Row], column: Column, shown: Sequence[str]) -> List[bool]:
    """Return which rows are marked: the least cost among what knew no later message."""
    costs = {i: column.cost(value) for i, row in enumerate(rows)
             if column.cost and row.causal and (value := value_of(row, column)) is not None
             and not (row.name == 'raw' and column.field in TRIVIAL_RAW)}
    if len(costs) < 2:
        return [False] * len(rows)
    best = shown[min(costs, key=lambda i: costs[i])]
    return [i in costs and shown[i] == best for i in range(len(rows))]


def smoothers_table(judged: Judged) -> str:
    """Return the table of the smoothers, the best of each column marked."""
    rows = judged.rows
    columns = columns_of(rows)
    if not rows or not columns:
        return ''
    heads, cells, apart = [], [], judged.stream.get('frames_differ')
    for column in columns:
        unit, shown = texts([value_of(row, column) for row in rows], column)
        heads.append(f'<th scope="col" title="{escape(column.meaning)}">{column.title}'
                     f'<small>{unit or "&nbsp;"}</small></th>')
        # between two frames a distance says nothing
        marks = [False] * len(rows) if apart and column.field == 'rmse_m' else \
            best_of(rows, column, shown)
        cells.append(['<td class="best">' * mark + '<td>' * (not mark) + text + '</td>'
                      for text, mark in zip(shown, marks)])
    body = []
    for i, row in enumerate(rows):
        kind = 'own' if i == 1 and row.causal and not row.in_hindsight else \
            '' if row.causal else 'other-kind'
        label, _, how = row.label.partition(', ')
        if row.in_hindsight and 'hindsight' not in how:
            how = (how or 'tuned') + ' in hindsight'
        tags = [how] * bool(how)
        if not row.causal:
            tags.append('knows the future')
        settings = ', '.join(f'{name} {value:.4g}' for name, value in row.settings.items())
        marked = ''.join(f' <span class="tag">{escape(tag)}</span>' for tag in tags)
        body.append(f'<tr class="{kind}"><th scope="row" title="{escape(settings)}">'
                    f'{escape(label)}{marked}</th>{"".join(column[i] for column in cells)}</tr>')
    return ('<div class="scroll" tabindex="0" role="region" aria-label="Smoothers"><table>'
            f'<thead><tr><th scope="col">Smoother</th>{"".join(heads)}</tr></thead>'
            f'<tbody>{"".join(body)}</tbody></table></div>'
            '<p class="caption"><span aria-hidden="true">◆</span> best of what knew no later '
            'message. What is tuned in hindsight had its settings picked with this whole '
            'recording in hand: no robot can do that.</p>')


def facts(judged: Judged) -> List[Tuple[str, str]]:
    """Return what is known of a stream, name and text; what is not told is left out."""
    run, tally, stream = judged.run, judged.run.tally, judged.stream
    found = [('message type', run.msgtype), ('frame', run.frame_id or NOTHING),
             ('recorded', recorded(run)), ('duration', duration(run.duration_s)),
             ('received', number(tally.received, 0)), ('accepted', number(tally.accepted, 0)),
             ('dropped', counted(tally.drops)), ('restarts', counted(tally.restarts)),
             ('not looked at here', number(run.left_out, 0) if run.left_out else ''),
             ('truth', truth_text(judged)),
             ('judged', f'{measure(stream, "judged", "messages")} along '
              f'{", ".join(stream.get("axes", "xyz"))}' if stream.get('judged') else '')]
    gaps = stream.get('gaps')
    if gaps is not None:
        found.append(('gaps', number(gaps, 0) + _said(', longest ', measure(
            stream, 'gap_longest_s', 's') if gaps else '')))
    found += [(name, measure(stream, key, unit)) for name, key, unit in MEASURES]
    for part in ('position', 'rotation'):
        mean, expected, median = (measure(stream, f'nis_{key}_{part}', '')
                                  for key in ('mean', 'expected', 'median'))
        # outliers are in the mean, not in the median
        found += [(f'NIS, {part}', f'{mean} ({expected} expected), median {median}' if mean
                   else ''),
                  (f'NIS, {part}, above 95 %', measure(stream, f'nis_above_95_{part}', '%'))]
    return [fact for fact in found if fact[1]]


# Of Judged.stream: what it is called, its key, its unit.
MEASURES = (
    ('rate', 'rate_hz', 'Hz'), ('dt, median', 'dt_median_s', 's'), ('dt, 99 %', 'dt_p99_s', 's'),
    ('dt, longest', 'dt_max_s', 's'), ('dt, jitter', 'dt_jitter_s', 's'),
    ('outliers', 'outliers', 'messages'),
    ('innovations, lag-1 correlation', 'innovation_correlation', ''),
    ('innovations, Ljung–Box Q / lags', 'ljung_box', ''))


def measure(stream: Mapping[str, Any], key: str, unit: str) -> str:
    """Return a value of Judged.stream with its unit; empty where it is not told."""
    value = stream.get(key)
    if value is None or not math.isfinite(value):
        return ''
    if unit == 'messages':
        return messages(int(value))
    if unit == 's' and abs(value) < 1.0:
        value, unit = 1e3 * value, 'ms'
    value = 100.0 * value if unit == '%' else value
    decimals = min(3, max(0, 2 - math.floor(math.log10(abs(value) or 1.0))))
    return f'{number(value, decimals)} {unit}'.rstrip()


def truth_text(judged: Judged) -> str:
    """Return where the truth is from and what was done to it; empty without any."""
    run, stream = judged.run, judged.stream
    if run.truth is None:
        return ''
    text = f'{run.truth_name or "given"}, for {messages(run.truth_known)}'
    if stream.get('frames_differ'):
        moved = ' and '.join(filter(None, (measure(stream, 'frame_turn_deg', 'deg'),
                                           measure(stream, 'frame_offset_m', 'm'))))
        text += '; in another frame' + _said(', moved by ', moved) + ' for this' + (
            ', rotations not told' if stream.get('frame_turn_deg') is None else '')
    return text


def _said(before: str, text: str) -> str:
    return before + text if text else ''


def counted(counts: Dict[str, int]) -> str:
    """Return a total and what it is made of."""
    total = number(sum(counts.values()), 0)
    parts = ', '.join(f'{name.replace("_", " ")} {number(count, 0)}' for name, count in
                      sorted(counts.items(), key=lambda item: -item[1]))
    return f'{total} ({parts})' if parts else total


def recorded(run: Run) -> str:
    """Return when the first message was stamped; empty where stamps do not count from 1970."""
    seconds = int(run.stamps_ns[0]) // 1_000_000_000
    if not OLDEST_S <= seconds < 10 * OLDEST_S:
        return ''
    return datetime.fromtimestamp(seconds, timezone.utc).strftime('%Y-%m-%d %H:%M:%S UTC')


def messages(count: int) -> str:
    """Return so many messages, in words."""
    return f'{number(count, 0)} message{"s" * (count != 1)}'


def duration(seconds: float) -> str:
    """Return a time span in words."""
    if seconds < 600.0:
        return f'{seconds:.3g} s'
    minutes, hours = seconds / 60.0, seconds / 3600.0
    return f'{minutes:.3g} min' if minutes < 120.0 else f'{hours:.3g} h'


def overview(many: Sequence[Judged]) -> str:
    """Return the table of contents: a line a stream."""
    body = []
    for i, one in enumerate(many):
        accuracy, lag = headline(one)
        cells = (number(one.run.tally.accepted, 0), number(sum(one.run.tally.drops.values()), 0),
                 duration(one.run.duration_s), accuracy, lag)
        said = escape(_short(one.verdict[0])) if one.verdict else ''
        body.append(f'<tr><th scope="row"><a href="#stream-{i}">{escape(one.run.name or "stream")}'
                    '</a></th>' + ''.join(f'<td>{cell}</td>' for cell in cells)
                    + f'<td class="text">{said}</td></tr>')
    error = 'Error' if any(one.rows[1].rmse_m is not None for one in many) else 'Off hindsight'
    heads = ''.join(f'<th scope="col">{head}</th>' for head in (
        'Used', 'Dropped', 'Duration', f'{error}, raw → smoothed', 'Lag'))
    return ('<nav aria-label="Streams"><div class="scroll"><table><thead><tr>'
            f'<th scope="col">Stream</th>{heads}<th scope="col" class="text">Verdict</th></tr>'
            f'</thead><tbody>{"".join(body)}</tbody></table></div></nav>')


def _short(sentence: str) -> str:
    """Return what a verdict comes down to; that there is no truth is not it."""
    first, *others = sentence.split('; ')
    told = others[0] if others and first.startswith('There is no truth') else first
    return re.split(': | \\(', told)[0].rstrip('.').capitalize()


def headline(judged: Judged) -> Tuple[str, str]:
    """Return a stream's error, raw and smoothed, and lag, against truth or else hindsight."""
    rows = judged.rows[:2]
    columns = {c.field: c for c in columns_of(rows)}
    found = []
    error = 'rmse_aligned_m' if judged.stream.get('frames_differ') else 'rmse_m'
    for names in ((error, 'rmse_to_offline_m'), ('lag_s', 'lag_to_offline_s')):
        column = next((columns[name] for name in names if name in columns), None)
        if column is None or len(rows) < 2:
            found.append(NOTHING)
            continue
        unit, shown = texts([value_of(row, column) for row in rows], column)
        both = ' → '.join(shown) if column.unit == 'length' else shown[1]
        found.append(f'{both} {unit}')
    return found[0], found[1]
