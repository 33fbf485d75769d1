"""What was counted, as plain numbers: seconds rounded to microseconds."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from proxy.core.census import Census
from proxy.core.detail import Detail
from proxy.core.histogram import Histogram
from proxy.core.operation import ERROR_SOURCES, Operation
from proxy.core.tally import Held
from proxy.core.types import Outcome
from proxy.upstream.slot import LimitStatus

_QUANTILES = {"p50_s": 0.5, "p90_s": 0.9, "p99_s": 0.99}


def rounded(number: float) -> float:
    """Round to six places."""
    return round(number, 6)


def whole(held: Sequence[Held]) -> Held:
    """Return the store that holds what all hold: the one behind the hot tier, where there is one."""
    return held[-1]


def share(by_rule: Mapping[str, tuple[int, int]] | None, rule: str) -> dict[str, int]:
    """Return what is held for one rule; nothing where nobody knows."""
    if by_rule is None:
        return {}
    entries, size = by_rule.get(rule, (0, 0))
    return {"entries": entries, "bytes": size}


def timings(of: Histogram) -> dict[str, float]:
    """Return quantiles and the longest."""
    quantiles = {name: rounded(of.quantile(share)) for name, share in _QUANTILES.items()}
    return {**quantiles, "max_s": rounded(of.most)}


def counted(of: Histogram) -> dict[str, float]:
    """Return the number, quantiles and the longest."""
    return {"n": of.n, **timings(of)}


def errors(of: Operation) -> dict[str, int]:
    """Return the errors by source."""
    return {source: of.errors.get(source, 0) for source in ERROR_SOURCES}


def seconds(of: Operation) -> dict[str, float]:
    """Return what was saved, spent and waited."""
    return {
        "seconds_saved": rounded(of.seconds_saved), "seconds_spent": rounded(of.upstream_s),
        "queue_s": rounded(of.queue.total),
    }  # fmt: skip


def operation(one: Operation, arms: Mapping[str, Mapping[Outcome, Histogram]] | None = None) -> dict[str, Any]:
    """Return all that was counted of an operation; `arms` are timings by arm and outcome."""
    only_some: dict[str, Any] = {"split": {"parts": one.parts, "parts_hit": one.parts_hit}} if one.parts else {}
    if one.would:
        saves, differ = rounded(one.would_save_s), one.would_differ
        only_some |= {"would": one.would, "would_save_s": saves, "would_differ": differ}
    if arms:
        only_some["by_arm"] = {arm: _by_outcome(by_outcome) for arm, by_outcome in arms.items()}
    return {
        "n": one.n, **timings(one.all()), "by_outcome": _by_outcome(one.by_outcome), "reasons": _most_first(one.reasons),
        "hit_ratio": rounded(one.hit_ratio()), "hit_ratio_by_seconds": rounded(one.hit_ratio_by_seconds()),
        "upstream_calls": one.upstream_calls, "upstream_s": rounded(one.upstream_s),
        "by_purpose": {name: {"upstream_calls": n, "upstream_s": rounded(one.calls_s[name])} for name, n in one.calls.items()},
        "overhead_s": rounded(one.overhead.total), "overhead": timings(one.overhead),
        "queue_s": rounded(one.queue.total), "queue": counted(one.queue), "errors": errors(one),
        "seconds_saved": rounded(one.seconds_saved), "bytes_in": one.bytes_in, "bytes_out": one.bytes_out, **only_some,
    }  # fmt: skip


def _by_outcome(by_outcome: Mapping[Outcome, Histogram]) -> dict[Outcome, dict[str, float]]:
    return {outcome: counted(one) for outcome, one in by_outcome.items()}


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda one: -one[1]))


_TRENDS: Mapping[str, Callable[[Operation], float]] = {
    "n": lambda one: one.n,
    "p50_s": lambda one: one.all().quantile(0.5),
    "p99_s": lambda one: one.all().quantile(0.99),
    "hit_ratio": Operation.hit_ratio,
    "hit_ratio_by_seconds": Operation.hit_ratio_by_seconds,
    "errors": lambda one: sum(one.errors.values()),
    "upstream_s": lambda one: one.upstream_s,
    "seconds_saved": lambda one: one.seconds_saved,
}


def trend(now: Operation, before: Operation) -> dict[str, dict[str, float]]:
    """Return how a window stands beside the one before it: both values, and the change."""
    pairs = {name: (rounded(of(now)), rounded(of(before))) for name, of in _TRENDS.items()}
    return {name: {"now": new, "before": old, "change": rounded(new - old)} for name, (new, old) in pairs.items()}


def details(one: Detail, allowed: Collection[str]) -> dict[str, Any]:
    """Return ages and ttls as served, and the keys that saved the most, by hash, with the allowed fields of their queries."""
    keys = [
        {
            "key_hash": name, "path": key.path, "hits": key.hits, "seconds_saved": rounded(key.saved_s),
            **{field: value for field, value in key.shown.items() if field in allowed},
        }
        for name, key in one.costliest().items()
    ]  # fmt: skip
    return {"age": _by_bits(one.ages.items()), "ttl": _by_bits(one.ttls.items()), "top_keys": keys}


def _by_bits(counts: Iterable[tuple[int, int]]) -> list[dict[str, float]]:
    """Return how many answers were up to so many seconds old, or good for so long; -1 stands for what was stale."""
    return [{"up_to_s": 2**bits - 1 if bits >= 0 else -1, "n": count} for bits, count in sorted(counts)]


def complexity(one: Detail) -> list[dict[str, Any]]:
    """Return time against number of parts, of what was fetched: whole, and split."""
    return [
        {"parts": parts, **{arm: counted(of) for arm, of in arms.items()}}
        for parts, arms in sorted(one.by_parts.items())
    ]


def in_flight(now: LimitStatus, of_each: int) -> int:
    """Return how many calls hold a slot on this machine: with a cap its processes share them, else each counts for itself."""
    return now.in_flight if now.ceiling is not None else of_each


def slots(now: LimitStatus, seen: Census) -> dict[str, float]:
    """Return what is in flight and how many wait on this machine, and where there is a cap, how it stands."""
    told: dict[str, float] = {
        "in_flight": in_flight(now, seen.in_flight), "waiting": sum(seen.waiting.values()),
    }  # fmt: skip
    if now.ceiling is not None and now.limit is not None:
        told |= {"max_in_flight": now.ceiling, "limit": rounded(now.limit)}
    return told
