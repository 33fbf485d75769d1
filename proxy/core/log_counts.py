"""What a log's lines add up to: counts, sums and timings, each line by the weight that its sampling gives it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.core.histogram import Histogram

MOST_WORDS: Final = 2_000
"""Different words of one kind that are told apart; a log of ours has a few dozen."""
MOST_WORD: Final = 200
OTHERS: Final = "(others)"
_MOST: Final = 1e15
_LEAST_RATE: Final = 1e-6


def number(fields: Mapping[str, Any], name: str) -> float:
    """Return a field that is a number from 0 to 10^15; 0.0 for all else."""
    value = fields.get(name)
    return float(value) if (type(value) is float or type(value) is int) and 0 <= value <= _MOST else 0.0


def word(fields: Mapping[str, Any], name: str) -> str:
    """Return a field that is text, at most 200 characters of it; empty text for all else."""
    value = fields.get(name)
    return value[:MOST_WORD] if type(value) is str else ""


def weight(fields: Mapping[str, Any]) -> float:
    """Return for how many lines one stands: 1/sample_rate where it has that."""
    rate = fields.get("sample_rate")
    return 1 / rate if (type(rate) is float or type(rate) is int) and _LEAST_RATE <= rate <= 1 else 1.0


@dataclass(slots=True)
class Counts:
    """Weighted counts by word; beyond 2000 different ones, the rest together."""

    by_word: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, count: float) -> None:
        """Count a word."""
        if name not in self.by_word and len(self.by_word) >= MOST_WORDS:
            name = OTHERS
        self.by_word[name] = self.by_word.get(name, 0.0) + count

    def told(self) -> dict[str, int]:
        """Return whole numbers, the greatest first."""
        return {name: round(count) for name, count in sorted(self.by_word.items(), key=lambda one: (-one[1], one[0]))}


@dataclass(slots=True)
class Timings:
    """Weighted durations, in seconds; of 1/0.3 lines each, 3, 3 and 4 are counted in turn."""

    timed: Histogram = field(default_factory=Histogram)
    n: float = 0.0
    _carried: float = 0.0

    def add(self, seconds: float, stands_for: float) -> None:
        """Count one line's duration."""
        self.n += stands_for
        if stands_for == 1.0:
            self.timed.add(seconds)
            return
        self._carried += stands_for
        times = int(self._carried + 1e-9)  # ten times 1/0.3 are a hair less than 33.3
        self._carried -= times
        self.timed.add(seconds, times)

    def told(self) -> dict[str, float]:
        """Return the number and the quantiles."""
        quantiles = {f"p{int(100 * share)}_s": round(self.timed.quantile(share), 6) for share in (0.5, 0.9, 0.99)}
        return {"n": round(self.n), **quantiles, "max_s": self.timed.most}
