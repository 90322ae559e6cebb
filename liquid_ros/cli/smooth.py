# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Smooth a recording with the node's own StreamBank; no running ROS is needed."""

from pathlib import Path
from typing import Any, Iterable, Iterator, Optional, Sequence, TYPE_CHECKING
import argparse
import math
import sys
import time

from liquid_ros.cli import guarded, Parser
from liquid_ros.errors import ParameterError
from liquid_ros.timing import NS_PER_S, TimePolicy

if TYPE_CHECKING:
    from liquid_ros.evaluation.replay import Tally

DESCRIPTION = """\
Smooth a recorded trajectory, causally, exactly as the node does.

INPUT and OUTPUT are told by their names:
  .csv            a header row with t, stamp or stamp_ns, then x y z [qx qy qz qw]
  .mcap .db3      a file of a rosbag2; a folder is a rosbag2 too
  anything else   TUM text: t x y z qx qy qz qw

A bag keeps all its topics and gains <topic>/smoothed."""


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    policy = TimePolicy()
    p = Parser(prog='liquid_ros smooth', description=DESCRIPTION,
               formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('input', metavar='INPUT')
    p.add_argument('-o', '--output', metavar='OUTPUT', required=True)
    p.add_argument('--topic', action='append', default=[], metavar='T',
                   help='a topic of the bag, or a glob; may be repeated (default: all supported)')
    p.add_argument('--device', default='auto', metavar='auto|cuda|cpu',
                   help='where to compute (default: auto)')
    p.add_argument('--smoother', default='liquid', metavar='NAME',
                   help='a smoother of the registry (default: liquid)')
    p.add_argument('--checkpoint', default='', metavar='FILE',
                   help='weights, .safetensors (default: those of the package)')
    p.add_argument('--gap-reset', type=float, default=policy.gap_reset_ns / NS_PER_S,
                   metavar='S', help='start anew after a gap this long (default: %(default)s s)')
    p.add_argument('--jump-reset', type=float, default=policy.jump_reset_ns / NS_PER_S,
                   metavar='S', help='start anew when stamps go back further than this '
                   '(default: %(default)s s)')
    return p


def smooth(source_path: Path, output: Path, *, topics: Sequence[str] = (),
           smoother: str = 'liquid', checkpoint: str = '', device: str = 'auto',
           policy: TimePolicy = TimePolicy(), is_folder: bool = False) -> 'Tally':
    """
    Write the smoothed recording and return what was counted.

    Errors: LiquidError, and then there is no output.
    """
    from liquid_ros.backend import pick_backend
    from liquid_ros.checkpoint import build
    from liquid_ros.evaluation.recording import open_sink, open_source, refuse_overlap
    from liquid_ros.evaluation.replay import replay, Tally
    tally = Tally()
    backend = pick_backend(device)
    model = build(smoother, checkpoint, backend)
    refuse_overlap(source_path, output)
    start = time.perf_counter()
    with open_source(source_path, topics) as source:
        with open_sink(output, source, is_folder) as write:
            samples = progress(source.samples(), source.total)
            for sample, update in replay(samples, model, policy, backend):
                tally.add(update)
                if update.accepted[0]:
                    write(sample, update.estimate.rows[0])
    rate = tally.received / max(time.perf_counter() - start, 1e-9)
    print(f'liquid_ros: {source_path} -> {output}: {tally}; {smoother} on {backend.label}, '
          f'{rate:.0f} messages/s', file=sys.stderr)
    return tally


def progress(items: Iterable[Any], total: Optional[int]) -> Iterator[Any]:
    """Yield the items, with a bar on a terminal where it takes more than a second."""
    try:
        from tqdm import tqdm
    except ImportError:
        return iter(items)
    return iter(tqdm(items, total=total, unit=' messages', delay=1.0, leave=False,
                     disable=not sys.stderr.isatty()))


def positive_seconds(name: str, value: float) -> float:
    """Return the value; ParameterError where it is no positive finite number."""
    if not (value > 0 and math.isfinite(value)):
        raise ParameterError(f'got {name} {value}, expected a positive number of seconds')
    return value


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; return its exit status."""
    args = parser().parse_args(argv)

    def use_case() -> None:
        policy = TimePolicy.from_seconds(positive_seconds('--gap-reset', args.gap_reset),
                                         positive_seconds('--jump-reset', args.jump_reset))
        smooth(Path(args.input), Path(args.output), topics=args.topic, smoother=args.smoother,
               checkpoint=args.checkpoint, device=args.device, policy=policy,
               is_folder=args.output.endswith('/'))

    return guarded(use_case)


if __name__ == '__main__':
    sys.exit(main())
