"""Whose turn it is upstream, by what a request says of itself."""

import pytest

from proxy.core.fair_queue import Priority
from proxy.core.priority import SHADOW, priority_of
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


@pytest.mark.parametrize("more", [(), ((b"priority", b"u=0"),), ((b"priority", b"u=7"),)], ids=["alone", "u=0", "u=7"])
def test_what_is_asked_to_compare_answers_comes_behind_all_others(more):
    """Whatever it says besides: it goes up with the fields of the request that it is compared with."""
    assert priority_of(Request("GET", b"/", (*more, SHADOW))) is Priority.SHADOW


def test_the_field_is_the_one_of_the_contract():
    assert SHADOW == (b"frontrunner-shadow", b"1")
