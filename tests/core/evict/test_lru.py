"""Least recently used: only when counts."""

from proxy.core.evict.lru import Lru


def test_the_rank_is_when_it_was_used():
    """Neither how often, nor what it cost, nor how large it is."""
    assert Lru().rank(1, 60.0, 10, 5.0, 7.0) == Lru().rank(9, 0.1, 10**6, 0.0, 7.0) == 7.0
