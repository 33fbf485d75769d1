"""RFC 9211: what Cache-Status says of how an answer was made; and Server-Timing beside it."""

import asyncio

import pytest
from exchange import FRESH, TAG, Case, ask, date, play, said, table, unchanged, world
from fakes import FakeEngine, Held, answer
from world import World, asked, rule

from proxy.core.structured import Token, items
from proxy.errors import Refusal, UpstreamRefused, UpstreamReset, UpstreamTimeout
from proxy.serve import Show

OURS = "Frontrunner; "
MISS = OURS + "fwd=uri-miss; stored"
ONE = ask(said(cache_control=FRESH, etag=TAG))
SHORT = ask(said(cache_control="max-age=10, stale-while-revalidate=20, stale-if-error=90", etag=TAG))
THEIRS = "Origin; hit; ttl=7, Other; fwd=miss"
HALF = ask(said("01", 206, cache_control=FRESH, etag=TAG, content_range="bytes 0-1/3"), range="bytes=0-1")


def says(what: str, *before, body: str | None = None, status: int = 200, **asks) -> Case:
    """Return the steps of which the last one's answer says this of itself."""
    upstream = asks.pop("upstream", ())
    return *before, ask(*upstream, **asks).gets(body, status, cache_status=OURS + what)


FORMS = {
    "RFC 9211 §2 MUST: ours comes last, behind what the upstream's caches said": (
        ask(said(cache_status=THEIRS)).gets("one", cache_status=f"{THEIRS}, {OURS}fwd=uri-miss; detail=no_ttl"),
    ),
    "RFC 9211 §2 SHOULD: what they said is kept with the answer": (
        ask(said(cache_control=FRESH, cache_status=THEIRS)),
        ask(wait=1).gets("one", cache_status=f"{THEIRS}, {OURS}hit; ttl=59"),
    ),
    "RFC 9211 §2 SHOULD: also where it passes through": (
        ask(said(cache_status=THEIRS), cache_control="no-store").gets("one", cache_status=f"{THEIRS}, {OURS}fwd=bypass; detail=request_no_store"),
    ),
    "RFC 9211 §2.1 MUST: a hit is what did not go up": says("hit; ttl=50", ONE, wait=10),
    "RFC 9211 §2.1 MUST: a 304 made here is a hit": says("hit; ttl=50", ONE, wait=10, if_none_match=TAG, status=304),
    "RFC 9211 §2.1 MUST: a part made here is a hit": says("hit; ttl=50", ONE, wait=10, range="bytes=0-0", status=206),
    "RFC 9211 §2.1 MUST: stale without going up is a hit, its ttl below zero": says(
        "hit; ttl=-5", SHORT, wait=15, upstream=[unchanged()], body="one"
    ),
    "RFC 9211 §2.1 MUST: so it is where the client takes it": says(
        "hit; ttl=-30; detail=request_max_stale", SHORT, wait=40, cache_control="max-stale"
    ),
    "RFC 9211 §2.1 MUST: nor is it where the upstream cannot be reached": says(
        "fwd=stale; detail=upstream_refused", SHORT, wait=40, upstream=[UpstreamRefused("gone")], body="one"
    ),
    "RFC 9211 §2.1 MUST: what went up and was answered is no hit": says(
        "fwd=stale; fwd-status=503; detail=status", SHORT, wait=40, upstream=[said("no", 503)], body="one"
    ),
    "RFC 9211 §2.2 SHOULD: bypass, where nothing is looked up": says(
        "fwd=bypass; detail=request_no_store", cache_control="no-store", upstream=[said()]
    ),
    "RFC 9211 §2.2 SHOULD: method, where it does not allow it": says(
        "fwd=method; detail=method", method="HEAD", upstream=[said()]
    ),
    "RFC 9211 §2.2 SHOULD: also where no rule is for the method": says(
        "fwd=method; detail=no_rule", method="PUT", upstream=[said()]
    ),
    "RFC 9211 §2.2 SHOULD: uri-miss, where nothing is stored": says("fwd=uri-miss; detail=no_ttl", upstream=[said()]),
    "RFC 9211 §2.2 SHOULD: vary-miss, where another variant is": says(
        "fwd=vary-miss; stored", ask(said(cache_control=FRESH, vary="x-a")),
        x_a="1", upstream=[said(cache_control=FRESH, vary="x-a")],
    ),
    "RFC 9211 §2.2 SHOULD: request, where the client wants more": says(
        "fwd=request; stored; detail=request_no_cache", ask(said(cache_control=FRESH)),
        cache_control="max-age=0", wait=1, upstream=[said(cache_control=FRESH)],
    ),
    "RFC 9211 §2.2 SHOULD: stale, where it is": says("fwd=stale; detail=no_ttl", ONE, wait=60, upstream=[said()]),
    "RFC 9211 §2.2 SHOULD: stale also where the client wants more": says(
        "fwd=stale; detail=no_ttl", ONE, wait=60, cache_control="no-cache", upstream=[said()]
    ),
    "RFC 9211 §2.2 SHOULD: partial, where the rest was asked for": says(
        "fwd=partial; fwd-status=206; stored", HALF,
        upstream=[said("2", 206, cache_control=FRESH, etag=TAG, content_range="bytes 2-2/3")], body="012",
    ),
    "RFC 9211 §2.3 SHOULD: fwd-status, where the upstream's is not the client's": says(
        "fwd=stale; fwd-status=304; stored", ask(said(cache_control="max-age=10", etag=TAG)),
        wait=11, upstream=[unchanged(cache_control=FRESH)], body="one",
    ),
    "RFC 9211 §2.3 MAY: not where it is": says("fwd=uri-miss; detail=no_ttl", upstream=[said("no", 404)], status=404),
    "RFC 9211 §2.4 MUST: ttl is what is left of the lifetime": says(
        "hit; ttl=29", ask(said(cache_control=FRESH, age=30)), wait=1
    ),
    "RFC 9211 §2.5 MUST: stored is said of what is": says("fwd=uri-miss; stored", upstream=[said(cache_control=FRESH)]),
    "RFC 9211 §2.5 MUST: and of nothing else": says(
        "fwd=uri-miss; detail=no_store", upstream=[said(cache_control="no-store")]
    ),
}  # fmt: skip


