"""The values that travel the road: what a request's target, its fields and a response's fields say."""

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.types import SAFE_METHODS, Client, Entry, Outcome, Query, Request, Response, joined

TARGETS = {
    "a path without a query": (b"/a/b", b"/a/b", b""),
    "the first ? ends the path": (b"/a?b=1", b"/a", b"b=1"),
    "a later ? belongs to the query": (b"/a?b?c", b"/a", b"b?c"),
    "an empty query is no query": (b"/a?", b"/a", b""),
    "nothing is decoded": (b"/%2e/a%3Fb?%26", b"/%2e/a%3Fb", b"%26"),
    "the asterisk form has neither": (b"*", b"*", b""),
    "an empty path may have a query": (b"?a", b"", b"a"),
}


@pytest.mark.parametrize(("target", "path", "query"), TARGETS.values(), ids=TARGETS)
def test_target(target, path, query):
    request = Request("GET", target)
    assert (request.path, request.query) == (path, query)


JOINED = {
    "an absent field is None": ((), None),
    "a field with an empty value is not absent": (((b"a", b""),), b""),
    "one value stays as it is": (((b"a", b" x,y "),), b" x,y "),
    "RFC 9110 §5.3: several lines are one list, in order": (((b"a", b"1"), (b"b", b"2"), (b"a", b"3")), b"1, 3"),
    "other names are not looked at": (((b"aa", b"1"),), None),
}


@pytest.mark.parametrize(("headers", "value"), JOINED.values(), ids=JOINED)
def test_joined_fields(headers, value):
    assert joined(headers, b"a") == value
    assert Request("GET", b"/", headers).header(b"a") == value
    assert Response(200, headers).header(b"a") == value


SHOWN = {
    "as it came": (b"/a%20b?c=1", "/a%20b"),
    "bytes that are no text": (b"/\xff", "/\\xff"),
    "an @ in a path": (b"/@bob:x@y", "/@bob:x@y"),
    "credentials before an authority": (b"bob:hunter2@host:80", "host:80"),
    "credentials in a scheme of somebody's": (b"foo://bob:hunter2@host/path?q", "host/path"),
    "the whole server": (b"*", "*"),
}


@pytest.mark.parametrize(("target", "shown"), SHOWN.values(), ids=SHOWN)
def test_credentials_in_a_target_were_shown_in_the_log(target, shown):
    assert Request("CONNECT", target).shown_path == shown


@given(st.binary(), st.binary())
def test_path_and_query_are_the_whole_target(path, query):
    request = Request("GET", path.replace(b"?", b"") + b"?" + query)
    assert request.path + b"?" + request.query == request.target


def test_the_outcomes_of_the_contract():
    words = "hit stale miss expired revalidated partial collapsed passthrough error"
    assert " ".join(Outcome) == words


def test_methods_that_only_read_by_definition():
    """RFC 9110 §9.2.1; QUERY is one too, but a legacy service may know less."""
    assert SAFE_METHODS == {"GET", "HEAD", "OPTIONS", "TRACE"}  # noqa: SIM300  the constant is what is tested


@pytest.mark.parametrize(
    "value",
    [
        Client(), Request("GET", b"/"), Response(200), Query("GET", b"h", b"/"), Entry(200, (), b"", 0.0, 0.0),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_travels_is_frozen_and_takes_no_new_attributes(value):
    with pytest.raises(FrozenInstanceError):
        setattr(value, next(iter(value.__slots__)), None)
    assert not hasattr(value, "__dict__")
