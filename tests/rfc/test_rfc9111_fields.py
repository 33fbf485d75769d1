"""RFC 9111 §5 and §7: what the fields of requests and answers make a cache do, and what it must beware of."""

import pytest
from exchange import FRESH, TAG, Case, ask, date, play, said, table, unchanged, world
from fakes import FakeEngine, held_by
from world import World, rule

from proxy.errors import UpstreamRefused, UpstreamTimeout

ONE = ask(said(cache_control=FRESH))
WEEK = 7 * 86400


def aged(told: int, *age: str) -> Case:
    """Return the steps that show how an upstream's Age is read."""
    return ask(said(cache_control="max-age=600", age=list(age))), ask(wait=5).gets("one", age=told + 5, outcome="hit")


AGE = {
    "RFC 9111 §5.1 MUST: Age is a number": aged(20, "20"),
    "RFC 9111 §5.1 SHOULD: of several the first, in one line": aged(20, "20, 70"),
    "RFC 9111 §5.1 SHOULD: of several the first, in several": aged(20, "20", "70"),
    "RFC 9111 §5.1 SHOULD: also where a later one is older": aged(0, "0", "9999"),
    **{
        f"RFC 9111 §5.1 SHOULD: {age!r} is ignored": aged(0, age)
        for age in ("-20", "20.5", "+20", "twenty", "", "20s", "0x20", '"20"', "20;a=b", "2e1", "x, 20", "²")
    },
    "RFC 9111 §5.1 MUST: white space around it means nothing": aged(20, " 20 "),
}


@pytest.mark.parametrize("steps", table(AGE))
async def test_age(steps: Case) -> None:
    await play(steps)


def hit(asks: str, wait: float = 10) -> Case:
    """Return the steps that show that what is stored will do for who asks so."""
    return ONE, ask(wait=wait, cache_control=asks).gets("one", outcome="hit")


def not_hit(asks: str, wait: float = 10) -> Case:
    return ONE, ask(said("two"), wait=wait, cache_control=asks).gets("two")


REQUESTS = {
    "RFC 9111 §5.2 MUST: a request's directives go on, on a miss": (
        ask(said(), cache_control="max-age=5, x-y=z").goes_up(cache_control="max-age=5, x-y=z"),
    ),
    "RFC 9111 §5.2 MUST: where they pass through": (ask(said(), cache_control="no-store").goes_up(cache_control="no-store"),),
    "RFC 9111 §5.2 MUST: and when we ask for ourselves": (
        ask(said(cache_control=FRESH, etag=TAG)),
        ask(unchanged(), wait=61, cache_control="max-age=5").goes_up(cache_control="max-age=5").gets("one"),
    ),
    "RFC 9111 §5.2 MUST: an answer's directives go on": (
        ask(said(cache_control='max-age=60, public, stale-if-error=5, x-y="z, a"')).gets("one", cache_control='max-age=60, public, stale-if-error=5, x-y="z, a"'),
        ask(wait=1).gets("one", cache_control='max-age=60, public, stale-if-error=5, x-y="z, a"'),
    ),
    "RFC 9111 §5.2 MUST: those that keep it out of stores too": (
        ask(said(cache_control="no-store, private")).gets("one", cache_control="no-store, private"),
    ),
    "RFC 9111 §5.2.1.1 SHOULD: the client's max-age is young enough": hit("max-age=10"),
    "RFC 9111 §5.2.1.1 SHOULD: the client's max-age is not": not_hit("max-age=9"),
    "RFC 9111 §5.2.1.3 SHOULD: min-fresh is left": hit("min-fresh=50"),
    "RFC 9111 §5.2.1.3 SHOULD: min-fresh is not": not_hit("min-fresh=51"),
    "RFC 9111 §5.2.1.4 SHOULD: no-cache wants it asked about": (
        ask(said(cache_control=FRESH, etag=TAG)),
        ask(unchanged(), wait=1, cache_control="no-cache").goes_up(if_none_match=TAG).gets("one", outcome="revalidated"),
    ),
    "RFC 9111 §5.2.1.5 MUST: what was asked with no-store is not stored": (
        ask(said(cache_control=FRESH), cache_control="no-store"), ask(said("two"), wait=1).gets("two"),
    ),
    "RFC 9111 §5.2.1.5 MUST: nor does it replace what is": (
        ONE, ask(said("two", cache_control=FRESH), wait=1, cache_control="no-store"), ask(wait=1).gets("one", age=2),
    ),
    "RFC 9111 §5.2.1.7 SHOULD: only-if-cached gets what is stored": hit("only-if-cached"),
    "RFC 9111 §5.2.1.7 SHOULD: or a 504": (ask(cache_control="only-if-cached").gets(None, 504),),
    "RFC 9111 §5.2.1.7 SHOULD: a 504 too where it is no longer fresh": (ONE, ask(wait=60, cache_control="only-if-cached").gets(None, 504)),
    "RFC 9111 §5.2.1.7 SHOULD: unless stale will do": (
        ONE, ask(wait=60, cache_control="only-if-cached, max-stale").gets("one", outcome="stale"),
    ),
    "RFC 9111 §5.2.3 MUST: what nobody knows is ignored": hit("purple, green=1, no-cash"),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(REQUESTS))
async def test_what_a_request_says(steps: Case) -> None:
    await play(steps)


def stored(lasts: int = 60, **fields) -> Case:
    """Return the steps that show for how long an answer is stored and fresh."""
    return ask(said(**fields)), ask(wait=lasts - 1).gets("one", outcome="hit"), ask(said("two"), wait=1).gets("two")


def asked_again(status: int = 200, **fields) -> Case:
    return ask(said("one", status, **fields)), ask(said("two")).gets("two")


