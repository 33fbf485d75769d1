"""A request for many things: its parts have keys of their own, and the answer is the very bytes of the service's."""

import asyncio
import json
from typing import Any

import pytest
from fakes import FakeClock, FakeEngine, Held, answer, until
from shop import FRESH, Shop, listed, shop_rule, whole, world
from world import World, asked

from proxy.core.rollout import Stage
from proxy.errors import UpstreamReset


async def test_only_the_missing_parts_are_asked_for() -> None:
    here, shop = world()
    first = await here.ask(listed("1,2,3"))
    second = await here.ask(listed("2,4,3,5"))
    third = await here.ask(listed("5,1"))
    assert shop.bodies == ["1,2,3", "4,5"]
    assert [first.body, second.body, third.body] == [await whole(shop, ids) for ids in ("1,2,3", "2,4,3,5", "5,1")]
    assert [one.header(b"cache-status") for one in (first, second, third)] == [
        b'Frontrunner; fwd=uri-miss; stored; detail="parts=3;hit=0"',
        b'Frontrunner; fwd=partial; stored; detail="parts=4;hit=2"',
        b'Frontrunner; hit; ttl=%d; detail="parts=2;hit=2"' % here.log.requests[2].ttl_s,
    ]
    assert here.outcomes == ["miss", "partial", "hit"]
    assert [(line.parts, line.parts_hit, line.upstream_calls, line.arm) for line in here.log.requests] == [
        (3, 0, 1, "candidate"), (4, 2, 1, "candidate"), (2, 2, 0, "candidate"),
    ]  # fmt: skip


async def test_the_same_part_asked_twice_is_fetched_once_and_an_unknown_one_is_known_as_such() -> None:
    here, shop = world()
    shop.missing = {"404"}
    await here.ask(listed("1,404,2"))
    got = await here.ask(listed("404,1"))
    assert shop.bodies == ["1,404,2"]
    assert json.loads(got.body)["total"] == 1


async def test_what_else_is_asked_keeps_parts_apart() -> None:
    here, shop = world()
    await here.ask(listed("1,2"))
    await here.ask(asked("/kept/shop?ids=1,2&lang=en"))
    assert shop.bodies == ["1,2", "1,2"]


@pytest.mark.parametrize(("residual", "at_once", "calls"), [("single", 4, 1), ("each", 4, 7), (4, 2, 2)])
async def test_how_what_is_missing_is_asked_for(residual: Any, at_once: int, calls: int) -> None:
    here, shop = world(residual=residual, at_once=at_once)
    ids = "8,7,6,5,4,3,2,1"
    got = await here.ask(listed(ids))
    assert (got.body, len(shop.asked)) == (await whole(shop, ids), calls)
    assert here.last.upstream_calls == calls


async def test_a_part_that_is_under_way_is_waited_for_and_not_asked_for_again() -> None:
    clock, shop = FakeClock(), Shop()
    held = Held(shop(listed("1,2,3")))
    shop.asked.clear()
    here = World(FakeEngine(held, shop, clock=clock), rules=(shop_rule(),), clock=clock)
    first = here.start(listed("1,2,3"))
    await held.asked.wait()
    second = here.start(listed("3,2"))
    third = here.start(listed("2,4,1"))
    await until(lambda: shop.asked)
    held.go.set()
    got = [(await one).body for one in (first, second, third)]
    assert got == [await whole(shop, ids) for ids in ("1,2,3", "3,2", "2,4,1")]
    assert shop.bodies == ["4"]
    lines = {line.parts: line for line in here.log.requests if line.flight == "follow"}
    assert (lines[2].upstream_calls, lines[2].outcome) == (0, "miss")
    assert any(b"collapsed" in (one.cache_status or b"") for one in here.log.requests)


DOUBTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a list with an empty member": ({}, "1,,2", "split_syntax"),
    "more parts than the rule allows": ({}, ",".join(map(str, range(11))), "split_limit"),
    "an item that nobody asked for": (
        {"answers": lambda ids, _: answer(b'{"items": [{"id": "9"}], "total": 1}', FRESH)}, "1,2", "frame",
    ),
    "an answer that is no JSON": ({"answers": lambda ids, _: answer(b"<html>", FRESH)}, "1,2", "frame"),
    "an answer that is not for all": ({"fields": [(b"cache-control", b"no-store")]}, "1,2", "no_store"),
    "an answer that varies": ({"fields": [(b"vary", b"*")]}, "1,2", "vary"),
    "a cookie": ({"fields": [(b"set-cookie", b"a=b")]}, "1,2", "set_cookie"),
    "another status": ({"answers": lambda ids, _: answer(b"{}", FRESH, status=404)}, "1,2", "status"),
}  # fmt: skip


