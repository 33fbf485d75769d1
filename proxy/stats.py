"""LogLines → what this process has counted: in all, and in spans of time. The admin API and the metrics read it.

A request is counted once, into what is `pending`; that is merged into the sums and the open spans when somebody looks,
and when a span ends.
"""

from proxy.clock import Clock
from proxy.core.detail import Details
from proxy.core.history import GRAINS, History
from proxy.core.log_line import LogLine
from proxy.core.operation import Operations

_FINEST_S = GRAINS[0].width_s


class Stats:
    """Counts every request of this process; `since` is when it began, in wall-clock seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pending = Operations()
        self._until = 0.0
        self._operations = Operations()
        self.since = clock.wall()
        self.details = Details()
        self.far = Operations()
        """What processes of other machines counted that are gone."""
        self.evictions = 0
        """Of processes that are gone."""
        self.history = History()

    @property
    def operations(self) -> Operations:
        """Return what is counted in all."""
        self.fold()
        return self._operations

    def count(self, line: LogLine) -> None:
        """Count one finished request."""
        if self._clock.wall() >= self._until:
            self.fold()
        self._pending.count(line)
        self.details.count(line)

    def fold(self) -> None:
        """Merge what is pending into the sums, and into the spans that were open until now."""
        now = self._clock.wall()
        if self._pending:
            counted, self._pending = self._pending, Operations()
            self._operations.merge(counted)
            self.history.count(counted, min(now, self._until - 1e-3))
        if now >= self._until:
            self.history.close_until(now)
            self._until = (now // _FINEST_S + 1) * _FINEST_S

    def forget(self) -> None:
        """Begin anew: another process has taken what was counted here."""
        self.fold()
        self._operations, self.details, self.far = Operations(), Details(), Operations()
        self.history, self.since, self.evictions = History(), self._clock.wall(), 0
