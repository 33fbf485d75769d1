"""Entry × now × roll → should it be fetched again already, before a client would have to wait for it.

The likelihood grows towards the end of the ttl with what a fetch takes (XFetch: Vattani, Chierichetti, Lowenstein,
VLDB 2015): who took long is begun early, and of many that were stored together not all at once.
"""

from math import log

from proxy.core.freshness import left
from proxy.core.types import Entry

_MOST_COSTS = 5
_MOST_OF_TTL = 1 / 3
_SURELY_COSTS = 2
"""So many times its cost before its end there is just time for a new one, if the upstream takes longer than usual."""


def is_due(entry: Entry, now: float, roll: float) -> bool:
    """Tell whether a read at `now` should have the entry fetched again; `roll` is a random number in (0, 1]."""
    remains = left(entry, now)
    window = window_s(entry)
    if remains > window:
        return False
    return remains <= _SURELY_COSTS * entry.cost or -entry.cost * log(roll) >= remains


def window_s(entry: Entry) -> float:
    """Return how long before the end of its ttl an entry may be fetched again, in seconds."""
    return min(_MOST_COSTS * entry.cost, entry.ttl * _MOST_OF_TTL)
