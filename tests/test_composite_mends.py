"""What went wrong with requests for many things, each by its name."""

import asyncio
import json
from typing import Any

import pytest
from fakes import Body, FakeClock, FakeEngine, Held, answer, until
from shop import FRESH, Shop, listed, shop_rule, whole, world
from world import World, asked

from proxy.core.rollout import Stage
from proxy.errors import UpstreamReset, UpstreamTimeout


def said(ids: str, fields: tuple[Any, ...] = (), missing: tuple[str, ...] = (), **around: Any) -> Any:
    items = [{"id": one, **around.get("item", {})} for one in ids.split(",") if one not in missing]
    rest = {name: value for name, value in around.items() if name != "item"}
    return answer(json.dumps({**rest, "items": items, "total": len(items)}).encode(), FRESH, *fields)


def anew(ids: str) -> Any:
    return asked(f"/kept/shop?ids={ids}&lang=de", (b"cache-control", b"no-cache"))


def upstream(*answers: Any, **more: Any) -> World:
    clock = FakeClock()
    return World(FakeEngine(*answers, clock=clock), rules=(shop_rule(**more),), clock=clock)


async def test_old_parts_were_put_into_a_newer_frame() -> None:
    here = upstream(said("1,3", version=7), said("2,4", version=8), said("1,3", version=8))
    await here.ask(listed("1,3"))
    here.clock.advance(1)
    await here.ask(anew("2,4"))
    await here.settled()
    got = json.loads((await here.ask(listed("1,3"))).body)
    assert got["version"] == 8
    assert len(here.engine.requests) == 3, "what was said with version 7 is not said any more"


async def test_parts_that_ended_while_others_were_fetched_were_merged_as_fresh() -> None:
    clock = FakeClock()
    held = Held(said("3", item={"v": "new"}))
    here = World(
        FakeEngine(said("1,2", item={"v": "old"}), held, said("1", item={"v": "new"}), clock=clock),
        rules=(shop_rule(ttl=10.0),), clock=clock,
    )  # fmt: skip
    await here.ask(listed("1,2"))
    clock.advance(5)
    asking = here.start(listed("1,3"))
    await held.asked.wait()
    clock.advance(60)
    held.go.set()
    assert {item["v"] for item in json.loads((await asking).body)["items"]} == {"new"}
    assert (here.last.ttl_s or 0) >= 0


async def test_what_was_not_said_to_one_was_told_to_another_as_missing() -> None:
    """An answer that ends before a part says nothing of it: who waited for it asks for itself."""
    clock = FakeClock()
    held = Held(said("1,2"))
    here = World(FakeEngine(said("8,9"), held, said("4"), said("3"), clock=clock), rules=(shop_rule(),), clock=clock)
    await here.ask(listed("8,9"))
    first = here.start(listed("1,2,3"))
    await held.asked.wait()
    second = here.start(listed("3,4"))
    await until(lambda: len(here.engine.requests) == 3)
    held.go.set()
    await first
    assert [item["id"] for item in json.loads((await second).body)["items"]] == ["3", "4"]


async def test_an_answer_that_had_changed_was_304_by_its_date() -> None:
    here, shop = world()
    first = await here.ask(listed("1,2"))
    since = (b"if-modified-since", first.header(b"date"))
    got = await here.ask(asked("/kept/shop?ids=1,2&lang=de", since))
    assert (got.status, got.body) == (200, await whole(shop, "1,2"))


async def test_an_older_answer_overwrote_newer_parts() -> None:
    clock = FakeClock()
    held = Held(said("1,2", item={"v": "old"}))
    here = World(FakeEngine(held, said("1,2", item={"v": "new"}), clock=clock), rules=(shop_rule(),), clock=clock)
    slow = here.start(listed("1,2"))
    await held.asked.wait()
    clock.advance(30)
    await here.ask(anew("1,2"))
    await here.landed()
    clock.advance(5)
    held.go.set()
    await slow
    got = await here.ask(listed("2,1"))
    assert {item["v"] for item in json.loads(got.body)["items"]} == {"new"}


