# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The loop of liquid_ros train: progress with what is left of it, Ctrl-C, what to go on from."""

from argparse import Namespace
from contextlib import contextmanager
import os
from pathlib import Path
import sys
import time
from typing import Any, Callable, Iterator, List, Optional

from liquid_ros.errors import CheckpointError
from liquid_ros.signals import ENDING, signalled


@contextmanager
def interrupts() -> Iterator[List[float]]:
    """
    Yield a list that the time of a first Ctrl-C, or SIGTERM, is put into; a later one ends all.

    What follows within a second is the same one: torchrun sends on what the terminal has sent.
    """
    caught: List[float] = []

    def take(number: int, frame: Any) -> None:
        if caught and time.monotonic() > caught[0] + 1.0:
            raise KeyboardInterrupt
        if caught:
            return
        caught.append(time.monotonic())
        print('\nstopping after this iteration; Ctrl-C again stops at once and saves nothing',
              file=sys.stderr)
    with signalled(ENDING, take):
        yield caught


def run(trainer: Any, args: Namespace, world: Any, every: int,
        look: Optional[Callable[[], bool]] = None) -> None:
    """
    Advance a trainer to its end, or to where look() says so, and save what it takes to go on.

    look: called every so many iterations.
    Errors: CheckpointError; KeyboardInterrupt after Ctrl-C, with everything saved.
    """
    saved = str(Path(args.output).with_suffix('.pt'))
    total = trainer.total
    there = world.first(Path(saved).exists())
    if args.resume and there:
        trainer.load(saved)
        if world.first(trainer.iteration) != trainer.iteration:
            raise CheckpointError(f'{saved!r}: the processes were saved at different iterations')
        if world.rank == 0:
            print(f'resuming at iteration {trainer.iteration}', file=sys.stderr)
    elif there and world.rank == 0:
        os.replace(saved, f'{saved}.old')
        print(f'{saved}: an earlier one is kept as {saved}.old', file=sys.stderr)
    elif args.resume and world.rank == 0:
        print(f'{saved}: is not there: beginning anew', file=sys.stderr)
    show = progress(total, trainer.iteration, every) if world.rank == 0 else lambda _: None
    goes_on = not trainer.ended
    with interrupts() as caught:
        while goes_on and trainer.iteration < total:
            trainer.advance()
            show(trainer)
            if trainer.iteration % every == 0 or trainer.iteration == total:
                goes_on = look is None or look()
                trainer.ended = not goes_on
                trainer.save(saved)
            if any(world.all(bool(caught))):
                trainer.save(saved)
                if world.rank == 0:
                    print(f'\nstopped at iteration {trainer.iteration}; --resume goes on from '
                          f'{saved}', file=sys.stderr)
                raise KeyboardInterrupt


def progress(total: int, done: int, every: int) -> Any:
    """Return what shows a trainer's progress: a bar on a terminal, else a line now and then."""
    try:
        from tqdm import tqdm
    except ImportError:
        tqdm = None
    bar = tqdm(total=total, initial=done, unit='it', disable=None) if tqdm else None
    begun = time.monotonic()

    def show(trainer: Any) -> None:
        text = ' '.join(f'{name} {value:.3f}' for name, value in trainer.figures.items())
        if bar is not None and not bar.disable:
            bar.update(1)
            bar.set_postfix_str(text, refresh=False)
        elif trainer.iteration % every == 0 or trainer.iteration == total:
            spent = time.monotonic() - begun
            left = spent / max(trainer.iteration - done, 1) * (total - trainer.iteration)
            print(f'{trainer.iteration}/{total}, {left:.0f} s left: {text}', file=sys.stderr,
                  flush=True)
    return show
