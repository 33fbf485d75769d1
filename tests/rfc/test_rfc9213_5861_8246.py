"""RFC 9213, RFC 5861 and RFC 8246: cache control aimed at us, stale answers while or because, and immutable ones."""

import pytest
from exchange import FRESH, TAG, Case, ask, date, play, said, table, unchanged, world
from fakes import FakeEngine, Held, until
from world import World, rule

from proxy.errors import UpstreamCut, UpstreamInvalid, UpstreamRefused, UpstreamReset, UpstreamTimeout

OURS, CDN = "frontrunner_cache_control", "cdn_cache_control"


def lasts(seconds: int, **fields) -> Case:
    """Return the steps that show for how long an answer is fresh."""
    return ask(said(**fields)), ask(wait=seconds - 1).gets("one", outcome="hit"), ask(said("two"), wait=1).gets("two")


def not_kept(**fields) -> Case:
    return ask(said(**fields)), ask(said("two")).gets("two")


MALFORMED = (
    "max-age=9,",
    "max-age=",
    "=9",
    "MAX-AGE=9",
    "max-age = 9",
    "max-age=9; no-store=",
    "max-age=9 no-store",
    '"max-age=9',
    "max-age=é",
)
AIMED = {
    "RFC 9213 §2.1 MUST: what is aimed at us counts, not Cache-Control": lasts(
        20, **{CDN: "max-age=20", "cache_control": "max-age=5, no-store, private"}
    ),
    "RFC 9213 §2.1 MUST: also where it is the stricter": not_kept(**{CDN: "no-store", "cache_control": FRESH}),
    "RFC 9213 §2.1 MUST: nor Expires": not_kept(**{CDN: "public", "expires": date(60), "date": date()}),
    "RFC 9213 §2.1 MUST: nor an Expires that is past": lasts(20, **{CDN: "max-age=20", "expires": "0"}),
    "RFC 9213 §2.1 MUST: nor what Cache-Control says of stale answers": (
        ask(said(cache_control="max-age=10, stale-if-error=99", cdn_cache_control="max-age=10")),
        ask(UpstreamRefused("gone"), wait=11).gets(None, 502),
    ),
    "RFC 9213 §2.1 MUST: what does not parse counts for nothing": not_kept(
        **{CDN: "max-age=60,", "cache_control": "max-age=0"}
    ),
    **{
        f"RFC 9213 §2.1 MUST: {value} is not a dictionary": lasts(20, **{CDN: value, "cache_control": "max-age=20"}) for value in MALFORMED
    },
    "RFC 9213 §2.1 MUST: nor does what is empty": lasts(20, **{CDN: "", "cache_control": "max-age=20"}),
    "RFC 9213 §2.1 MUST: nor several that are": lasts(20, **{CDN: ["", " "], "cache_control": "max-age=20"}),
    "RFC 9213 §2.1 MUST: it is a dictionary, of a key the last": lasts(20, **{CDN: "max-age=5, max-age=20"}),
    "RFC 9213 §2.1 MUST: on several lines": lasts(20, **{CDN: ["public", "max-age=20"]}),
    "RFC 9213 §2.1 MUST: with parameters, which mean nothing": lasts(20, **{CDN: "max-age=20;x=no-store, purple;max-age=5"}),
    "RFC 9213 §2.1 MUST: what is quoted is no number": not_kept(**{CDN: 'max-age="60"', "cache_control": FRESH}),
    "RFC 9213 §2.1 MUST: a fraction is none either": not_kept(**{CDN: "max-age=60.5", "cache_control": FRESH}),
    "RFC 9213 §2.1 MUST: keys that nobody knows are ignored": lasts(20, **{CDN: "max-age=20, purple, green=(a b);c"}),
    "RFC 9213 §2.2 MUST: the first of the list": lasts(20, **{CDN: "max-age=5", OURS: "max-age=20"}),
    "RFC 9213 §2.2 MUST: whatever comes first in the answer": lasts(20, **{OURS: "max-age=20", CDN: "no-store"}),
    "RFC 9213 §2.2 MUST: the next where it does not parse": lasts(20, **{OURS: "max-age=,", CDN: "max-age=20"}),
    "RFC 9213 §2.2 MUST: the next where it is empty": lasts(
        20, **{OURS: "", CDN: "max-age=20", "cache_control": "no-store"}
    ),
    "RFC 9213 §2.2 MUST: max-age": lasts(20, **{CDN: "max-age=20"}),
    "RFC 9213 §2.2 MUST: max-age=0": not_kept(**{CDN: "max-age=0", "cache_control": FRESH}),
    "RFC 9213 §2.2 MUST: no-store": not_kept(**{CDN: "no-store, max-age=20"}),
    "RFC 9213 §2.2 MUST: private": not_kept(**{CDN: "private, max-age=20"}),
    "RFC 9213 §2.2 MUST: private for a field": (
        ask(said(cdn_cache_control='private="x-a", max-age=20', x_a="1")), ask(wait=1).gets("one", outcome="hit", x_a=None),
    ),
    "RFC 9213 §2.2 MUST: no-cache": (
        ask(said(cdn_cache_control="no-cache, max-age=20", cache_control=FRESH, etag=TAG)),
        ask(unchanged(), wait=1).goes_up(if_none_match=TAG).gets("one"),
    ),
    "RFC 9213 §2.2 MUST: must-revalidate": (
        ask(said(cdn_cache_control="max-age=10, must-revalidate, stale-if-error=99")),
        ask(UpstreamRefused("gone"), wait=11).gets(None, 502),
    ),
    "RFC 9213 §2.2 MUST: must-revalidate lets an answer to credentials be stored": (
        ask(said(cdn_cache_control="max-age=10, must-revalidate"), authorization="Basic YTpi"),
        ask(wait=1).gets("one", outcome="hit"),
    ),
    "RFC 9213 §2.2 MUST: an Age counts against it": (
        ask(said(cdn_cache_control="max-age=20", age=15)), ask(wait=4).gets("one", age=19), ask(said("two"), wait=1),
    ),
    "RFC 9213 §2.2 MUST: what a 304 aims at us counts from then on": (
        ask(said(cdn_cache_control="max-age=10", etag=TAG)),
        ask(unchanged(cdn_cache_control="max-age=20"), wait=11).gets("one"),
        ask(wait=19).gets("one", outcome="hit"),
    ),
    **{
        f"RFC 9213 §3 MUST: {name} is not aimed at us and goes on": (
            ask(said(cache_control="max-age=20", **{name: "no-store"})).gets("one", **{name: "no-store"}),
            ask(wait=19).gets("one", outcome="hit", **{name: "no-store"}),
        )
        for name in ("other_cdn_cache_control", "surrogate_control", "cloudflare_cdn_cache_control")
    },
}  # fmt: skip


