"""The least upstream seconds per byte out first: Greedy Dual Size Frequency with measured cost.

The floor rises with each one that goes: what was worth much once and is not asked for any more is overtaken in time.
"""

from dataclasses import dataclass

_LEAST_COST_S = 0.001
"""An answer that took no time to speak of is still worth more than none."""


@dataclass(frozen=True, slots=True)
class Gdsf:
    """Ranks by the upstream seconds that an entry has saved, or will, per byte that it takes."""

    def rank(self, hits: int, cost_s: float, size: int, floor: float, now: float) -> float:  # noqa: ARG002
        """Return the floor and the seconds per byte above it."""
        return floor + hits * max(cost_s, _LEAST_COST_S) / size
