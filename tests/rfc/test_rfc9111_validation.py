"""RFC 9111 §4.3 and §4.4: asking whether what is stored is still good, and what forgets it."""

import pytest
from exchange import FRESH, TAG, Case, ask, date, play, said, table, unchanged

from proxy.errors import UpstreamRefused

BOTH = {"etag": TAG, "last_modified": date(-500)}
SHORT = "max-age=10"
OLD = ask(said(cache_control=SHORT, **BOTH))
ASKING = {
    "RFC 9111 §4.3.1 MUST: what is stored is asked about by its tag": (
        ask(said(cache_control=SHORT, etag=TAG)),
        ask(unchanged(), wait=11).goes_up(if_none_match=TAG, if_modified_since=None).gets("one"),
    ),
    "RFC 9111 §4.3.1 MUST: a weak one too": (
        ask(said(cache_control=SHORT, etag='W/"a"')),
        ask(unchanged(), wait=11).goes_up(if_none_match='W/"a"').gets("one"),
    ),
    "RFC 9111 §4.3.1 SHOULD: and by the date of its last change": (
        OLD,
        ask(unchanged(), wait=11).goes_up(if_none_match=TAG, if_modified_since=date(-500)).gets("one"),
    ),
    "RFC 9111 §4.3.1 SHOULD: by that alone where there is no tag": (
        ask(said(cache_control=SHORT, last_modified=date(-500))),
        ask(unchanged(), wait=11).goes_up(if_none_match=None, if_modified_since=date(-500)).gets("one"),
    ),
    "RFC 9111 §4.3.1 MUST: not by what the client has": (
        OLD,
        ask(unchanged(), wait=11, if_none_match='"b"', if_modified_since=date(-9)).goes_up(
            if_none_match=TAG, if_modified_since=date(-500)
        ).gets("one"),
    ),
    "RFC 9111 §4.3.1 MUST: nor for the part that the client wants": (
        OLD,
        ask(unchanged(), wait=11, range="bytes=1-1").goes_up(range=None, if_none_match=TAG).gets("n", 206),
    ),
    "RFC 9111 §4.3.1 MUST: each variant by its own tag": (
        ask(said("1", cache_control=SHORT, vary="x-a", etag='"1"'), x_a="1"),
        ask(said("2", cache_control=SHORT, vary="x-a", etag='"2"'), x_a="2"),
        ask(unchanged(vary="x-a"), wait=11, x_a="1").goes_up(if_none_match='"1"').gets("1"),
        ask(unchanged(vary="x-a"), x_a="2").goes_up(if_none_match='"2"').gets("2"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(ASKING))
async def test_how_the_upstream_is_asked(steps: Case) -> None:
    await play(steps)


ONE = ask(said(cache_control=FRESH, **BOTH, content_type="text/x"))
CONDITIONS = {
    "RFC 9111 §4.3.2 SHOULD: who has the stored answer is told so": (
        ONE,
        ask(wait=1, if_none_match=TAG).gets("", 304, "hit", etag=TAG, content_length=None, content_type=None, cache_control=FRESH),
    ),
    "RFC 9111 §4.3.2 SHOULD: in whatever strength": (ONE, ask(if_none_match='W/"a"').gets("", 304)),
    "RFC 9111 §4.3.2 SHOULD: among others": (
        ONE, ask(if_none_match='"b", "a"').gets("", 304), ask(if_none_match=['"b"', TAG]).gets("", 304),
    ),
    "RFC 9111 §4.3.2 SHOULD: or has any": (ONE, ask(if_none_match="*").gets("", 304)),
    "RFC 9111 §4.3.2 SHOULD: who has another gets it": (ONE, ask(if_none_match='"b"').gets("one")),
    "RFC 9111 §4.3.2 SHOULD: for HEAD too": (ONE, ask(if_none_match=TAG, method="HEAD").gets("", 304)),
    "RFC 9111 §4.3.2 SHOULD: by the date": (
        ONE, ask(if_modified_since=date(-500)).gets("", 304), ask(if_modified_since=date(-501)).gets("one"),
    ),
    "RFC 9111 §4.3.2 SHOULD: a date that is none is ignored": (ONE, ask(if_modified_since="yesterday").gets("one")),
    "RFC 9111 §4.3.2 MUST: the tag decides where there are both": (
        ONE,
        ask(if_none_match='"b"', if_modified_since=date()).gets("one"),
        ask(if_none_match=TAG, if_modified_since=date(-900)).gets("", 304),
    ),
    "RFC 9111 §4.3.2 SHOULD: Date stands in for the last change": (
        ask(said(cache_control="max-age=900", date=date(-500))),
        ask(if_modified_since=date(-500)).gets("", 304), ask(if_modified_since=date(-501)).gets("one"),
    ),
    "RFC 9111 §4.3.2 SHOULD: what is no 200 has no conditions": (
        ask(said(status=404, cache_control=FRESH, etag=TAG)), ask(if_none_match=TAG).gets("one", 404),
    ),
    **{
        f"RFC 9111 §4.3.2 MUST: {name} is not ours to judge": (
            ONE,
            ask(said("no", 412), **{name: value}).goes_up(**{name: value}).gets("no", 412),
            ask().gets("one", outcome="hit"),
        )
        for name, value in (("if_match", '"b"'), ("if_unmodified_since", date(-900)))
    },
    "RFC 9111 §4.3.2 MUST: a 304 to our question is an answer to who asked none": (
        OLD, ask(unchanged(etag=TAG), wait=11).goes_up(if_none_match=TAG).gets("one", 200, "revalidated", content_length=3),
    ),
    "RFC 9111 §4.3.2 MUST: and to who asked with another tag": (
        OLD, ask(unchanged(etag=TAG), wait=11, if_none_match='"b"').gets("one", 200, "revalidated"),
    ),
    "RFC 9111 §4.3.2 SHOULD: to who asked with this tag it is a 304": (
        OLD, ask(unchanged(), wait=11, if_none_match=TAG).gets("", 304, "revalidated"),
    ),
    "RFC 9111 §4.3.2 MUST: what is not stored is the upstream's to judge": (
        ask(unchanged(etag=TAG), if_none_match=TAG).goes_up(if_none_match=TAG), ask(said("two"), wait=1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(CONDITIONS))
async def test_a_clients_conditions(steps: Case) -> None:
    await play(steps)


ERRORS = (500, 502, 503, 504)
TWICE = ask(unchanged(etag='"b"'), said("two", cache_control=FRESH, etag='"b"'), wait=11)
ANSWERS = {
    "RFC 9111 §4.3.3 MUST: a whole answer takes the stored one's place": (
        OLD,
        ask(said("two", cache_control=FRESH), wait=11).gets("two", outcome="expired"),
        ask(wait=1).gets("two", outcome="hit"),
    ),
    "RFC 9111 §4.3.3 MUST: also where it is not stored itself": (
        OLD,
        ask(said("two", cache_control="no-store"), wait=11),
        ask(said("three"), cache_control="max-stale").gets("three"),
    ),
    **{
        f"RFC 9111 §4.3.3 MAY: a {status} is passed on": (OLD, ask(said("no", status), wait=11).gets("no", status))
        for status in ERRORS
    },
    **{
        f"RFC 9111 §4.3.3 MAY: or a permitted stale answer stands in for the {status}": (
            ask(said(cache_control="max-age=10, stale-if-error=60", **BOTH)),
            ask(said("no", status), wait=11).gets("one", 200, "stale"),
            ask(unchanged(), wait=1).gets("one", outcome="revalidated"),
        )
        for status in ERRORS
    },
    "RFC 9111 §4.3.3 MUST: no connection is as good as an error": (
        OLD, ask(UpstreamRefused("gone"), wait=11).gets(None, 502), ask(unchanged()).gets("one"),
    ),
    "RFC 9111 §4.3.4 MUST: a 304 makes what is stored fresh again": (
        OLD,
        ask(unchanged(etag=TAG, cache_control=SHORT), wait=11).gets("one"),
        ask(wait=9).gets("one", outcome="hit", age=9),
        ask(said("two"), wait=1),
    ),
    "RFC 9111 §4.3.4 MUST: of the same strong tag only": (OLD, TWICE.gets("two"), ask(wait=1).gets("two", outcome="hit")),
    "RFC 9111 §4.3.4 MUST: and what is asked again is asked without condition": (
        OLD,
        ask(unchanged(etag='"b"'), lambda asked: said("" if asked.header(b"if-none-match") else "two"), wait=11).gets("two"),
    ),
    "RFC 9111 §4.3.4 MUST: or of the same date, where there is no tag": (
        ask(said(cache_control=SHORT, last_modified=date(-500))),
        ask(unchanged(last_modified=date(-500)), wait=11).gets("one"),
        ask(unchanged(last_modified=date(-400)), said("two"), wait=11).gets("two"),
    ),
    "RFC 9111 §4.3.4 MUST: of the same weak tag, if it has no strong one": (
        OLD, ask(unchanged(etag='W/"a"'), wait=11).gets("one", outcome="revalidated"),
    ),
    "RFC 9111 §4.3.4 MUST: a strong tag is about no weak one": (
        ask(said(cache_control=SHORT, etag='W/"a"')), ask(unchanged(etag=TAG), said("two"), wait=11).gets("two"),
    ),
}  # fmt: skip
WEAK = {
    "RFC 9111 §4.3.4 MUST: a strong tag is about no weak one": (
        "taken for the same, since servers that compress send the strong tag in a 304; it does not become strong"
    ),
}


@pytest.mark.parametrize("steps", table(ANSWERS, WEAK))
async def test_what_the_upstream_answers(steps: Case) -> None:
    await play(steps)


FIVE = ask(said("five!", cache_control=FRESH, etag=TAG, x_a="1"))
HEAD = {
    "RFC 9111 §4.3.5 SHOULD: a HEAD that agrees makes what is stored fresh": (
        FIVE,
        ask(said("five!", cache_control=FRESH, etag=TAG, x_a="2"), method="HEAD", wait=61),
        ask(wait=59).gets("five!", outcome="hit", x_a="2"),
    ),
    "RFC 9111 §4.3.5 SHOULD: one that names another tag ends it": (
        FIVE, ask(said("five!", etag='"b"'), method="HEAD", wait=61), ask(said("two"), wait=1).goes_up(if_none_match=None),
    ),
    "RFC 9111 §4.3.5 SHOULD: another length too": (
        FIVE, ask(said("six!!!", etag=TAG), method="HEAD", wait=61), ask(said("two"), wait=1).goes_up(if_none_match=None),
    ),
    "RFC 9111 §4.3.5 SHOULD: and no-store": (
        FIVE,
        ask(said("five!", etag=TAG, cache_control="no-store"), method="HEAD", wait=61),
        ask(said("two"), wait=1).goes_up(if_none_match=None),
    ),
    "RFC 9111 §4.3.5 SHOULD: an error says nothing": (
        FIVE, ask(said("", 503), method="HEAD", wait=61), ask(unchanged(), wait=1).goes_up(if_none_match=TAG).gets("five!"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(HEAD))
async def test_what_a_head_tells(steps: Case) -> None:
    await play(steps)


def changes(*gone: str, stays: str = "", status: int = 200, method: str = "POST", **fields) -> Case:
    """Return the steps that show which targets an unsafe request to /a makes us forget."""
    stored = [ask(said(cache_control=FRESH), to=target) for target in (*gone, *([stays] if stays else []))]
    unsafe = ask(said("done", status, **fields), method=method, wait=1)
    asked_again = [ask(said("two"), to=target, wait=1).gets("two") for target in gone]
    return *stored, unsafe, *asked_again, *([ask(to=stays).gets("one", outcome="hit")] if stays else [])


INVALIDATION = {
    **{
        f"RFC 9111 §4.4 MUST: {method} forgets its target": changes("/a", method=method)
        for method in ("POST", "PUT", "DELETE", "PATCH", "PURPLE")
    },
    **{f"RFC 9111 §4.4 MUST: on a {status}": changes("/a", status=status) for status in (201, 204, 301, 303)},
    **{
        f"RFC 9111 §4.4 MUST: an error changes nothing, a {status}": changes(stays="/a", status=status)
        for status in (400, 404, 409, 500, 503)
    },
    **{f"RFC 9111 §4.4 MUST: nor does {method}": changes(stays="/a", method=method) for method in ("OPTIONS", "TRACE")},
    "RFC 9111 §4.4 MUST: nothing else is forgotten": changes("/a", stays="/a?x"),
    "RFC 9111 §4.4 MAY: where Location points": changes("/a", "/b", location="/b", status=201),
    "RFC 9111 §4.4 MAY: where Content-Location points": changes("/b", content_location="http://site.test/b"),
    "RFC 9111 §4.4 MUST: not on another origin": changes(
        "/a", stays="/b", location="http://other.test/b", content_location="//other.test/b"
    ),
    "RFC 9111 §4.4 MUST: another port is another origin": changes(stays="/b", location="http://site.test:81/b"),
    "RFC 9111 §4.4 MUST: another scheme too": changes(stays="/b", content_location="https://site.test/b"),
    "RFC 9111 §4.4 MUST: another origin's own answer stays, though this one names it": (
        ask(said(cache_control=FRESH), to="/b", host=b"other.test"),
        ask(said("done", location="http://other.test/b"), method="POST"), ask(to="/b", host=b"other.test").gets("one"),
    ),
    "RFC 9111 §4.4 MUST: all variants go": (
        *[ask(said(cache_control=FRESH, vary="x-a"), x_a=value) for value in "12"],
        ask(said("done"), method="PUT", wait=1), *[ask(said("two", vary="x-a"), x_a=value, wait=1) for value in "12"],
    ),
    "RFC 9111 §4.4 MUST: the parts go": (
        ask(said("01", 206, cache_control=FRESH, content_range="bytes 0-1/9"), range="bytes=0-1"),
        ask(said("done"), method="PUT", wait=1), ask(said("23", 206), range="bytes=0-1", wait=1),
    ),
    "RFC 9111 §4.4 MUST: what was stored for equal queries goes": (
        ask(said(cache_control=FRESH, no_vary_search='params=("x")'), to="/a?x=1"),
        ask(said("done"), method="PUT", to="/a?x=2", wait=1), ask(said("two"), to="/a?x=1", wait=1),
    ),
    "RFC 9111 §4.4 MUST: whatever else tells its answers apart": (
        ask(said(cache_control=FRESH), x_forwarded_proto="https"),
        ask(said("done"), method="PUT", wait=1), ask(said("two"), x_forwarded_proto="https", wait=1),
    ),
}  # fmt: skip
NOT_SO = {
    "RFC 9111 §4.4 MUST: another scheme too": "behind TLS we are asked by http for what the origin calls https: the host decides",
}


@pytest.mark.parametrize("steps", table(INVALIDATION, NOT_SO))
async def test_what_is_forgotten(steps: Case) -> None:
    await play(steps)
