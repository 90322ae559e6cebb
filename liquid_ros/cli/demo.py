# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Replay a noisy bag through the installed node over DDS and show what it gains."""

import argparse
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, TYPE_CHECKING

from liquid_ros.cli import guarded, Parser, progress
from liquid_ros.errors import InputError, LiquidError, ParameterError
from liquid_ros.params import Params
from liquid_ros.signals import deferred
from liquid_ros.timing import NS_PER_S

if TYPE_CHECKING:
    import numpy as np

    from liquid_ros.evaluation.metrics import Figures
    from liquid_ros.evaluation.scenario import Scenario

DESCRIPTION = """\
Replay a noisy bag through the installed node and show what it gains.

Writes a noisy bag (or takes a recording with truth), starts the installed smoother_node as its
own process, replays the bag into it over DDS with the original timing, records what comes out
and compares both with the truth, beside classic filters that are tuned with the truth in hand."""

DEFAULT_SECONDS = 20.0
BASELINES = {'one_euro': 'One-Euro, best in hindsight', 'kalman': 'Kalman, best in hindsight',
             'kalman_gated': 'gated Kalman, best in hindsight'}


class Paths(NamedTuple):
    """What a demo leaves behind."""

    noisy: Path
    smoothed: Path
    log: Path
    plot: Path


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    p = Parser(prog='liquid_ros demo', description=DESCRIPTION)
    p.add_argument('--data', metavar='FILE.npz',
                   help='a recording with t, z and gt (default: made up from --seed)')
    p.add_argument('--rate', type=float, default=1.0, metavar='R',
                   help='replay R times as fast (default: %(default)s)')
    p.add_argument('-o', '--output', default='demo', metavar='DIR',
                   help='folder for bags, plot and log (default: %(default)s)')
    p.add_argument('--seconds', type=float, metavar='S',
                   help=f'how much to replay (default: {DEFAULT_SECONDS:g}, or all of FILE.npz)')
    p.add_argument('--seed', type=int, default=1, metavar='N',
                   help='of the made-up recording (default: %(default)s)')
    p.add_argument('--device', default=Params().device, metavar='auto|fastest|cuda|cpu',
                   help='where the node computes (default: %(default)s)')
    p.add_argument('--smoother', default=Params().smoother, metavar='NAME',
                   help='a smoother of the registry (default: %(default)s)')
    return p


def demo(scenario: 'Scenario', folder: Path, *, rate: float = 1.0, device: str = 'auto',
         smoother: str = 'liquid') -> Dict[str, 'Figures']:
    """
    Run the whole demo; return the table's rows by name.

    Errors: LiquidError.
    """
    from liquid_ros.evaluation import scenario as scenarios
    from liquid_ros.evaluation.bag import raw_messages
    expected = accepted_rows(scenario)
    if len(expected) < 20:
        raise InputError(f'{scenario.name}: got {len(expected)} usable messages, expected 20')
    folder.mkdir(parents=True, exist_ok=True)
    paths = Paths(folder / 'noisy', folder / 'smoothed', folder / 'node.log', folder / 'demo.png')
    scenarios.write(paths.noisy, scenario)
    seconds = float(scenario.times_s[-1])
    tell('sample', f'{len(scenario.rows)} {scenario.kind}s, {seconds:.1f} s -> {paths.noisy}')
    messages = raw_messages(paths.noisy, scenario.topic)
    received = through_node(messages, scenario.kind, paths.log, len(expected), rate,
                            [f'device:={device}', f'smoother:={smoother}'])
    record(paths.smoothed, scenario, received)
    lost = len(expected) - len(received)
    tell('messages', f'{len(messages)} sent, {len(messages) - len(expected)} to be dropped by '
         f'their stamp or value, {len(received)} received, {lost} lost -> {paths.smoothed}')
    rows, smooth = matched(scenario, paths.smoothed, expected)
    table = compare(scenario, rows, smooth, smoother)
    print(f'\n{table_text(table)}\n')
    picture(paths.plot, scenario, rows, smooth)
    return table


def tell(what: str, text: str) -> None:
    """Print one line of the demo's progress."""
    print(f'{what:9} {text}', flush=True)


def accepted_rows(scenario: 'Scenario') -> List[int]:
    """Return which messages the node will take, by its own policy."""
    from liquid_ros.checkpoint import build
    from liquid_ros.evaluation.replay import replay
    from liquid_ros.evaluation.sample import single
    samples = (single('', stamp_ns, row)
               for stamp_ns, row in zip(scenario.stamps_ns, scenario.rows))
    answers = replay(samples, build('ema'))
    return [k for k, answer in enumerate(answers) if answer.update.accepted[0]]


