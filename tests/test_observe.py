"""In observe, all answers are the upstream's, and the log tells what would have been."""

import asyncio
from dataclasses import replace

import pytest
from fakes import Body, FailingStore, FakeClock, FakeDelivery, FakeEngine, Held, answer, held_by, limited, until
from shop import Shop, listed, shop_rule
from world import World, asked, rule

from proxy.core.normalize.json import Json
from proxy.core.reasons import Reason
from proxy.core.rollout import Stage
from proxy.core.rules import default_rule
from proxy.core.storing import Storing
from proxy.core.types import Outcome, Response
from proxy.errors import Fallback, UpstreamCut, UpstreamReset
from proxy.mode import Mode
from proxy.store.memory import Memory

COST_S, TTL_S = 2.5, 3600.0
TAGGED = (b"etag", b'"1"')


def world(*answers, rules=None, **more):
    """Return a world that only observes; its upstream takes 2.5 s for everything."""
    clock = more.pop("clock", None) or FakeClock()
    engine = FakeEngine(*answers, clock=clock, takes=COST_S)
    return World(engine, rules=rules or (rule(), default_rule()), clock=clock, mode=Mode(observing=True), **more)


async def seen(here, request=None, delivery=None):
    """Ask, and wait until what it means is settled."""
    got = await here.ask(request, delivery)
    await here.settled()
    return got


def would(here):
    """Return what would have become of the requests so far."""
    return [f"{one.would}:{one.would_reason}" if one.would_reason else str(one.would) for one in here.log.requests]


def post(body, *fields, target="/kept/a"):
    return asked(target, (b"content-length", b"%d" % len(body)), *fields, method="POST", body=Body(*body.split(b"|")))


def get(*fields, target="/kept/a", method="GET"):
    return asked(target, *fields, method=method)


NO_CACHE, ONLY = (b"cache-control", b"no-cache"), (b"cache-control", b"only-if-cached")
FRESH = (b"cache-control", b"max-age=60")
# name → what is asked when, and what would become of each
STORIES = {
    "again": ([(0, get()), (10, get())], ["miss", "hit"]),
    "a hit makes nothing younger": ([(0, get()), (3000, get()), (1000, get())], ["miss", "hit", "expired"]),
    "what expired is new again": ([(0, get()), (4000, get()), (10, get())], ["miss", "expired", "hit"]),
    "within grace": ([(0, get(target="/soft/a")), (70, get(target="/soft/a")), (1, get(target="/soft/a"))], ["miss", "stale", "hit"]),
    "a HEAD of what is stored": ([(0, get()), (1, get(method="HEAD"))], ["miss", "hit"]),
    "a HEAD of what is not": ([(0, get(method="HEAD")), (1, get())], ["passthrough:method", "miss"]),
    "the client wants a new one": ([(0, get()), (1, get(NO_CACHE))], ["miss", "miss:request_no_cache"]),
    "what the client wants from the store": ([(0, get(ONLY)), (1, get()), (1, get(ONLY))], ["error:only_if_cached", "miss", "hit"]),
    "no store": ([(0, get((b"cache-control", b"no-store"))), (1, get())], ["passthrough:request_no_store", "miss"]),
    "a Cookie": ([(0, get((b"cookie", b"a=1"))), (1, get())], ["passthrough:cookie", "miss"]),
    "a POST that is not safe": ([(0, get(target="/any/a")), (1, post(b"x", target="/any/a")), (1, get(target="/any/a"))], ["miss", "passthrough:method", "miss"]),
    "a POST that only reads": ([(0, post(b"a|b", target="/safe/a")), (1, post(b"ab", target="/safe/a")), (1, post(b"c", target="/safe/a"))], ["miss", "hit", "miss"]),
    "a body too long": ([(0, post(b"abcde|fghij|klm", target="/safe/a")), (1, post(b"abcde|fghij|klm", target="/safe/a"))], ["passthrough:key_body_size"] * 2),
    "a body that is no JSON": ([(0, post(b"{", (b"content-type", b"application/json"), target="/json/a"))], ["passthrough:key_body_syntax"]),
    "what the origin does not let be kept": ([(0, get(target="/plain")), (1, get(target="/plain"))], ["miss:no_ttl"] * 2),
    "prefer": ([(0, get((b"prefer", b"respond-async"))), (1, get((b"prefer", b"wait=1")))], ["miss", "hit"]),
}  # fmt: skip
RULES = (
    rule("soft", "/soft/**", ttl=60.0, refresh=60.0),
    rule("safe", "/safe/**", safe=True, max_key_body=10),
    rule("any", "/any/**", methods=frozenset({"GET", "HEAD", "POST"})),
    rule("json", "/json/**", safe=True, normalizers=(Json(),)),
    rule(),
    default_rule(),
)


