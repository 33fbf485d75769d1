"""Arms that are forced: by the bearer of the admin token, or by an alias of a rule's path."""

import pytest

from proxy.core.arms import is_bearer, matched, without_token
from proxy.core.rules import Rule, default_rule, host_pattern, path_pattern
from proxy.core.types import Request

TOKEN = b"s3cret-token"
OURS = (b"authorization", b"Bearer s3cret-token")
THEIRS = (b"authorization", b"Bearer another")
HOST = (b"host", b"site.test")


def arm(value):
    return (b"frontrunner-arm", value)


BEARERS = {
    "the token": (b"Bearer s3cret-token", True),
    "in any case of the scheme": (b"bEARER  s3cret-token ", True),
    "another": (b"Bearer s3cret-tokem", False),
    "half of it": (b"Bearer s3cret-toke", False),
    "more than it": (b"Bearer s3cret-tokenx", False),
    "without a scheme": (b"s3cret-token", False),
    "another scheme": (b"Basic s3cret-token", False),
    "nothing": (b"", False),
    "bytes beyond ASCII": (b"Bearer \xff", False),
}


@pytest.mark.parametrize(("value", "yes"), BEARERS.values(), ids=BEARERS)
def test_is_bearer(value, yes):
    assert is_bearer(value, TOKEN) is yes


def test_nobody_bears_an_empty_token():
    assert not is_bearer(b"Bearer ", b"")


FIELDS = {
    "nothing": ([HOST], [HOST], None),
    "an arm from nobody": ([HOST, arm(b"candidate")], [HOST, arm(b"candidate")], None),
    "an arm from somebody else": ([THEIRS, arm(b"candidate")], [THEIRS, arm(b"candidate")], None),
    "a candidate": ([OURS, HOST, arm(b"candidate")], [HOST], "candidate"),
    "a control": ([HOST, arm(b"control"), OURS], [HOST], "control"),
    "in capitals": ([arm(b" Candidate "), OURS], [], "candidate"),
    "an unknown arm": ([HOST, OURS, arm(b"both")], [HOST], None),
    "an empty one": ([OURS, arm(b"")], [], None),
    "two of them": ([OURS, arm(b"candidate"), arm(b"control")], [], None),
    "the token alone goes no further": ([HOST, OURS], [HOST], None),
    "the client's own credentials do": ([THEIRS, OURS, arm(b"control")], [THEIRS], "control"),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "left", "forced"), FIELDS.values(), ids=FIELDS)
def test_the_token_forces_an_arm_and_stays_here(sent, left, forced):
    request, found = without_token(Request("GET", b"/a?b", tuple(sent), b"body"), TOKEN)
    assert (request, found) == (Request("GET", b"/a?b", tuple(left), b"body"), forced)


def test_a_request_of_others_is_the_very_same():
    request = Request("GET", b"/a", (THEIRS, arm(b"candidate")))
    assert without_token(request, TOKEN)[0] is request


def ruled(name, path, **more):
    return Rule(name, path_pattern(path), own_path=path.encode(), **more)


QUERY = ruled(
    "query", "/query", methods=frozenset({"POST"}), safe=True, host=host_pattern("site.test"),
    aliases={b"/query-hybrid": "candidate", b"/query-plain": "control", b"/other": "control"},
)  # fmt: skip
WIDE = ruled("wide", "/query-*")
OTHER = ruled("other", "/elsewhere", aliases={b"/other": "candidate"})
RULES = (WIDE, QUERY, OTHER, default_rule())

MATCHES = {
    "its own path": ("POST", b"/query?a=1", b"/query?a=1", "query", None),
    "an alias": ("POST", b"/query-hybrid", b"/query", "query", "candidate"),
    "its query is kept": ("POST", b"/query-plain?a=/query-hybrid", b"/query?a=/query-hybrid", "query", "control"),
    "an empty query too": ("POST", b"/query-plain?", b"/query?", "query", "control"),
    "of another method it is no alias": ("GET", b"/query-hybrid", b"/query-hybrid", "wide", None),
    "the same alias of another rule": ("GET", b"/other", b"/elsewhere", "other", "candidate"),
    "by the same alias the first rule": ("POST", b"/other", b"/query", "query", "control"),
    "more than an alias": ("GET", b"/query-hybrid/a", b"/query-hybrid/a", "default", None),
    "an alias written in another way": ("GET", b"/query%2dhybrid", b"/query%2dhybrid", "default", None),
    "nobody's": ("PUT", b"/query-hybrid", b"/query-hybrid", None, None),
}


@pytest.mark.parametrize(("method", "target", "own", "name", "forced"), MATCHES.values(), ids=MATCHES)
def test_an_alias_is_its_rules_own_path(method, target, own, name, forced):
    request, rule, found = matched(RULES, Request(method, target, (HOST,)), b"site.test")
    assert (request, rule and rule.name, found) == (Request(method, own, (HOST,)), name, forced)


def test_on_another_host_it_is_no_alias():
    request, rule, found = matched(RULES, Request("POST", b"/query-hybrid"), b"another.test")
    assert (request.target, rule, found) == (b"/query-hybrid", None, None)


def test_a_rule_behind_another_for_its_path_has_no_aliases():
    """What the first rule decides for the path itself, it decides for the alias too: it is not its alias."""
    hidden = ruled("hidden", "/a", aliases={b"/b": "candidate"})
    request, rule, found = matched((ruled("all", "/*"), hidden), Request("GET", b"/b"), b"")
    assert (request.target, rule and rule.name, found) == (b"/b", "all", None)
