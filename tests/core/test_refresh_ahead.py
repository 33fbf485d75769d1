"""When a read has an entry fetched again before its ttl ends: by its measured cost, and a little by chance."""

import random
from math import exp

import pytest

from proxy.core.refresh_ahead import is_due, window_s
from proxy.core.types import Entry

TTL = 3600.0


def entry(cost: float, ttl: float = TTL) -> Entry:
    return Entry(200, (), b"", stored_at=0.0, ttl=ttl, cost=cost)


@pytest.mark.parametrize(
    ("cost", "ttl", "window"),
    [(60.0, TTL, 300.0), (0.1, TTL, 0.5), (60.0, 300.0, 100.0), (0.0, TTL, 0.0)],
    ids=["five times its cost", "however cheap", "at most a third of the ttl", "what took no time is never due"],
)
def test_the_window(cost: float, ttl: float, window: float):
    assert window_s(entry(cost, ttl)) == pytest.approx(window)


@pytest.mark.parametrize(
    ("remains", "roll", "due"),
    [
        (301.0, 1e-9, False),
        (299.0, 0.9, False),
        (299.0, exp(-299 / 60) * 0.99, True),
        (299.0, exp(-299 / 60) * 1.01, False),
        (120.0, 1.0, True),
        (1.0, 1.0, True),
    ],
    ids=["before the window", "unlikely early", "rolled", "not rolled", "surely at twice its cost", "at its end"],
)
def test_a_read_in_the_window(remains: float, roll: float, *, due: bool):
    assert is_due(entry(60.0), TTL - remains, roll) is due


def test_the_age_that_it_came_with_counts():
    old = Entry(200, (), b"", stored_at=0.0, ttl=TTL, age=TTL - 10, cost=60.0)
    assert is_due(old, 0.0, 1.0)


def test_of_many_that_were_stored_together_not_all_are_fetched_at_once():
    """Each is read once a second: their fetches begin spread over the window."""
    rolls = random.Random(1)
    began = [next(t for t in range(3300, 3600) if is_due(entry(60.0), t, 1 - rolls.random())) for _ in range(200)]
    assert len(set(began)) > 50
    assert max(began) - min(began) > 60
