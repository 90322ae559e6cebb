# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Commands; each module is a parser, a use case function and an entry."""

import argparse
from importlib import import_module
import os
from pathlib import Path
import signal
import sys
from typing import Any, Callable, Iterable, Iterator, NoReturn, Optional

from liquid_ros.errors import InputError, LiquidError
from liquid_ros.signals import deferred, signalled

OK, FAILED, USAGE, PIPE_CLOSED, INTERRUPTED = 0, 1, 2, 141, 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, like all others; texts stay as they are."""

    def __init__(self, **settings: Any) -> None:
        """Take argparse's settings."""
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with 2."""
        print(f'liquid_ros: error: {message} (see {self.prog} --help)', file=sys.stderr)
        sys.exit(USAGE)


def expect_place(path: str, pipes: bool = False) -> None:
    """
    Raise InputError where no file can be written, before minutes of work; '' is none.

    pipes: whether it may be one, or a device, or what is open, such as /dev/stdout.
    """
    from liquid_ros.evaluation.sample import OPEN
    place = Path(path)
    is_open = OPEN.fullmatch(os.path.abspath(path))
    if not place.resolve().parent.is_dir():
        raise InputError(f'{path}: its folder does not exist')
    if path and (place.is_dir() or not pipes and (
            is_open or place.exists() and not place.is_file())):
        raise InputError(f'{path}: is no regular file, expected one to write')


def guarded(use_case: Callable[[], Optional[int]], computes: bool = True) -> int:
    """
    Run a command and return its exit status.

    A user's mistake is one line and 1, Ctrl-C is silence and 130, a closed pipe is silence.
    computes: whether NumPy is needed; a signal amid its import would be told as an ImportError.
    """
    try:
        with signalled([signal.SIGTERM], _end):
            if computes:
                with deferred():
                    import_module('numpy')
            status = use_case() or OK
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Python flushes stdout at exit: let it go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except (LiquidError, OSError) as error:
        print(f'liquid_ros: error: {in_one_line(error)}', file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _end(number: int, _: Any) -> NoReturn:
    """End as an error does: no process and no unfinished file is left."""
    sys.exit(128 + number)


def progress(items: Iterable[Any], total: Optional[int], unit: str = ' messages'
             ) -> Iterator[Any]:
    """Yield the items, with a bar on a terminal where it takes more than a second."""
    try:
        from tqdm import tqdm
    except ImportError:
        return iter(items)
    return iter(tqdm(items, total=total, unit=unit, delay=1.0, leave=False,
                     disable=not sys.stderr.isatty()))


def in_one_line(error: Exception) -> str:
    """Return what is told of an error, an OSError's without its number."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f'{error.filename}: {error.strerror}' if error.filename else error.strerror
    return ' '.join(text.split())