@pytest.mark.parametrize(("story", "expected"), STORIES.values(), ids=STORIES)
async def test_what_would_have_become_of_it(story, expected):
    """Every request went up, every line says observe, nothing is held against the upstream."""
    here = world(answer(b"ok"), rules=RULES)
    for wait_s, request in story:
        here.clock.advance(wait_s)
        got = await seen(here, request)
        assert (got.status, got.complete) == (200, True)
        assert got.header(b"cache-status") == b"Frontrunner; fwd=bypass; detail=observe"
        assert got.header(b"age") is None
    assert would(here) == expected
    assert set(here.outcomes) == {"passthrough:observe"}
    assert (len(here.engine.requests), here.log.failures) == (len(story), [])


# what the upstream says → what a second request meets
ANSWERS = {
    "private": (answer(b"ok", (b"cache-control", b"private")), ["miss:private"] * 2),
    "a cookie is set": (answer(b"ok", (b"set-cookie", b"a=1")), ["miss:set_cookie"] * 2),
    "an error": (answer(b"ok", status=500), ["miss:status"] * 2),
    "an event stream": (answer(b"ok", (b"content-type", b"text/event-stream")), ["miss:event_stream"] * 2),
    "too large, as it says": (answer(b"x" * 101), ["miss:too_large"] * 2),
    "too large, as it turns out": (lambda _: answer(b"x" * 101, length=False), ["miss:too_large"] * 2),
    "no marked end": (answer(b"ok", framed=False, length=False), ["miss:incomplete"] * 2),
    "less than it says": (lambda _: answer(b"ok", (b"content-length", b"3"), length=False), ["miss"] * 2),
    "nothing": (answer(b""), ["miss", "hit"]),
}


@pytest.mark.parametrize(("said", "expected"), ANSWERS.values(), ids=ANSWERS)
async def test_what_would_not_have_been_stored(said, expected):
    here = world(said, rules=(rule(max_object=100),))
    for _ in expected:
        await seen(here)
    assert would(here) == expected


async def test_what_is_kept_is_what_would_have_been_kept():
    """The same entries, to the byte and the second, as on a road that serves from them."""
    held = []
    for observing in (True, False):
        here = world(answer(b"ok", TAGGED, (b"vary", b"accept-language")), clock=FakeClock())
        here.mode.observing = observing
        await seen(here, get((b"accept-language", b"de")))
        held.append(await held_by(here.store))
    assert len(held[0]) == 2
    assert held[0] == held[1]


async def test_the_line_of_a_hit():
    here = world(answer(b"ok", connect_s=0.25))
    await seen(here)
    here.log.requests.clear()
    await seen(here)
    assert here.log.line | {"key_hash": "…"} == {
        "request_id": f"{2:032x}", "client_ip": "192.0.2.7", "method": "GET", "path": "/kept/a", "status": 200,
        "rule": "kept", "outcome": "passthrough", "reason": "observe", "would": "hit", "would_save_s": 2.5,
        "key_hash": "…", "upstream_calls": 1, "bytes_in": 0, "bytes_out": 2, "duration_s": 2.5, "ttfb_s": 0.0,
        "normalize_s": 0.0, "lookup_s": 0.0, "upstream_connect_s": 0.25, "upstream_ttfb_s": 2.5, "upstream_s": 2.5,
        "send_s": 0.0, "overhead_s": 0.0,
    }  # fmt: skip


