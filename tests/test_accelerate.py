"""The road of a request that may be answered from the store."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from fakes import Body, FailingStore, FakeDelivery, FakeEngine, Held, answer, until
from processes import Processes
from race import ask
from world import World, asked, rule

from proxy import boarding as module
from proxy.core.rules import default_rule
from proxy.core.types import Entry, Request, Response
from proxy.errors import UpstreamReset
from proxy.store.memory import Memory
from proxy.upstream.call import Timeouts

FRESH = (b"cache-control", b"max-age=60")


def by_language(request: Request) -> Response:
    """Answer in the language that was asked for."""
    language = request.header(b"accept-language") or b"none"
    return answer(b"in " + language, (b"vary", b"Accept-Language"), FRESH)


def status_of(got: FakeDelivery) -> str:
    return (got.header(b"cache-status") or b"").decode().removeprefix("Frontrunner; ")


async def test_the_life_of_an_answer() -> None:
    """Missed, hit until its time is over, fetched anew, hit again; the form in Cache-Status says so."""
    here = World(FakeEngine(answer(b"one"), answer(b"two")), rules=(rule(ttl=120.0), default_rule()))
    said = []
    for wait in (0, 10, 109, 1, 1):
        here.clock.advance(wait)
        got = await here.ask()
        said.append((got.body, status_of(got)))
    assert said == [
        (b"one", "fwd=uri-miss; stored"),
        (b"one", "hit; ttl=110"),
        (b"one", "hit; ttl=1"),
        (b"two", "fwd=stale; stored"),
        (b"two", "hit; ttl=119"),
    ]
    assert here.outcomes == ["miss", "hit", "hit", "expired", "hit"]


async def test_storing_comes_before_the_last_byte() -> None:
    """Who has read an answer to its end finds it in the store."""
    kept: list[int] = []

    class Slow(Memory):
        async def set_many(self, entries: Mapping[bytes, Entry]) -> None:
            await asyncio.sleep(0)
            kept.append(len(got.body))
            await super().set_many(entries)

    for length in (True, False):
        here = World(
            FakeEngine(answer(Body(b"first ", b"last"), *([(b"content-length", b"10")] if length else []))),
            store=Slow(2**20),
        )
        got = FakeDelivery()
        await here.ask(delivery=got)
        assert got.body == b"first last"
        assert kept.pop() == (6 if length else 10), "all but the end was out, and the end was not"
        assert (await here.ask()).body == b"first last"
        assert here.outcomes == ["miss", "hit"]


async def test_many_who_ask_at_once_cost_one_fetch() -> None:
    """They all read the same flight from its first byte."""
    held = Held(answer(Body(b"one ", b"two"), (b"content-length", b"7")))
    here = World(FakeEngine(held))
    asking = [here.start() for _ in range(20)]
    await held.asked.wait()
    for _ in range(30):
        await asyncio.sleep(0)
    held.go.set()
    assert {got.body for got in await asyncio.gather(*asking)} == {b"one two"}
    assert sorted(here.outcomes) == ["collapsed"] * 19 + ["miss"]
    assert len(here.engine.requests) == 1


async def test_what_was_somebodys_own_lately_makes_nobody_wait_for_it() -> None:
    """Where the last answer set a cookie, those who ask at once are fetched for at once; a failure says nothing."""
    own, mine, too = (b"set-cookie", b"a=1"), Held(answer(b"mine")), Held(answer(b"mine too"))
    here = World(FakeEngine(answer(b"", status=503), answer(b"own", own), mine, too))
    assert [(await here.ask()).status for _ in range(2)] == [503, 200]
    asking = [here.start() for _ in range(2)]
    for one in (mine, too):
        await one.asked.wait()
    for one in (mine, too):
        one.go.set()
    assert [got.body for got in await asyncio.gather(*asking)] == [b"mine", b"mine too"]
    assert here.outcomes == ["miss:status", "miss:set_cookie", "miss", "miss"]


async def test_without_the_owners_word_nobody_waits_for_anothers_answer() -> None:
    """Until the origin says that an answer is for all, each asks for itself."""
    held = [Held(answer(b"mine", (b"set-cookie", b"a=1"))), Held(answer(b"mine too", (b"set-cookie", b"a=2")))]
    here = World(FakeEngine(*held))
    asking = [here.start(asked("/default")) for _ in range(2)]
    for one in held:
        await one.asked.wait()
        one.go.set()
    assert [got.body for got in await asyncio.gather(*asking)] == [b"mine", b"mine too"]
    assert here.outcomes == ["miss:set_cookie", "miss:set_cookie"]


async def test_followers_of_an_answer_that_is_not_for_all_ask_for_themselves() -> None:
    """With the reason in their line; only the leader gets the leader's answer."""
    held = Held(answer(b"the leader's", (b"set-cookie", b"a=1")))
    here = World(FakeEngine(held, answer(b"own")))
    asking = [here.start() for _ in range(3)]
    await held.asked.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    held.go.set()
    assert sorted([got.body for got in await asyncio.gather(*asking)]) == [b"own", b"own", b"the leader's"]
    assert sorted(here.outcomes) == ["miss:set_cookie", "passthrough:set_cookie", "passthrough:set_cookie"]
    assert {line["upstream_calls"] for line in here.lines} == {1}
    assert all("flight" not in line for line in here.lines if line["outcome"] == "passthrough")


