"""What became of a request → our member of Cache-Status (RFC 9211 §2)."""

import re

import pytest

from proxy.core import cache_status
from proxy.core.reasons import Reason
from proxy.core.structured import Token, items
from proxy.core.types import Outcome

# RFC 8941: a member of a list is an item with parameters; ours are tokens, integers and true booleans.
_MEMBER = re.compile(
    rb"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*(?:; [a-z][a-z0-9_\-]*(?:=(?:-?\d{1,15}|[A-Za-z*][!#-'*+.^-z|~:/\-0-9]*))?)*"
)

HITS = {
    "§2.1, §2.4: a hit says how long it is still fresh": (60.0, b"Frontrunner; hit; ttl=60"),
    "§2.4: whole seconds": (59.9, b"Frontrunner; hit; ttl=59"),
    "§2.4: the last moment": (0.4, b"Frontrunner; hit; ttl=0"),
    "§2.4: stale is negative": (-120.0, b"Frontrunner; hit; ttl=-120"),
}


@pytest.mark.parametrize(("ttl", "member"), HITS.values(), ids=HITS)
def test_hit(ttl, member):
    assert cache_status.hit(ttl) == member


STORED, COLLAPSED = {"stored": True}, {"collapsed": True}
FORWARDED = {
    "§2.2: nothing was there": (Outcome.MISS, None, {}, b"fwd=uri-miss"),
    "§2.5: and now it is": (Outcome.MISS, None, STORED, b"fwd=uri-miss; stored"),
    "§2.2: what was there is stale": (Outcome.EXPIRED, None, STORED, b"fwd=stale; stored"),
    "§2.6: another's fetch answered": (Outcome.COLLAPSED, None, COLLAPSED, b"fwd=uri-miss; collapsed"),
    "§2.5, §2.6: and was stored": (
        Outcome.COLLAPSED, None, {**STORED, **COLLAPSED}, b"fwd=uri-miss; stored; collapsed",
    ),
    "§2.2: no rule": (Outcome.PASSTHROUGH, Reason.NO_RULE, {}, b"fwd=bypass; detail=no_rule"),
    "§2.2: a method that cannot be answered from a store": (
        Outcome.PASSTHROUGH, Reason.METHOD, {}, b"fwd=method; detail=method",
    ),
    "§2.2: the client wants nothing stored, and nothing was looked up": (
        Outcome.PASSTHROUGH, Reason.REQUEST_NO_STORE, {}, b"fwd=bypass; detail=request_no_store",
    ),
    "§2.2: something fresh was there, the client wants a new one": (
        Outcome.MISS, Reason.REQUEST_NO_CACHE, STORED, b"fwd=request; stored; detail=request_no_cache",
    ),
    "§2.7: why it was not stored": (Outcome.MISS, Reason.NO_TTL, {}, b"fwd=uri-miss; detail=no_ttl"),
    "§2.7: why it was not stored again": (Outcome.EXPIRED, Reason.NO_STORE, {}, b"fwd=stale; detail=no_store"),
    "§2.2: an answer that varies by everything is no vary-miss, since nothing was there": (
        Outcome.MISS, Reason.VARY, {}, b"fwd=uri-miss; detail=vary",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("outcome", "reason", "more", "parameters"), FORWARDED.values(), ids=FORWARDED)
def test_forwarded(outcome, reason, more, parameters):
    assert cache_status.forwarded(outcome, reason, **more) == b"Frontrunner; " + parameters


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("reason", [None, *Reason])
def test_every_form_is_a_member_of_a_structured_list(outcome, reason):
    member = cache_status.forwarded(outcome, reason, stored=True, collapsed=True)
    assert _MEMBER.fullmatch(member)
    assert re.search(rb"; fwd=(bypass|method|uri-miss|vary-miss|miss|request|stale|partial)(;|$)", member)
    assert b"hit" not in member.split(b"; detail=")[0]


COMPOSITE = {
    "§2.2: some parts were there": (8, 6, {}, b'fwd=partial; detail="parts=8;hit=6"'),
    "§2.2: none was": (8, 0, STORED, b'fwd=uri-miss; stored; detail="parts=8;hit=0"'),
    "§2.5, §2.6: and now they are, some by another's fetch": (
        8, 7, {**STORED, **COLLAPSED}, b'fwd=partial; stored; collapsed; detail="parts=8;hit=7"',
    ),
    "§2.1, §2.4: all were, one of them for a minute": (3, 3, {"ttl": 60.5}, b'hit; ttl=60; detail="parts=3;hit=3"'),
}  # fmt: skip


@pytest.mark.parametrize(("parts", "hits", "more", "parameters"), COMPOSITE.values(), ids=COMPOSITE)
def test_an_answer_made_of_parts_tells_how_many_were_there(parts, hits, more, parameters):
    member = cache_status.composite(parts, hits, **more)
    assert member == b"Frontrunner; " + parameters
    (item,) = items(member)
    assert item.value == Token("Frontrunner")
    assert item.params["detail"] == f"parts={parts};hit={hits}"
    assert ("hit" in item.params) != ("fwd" in item.params)


def test_the_name_of_the_field():
    assert cache_status.NAME == b"cache-status"
    assert _MEMBER.fullmatch(cache_status.hit(1.0))


def test_what_was_confirmed_tells_the_upstreams_status():
    """RFC 9211 §2.3."""
    forwarded = cache_status.forwarded(Outcome.REVALIDATED, None, status=304, stored=True)
    assert forwarded == b"Frontrunner; fwd=stale; fwd-status=304; stored"


def test_what_bridges_a_failure_tells_which():
    """RFC 9211 §2.7."""
    assert cache_status.hit(-5, Reason.UPSTREAM_REFUSED) == b"Frontrunner; hit; ttl=-5; detail=upstream_refused"