GZIP = (b"content-encoding", b"gzip")
# what is stored, what the upstream says now → is that another answer
DIFFERENT = {
    "the same": (answer(b"one"), answer(b"one"), None),
    "another body": (answer(b"one"), answer(b"two"), True),
    "a longer one": (answer(b"one"), answer(b"three"), True),
    "one too long to be kept": (answer(b"one"), lambda _: answer(b"x" * 101, length=False), True),
    "one that is not to be kept": (answer(b"one"), answer(b"three", (b"cache-control", b"private")), True),
    "another status": (answer(b"one"), answer(b"one", status=404), True),
    "another coding": (answer(b"one"), answer(b"two", GZIP), None),
    "still good": (answer(b"one", TAGGED), answer(b"", TAGGED, status=304), None),
    "no longer good": (answer(b"one", TAGGED), answer(b"", (b"etag", b'"2"'), status=304), True),
    "a part": (answer(b"one"), answer(b"n", (b"content-range", b"bytes 1-1/3"), status=206), None),
    "cut": (answer(b"one"), answer(Body(b"t", ends=False).fail(UpstreamCut("")), (b"content-length", b"3")), None),
}


@pytest.mark.parametrize(("stored", "now", "differs"), DIFFERENT.values(), ids=DIFFERENT)
async def test_whether_what_is_stored_is_what_the_upstream_says(stored, now, differs):
    here = world(stored, now, rules=(rule(max_object=100),))
    await seen(here)
    await seen(here)
    assert (here.last.would, here.last.would_differ) == (Outcome.HIT, differs)


async def test_the_answer_to_a_head_is_compared_by_its_status():
    here = world(answer(b"one"), answer(b"", (b"content-length", b"3")), answer(b"", status=404))
    for request in (get(), get(method="HEAD"), get(method="HEAD")):
        await seen(here, request)
    assert [one.would_differ for one in here.log.requests] == [None, None, True]


async def test_a_304_to_the_clients_own_condition_confirms_what_is_stored():
    """As it would have been revalidated: it is fresh again, and worth what it once cost."""
    here = world(answer(b"one", TAGGED), answer(b"", TAGGED, status=304))
    await seen(here)
    here.clock.advance(TTL_S)
    condition = (b"if-none-match", b'"1"')
    assert (await seen(here, get(condition))).status == 304
    await seen(here, get(condition))
    assert would(here) == ["miss", "expired", "hit"]
    assert here.last.would_save_s == COST_S


async def test_what_asks_meanwhile_would_have_waited_for_the_first():
    """It goes up by itself."""
    first, second = Held(answer(b"one")), Held(answer(b"two"))
    here = world(first, second)
    asking = [here.start(), here.start()]
    for held in (first, second):
        await held.asked.wait()
    for held in (first, second):
        held.go.set()
    assert [got.body for got in await asyncio.gather(*asking)] == [b"one", b"two"]
    await here.settled()
    assert would(here) == ["miss", "collapsed"]
    assert not here.observe._under_way
    assert len(here.flights) == 0


async def test_who_would_have_waited_for_what_is_anothers_own_would_have_passed():
    first, second = Held(answer(b"one", (b"cache-control", b"private"))), Held(answer(b"two"))
    here = world(first, second)
    asking = [here.start(), here.start()]
    for held, task in zip((first, second), asking, strict=True):
        await held.asked.wait()
        held.go.set()
        await task
    await here.settled()
    assert would(here) == ["miss:private", "passthrough:private"]


async def test_an_unsafe_request_overtakes_what_is_under_way():
    slow = Held(answer(b"old"))
    here = world(slow, answer(b"done"), answer(b"new"))
    asking = here.start()
    await slow.asked.wait()
    await until(lambda: len(here.flights))
    await seen_beside(here, asked(method="DELETE"))
    slow.go.set()
    await asking
    await here.settled()
    await seen(here)
    assert would(here)[1:] == ["miss:overtaken", "miss"]


async def seen_beside(here, request):
    """Ask while others still wait."""
    count = len(here.log.requests)
    await here.ask(request)
    await until(lambda: len(here.log.requests) > count)


class Mutation:
    """A normalizer that reads a mutation in every other body."""

    version = 1

    def normalize(self, query):
        if query.body == b"change":
            raise Fallback(Reason.KEY_OPERATION)
        return query


async def test_what_turns_out_to_change_something_drops_what_it_changes():
    here = world(answer(b"ok"), rules=(rule(safe=True, normalizers=(Mutation(),)), default_rule()))
    for request in (get(), post(b"change"), get()):
        await seen(here, request)
        here.clock.advance(1)
    assert would(here) == ["miss", "passthrough:key_operation", "miss"]


