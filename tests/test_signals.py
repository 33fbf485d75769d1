"""Signals that came before anybody could act on them."""

import signal
from threading import get_ident

import pytest

from proxy.signals import PASSED_ON, hear, held


@pytest.mark.parametrize("number", sorted(PASSED_ON))
def test_what_was_told_too_early_ended_the_process(number):
    """A logrotate or a reload in the second of a restart."""
    heard = []
    before = signal.signal(number, lambda got, _: heard.append(got))
    try:
        with held():  # told to this thread: those that other tests began hold no signals
            signal.pthread_kill(get_ident(), number)
            assert heard == []
            hear()
            assert heard == [number]
            signal.pthread_kill(get_ident(), number)
        assert heard == [number] * 2
    finally:
        signal.signal(number, before)


def test_afterwards_all_is_as_before():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with held():
        assert before | PASSED_ON == signal.pthread_sigmask(signal.SIG_BLOCK, ())
        hear()
    assert before == signal.pthread_sigmask(signal.SIG_BLOCK, ())
