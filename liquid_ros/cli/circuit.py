# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""liquid_ros circuit: draw the wiring of a checkpoint's cell, and what its neurons do."""

import argparse
from pathlib import Path
import sys
from typing import List, Optional

from liquid_ros.cli import guarded, Parser
from liquid_ros.errors import InputError

FORMATS = ('.svg', '.png', '.pdf')
SHOWN = 3  # neurons told an event

DESCRIPTION = """\
Draw the wiring of a checkpoint's cell: features, neurons (of a circuit policy inter, command and
motor), and the words they set; red excites, blue inhibits, the width is the weight.

Given a recording (a bag, TUM or CSV), also draw each neuron's activity and effective time constant
over the time of its trajectory, and tell which neuron answers to an outlier, a stop, a turn."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    p = Parser(prog='liquid_ros circuit', description=DESCRIPTION)
    p.add_argument('checkpoint', metavar='CHECKPOINT',
                   help="weights: a .safetensors file, package://PACKAGE/PATH, or 'shipped' for "
                        'those of this package')
    p.add_argument('recording', metavar='RECORDING', nargs='?')
    p.add_argument('--topic', metavar='T', help='a topic of the bag (default: the first stream)')
    p.add_argument('-o', '--output', default='circuit.svg', metavar='FILE',
                   help=f'{", ".join(FORMATS)}; the activity goes beside it, with _activity '
                        'behind its name (default: %(default)s)')
    return p


def circuit(checkpoint: str, recording: Optional[str], topic: Optional[str], output: Path
            ) -> None:
    """Write the figures and tell which neurons answer to what."""
    if topic and recording is None:
        raise InputError(f'got --topic {topic}, expected RECORDING, too')
    if output.suffix not in FORMATS:
        raise InputError(f'got output {str(output)!r}, expected one of {", ".join(FORMATS)}')
    from liquid_ros.backend import NumpyBackend
    from liquid_ros.checkpoint import find, load
    from liquid_ros.evaluation.circuit import circuit_of
    from liquid_ros.smoothers.liquid import Liquid
    path = find('' if checkpoint == 'shipped' else checkpoint)
    smoother = load('liquid', path, NumpyBackend())
    assert isinstance(smoother, Liquid)
    drawn = circuit_of(smoother)
    activity = None
    if recording is not None:
        from liquid_ros.evaluation.circuit_activity import answers, watch
        from liquid_ros.evaluation.recording import open_source, policy_for
        from liquid_ros.timing import TimePolicy
        with open_source(Path(recording), [topic] if topic else []) as source:
            activity = watch(source.samples(), smoother, policy_for(source, TimePolicy()))
        for problem in source.problems:
            print(f'liquid_ros: warning: {problem}', file=sys.stderr)
    try:
        from liquid_ros.evaluation.circuit_plots import draw, draw_activity
        draw(output, drawn)
    except ImportError as error:
        raise InputError('drawing needs matplotlib: pip install matplotlib') from error
    print(f'liquid_ros: {output}: the {drawn.cell} cell, '
          + ', '.join(f'{len(layer.labels)} {layer.name}' for layer in drawn.layers),
          file=sys.stderr)
    if activity is None:
        return
    found = answers(activity)
    draw_activity(output.with_name(f'{output.stem}_activity{output.suffix}'), drawn, activity,
                  found)
    names = drawn.neurons()
    for event, neurons in found.items():
        count = int(activity.events[event].sum())
        best = ', '.join(f'{names[one.neuron][1]} of {names[one.neuron][0]} (r {one.r:+.2f})'
                         for one in neurons[:SHOWN])
        print(f'{event}: {count} of {len(activity.t_s)} messages: '
              + (best or 'too few, or too many, to tell'))


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command and return its exit status."""
    a = parser().parse_args(argv)
    return guarded(lambda: circuit(a.checkpoint, a.recording, a.topic, Path(a.output)))
