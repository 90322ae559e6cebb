# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A run's figures in a few plain sentences, each with its numbers."""

import math
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from liquid_ros.evaluation.runs import Row, Run
from liquid_ros.evaluation.tally import cause

EVEN = 0.02  # a smaller change is none
LATE_S = 0.02  # a lag that a controller may notice
CLOCKS_S, AHEAD_S = 0.1, 0.05  # of the messages themselves, late and ahead: clocks are suspect
CORRELATED = 0.25  # of neighbouring errors or innovations
GROSS = 0.01  # a share of outliers worth a word
ANEW = 0.5  # a share of messages: more of them, and the stamps are something else
WORTH = 0.1  # a log likelihood that another filter is worth its tuning for
NOISELESS = 1e-4  # of the path's extent: a jitter that is motion
NOTHING = 1e-5  # of the path's extent: an error that is none


def verdict_of(run: Run, rows: Sequence[Row], ratios: Mapping[str, float],
               stream: Mapping[str, Any]) -> Tuple[str, ...]:
    """Return 1 to 8 sentences, the most important first; low jitter never stands alone."""
    raw, own = rows[:2]
    if own.jitter_m is None and own.rmse_m is None:
        begun = int(run.starts[1:].sum())
        if begun > ANEW * len(run.starts[1:]):
            return (f'{begun} of {len(run.starts)} messages begin the stream anew, '
                    f'{cause(run.tally)}: nothing can be smoothed.',)
        return (f'{_count(stream["messages"], "message")} over {seconds(stream["duration_s"])}: '
                'too few to judge, the first second and the first ten messages do not count.',)
    known = own.rmse_m is not None
    said: List[Optional[str]] = []
    if known:
        said += [_units(stream), _frames(stream), _accuracy(raw, own, stream),
                 _mounting(raw, stream), _lag(raw, own, stream),
                 _best(run, rows, ratios, stream)]
    else:
        said += [_without_truth(run, raw, own, stream), _likelihood(run, rows, ratios, stream)]
    said += [_offline(rows, stream) if known else None, _recording(run, raw, stream)]
    return tuple(one for one in said if one)


def length(value: Optional[float]) -> str:
    """Return a length in the unit a person would use, three digits."""
    if value is None:
        return 'unknown'
    return f'{digits(value)} m' if abs(value) >= 1.0 else f'{digits(value * 1e3)} mm'


def digits(value: float) -> str:
    """Return a number with three significant digits, no exponent where it is a usual one."""
    if not math.isfinite(value) or value == 0.0:
        return '0' if value == 0.0 else 'unknown'
    size = math.floor(math.log10(abs(value)))
    return f'{value:.3g}' if not -3 <= size <= 5 else f'{value:.{max(2 - size, 0)}f}'


def seconds(value: float) -> str:
    """Return a time: ms below one second."""
    return f'{value * 1e3:.0f} ms' if abs(value) < 1.0 else f'{digits(value)} s'


def percent(ratio: float) -> str:
    """Return a ratio as so many percent less or more."""
    if abs(ratio - 1.0) < EVEN:
        return 'about the same'
    if ratio > 3.0:
        return f'{digits(ratio)} times as much'
    if ratio < 0.01:
        return 'more than 99 % less'
    return f'{abs(ratio - 1.0) * 100:.0f} % {"less" if ratio < 1.0 else "more"}'


def error_of(row: Row, stream: Mapping[str, Any]) -> Optional[float]:
    """Return the RMSE that counts: aligned where the frames differ."""
    return row.rmse_aligned_m if stream.get('frames_differ') else row.rmse_m


def _units(stream: Mapping[str, Any]) -> Optional[str]:
    ratio = stream['truth_units']
    return None if ratio is None else (
        f'The truth moves like the messages, but {digits(ratio)} times as far: both are expected '
        'in metres.')


def _frames(stream: Mapping[str, Any]) -> Optional[str]:
    if not stream['frames_differ']:
        return None
    apart, turn_deg = length(stream['frame_offset_m']), stream['frame_turn_deg']
    if turn_deg is None:
        return (f'Truth and messages are in different frames ({apart} apart): the aligned figures '
                'count. Such positions do not tell how far they are turned: rotations are not '
                'judged.')
    return (f'Truth and messages are in different frames ({apart} and {digits(turn_deg)} degrees '
            'apart): the aligned figures count.')


