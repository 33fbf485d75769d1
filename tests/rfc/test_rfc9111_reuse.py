"""RFC 9111 §4, §4.1 and §4.2: when a stored answer may be used again, and how old it is."""

import asyncio

import pytest
from exchange import FRESH, TAG, Case, ask, date, play, said, table, unchanged, world
from fakes import Held, answer
from world import World, asked, rule

from proxy.errors import UpstreamRefused, UpstreamReset, UpstreamTimeout

WEEK = 7 * 86400
ONE = ask(said(cache_control=FRESH))
UNSAFE = ("POST", "PUT", "DELETE", "PATCH", "PURPLE")
REUSE = {
    "RFC 9111 §4 MUST: the same target": (ONE, ask(said("two"), to="/b"), ask(said("three"), to="/a?x"), ask().gets("one")),
    "RFC 9111 §4 MUST: of the same host": (ONE, ask(said("two"), host=b"other.test"), ask(host=b"SITE.test").gets("one")),
    "RFC 9111 §4 MUST: with the same query, byte for byte": (
        ask(said(cache_control=FRESH), to="/a?x=1&y=2"),
        ask(said("two"), to="/a?y=2&x=1"),
        ask(to="/a?x=1&y=2").gets("one"),
    ),
    "RFC 9111 §4 MUST: a method that allows it": (ONE, ask(said("two"), method="OPTIONS"), ask(wait=1).gets("one")),
    "RFC 9111 §4 MUST: HEAD is allowed what GET got": (ONE, ask(method="HEAD", wait=1).gets("", content_length=3, outcome="hit")),
    "RFC 9111 §4 MUST: no-cache is asked about each time": (
        ask(said(cache_control="no-cache, max-age=60", etag=TAG)),
        ask(unchanged(), wait=1).goes_up(if_none_match=TAG).gets("one", outcome="revalidated"),
        ask(unchanged(), wait=1).goes_up(if_none_match=TAG).gets("one", outcome="revalidated"),
    ),
    "RFC 9111 §4 MUST: fresh it is until its last second": (ONE, ask(wait=59).gets("one", outcome="hit"), ask(said("two"), wait=1)),
    "RFC 9111 §4 MUST: its age is told": (
        ONE, ask(wait=7).gets("one", age=7), ask(wait=8, range="bytes=0-0").gets("o", 206, age=15),
    ),
    "RFC 9111 §4 MUST: one age, not two": (ask(said(cache_control=FRESH, age=20)), ask(wait=7).gets("one", age=27)),
    **{
        f"RFC 9111 §4 MUST: {method} is written through": (ONE, ask(said("done"), method=method, wait=1), ask(said("two"), wait=1))
        for method in UNSAFE
    },
    "RFC 9111 §4 MUST: a POST does not answer a POST": tuple(
        [ask(said(cache_control=FRESH, content_location="/a"), method="POST", body=b"x") for _ in range(2)]
    ),
    "RFC 9110 §9.3.3 MAY: a POST answers a GET if it says so, and for how long": (
        ask(said(cache_control=FRESH, content_location="/a"), method="POST", body=b"x"),
        ask(wait=1).gets("one", outcome="hit"),
        ask(method="HEAD").gets("", content_length=3, outcome="hit"),
    ),
    "RFC 9110 §9.3.3 MUST: not without the location": (
        ask(said(cache_control=FRESH), method="POST", body=b"x"), ask(said("two"), wait=1),
    ),
    "RFC 9110 §9.3.3 MUST: not with another's": (
        ask(said(cache_control=FRESH, content_location="/b"), method="POST", body=b"x"), ask(said("two"), wait=1),
    ),
    "RFC 9110 §9.3.3 MUST: not without a lifetime of its own": (
        ask(said(content_location="/a", last_modified=date(-WEEK), date=date()), method="POST", body=b"x"), ask(said("two")),
    ),
    "RFC 9111 §4 MUST: of several the latest": (
        ask(said(cache_control=FRESH)),
        ask(said("two", cache_control=FRESH), wait=1, cache_control="no-cache"),
        ask(wait=1).gets("two", outcome="hit", age=1),
    ),
    "RFC 9111 §4 MUST: the latest, though it varies": (
        ask(said(cache_control=FRESH)),
        ask(said("two", cache_control=FRESH, vary="x-a"), wait=1, cache_control="no-cache", x_a="1"),
        ask(wait=1, x_a="1").gets("two", outcome="hit"),
    ),
    "RFC 9111 §4 MUST: the latest of equal queries": (
        ask(said("old", cache_control=FRESH), to="/a?x=1"),
        ask(said("new", cache_control=FRESH, no_vary_search='params=("x")'), to="/a?x=2", wait=10),
        ask(to="/a?x=1", wait=1).gets("new"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(REUSE))
async def test_what_may_be_used_again(steps: Case) -> None:
    await play(steps)


GERMAN = ask(said("de", cache_control=FRESH, vary="Accept-Language"), accept_language="de")
VARY = {
    "RFC 9111 §4.1 MUST: the fields that Vary names are the same": (
        GERMAN,
        ask(said("fr", cache_control=FRESH, vary="Accept-Language"), accept_language="fr", wait=1),
        ask(accept_language="de").gets("de", age=1), ask(accept_language="fr").gets("fr", age=0),
    ),
    "RFC 9111 §4.1 MUST: absent is not empty": (
        ask(said(cache_control=FRESH, vary="x-a")), ask(said("two"), x_a=""), ask().gets("one"),
    ),
    "RFC 9111 §4.1 MUST: all that Vary names": (
        ask(said(cache_control=FRESH, vary=["x-a", "x-b"]), x_a="1", x_b="1"),
        ask(said("two", vary="*"), x_a="1", x_b="2"), ask(x_a="1", x_b="1").gets("one"),
    ),
    "RFC 9111 §4.1 MUST: what Vary does not name may differ": (GERMAN, ask(accept_language="de", x_a="1").gets("de")),
    "RFC 9111 §4.1 MUST: no two values are taken for one": (
        ask(said(cache_control=FRESH, vary="x-a"), x_a=["1", "2"]), ask(x_a="1, 2").gets("one"), ask(said("two"), x_a="12"),
    ),
    **{
        f"RFC 9111 §4.1 MUST: Vary: {star} never matches": (ask(said(cache_control=FRESH, vary=star)), ask(said("two"), wait=1))
        for star in ("*", "x-a, *")
    },
    "RFC 9111 §4.1 SHOULD: what varies goes before a later answer that forgot to say so": (
        GERMAN,
        ask(said("any", cache_control=FRESH), accept_language="xx", wait=1),
        ask(accept_language="de", wait=1).gets("de"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(VARY))
async def test_which_variant_is_used(steps: Case) -> None:
    await play(steps)


def lasts(seconds: int, **fields) -> Case:
    """Return the steps that show how long an answer is fresh."""
    body = ask(said(**fields))
    return (
        body,
        ask(wait=seconds - 1).gets("one", outcome="hit"),
        ask(said("two"), wait=1).gets("two", outcome="expired"),
    )


def never_fresh(**fields) -> Case:
    return ask(said(**fields)), ask(said("two")).gets("two")


GUESSED = {"last_modified": date(-WEEK), "date": date()}
LIFETIME = {
    "RFC 9111 §4.2.1 MUST: s-maxage before max-age": lasts(20, cache_control="max-age=60, s-maxage=20"),
    "RFC 9111 §4.2.1 MUST: however short": never_fresh(cache_control="max-age=60, s-maxage=0"),
    "RFC 9111 §4.2.1 MUST: max-age before Expires": lasts(20, cache_control="max-age=20", expires=date(60)),
    "RFC 9111 §4.2.1 MUST: Expires less Date": lasts(20, expires=date(30), date=date(10)),
    "RFC 9111 §4.2.1 MUST: Expires before a guess": lasts(20, expires=date(20), **GUESSED),
    "RFC 9111 §4.2.1 MUST: a guess where nothing is said": lasts(WEEK // 10, **GUESSED),
    "RFC 9111 §4.2.1 SHOULD: of a repeated directive the first": lasts(20, cache_control="max-age=20, max-age=60"),
    "RFC 9111 §4.2.1 SHOULD: on lines of its own too": lasts(20, cache_control=["max-age=20", "max-age=60"]),
    "RFC 9111 §4.2.1 SHOULD: two Expires are none to go by": never_fresh(expires=[date(60), date(90)]),
    "RFC 9111 §4.2.1 SHOULD: what makes no sense is not fresh": never_fresh(cache_control="max-age=soon"),
    "RFC 9111 §4.2.1 SHOULD: of what contradicts itself the stricter, no-store": never_fresh(
        cache_control="max-age=60, no-store"
    ),
    "RFC 9111 §4.2.1 SHOULD: no-cache": never_fresh(cache_control="no-cache, max-age=60"),
    "RFC 9111 §4.2.1 SHOULD: private": never_fresh(cache_control="public, max-age=60, private"),
    "RFC 9111 §4.2.2 MUST: no guess beside max-age=0": never_fresh(cache_control="max-age=0", **GUESSED),
    "RFC 9111 §4.2.2 MUST: no guess beside a date": never_fresh(expires=date(-1), **GUESSED),
    "RFC 9111 §4.2.2 MUST: no guess beside a lifetime": (
        ask(said(cache_control="max-age=20", **GUESSED)), ask(unchanged(), wait=20).gets("one", outcome="revalidated"),
    ),
    "RFC 9111 §4.2.3 MUST: the upstream's Age counts": lasts(20, cache_control=FRESH, age=40),
    "RFC 9111 §4.2.3 MUST: so does the time it took, from the request on": (
        ask(said(cache_control=FRESH, age=10), takes=5),
        ask(wait=7).gets("one", age=22, outcome="hit"),
        ask(wait=37).gets("one", age=59, outcome="hit"), ask(said("two"), wait=1),
    ),
    "RFC 9111 §4.2.3 MUST: so does its Date": (
        ask(said(cache_control=FRESH, date=date(-31))), ask(wait=29).gets("one", age=59), ask(said("two"), wait=1),
    ),
    "RFC 9111 §4.2.3 MUST: the older of the two": (ask(said(cache_control=FRESH, date=date(-31), age=50)), ask(wait=5).gets("one", age=55)),
    "RFC 9111 §4.2.3 MUST: a 304's too": (
        ask(said(etag=TAG, cache_control="max-age=10")), ask(unchanged(age=3), wait=11, takes=4).gets("one", age=7),
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(LIFETIME))
async def test_how_long_it_is_fresh_and_how_old(steps: Case) -> None:
    await play(steps)


DOWN = (UpstreamRefused("gone"),)
LOST = (UpstreamReset("gone"), UpstreamReset("gone"))
STRICT = ("no-cache", "must-revalidate", "proxy-revalidate", "s-maxage=10")
STALE = {
    **{
        f"RFC 9111 §4.2.4 MUST: never stale under {word}, where the upstream {what}": (
            ask(said(cache_control=f"max-age=10, {word}, stale-if-error=99, stale-while-revalidate=99", etag=TAG)),
            ask(*upstream, wait=20, **asks).gets(None, status),
        )
        for word in STRICT
        for what, upstream, status, asks in (
            ("is gone", DOWN, 502, {}),
            ("gets lost", LOST, 502, {}),
            ("is late", (UpstreamTimeout("late"),), 504, {}),
            ("says that it fails", (said("no", 503),), 503, {}),
            ("is gone and the client takes stale", DOWN, 502, {"cache_control": "max-stale, stale-if-error=99"}),
        )
    },
    "RFC 9111 §4.2.4 MUST: never stale without a word for it": (
        ask(said(cache_control="max-age=10")), ask(*DOWN, wait=10).gets(None, 502), ask(said("no", 500)).gets("no", 500),
    ),
    "RFC 9111 §4.2.4 MUST: max-stale is such a word": (
        ask(said(cache_control="max-age=10")),
        ask(wait=15, cache_control="max-stale=5").gets("one", outcome="stale", age=15),
        ask(said("two"), wait=1, cache_control="max-stale=5"),
    ),
    "RFC 9111 §4.2.4 MUST: so is stale-if-error": (
        ask(said(cache_control="max-age=10, stale-if-error=9")),
        ask(*DOWN, wait=15).gets("one", outcome="stale", age=15), ask(*DOWN, wait=5).gets(None, 502),
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(STALE))
async def test_when_it_may_be_used_stale(steps: Case) -> None:
    await play(steps)


async def test_rfc_9111_4_2_4_must_an_owners_grace_is_such_a_word_but_not_over_the_origins() -> None:
    """RFC 9111 §4.2.4 MUST: a contract outside the protocol permits; must-revalidate forbids."""
    rules = (rule(path="/**", ttl=10.0, error=99.0),)
    grace = (ask(said()), ask(*DOWN, wait=20).gets("one", outcome="stale"))
    forbidden = (ask(said(cache_control="max-age=10, must-revalidate")), ask(*DOWN, wait=20).gets(None, 502))
    for steps in (grace, forbidden):
        await play(steps, world(rules=rules))


async def together(said, *asking, **more) -> tuple[World, list]:
    """Let several ask at once; `said` is for the first, whoever asks for himself gets `own`."""
    held = Held(said)
    here = world(rules=(rule(path="/**", ttl=None),), **more)
    here.engine.then(held, answer(b"own"))
    first, *others = [[field for field in fields if field] for fields in asking]
    tasks = [here.start(asked("/a", *first))]
    await held.asked.wait()
    tasks += [here.start(asked("/a", *fields)) for fields in others]
    for _ in range(10):
        await asyncio.sleep(0)
    held.go.set()
    return here, await asyncio.gather(*tasks)


CC, LANGUAGE = b"cache-control", b"accept-language"
SHARED = {
    "RFC 9111 §4 MUST: what could be used again is shared": (((CC, b"max-age=60"),), (), (), True),
    "RFC 9111 §4 MUST: no-store is not": (((CC, b"max-age=60, no-store"),), (), (), False),
    "RFC 9111 §4 MUST: private is not": (((CC, b"max-age=60, private"),), (), (), False),
    "RFC 9111 §4 MUST: what is not fresh is not": (((CC, b"max-age=0"), (b"etag", b'"a"')), (), (), False),
    "RFC 9111 §4 MUST: nor no-cache": (((CC, b"no-cache"), (b"etag", b'"a"')), (), (), False),
    "RFC 9111 §4 MUST: what sets a cookie is not": (((CC, b"max-age=60"), (b"set-cookie", b"a=1")), (), (), False),
    "RFC 9111 §4 MUST: an answer to credentials is not": (((CC, b"max-age=60"),), ((b"authorization", b"x"),), (), False),
    "RFC 9111 §4 MUST: another variant is not": (
        ((CC, b"max-age=60"), (b"vary", b"accept-language")), ((LANGUAGE, b"de"),), ((LANGUAGE, b"fr"),), False,
    ),
    "RFC 9111 §4 MUST: Vary: * is not": (((CC, b"max-age=60"), (b"vary", b"*")), (), (), False),
    "RFC 9111 §4 MUST: nor with who wants a newer one": (((CC, b"max-age=60"),), (), ((CC, b"no-cache"),), False),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "first", "second", "shared"), SHARED.values(), ids=SHARED)
async def test_what_is_under_way_is_shared_where_it_could_be_used_again(fields, first, second, shared) -> None:
    here, told = await together(answer(b"first", *fields), first, second)
    assert [got.body for got in told] == [b"first", b"first" if shared else b"own"]
    assert len(here.engine.requests) == (1 if shared else 2)


@pytest.mark.parametrize("word", [b"private", b"no-cache"])
async def test_rfc_9111_5_2_2_7_must_a_field_that_is_for_one_is_not_shared_with_who_waits(word: bytes) -> None:
    """RFC 9111 §3.1, §4, §5.2.2.4, §5.2.2.7 MUST: what is not stored for others is not given to them on the way."""
    said = answer(b"first", (CC, b'max-age=60, %b="set-cookie"' % word), (b"set-cookie", b"sid=1"))
    _, (leader, follower) = await together(said, (), ())
    assert leader.header(b"set-cookie") == b"sid=1"
    assert follower.header(b"set-cookie") is None