def through_node(messages: Sequence[Any], kind: str, log: Path, expected: int, rate: float,
                 parameters: Sequence[str]) -> List[Any]:
    """Start the node, replay the messages and return what it answered."""
    try:
        with deferred():  # a signal would be told as an ImportError
            from liquid_ros.ros import process, replay_dds
    except ImportError as error:
        raise LiquidError(f'the demo needs ROS 2: {error}; source a ROS 2 environment or '
                          'install the rclpy wheels') from error
    replay_dds.own_domain()
    command = process.find_node(Path.cwd())
    if command is None:
        command = process.module_command()
        tell('node', 'smoother_node is not installed here (colcon build makes it); '
             'python -m liquid_ros.ros.main runs instead')
    tell('node', command[-1])
    tell('replay', f'{(messages[-1][0] - messages[0][0]) / NS_PER_S / rate:.1f} s over DDS, '
         f'{rate:g} times the original speed')
    steps = progress(messages, len(messages))
    played = replay_dds.play(messages, kind, command, parameters, log, expected=expected,
                             rate=rate, advance=lambda: next(steps, None))
    next(steps, None)
    return played.received


def record(path: Path, scenario: 'Scenario', received: Sequence[Any]) -> None:
    """Write what came out of the node, at the times it came, into a bag."""
    from liquid_ros.evaluation.bag_write import declare, new_bag, SUFFIX
    from liquid_ros.evaluation.scenario import TYPES
    if not received:
        raise LiquidError('the node answered no message of the recording')
    with new_bag(path, '.mcap') as writer:
        connection = declare(writer, scenario.topic + SUFFIX, TYPES[scenario.kind])
        for time_ns, raw in received:
            writer.write(connection, time_ns, raw)


def matched(scenario: 'Scenario', bag: Path, expected: Sequence[int]) -> 'Any':
    """Return which messages were answered (M,), and the answers in the bag (M, W)."""
    import numpy as np

    from liquid_ros.evaluation.bag import open_bag
    with open_bag(bag) as source:
        answers = {sample.stamps_ns[0]: sample.rows[0] for sample in source.samples()}
    found = [k for k in expected if scenario.stamps_ns[k] in answers]
    return np.array(found), np.stack([answers[scenario.stamps_ns[k]] for k in found])


def compare(scenario: 'Scenario', rows: 'np.ndarray', smooth: 'np.ndarray', smoother: str
            ) -> Dict[str, 'Figures']:
    """Return the figures of raw, of the tuned baselines and of the node, on the same messages."""
    from liquid_ros.evaluation.hindsight import best_in_hindsight
    from liquid_ros.evaluation.metrics import describe
    times, raw, truth = scenario.times_s[rows], scenario.rows[rows], scenario.truth[rows]
    outputs = {'raw': raw}
    for name in progress(BASELINES, len(BASELINES)):
        outputs[BASELINES[name]] = best_in_hindsight(name, times, raw, truth, scenario.axes)
    outputs[f'{smoother}, the node as it comes'] = smooth
    return {name: describe(times, output, truth, scenario.axes, across_gaps=False)
            for name, output in outputs.items()}


def table_text(table: Dict[str, 'Figures']) -> str:
    """Return the table as text; no column for rotations where there are none."""
    lines = [['', 'RMSE (mm)', 'accel. error (m/s^2)', 'lag (ms)', 'rotation (deg)']]
    for name, figures in table.items():
        turn = '' if figures.rotation_deg is None else f'{figures.rotation_deg:.3f}'
        cells = (f'{figures.rmse * 1e3:.2f}', f'{figures.accel_error:.3f}',
                 f'{figures.lag_s * 1e3:.0f}', turn)
        lines.append([name, *('-' if cell == 'nan' else cell for cell in cells)])
    if not lines[-1][-1]:
        lines = [line[:-1] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines)]
    text = ['  '.join([line[0].ljust(widths[0]), *(
        cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]) for line in lines]
    return '\n'.join([text[0], '-' * len(text[0]), *text[1:]])


def picture(path: Path, scenario: 'Scenario', rows: 'np.ndarray', smooth: 'np.ndarray') -> None:
    """Write the plot, or say that it needs matplotlib."""
    try:
        from liquid_ros.evaluation.plots import plot
        plot(path, scenario.times_s[rows], scenario.rows[rows], smooth, scenario.truth[rows],
             scenario.axes, scenario.name)
    except ImportError as error:
        tell('plot', f'left out: {error}')
    else:
        tell('plot', str(path))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; return its exit status."""
    args = parser().parse_args(argv)

    def use_case() -> None:
        from liquid_ros.evaluation.scenario import from_npz, made_up
        for name, value in (('--rate', args.rate), ('--seconds', args.seconds)):
            if value is not None and not 0.0 < value < 1e6:
                raise ParameterError(f'got {name} {value}, expected a positive number')
        if args.seed < 0:
            raise ParameterError(f'got --seed {args.seed}, expected 0 or more')
        if args.data:
            scenario = from_npz(Path(args.data), args.seconds or float('inf'))
        else:
            scenario = made_up(args.seconds or DEFAULT_SECONDS, args.seed)
        demo(scenario, Path(args.output), rate=args.rate, device=args.device,
             smoother=args.smoother)

    return guarded(use_case)