async def test_each_variant_has_its_own_entry() -> None:
    """An answer that varies is found by the fields that it names, and by no others."""
    here = World(FakeEngine(by_language), rules=(default_rule(),))
    for language in (b"de", b"fr", b"de", b"fr", b"fr "):
        got = await here.ask(asked("/v", (b"accept-language", language), (b"x-other", language)))
        assert got.body.strip() == b"in " + language.strip()
    assert (await here.ask(asked("/v"))).body == b"in none"
    assert here.outcomes == ["miss", "miss", "hit", "hit", "hit", "miss"]


async def test_a_follower_that_wants_another_variant_asks_for_itself() -> None:
    here = World(rules=(rule(),))
    held = Held(answer(b"in de", (b"vary", b"accept-language")))
    here.engine.then(held, by_language)
    first = here.start(asked("/kept/v", (b"accept-language", b"de")))
    await held.asked.wait()
    others = [here.start(asked("/kept/v", (b"accept-language", language))) for language in (b"fr", b"de")]
    for _ in range(10):
        await asyncio.sleep(0)
    held.go.set()
    assert [got.body for got in await asyncio.gather(first, *others)] == [b"in de", b"in fr", b"in de"]
    assert sorted(here.outcomes) == ["collapsed", "miss", "passthrough:vary"]


class FailsAt(Memory):
    """A store that fails at one of its look-ups."""

    def __init__(self, look_up: int) -> None:
        super().__init__(2**20)
        self.left = look_up

    async def get_many(self, keys: Sequence[bytes]) -> list[Entry | None]:
        self.left -= 1
        if self.left == 0:
            raise ConnectionError("gone in between")
        return await super().get_many(keys)


@pytest.mark.parametrize("look_up", [1, 2, 3])
async def test_a_store_that_fails_at_any_look_up_costs_a_hit_only(look_up: int) -> None:
    """The marker of a varying answer is never an answer itself."""
    here = World(FakeEngine(by_language), rules=(default_rule(),), store=FailsAt(look_up))
    for _ in range(2):
        got = await here.ask(asked("/v", (b"accept-language", b"de")))
        assert (got.status, got.body) == (200, b"in de")
    assert len(here.log.failures) == 1


async def test_a_store_that_is_down_leaves_one_fetch_for_all_who_ask_at_once() -> None:
    held = Held(answer())
    here = World(FakeEngine(held), store=FailingStore())
    asking = [here.start() for _ in range(3)]
    await held.asked.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    held.go.set()
    assert {got.body for got in await asyncio.gather(*asking)} == {b"ok"}
    assert len(here.engine.requests) == 1


DIRECTIVES = [
    (b"no-cache", 10, "miss:request_no_cache"),
    (b"max-age=5", 10, "miss:request_no_cache"),
    (b"max-age=15", 10, "hit"),
    (b"min-fresh=55", 10, "miss:request_no_cache"),
    (b"min-fresh=5", 10, "hit"),
    (b"only-if-cached", 10, "hit"),
    (b"only-if-cached", 100, "error:only_if_cached"),
    (b"no-store", 10, "passthrough:request_no_store"),
]


@pytest.mark.parametrize(("directive", "age", "outcome"), DIRECTIVES, ids=str)
async def test_a_client_has_its_say(directive: bytes, age: int, outcome: str) -> None:
    """Its Cache-Control decides whether what is stored is good enough for it."""
    here = World(FakeEngine(answer(b"old", FRESH), answer(b"new", FRESH)), rules=(default_rule(),))
    await here.ask(asked("/d"))
    here.clock.advance(age)
    got = await here.ask(asked("/d", (b"cache-control", directive)))
    assert here.outcomes[1] == outcome
    assert got.body == b"old" if outcome == "hit" else got.body != b"old"
    if outcome == "miss:request_no_cache":
        assert (await here.ask(asked("/d"))).body == b"new", "the newer answer takes the older one's place"


