# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""liquid_ros train: fit the smoother's weights on simulated streams."""

import argparse
from pathlib import Path
import sys
import time
from typing import Any, Dict, List, Optional

from liquid_ros.cli import guarded, Parser
from liquid_ros.errors import InputError


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    p = Parser(
        prog='liquid_ros train',
        description="Fit the smoother's weights on simulated motions and sensors (needs torch).")
    p.add_argument('--config', help='YAML file of settings (config/train.yaml: the shipped ones)')
    p.add_argument('-o', '--output', default='runs/liquid.safetensors',
                   help='weights to write (default: %(default)s)')
    p.add_argument('--set', nargs='*', default=[], metavar='NAME=VALUE',
                   help="settings that override the file's")
    p.add_argument('--resume', action='store_true',
                   help='go on from OUTPUT.pt; the result is that of an uninterrupted run')
    p.add_argument('--every', type=int, default=500,
                   help='iterations between checkpoints (default: %(default)s)')
    return p


def read_config(path: Optional[str], overrides: List[str]) -> Any:
    """Return the TrainConfig of a YAML file and NAME=VALUE texts."""
    import yaml

    from liquid_ros.training.config import TrainConfig
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
        number = yaml.safe_load(value)
        try:  # YAML 1.1 reads 4e-3 as text
            number = float(number) if isinstance(number, str) else number
        except ValueError:
            pass
        given[name] = number
    return TrainConfig.from_dict(given)


def train(config: Any, output: Path, resume: bool, every: int) -> None:
    """Run to the end, with a progress bar, and write weights and a state to go on from."""
    try:
        import torch
    except ImportError as error:
        raise InputError('training needs torch: pip install torch') from error
    from liquid_ros.training.fit import Trainer
    torch.set_num_threads(config.threads)
    output.parent.mkdir(parents=True, exist_ok=True)
    saved = output.with_suffix('.pt')
    trainer = Trainer(config)
    if resume and saved.exists():
        trainer.load(str(saved))
        print(f'resuming at iteration {trainer.iteration}', file=sys.stderr)
    print(f'training {trainer.parameters()} weights for {config.iterations} iterations'
          + ('; the first takes a minute or two to compile' if config.compile else ''),
          file=sys.stderr)
    begun, first = time.monotonic(), trainer.iteration
    bar = progress(config.iterations, first)
    try:
        while trainer.iteration < config.iterations:
            trainer.advance()
            bar(trainer)
            if trainer.iteration % every == 0:
                trainer.save(str(saved))
                trainer.export(str(output))
    except KeyboardInterrupt:
        trainer.save(str(saved))
        print(f'\nstopped at iteration {trainer.iteration}; --resume goes on from {saved}',
              file=sys.stderr)
        raise
    trainer.save(str(saved))
    trainer.export(str(output))
    rate = (trainer.iteration - first) / max(time.monotonic() - begun, 1e-9)
    print(f'{output}: {trainer.iteration} iterations, {rate:.1f} a second', file=sys.stderr)


def progress(total: int, done: int) -> Any:
    """Return what shows a trainer's progress: a bar on a terminal, else a line now and then."""
    try:
        from tqdm import tqdm
    except ImportError:
        tqdm = None
    bar = tqdm(total=total, initial=done, unit='it', disable=None) if tqdm else None

    def show(trainer: Any) -> None:
        text = ' '.join(f'{name} {value:.3f}' for name, value in trainer.figures.items())
        if bar is not None and not bar.disable:
            bar.update(1)
            bar.set_postfix_str(text, refresh=False)
        elif trainer.iteration % 200 == 0 or trainer.iteration == total:
            print(f'{trainer.iteration}/{total} {text}', file=sys.stderr, flush=True)
    return show


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command and return its exit status."""
    a = parser().parse_args(argv)
    return guarded(lambda: train(read_config(a.config, a.set), Path(a.output), a.resume,
                                 max(1, a.every)))


if __name__ == '__main__':
    sys.exit(main())
