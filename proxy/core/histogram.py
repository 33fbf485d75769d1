"""Durations → quantiles: mergeable, sparse, within 1 % of the true value."""

from dataclasses import dataclass, field
from math import ceil, log

_RATIO = 1.02
"""Each bucket reaches from a power of this to the next; its middle is within 1 % of all it holds."""
_LOG_RATIO = log(_RATIO)
_LEAST = 1e-6


@dataclass(slots=True)
class Histogram:
    """Counts of durations (seconds) in logarithmic buckets, with their exact number, sum and maximum."""

    n: int = 0
    total: float = 0.0
    most: float = 0.0
    buckets: dict[int, int] = field(default_factory=dict)

    def add(self, seconds: float, times: int = 1) -> None:
        """Count one duration, or as many equal ones."""
        self.n += times
        self.total += seconds * times
        self.most = max(self.most, seconds)
        bucket = ceil(log(seconds) / _LOG_RATIO) if seconds > _LEAST else ceil(log(_LEAST) / _LOG_RATIO)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + times

    def merge(self, other: "Histogram") -> None:
        """Count all that `other` counted."""
        self.n += other.n
        self.total += other.total
        self.most = max(self.most, other.most)
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count

    def quantile(self, share: float) -> float:
        """Return the duration that `share` (0…1) of all do not exceed; 0.0 where nothing was counted."""
        return self.at_rank(ceil(share * self.n))

    def at_rank(self, rank: int) -> float:
        """Return the duration at this place, the shortest at 1; the longest behind all, 0.0 where nothing was counted."""
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                middle: float = _RATIO**bucket * 2 / (1 + _RATIO)
                return min(middle, self.most)
        return self.most

    def at_most(self, bound: float) -> int:
        """Return how many durations are within `bound` seconds, to the bucket."""
        last = ceil(log(bound) / _LOG_RATIO)
        return sum(count for bucket, count in self.buckets.items() if bucket <= last)