async def test_an_endless_answer_was_read_to_its_end_before_anybody_saw_it() -> None:
    body = Body(b"data: 1\n\n", ends=False)
    events = answer(body, (b"content-type", b"text/event-stream"))
    here = upstream(events, answer(b"whole", FRESH))
    assert (await here.ask(listed("1,2"))).body == b"whole"
    assert (here.last.reason, bool(body.closed)) == ("event_stream", True)


async def test_an_answer_to_all_that_could_not_be_cut_was_asked_for_twice() -> None:
    here = upstream(answer(b"<html>", FRESH, (b"x-a", b"1")))
    got = await here.ask(listed("1,2"))
    assert (got.status, got.body, got.header(b"x-a")) == (200, b"<html>", b"1")
    assert (len(here.engine.requests), here.last.upstream_calls, here.last.reason) == (1, 1, "frame")
    assert here.last.arm == "control"


async def test_what_one_was_answered_that_cannot_be_cut_goes_to_nobody_else() -> None:
    clock = FakeClock()
    held = Held(answer(b"yours", FRESH, (b"set-cookie", b"who=you")))
    here = World(FakeEngine(held, answer(b"theirs", FRESH), clock=clock), rules=(shop_rule(),), clock=clock)
    first = here.start(listed("1,2"))
    await held.asked.wait()
    second = here.start(listed("1,2"))
    await asyncio.sleep(0.01)
    held.go.set()
    assert ((await first).body, (await second).body) == (b"yours", b"theirs")


async def test_a_stale_whole_answer_did_not_stand_in_where_parts_failed() -> None:
    here = upstream(said("1,2"), UpstreamReset("gone"), ttl=10.0, error=1000.0, stage=Stage.SHADOW)
    await here.ask(listed("1,2"))
    await here.landed()
    here.clock.advance(11)
    here.rollouts.set("kept", Stage.ON)
    while here.protection.budget.take():
        pass
    got = await here.ask(listed("1,2"))
    assert (got.status, here.last.outcome) == (200, "stale")


async def test_stale_parts_did_not_stand_in_for_a_failure_with_a_status() -> None:
    here = upstream(said("1,2"), answer(b"down", status=503), ttl=10.0, error=1000.0)
    await here.ask(listed("1,2"))
    here.clock.advance(11)
    got = await here.ask(listed("2,1"))
    assert (got.status, here.last.outcome) == (200, "stale")


async def test_one_clients_bad_id_switched_the_split_off_for_all() -> None:
    here, shop = world(Shop(answers=lambda ids, _: answer(b"{}", FRESH, status=404) if "bad" in ids else None))
    await here.ask(listed("1,2"))
    await here.ask(listed("bad,1"))
    await here.ask(listed("2,1"))
    assert (here.last.outcome, here.last.arm) == ("hit", "candidate")
    await here.ask(listed("1,7"))
    assert (here.last.outcome, shop.bodies[-1]) == ("partial", "7")


async def test_known_parts_were_not_served_while_others_could_not_be_put_together() -> None:
    here, shop = world(Shop(answers=lambda ids, _: answer(b"<html>", FRESH) if "9" in ids else None))
    await here.ask(listed("1,2"))
    await here.ask(listed("9,1"))
    got = await here.ask(listed("2,1"))
    assert (got.body, here.last.outcome) == (await whole(shop, "2,1"), "hit")


@pytest.mark.parametrize("name", ["slice", "merge", "check"])
async def test_a_merge_that_raises_cost_answers(name: str) -> None:
    here, shop = world()

    class Broken(type(here.rules[0].splitting.merge)):  # type: ignore[misc, union-attr]
        pass

    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("a stranger's bug")

    setattr(Broken, name, broken)
    merge = here.rules[0].splitting.merge  # type: ignore[union-attr]
    object.__setattr__(here.rules[0].splitting, "merge", Broken(merge.items, missing="omit"))  # type: ignore[attr-defined]
    for _ in range(20):
        assert (await here.ask(listed("1,2"))).body == await whole(shop, "1,2")
    assert len(shop.asked) <= 3, "asked for whole, and kept as that"