@pytest.mark.parametrize("steps", table(FORMS))
async def test_what_cache_status_says(steps: Case) -> None:
    await play(steps)


@pytest.mark.parametrize("steps", table(FORMS))
async def test_rfc_9211_2_must_each_form_is_a_list_of_one_way(steps: Case) -> None:
    """RFC 9211 §2 MUST: a structured list; a member is a hit or went forward, never both, with values of their types."""
    kinds = {
        "hit": bool, "fwd": Token, "fwd-status": int, "ttl": int, "stored": bool, "collapsed": bool, "detail": Token,
    }  # fmt: skip
    here = world()
    for step in steps:
        here.clock.advance(step.wait)
        here.engine.then(*step.upstream or [said()])
        got = await here.ask(step.request)
        await here.landed()
        *_, ours = items(got.header(b"cache-status"))
        assert ours.value == "Frontrunner"
        assert ("hit" in ours.params) != ("fwd" in ours.params)
        assert {name: type(value) for name, value in ours.params.items()} == {name: kinds[name] for name in ours.params}
        assert "fwd" in ours.params or ours.params.keys().isdisjoint({"fwd-status", "stored", "collapsed"})


async def test_rfc_9211_2_6_must_collapsed_is_said_of_who_waited_for_anothers_answer() -> None:
    """RFC 9211 §2.6 MUST."""
    held = Held(answer(b"one", (b"cache-control", b"max-age=60")))
    here = World(FakeEngine(held), rules=(rule(path="/**"),))
    asking = [here.start(asked("/a"))]
    await held.asked.wait()
    asking += [here.start(asked("/a"))]
    for _ in range(10):
        await asyncio.sleep(0)
    held.go.set()
    assert [got.header(b"cache-status") for got in await asyncio.gather(*asking)] == [
        b"Frontrunner; fwd=uri-miss; stored", b"Frontrunner; fwd=uri-miss; stored; collapsed",
    ]  # fmt: skip


ERRORS = {
    "RFC 9211 §2 SHOULD: none on a 400 of ours": (Refusal(400, "bad_request", "no"), said(), {}, 400),
    "RFC 9211 §2 SHOULD: none on a 414": (Refusal(414, "target_size", "no"), said(), {}, 414),
    "RFC 9211 §2 SHOULD: none on a 502": (None, UpstreamReset("gone"), {}, 502),
    "RFC 9211 §2 SHOULD: none on a 504": (None, UpstreamTimeout("late"), {}, 504),
    "RFC 9211 §2 SHOULD: none where there is nothing stored to be had": (
        None, said(), {"cache_control": "only-if-cached"}, 504,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("refused", "upstream", "asks", "status"), ERRORS.values(), ids=ERRORS)
async def test_what_cache_status_does_not_say(refused, upstream, asks, status) -> None:
    here = world()
    here.engine.then(upstream)
    got = await here.ask(ask(**asks).request, refused=refused)
    assert (got.status, got.header(b"cache-status")) == (status, None)


async def test_rfc_9211_6_should_it_can_be_kept_to_ourselves() -> None:
    """RFC 9211 §6 SHOULD: an owner decides whether clients see it; the upstream's own is not ours to hide."""
    steps = (
        ask(said(cache_control=FRESH, cache_status=THEIRS)).gets("one", cache_status=THEIRS),
        ask(wait=1).gets("one", cache_status=THEIRS, outcome="hit"),
    )
    await play(steps, world(show=Show(cache_status=False)))


async def test_rfc_9211_6_must_no_key_and_nothing_of_one_is_told() -> None:
    """RFC 9211 §6: neither target, nor fields, nor the key's digest."""
    here = world()
    steps = (
        ask(said(cache_control=FRESH), to="/s3cret?t=s3cret", x_forwarded_host="s3cret").gets("one", cache_status=MISS),
        ask(wait=1, to="/s3cret?t=s3cret", x_forwarded_host="s3cret").gets("one", cache_status=f"{OURS}hit; ttl=59"),
    )
    await play(steps, here)
    assert all(line["key_hash"] for line in here.lines)


LAPS = {
    "Server-Timing §2 MUST: the laps of a miss": ((), ["key", "lookup", "upstream", "total"]),
    "Server-Timing §2 MUST: of a hit": ((ONE,), ["key", "lookup", "total"]),
}


@pytest.mark.parametrize(("before", "laps"), LAPS.values(), ids=LAPS)
async def test_server_timing_tells_where_the_time_went(before, laps) -> None:
    here = world(show=Show(server_timing=True))
    await play([*before], here)
    here.engine.then(said(last_modified=date()))
    got = await here.ask(ask().request)
    assert [item.value for item in items(got.header(b"server-timing"))] == laps


@pytest.mark.parametrize("told", [True, False])
async def test_server_timing_must_be_asked_for_and_the_upstreams_own_stays(told: bool) -> None:
    """Server-Timing §4: how long things take may tell a stranger too much, so an owner says whether it is told."""
    here = world(show=Show(server_timing=told))
    here.engine.then(said(server_timing="db;dur=5"))
    got = await here.ask(ask().request)
    laps = [item.value for item in items(got.header(b"server-timing"))]
    assert laps[0] == "db"
    assert (laps[1:] == ["key", "lookup", "upstream", "total"]) == told