async def test_an_upstream_that_fails_fails_and_the_line_tells_of_the_stale_answer():
    here = world(answer(b"one"), UpstreamReset("gone"), answer(b"", status=503), rules=(rule(error=60.0),))
    await seen(here)
    here.clock.advance(TTL_S)
    assert [(await seen(here)).status for _ in range(2)] == [502, 503]
    assert would(here) == ["miss", "stale:upstream_reset", "stale:status"]
    assert here.outcomes[1:] == ["error:upstream_reset", "passthrough:observe"]
    assert here.last.would_save_s == COST_S


TRANSPARENT = {
    "a body as it arrives": post(b"a|b|c"),
    "what a rule would read": post(b"{", (b"content-type", b"application/json"), target="/safe/a"),
    "a QUERY": replace(post(b"x", (b"content-type", b"text/plain"), target="/safe/a"), method="QUERY"),
    "an alias": get(target="/other?x=%7e"),
    "a condition and a part": get((b"if-none-match", b'"9"'), (b"range", b"bytes=0-0")),
    "a wish": get((b"prefer", b"respond-async, wait=1")),
    "only from the store": get(ONLY),
}


@pytest.mark.parametrize("request_", TRANSPARENT.values(), ids=TRANSPARENT)
async def test_the_upstream_and_the_client_see_what_they_see_where_no_rule_is(request_):
    """Two rounds, so that there is something stored to be wrong with."""
    mine = (
        rule("safe", "/safe/**", safe=True, offers_query=True, normalizers=(Json(),)),
        rule(aliases={b"/other": "candidate"}, own_path=b"/kept/own"),
        default_rule(),
    )
    said = answer(b"abc", TAGGED, (b"cache-control", b"max-age=60"), status=200)
    there, here = world(said, rules=mine), World(FakeEngine(said), rules=())
    for _ in range(2):
        seen_by = []
        for one in (there, here):
            body = (
                request_.body
                if isinstance(request_.body, bytes)
                else Body(*[part for part in request_.body._fed if part])
            )
            got = await seen(one, replace(request_, body=body))
            up = one.engine.requests[-1]
            fields = [field for field in got.headers if field[0] not in {b"cache-status", b"date", b"x-request-id"}]
            seen_by.append((up.method, up.target, up.headers, one.engine.received[-1], got.status, fields, got.body))
        assert seen_by[0] == seen_by[1]


async def test_a_body_goes_up_while_it_arrives():
    """The upstream has its first bytes before the client has sent its last."""
    body = Body(b"first", ends=False)
    here = world(rules=RULES)
    got = []

    class Reading(FakeEngine):
        async def send(self, request, *, fresh=False):
            async for chunk in request.body:
                got.append(chunk)
            return answer(b"ok")

    here.upstream._engine = Reading()
    asking = here.start(asked("/safe/a", (b"transfer-encoding", b"chunked"), method="POST", body=body))
    await until(lambda: got == [b"first"])
    body.feed(b"last")
    body.end()
    await asking
    await here.settled()
    assert (got, would(here)) == ([b"first", b"last"], ["miss"])


async def test_an_answer_goes_on_while_it_arrives():
    arriving = Body(b"first", ends=False)
    here, delivery = world(lambda _: Response(200, (), arriving)), FakeDelivery()
    asking = here.start(None, delivery)
    await until(lambda: delivery.body == b"first")
    arriving.end()
    await asking
    assert delivery.complete


class StuckStore(Memory):
    """A store that answers nobody."""

    async def get_many(self, keys):
        await asyncio.Event().wait()
        return await super().get_many(keys)


async def test_a_store_that_is_stuck_holds_nobody_up_and_the_line_comes_at_the_end():
    here = world(store=StuckStore(2**20))
    got = await here.ask()
    assert (got.status, got.complete, here.log.requests) == (200, True, [])
    await here.tasks.close()
    assert would(here) == ["None"]
    assert here.outcomes == ["passthrough:observe"]


class SlowStore(Memory):
    """A store that takes its time to store."""

    async def set_many(self, entries):
        for _ in range(100):
            await asyncio.sleep(0)
        await super().set_many(entries)


async def test_who_asks_at_once_again_finds_what_was_just_answered():
    """The answer did not wait for the store; the next look-up does."""
    here = world(store=SlowStore(2**20))
    await here.ask()
    await seen(here)
    assert would(here) == ["miss", "hit"]


