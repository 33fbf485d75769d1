"""What is counted of one rule's requests, or of all of them: mergeable, and written as few small numbers.

Seconds and bytes; those of several processes, or of several spans of time, are merged.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from proxy.core.histogram import Histogram, micro, rounded, to_micro
from proxy.core.histogram import read as histogram_of
from proxy.core.log_line import Call, LogLine
from proxy.core.reasons import Reason
from proxy.core.rules import UNMATCHED
from proxy.core.types import FROM_STORE, LOOKED_UP, Outcome

ERROR_SOURCES = ("client", "upstream", "proxy")
_BYTES = ("bytes_in", "bytes_out")
_WHOLE = ("parts", "parts_hit", "would_differ")
_SECONDS = ("seconds_saved", "would_save_s")
_SUMS = (*_BYTES, *_WHOLE, *_SECONDS)
_MICRO = 1_000_000
_MOST_REASONS = 100
_TOLD_BY_THEIR_JOB = frozenset({Reason.RESPOND_ASYNC, Reason.WAIT_OVER})


@dataclass(slots=True)
class Operation:
    """What is counted for one rule; seconds and bytes."""

    by_outcome: dict[Outcome, Histogram] = field(default_factory=dict)
    by_arm: dict[str, dict[Outcome, Histogram]] = field(default_factory=dict)
    """Of those that had an arm."""
    errors: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    waited: Histogram = field(default_factory=Histogram)
    """What the proxy itself took of those that may have waited for the upstream: all but hits."""
    queue: Histogram = field(default_factory=Histogram)
    """Of those whose call had to wait for its turn upstream."""
    calls: dict[str, int] = field(default_factory=dict)
    """Upstream, by what they were for; `calls_s` is what they took."""
    calls_s: dict[str, float] = field(default_factory=dict)
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

    @property
    def upstream_calls(self) -> int:
        """Return how many calls upstream there were, for clients or not."""
        return sum(self.calls.values())

    @property
    def upstream_s(self) -> float:
        """Return what they took: of those that ran at once, each."""
        return sum(self.calls_s.values())

    def all(self) -> Histogram:
        """Return the timings of all outcomes together."""
        together = Histogram()
        for one in self.by_outcome.values():
            together.merge(one)
        return together

    @property
    def overhead(self) -> Histogram:
        """Return what the proxy itself took: of hits, all."""
        found = Histogram()
        found.merge(self.waited)
        found.merge(self.by_outcome.get(Outcome.HIT, Histogram()))
        return found

    def requests(self, *outcomes: Outcome) -> int:
        """Return how many ended so."""
        return sum(self.by_outcome[outcome].n for outcome in outcomes if outcome in self.by_outcome)

    def hit_ratio(self) -> float:
        """Return the share of what was answered with what is stored, fresh or stale, of all that was looked up."""
        looked_up = self.requests(*LOOKED_UP)
        return self.requests(*FROM_STORE) / looked_up if looked_up else 0.0

    def hit_ratio_by_seconds(self) -> float:
        """Return the share of upstream seconds that were saved, of all that were saved or spent."""
        all_s = self.seconds_saved + self.upstream_s
        return self.seconds_saved / all_s if all_s else 0.0

    def copy(self) -> "Operation":
        """Return one that counts for itself from now on."""
        return replace(
            self, by_outcome=_copied(self.by_outcome), by_arm={arm: _copied(one) for arm, one in self.by_arm.items()},
            errors=dict(self.errors), reasons=dict(self.reasons), would=dict(self.would), waited=self.waited.copy(),
            queue=self.queue.copy(), calls=dict(self.calls), calls_s=dict(self.calls_s),
        )  # fmt: skip

    def as_told(self) -> "Operation":
        """Return a copy whose sums are what others hear of them: in whole microseconds."""
        told = self.copy()
        for one in (*told.by_outcome.values(), told.waited, told.queue):
            one.total = to_micro(one.total)
        for name in _SECONDS:
            setattr(told, name, to_micro(getattr(told, name)))
        told.calls_s = {purpose: to_micro(took_s) for purpose, took_s in told.calls_s.items()}
        return told

    def merge(self, other: "Operation") -> None:
        """Count all that `other` counted."""
        _merge_timings(self.by_outcome, other.by_outcome)
        for arm, by_outcome in other.by_arm.items():
            _merge_timings(self.by_arm.setdefault(arm, {}), by_outcome)
        _add(self.errors, other.errors)
        _add(self.reasons, other.reasons)
        _add(self.would, other.would)
        _add(self.calls, other.calls)
        for purpose, took_s in other.calls_s.items():
            self.calls_s[purpose] = self.calls_s.get(purpose, 0.0) + took_s
        self.waited.merge(other.waited)
        self.queue.merge(other.queue)
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def count(self, line: LogLine) -> None:
        """Count one finished request, or job."""
        self.bytes_in += line.bytes_in
        self.bytes_out += line.bytes_out
        if line.reason in _TOLD_BY_THEIR_JOB:
            return  # its job's own line tells how it ended, and how long that took
        if line.reason is not None and (line.reason in self.reasons or len(self.reasons) < _MOST_REASONS):
            self.reasons[line.reason] = self.reasons.get(line.reason, 0) + 1
        _timings(self.by_outcome, line.outcome).add(line.duration_s)
        if line.outcome is not Outcome.HIT:
            self.waited.add(line.overhead_s)
        if line.cost is not None and (saved_s := line.cost - line.duration_s) > 0.0:
            self.seconds_saved += saved_s
        if line.call is not None and (queue_s := line.queue_s) is not None:
            self.queue.add(queue_s)
        if line.arm is not None:
            _timings(self.by_arm.setdefault(line.arm, {}), line.outcome).add(line.duration_s)
        if line.error_source is not None:
            self.errors[line.error_source] = self.errors.get(line.error_source, 0) + 1
        if line.merge_s is not None:  # else it was not put together of its parts
            self.parts += line.parts or 0
            self.parts_hit += line.parts_hit or 0
        if line.would is not None:
            self._count_would(line.would, line)

    def _count_would(self, would: Outcome, line: LogLine) -> None:
        self.would[would] = self.would.get(would, 0) + 1
        self.would_save_s += line.would_save_s or 0.0
        self.would_differ += line.would_differ or False

    def count_call(self, purpose: str, took_s: float) -> None:
        """Count one call upstream."""
        self.calls[purpose] = self.calls.get(purpose, 0) + 1
        self.calls_s[purpose] = self.calls_s.get(purpose, 0.0) + took_s

    def written(self, most_buckets: int = 100_000, *, arms: bool = True, digits: int = 0) -> list[Any]:
        """Return it as plain lists and numbers, each histogram with no more buckets, seconds and bytes with no more digits."""

        def timings(by_outcome: Mapping[Outcome, Histogram], buckets: int) -> dict[str, list[int]]:
            return {outcome.value: one.within(buckets).written(digits) for outcome, one in by_outcome.items()}

        sums = [rounded(getattr(self, name), digits) for name in _BYTES]
        sums += [getattr(self, name) for name in _WHOLE]
        sums += [micro(getattr(self, name), digits) for name in _SECONDS]
        by_arm = {arm: timings(one, most_buckets // 2) for arm, one in self.by_arm.items()} if arms else {}
        own = [one.within(most_buckets // 2).written(digits) for one in (self.waited, self.queue)]
        reasons = {str(reason): count for reason, count in self.reasons.items()}
        would = {outcome.value: count for outcome, count in self.would.items()}
        calls = {str(one): [count, micro(self.calls_s[one], digits)] for one, count in self.calls.items()}
        return [timings(self.by_outcome, most_buckets), *own, self.errors, sums, reasons, would, by_arm, calls]


def read(told: Any) -> Operation:
    """Return what `written` told. Raises ValueError, TypeError, AttributeError or KeyError for what it never told."""
    by_outcome, waited, queue, errors, sums, reasons, would, by_arm, calls = told
    values = [*sums[: -len(_SECONDS)], *[value / _MICRO for value in sums[-len(_SECONDS) :]]]
    return Operation(
        _timings_of(by_outcome), {arm: _timings_of(one) for arm, one in by_arm.items()}, dict(errors), dict(reasons),
        histogram_of(waited), histogram_of(queue), would={Outcome(one): count for one, count in would.items()},
        calls={one: count for one, (count, _) in calls.items()}, calls_s={one: took / _MICRO for one, (_, took) in calls.items()},
        **dict(zip(_SUMS, values, strict=True)),
    )  # fmt: skip


class Operations(dict[str, Operation]):
    """What is counted by operation: a rule's name, or UNMATCHED."""

    def count(self, line: LogLine) -> None:
        """Count one finished request."""
        self.of(line.rule or UNMATCHED).count(line)

    def count_call(self, call: Call, now: float) -> None:
        """Count one call upstream, at its end."""
        self.of(call.rule or UNMATCHED).count_call(call.purpose, call.duration_s(now))

    def of(self, name: str) -> Operation:
        """Return what is counted of an operation."""
        found = self.get(name)
        if found is None:
            found = self[name] = Operation()
        return found

    def merge(self, others: Mapping[str, Operation]) -> None:
        """Count all that others counted."""
        for name, one in others.items():
            self.of(name).merge(one)

    def all(self) -> Operation:
        """Return what is counted of all together."""
        return together(self.values())

    def copied(self) -> "Operations":
        """Return one that counts for itself from now on."""
        return Operations({name: one.copy() for name, one in self.items()})

    def as_told(self) -> "Operations":
        """Return a copy whose sums are what others hear of them."""
        return Operations({name: one.as_told() for name, one in self.items()})

    def written(self, most_buckets: int = 100_000, *, arms: bool = True, digits: int = 0) -> dict[str, list[Any]]:
        """Return them as plain lists and numbers."""
        return {name: one.written(most_buckets, arms=arms, digits=digits) for name, one in self.items()}


def together(operations: Iterable[Operation]) -> Operation:
    """Return what is counted of several operations."""
    found = Operation()
    for one in operations:
        found.merge(one)
    return found


def operations_of(told: Mapping[str, Any]) -> Operations:
    """Return what `Operations.written` told; raises as `read` does."""
    return Operations({name: read(one) for name, one in told.items()})


def _timings(by_outcome: dict[Outcome, Histogram], outcome: Outcome) -> Histogram:
    found = by_outcome.get(outcome)
    if found is None:
        found = by_outcome[outcome] = Histogram()
    return found


def _copied(by_outcome: Mapping[Outcome, Histogram]) -> dict[Outcome, Histogram]:
    return {outcome: one.copy() for outcome, one in by_outcome.items()}


def _merge_timings(into: dict[Outcome, Histogram], other: Mapping[Outcome, Histogram]) -> None:
    for outcome, one in other.items():
        _timings(into, outcome).merge(one)


def _timings_of(told: Mapping[str, Any]) -> dict[Outcome, Histogram]:
    return {Outcome(outcome): histogram_of(one) for outcome, one in told.items()}


def _add(into: dict[Any, int], other: Mapping[Any, int]) -> None:
    for name, count in other.items():
        into[name] = into.get(name, 0) + count