@pytest.mark.parametrize("stored", [True, False])
async def test_who_wants_something_newer_does_not_join_what_is_under_way(stored: bool) -> None:
    """A reload gets an answer that was asked for after it came."""
    held = Held(answer(b"began before"))
    here = World(FakeEngine(*([answer(b"stored")] if stored else []), held, answer(b"began after")))
    if stored:
        await here.ask()
        here.clock.advance(3601)
    first = here.start()
    await held.asked.wait()
    reload = here.start(asked("/kept/a", (b"cache-control", b"no-cache")))
    await until(lambda: reload.done() or len(next(iter(here.flights._joined.values()))._readers) > 1)
    held.go.set()
    assert ((await reload).body, (await first).body) == (b"began after", b"began before")


async def test_head_is_answered_from_what_get_stored() -> None:
    """From the store without its body; otherwise it goes up as it is, and stores nothing."""
    here = World(FakeEngine(answer(b"whole")))
    await here.ask(asked(method="HEAD"))
    await here.ask()
    got = await here.ask(asked(method="HEAD"))
    assert (got.body, got.header(b"content-length")) == (b"", b"5")
    assert here.outcomes == ["passthrough:method", "miss", "hit"]
    assert [request.method for request in here.engine.requests] == ["HEAD", "GET"]


async def test_a_body_over_max_object_streams_on_unstored() -> None:
    """Its length unknown, it is found to be too large on its way; nothing of it is lost."""
    big = Body(*[b"12345"] * 10)
    here = World(FakeEngine(answer(big, length=False), answer(b"again")), rules=(rule(max_object=12),))
    got = await here.ask()
    assert (got.body, got.complete) == (b"12345" * 10, True)
    assert here.store.status().entries == 0
    assert big.closed
    assert (await here.ask()).body == b"again"


async def test_a_length_over_max_object_is_known_at_once() -> None:
    here = World(FakeEngine(answer(b"x" * 13)), rules=(rule(max_object=12),))
    got = await here.ask()
    assert (got.body, status_of(got)) == (b"x" * 13, "fwd=uri-miss; detail=too_large")
    assert here.outcomes == ["miss:too_large"]


@pytest.mark.parametrize("framed", [True, False], ids=["short of its length", "ended by its connection"])
async def test_what_may_be_incomplete_is_not_stored(framed: bool) -> None:
    """A body short of its Content-Length is cut; one whose end nobody marked is delivered only."""
    body = Body(b"half")
    said = answer(body, (b"content-length", b"8")) if framed else answer(body, framed=False)
    here = World(FakeEngine(said, answer(b"whole")))
    got = await here.ask()
    assert (got.body, got.was_cut) == (b"half", framed)
    await here.landed()
    assert here.store.status().entries == 0
    assert (await here.ask()).body == b"whole"
    assert here.outcomes == ["error:upstream_cut" if framed else "miss:incomplete", "miss"]


async def test_a_failed_fetch_is_everybodys_and_the_next_one_flies_anew() -> None:
    """Nothing of it stays behind."""
    held = Held(UpstreamReset("gone"))
    here = World(FakeEngine(held, held, answer(b"well again")), rules=(rule(safe=True),))
    asking = [here.start(asked(method="POST", body=b"q")) for _ in range(3)]
    await held.asked.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    held.go.set()
    assert {got.status for got in await asyncio.gather(*asking)} == {502}
    assert len(here.engine.requests) == 1, "a POST is not sent again"
    here.engine.then(answer(b"well again"))
    assert (await here.ask(asked(method="POST", body=b"q"))).body == b"well again"
    assert here.log.failures == []


async def test_a_body_is_part_of_a_safe_posts_key() -> None:
    here = World(FakeEngine(lambda request: answer(b"re " + request.body)), rules=(rule(safe=True),))
    for body in (b"a", b"b", b"a"):
        assert (await here.ask(asked(method="POST", body=Body(body)))).body == b"re " + body
    assert here.outcomes == ["miss", "miss", "hit"]


