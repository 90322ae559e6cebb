# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Who takes a signal, and when."""

from contextlib import contextmanager
from importlib import import_module
import os
import signal
import sys
from typing import Any, Callable, Iterator, List, Sequence, TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

Done = TypeVar('Done')

ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signalled(numbers: Sequence[int], handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Have these signals taken by a handler; outside the main thread nothing is changed."""
    try:
        before = [(number, signal.signal(number, handler)) for number in numbers]
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        for number, taken in before:
            signal.signal(number, taken)


@contextmanager
def deferred(numbers: Sequence[int] = ENDING) -> Iterator[Callable[[], None]]:
    """
    Let these signals wait for a call of what is yielded, which leaves the block, or for its end.

    For libraries that make another error of one that a signal's handler raises. What is ignored
    stays so. Errors: what the handlers raise, else KeyboardInterrupt where the block was left.
    """
    caught: List[int] = []
    acting = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]

    def act() -> None:
        if caught:
            raise _Caught
    left = False
    try:
        with signalled(acting, lambda number, _: caught.append(number)):
            yield act
    except _Caught:
        left = True
    finally:
        for number in caught:
            signal.raise_signal(number)
    if left:
        raise KeyboardInterrupt


def other_processes(count: int) -> 'ProcessPoolExecutor':
    """Return so many that compute; Ctrl-C is for the one that asks."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    # spawn: a fork of a process with threads may hang
    return ProcessPoolExecutor(count, get_context('spawn'), signal.signal,
                               (signal.SIGINT, signal.SIG_IGN))


def until_ended(work: Callable[[Any], Done], job: Any) -> Done:
    """Return what work makes of a job; SIGTERM ends the process, but nothing half done is left."""
    caught: List[int] = []

    def end(number: int, _: Any) -> None:
        if not caught:  # the next one is not to end the tidying up
            caught.append(number)
            sys.exit(1)

    import_module('numpy')  # a signal amid its import would be told as an ImportError
    try:
        with signalled([signal.SIGTERM], end):
            done = work(job)
    except BaseException:
        if not caught:
            raise
    if caught:  # outside of the except block: generators end with the error that holds them
        os._exit(1)  # the pool would send an exit as the job's error, and take the next job
    return done


class _Caught(BaseException):
    """Leaves the block in which signals are deferred."""
