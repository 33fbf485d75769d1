"""Cut → keys: which parts share one, and what keeps them apart."""

from itertools import combinations

import pytest

from proxy.core.composite import Part
from proxy.core.key import Scope, key_of, query_of
from proxy.core.merge.concat import Concat
from proxy.core.merge.keyed import Keyed
from proxy.core.normalize.drop_params import DropParams
from proxy.core.part_key import around_key, part_keys, signature
from proxy.core.rules import Rule, path_pattern
from proxy.core.split.query_list import QueryList
from proxy.core.types import Request

RULE = Rule("r", path_pattern("/**"), normalizers=(DropParams(("utm",)),))
SCOPE = Scope.of("legacy", "http://legacy:8000", RULE, b"s" * 16)
BY, MERGE = QueryList("ids"), Keyed("$.items")
MEANING = signature(BY, MERGE)


def frame_key(target):
    cut = BY.plan(Request("GET", target))
    return key_of(query_of(cut.frame, RULE, b"h", b"s" * 16), SCOPE)


def keys(target, meaning=MEANING):
    return part_keys(frame_key(target), meaning, BY.plan(Request("GET", target)).parts)


def test_equal_parts_of_requests_that_mean_the_same_around_them_share_a_key():
    assert keys(b"/x?ids=1,2&utm=a")[1] == keys(b"/x?utm=b&ids=2,3,2")[0]
    three = keys(b"/x?ids=2,3,2")
    assert three[0] == three[2] != three[1]
    assert around_key(frame_key(b"/x?ids=1&utm=a"), MEANING) == around_key(frame_key(b"/x?ids=2,3"), MEANING)


@pytest.mark.parametrize("target", [b"/y?ids=1", b"/x?ids=01", b"/x?ids=1&a", b"/x?a&ids=1"])
def test_whatever_else_differs_keeps_them_apart(target):
    assert keys(target) != keys(b"/x?ids=1")


MEANINGS = {
    "as it is": MEANING,
    "another option of the splitter": signature(QueryList("ids", deny_params=("a",)), MERGE),
    "another option of the merge": signature(BY, Keyed("$.items", missing="omit")),
    "another merge": signature(BY, Concat("$.items", by="$.id")),
    "another generation": signature(BY, MERGE, 1),
}


@pytest.mark.parametrize(("one", "other"), [*combinations(MEANINGS, 2)])
def test_what_reads_or_cuts_otherwise_has_keys_of_its_own(one, other):
    assert keys(b"/x?ids=1", MEANINGS[one]) != keys(b"/x?ids=1", MEANINGS[other])
    frame = frame_key(b"/x?ids=1")
    assert around_key(frame, MEANINGS[one]) != around_key(frame, MEANINGS[other])


def test_another_version_has_keys_of_its_own(monkeypatch):
    monkeypatch.setattr(Keyed, "version", 2)
    assert signature(BY, MERGE) != MEANING


def test_a_frame_is_no_part():
    frame = frame_key(b"/x?ids=1")
    assert around_key(frame, MEANING) not in part_keys(frame, MEANING, [Part(b"", b"")])


def test_exact_keys():
    """A change here empties every store in use of its parts: it belongs to a release that raises a version."""
    assert [key.hex() for key in part_keys(b"k" * 20, b"m" * 8, [Part(b"1", b"1"), Part(b"", b"")])] == [
        "566da2bce024fd42f79ef67a13d3bd955feb57ba",
        "2f11610e6b390bf56ab4f7ac5a54299c9435d808",
    ]
    assert around_key(b"k" * 20, b"m" * 8).hex() == "47c4c9dbcccfd673ecb714392591cd21d1902fac"
