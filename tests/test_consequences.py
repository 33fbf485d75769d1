"""What answers that came past the store mean for what is in it."""

import asyncio
from collections.abc import Sequence

import pytest
from fakes import Body, FakeDelivery, FakeEngine, Held, answer, until
from world import World, asked, rule

from proxy.core.rules import default_rule
from proxy.store.memory import Memory

FRESH = (b"cache-control", b"max-age=60")
ITS_OWN = (b"content-location", b"/default")


def world(*answers, **more) -> World:
    return World(FakeEngine(*answers), rules=(rule(), default_rule()), **more)


class Stuck(Memory):
    """A store whose deletions never end."""

    def __init__(self) -> None:
        super().__init__(2**20)
        self.deleting = asyncio.Event()

    async def delete(self, keys: Sequence[bytes]) -> None:
        self.deleting.set()
        await asyncio.Event().wait()


async def test_a_client_that_leaves_while_the_store_is_slow_lets_go_of_the_answer():
    """Its connection upstream must not stay taken."""
    body = Body(b"done")
    here = world(answer(body), store=Stuck())
    delivery = FakeDelivery()
    asking = here.start(asked(method="POST"), delivery)
    await here.store.deleting.wait()
    delivery.leave()
    await asking
    assert body.closed
    assert here.outcomes == ["error:client_gone"]


class Broken(Memory):
    """A store that cannot forget."""

    async def delete(self, keys: Sequence[bytes]) -> None:
        raise ConnectionError("gone")


@pytest.mark.parametrize("method", ["POST", "HEAD"])
async def test_what_fails_behind_an_answer_costs_the_answer_nothing(method):
    here = world(answer(b"one", FRESH), answer(b"two", (b"content-length", b"9")), store=Broken(2**20))
    await here.ask(asked("/default"))
    here.clock.advance(61)
    assert (await here.ask(asked("/default", method=method))).status == 200
    assert len(here.log.failures) == 1


KEPT = {
    "complete": (answer(b"kept", FRESH, ITS_OWN), True),
    "in pieces": (answer(Body(b"ke", b"pt"), FRESH, ITS_OWN), True),
    "short of its length": (answer(Body(b"ke"), FRESH, ITS_OWN, (b"content-length", b"4")), False),
    "without a marked end": (answer(Body(b"kept"), FRESH, ITS_OWN, framed=False), False),
    "for its asker only": (answer(b"kept", (b"cache-control", b"max-age=60, private"), ITS_OWN), False),
    "of another origin": (answer(b"kept", FRESH, (b"content-location", b"http://other.test/default")), False),
    "an error": (answer(b"kept", FRESH, ITS_OWN, status=404), False),
}


@pytest.mark.parametrize(("said", "kept"), KEPT.values(), ids=KEPT)
async def test_the_answer_to_a_post_is_kept_for_a_get(said, kept):
    """RFC 9110 §9.3.3."""
    here = world(said, answer(b"own", FRESH))
    await here.ask(asked("/default", method="POST", body=b"change"))
    assert (await here.ask(asked("/default"))).body == (b"kept" if kept else b"own")


async def test_what_is_larger_than_the_rule_keeps_streams_on():
    here = World(
        FakeEngine(answer(Body(b"12345", b"67890"), FRESH, (b"content-location", b"/kept/a")), answer(b"own")),
        rules=(rule(max_object=8, ttl=None),),
    )
    assert (await here.ask(asked(method="POST", body=b"change"))).body == b"1234567890"
    assert (await here.ask()).body == b"own"


async def test_a_head_behind_a_precondition_says_nothing():
    here = world(answer(b"one", FRESH, (b"etag", b'"a"')), answer(b"", (b"etag", b'"b"'), status=304), answer(b"two"))
    await here.ask(asked("/default"))
    here.clock.advance(61)
    await here.ask(asked("/default", (b"if-none-match", b'"b"'), method="HEAD"))
    assert here.store.status().entries == 1


async def test_an_invalidation_disowns_what_is_fetched_for_an_equal_query():
    """No-Vary-Search: another spelling of it is under way."""
    equal = (b"no-vary-search", b"params")
    old = Held(answer(b"old", FRESH, equal))
    here = world(answer(b"first", FRESH, equal), old, answer(b"done"), answer(b"new", FRESH, equal))
    await here.ask(asked("/default?a=1"))
    here.clock.advance(61)
    first = here.start(asked("/default?a=2"))
    await old.asked.wait()
    await here.ask(asked("/default?a=3", method="POST"))
    old.go.set()
    await first
    await until(lambda: not len(here.flights))
    assert (await here.ask(asked("/default?a=4"))).body == b"new"
