"""The two times the proxy knows: wall time for ages, a timer for durations; both in seconds."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time; tests hand in one that stands still until told."""

    def wall(self) -> float:
        """Return seconds since 1970."""
        ...

    def timer(self) -> float:
        """Return seconds since some fixed moment; never goes back."""
        ...


class SystemClock:
    """The machine's clocks."""

    wall = staticmethod(time.time)  # noqa: TID251  the one place where time comes from
    timer = staticmethod(time.perf_counter)
