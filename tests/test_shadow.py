"""The split that nobody waits for: it begins when the answer has left, and can neither alter nor delay it."""

import asyncio
from typing import Any

import pytest
from fakes import FakeClock, FakeDelivery, FakeEngine, Held, until
from faulty import Losing, Tongues, faulty_shop_rule
from shop import Shop, listed, shop_rule, whole, world
from world import World, asked

from proxy.core.rollout import SPLIT, Stage, Staging
from proxy.errors import UpstreamError

MARK = b"frontrunner-shadow"


def pairs(here: World) -> dict[str, int]:
    found: dict[str, int] = here.trials.everybodys("kept", SPLIT).checks.get("pair", {})
    return found


class Slow(FakeDelivery):
    """A client that takes its answer when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def deliver(self, response: Any, line: Any) -> None:
        await self.go.wait()
        await super().deliver(response, line)


async def test_the_answer_leaves_before_the_split_begins() -> None:
    here, shop = world(stage=Stage.SHADOW, residual="each")
    client = Slow()
    asking = here.start(listed("1,2"), client)
    await until(lambda: shop.asked)
    for _ in range(100):
        await asyncio.sleep(0)
    assert shop.bodies == ["1,2"]
    client.go.set()
    await asking
    await here.settled()
    assert (shop.bodies, pairs(here)) == (["1,2", "1", "2"], {"clean": 1})


async def test_what_it_asks_is_marked_and_of_a_client_who_has_left() -> None:
    here, _ = world(stage=Stage.SHADOW, residual="each")
    await here.ask(listed("1,2"))
    await here.settled()
    assert [one.header(MARK) for one in here.engine.requests] == [None, b"1", b"1"]


class Raising(Losing):
    """A merge that raises what somebody's code raises."""

    def merge(self, frame: Any, parts: Any, shares: Any, limits: Any = None) -> bytes:
        raise RecursionError("somebody's code")

    def equal(self, one: bytes, other: bytes) -> bool:
        return True


async def test_a_split_that_raises_costs_no_answer() -> None:
    clock = FakeClock()
    here = World(
        FakeEngine(Tongues(clock), clock=clock), rules=(faulty_shop_rule(Stage.SHADOW, merge=Raising),), clock=clock
    )
    for _ in range(3):
        got = await here.ask(asked("/kept/shop?ids=1,2&lang=de", (b"cache-control", b"no-cache")))
        assert got.status == 200
        await here.settled()
    assert here.last.error is None
    assert not here.rollouts.is_demoted("kept")


async def test_a_split_that_hangs_holds_nobody_up() -> None:
    shop = Shop()
    held = Held(shop(listed("1")))
    here = World(
        FakeEngine(shop, held, *[shop] * 9), rules=(shop_rule(Stage.SHADOW, residual="each"),), clock=FakeClock()
    )
    await here.ask(listed("1,2"))
    await held.asked.wait()
    got = await here.ask(listed("3,4"))
    assert got.body == await whole(shop, "3,4")
    await until(lambda: here.trials.own("kept", SPLIT).dropped == {"running": 1})
    held.go.set()
    await here.settled()
    assert pairs(here) == {"clean": 1}


async def test_a_part_that_fails_is_counted_and_is_no_mismatch() -> None:
    shop = Shop()
    here = World(FakeEngine(shop, UpstreamError("down")), rules=(shop_rule(Stage.SHADOW),), clock=FakeClock())
    await here.ask(listed("1,2"))
    await here.settled()
    trial = here.trials.everybodys("kept", SPLIT)
    assert (pairs(here), trial.dropped, trial.arms["candidate"].fallbacks) == ({}, {"upstream_error": 1}, {})


async def test_both_arms_are_timed() -> None:
    clock = FakeClock()
    here = World(
        FakeEngine(Shop(), clock=clock, takes=2.0), rules=(shop_rule(Stage.SHADOW, residual="each"),), clock=clock
    )
    await here.ask(listed("1,2"))
    await here.settled()
    trial = here.trials.everybodys("kept", SPLIT)
    control, candidate = trial.arms["control"], trial.arms["candidate"]
    assert (control.timings.most, control.calls, control.busy) == (2.0, 1, 2.0)
    assert (candidate.timings.most, candidate.calls, candidate.busy, candidate.longest) == (4.0, 2, 4.0, 2.0)
    assert (len(trial.ratios), round(trial.ratios[0], 3)) == (1, 0.693)


NOT_MADE: dict[str, tuple[dict[str, Any], float, str]] = {
    "the budget of extra calls is spent": ({}, 0.0, "extra_calls"),
    "so is the day's": ({"budget": 0}, 10.0, "daily_budget"),
}


@pytest.mark.parametrize(("trusted", "left", "why"), NOT_MADE.values(), ids=NOT_MADE)
async def test_what_cannot_be_compared_now_is_dropped_and_counted(
    trusted: dict[str, Any], left: float, why: str
) -> None:
    here, shop = world(stage=Stage.SHADOW, trusted=trusted)
    assert here.protection is not None
    here.protection.budget.left = left
    await here.ask(listed("1,2"))
    await here.settled()
    assert (shop.bodies, here.trials.own("kept", SPLIT).dropped) == (["1,2"], {why: 1})


async def test_a_demoted_rule_is_compared_no_more() -> None:
    here, shop = world(stage=Stage.SHADOW)
    here.rollouts.demote("kept")
    await here.ask(listed("1,2"))
    await here.settled()
    assert shop.bodies == ["1,2"]


async def test_a_canary_is_compared_with_the_whole_once_its_answer_has_left() -> None:
    here, shop = world(stage=Stage.CANARY, trusted={"split": Staging(Stage.CANARY, 100.0)}, residual="each")
    client = Slow()
    asking = here.start(listed("1,2"), client)
    await until(lambda: shop.asked)
    for _ in range(100):
        await asyncio.sleep(0)
    assert shop.bodies == ["1,2"]
    client.go.set()
    await asking
    await here.settled()
    assert (shop.bodies, pairs(here)) == (["1,2", "1,2"], {"clean": 1})


async def test_a_pair_without_its_whole_answer_has_no_verdict() -> None:
    shop = Shop()
    staged = {"split": Staging(Stage.CANARY, 100.0)}
    rules = (shop_rule(Stage.CANARY, trusted=staged),)
    here = World(FakeEngine(shop, UpstreamError("down")), rules=rules, clock=FakeClock())
    got = await here.ask(listed("1,2"))
    await here.settled()
    assert (got.body, pairs(here)) == (await whole(shop, "1,2"), {"unclear": 1})
