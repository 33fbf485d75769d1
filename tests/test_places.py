"""Where answers stand in the store, and what is not put there."""

from collections.abc import Sequence
from dataclasses import replace

from fakes import FakeEngine, Held, answer
from world import World, asked, rule

from proxy.core.rules import default_rule
from proxy.core.types import Entry
from proxy.purge import Wanted
from proxy.store.memory import Memory

FRESH = (b"cache-control", b"max-age=60")


def world(*answers, **more) -> World:
    return World(FakeEngine(*answers), rules=(rule(), default_rule()), **more)


class Slow(Memory):
    """A store that lets others go on before it answers."""

    async def get_many(self, keys: Sequence[bytes]) -> list[Entry | None]:
        self.asked = getattr(self, "asked", 0) + 1
        return await super().get_many(keys)


async def test_a_hit_costs_one_look_up():
    here = world(answer(b"", FRESH), store=Slow(2**20))
    await here.ask()
    here.store.asked = 0
    await here.ask()
    assert here.outcomes == ["miss", "hit"]
    assert here.store.asked == 1


async def test_what_was_under_way_when_its_group_was_invalidated_is_not_kept():
    """RFC 9875 §2.2.1: it may be the answer from before."""
    old = Held(answer(b"old", FRESH, (b"cache-groups", b'"g"')))
    here = world(old, answer(b"", (b"cache-group-invalidation", b'"g"')), answer(b"new", FRESH))
    first = here.start()
    await old.asked.wait()
    here.clock.advance(1)
    await here.ask(asked("/elsewhere", method="POST"))
    here.clock.advance(1)
    old.go.set()
    assert (await first).body == b"old"
    assert (await here.ask()).body == b"new"


async def test_an_equal_query_takes_the_place_of_an_older_answer_to_this_one():
    """What stood at the very key would hide it."""
    equal = (b"no-vary-search", b"params")
    here = world(answer(b"one", FRESH), answer(b"two", FRESH, equal))
    await here.ask(asked("/default?a"))
    here.clock.advance(61)
    await here.ask(asked("/default?a"))
    assert (await here.ask(asked("/default?a"))).body == b"two"
    assert (await here.ask(asked("/default"))).body == b"two"
    assert here.outcomes == ["miss", "expired", "hit", "hit"]


async def test_an_older_answer_that_comes_later_does_not_replace_a_newer_one():
    """RFC 9111 §4: the most recent response is used."""
    old = Held(answer(b"old"))
    here = world(old, answer(b"new"))
    first = here.start()
    await old.asked.wait()
    await here.ask(asked("/kept/a", (b"cache-control", b"no-cache")))
    old.go.set()
    assert (await first).body == b"old"
    assert (await here.ask()).body == b"new"


async def test_a_variant_that_is_over_leaves_the_store_when_a_new_one_needs_its_room():
    here = world(lambda request: answer(request.header(b"x-a"), FRESH, (b"vary", b"x-a")))
    for number in range(10):
        await here.ask(asked("/kept/a", (b"x-a", b"%d" % number)))
    assert here.store.status().entries == 11, "ten variants and their marker"
    here.clock.advance(61)
    await here.ask(asked("/kept/a", (b"x-a", b"10")))
    assert here.store.status().entries == 2


async def test_a_guess_for_everybody_is_not_for_somebody():
    guessed = (b"last-modified", b"Sat, 01 Sep 2001 00:00:00 GMT")
    here = world(answer(b"all", guessed), answer(b"own"))
    await here.ask(asked("/default"))
    assert (await here.ask(asked("/default", (b"cookie", b"sid=1")))).body == b"own"


async def test_too_many_parameters_for_a_query_that_may_be_equal_pass_through():
    """An origin that says No-Vary-Search does not make us count to a million."""
    here = world(answer(b"one", FRESH, (b"no-vary-search", b"params")), answer(b"two"))
    await here.ask(asked("/default?a"))
    got = await here.ask(replace(asked(), target=b"/default?" + b"a&" * 10_001))
    assert (got.status, here.outcomes[-1]) == (200, "passthrough:key_body_size")


async def test_what_varies_is_stored_again_after_its_rule_was_purged():
    """The marker from before the purge is as gone as its variants."""
    here = world(lambda _: answer(b"one", FRESH, (b"vary", b"x-a")))
    await here.ask()
    here.clock.advance(1)
    await here.purge(Wanted("rule", "kept"))
    here.clock.advance(1)
    for _ in range(2):
        await here.ask()
    assert here.outcomes == ["miss", "miss", "hit"]