async def test_a_part_that_took_too_long_was_asked_for_again_and_again() -> None:
    here = upstream(UpstreamTimeout("no answer within 60 s"))
    got = await here.ask(listed("1,2"))
    assert (got.status, len(here.engine.requests)) == (504, 1)


async def test_a_fetch_that_was_cancelled_before_its_first_step_left_clients_waiting() -> None:
    here, _ = world()
    asking = here.start(listed("1,2"))
    started = here.tasks.start

    def cancelled(work: Any) -> Any:
        task = started(work)
        task.cancel()
        return task

    here.tasks.start = cancelled  # type: ignore[method-assign]
    assert (await asking).status in {200, 502}


async def test_a_split_that_was_switched_off_under_way_was_served() -> None:
    clock = FakeClock()
    held = Held(said("1,2"))
    here = World(FakeEngine(held, said("1,2"), clock=clock), rules=(shop_rule(),), clock=clock)
    asking = here.start(listed("1,2"))
    await held.asked.wait()
    here.rollouts.set("kept", Stage.OFF)
    held.go.set()
    await asking
    assert here.last.arm == "control"


async def test_stale_parts_went_out_as_hits_to_who_tolerates_stale_ones() -> None:
    here, shop = world(ttl=10.0)
    await here.ask(listed("1,2"))
    here.clock.advance(20)
    await here.ask(asked("/kept/shop?ids=1,2&lang=de", (b"cache-control", b"max-stale=100")))
    assert (here.last.outcome, len(shop.asked)) != ("hit", 1)


async def test_known_parts_saved_nothing_where_others_were_missing() -> None:
    """Half of the answer was there; what was fetched is spent, and is not taken off what was saved."""
    clock = FakeClock()
    here = World(FakeEngine(Shop(), clock=clock, takes=60.0), rules=(shop_rule(),), clock=clock)
    await here.ask(listed("1,2"))
    await here.ask(listed("2,3"))
    first, second = here.log.requests
    assert (first.outcome, first.saved_s) == ("miss", None)
    assert (second.outcome, second.duration_s) == ("partial", pytest.approx(60.0))
    assert second.saved_s == pytest.approx(30.0)


async def test_the_cost_of_a_part_that_was_asked_for_twice_counted_twice() -> None:
    clock = FakeClock()
    here = World(FakeEngine(Shop(), clock=clock, takes=60.0), rules=(shop_rule(),), clock=clock)
    await here.ask(listed("1,2,3"))
    await here.ask(listed("1,2,3"))
    assert here.last.cost == pytest.approx(60.0)


async def test_stored_was_said_where_nothing_could_be_stored() -> None:
    from fakes import FailingStore

    here = World(FakeEngine(Shop()), rules=(shop_rule(),), store=FailingStore())
    got = await here.ask(listed("1,2"))
    assert b"stored" not in (got.header(b"cache-status") or b"")


async def test_what_parts_took_in_vain_was_told_as_our_own_overhead() -> None:
    clock = FakeClock()
    here = World(
        FakeEngine(said("1,3"), said("9"), said("1,2"), clock=clock, takes=30.0), rules=(shop_rule(),), clock=clock
    )
    await here.ask(listed("1,3"))
    await here.ask(listed("1,2"))
    line = here.last
    assert (line.reason, line.upstream_calls, line.upstream_s, line.overhead_s) == ("frame", 2, 60.0, 0.0)


async def test_what_stands_between_parts_was_lost_where_the_answer_that_shows_it_came_last() -> None:
    """Of calls at once the one for two parts is asked first and answered last."""
    clock = FakeClock()
    held = Held(said("2,3"))
    here = World(FakeEngine(held, said("1"), clock=clock), rules=(shop_rule(residual="each", at_once=2),), clock=clock)
    asking = here.start(listed("1,2,3"))
    await held.asked.wait()
    clock.advance(1)
    await until(lambda: len(here.engine.requests) == 2)
    held.go.set()
    await asking
    await here.ask(listed("3,2,1"))
    assert (here.last.outcome, len(here.engine.requests)) == ("hit", 2)
