"""One flight's fetch: what a 304 about something else leads to, and what is stored when."""

from fakes import FakeEngine, answer
from world import World, asked

from proxy.core.rules import default_rule
from proxy.core.types import Outcome


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
