"""Least recently used out first."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lru:
    """Ranks by when an entry was last used."""

    def rank(self, hits: int, cost_s: float, size: int, floor: float, now: float) -> float:  # noqa: ARG002
        """Return `now`."""
        return now