@pytest.mark.parametrize(("target", "limited"), [("/kept/a", True), ("/default", False)])
async def test_only_matched_requests_have_deadlines(target: str, limited: bool) -> None:
    """The implicit rule is ours: it may not end what would have gone on without us."""
    held = Held(answer())
    here = World(FakeEngine(held), timeouts=Timeouts(first_byte=0.01, idle=0.01))
    asking = here.start(asked(target))
    await held.asked.wait()
    if limited:
        assert (await asking).status == 504
        assert held.cancelled
    else:
        asyncio.get_running_loop().call_later(0.05, held.go.set)
        assert (await asking).status == 200


async def test_a_hit_needs_no_watch_and_a_fetch_does() -> None:
    """Noticing a client that leaves costs a task: only what takes the upstream's time pays it."""
    here = World()
    first, second = await here.ask(), await here.ask()
    assert (first.watched, second.watched) == (1, 0)


async def test_what_an_unsafe_request_overtook_is_neither_shared_nor_kept() -> None:
    """RFC 9111 §4.4: a flight that began before it may carry the old answer."""
    old = Held(answer(b"old"))
    here = World(FakeEngine(old, answer(b"done"), answer(b"new")))
    first = here.start()
    await old.asked.wait()
    assert (await here.ask(replace(asked(), method="POST"))).body == b"done"
    second = await here.ask()
    assert second.body == b"new"
    old.go.set()
    assert (await first).body == b"old"
    assert (await here.ask()).body == b"new"


async def test_a_refresh_that_hangs_ends_and_lets_others_refresh() -> None:
    """Nobody waits for it, so its deadline is the rule's, also where clients set their own."""
    graceful = (b"cache-control", b"max-age=10, stale-while-revalidate=100")
    hung = Held(answer(b"never"))
    here = World(
        FakeEngine(answer(b"a", graceful), answer(b"b", graceful), hung, answer(b"b2", graceful)),
        rules=(default_rule(),),
        timeouts=Timeouts(first_byte=0.02),
    )
    for path in ("/a", "/b"):
        await here.ask(asked(path))
    here.clock.advance(11)
    assert (await here.ask(asked("/a"))).body == b"a"
    await hung.asked.wait()
    await until(lambda: not len(here.flights))
    assert (await here.ask(asked("/b"))).body == b"b"
    await until(lambda: not len(here.flights))
    assert (await here.ask(asked("/b"))).body == b"b2"


async def test_a_304_about_something_else_is_a_call_of_its_own() -> None:
    """Its line, its end and the cost of what follows are told apart."""
    here = World(
        FakeEngine(
            answer(b"one", FRESH, (b"etag", b'"a"')), answer(b"", (b"etag", b'"b"'), status=304), answer(b"two", FRESH)
        )
    )
    await here.ask()
    here.clock.advance(61)
    assert (await here.ask()).body == b"two"
    assert here.protection.status().in_flight == 0
    assert [(call.error, call.sent) for call, _ in here.log.calls][-1] == (None, 2)
    assert len(here.log.calls) == 3


async def test_those_who_wait_for_a_first_fetch_all_gave_up_before_it_could_end(monkeypatch) -> None:
    """Of a rule without an answer yet nobody knows how long they take: its own deadline tells."""
    monkeypatch.setattr(module, "_PATIENCE_S", 0.001)
    held = Held(answer(b"slow"))
    here = World(FakeEngine(held, answer(b"impatient")), timeouts=Timeouts(first_byte=60.0))
    asking = [here.start() for _ in range(2)]
    await held.asked.wait()
    await asyncio.sleep(0.02)
    held.go.set()
    assert [(await one).body for one in asking] == [b"slow", b"slow"]
    held = Held(answer(b"slow again"))
    here.engine.then(held, answer(b"impatient"))
    asking = [here.start(asked("/kept/b")) for _ in range(2)]
    await held.asked.wait()
    assert (await asking[1]).body == b"impatient", "the answers so far were quick"
    held.go.set()
    assert (await asking[0]).body == b"slow again"


async def test_who_led_and_was_answered_by_another_process_made_the_patience_shorter() -> None:
    """What was not fetched here says nothing of how long fetching takes."""
    two = Processes(FakeEngine(Held(answer(b"", FRESH))))
    first = two.one.start(ask())
    await until(lambda: two.engine.requests)
    second = two.other.start(ask())
    await until(lambda: two.leases.asked > 1)
    two.engine._answers[0].go.set()
    await asyncio.gather(first, second)
    assert two.other.log.requests[0].flight == "follow"
    assert [len(world.boarding._waits) for world in (two.one, two.other)] == [1, 0]
    await two.close()
