"""Request × Response × Rule → may it be stored, and for how long (RFC 9111 §3, §4.2.1)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import http_date
from proxy.core.reasons import Reason
from proxy.core.rules import Rule, path_pattern
from proxy.core.storing import Storing, decide, entry_of, groups_of, vary_of
from proxy.core.types import Entry, Request, Response

NOW = 784111777.0
DATE = http_date.render(NOW)
RULE = Rule("r", path_pattern("/**"))
HOUR = replace(RULE, ttl=3600.0)
BY_STATUS = replace(RULE, ttl={200: 3600.0, 404: 30.0})


def response(*headers: tuple[str, str], status: int = 200, **more) -> Response:
    return Response(status, tuple((name.encode(), value.encode("latin-1")) for name, value in headers), **more)


def control(value: str, *more: tuple[str, str], **kinds) -> Response:
    return response(("cache-control", value), *more, **kinds)


def after(seconds: float) -> str:
    return http_date.render(NOW + seconds).decode()


def decided(answer: Response, rule: Rule = RULE, *asked: tuple[bytes, bytes]) -> Storing:
    return decide(Request("GET", b"/", asked), answer, rule, NOW)


MAX_AGE = "max-age=60"
REFUSED = {
    "§3: without explicit freshness": (response(), RULE, Reason.NO_TTL),
    "§3: no-store": (control("no-store, max-age=60"), RULE, Reason.NO_STORE),
    "§3: private": (control("private, max-age=60"), RULE, Reason.PRIVATE),
    "§5.2.2.7: private for what an answer cannot do without": (
        control('private="Content-Type", max-age=60'), RULE, Reason.PRIVATE,
    ),
    "§5.2.2.7: private for some fields, and for all": (control('private="a", private, max-age=60'), RULE, Reason.PRIVATE),
    "§5.2.2.7: private for no field is for all": (control('private="", max-age=60'), RULE, Reason.PRIVATE),
    "§5.2.2.4: no-cache, since nothing is revalidated": (control("no-cache, max-age=60"), RULE, Reason.NO_CACHE),
    "§5.2.2.4: no-cache for what an answer cannot do without": (
        control('no-cache="vary", max-age=60'), RULE, Reason.NO_CACHE,
    ),
    "§3.3: a partial answer to a whole question": (control(MAX_AGE, status=206), RULE, Reason.RANGE),
    "§3: a 304": (control(MAX_AGE, status=304), RULE, Reason.STATUS),
    "§5.2.2.3: must-understand with a status that nobody knows": (
        control("must-understand, max-age=60", status=599), RULE, Reason.STATUS,
    ),
    "an error under a plain ttl": (response(status=500), HOUR, Reason.STATUS),
    "an error under a plain ttl, though its origin says how long": (control(MAX_AGE, status=500), HOUR, Reason.STATUS),
    "a status that the owner has no ttl for": (response(status=203), BY_STATUS, Reason.STATUS),
    "§7.3: an answer that sets a cookie": (control(MAX_AGE, ("set-cookie", "a=1")), HOUR, Reason.SET_COOKIE),
    "a stream of events": (response(("content-type", "Text/Event-Stream; x=1")), HOUR, Reason.EVENT_STREAM),
    "§3.3: a body whose end is not marked": (response(framed=False), HOUR, Reason.INCOMPLETE),
    "a length that is none": (response(("content-length", "+5")), HOUR, Reason.INCOMPLETE),
    "two lengths": (response(("content-length", "5"), ("content-length", "5")), HOUR, Reason.INCOMPLETE),
    "longer than the rule keeps": (response(("content-length", "11")), replace(HOUR, max_object=10), Reason.TOO_LARGE),
    "far longer than that": (response(("content-length", "9" * 5000)), HOUR, Reason.TOO_LARGE),
    "§4.1: Vary: *": (control(MAX_AGE, ("vary", "a, *")), RULE, Reason.VARY),
    "§4.2.1: max-age=0": (control("max-age=0"), RULE, Reason.NO_TTL),
    "§4.2.1: an origin's max-age=0 wins over an owner's ttl": (control("max-age=0"), HOUR, Reason.NO_TTL),
    "§4.2.1: a max-age that makes no sense is 0": (control("max-age=soon"), HOUR, Reason.NO_TTL),
    "§5.3: an Expires that makes no sense is in the past": (response(("expires", "0")), HOUR, Reason.NO_TTL),
    "§5.3: two Expires make no sense": (response(*[("expires", after(60))] * 2), HOUR, Reason.NO_TTL),
    "§5.3: Expires in the past": (response(("expires", after(-1))), HOUR, Reason.NO_TTL),
    "§5.3: Expires before Date": (response(("expires", after(60)), ("date", after(61))), RULE, Reason.NO_TTL),
    "§4.2.3: old when it came": (control(MAX_AGE, ("age", "60")), RULE, Reason.NO_TTL),
    "an owner's ttl of nothing": (response(), replace(RULE, ttl=0.0), Reason.NO_TTL),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "rule", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_stored(answer, rule, reason):
    assert decided(answer, rule) == Storing(reason=reason)


def override(*directives: str) -> Rule:
    return replace(HOUR, override=frozenset(directives))


STORED = {
    "§4.2.1: max-age": (control(MAX_AGE), RULE, 60, 0),
    "§4.2.1: s-maxage before max-age": (control("max-age=60, s-maxage=5"), RULE, 5, 0),
    "§4.2.1: max-age before Expires": (control(MAX_AGE, ("expires", after(5))), RULE, 60, 0),
    "§5.3: max-age before an Expires that makes no sense": (control(MAX_AGE, ("expires", "0")), RULE, 60, 0),
    "§4.2.1: Expires less Date": (response(("expires", after(60)), ("date", after(-5))), RULE, 65, 4),
    "§4.2.1: Expires less now where there is no Date": (response(("expires", after(60))), RULE, 60, 0),
    "§4.2.1: Expires less now where Date makes no sense": (
        response(("expires", after(60)), ("date", "x")),
        RULE,
        60,
        0,
    ),
    "§4.2.1: of two max-age the first": (control("max-age=60, max-age=5"), RULE, 60, 0),
    "§1.2.2: the longest time": (control("max-age=99999999999"), RULE, 2**31, 0),
    "§5.1: the upstream's Age": (control(MAX_AGE, ("age", "15")), RULE, 60, 15),
    "§5.1: the first member of Age": (control(MAX_AGE, ("age", "15, 70"), ("age", "80")), RULE, 60, 15),
    "§5.1: an Age that is no number is ignored": (control(MAX_AGE, ("age", "-70")), RULE, 60, 0),
    "§5.1: an Age with a fraction too": (control(MAX_AGE, ("age", "70.5")), RULE, 60, 0),
    "§3: an error with explicit freshness": (control(MAX_AGE, status=500), RULE, 60, 0),
    "§3: a status that nobody knows, with explicit freshness": (control(MAX_AGE, status=299), RULE, 60, 0),
    "§5.2.2.3: must-understand with a status that is understood": (control("must-understand, max-age=60"), RULE, 60, 0),
    "§5.2.2.3: must-understand in the place of no-store": (
        control("must-understand, no-store, max-age=60"),
        RULE,
        60,
        0,
    ),
    "§5.2.2.9: public changes nothing here": (control("public, max-age=60"), RULE, 60, 0),
    "an owner's ttl": (response(), HOUR, 3600, 0),
    "an owner's ttl for an answer that was old": (response(("age", "600")), HOUR, 3600, 600),
    "an owner's ttl by status": (response(status=404), BY_STATUS, 30, 0),
    "an origin's max-age before an owner's ttl": (control(MAX_AGE), HOUR, 60, 0),
    "an origin's Expires before an owner's ttl": (response(("expires", after(60))), HOUR, 60, 0),
    "an owner overrides max-age": (control("max-age=0"), override("max-age"), 3600, 0),
    "and s-maxage only where both are named": (control("max-age=0, s-maxage=5"), override("max-age"), 5, 0),
    "an owner overrides Expires": (response(("expires", "0")), override("expires"), 3600, 0),
    "an owner overrides no-store": (control("no-store"), override("no-store"), 3600, 0),
    "an owner overrides private": (control("private"), override("private"), 3600, 0),
    "an owner overrides no-cache": (control("no-cache"), override("no-cache"), 3600, 0),
    "as long as the rule keeps": (response(("content-length", "10")), replace(HOUR, max_object=10), 3600, 0),
    "a status without a body": (response(status=204), HOUR, 3600, 0),
    "a permanent move": (response(status=308), HOUR, 3600, 0),
}


@pytest.mark.parametrize(("answer", "rule", "ttl", "age"), STORED.values(), ids=STORED)
def test_what_is_stored(answer, rule, ttl, age):
    strict = "s-maxage" in (answer.header(b"cache-control") or b"").decode()
    assert decided(answer, rule) == Storing(ttl, age, strict=strict)


WITHHELD = {
    "§5.2.2.7: private for some fields": ('private="X-A, x-b", max-age=60', RULE, {b"x-a", b"x-b"}),
    "§5.2: in the form of a token": ("private=x-a, max-age=60", RULE, {b"x-a"}),
    "§5.2.2.4: no-cache for some fields": ('no-cache="x-a", max-age=60', RULE, {b"x-a"}),
    "both": ('no-cache="x-a", private="x-b", no-cache="x-c", max-age=60', RULE, {b"x-a", b"x-b", b"x-c"}),
    "unless the owner overrides it": ('private="x-a"', override("private"), set()),
    "a cookie that is for one client only": ('no-cache="Set-Cookie", max-age=60', RULE, {b"set-cookie"}),
}


@pytest.mark.parametrize(("said", "rule", "withheld"), WITHHELD.values(), ids=WITHHELD)
def test_fields_that_are_not_stored_with_the_rest(said, rule, withheld):
    """RFC 9111 §3.1."""
    answer = control(
        said, ("x-a", "1"), ("x-b", "2"), ("x-c", "3"), *[("set-cookie", "a=1")] * (b"set-cookie" in withheld)
    )
    found = decided(answer, rule)
    assert (found.reason, found.withheld) == (None, withheld)
    kept = {name for name, _ in entry_of(answer, b"", found, rule, now=NOW, cost=0.0).headers}
    assert kept.isdisjoint(withheld)
    assert {b"x-a", b"x-b", b"x-c"} - withheld <= kept


PARTS = {
    "RFC 9111 §3.3: a part that says which it is": ("bytes 0-4/10", RULE, None),
    "one that does not say of how much": ("bytes 0-4/*", RULE, Reason.RANGE),
    "one in another unit": ("lines 0-4/10", RULE, Reason.RANGE),
    "under an owner's ttl for whole answers": ("bytes 0-4/10", BY_STATUS, None),
    "under an owner's ttl for none": ("bytes 0-4/10", replace(RULE, ttl={404: 3600.0}), Reason.STATUS),
}


@pytest.mark.parametrize(("held", "rule", "reason"), PARTS.values(), ids=PARTS)
def test_a_part_is_stored_for_who_asked_for_one(held, rule, reason):
    answer = control(MAX_AGE, ("content-range", held), status=206)
    assert decided(answer, rule, (b"range", b"bytes=0-4")).reason == reason


@pytest.mark.parametrize(("status", "reason"), [(200, None), (404, Reason.RANGE), (416, Reason.RANGE)])
def test_what_a_range_led_to_is_not_the_answer_to_the_whole_question(status, reason):
    """RFC 9110 §14.2: an origin may ignore Range; any other answer may be about the range."""
    assert decided(control(MAX_AGE, status=status), RULE, (b"range", b"bytes=0-4")).reason == reason


TAGGED = {
    "an owner's ttl, nothing to ask by": (response(), HOUR, True),
    "the origin has a tag": (response(("etag", '"a"')), HOUR, False),
    "the origin has a date": (response(("last-modified", DATE.decode())), HOUR, False),
    "the origin's own word": (control(MAX_AGE), RULE, False),
    "an error": (response(status=404), BY_STATUS, False),
}


@pytest.mark.parametrize(("answer", "rule", "ours"), TAGGED.values(), ids=TAGGED)
def test_a_tag_of_ours_where_the_origin_gives_nothing_to_ask_by(answer, rule, ours):
    tags = [entry_of(answer, body, decided(answer, rule), rule, now=NOW, cost=0.0).tag for body in (b"a", b"a", b"b")]
    assert (tags[0] == tags[1] and tags[0] != tags[2] and tags[0].startswith(b'"fr-')) if ours else not any(tags)


def test_a_large_answer_has_no_tag_of_ours():
    assert entry_of(response(), bytes(2**22 + 1), Storing(60.0), HOUR, now=NOW, cost=0.0).tag == b""


def test_groups_are_those_of_one_origin():
    """RFC 9875 §2."""
    grouped = response(("cache-groups", '"a", "b c"'))
    entry = entry_of(grouped, b"", Storing(60.0), RULE, now=NOW, cost=0.0, host=b"site.test")
    assert entry.groups == (b"site.test a", b"site.test b c")
    assert groups_of(response(("cache-groups", "a")), b"site.test") == ()


AUTHORIZATION = (b"authorization", b"Bearer a")
IDENTITIES = {
    "§3.5: an answer to credentials": (control(MAX_AGE), RULE, Reason.AUTHORIZATION),
    "§3.5: public": (control("public, max-age=60"), RULE, None),
    "§3.5: s-maxage": (control("s-maxage=60"), RULE, None),
    "§3.5: must-revalidate": (control("must-revalidate, max-age=60"), RULE, None),
    "§3.5: an owner's ttl is not that word": (response(), HOUR, Reason.AUTHORIZATION),
    "credentials in the key": (control(MAX_AGE), replace(RULE, private_by=(b"authorization",)), None),
}


@pytest.mark.parametrize(("answer", "rule", "reason"), IDENTITIES.values(), ids=IDENTITIES)
def test_answers_to_credentials(answer, rule, reason):
    assert decided(answer, rule, AUTHORIZATION).reason == reason


VARY = {
    "no Vary": (response(), ()),
    "an empty one": (response(("vary", " , ")), ()),
    "names in lower case, sorted, each once": (response(("vary", "B, a"), ("vary", "b,,A ")), (b"a", b"b")),
}


@pytest.mark.parametrize(("answer", "names"), VARY.values(), ids=VARY)
def test_vary(answer, names):
    assert vary_of(answer) == names
    assert decided(answer, HOUR).vary == names


def stored(answer: Response, body: bytes = b"body") -> Entry:
    return entry_of(answer, body, Storing(60.0, 5.0), RULE, now=NOW, cost=0.0)


LENGTH, DATED = (b"content-length", b"4"), (b"date", DATE)
KEPT = {
    "§3.1: fields as they came, in order, unknown ones too": (
        response(("x-b", "1"), ("date", "x"), ("x-a", "2"), ("content-length", "4"), ("x-b", "3")),
        ((b"x-b", b"1"), (b"date", b"x"), (b"x-a", b"2"), LENGTH, (b"x-b", b"3")),
    ),
    "RFC 9110 §6.6.1: Date where it is missing": (response(("content-length", "4")), (LENGTH, DATED)),
    "a length where it is missing": (response(("date", DATE.decode())), (DATED, LENGTH)),
    "RFC 9110 §8.6: no length for a 204": (response(status=204), (DATED,)),
    "§3.1: fields of a connection": (
        response(("connection", "x-a"), ("x-a", "1"), ("keep-alive", "1"), ("transfer-encoding", "chunked")),
        (DATED, LENGTH),
    ),
    "§3.1: fields for a proxy": (
        response(("proxy-authenticate", "1"), ("proxy-authentication-info", "1"), ("proxy-authorization", "1")),
        (DATED, LENGTH),
    ),
    "the age and the id of one answer": (response(("age", "5"), ("x-request-id", "1")), (DATED, LENGTH)),
}


@pytest.mark.parametrize(("answer", "headers"), KEPT.values(), ids=KEPT)
def test_the_fields_of_an_entry(answer, headers):
    assert stored(answer).headers == headers


def test_an_entry():
    entry = entry_of(response(status=203), b"body", Storing(60.0, 0.0, vary=(b"a",)), RULE, now=NOW, cost=41.5)
    assert (entry.status, entry.body, entry.stored_at, entry.ttl) == (203, b"body", NOW, 60.0)
    assert (entry.cost, entry.rule, entry.vary) == (41.5, "r", ())


names = st.sampled_from(["cache-control", "expires", "date", "age", "vary", "content-length", "content-type"])
values = st.text(st.characters(max_codepoint=255)) | st.sampled_from(["max-age=60", "0", "60", DATE.decode(), "*", "a"])


@given(st.lists(st.tuples(names, values), max_size=4), st.integers(200, 599), st.sampled_from([RULE, HOUR, BY_STATUS]))
def test_a_decision_is_a_ttl_or_a_reason_whatever_an_upstream_sends(headers, status, rule):
    storing = decided(response(*headers, status=status), rule)
    assert (storing.reason is None) == (storing.ttl - storing.age > 0)
    assert b"*" not in storing.vary


def test_an_origins_lifetime_counts_from_the_request_and_an_owners_from_the_answer():
    """RFC 9111 §4.2.3: corrected_age_value = age_value + response_delay, a MUST; here the head took 40 s."""
    request, said = Request("GET", b"/"), response(("cache-control", MAX_AGE), ("age", "5"))
    assert decide(request, said, RULE, NOW, 40.0) == Storing(60.0, 45.0)
    assert decide(request, said, RULE, NOW, 55.0).reason is Reason.NO_TTL
    assert decide(request, response(("age", "5")), HOUR, NOW, 40.0) == Storing(3600.0, 5.0)


LAST_WEEK, TODAY = (
    ("last-modified", http_date.render(NOW - 7 * 86400).decode()),
    ("date", http_date.render(NOW).decode()),
)
TARGETED = {
    "RFC 9111 §4.2.2: a tenth of its age": (response(LAST_WEEK, TODAY), RULE, 60480.0),
    "RFC 9111 §4.2.2: at most a day": (
        response(("last-modified", http_date.render(NOW - 400 * 86400).decode()), TODAY), RULE, 86400.0,
    ),
    "RFC 9111 §4.2.2: never beside an explicit one": (control(MAX_AGE, LAST_WEEK, TODAY), RULE, 60.0),
    "RFC 9110 §15.1: not for a status that is not for it": (response(LAST_WEEK, TODAY, status=302), RULE, 0.0),
    "RFC 9111 §4.2.2: unless public says so": (control("public", LAST_WEEK, TODAY, status=302), RULE, 60480.0),
    "an owner's ttl needs no heuristic": (response(LAST_WEEK, TODAY), HOUR, 3600.0),
    "RFC 9213 §2.2: what is aimed at us wins": (control("no-store", ("cdn-cache-control", "max-age=9")), RULE, 9.0),
    "RFC 9213 §2.2: ours before others'": (
        response(("cdn-cache-control", "max-age=9"), ("frontrunner-cache-control", "max-age=8")), RULE, 8.0,
    ),
    "RFC 9213 §2.1: Expires does not count beside it": (
        response(("cdn-cache-control", "public"), ("expires", http_date.render(NOW + 50).decode()), TODAY), RULE, 0.0,
    ),
    "RFC 9213 §2.1: what does not parse does not count": (
        control(MAX_AGE, ("cdn-cache-control", "max-age=9,,")), RULE, 60.0,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "rule", "ttl"), TARGETED.values(), ids=TARGETED)
def test_heuristic_and_targeted_lifetimes(answer, rule, ttl):
    assert decided(answer, rule).ttl == pytest.approx(ttl)


GRACES = {
    "RFC 5861 §3, §4: as the origin says": (
        control("max-age=9, stale-while-revalidate=2, stale-if-error=3"), RULE, (2.0, 3.0),
    ),
    "as the owner says": (response(), replace(HOUR, refresh=5.0, error=7.0), (5.0, 7.0)),
    "the origin before the owner": (
        control("max-age=9, stale-if-error=3"), replace(HOUR, refresh=5.0, error=7.0), (5.0, 3.0),
    ),
    "RFC 9111 §4.2.4: never what must be revalidated": (
        control("max-age=9, must-revalidate, stale-if-error=3"), replace(HOUR, error=7.0), (0.0, 0.0),
    ),
    "RFC 9111 §5.2.2.10: nor what s-maxage is for": (control("s-maxage=9, stale-if-error=3"), RULE, (0.0, 0.0)),
    "unless the owner overrides that": (
        control("s-maxage=9"), replace(HOUR, error=7.0, override=frozenset({"s-maxage"})), (0.0, 7.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "rule", "graces"), GRACES.values(), ids=GRACES)
def test_how_long_a_stale_answer_may_be_served(answer, rule, graces):
    found = decided(answer, rule)
    assert (found.refresh, found.error) == graces


def test_the_date_tells_how_old_an_answer_is():
    """RFC 9111 §4.2.3: apparent_age; what the clocks round away is no age."""
    for seconds_ago, age in ((0, 0.0), (1, 0.0), (30, 29.0), (-30, 0.0)):
        assert decided(control(MAX_AGE, ("date", after(-seconds_ago))), RULE).age == age


def test_what_is_not_fresh_is_stored_if_the_origin_can_be_asked_about_it():
    """RFC 9111 §4.3."""
    tagged = ("etag", '"a"')
    assert decided(response(tagged), RULE) == Storing(0.0, 0.0, guessed=True, strict=True)
    assert not decided(response(tagged), RULE).is_fresh
    assert decided(control("no-cache", tagged), HOUR) == Storing(0.0, 0.0, strict=True)
    assert decided(control("no-cache"), HOUR).reason is Reason.NO_CACHE


def test_nothing_is_guessed_for_a_request_with_a_cookie():
    """RFC 9111 §4.2.2 allows a guess; an answer to a Cookie may be its owner's."""
    assert decided(response(LAST_WEEK, TODAY), RULE, (b"cookie", b"sid=1")).ttl == 0.0
    assert decided(control(MAX_AGE, TODAY), RULE, (b"cookie", b"sid=1")).ttl == 60.0
