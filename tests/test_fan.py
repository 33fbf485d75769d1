"""Missing parts are fetched by as many calls as may be; whatever goes wrong with one of them, slots and waiters are freed.

All in virtual time: each part takes the service a second.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fakes import Body, FakeDelivery, FakeEngine, answer, limited
from test_composite import FRESH, Shop, listed, shop_rule
from virtual_time import VirtualClock, virtually
from world import World

from proxy.core.merge.keyed import Keyed
from proxy.core.types import Request, Response
from proxy.errors import UpstreamReset

EIGHT = "1,2,3,4,5,6,7,8"
FRAME = "91,92,93"
"""What is asked first where the frame of answers is to be known before."""


class SlowShop(FakeEngine):
    """The shop, a second for each part in a call; `fault` may answer a call or raise, by its ids and its number."""

    def __init__(self, fault: Callable[[list[str], int], Any] = lambda ids, number: None, **shop: Any) -> None:
        super().__init__()
        self.shop = Shop(**shop)
        self.fault = fault
        self.under_way = self.most = 0
        self.cancelled: list[str] = []
        self.seconds: dict[str, float] = {}

    async def send(self, request: Request, *, fresh: bool = False) -> Response:
        self.requests.append(request)
        said = self.shop(request)
        ids, number = self.shop.asked[-1], len(self.requests)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(sum(self.seconds.get(one, 1.0) for one in ids))
        except asyncio.CancelledError:
            self.cancelled.append(",".join(ids))
            raise
        finally:
            self.under_way -= 1
        fault = self.fault(ids, number)
        if isinstance(fault, Exception):
            raise fault
        response = said if fault is None else fault
        assert isinstance(response.body, bytes)
        return Response(response.status, response.headers, Body(response.body))

    @property
    def asked(self) -> list[str]:
        """Return the lists that it was asked for."""
        return self.shop.bodies


def fails(*numbers: int, error: Any = None) -> Callable[[list[str], int], Any]:
    """Let the calls of these numbers fail."""
    return lambda ids, number: (error or UpstreamReset("gone")) if number in numbers else None


def shops(fault: Any = None, k: int = 4, residual: Any = "each", **more: Any) -> tuple[World, SlowShop]:
    """Return the road to a shop whose parts are fetched `residual`, `k` at once."""
    clock = VirtualClock()
    engine = SlowShop(fault or (lambda ids, number: None), **more.pop("shop", {}))
    if ceiling := more.pop("ceiling", None):
        more["protection"] = limited(ceiling, clock)  # type: ignore[arg-type]  # it shows a time as well
    rules = (shop_rule(residual=residual, at_once=k, **more.pop("rule", {})),)
    return World(engine, rules=rules, clock=clock, **more), engine  # type: ignore[arg-type]


async def known(here: World, engine: SlowShop, ids: str = FRAME) -> None:
    """Have these parts and the frame in the store, and forget how they came there."""
    fault, engine.fault = engine.fault, lambda ids, number: None
    await here.ask(listed(ids))
    engine.fault = lambda ids, number: fault(ids, number - before)
    before = len(engine.requests)
    engine.shop.asked.clear()
    engine.most = 0


def right(ids: str) -> bytes:
    """Return what the shop itself says."""
    body = Shop()(listed(ids)).body
    assert isinstance(body, bytes)
    return body


async def timed(here: World, ids: str) -> tuple[FakeDelivery, float]:
    """Ask, and return how many seconds that took as well."""
    began = here.clock.timer()
    return await here.ask(listed(ids)), here.clock.timer() - began


@pytest.mark.parametrize(("k", "seconds"), [(1, 8.0), (2, 4.0), (3, 3.0), (4, 2.0), (8, 1.0), (20, 1.0)])
@virtually
async def test_parts_are_fetched_beside_each_other(k: int, seconds: float) -> None:
    here, engine = shops(k=k)
    await known(here, engine)
    answered, took = await timed(here, EIGHT)
    assert (answered.body, engine.most) == (right(EIGHT), min(k, 8))
    assert took == pytest.approx(seconds)
    assert here.last.upstream_calls == 8


@pytest.mark.parametrize(
    ("residual", "asked", "seconds"), [("single", [EIGHT], 8.0), (3, ["3,4,5", "6,7,8", "1,2"], 5.0)]
)
@virtually
async def test_parts_go_together_where_the_rule_says_so(residual: Any, asked: list[str], seconds: float) -> None:
    here, engine = shops(k=2, residual=residual)
    await known(here, engine)
    answered, took = await timed(here, EIGHT)
    assert (answered.body, took) == (right(EIGHT), pytest.approx(seconds))
    assert engine.asked == asked


@virtually
async def test_what_took_longest_last_time_is_fetched_first() -> None:
    here, engine = shops(k=2, rule={"ttl": 5.0})
    engine.seconds = {"3": 3.0}
    await known(here, engine)
    await here.ask(listed("1,2,3,4"))
    await asyncio.sleep(20)
    engine.shop.asked.clear()
    _, took = await timed(here, "1,2,3,4")
    assert (engine.asked[0], took) == ("3", pytest.approx(3.0))


@virtually
async def test_it_is_no_harder_on_the_upstream_than_its_limit_allows() -> None:
    here, engine = shops(k=8, ceiling=3)
    await known(here, engine)
    _, took = await timed(here, EIGHT)
    assert (engine.most, took) == (3, pytest.approx(3.0))
    assert here.protection is not None
    assert here.protection.spare == 3


# What stands between items


@pytest.mark.parametrize(("k", "seconds"), [(1, 8.0), (2, 4.0), (4, 2.0), (8, 2.0)])
@virtually
async def test_the_first_parts_ever_need_no_second_fetch_of_the_whole(k: int, seconds: float) -> None:
    """Of answers to one part each, none shows what stands between two: so one call asks for two."""
    here, engine = shops(k=k)
    answered, took = await timed(here, EIGHT)
    assert (answered.body, here.outcomes) == (right(EIGHT), ["miss"])
    assert (len(engine.asked), took) == (7, pytest.approx(seconds))


@virtually
async def test_an_answer_to_one_part_does_not_make_forget_what_stands_between_parts() -> None:
    here, engine = shops(residual="single")
    for ids in ("1,2,3", "3,4", "2,1"):
        assert (await here.ask(listed(ids))).body == right(ids)
    assert (here.outcomes, engine.asked) == (["miss", "partial", "hit"], ["1,2,3", "4"])
