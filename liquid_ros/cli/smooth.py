# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Smooth a recording with the node's own StreamBank; no running ROS is needed."""

import argparse
from pathlib import Path
import sys
import time
from types import MappingProxyType
from typing import List, Mapping, Optional, Sequence, TYPE_CHECKING

from liquid_ros.cli import guarded, Parser, progress
from liquid_ros.cli.options import add_model, add_resets, knobs_of, policy_of
from liquid_ros.errors import InputError
from liquid_ros.timing import TimePolicy

if TYPE_CHECKING:
    from liquid_ros.evaluation.tally import Tally

MOSTLY, MANY = 0.5, 1000  # of the messages; of them
DEFAULT, PLAIN = 'liquid', 'cpu (numpy)'

DESCRIPTION = """\
Smooth a recorded trajectory, causally, exactly as the node does.

INPUT and OUTPUT are told by their names:
  .csv            a header row with t, stamp (s) or stamp_ns, then x y z [qx qy qz qw], or what
                  EuRoC and PlotJuggler call them
  .mcap .db3      a file of a rosbag2; a folder is a rosbag2 too
  anything else   TUM text: t x y z qx qy qz qw; an OUTPUT that ends in / is a rosbag2

A bag keeps all its topics and gains <topic>/smoothed. Of one that is cut off or damaged,
what can be read is taken, and what is lost is told."""


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    p = Parser(prog='liquid_ros smooth', description=DESCRIPTION)
    p.add_argument('input', metavar='INPUT')
    p.add_argument('-o', '--output', metavar='OUTPUT', required=True)
    p.add_argument('--topic', action='append', default=[], metavar='T',
                   help='a topic of the bag, or a glob; may be repeated (default: all supported)')
    add_model(p)
    add_resets(p)
    return p


def smooth(source_path: Path, output: Path, *, topics: Sequence[str] = (),
           smoother: str = 'liquid', checkpoint: str = '', device: str = 'auto',
           policy: TimePolicy = TimePolicy(), is_folder: bool = False,
           knobs: Mapping[str, float] = MappingProxyType({})) -> 'Tally':
    """
    Write the smoothed recording and return what was counted.

    Errors: LiquidError, and then there is no output.
    """
    from liquid_ros.backend import pick_backend
    from liquid_ros.checkpoint import build
    from liquid_ros.evaluation.recording import (
        open_sink,
        open_source,
        other_streams,
        policy_for,
        refuse_overlap,
        states_covariance,
        told_of_fixes,
    )
    from liquid_ros.evaluation.replay import MOST, replay
    from liquid_ros.evaluation.tally import Tally
    from liquid_ros.fused import place
    from liquid_ros.smoothers.tuning import Tuning
    tally = Tally()
    backend = pick_backend(device)
    model = build(smoother, checkpoint, backend)
    if knobs:
        model = model.tuned(Tuning(**knobs))
    refuse_overlap(source_path, output)
    start = time.perf_counter()
    with open_source(source_path, topics) as source:
        with open_sink(output, source, is_folder) as write:
            samples = progress(source.samples(), source.total)
            # what comes through a pipe is answered at once
            most = MOST if source.total is not None else 1
            for answer in replay(samples, model, policy_for(source, policy), backend, tally,
                                 most, covariance=states_covariance(source)):
                if not answer.withheld:
                    write(answer.sample, answer.update, answer.covariance)
            if not tally.accepted:
                raise InputError('; '.join([f'{source_path}: no message can be used: {tally}'
                                            + other_streams(source), *source.problems]))
    for problem in source.problems:
        print(f'liquid_ros: warning: {problem}', file=sys.stderr)
    for text in told_of_fixes(source, [output]):
        print(f'liquid_ros: {text}', file=sys.stderr)
    for warning in warnings(tally, smoother == DEFAULT and place(model, backend) == PLAIN):
        print(f'liquid_ros: warning: {warning}', file=sys.stderr)
    rate = tally.received / max(time.perf_counter() - start, 1e-9)
    print(f'liquid_ros: {source_path} -> {output}: {tally}; '
          f'{smoother} on {place(model, backend)}, {rate:.0f} messages/s', file=sys.stderr)
    return tally


def warnings(tally: 'Tally', plain: bool) -> List[str]:
    """Return what may be wrong where most messages are dropped or begin anew, or it is slow."""
    told = []
    if sum(tally.drops.values()) > MOSTLY * tally.received:
        told.append('most messages were dropped')
    if sum(tally.restarts.values()) > MOSTLY * tally.accepted:
        from liquid_ros.evaluation.tally import cause
        told.append(f'most messages began the stream anew, {cause(tally)}: nothing was smoothed')
    if plain and tally.received > MANY:
        told.append('nothing is compiled here, which is some twenty times slower: `colcon build` '
                    'compiles, and the source folder is not where it does')
    return told


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; return its exit status."""
    args = parser().parse_args(argv)

    def use_case() -> None:
        smooth(Path(args.input), Path(args.output), topics=args.topic, smoother=args.smoother,
               checkpoint=args.checkpoint, device=args.device, policy=policy_of(args),
               is_folder=args.output.endswith('/'), knobs=knobs_of(args))

    return guarded(use_case)
