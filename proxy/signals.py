"""The signals that are meant for who serves: they would end a process that does not serve yet, so they wait until it does."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

PASSED_ON: Final = frozenset({signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2})
"""Read the config again, open the log again, turn the bypass over."""


@contextmanager
def held() -> Iterator[None]:
    """Have these signals wait until they are heard, also those to a process that is started meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hear() -> None:
    """Act on these signals from now on, and on those that wait."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
