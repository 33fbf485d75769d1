"""Whose turn it is upstream, by what a request says of itself."""

import pytest

from proxy.core.fair_queue import Priority
from proxy.core.priority import priority_of
from proxy.core.types import Request

SAID = {
    b"u=7": Priority.WARM,
    b"i, u=7": Priority.WARM,
    b"u=6": Priority.CLIENT,
    b"u=0, i": Priority.CLIENT,
    b"u=7.0": Priority.CLIENT,
    b"u=(7)": Priority.CLIENT,
    b'u="7"': Priority.CLIENT,
    b"i": Priority.CLIENT,
    b"": Priority.CLIENT,
    b"u=7,,": Priority.CLIENT,
}


@pytest.mark.parametrize(("said", "priority"), SAID.items(), ids=map(repr, SAID))
def test_only_the_lowest_urgency_gives_way(said, priority):
    assert priority_of(Request("GET", b"/", ((b"priority", said),))) is priority


def test_who_says_nothing_is_a_client():
    assert priority_of(Request("GET", b"/")) is Priority.CLIENT