async def test_nothing_is_copied_of_what_is_not_to_be_stored():
    arriving = Body(b"first", b"second", ends=False)
    here, delivery = world(lambda _: Response(200, ((b"cache-control", b"private"),), arriving)), FakeDelivery()
    asking = here.start(None, delivery)
    await until(lambda: delivery.body == b"firstsecond")
    arriving.end()
    await asking
    await here.settled()
    assert here.last.observed.body.bytes == 11
    assert here.last.observed.copy is None


async def test_what_was_refused_by_its_head_is_not_stored_whatever_is_decided_later(monkeypatch):
    """There is no copy of it: an empty answer would be stored in its place."""
    monkeypatch.setattr("proxy.observe.decide", lambda *_: Storing(reason=Reason.PRIVATE))
    here = world()
    await seen(here)
    assert would(here) == ["miss:private"]
    assert not await held_by(here.store)


async def test_of_more_than_can_be_settled_nothing_is_found_out(monkeypatch):
    """They keep nothing in memory, and their lines come at once."""
    monkeypatch.setattr("proxy.observe.MOST_SETTLING", 3)
    here = world(store=StuckStore(2**20))
    for _ in range(5):
        await here.ask()
    assert would(here) == ["None"] * 2
    await here.tasks.close()
    assert would(here) == ["None"] * 5
    assert len(here.flights) == 0


async def test_a_store_that_fails_is_told_and_nobody_notices():
    here = world(store=FailingStore())
    got = await seen(here)
    assert (got.status, got.body, would(here)) == (200, b"ok", ["miss"])
    assert {str(error) for error, _ in here.log.failures} == {"the store is down"}


@pytest.mark.parametrize("broken", ["foreseen", "decide", "note_forms"])
async def test_a_fault_of_ours_is_told_and_nobody_notices(broken, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError

    here = world()
    if broken == "note_forms":
        monkeypatch.setattr(here.places, "_kept", fail)
    else:
        monkeypatch.setattr(f"proxy.observe.{broken}", fail)
    got = await seen(here)
    assert (got.status, got.body, got.complete) == (200, b"ok", True)
    assert here.outcomes == ["passthrough:observe"]
    assert [type(error) for error, _ in here.log.failures] == [ZeroDivisionError]


async def test_a_client_that_leaves_ends_its_own_call_and_nothing_is_kept():
    held = Held(answer())
    here, delivery = world(held, answer(b"two")), FakeDelivery()
    asking = here.start(None, delivery)
    await held.asked.wait()
    delivery.leave()
    await asking
    await here.settled()
    assert held.cancelled
    assert (here.outcomes, would(here)) == (["error:client_gone"], ["miss"])
    await seen(here)
    assert would(here)[1:] == ["miss"]


async def test_a_client_that_leaves_before_it_has_said_all_leaves_no_key():
    body = Body(b"half", ends=False)
    here, delivery = world(rules=RULES), FakeDelivery()
    asking = here.start(asked("/safe/a", (b"content-length", b"9"), method="POST", body=body), delivery)
    await until(lambda: body.taken)
    delivery.leave()
    await asking
    await here.settled()
    assert (here.outcomes, would(here)) == (["error:client_gone"], ["None"])


async def test_no_limit_of_ours_holds_anybody_up():
    held = [Held(answer(b"%d" % number)) for number in range(3)]
    clock = FakeClock()
    here = world(*held, clock=clock, protection=limited(1, clock))
    asking = [here.start(get(target=f"/kept/{number}")) for number in range(3)]
    await until(lambda: all(one.asked.is_set() for one in held), within=2)
    for one in held:
        one.go.set()
    await asyncio.gather(*asking)
    assert here.protection.status().waiting == 0


async def test_the_bypass_comes_before_it():
    here = world()
    here.bypass.on = True
    await seen(here)
    assert (here.outcomes, would(here)) == (["passthrough:bypass"], ["None"])
    assert not await held_by(here.store)


async def test_whole_answers_tell_of_splitting_as_ever():
    """Nothing is planned in parts; what would be is found out behind the answer."""
    shop = Shop()
    here = World(FakeEngine(shop), rules=(shop_rule(Stage.ON),), mode=Mode(observing=True))
    for ids in ("1,2", "1,2,3"):
        await seen(here, listed(ids))
    assert (shop.bodies, would(here)) == (["1,2", "1,2,3"], ["miss", "miss"])
    assert here.trials.told("kept", "split")["equal"] == 2