@pytest.mark.parametrize("steps", table(AIMED))
async def test_what_is_aimed_at_us(steps: Case) -> None:
    await play(steps)


SWR = "max-age=10, stale-while-revalidate=20"
SIE = "max-age=10, stale-if-error=20"
NETWORK = (UpstreamRefused("a"), UpstreamInvalid("b"), UpstreamTimeout("c"), UpstreamCut("d"))
LOST = (UpstreamReset("e"), UpstreamReset("e"))
STALE = {
    "RFC 5861 §3 MAY: stale within the window, and asked about behind it": (
        ask(said(cache_control=SWR, etag=TAG)),
        ask(unchanged(cache_control=SWR), wait=15).goes_up(if_none_match=TAG).gets("one", outcome="stale", age=15),
        ask(wait=9).gets("one", outcome="hit", age=9),
    ),
    "RFC 5861 §3 SHOULD: what is fetched behind it is used next": (
        ask(said(cache_control=SWR)),
        ask(said("two", cache_control=FRESH), wait=29).gets("one", outcome="stale"),
        ask(wait=1).gets("two", outcome="hit"),
    ),
    "RFC 5861 §3 SHOULD: a failure behind it ends nothing": (
        ask(said(cache_control=SWR)),
        ask(said("no", 503), wait=15).gets("one"),
        ask(said("no", 503), wait=1).gets("one", outcome="stale"),
    ),
    "RFC 5861 §3 SHOULD: not beyond the window": (ask(said(cache_control=SWR)), ask(said("two"), wait=30).gets("two", outcome="expired")),
    "RFC 5861 §3 SHOULD: not while it is fresh": (ask(said(cache_control=SWR)), ask(wait=9).gets("one", outcome="hit")),
    "RFC 5861 §3 SHOULD: not for who asks for a newer one": (
        ask(said(cache_control=SWR)), ask(said("two"), wait=15, cache_control="no-cache").gets("two"),
    ),
    **{
        f"RFC 5861 §4 MAY: stale for a {status}": (
            ask(said(cache_control=SIE)), ask(said("no", status), wait=15).gets("one", outcome="stale", age=15),
        )
        for status in (500, 502, 503, 504)
    },
    **{
        f"RFC 5861 §4 MUST: not for a {status}": (ask(said(cache_control=SIE)), ask(said("no", status), wait=15).gets("no", status))
        for status in (400, 404, 410, 501, 505)
    },
    **{
        f"RFC 5861 §4 MAY: stale for {type(error).__name__}": (
            ask(said(cache_control=SIE)), ask(error, wait=15).gets("one", outcome="stale"),
        )
        for error in NETWORK
    },
    "RFC 5861 §4 MAY: stale for UpstreamReset": (ask(said(cache_control=SIE)), ask(*LOST, wait=15).gets("one", outcome="stale")),
    "RFC 5861 §4 SHOULD: not beyond the window": (ask(said(cache_control=SIE)), ask(said("no", 503), wait=30).gets("no", 503)),
    "RFC 5861 §4 MAY: where the client says so": (
        ask(said(cache_control="max-age=10")),
        ask(said("no", 503), wait=15, cache_control="stale-if-error=20").gets("one", outcome="stale"),
        ask(said("no", 503), wait=15, cache_control="stale-if-error=20").gets("no", 503),
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(STALE))
async def test_stale_while_and_stale_if(steps: Case) -> None:
    await play(steps)


async def test_rfc_5861_3_should_nobody_waits_while_it_is_asked_about() -> None:
    """RFC 5861 §3 SHOULD: the stale answer is out before the upstream has said a word."""
    here = world()
    await play([ask(said(cache_control=SWR))], here)
    held = Held(said("two", cache_control=FRESH))
    here.engine.then(held)
    here.clock.advance(15)
    for _ in range(2):
        got = await here.ask(ask().request)
        assert (got.body, here.outcomes[-1]) == (b"one", "stale")
    await until(held.asked.is_set)
    held.go.set()
    await here.landed()
    assert len(here.engine.requests) == 2
    await play([ask().gets("two", outcome="hit")], here)


IMMUTABLE = ask(said(cache_control="max-age=600, immutable", etag=TAG))
LONG = {
    "RFC 8246 §2 SHOULD: while fresh it is not asked about": (IMMUTABLE, ask(wait=599).gets("one", outcome="hit")),
    "RFC 8246 §2 SHOULD: not for a client's condition either": (
        IMMUTABLE, ask(wait=9, if_none_match=TAG).gets("", 304, "hit"), ask(if_none_match='"b"').gets("one", outcome="hit"),
    ),
    "RFC 8246 §2 MAY: but where the client insists": (
        IMMUTABLE, ask(unchanged(), wait=9, cache_control="no-cache").gets("one", outcome="revalidated"),
    ),
    "RFC 8246 §2 MUST: not longer than it is fresh": (IMMUTABLE, ask(unchanged(), wait=600).gets("one", outcome="revalidated")),
    **{
        f"RFC 8246 §2 MUST: an argument means nothing, {word}": (
            ask(said(cache_control=f"{word}, max-age=60")),
            ask(wait=59).gets("one", outcome="hit"),
            ask(said("two"), wait=1),
        )
        for word in ("immutable=0", 'immutable="no-store, x"', "immutable=true")
    },
    "RFC 8246 §2 MUST: alone it gives no lifetime": not_kept(cache_control="immutable"),
    "RFC 8246 §2 MUST: of a request it means nothing": (
        ask(said(cache_control="max-age=10", etag=TAG)), ask(wait=9, cache_control="immutable").gets("one", outcome="hit"),
        ask(unchanged(), wait=1, cache_control="immutable").goes_up(cache_control="immutable").gets("one", outcome="revalidated"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(LONG))
async def test_immutable(steps: Case) -> None:
    await play(steps)


async def test_rfc_9213_an_owners_ttl_gives_way_to_what_is_aimed_at_us() -> None:
    """RFC 9213 §2.1 MUST: what the origin says for us is said."""
    here = World(FakeEngine(), rules=(rule(path="/**"),))
    await play(not_kept(cdn_cache_control="no-store"), here)
