"""Durations → quantiles: mergeable, sparse, within 1 % of the true value, or coarser where there is less room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, log

_RATIO = 1.02
"""Each bucket reaches from a power of this to the next; its middle is within 1 % of all it holds."""
_LOG_RATIO = log(_RATIO)
_LEAST = 1e-6
_LEAST_BUCKET = ceil(log(_LEAST) / _LOG_RATIO)
_MICRO = 1_000_000
_COARSEST = 16


@dataclass(slots=True)
class Histogram:
    """Counts of durations (seconds) in logarithmic buckets, with their exact number, sum and maximum.

    A bucket of a histogram with `shift` is 2**shift of the finest.
    """

    n: int = 0
    total: float = 0.0
    most: float = 0.0
    buckets: dict[int, int] = field(default_factory=dict)
    shift: int = 0

    def add(self, seconds: float, times: int = 1) -> None:
        """Count one duration, or as many equal ones; only the finest histograms count."""
        self.n += times
        self.total += seconds * times
        if seconds > self.most:  # noqa: PLR1730  max() costs a call, and this is every request's road
            self.most = seconds
        bucket = ceil(log(seconds) / _LOG_RATIO) if seconds > _LEAST else _LEAST_BUCKET
        self.buckets[bucket] = self.buckets.get(bucket, 0) + times

    def copy(self) -> "Histogram":
        """Return one that counts for itself from now on."""
        return Histogram(self.n, self.total, self.most, dict(self.buckets), self.shift)

    def merge(self, other: "Histogram") -> None:
        """Count all that `other` counted, as coarse as the coarser of both."""
        self.n += other.n
        self.total += other.total
        self.most = max(self.most, other.most)
        self._coarsen(other.shift)
        self._count(other.buckets, self.shift - other.shift)

    def _count(self, buckets: Mapping[int, int], by: int) -> None:
        for bucket, count in buckets.items():
            wider = _wider(bucket, by) if by else bucket
            self.buckets[wider] = self.buckets.get(wider, 0) + count

    def _coarsen(self, shift: int) -> None:
        if shift > self.shift:
            finer, self.buckets = self.buckets, {}
            self._count(finer, shift - self.shift)
            self.shift = shift

    def within(self, most_buckets: int) -> "Histogram":
        """Return it with no more buckets than that: each step makes them twice as wide."""
        narrow = Histogram(self.n, self.total, self.most, self.buckets, self.shift)
        while len(narrow.buckets) > most_buckets:
            narrow._coarsen(narrow.shift + 1)
        return narrow

    def quantile(self, share: float) -> float:
        """Return the duration that `share` (0…1) of all do not exceed; 0.0 where nothing was counted."""
        return self.at_rank(ceil(share * self.n))

    def at_rank(self, rank: int) -> float:
        """Return the duration at this place, the shortest at 1; the longest behind all, 0.0 where nothing was counted."""
        seen, ratio = 0, _RATIO ** (1 << self.shift)
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                middle: float = ratio**bucket * 2 / (1 + ratio)
                return min(middle, self.most)
        return self.most

    def at_most(self, bound: float) -> int:
        """Return how many durations are within `bound` seconds, to the bucket."""
        last = _wider(ceil(log(bound) / _LOG_RATIO), self.shift)
        return sum(count for bucket, count in self.buckets.items() if bucket <= last)

    def written(self, digits: int = 0) -> list[int]:
        """Return it as few small numbers: shift, sum and maximum (µs), then distance and count of each bucket.

        With `digits`, sum and maximum have no more that are not 0.
        """
        told, last = [self.shift, micro(self.total, digits), micro(self.most, digits)], 0
        for bucket in sorted(self.buckets):
            told += (bucket - last, self.buckets[bucket])
            last = bucket
        return told


def read(told: Sequence[int]) -> Histogram:
    """Return what `written` told. Raises ValueError or TypeError for what it never told."""
    shift, total, most, *rest = told
    if not 0 <= shift <= _COARSEST or len(rest) % 2:
        raise ValueError("no histogram")
    buckets, bucket = {}, 0
    for gap, count in zip(rest[::2], rest[1::2], strict=True):
        bucket += gap
        buckets[bucket] = count
    return Histogram(sum(buckets.values()), total / _MICRO, most / _MICRO, buckets, shift)


def to_micro(seconds: float) -> float:
    """Return seconds in whole microseconds."""
    return round(seconds * _MICRO) / _MICRO


def micro(seconds: float, digits: int = 0) -> int:
    """Return microseconds, with `digits` only the first of them."""
    return rounded(round(seconds * _MICRO), digits)


def rounded(whole: int, digits: int = 0) -> int:
    """Return a whole number, with `digits` only the first of its digits."""
    return whole if not digits or whole < 10**digits else round(whole, digits - len(str(whole)))


def _wider(bucket: int, by: int) -> int:
    """Return the bucket of a histogram 2**by times as coarse that holds this one; both include their upper bounds."""
    return -(-bucket >> by)
