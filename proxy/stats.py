"""LogLines → counters and timings by operation and outcome: what the admin API and the metrics read."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from proxy.core.histogram import Histogram
from proxy.core.log_line import LogLine
from proxy.core.reasons import Reason
from proxy.core.rules import UNMATCHED
from proxy.core.types import Outcome

ERROR_SOURCES = ("client", "upstream", "proxy")
_SUMS = (
    "upstream_calls",
    "upstream_s",
    "seconds_saved",
    "bytes_in",
    "bytes_out",
    "parts",
    "parts_hit",
    "would_save_s",
    "would_differ",
)


_TOLD_BY_THEIR_JOB = frozenset({Reason.RESPOND_ASYNC, Reason.WAIT_OVER})


@dataclass(slots=True)
class Operation:
    """What is counted for one rule; seconds and bytes."""

    by_outcome: dict[Outcome, Histogram] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ERROR_SOURCES, 0))
    overhead: Histogram = field(default_factory=Histogram)
    queue: Histogram = field(default_factory=Histogram)
    """Of those whose call had to wait for its turn upstream."""
    upstream_calls: int = 0
    upstream_s: float = 0.0
    seconds_saved: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    parts: int = 0
    """Of the answers that were put together; `parts_hit` of these were known."""
    parts_hit: int = 0
    would: dict[Outcome, int] = field(default_factory=dict)
    """Of those that were only observed: how many would have ended how."""
    would_save_s: float = 0.0
    would_differ: int = 0

    @property
    def n(self) -> int:
        """Return how many requests there were."""
        return sum(one.n for one in self.by_outcome.values())

    def all(self) -> Histogram:
        """Return the timings of all outcomes together."""
        together = Histogram()
        for one in self.by_outcome.values():
            together.merge(one)
        return together

    def merge(self, other: "Operation") -> None:
        """Count all that `other` counted."""
        for outcome, timings in other.by_outcome.items():
            self.by_outcome.setdefault(outcome, Histogram()).merge(timings)
        for source, count in other.errors.items():
            self.errors[source] = self.errors.get(source, 0) + count
        for outcome, count in other.would.items():
            self.would[outcome] = self.would.get(outcome, 0) + count
        self.overhead.merge(other.overhead)
        self.queue.merge(other.queue)
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def count(self, line: LogLine) -> None:
        """Count one finished request, or job."""
        self.bytes_in += line.bytes_in
        self.bytes_out += line.bytes_out
        if line.reason in _TOLD_BY_THEIR_JOB:
            return  # its job's own line tells how it ended, and how long that took
        timings = self.by_outcome.get(line.outcome)
        if timings is None:
            timings = self.by_outcome[line.outcome] = Histogram()
        timings.add(line.duration_s)
        self.overhead.add(line.overhead_s)
        if line.queue_s is not None:
            self.queue.add(line.queue_s)
        if line.error_source:
            self.errors[line.error_source] += 1
        if line.upstream_calls:
            self.upstream_calls += line.upstream_calls
            self.upstream_s += line.upstream_s or 0.0
        if line.merge_s is not None:  # else it was not put together of its parts
            self.parts += line.parts or 0
            self.parts_hit += line.parts_hit or 0
        if line.cost is not None:
            self.seconds_saved += line.saved_s or 0.0
        if line.would is not None:
            self.would[line.would] = self.would.get(line.would, 0) + 1
            self.would_save_s += line.would_save_s or 0.0
            self.would_differ += line.would_differ or False


class Stats:
    """Counts every request of this process since it started."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.operations: dict[str, Operation] = {}

    def count(self, line: LogLine) -> None:
        """Count one finished request."""
        name = line.rule or UNMATCHED
        operation = self.operations.get(name)
        if operation is None:
            operation = self.operations[name] = Operation()
        operation.count(line)

    def written(self) -> bytes:
        """Write what was counted, for other processes to read."""
        return orjson.dumps(
            {name: asdict(one) for name, one in self.operations.items()}, option=orjson.OPT_NON_STR_KEYS
        )

    def errors(self) -> Mapping[str, int]:
        """Return the errors of all operations by their source."""
        return {source: sum(one.errors[source] for one in self.operations.values()) for source in ERROR_SOURCES}

    def seconds_saved(self) -> float:
        """Return the upstream seconds that answers from the store made unnecessary."""
        return sum(one.seconds_saved for one in self.operations.values())

    def seconds_spent(self) -> float:
        """Return the upstream seconds that clients waited for."""
        return sum(one.upstream_s for one in self.operations.values())

    def queue_s(self) -> float:
        """Return the seconds that calls waited for their turn upstream."""
        return sum(one.queue.total for one in self.operations.values())

    def hit_ratio(self) -> float:
        """Return the share of hits among the requests that were looked up."""
        hits = self._requests(Outcome.HIT)
        looked_up = hits + self._requests(Outcome.MISS, Outcome.EXPIRED, Outcome.COLLAPSED)
        return hits / looked_up if looked_up else 0.0

    def _requests(self, *outcomes: Outcome) -> int:
        return sum(
            timings.n
            for one in self.operations.values()
            for outcome, timings in one.by_outcome.items()
            if outcome in outcomes
        )


def merged(started: float, written: Iterable[bytes]) -> Stats:
    """Return what several processes have counted together."""
    together = Stats(started)
    for one in written:
        for name, counted in orjson.loads(one).items():
            together.operations.setdefault(name, Operation()).merge(_read(counted))
    return together


def _read(counted: Mapping[str, Any]) -> Operation:
    by_outcome = {Outcome(outcome): _timings(timings) for outcome, timings in counted["by_outcome"].items()}
    sums = {name: counted.get(name, 0) for name in _SUMS}  # another process may be of an earlier release
    overhead, queue = _timings(counted["overhead"]), _timings(counted["queue"])
    would = {Outcome(outcome): count for outcome, count in counted.get("would", {}).items()}
    return Operation(by_outcome, dict(counted["errors"]), overhead, queue, would=would, **sums)


def _timings(counted: Mapping[str, Any]) -> Histogram:
    buckets = {int(bucket): count for bucket, count in counted["buckets"].items()}
    return Histogram(counted["n"], counted["total"], counted["most"], buckets)
