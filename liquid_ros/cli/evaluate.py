# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Replay recordings and say whether smoothing helped; no running ROS is needed."""

import argparse
from contextlib import closing
import json
from pathlib import Path
import sys
from typing import Any, Dict, List, Optional, Sequence, TYPE_CHECKING

from liquid_ros.cli import expect_place, FAILED, guarded, in_one_line, OK, Parser
from liquid_ros.cli.jobs import Job, Result, results_of
from liquid_ros.cli.options import add_model, add_resets, knobs_of, policy_of
from liquid_ros.errors import LiquidError, ParameterError

if TYPE_CHECKING:
    from liquid_ros.evaluation.gate import Condition

SCHEMA = 1
HELD = 3
FILES = ('.tum', '.csv', '.mcap', '.db3')

DESCRIPTION = """\
Replay recordings as the node would and say whether it helped: is it smoother, is it late, is it
wrong, is it better than the filters there are.

REC is told by its name:
  .mcap .db3      a file of a rosbag2; a folder is a rosbag2 too, compressed or not
  .csv            a header row with t, stamp (s) or stamp_ns, then x y z [qx qy qz qw], or what
                  EuRoC and PlotJuggler call them
  anything else   TUM text: t x y z qx qy qz qw"""

EPILOG = """\
Topics of a bag are named by globs. Behind a # stands a stream of theirs, a glob too: a place of a
PoseArray ('/tags#3'), a child frame of transforms ('/tf#base_link'), a pair of frames
('/tf#odom:base_link'). /tf is evaluated as it is: no transforms are chained.

Exit status: 0; 1 for what cannot be used; 2 for options that do not exist, or a recording of which
nothing can be read; 3 where a --fail-if holds or cannot be told."""


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    p = Parser(prog='liquid_ros evaluate', description=DESCRIPTION, epilog=EPILOG)
    p.add_argument('recordings', metavar='REC', nargs='+')
    p.add_argument('--topic', action='append', default=[], metavar='T',
                   help='a topic of the bag, or a glob; may be repeated (default: all supported, '
                   'and of /tf what changes)')
    p.add_argument('--truth', default='', metavar='TOPIC|FILE',
                   help='what is true: a topic of the recording, a file, or BAG:/topic')
    p.add_argument('-r', '--report', default='', metavar='FILE.html',
                   help='write a report with plots: one file that needs no network')
    p.add_argument('--json', default='', metavar='FILE',
                   help='write all figures as JSON; - is the standard output, without the table')
    p.add_argument('--fail-if', action='append', default=[], metavar='COND',
                   help="exit with 3 where it holds for a stream, such as 'rmse_ratio>1.0'; may "
                   'be repeated')
    p.add_argument('-o', '--output', action='append', default=[], metavar='OUT',
                   help='write the smoothed recording: .tum, .csv, .mcap, .db3 or a bag folder; '
                   'may be repeated. With more than one REC: a folder for all of them')
    later = p.add_mutually_exclusive_group()
    later.add_argument('--offline', action='store_true',
                       help='OUT knows all later messages (RTS): the best that there is')
    later.add_argument('--lag', type=float, default=0.0, metavar='S',
                       help='OUT knows the messages of the next S seconds')
    p.add_argument('--keep', type=int, default=20_000, metavar='N',
                   help='judge by the first N messages of a stream; all are counted and written '
                   '(default: %(default)s)')
    p.add_argument('--no-baselines', action='store_true',
                   help='without the classic filters, which take most of the time')
    p.add_argument('--jobs', type=int, default=1, metavar='N',
                   help='evaluate N recordings at once (default: %(default)s)')
    add_model(p)
    add_resets(p)
    return p


def jobs_of(args: argparse.Namespace) -> List[Job]:
    """
    Return a job for each recording.

    Errors: ParameterError where options do not fit.
    """
    policy, knobs = policy_of(args), knobs_of(args)
    if not 0.0 <= args.lag < 3600.0:
        raise ParameterError(f'got --lag {args.lag}, expected 0 or more, less than 3600 seconds')
    if args.jobs < 1:
        raise ParameterError(f'got --jobs {args.jobs}, expected 1 or more')
    if (args.offline or args.lag) and not args.output:
        raise ParameterError('got --offline or --lag, which say what OUT knows: expected -o OUT')
    many = len(args.recordings) > 1
    for folder in map(Path, args.output if many else ()):
        if not folder.is_dir() and (folder.exists() or folder.suffix in FILES):
            raise ParameterError(f'got more than one REC and -o {folder}, expected a folder')
    if many and len({Path(path).resolve().name for path in args.recordings}) < len(
            args.recordings) and args.output:
        raise ParameterError('got recordings of one name, whose outputs would be one file')
    jobs = []
    for path in args.recordings:
        own = Path(path).resolve().name + '/' * Path(path).is_dir()
        outputs = tuple(f'{folder}/{own}' for folder in args.output
                        ) if many else tuple(args.output)
        jobs.append(Job(path, args.smoother, args.checkpoint, args.device, policy,
                        tuple(args.topic), args.truth, args.keep, outputs, args.offline, args.lag,
                        not args.no_baselines, args.jobs == 1, knobs))
    return jobs


