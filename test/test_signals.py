# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Signals that wait until it is safe to act on them."""

import signal
import threading

import pytest

from liquid_ros.signals import deferred, signalled

SENT = signal.SIGUSR1


class Ended(Exception):
    """Raised by a handler."""


def end(number, frame):
    """Do as the handler of a command does."""
    raise Ended


def test_a_signal_waits_for_the_place_that_acts_on_it():
    passed = []
    with pytest.raises(Ended), signalled([SENT], end):
        with deferred([SENT]) as act:
            act()
            passed.append('nothing came')
            signal.raise_signal(SENT)
            passed.append('it waits')
            act()
            passed.append('never')
    assert passed == ['nothing came', 'it waits']


def test_a_signal_that_nothing_acted_on_comes_at_the_end():
    passed = []
    with pytest.raises(Ended), signalled([SENT], end):
        with deferred([SENT]):
            signal.raise_signal(SENT)
            passed.append('all of it')
        passed.append('never')
    assert passed == ['all of it']


def test_a_signal_goes_before_the_error_that_came_after_it():
    with pytest.raises(Ended) as told, signalled([SENT], end):
        with deferred([SENT]):
            signal.raise_signal(SENT)
            raise ValueError('its node has ended, too')
    assert isinstance(told.value.__context__, ValueError)


def test_what_is_left_by_a_handler_that_only_notes_is_an_interrupt():
    noted = []
    with signalled([SENT], lambda number, _: noted.append(number)):
        with pytest.raises(KeyboardInterrupt), deferred([SENT]) as act:
            signal.raise_signal(SENT)
            act()
    assert noted == [SENT]


def test_what_is_ignored_stays_so():
    with signalled([SENT], signal.SIG_IGN):
        with deferred([SENT]) as act:
            signal.raise_signal(SENT)
            act()
        assert signal.getsignal(SENT) == signal.SIG_IGN


def test_handlers_are_put_back_and_other_threads_change_none():
    def run():
        with deferred([SENT]) as act:
            act()
            seen.append(signal.getsignal(SENT))
    seen = []
    before = signal.getsignal(SENT)
    with deferred([SENT]):
        assert signal.getsignal(SENT) != before
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert signal.getsignal(SENT) == before and seen == [before]