def _accuracy(raw: Row, own: Row, stream: Mapping[str, Any]) -> str:
    before, after = error_of(raw, stream), error_of(own, stream)
    if not before or after is None or before < NOTHING * (stream['extent_m'] or 0.0):
        return (f'There is nothing to gain: the messages are {length(before)} RMS from the truth, '
                f'what came out is {length(after)}.')
    ratio = after / before
    if ratio < 1.0 - EVEN:
        text = 'It is closer to the truth'
    elif ratio > 1.0 + EVEN:
        text = 'It is further from the truth than the messages themselves'
    else:
        text = 'It is as far from the truth as the messages themselves'
    text += (f': the position error is {length(after)} RMS instead of {length(before)} '
             f'({percent(ratio)})')
    if own.jitter_m is not None and raw.jitter_m:
        text += (f', with {length(own.jitter_m)} of jitter instead of {length(raw.jitter_m)} '
                 f'({percent(own.jitter_m / raw.jitter_m)})')
    if own.rotation_deg is not None and raw.rotation_deg:
        text += (f'; the rotation error is {digits(own.rotation_deg)} degrees instead of '
                 f'{digits(raw.rotation_deg)} ({percent(own.rotation_deg / raw.rotation_deg)})')
    return text + '.'


def _lag(raw: Row, own: Row, stream: Mapping[str, Any]) -> str:
    if own.lag_s is None:
        return ('Whether it is late cannot be told: there is too little motion or truth for '
                'errors of this size.')
    if raw.lag_s is None:
        return _late(own.lag_s, stream) + '.'
    if abs(own.lag_s) > LATE_S and abs(own.lag_s - raw.lag_s) <= LATE_S:
        way = 'late' if raw.lag_s > 0.0 else 'ahead'
        text = (f'It adds next to no lag: it is {seconds(abs(own.lag_s))} {way}, the messages '
                f'themselves {seconds(abs(raw.lag_s))}')
    else:
        text = f'{_late(own.lag_s, stream)} (the messages themselves: {seconds(raw.lag_s)})'
    if _other_clock(raw):
        text += ('; so late, clocks may differ' if raw.lag_s > 0.0 else
                 '; what is measured cannot be ahead, so clocks may differ')
        text += ', and the errors are of that, too'
    return text + '.'


def _other_clock(raw: Row) -> bool:
    return raw.lag_s is not None and not -AHEAD_S <= raw.lag_s <= CLOCKS_S


def _mounting(raw: Row, stream: Mapping[str, Any]) -> Optional[str]:
    if stream['w_first']:
        return (f'The quaternions of {stream["w_first"]} look as if w came first: expected '
                'x y z w.')
    if stream['mounting_deg'] is None or _other_clock(raw):
        return None
    return (f'The bodies of truth and messages are turned by {digits(stream["mounting_deg"])} '
            'degrees against each other, as by how they are mounted: all but '
            f'{digits(stream["mounting_rest_deg"])} degrees of the rotation errors is that.')


def _late(lag_s: float, stream: Mapping[str, Any]) -> str:
    if abs(lag_s) <= LATE_S:
        return f'It is not late: its lag is {seconds(lag_s)}'
    if lag_s < 0.0:
        return f'It runs ahead by {seconds(-lag_s)}'
    dt_s = max(stream['dt_median_s'], stream['dt_mean_s'])  # of bursts the median is too short
    return f'It is late by {seconds(lag_s)}, {lag_s / dt_s:.1f} messages'


def _best(run: Run, rows: Sequence[Row], ratios: Mapping[str, float],
          stream: Mapping[str, Any]) -> Optional[str]:
    ratio, before = ratios.get('rmse_ratio'), error_of(rows[0], stream)
    if not before or before < NOTHING * (stream['extent_m'] or 0.0):
        return None
    tuned = [row for row in rows if row.in_hindsight and row.causal
             and error_of(row, stream) is not None]
    if ratio is None or not tuned:
        return None
    best = min(tuned, key=lambda row: error_of(row, stream) or 0.0)
    text = (f'The best of {stream["settings_tried"]} settings of classic filters, picked with the '
            f'truth in hand, is {best.label.split(",")[0]} with {length(error_of(best, stream))}'
            + ('' if best.lag_s is None else f' and {seconds(best.lag_s)} of lag') + ': '
            + _name(run))
    if abs(ratio - 1.0) < EVEN:
        text += ' is as good'
    else:
        text += f' has {percent(ratio)} error'
        if ratio > 1.0:
            text += '; tuned so, that filter would be the better choice here'
    turn = ratios.get('rotation_ratio')
    if turn is not None:
        text += ('. Of rotations it is as good as the best of them' if abs(turn - 1.0) < EVEN else
                 f'. Its rotation error is {percent(turn)} {"as" if turn > 3.0 else "than"} that '
                 'of the best of them')
    return text + '.'


def _name(run: Run) -> str:
    """Return the smoother's name, and that it was not picked by the recording."""
    return f'{run.smoother}, {"which nobody tuned" if _untuned(run) else "as set"},'


def _untuned(run: Run) -> bool:
    return run.smoother == 'liquid' and not run.tuned


