"""Lines of a log → what they come to: by operation and outcome, which keys cost most, why things passed, what failed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.core.heaviest import Heaviest
from proxy.core.log_counts import MOST_WORDS, OTHERS, Counts, Timings, number, weight, word
from proxy.core.log_line import Purpose
from proxy.core.reasons import Reason
from proxy.core.rules import UNMATCHED
from proxy.core.types import FROM_STORE, LOOKED_UP

MOST_KEYS: Final = 20_000
_TOLD_BY_THEIR_JOB: Final = frozenset({Reason.RESPOND_ASYNC.value, Reason.WAIT_OVER.value})
_SHOWN: Final = ("timestamp", "request_id", "method", "path", "rule", "outcome", "reason")
_MOST_STAMP: Final = 40
_Fields = Mapping[str, Any]


@dataclass(slots=True)
class _Outcome:
    timings: Timings = field(default_factory=Timings)
    saved_s: float = 0.0
    upstream_s: float = 0.0

    def told(self, name: str) -> dict[str, Any]:
        sums = {"saved_s": round(self.saved_s, 6), "upstream_s": round(self.upstream_s, 6)}
        return {"outcome": name, **self.timings.told(), **sums}


@dataclass(slots=True)
class _Operation:
    by_outcome: dict[str, _Outcome] = field(default_factory=dict)
    upstream_calls: float = 0.0
    overhead_s: float = 0.0
    bytes_out: float = 0.0
    parts: float = 0.0
    parts_hit: float = 0.0
    passed: Counts = field(default_factory=Counts)
    errors: Counts = field(default_factory=Counts)
    would: Counts = field(default_factory=Counts)
    would_save_s: float = 0.0
    calls: Counts = field(default_factory=Counts)
    """Upstream, by what they were for; `calls_s` is what they took."""
    calls_s: Counts = field(default_factory=Counts)

    def told(self, name: str) -> dict[str, Any]:
        outcomes = sorted(self.by_outcome.items(), key=lambda one: -one[1].timings.n)
        return {
            "operation": name,
            "n": round(sum(one.timings.n for _, one in outcomes)),
            "hit_ratio": _hit_ratio({name: one.timings.n for name, one in outcomes}),
            "saved_s": round(sum(one.saved_s for _, one in outcomes), 6),
            "upstream_s": round(sum(one.upstream_s for _, one in outcomes), 6),
            "upstream_calls": round(self.upstream_calls),
            "overhead_s": round(self.overhead_s, 6),
            "bytes_out": round(self.bytes_out),
            "parts": round(self.parts),
            "parts_hit": round(self.parts_hit),
            "outcomes": [one.told(name) for name, one in outcomes],
            "passthrough": self.passed.told(),
            "errors": self.errors.told(),
            "would": self.would.told(),
            "would_save_s": round(self.would_save_s, 6),
            "by_purpose": {
                purpose: {"upstream_calls": n, "upstream_s": round(self.calls_s.by_word[purpose], 6)}
                for purpose, n in self.calls.told().items()
            },
        }


def _hit_ratio(n: Mapping[str, float]) -> float | None:
    """Return the share of what was answered from the store of all that was looked up, as the admin API counts it."""
    from_store, looked_up = (sum(n.get(outcome, 0.0) for outcome in ones) for ones in (FROM_STORE, LOOKED_UP))
    return round(from_store / looked_up, 6) if looked_up else None


class LogReport:
    """Takes lines one by one and holds no more of them than it tells; `top` is how many keys it names."""

    def __init__(self, top: int = 10, most_keys: int = MOST_KEYS) -> None:
        self._top = top
        self._operations: dict[str, _Operation] = {}
        self._costliest = Heaviest(most_keys)
        self._slowest: dict[str, tuple[float, _Fields]] = {}
        self._least_slow = -1.0
        self._events = Counts()
        self._calls, self._call_failures = Timings(), Counts()
        self._since = self._until = ""
        self._lines = self._unreadable = self._lost = 0
        self._is_sampled = False
        self._kinds = {
            "request": self._request,
            "job": self._request,
            "upstream_call": self._call,
            "dropped": self._gap,
        }

    def unreadable(self) -> None:
        """Count what is no line of ours."""
        self._lines += 1
        self._unreadable += 1

    def add(self, fields: object) -> None:
        """Count one line by its fields; whatever they hold, it is no error."""
        if not isinstance(fields, dict) or not (event := word(fields, "event")):
            return self.unreadable()
        kind = self._kinds.get(event)
        if kind is not None and not kind(fields):
            return self.unreadable()
        self._lines += 1
        self._events.add(event, 1.0)
        stamp = fields.get("timestamp")
        if type(stamp) is str and len(stamp) <= _MOST_STAMP:
            self._since = min(self._since or stamp, stamp)
            self._until = max(self._until, stamp)
        return None

    def _gap(self, fields: _Fields) -> bool:
        self._lost += int(number(fields, "count"))
        return True

    def _call(self, fields: _Fields) -> bool:
        if "duration_s" not in fields:
            return False
        stands_for = weight(fields)
        operation, took_s = self._operation(word(fields, "rule") or UNMATCHED), number(fields, "duration_s")
        purpose = word(fields, "purpose") or Purpose.CLIENT.value
        operation.calls.add(purpose, stands_for)
        operation.calls_s.add(purpose, took_s * stands_for)
        self._calls.add(took_s, stands_for)
        if error := word(fields, "error"):
            self._call_failures.add(error, stands_for)
        return True

    def _request(self, fields: _Fields) -> bool:
        outcome = word(fields, "outcome")
        if not outcome or "duration_s" not in fields:
            return False
        stands_for = weight(fields)
        self._is_sampled = self._is_sampled or stands_for != 1.0
        operation = self._operation(word(fields, "rule") or UNMATCHED)
        operation.bytes_out += number(fields, "bytes_out") * stands_for
        reason = word(fields, "reason")
        if reason not in _TOLD_BY_THEIR_JOB:
            self._count(operation, fields, outcome, stands_for)
            if outcome == "passthrough":
                operation.passed.add(reason or "(none)", stands_for)
        return True

    def _operation(self, name: str) -> _Operation:
        operation = self._operations.get(name)
        if operation is None:
            name = name if len(self._operations) < MOST_WORDS else OTHERS
            operation = self._operations.setdefault(name, _Operation())
        return operation

    def _count(self, operation: _Operation, fields: _Fields, outcome: str, stands_for: float) -> None:
        key = word(fields, "key_hash") or f"{word(fields, 'method')} {word(fields, 'path')}"
        duration_s, upstream_s = number(fields, "duration_s"), 0.0
        if calls := number(fields, "upstream_calls"):  # who joined another's flight only waited
            upstream_s = number(fields, "upstream_s")
            operation.upstream_calls += calls * stands_for
            self._costliest.add(key, upstream_s * stands_for, stands_for, word(fields, "path"))
        so_far = operation.by_outcome.get(outcome)
        if so_far is None:
            outcome = outcome if len(operation.by_outcome) < MOST_WORDS else OTHERS
            so_far = operation.by_outcome.setdefault(outcome, _Outcome())
        so_far.timings.add(duration_s, stands_for)
        so_far.upstream_s += upstream_s * stands_for
        so_far.saved_s += number(fields, "saved_s") * stands_for
        operation.overhead_s += number(fields, "overhead_s") * stands_for
        if source := word(fields, "error_source"):
            operation.errors.add(f"{source}: {word(fields, 'error') or '(none)'}", stands_for)
        if "merge_s" in fields:  # else it was not put together from its parts
            operation.parts += number(fields, "parts") * stands_for
            operation.parts_hit += number(fields, "parts_hit") * stands_for
        if would := word(fields, "would"):
            operation.would.add(would, stands_for)
            operation.would_save_s += number(fields, "would_save_s") * stands_for
        self._time(key, fields, duration_s)

    def _time(self, key: str, fields: _Fields, duration_s: float) -> None:
        """Keep the slowest request of each of the slowest keys: who was let go was quicker than all that are kept."""
        known = self._slowest.get(key)
        if duration_s <= (self._least_slow if known is None else known[0]):
            return
        if known is None and len(self._slowest) >= self._top:
            del self._slowest[min(self._slowest, key=lambda one: self._slowest[one][0])]
        self._slowest[key] = (duration_s, fields)
        if len(self._slowest) >= self._top:
            self._least_slow = min(slow[0] for slow in self._slowest.values())

    def told(self) -> dict[str, Any]:
        """Return the report: plain numbers, seconds and bytes, the greatest first."""
        operations = [one.told(name) for name, one in self._operations.items()]
        n: dict[str, float] = {}
        for one in operations:
            for outcome in one["outcomes"]:
                n[outcome["outcome"]] = n.get(outcome["outcome"], 0.0) + outcome["n"]
        return {
            "lines": {
                "read": self._lines, "by_event": self._events.told(), "unreadable": self._unreadable, "lost": self._lost,
            },
            "since": self._since,
            "until": self._until,
            "is_sampled": self._is_sampled,
            "n": round(sum(n.values())),
            "hit_ratio": _hit_ratio(n),
            "saved_s": round(sum(one["saved_s"] for one in operations), 6),
            "upstream_s": round(sum(one["upstream_s"] for one in operations), 6),
            "operations": sorted(operations, key=lambda one: (-one["upstream_s"] - one["saved_s"], one["operation"])),
            "costliest": [
                {"key": key, "path": one.note, "n": round(one.n), "upstream_s": round(one.amount, 6),
                 "at_most_s": round(one.amount + one.missed, 6)}
                for key, one in self._costliest.top(self._top)
            ],
            "slowest": [
                {"key": key, "duration_s": slow_s, **{name: word(fields, name) for name in _SHOWN if word(fields, name)}}
                for key, (slow_s, fields) in sorted(self._slowest.items(), key=lambda one: (-one[1][0], one[0]))
            ],
            "calls": {**self._calls.told(), "upstream_s": round(self._calls.timed.total, 6), "errors": self._call_failures.told()},
        }  # fmt: skip
