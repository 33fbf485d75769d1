"""Entry × now → deliver or fetch (RFC 9111 §4.2), and what the client's directives change (§5.2.1)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.cache_control import parse
from proxy.core.freshness import Act, age_of, bridges, judge, left, softened, wants_newer
from proxy.core.reasons import Reason
from proxy.core.types import Entry, Outcome

AT = 1_000_000.0


def entry(ttl: float = 60.0, age: float = 0.0, **more) -> Entry:
    return Entry(200, (), b"", stored_at=AT, ttl=ttl, age=age, **more)


AGES = {
    "§4.2.3: an entry is as old as it has been here": (entry(), 10, 10, 50),
    "§4.2.3: the upstream's own Age counts in": (entry(age=15), 10, 25, 35),
    "parts of a second count": (entry(), 0.25, 0.25, 59.75),
    "§4.2: past its lifetime what is left is negative": (entry(age=5), 70, 75, -15),
    "a clock that goes back makes nothing younger than it came": (entry(age=15), -100, 15, 45),
}


@pytest.mark.parametrize(("stored", "later", "age", "remains"), AGES.values(), ids=AGES)
def test_age_and_what_is_left(stored, later, age, remains):
    assert (age_of(stored, AT + later), left(stored, AT + later)) == (age, remains)


@pytest.mark.parametrize(("later", "remains"), [(0, 0), (10, 0), (59, 0), (70, -10)])
def test_what_is_made_stale_has_no_time_left_and_gains_none(later, remains):
    stale = softened(entry(), AT + later)
    assert left(stale, AT + later) == remains
    assert judge(stale, AT + later + 1, parse(None)).act is not Act.DELIVER


HIT = (Act.DELIVER, Outcome.HIT, None)
MISS = (Act.FETCH, Outcome.MISS, None)
EXPIRED = (Act.FETCH, Outcome.EXPIRED, None)
TOLERATED = (Act.DELIVER, Outcome.STALE, Reason.REQUEST_MAX_STALE)
ASKED_FOR_NEW = (Act.FETCH, Outcome.MISS, Reason.REQUEST_NO_CACHE)

VERDICTS = {
    "nothing stored": (None, 0, b"", MISS),
    "fresh": (entry(), 59.9, b"", HIT),
    "§4.2: fresh means that the lifetime exceeds the age": (entry(), 60, b"", EXPIRED),
    "expired": (entry(), 61, b"", EXPIRED),
    "§5.2.1.1: as old as the client takes": (entry(), 10, b"max-age=10", HIT),
    "§5.2.1.1: older than the client takes": (entry(), 10.5, b"max-age=10", ASKED_FOR_NEW),
    "§5.2.1.1: the upstream's Age counts in": (entry(age=10), 1, b"max-age=10", ASKED_FOR_NEW),
    "§5.2.1.1: max-age=0 takes only what is of this moment": (entry(), 0.1, b"max-age=0", ASKED_FOR_NEW),
    "§5.2.1.1: a max-age that makes no sense is 0": (entry(), 0.1, b"max-age=soon", ASKED_FOR_NEW),
    "§5.2.1.1: a large max-age makes nothing fresh": (entry(), 61, b"max-age=999", EXPIRED),
    "§5.2.1.2: the client takes what is stale": (entry(), 9999, b"max-stale", TOLERATED),
    "§5.2.1.2: for as long as it says": (entry(), 70, b"max-stale=10", TOLERATED),
    "§5.2.1.2: no longer": (entry(), 70.5, b"max-stale=10", EXPIRED),
    "§5.2.1.2: what makes no sense is nothing": (entry(), 61, b"max-stale=x", EXPIRED),
    "§5.2.1.2: never older than it wants": (entry(), 61, b"max-stale, max-age=60", EXPIRED),
    "§4.2.4: never what must not be stale": (entry(strict=True), 61, b"max-stale", EXPIRED),
    "§5.2.1.3: fresh for as long as the client wants": (entry(), 50, b"min-fresh=10", HIT),
    "§5.2.1.3: not fresh for long enough": (entry(), 50.5, b"min-fresh=10", ASKED_FOR_NEW),
    "§5.2.1.4: no-cache wants a new answer": (entry(), 0, b"no-cache", ASKED_FOR_NEW),
    "§5.2.1.6: no-transform changes nothing": (entry(), 0, b"no-transform", HIT),
    "§5.2.1.7: only-if-cached takes what is fresh": (entry(), 0, b"only-if-cached", HIT),
    "the strictest of several counts": (entry(), 5, b"max-age=10, min-fresh=58", ASKED_FOR_NEW),
    "an unknown directive changes nothing (§5.2.3)": (entry(), 5, b"stale-ok=1", HIT),
    "directives need something stored": (None, 0, b"max-age=10", MISS),
    "expired comes before what the client wants": (entry(), 61, b"max-age=10", EXPIRED),
}


@pytest.mark.parametrize(("stored", "later", "asked", "verdict"), VERDICTS.values(), ids=VERDICTS)
def test_verdicts(stored, later, asked, verdict):
    found = judge(stored, AT + later, parse(asked))
    assert (found.act, found.outcome, found.reason) == verdict


NEWER = {
    "nothing said": (b"", False),
    "§5.2.1.4: no-cache": (b"no-cache", True),
    "§5.2.1.1: max-age=0": (b"max-age=0", True),
    "§5.2.1.1: an answer that is under way is young enough": (b"max-age=1", False),
    "§5.2.1.7: only-if-cached": (b"only-if-cached", False),
}


@pytest.mark.parametrize(("asked", "newer"), NEWER.values(), ids=NEWER)
def test_who_may_not_join_a_fetch_under_way(asked, newer):
    assert wants_newer(parse(asked)) == newer


seconds = st.floats(0, 1e9)
directives = st.sampled_from([b"", b"max-age=5", b"min-fresh=5", b"max-age=5, min-fresh=5", b"no-cache"])


@given(seconds, seconds, seconds, seconds, directives)
def test_freshness_never_comes_back_as_time_goes_on(ttl, age, soon, later, asked):
    stored, asked = entry(ttl, age), parse(asked)
    soon, later = AT + min(soon, later), AT + max(soon, later)
    assert age_of(stored, later) >= age_of(stored, soon)
    assert left(stored, later) <= left(stored, soon)
    order = [Outcome.HIT, Outcome.MISS, Outcome.EXPIRED]
    assert order.index(judge(stored, later, asked).outcome) >= order.index(judge(stored, soon, asked).outcome)


@given(seconds, seconds, st.floats(-1e9, 1e9), directives)
def test_a_hit_is_always_fresh(ttl, age, later, asked):
    if judge(entry(ttl, age), AT + later, parse(asked)).act is Act.DELIVER:
        assert left(entry(ttl, age), AT + later) > 0


GRACEFUL = replace(entry(), refresh=10.0, error=100.0)
TAGGED = replace(entry(), headers=((b"etag", b'"a"'),))
STALE = (Act.REFRESH, Outcome.STALE, None)
GRACES = {
    "RFC 5861 §3: past its ttl, within the time to refresh": (GRACEFUL, 65, b"", STALE),
    "RFC 5861 §3: not beyond it": (GRACEFUL, 70, b"", EXPIRED),
    "not for a client that wants something newer": (GRACEFUL, 65, b"no-cache", EXPIRED),
    "nor for one that names an age": (GRACEFUL, 65, b"max-age=62", EXPIRED),
    "§5.2.1.1: though it is not older": (GRACEFUL, 65, b"max-age=66", EXPIRED),
    "§5.2.1.1: unless that one takes a stale one": (GRACEFUL, 65, b"max-age=66, max-stale", STALE),
    "nor for one that wants it fresh for a while": (GRACEFUL, 65, b"min-fresh=1", EXPIRED),
    "RFC 9111 §4.3: what can be validated is": (TAGGED, 61, b"", (Act.REVALIDATE, Outcome.EXPIRED, None)),
    "RFC 9111 §5.2.1.4: so it is for a client that wants to know": (
        TAGGED, 1, b"no-cache", (Act.REVALIDATE, Outcome.MISS, Reason.REQUEST_NO_CACHE),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("stored", "later", "asked", "verdict"), GRACES.values(), ids=GRACES)
def test_grace_and_validation(stored, later, asked, verdict):
    found = judge(stored, AT + later, parse(asked))
    assert (found.act, found.outcome, found.reason) == verdict


def test_how_long_an_answer_bridges_a_failure():
    """RFC 5861 §4: by the origin's or owner's word, or by the client's."""
    assert [bridges(GRACEFUL, AT + later, {}) for later in (0, 159, 160, 161)] == [True, True, False, False]
    for_long = parse(b"stale-if-error=999")
    assert bridges(GRACEFUL, AT + 161, for_long)
    assert not bridges(entry(strict=True), AT + 61, for_long)
    assert not bridges(GRACEFUL, AT + 61, parse(b"no-cache, stale-if-error=999"))
