"""Rules: which requests they are for, and what tells their keys apart."""

from dataclasses import dataclass, replace
from time import process_time
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.merge.keyed import Keyed
from proxy.core.normalize.form import Form
from proxy.core.normalize.json import Json
from proxy.core.normalize.lower import Lower
from proxy.core.normalize.sort_params import SortParams
from proxy.core.rollout import NORMALIZE, SPLIT
from proxy.core.rules import Rule, default_rule, first_match, host_pattern, path_pattern
from proxy.core.split.query_list import QueryList
from proxy.core.splitting import Splitting
from proxy.core.types import Request

PATHS = {
    "a path without a star is itself": ("/search", [b"/search"], [b"/search/", b"/searching", b"/a/search", b""]),
    "a star stays within one segment": ("/a/*/c", [b"/a/b/c", b"/a//c", b"/a/%2f/c"], [b"/a/b/b/c", b"/a/c"]),
    "a star may be part of a segment": ("/a-*.json", [b"/a-.json", b"/a-1.json"], [b"/a-1/2.json", b"/a-1xjson"]),
    "two stars cross segments": ("/a/**", [b"/a/", b"/a/b", b"/a/b/c"], [b"/a", b"/b/a/"]),
    "two stars may stand in the middle": ("/a/**/z", [b"/a/b/z", b"/a/b/c/z", b"/a//z"], [b"/a/z", b"/a/b/z/y"]),
    "two stars twice": ("/**/a/**/b", [b"/x/a/y/b", b"/x/a/y/a/b/b", b"//a//b"], [b"/x/a/b", b"/x/y/b", b"/x/a/y/c"]),
    "three stars are two and one": ("/***", [b"/", b"/a/b"], [b""]),
    "other letters of patterns mean nothing": ("/a.b+(c)[d]", [b"/a.b+(c)[d]"], [b"/axb+(c)[d]"]),
    "case counts": ("/A", [b"/A"], [b"/a"]),
    "the path is matched as it came": ("/a b", [b"/a b"], [b"/a%20b"]),
    "a letter beyond ASCII is UTF-8": ("/é", ["/é".encode()], [b"/\xe9"]),
    "a line break is a byte like others": ("/*", [b"/a\nb"], [b"/a\n/b"]),
    "two stars cross line breaks": ("/**", [b"/a\n/b"], []),
}


@pytest.mark.parametrize(("glob", "yes", "no"), PATHS.values(), ids=PATHS)
def test_paths(glob, yes, no):
    pattern = path_pattern(glob)
    assert [path for path in [*yes, *no] if pattern.fullmatch(path)] == yes


