"""LogLines and calls upstream → what this process has counted: in all, and in spans of time. The admin API and the metrics read it.

A request is counted once, into what is `pending`; that is merged into the sums and the open span when somebody looks,
and when a span ends. Answers from the store are counted many at a time, which costs half as much.
"""

from proxy.clock import Clock
from proxy.core.detail import Details
from proxy.core.history import FINEST, History
from proxy.core.log_line import Call, LogLine
from proxy.core.operation import Operations

_AT_ONCE = 256


class Stats:
    """Counts every request of this process, and every call upstream; `since` is when it began, in wall-clock seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: list[LogLine] = []
        """Of answers from the store: nothing changes in them any more, and they hold nothing large."""
        self._pending = Operations()
        self._from = self._until = 0.0
        self._begin()

    def _begin(self) -> None:
        self._operations, self._details, self.history = Operations(), Details(), History()
        self.since = self._clock.wall()
        self.counted = 0
        """How many requests and calls upstream there were."""

    @property
    def operations(self) -> Operations:
        """Return what is counted in all."""
        self.fold()
        return self._operations

    @property
    def details(self) -> Details:
        """Return what is counted beside timings."""
        self._count_lines()
        return self._details

    def count(self, line: LogLine) -> None:
        """Count one finished request."""
        if not self._from <= self._clock.wall() < self._until:
            self.fold()
        self._lines.append(line)
        if (
            line.call is not None
            or line.candidate is not None
            or line.observed is not None
            or len(self._lines) > _AT_ONCE
        ):
            self._count_lines()

    def count_call(self, call: Call) -> None:
        """Count one call upstream that has ended, whoever it was for."""
        if not self._from <= self._clock.wall() < self._until:
            self.fold()
        self.counted += 1
        self._pending.count_call(call, self._clock.timer())

    def _count_lines(self) -> None:
        lines, self._lines = self._lines, []
        self.counted += len(lines)
        pending, details = self._pending, self._details
        for line in lines:
            pending.count(line)
            details.count(line)

    def fold(self) -> None:
        """Merge what is pending into the sums, and into the span that was open until now."""
        self._count_lines()
        now = self._clock.wall()
        if self._pending:
            counted, self._pending = self._pending, Operations()
            self._operations.merge(counted)
            self.history.count(counted, min(now, self._until - 1e-3) if self._until else now)
        if not self._from <= now < self._until:
            self.history.close_until(now)
            self._from = now // FINEST.width_s * FINEST.width_s
            self._until = self._from + FINEST.width_s

    def forget(self) -> None:
        """Begin anew: what was counted here counts elsewhere now."""
        self.fold()
        self._begin()
