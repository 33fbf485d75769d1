"""One flight's fetch: what a 304 about something else leads to, and what is stored when."""

import asyncio

import pytest
from fakes import DATE, Body, FakeDelivery, FakeEngine, Held, answer, until
from processes import Processes
from race import FRESH, ask, said, turns
from world import World, asked, rule

from proxy.core.rules import default_rule
from proxy.core.types import Outcome
from proxy.purge import Wanted


def world(*answers):
    return World(engine=FakeEngine(*answers), rules=(default_rule(),))


MAX_AGE = (b"cache-control", b"max-age=10")


async def test_a_304_about_another_answer_makes_us_ask_again_for_the_whole():
    """RFC 9111 §4.3.4: it must not be used to update what is stored."""
    one = world(
        answer(b"first", MAX_AGE, (b"etag", b'"a"')),
        answer(b"", (b"etag", b'"b"'), status=304),
        answer(b"second", (b"etag", b'"b"')),
    )
    await one.ask()
    one.clock.advance(11)
    told = await one.ask()
    assert told.body == b"second"
    asked_with = [dict(request.headers).get(b"if-none-match") for request in one.engine.requests]
    assert asked_with == [None, b'"a"', None]
    line = one.log.requests[-1]
    assert (line.outcome, line.upstream_calls) == (Outcome.EXPIRED, 2)


async def test_a_304_that_forbids_storing_leaves_nothing_behind():
    one = world(
        answer(b"first", MAX_AGE, (b"etag", b'"a"')),
        answer(b"", (b"cache-control", b"no-store"), status=304),
        answer(b"second"),
    )
    await one.ask()
    one.clock.advance(11)
    assert (await one.ask()).body == b"first"
    assert one.store.status().entries == 0
    assert (await one.ask()).body == b"second"


async def test_what_is_not_fresh_is_stored_for_asking_and_shared_with_nobody():
    one = world(answer(b"first", (b"etag", b'"a"')), answer(b"", status=304))
    await one.ask()
    assert one.store.status().entries == 1
    assert (await one.ask(asked())).body == b"first"
    assert one.log.requests[-1].outcome == Outcome.REVALIDATED


# Two processes that take turns.


@pytest.fixture
async def two():
    both = Processes(FakeEngine())
    yield both
    await both.close()


async def under_way(two, upstream, **asks):
    """Ask the first process for what the upstream holds back; return that, and the request."""
    held = Held(upstream)
    two.engine.then(held)
    asking = two.one.start(ask(**asks))
    await held.asked.wait()
    return held, asking


async def waits(two, **asks):
    """Ask the second process, which waits for the first."""
    before = two.leases.asked
    asking = two.other.start(ask(**asks))
    await until(lambda: two.leases.asked > before)
    await turns()
    assert not asking.done()
    return asking


OWN_ANSWERS = {
    "a cookie": {"set_cookie": "a=1", "cache_control": FRESH},
    "no-store": {"cache_control": "no-store"},
    "an event stream": {"content_type": "text/event-stream"},
}


@pytest.mark.parametrize("own", OWN_ANSWERS.values(), ids=OWN_ANSWERS)
async def test_who_asked_another_process_waited_for_the_whole_body_of_an_answer_for_nobody_else(two, own):
    endless = Body(b"event", ends=False)
    held, asking = await under_way(two, said(endless, **own))
    held.go.set()
    await until(lambda: endless.taken)
    two.engine.then(said("your own", **own))
    assert (await two.other.ask(ask())).body == b"your own"
    endless.end()
    assert (await asking).body == b"event"


async def test_who_asked_another_process_waited_for_what_turned_out_too_large(two):
    rules = (rule(name="own", path="/**", ttl=60.0, max_object=10),)
    two = Processes(FakeEngine(), rules=rules)
    endless = Body(b"x" * 11, ends=False)
    held, asking = await under_way(two, answer(endless))
    held.go.set()
    await until(lambda: endless.taken)
    two.engine.then(said("mine"))
    assert (await two.other.ask(ask())).body == b"mine"
    endless.end()
    await asking
    await two.close()


async def test_who_asked_another_process_waited_for_what_was_purged_meanwhile(two):
    held, asking = await under_way(two, said("old", cache_control=FRESH))
    await two.one.purge(Wanted("all"))
    two.engine.then(said("new", cache_control=FRESH))
    assert (await two.other.ask(ask())).body == b"new"
    held.go.set()
    assert (await asking).body == b"old"


async def test_somebody_got_the_guess_for_everybody_that_another_process_stored(two):
    """With a Cookie nothing is guessed, wherever it was fetched."""
    guess = {"last_modified": "Sun, 02 Sep 2001 01:46:40 GMT", "date": DATE.decode()}
    held, asking = await under_way(two, said("anonymous", **guess))
    leads = await waits(two)
    follows = two.other.start(ask(cookie="sid=bob"))
    await turns()
    two.engine.then(said("hello bob"))
    held.go.set()
    assert [(await one).body for one in (asking, leads, follows)] == [b"anonymous", b"anonymous", b"hello bob"]


@pytest.mark.parametrize("wants", ["no-cache", "max-age=0", "max-age=5", "min-fresh=30"])
async def test_who_wanted_a_newer_answer_got_the_old_one_from_another_process(two, wants):
    two.engine.then(said("old", cache_control=FRESH))
    await two.one.ask(ask())
    two.clock.advance(40)
    held, asking = await under_way(two, said("newer"), cache_control=wants)
    two.engine.then(said("newest", cache_control=FRESH))
    assert (await two.other.ask(ask(cache_control=wants))).body == b"newest"
    held.go.set()
    assert (await asking).body == b"newer"


async def test_who_joined_a_refresh_that_another_process_makes_was_told_a_failure(two):
    """It goes by itself, as when a leader stands still."""
    two.engine.then(said("old", cache_control="max-age=10, stale-while-revalidate=3"))
    await two.one.ask(ask())
    two.clock.advance(11)
    held, _ = await under_way(two, said("new", cache_control=FRESH))
    go = asyncio.Event()
    take = two.other.turns.take

    async def slow(*wanted, **more):
        await go.wait()
        return await take(*wanted, **more)

    two.other.turns.take = slow
    assert (await two.other.ask(ask())).body == b"old"
    two.clock.advance(5)
    two.engine.then(said("by itself"))
    follows = two.other.start(ask())
    await turns()
    assert not follows.done()
    go.set()
    assert ((await follows).body, two.other.last.reason) == (b"by itself", "leader_timeout")
    held.go.set()
    await two.one.landed()


async def test_what_nobody_waited_for_any_more_was_fetched_when_its_turn_came(two):
    held, asking = await under_way(two, said("mine", set_cookie="a=1"))
    leaving = FakeDelivery()
    task = two.other.start(ask(), leaving)
    await until(lambda: two.leases.asked > 1)
    await turns()
    leaving.leave()
    await task
    held.go.set()
    assert (await asking).body == b"mine"
    await two.other.landed()
    assert len(two.engine.requests) == 1