def _without_truth(run: Run, raw: Row, own: Row, stream: Mapping[str, Any]) -> str:
    text = (f'There is no truth{" of messages that count" if run.truth is not None else ""}, '
            'so how far off it is cannot be told')
    away = own.rmse_to_offline_m
    if away is not None:
        name = ('its own estimate in hindsight' if stream['reference'] != 'kalman_rts'
                else 'a Kalman smoother in hindsight')
        text += f'; it stays within {length(away)} RMS of {name}'
        if raw.rmse_to_offline_m is not None:
            text += f' (the messages themselves: {length(raw.rmse_to_offline_m)})'
        if own.rotation_to_offline_deg and raw.rotation_to_offline_deg:
            text += (f', its rotations within {digits(own.rotation_to_offline_deg)} degrees '
                     f'({digits(raw.rotation_to_offline_deg)})')
    if own.jitter_m is not None and raw.jitter_m and away is not None:
        text += (f', with {length(own.jitter_m)} of jitter instead of {length(raw.jitter_m)} '
                 f'({percent(own.jitter_m / raw.jitter_m)})')
    late = own.lag_to_offline_s
    text += '. ' + ('Whether it is late cannot be told: there is too little motion'
                    if late is None else _late(late, stream) + ' against that estimate')
    return text + '.'


def _likelihood(run: Run, rows: Sequence[Row], ratios: Mapping[str, float],
                stream: Mapping[str, Any]) -> Optional[str]:
    gain = ratios.get('likelihood_gain')
    if gain is None:
        return None
    best = max((row for row in rows if row.in_hindsight and row.log_likelihood is not None),
               key=lambda row: row.log_likelihood or 0.0)
    idea = ('a better idea than' if gain >= EVEN else 'a worse idea than' if gain <= -EVEN else
            'about as good an idea as')
    text = (f'Of the next message {run.smoother} has {idea} the best of '
            f'{stream["settings_tried"]} settings of classic filters '
            f'({best.label.split(",")[0]})')
    if gain <= -WORTH:
        text += ': tuned so, that filter may be the better choice here'
    text += f'; the log likelihood differs by {gain:+.2f} a message'
    if gain <= -EVEN and _lasting(run, rows[0], stream) > CORRELATED:
        text += (' (errors that last, as here, are in the next message too: that favours a filter '
                 'which follows them)')
    return text + '.'


def _offline(rows: Sequence[Row], stream: Mapping[str, Any]) -> Optional[str]:
    offline = next((row for row in rows[2:] if not row.in_hindsight), None)
    error = None if offline is None else error_of(offline, stream)
    if error is None:
        return None
    return (f'Smoothed in hindsight, with all messages at hand, the position error is '
            f'{length(error)}.')


def _lasting(run: Run, raw: Row, stream: Mapping[str, Any]) -> float:
    """
    Return how far errors last: by the truth, else by what liquid did not expect, else 0.

    Without noise there are none, and those of another clock are the motion's.
    """
    if _other_clock(raw) or not (raw.jitter_m or 0.0) > NOISELESS * stream['extent_m']:
        return 0.0
    if stream['error_correlation'] is not None:
        return float(stream['error_correlation'])
    # the innovations of a filter that is late are alike whatever the sensor
    return float(stream['innovation_correlation'] or 0.0) if _untuned(run) else 0.0


def _recording(run: Run, raw: Row, stream: Mapping[str, Any]) -> Optional[str]:
    """Return what is odd about the recording, None for nothing."""
    odd = []
    if stream.get('gaps'):
        odd.append(f'{_count(stream["gaps"], "gap")} of up to '
                   f'{seconds(stream["gap_longest_s"])} in the stamps')
    drops: Dict[str, int] = stream['drops']
    odd += [f'{_count(count, "message")} dropped ({reason.replace("_", " ")})'
            for reason, count in sorted(drops.items(), key=lambda one: -one[1])]
    if stream['restarted']:
        odd.append(f'{_count(stream["restarted"], "new start")} '
                   f'({", ".join(sorted(stream["restarts"]))})')
    outliers = stream['outliers']
    if outliers and outliers > GROSS * stream['messages']:
        odd.append(f'{_count(outliers, "outlier")} '
                   f'({100.0 * outliers / stream["messages"]:.1f} % of the messages)')
    lasting = _lasting(run, raw, stream)
    if lasting > CORRELATED:
        whose = 'errors' if stream['error_correlation'] is not None else 'innovations'
        odd.append(f'errors that last from message to message ({whose} correlated by '
                   f'{lasting:.2f}), which are harder to smooth out than noise')
    if stream['left_out']:
        odd.append(f'{_count(stream["left_out"], "message")} not looked at here')
    return 'About the recording: ' + '; '.join(odd) + '.' if odd else None


def _count(number: int, what: str) -> str:
    return f'{number} {what}' + 's' * (number != 1)