@pytest.mark.parametrize(("faults", "ids", "reason"), DOUBTS.values(), ids=DOUBTS)
async def test_in_doubt_the_whole_is_asked_for_and_goes_out_as_it_came(
    faults: dict[str, Any], ids: str, reason: str
) -> None:
    here, shop = world(Shop(**faults))
    got = await here.ask(listed(ids))
    assert got.body == await whole(shop, ids)
    assert (here.last.reason, here.last.parts_hit or 0) == (reason, 0)
    assert shop.bodies[-1] == ids


async def test_what_could_not_be_put_together_is_not_tried_again_at_once() -> None:
    here, shop = world(Shop(answers=lambda ids, _: answer(b"<html>", FRESH)))
    await here.ask(listed("1,2"))
    calls = len(shop.asked)
    await here.ask(listed("3,4"))
    assert (len(shop.asked) - calls, here.last.reason) == (1, "split_lately")


async def test_frames_that_differ_are_never_mixed() -> None:
    here, _ = world(Shop(answers=lambda ids, n: answer(
        json.dumps({"took": n, "items": [{"id": one} for one in ids], "total": len(ids)}).encode(), FRESH
    )))  # fmt: skip
    await here.ask(listed("1,2"))
    got = await here.ask(listed("2,3"))
    assert json.loads(got.body)["items"] == [{"id": "2"}, {"id": "3"}]
    assert here.last.reason == "frame"


STAGES = {Stage.OFF: (2, None), Stage.SHADOW: (2, None), Stage.ON: (1, "candidate")}


@pytest.mark.parametrize(("stage", "expected"), STAGES.items(), ids=str)
async def test_only_what_is_on_is_served(stage: Stage, expected: tuple[int, str | None]) -> None:
    here, shop = world(stage=stage)
    await here.ask(listed("1,2"))
    await here.ask(listed("2,1"))
    assert (len(shop.asked), here.last.arm) == expected


async def test_a_kill_switch_and_a_demotion_beat_who_forces_it() -> None:
    here, _ = world()
    await here.ask(listed("1,2"))
    here.rollouts.set("kept", Stage.OFF)
    await here.ask(listed("2,1"))
    here.rollouts.set("kept", None)
    await here.ask(listed("1"))
    here.rollouts.demote("kept")
    await here.ask(listed("1,2"))
    assert [line.arm for line in here.log.requests] == ["candidate", None, None, None]
    assert not here.rollouts.forced("kept")


async def test_few_parts_and_quick_rules_are_left_alone() -> None:
    here, _ = world(min_parts=3)
    await here.ask(listed("1,2"))
    assert here.last.parts is None
    here, _ = world(slower_than=5.0)
    await here.ask(listed("1,2"))
    assert here.last.parts is None, "nobody has seen it take long yet"


async def test_stale_parts_stand_in_where_the_upstream_fails() -> None:
    here, shop = world(ttl=10.0, error=100.0)
    await here.ask(listed("1,2"))
    here.clock.advance(11)
    here.engine.then(UpstreamReset("gone"))
    got = await here.ask(listed("2,1"))
    assert (got.status, got.body) == (200, await whole(shop, "2,1"))
    assert (here.last.outcome, here.last.error) == ("stale", "upstream_reset")
    gone = await here.ask(listed("1,7"))
    assert gone.status == 502


async def test_parts_expire_each_for_itself() -> None:
    here, shop = world(ttl=10.0)
    await here.ask(listed("1,2"))
    here.clock.advance(6)
    await here.ask(listed("3,4"))
    here.clock.advance(6)
    got = await here.ask(listed("1,3,4"))
    assert shop.bodies == ["1,2", "3,4", "1"]
    assert (got.header(b"age"), here.last.ttl_s) == (b"6", 4)


async def test_who_leaves_takes_nothing_with_them() -> None:
    clock, shop = FakeClock(), Shop()
    held = Held(shop(listed("1,2")))
    here = World(FakeEngine(held, clock=clock), rules=(shop_rule(),), clock=clock)
    asking = here.start(listed("1,2"))
    await held.asked.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    held.go.set()
    await until(lambda: here.protection.status().in_flight == 0)
    await asyncio.sleep(0)
    got = await here.ask(listed("2,1"))
    assert (got.body, len(here.engine.requests)) == (await whole(shop, "2,1"), 1)


async def test_a_client_that_wants_it_anew_gets_it_whole() -> None:
    here, shop = world()
    await here.ask(listed("1,2"))
    await here.ask(asked("/kept/shop?ids=1,2&lang=de", (b"cache-control", b"no-cache")))
    assert shop.bodies == ["1,2", "1,2"]
    assert here.last.parts is None


async def test_a_purged_rule_has_no_parts() -> None:
    here, shop = world()
    await here.ask(listed("1,2"))
    here.clock.advance(1)
    here.places.purges.rules([b"kept"], here.clock.wall())
    here.clock.advance(1)
    await here.ask(listed("1,2"))
    assert shop.bodies == ["1,2", "1,2"]
