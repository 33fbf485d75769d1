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
    "a key that its key is made of": (((b"x-api-key", b"k"),), (b"x-api-key",), False, False),
    "so too as another server spells it": (((b"x_api_key", b"k"),), (b"x-api-key",), False, False),
    "another field than its key is made of": (((b"accept-language", b"de"),), (b"x-api-key",), False, True),
    "a key that its key is not made of": (((b"x-api-key", b"k"),), (), False, True),
    "for the proxy": ((PROXY,), (), False, False),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "private_by", "is_somebody", "is_anybodys"), WHO.values(), ids=WHO)
def test_who_asks(fields, private_by, is_somebody, is_anybodys):
    one = asks(rule(private_by=private_by), "/kept/a", *fields)
    assert (one.is_somebody, one.is_anybodys) == (is_somebody, is_anybodys)


def test_the_client_sent_what_it_sent():
    """A QUERY may go up as another method."""
    one, sent = asks(rule()), Request("QUERY", b"/kept/a")
    assert one.client is one.request
    assert not one.is_raw
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


AGENT = (b"user-agent", b"a phone")
TYPE = (b"content-type", b"application/json")
LENGTH = b"content-length"
# what this one's client says, and the other's; what is asked then
IN_OTHER_WORDS = {
    "another query": ((), b"", (), b"", ()),
    "its own fields stay, the other's are not taken": ((AGENT,), b"", (COOKIE, BASIC), b"", (AGENT,)),
    "a body, with its length": ((TYPE, (LENGTH, b"2")), b"{}", ((LENGTH, b"3"),), b"{ }", (TYPE, (LENGTH, b"3"))),
    "of an empty one too": ((TYPE, (LENGTH, b"2")), b"{}", (), b"", (TYPE, (LENGTH, b"0"))),
    "no length where none was sent": ((TYPE,), b"{}", ((LENGTH, b"3"),), b"{ }", (TYPE,)),
}


@pytest.mark.parametrize(
    ("fields", "body", "theirs", "their_body", "sent"), IN_OTHER_WORDS.values(), ids=IN_OTHER_WORDS
)
def test_one_may_be_asked_in_the_words_of_another(fields, body, theirs, their_body, sent):
    """What was kept for one spelling is asked again as it was spelled, by whoever finds it."""
    one = asks(rule(), "/kept/a?x=1&y=2", *fields, body=body)
    other = asks(rule(), "/kept/a?y=2&x=1", *theirs, body=their_body)
    made = one.in_words_of(other)
    assert made.is_spelled(other)
    host = (b"host", b"site.test")
    assert made.request == replace(one.request, target=b"/kept/a?y=2&x=1", body=their_body, headers=(host, *sent))
    assert (made.rule, made.line, made.directives) == (one.rule, one.line, one.directives)
    assert not one.is_spelled(other), "it is asked anew, and not changed"