@given(st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"])), st.binary())
def test_a_path_without_stars_matches_itself_only(glob, other):
    pattern = path_pattern(glob)
    assert pattern.fullmatch(glob.encode())
    assert bool(pattern.fullmatch(other)) == (other == glob.encode())


def seconds_to_match(glob: str) -> float:
    pattern = path_pattern(glob)
    began = process_time()
    for path in (b"/a" * 2**13, b"/" + b"a" * 2**14, b"/" * 2**14):
        pattern.fullmatch(path + b"\n")
    return process_time() - began


@pytest.mark.parametrize("glob", ["/**", "/*", "/**/a/**/b", "/*a*a*b", "/**a/*b"])
@pytest.mark.timeout(10)
def test_no_path_takes_long_to_match(glob):
    """A path is the client's: backtracking over 16 KiB of it may not hold up the loop."""
    assert any(seconds_to_match(glob) < 1.0 for _ in range(3))


HOSTS = {
    "a host without a star is itself": ("example.com", [b"example.com"], [b"www.example.com", b"examplexcom"]),
    "the glob may be in any case": ("Example.COM", [b"example.com"], []),
    "a star stands for labels": ("*.example.com", [b"a.example.com", b"a.b.example.com"], [b"example.com"]),
    "a star never stands for a port": ("example.*", [b"example.com"], [b"example.com:81"]),
    "a port may be written": ("example.com:8080", [b"example.com:8080"], [b"example.com"]),
}


@pytest.mark.parametrize(("glob", "yes", "no"), HOSTS.values(), ids=HOSTS)
def test_hosts(glob, yes, no):
    pattern = host_pattern(glob)
    assert [host for host in [*yes, *no] if pattern.fullmatch(host)] == yes


def rule(name: str = "r", path: str = "/**", **more) -> Rule:
    return Rule(name, path_pattern(path), **more)


METHODS = {
    "an answer to GET, HEAD or QUERY may be kept": (rule(), {"GET", "HEAD", "QUERY"}),
    "POST needs the owner's word that it only reads": (rule(safe=True), {"GET", "HEAD", "POST", "QUERY"}),
    "naming a method is not that word": (rule(methods=frozenset({"POST"})), {"GET", "HEAD", "QUERY"}),
}


@pytest.mark.parametrize(("one", "methods"), METHODS.values(), ids=METHODS)
def test_cacheable_methods(one, methods):
    assert one.cacheable_methods == methods
    assert one.usual_methods == methods - {"QUERY"}, "who names no method does not mean QUERY"


OFFERED = {
    "as it came": (rule(), b'"*/*"'),
    "JSON": (rule(normalizers=(Json(),)), b"application/json"),
    "a form": (rule(normalizers=(Form(),)), b"application/x-www-form-urlencoded"),
}


@pytest.mark.parametrize(("one", "media_types"), OFFERED.values(), ids=OFFERED)
def test_accept_query(one, media_types):
    """RFC 10008 §3."""
    assert one.accept_query == media_types


def test_a_rule_that_offers_query_is_for_it():
    offering = rule(methods=frozenset({"POST"}), offers_query=True)
    assert first_match([offering], Request("QUERY", b"/"), b"h") is offering
    assert first_match([offering], Request("GET", b"/"), b"h") is None


READ = rule("read", "/a", safe=True)
WRITE = rule("write", "/a", methods=frozenset({"PUT"}))
HOSTED = rule("hosted", "/h", host=host_pattern("h"))
MATCHES = {
    "the first rule that matches wins": ("GET", b"/a", b"", "read"),
    "the query is not part of the path": ("GET", b"/a?b", b"", "read"),
    "a rule that is safe takes POST": ("POST", b"/a", b"", "read"),
    "a method that a rule names": ("PUT", b"/a", b"", "write"),
    "a method that no rule takes": ("DELETE", b"/a", b"", None),
    "methods have case": ("get", b"/a", b"", None),
    "a path that no rule takes is the default's": ("GET", b"/b", b"", "default"),
    "the default takes GET and HEAD only": ("POST", b"/b", b"", None),
    "the default takes paths only": ("GET", b"*", b"", None),
    "a host that matches": ("GET", b"/h", b"h", "hosted"),
    "a host that does not": ("GET", b"/h", b"i", "default"),
}


@pytest.mark.parametrize(("method", "target", "host", "name"), MATCHES.values(), ids=MATCHES)
def test_first_match(method, target, host, name):
    found = first_match([READ, WRITE, HOSTED, default_rule()], Request(method, target), host)
    assert (found and found.name) == name


def test_the_default_rule_is_ours_and_leaves_all_to_the_origin():
    ours = default_rule()
    assert (ours.ours, ours.ttl, ours.override, ours.normalizers, ours.safe) == (True, None, frozenset(), (), False)


@dataclass(frozen=True, slots=True)
class Newer(SortParams):
    __qualname__ = "SortParams"
    version: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class Other(SortParams):
    pass


SORTED = rule(normalizers=(SortParams(), Lower(("q",))))
NEW_MEANINGS = {
    "a normalizer more": rule(normalizers=(*SORTED.normalizers, SortParams())),
    "a normalizer less": rule(normalizers=SORTED.normalizers[:1]),
    "another order of them": rule(normalizers=SORTED.normalizers[::-1]),
    "another option": rule(normalizers=(SortParams(), Lower(("p",)))),
    "another version": rule(normalizers=(Newer(), Lower(("q",)))),
    "another normalizer": rule(normalizers=(Other(), Lower(("q",)))),
    "cookies in the key": replace(SORTED, cookies=("a",)),
    "cookies ignored": replace(SORTED, cookies="ignore"),
    "the owner's word for how long": replace(SORTED, ttl=5.0),
    "a field that identifies": replace(SORTED, private_by=(b"authorization",)),
}


@pytest.mark.parametrize("other", NEW_MEANINGS.values(), ids=NEW_MEANINGS)
def test_what_changes_the_meaning_of_a_key_changes_the_signature(other):
    assert other.signature() != SORTED.signature()


@pytest.mark.parametrize(
    "same",
    [replace(SORTED, name="s"), replace(SORTED, max_object=1), replace(SORTED, safe=True)],
    ids=["name", "max_object", "safe"],
)
def test_what_does_not_change_that_meaning_keeps_the_entries(same):
    assert same.signature() == SORTED.signature()


ASTRAY = [
    "/a/../b",
    "/a/..",
    "/a/./b",
    "/a/..%2fb",
    "/a/%2e%2E/b",
    "/a/%252e%252e%252fb",
    "/a/..;/b",
    "/a/..%3bx/b",
    "/a/..\\b",
    "/a%5c..%5cb",
]
STRAIGHT = ["/a/b.html", "/a/...", "/a/..b", "/a/b..", "/a/%2eb", "/a/b;..x", "/a%2fb"]


@pytest.mark.parametrize("path", [*ASTRAY, *STRAIGHT])
def test_a_path_with_dot_segments_is_for_no_rule_of_the_owners(path):
    """The service may answer it with what stands elsewhere; the origin's own word still counts."""
    owners = rule()
    found = first_match([owners, default_rule()], Request("GET", path.encode()), b"h")
    assert (found is owners) is (path in STRAIGHT)
    assert found is not None


SPLITS = Splitting(QueryList("ids"), Keyed("$"))
FEATURES = {
    "neither": (None, (), ()),
    "a split": (SPLITS, (), (SPLIT,)),
    "a normalized key": (None, (SortParams(),), (NORMALIZE,)),
    "both": (SPLITS, (SortParams(),), (SPLIT, NORMALIZE)),
}


@pytest.mark.parametrize(("splitting", "normalizers", "features"), FEATURES.values(), ids=FEATURES)
def test_what_can_be_rolled_out_of_it(splitting, normalizers, features):
    made = Rule(name="shop", path=path_pattern("/shop"), splitting=splitting, normalizers=normalizers)
    assert made.features == features
