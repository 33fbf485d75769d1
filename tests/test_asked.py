"""What one request says of who asks, and in which words."""

from dataclasses import replace

import pytest
from trusted import asks
from world import rule

from proxy.core.types import Request

COOKIE, BASIC = (b"cookie", b"a=1"), (b"authorization", b"Basic anna")
PROXY = (b"proxy-authorization", b"Basic anna")

# name → its fields, what its key says whose it is by, whether its answer may be its client's own, whether it may be asked for nobody
WHO = {
    "nobody": ((), (), False, True),
    "a field that says nothing of it": (((b"accept-language", b"de"),), (), False, True),
    "a cookie": ((COOKIE,), (), True, False),
    "credentials": ((BASIC,), (), True, False),
    "credentials that are in its key": ((BASIC,), (b"authorization",), False, False),
    "those, and a cookie": ((BASIC, COOKIE), (b"authorization",), True, False),
    "for the proxy": ((PROXY,), (), False, False),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "private_by", "is_somebody", "is_anybodys"), WHO.values(), ids=WHO)
def test_who_asks(fields, private_by, is_somebody, is_anybodys):
    one = asks(rule(private_by=frozenset(private_by)), "/kept/a", *fields)
    assert (one.is_somebody, one.is_anybodys) == (is_somebody, is_anybodys)


def test_the_client_sent_what_it_sent():
    """A QUERY may go up as another method."""
    one, sent = asks(rule()), Request("QUERY", b"/kept/a")
    assert one.client is one.request
    assert replace(one, as_sent=sent).client is sent


WORDS = {
    "the same": (("/kept/a?x=1",), True),
    "by somebody else": (("/kept/a?x=1", COOKIE), True),
    "another query": (("/kept/a?x=1&y=2",), False),
    "escaped otherwise": (("/kept/%61?x=1",), False),
}


@pytest.mark.parametrize(("other", "is_spelled"), WORDS.values(), ids=WORDS)
def test_two_requests_in_the_same_words(other, is_spelled):
    assert asks(rule(), "/kept/a?x=1").is_spelled(asks(rule(), *other)) is is_spelled


def test_a_body_is_among_the_words():
    one, same, other = (asks(rule(), "/kept/a", body=body) for body in (b"{}", b"{}", b"{ }"))
    assert (one.is_spelled(same), one.is_spelled(other)) == (True, False)
