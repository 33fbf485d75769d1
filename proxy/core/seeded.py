"""Rolls that come out the same each time: for reports and decisions that anybody can repeat to the digit."""

from collections.abc import Callable
from itertools import count
from typing import Final

_WORD: Final = 2**64 - 1
_STEP: Final = 0x9E3779B97F4A7C15


def seeded(seed: int) -> Callable[[], float]:
    """Return a roll (0 ≤ x < 1) whose sequence depends on the seed alone; it is SplitMix64, and no secret."""
    states = count(seed + _STEP, _STEP)

    def roll() -> float:
        word = next(states) & _WORD
        word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 & _WORD
        word = (word ^ (word >> 27)) * 0x94D049BB133111EB & _WORD
        return ((word ^ (word >> 31)) >> 11) / 2**53

    return roll
