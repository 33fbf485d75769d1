"""What is counted of one rule beside its timings: its costliest keys, ages and ttls as served, parts against time.

Bounded, mergeable, and written as plain numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from heapq import nlargest
from operator import attrgetter
from typing import Any, Final

from proxy.core.histogram import Histogram
from proxy.core.histogram import read as histogram_of
from proxy.core.log_line import LogLine
from proxy.core.rules import UNMATCHED
from proxy.core.shown_fields import QUERY
from proxy.core.types import Outcome

MOST_KEYS: Final = 200
TOLD_KEYS: Final = 20
_MOST_PARTS: Final = 64
_MOST_PATH_CHARS: Final = 200
WHOLE: Final = "whole"
SPLIT: Final = "split"


@dataclass(slots=True)
class Key:
    """How often a stored answer was given, and what that saved, in seconds; `shown` is what may be told of its query."""

    path: str
    hits: int = 0
    saved_s: float = 0.0
    shown: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Detail:
    """What is counted of one rule: keys by their hash, ages and ttls by powers of two, timings by number of parts."""

    keys: dict[str, Key] = field(default_factory=dict)
    ages: dict[int, int] = field(default_factory=dict)
    """Answers from the store by the bits of their age in seconds: 0, 1, 2 to 3, 4 to 7, …"""
    ttls: dict[int, int] = field(default_factory=dict)
    """By what was left of their ttl; -1 for stale ones."""
    by_parts: dict[int, dict[str, Histogram]] = field(default_factory=dict)
    """By the number of parts, `whole` or `split`: only what was fetched."""

    def count(self, line: LogLine) -> None:
        """Count one finished request."""
        is_whole = line.outcome is not Outcome.PARTIAL
        if is_whole and line.cost is not None and line.age_s is not None and line.ttl_s is not None:
            self._count_stored(line, int(line.age_s), int(line.ttl_s), max(0.0, line.cost - line.duration_s))
        if line.parts and line.upstream_calls:
            arms = self.by_parts.setdefault(_rounded_up(line.parts), {})
            arms.setdefault(WHOLE if line.merge_s is None else SPLIT, Histogram()).add(line.duration_s)

    def _count_stored(self, line: LogLine, age_s: int, ttl_s: int, saved_s: float) -> None:
        bits = age_s.bit_length()
        self.ages[bits] = self.ages.get(bits, 0) + 1
        bits = ttl_s.bit_length() if ttl_s > 0 else -1
        self.ttls[bits] = self.ttls.get(bits, 0) + 1
        if line.key_hash is None:
            return
        key = self.keys.get(line.key_hash)
        if key is None:
            key = self.keys[line.key_hash] = Key(line.path[:_MOST_PATH_CHARS])
            if len(self.keys) > 2 * MOST_KEYS:
                self.keys = self.costliest(MOST_KEYS)
        key.hits += 1
        key.saved_s += saved_s
        if line.shown:
            key.shown = key.shown | {name: value for name, value in line.shown.items() if name.startswith(QUERY)}

    def costliest(self, most: int = TOLD_KEYS) -> dict[str, Key]:
        """Return the keys that saved the most."""
        return dict(nlargest(most, self.keys.items(), key=lambda one: one[1].saved_s))

    def copied(self) -> "Detail":
        """Return one that counts for itself from now on; of the keys only those that are told."""
        return Detail(
            {name: replace(key) for name, key in self.costliest().items()}, dict(self.ages), dict(self.ttls),
            {parts: {arm: one.copy() for arm, one in arms.items()} for parts, arms in self.by_parts.items()},
        )  # fmt: skip

    def merge(self, other: "Detail") -> None:
        """Count all that `other` counted."""
        for name, one in other.keys.items():
            key = self.keys.setdefault(name, Key(one.path))
            key.hits += one.hits
            key.saved_s += one.saved_s
            key.shown = one.shown | key.shown
        if len(self.keys) > 2 * MOST_KEYS:
            self.keys = self.costliest(MOST_KEYS)
        for mine, theirs in ((self.ages, other.ages), (self.ttls, other.ttls)):
            for bits, count in theirs.items():
                mine[bits] = mine.get(bits, 0) + count
        for parts, arms in other.by_parts.items():
            for arm, timings in arms.items():
                self.by_parts.setdefault(parts, {}).setdefault(arm, Histogram()).merge(timings)

    def written(self) -> list[Any]:
        """Return it as plain lists and numbers; of the keys the costliest only."""
        told = attrgetter("path", "hits", "saved_s", "shown")
        keys = {name: told(key) for name, key in self.costliest().items()}
        by_parts = {
            str(parts): {arm: timings.written() for arm, timings in arms.items()}
            for parts, arms in self.by_parts.items()
        }
        ages, ttls = ({str(bits): count for bits, count in one.items()} for one in (self.ages, self.ttls))
        return [keys, ages, ttls, by_parts]


def read(told: Any) -> Detail:
    """Return what `written` told, from JSON. Raises ValueError, TypeError, AttributeError for what it never told."""
    keys, ages, ttls, by_parts = told
    return Detail(
        {
            name: Key(str(path), int(hits), float(saved), dict(shown))
            for name, (path, hits, saved, shown) in keys.items()
        },
        _counts(ages),
        _counts(ttls),
        {int(parts): {arm: histogram_of(timings) for arm, timings in arms.items()} for parts, arms in by_parts.items()},
    )


class Details(dict[str, Detail]):
    """What is counted beside timings, by operation."""

    def count(self, line: LogLine) -> None:
        """Count one finished request."""
        if line.cost is not None or line.parts:
            self.of(line.rule or UNMATCHED).count(line)

    def of(self, name: str) -> Detail:
        """Return what is counted of an operation."""
        found = self.get(name)
        if found is None:
            found = self[name] = Detail()
        return found

    def merge(self, others: Mapping[str, Detail]) -> None:
        """Count all that others counted."""
        for name, one in others.items():
            self.of(name).merge(one)

    def copied(self) -> "Details":
        """Return one that counts for itself from now on; of the keys only those that are told."""
        return Details({name: one.copied() for name, one in self.items()})

    def written(self) -> dict[str, list[Any]]:
        """Return them as plain lists and numbers."""
        return {name: one.written() for name, one in self.items()}


def details_of(told: Mapping[str, Any]) -> Details:
    """Return what `Details.written` told; raises as `read` does."""
    return Details({name: read(one) for name, one in told.items()})


def _counts(told: Mapping[str, int]) -> dict[int, int]:
    return {int(bits): int(count) for bits, count in told.items()}


def _rounded_up(parts: int) -> int:
    """Return the number of parts, or from 16 on the next of 24, 32, 48, 64, so that there are few."""
    return parts if parts <= 16 else next((one for one in (24, 32, 48, _MOST_PARTS) if parts <= one), _MOST_PARTS + 1)
