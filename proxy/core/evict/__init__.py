"""Which entry has to go when a store is full: the one whose rank is lowest.

A rank only grows while an entry is kept, so a store may remember it and look again only at the one that is to go. To add
a policy: a file here, named like its word in the config.
"""

from typing import Protocol


class Evict(Protocol):
    """One way to rank entries; pure."""

    def rank(self, hits: int, cost_s: float, size: int, floor: float, now: float) -> float:
        """Return the rank of an entry that was just written or read.

        `hits` is how often that was, `cost_s` the upstream seconds it took, `size` its bytes; `floor` is the rank of the
        last one that had to go, and `now` only grows.
        """
        ...