STRICT = ask(said(cache_control="max-age=10, must-revalidate", etag=TAG))
RESPONSES = {
    "RFC 9111 §5.2.2.2 MUST: an error, nothing stale, where the upstream is silent": (
        STRICT, ask(UpstreamTimeout("late"), wait=11).gets(None, 504),
    ),
    "RFC 9111 §5.2.2.2 MUST: or cannot be reached": (STRICT, ask(UpstreamRefused("gone"), wait=11).gets(None, 502)),
    "RFC 9111 §5.2.2.2 MUST: fresh it needs no asking": (STRICT, ask(wait=9).gets("one", outcome="hit")),
    "RFC 9111 §5.2.2.3 SHOULD: must-understand makes no-store void where the status is understood": stored(
        cache_control="must-understand, no-store, max-age=60"
    ),
    "RFC 9111 §5.2.2.3 MUST: not where it is not": asked_again(299, cache_control="must-understand, no-store, max-age=60"),
    "RFC 9111 §5.2.2.3 MUST: no-store alone is no-store": asked_again(cache_control="no-store, max-age=60"),
    "RFC 9111 §5.2.3 MUST: directives that nobody knows are ignored": stored(
        cache_control='purple, green="max-age=1, no-store", max-age=60, no-cash=1'
    ),
    "RFC 9111 §5.2.3 MUST: names that only begin alike too": stored(
        cache_control="max-agent=1, no-storey, privateer, max-age=60"
    ),
    "RFC 9111 §5.2 MUST: case means nothing": stored(cache_control="MaX-aGe=60"),
    "RFC 9111 §5.2 MUST: what is quoted is one argument": stored(cache_control='x="a\\", no-store, b", max-age=60'),
    **{
        f"RFC 9111 §5.3 MUST: Expires {value!r} is in the past": asked_again(expires=value)
        for value in ("0", "-1", "", "soon", "60", date(60).replace("GMT", "CET"), date(60)[5:], "Thu, 32 Jan 2099 00:00:00 GMT")
    },
    "RFC 9111 §5.3 MUST: also where it could be guessed": asked_again(expires="0", last_modified=date(-WEEK), date=date()),
    "RFC 9111 §5.3 MUST: no Expires beside max-age": stored(cache_control="max-age=60", expires="0"),
    "RFC 9111 §5.3 MUST: however late": asked_again(cache_control="max-age=0", expires=date(60)),
    "RFC 9111 §5.3 MUST: nor beside s-maxage": stored(cache_control="s-maxage=60", expires=date(-60)),
    "RFC 9111 §5.3 MUST: nor beside a max-age that makes no sense": asked_again(cache_control="max-age=x", expires=date(60)),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(RESPONSES))
async def test_what_an_answer_says(steps: Case) -> None:
    await play(steps)


UNKEYED = (
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-prefix",
    "forwarded",
    "x-original-url",
    "x-rewrite-url",
)
BEWARE = {
    **{
        f"RFC 9111 §7.1 SHOULD: {name} may shape an answer, so it is part of the key": (
            ask(said("poison", cache_control=FRESH), **{name: "evil.test"}),
            ask(said(cache_control=FRESH)),
            ask(**{name: "evil.test"}).gets("poison"),
        )
        for name in (*UNKEYED, "x-http-method-override")
    },
    "RFC 9111 §7.1 SHOULD: a GET with a body is not looked up": (
        ask(said("poison", cache_control=FRESH), body=b"x=1"), ask(said("two"), wait=1).gets("two"),
    ),
    "RFC 9111 §7.3 SHOULD: an answer that sets a cookie is nobody else's": (
        ask(said(cache_control="public, max-age=60", set_cookie="sid=1")).gets("one", set_cookie="sid=1"),
        ask(said("two"), wait=1).gets("two", set_cookie=None),
    ),
    "RFC 9111 §7.3 SHOULD: nothing is guessed for who sends a cookie": (
        ask(said(last_modified=date(-WEEK), date=date()), cookie="sid=1"), ask(said("two"), wait=1).gets("two"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(BEWARE))
async def test_what_must_not_reach_others(steps: Case) -> None:
    await play(steps)


OWNERS = {
    "RFC 9111 §7.3 SHOULD: under an owner's ttl a cookie passes through": {"cookie": "sid=1"},
    "RFC 9111 §7.3 SHOULD: credentials too": {"authorization": "Basic YTpi"},
}


@pytest.mark.parametrize("fields", OWNERS.values(), ids=OWNERS)
async def test_an_owners_ttl_is_no_word_on_whose_an_answer_is(fields) -> None:
    steps = (
        ask(said("whose"), **fields), ask(said("all")), ask(wait=1).gets("all", outcome="hit"),
        ask(said("whose"), **fields).gets("whose", outcome="passthrough"),
    )  # fmt: skip
    await play(steps, World(FakeEngine(), rules=(rule(path="/**"),)))


async def test_rfc_9111_7_3_should_nothing_of_a_credential_is_told_or_kept_in_the_clear() -> None:
    """RFC 9111 §7.3 SHOULD: neither the store's keys nor what is told of them holds a secret."""
    secret = "Bearer s3cret-s3cret"
    here = world(rules=(rule(path="/**", private_by=(b"authorization",)),))
    steps = (
        ask(said(cache_control=FRESH), authorization=secret),
        ask(wait=1, authorization=secret).gets("one", outcome="hit"),
    )
    await play(steps, here)
    told = repr((here.lines, here.log.calls, await held_by(here.store)))  # type: ignore[arg-type]
    assert "s3cret" not in told
    await play([ask(said("two"), authorization="Bearer another")], here)