def tell(result: Result, table: bool) -> None:
    """Print what is said of a recording; what could not be read goes to the standard error."""
    from liquid_ros.evaluation.table import text_of
    if result.error:
        print(f'liquid_ros: error: {result.error}', file=sys.stderr)
    for problem in result.problems:
        print(f'liquid_ros: {problem}', file=sys.stderr)
    if table and result.judged:
        print(result.path)
        print('\n\n'.join(text_of(judged) for judged in result.judged), end='\n\n', flush=True)


def written(results: Sequence[Result], failed: Sequence[str]) -> Dict[str, Any]:
    """Return what --json writes."""
    from liquid_ros.evaluation.judge import summary
    return {'schema': SCHEMA, 'recordings': [
        {'path': result.path, 'error': result.error or None, 'problems': result.problems,
         'streams': [summary(judged) for judged in result.judged]} for result in results],
        'failed': list(failed)}


def run(args: argparse.Namespace, conditions: 'List[Condition]') -> int:
    """Evaluate, tell and write; return the exit status."""
    from liquid_ros.evaluation.gate import failures
    from liquid_ros.evaluation.judge import summary
    from liquid_ros.evaluation.sample import writing
    from liquid_ros.evaluation.truth import keep_apart
    results: List[Result] = []
    failed: List[str] = []
    jobs = jobs_of(args)
    places = [args.report, args.json if args.json != '-' else '',
              *(path for job in jobs for path in job.outputs)]
    folders = args.output if len(jobs) > 1 else []
    keep_apart([*places, *folders], args.recordings, args.truth)
    for folder in folders:
        Path(folder).mkdir(parents=True, exist_ok=True)
    closed: Optional[BrokenPipeError] = None
    with closing(results_of(jobs, args.jobs)) as coming:
        for result in coming:
            results.append(result)
            try:
                tell(result, args.json != '-')
            except BrokenPipeError as error:  # files are written all the same
                if not any(places):
                    raise
                closed = error
            for told in (*map(summary, result.judged), *result.dead):
                failed += failures(conditions, told)
    status = max((result.status for result in results), default=OK)
    made = [path for job, result in zip(jobs, results) if not result.error
            for path in job.outputs]
    if args.report and any(result.judged for result in results):
        try:
            _report(Path(args.report), results)
            made.append(args.report)
        except (LiquidError, OSError) as error:  # all else is told and written first
            print(f'liquid_ros: error: {in_one_line(error)}', file=sys.stderr)
            status = max(status, FAILED)
    if args.json:
        text = json.dumps(written(results, failed), indent=1, allow_nan=False) + '\n'
        if args.json == '-':
            sys.stdout.write(text)
        else:
            with writing(Path(args.json)) as stream:
                stream.write(text)
    made += [args.json] if args.json not in ('', '-') else []
    if made and closed is None:
        print(f'liquid_ros: written: {", ".join(made)}', file=sys.stderr)
    if closed is not None:
        raise closed
    for text in failed:
        print(f'liquid_ros: failed: {text}', file=sys.stderr)
    return status or (HELD if failed else OK)


def _report(path: Path, results: Sequence[Result]) -> None:
    from dataclasses import replace

    from liquid_ros.evaluation.report import write_report
    many = sum(bool(result.judged) for result in results) > 1
    everything = [replace(judged, run=replace(
        judged.run, name=f'{Path(result.path).name} {judged.run.name}')) if many else judged
        for result in results for judged in result.judged]
    write_report(path, everything, ', '.join(
        result.path for result in results if result.judged),
        [text for result in results for text in (result.error, *result.problems) if text])


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; return its exit status."""
    p = parser()
    args = p.parse_args(argv)

    def use_case() -> int:
        from liquid_ros.evaluation.gate import parse
        try:
            conditions = [parse(text) for text in args.fail_if]
        except ParameterError as error:
            p.error(str(error))
        expect_place(args.report)
        expect_place(args.json, pipes=True)
        return run(args, conditions)

    return guarded(use_case)
