# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""liquid_ros train: fit the smoother's weights, to recordings or to simulated streams."""

import argparse
from pathlib import Path
import sys
import time
from typing import Any, Dict, List, Optional, Sequence

from liquid_ros.cli import expect_place, guarded, Parser
from liquid_ros.cli.loop import run
from liquid_ros.cli.options import add_resets
from liquid_ros.errors import InputError, ParameterError
from liquid_ros.signals import deferred

OF_BAGS = ('topic', 'truth', 'force', 'plot', 'workers', 'gap_reset', 'jump_reset', 'preset')

DESCRIPTION = """\
Fit the smoother's weights (needs torch).

With --bag: to a sensor's own recordings, beginning with the weights of the package. No truth is
needed: what counts is how well the next messages are expected. A part at the end of each
recording is held out, and weights that do no better there are not written.
Without --bag: from nothing, on simulated motions and sensors, as those of the package; with
--start the parts of such a run that come last alone, behind the weights of a file."""

EPILOG = """\
torchrun --nproc-per-node N -m liquid_ros train ... shares the work among N processes, each with
a batch of its own; it exits with 1, and says so at length, where one of these does not with 0.

Exit status: 0; 1 for what cannot be used; 2 for wrong usage; 3 where the weights are not better
and nothing is written; 130 after Ctrl-C, which saves."""


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    p = Parser(prog='liquid_ros train', description=DESCRIPTION, epilog=EPILOG)
    p.add_argument('--config', help='YAML file of settings (config/train.yaml: those of the '
                   'weights of the package; config/tune.yaml: those with --bag)')
    p.add_argument('-o', '--output', help='weights to write (default: runs/liquid.safetensors, '
                   'with --bag my_sensor.safetensors)')
    p.add_argument('--set', nargs='*', action='extend', default=[], metavar='NAME=VALUE',
                   help="settings that override the file's; may be repeated")
    p.add_argument('--resume', action='store_true',
                   help='go on from OUTPUT with the suffix .pt; the result is that of an '
                   'uninterrupted run')
    p.add_argument('--every', type=int, default=500,
                   help='without --bag: iterations between checkpoints (default: %(default)s)')
    p.add_argument('--device', default='cpu', metavar='auto|cuda|cpu',
                   help='where to compute (default: %(default)s)')
    p.add_argument('--start', default='', metavar='FILE',
                   help="weights to begin with, package://PACKAGE/PATH, or with --bag 'scratch' "
                        '(default: with --bag those of this package)')
    own = p.add_argument_group('recordings')
    own.add_argument('--bag', action='append', default=[], metavar='REC',
                     help='a rosbag2, TUM or CSV file, or a folder of bags; may be repeated')
    own.add_argument('--topic', action='append', default=[], metavar='T',
                     help='a topic of the bags, or a glob; may be repeated (default: all)')
    own.add_argument('--truth', default='', metavar='T',
                     help='a topic, a file or BAG:/TOPIC that is true; learned from, too')
    own.add_argument('--force', action='store_true', help='write weights that are not better, too')
    own.add_argument('--plot', default='', metavar='FILE', help='draw learning curves')
    own.add_argument('--workers', type=int, default=2, metavar='N',
                     help='processes that read recordings (default: %(default)s)')
    add_resets(own)
    return p


def read_settings(path: Optional[str], overrides: Sequence[str]) -> Dict[str, Any]:
    """Return the settings of a YAML file and NAME=VALUE texts."""
    import yaml
    given: Dict[str, Any] = {}
    if path:
        try:
            given = yaml.safe_load(Path(path).read_text(encoding='utf-8')) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InputError(f'cannot read {path!r}: {" ".join(str(error).split())}') from error
        if not isinstance(given, dict):
            raise InputError(f'{path!r}: got {type(given).__name__}, expected settings by name')
    for text in overrides:
        name, equals, value = text.partition('=')
        if not equals:
            raise InputError(f'got --set {text!r}, expected NAME=VALUE')
        try:
            number = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f'got --set {text!r}: {" ".join(str(error).split())}') from error
        try:  # YAML 1.1 reads 4e-3 as text
            number = float(number) if isinstance(number, str) else number
        except ValueError:
            pass
        given[name] = number
    return given


def train(args: argparse.Namespace, given: Dict[str, Any], world: Any) -> int:
    """Run on simulated streams to the end, and write weights and a state to go on from."""
    from liquid_ros.checkpoint import find, fingerprint
    from liquid_ros.training.config import TrainConfig
    from liquid_ros.training.fit import Trainer
    config, output = TrainConfig.from_dict(given), Path(args.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    for place in (output, output.with_suffix('.pt')):
        expect_place(str(place))
    path = find(args.start) if args.start else ''
    trainer = Trainer(config, world, behind(path, config) if path else None)
    origin = {'begun_with': fingerprint(path)} if path else {}
    if world.rank == 0:
        left = trainer.total - trainer.iteration
        print(f'training {trainer.parameters()} weights for {left} iterations'
              + ('; the first takes a minute or two to compile' if config.compile else ''),
              file=sys.stderr)
    begun = time.monotonic()

    def export() -> bool:
        if world.rank == 0:
            trainer.export(str(output), **origin)
        return True

    run(trainer, args, world, max(1, args.every), export)
    export()
    if world.rank == 0:
        print(f'{output}: {trainer.iteration} iterations, {time.monotonic() - begun:.0f} s',
              file=sys.stderr)
    return 0


def behind(path: str, config: Any) -> Dict[str, Any]:
    """
    Return the weights that the last parts of a run go on from.

    Errors: ParameterError where they are of another shape than the configuration's, or where
    nothing comes behind them.
    """
    from liquid_ros.backend import NumpyBackend
    from liquid_ros.checkpoint import load
    from liquid_ros.training.modules import CONFIGS
    from liquid_ros.training.stages import stages
    smoother: Any = load(config.smoother, path, NumpyBackend())
    wanted = CONFIGS[config.smoother](config)
    if smoother.config != wanted:
        raise ParameterError(f'{path!r}: got weights of {smoother.config}, expected {wanted}')
    if stages(config)[-1].last == config.iterations:
        raise ParameterError(f'got --start {path}, expected turning or calibrate above zero, too')
    return smoother.weights  # type: ignore[no-any-return]


def start(args: argparse.Namespace) -> int:
    """Join the other processes, where there are any, and train; return the exit status."""
    try:
        with deferred():
            import torch
    except ImportError as error:
        raise InputError('training needs torch: pip install torch') from error
    from liquid_ros.training.world import join, leave
    given = read_settings(args.config, args.set)
    threads = given.get('threads', 1)
    torch.set_num_threads(threads if type(threads) is int and threads > 0 else 1)
    world = join(args.device)
    try:
        if args.bag:
            from liquid_ros.cli.train_bags import tune
            return tune(args, given, world)
        return train(args, given, world)
    finally:
        leave()


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command and return its exit status."""
    p = parser()
    args = p.parse_args(argv)
    alone = [name for name in OF_BAGS if getattr(args, name) != p.get_default(name)]
    if alone and not args.bag:
        p.error(f'got --{alone[0].replace("_", "-")}, expected --bag, too')
    if args.bag and args.every != p.get_default('every'):
        p.error('got --every with --bag, expected --set every=N')
    args.output = args.output or ('my_sensor.safetensors' if args.bag else
                                  'runs/liquid.safetensors')
    if Path(args.output).suffix not in ('', '.safetensors'):
        p.error(f'got -o {args.output}, expected .safetensors or no suffix')
    if args.workers < 0:
        p.error(f'got --workers {args.workers}, expected 0 or more')
    return guarded(lambda: start(args))
