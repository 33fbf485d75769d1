"""Missing parts are fetched by as many calls as may be; whatever goes wrong with one of them, slots and waiters are freed.

All in virtual time: each part takes the service a second.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fakes import Body, FakeDelivery, FakeEngine, answer, limited
from shop import FRESH, Shop, listed, shop_rule
from virtual_time import VirtualClock, virtually
from world import World

from proxy.core.merge.keyed import Keyed
from proxy.core.types import Request, Response
from proxy.errors import UpstreamReset
from proxy.purge import Wanted

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
    began, delivery = here.clock.timer(), FakeDelivery()
    await here.serve(listed(ids), delivery)
    return delivery, here.clock.timer() - began


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


# What goes wrong


def over(most: int) -> Callable[[list[str], int], Any]:
    """Refuse calls for more parts than that."""
    return lambda ids, number: answer(b"", status=413) if len(ids) > most else None


def error(status: int) -> Response:
    return answer(b"oh", status=status)


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("number", [1, 2, 5, 8])
@pytest.mark.parametrize("fault", [UpstreamReset("gone"), error(503)])
@virtually
async def test_a_part_that_fails_once_is_asked_for_once_more(k: int, number: int, fault: Any) -> None:
    here, engine = shops(fails(number, error=fault), k=k)
    await known(here, engine)
    answered, _ = await timed(here, EIGHT)
    assert (answered.body, here.outcomes[1:]) == (right(EIGHT), ["miss"])
    assert (sorted(set(engine.asked)), len(engine.asked), here.last.upstream_calls) == (EIGHT.split(","), 9, 9)


@virtually
async def test_each_part_may_fail_once() -> None:
    here, engine = shops(lambda ids, number: error(500) if engine.asked.count(ids[0]) == 1 else None, k=8)
    await known(here, engine)
    answered, took = await timed(here, EIGHT)
    assert (answered.body, len(engine.asked), took) == (right(EIGHT), 16, pytest.approx(2.0))


@virtually
async def test_the_first_part_that_fails_for_good_ends_the_others_and_the_whole_is_asked_for() -> None:
    here, engine = shops(lambda ids, number: UpstreamReset("gone") if ids == ["1"] else None, k=2)
    await known(here, engine)
    engine.seconds = {"2": 9.0}
    answered, _ = await timed(here, "1,2,3,4,5")
    assert (answered.body, here.outcomes[1:]) == (right("1,2,3,4,5"), ["miss:upstream_reset"])
    assert (engine.asked, engine.cancelled) == (["1", "2", "1", "1,2,3,4,5"], ["2"])
    assert here.last.upstream_calls == 4


@virtually
async def test_without_extra_calls_left_nothing_is_asked_for_again() -> None:
    here, engine = shops(fails(3), k=1)
    await known(here, engine)
    spend(here)
    answered, _ = await timed(here, "1,2,3,4,5")
    assert (answered.status, here.outcomes[1:]) == (502, ["error:upstream_reset"])
    assert engine.asked == ["1", "2", "3"]


def spend(here: World) -> None:
    """Leave nothing of the budget for extra calls."""
    assert here.protection is not None
    while here.protection.budget.take():
        pass
    here.protection.budget.left = 0.0


@virtually
async def test_slots_are_given_back_whatever_happens() -> None:
    here, engine = shops(lambda ids, number: UpstreamReset("gone") if ids == ["1"] else None, k=3, ceiling=3)
    await known(here, engine)
    engine.seconds = {"2": 9.0, "3": 9.0}
    await timed(here, "1,2,3,4")
    leaving = FakeDelivery()
    task = here.start(listed("5,6,7,8"), leaving)
    await asyncio.sleep(0.5)
    leaving.leave()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(20)
    assert here.protection is not None
    assert (engine.under_way, here.protection.status().in_flight) == (0, 0)


@pytest.mark.parametrize(
    ("most", "asked"),
    [(8, [EIGHT]), (4, [EIGHT, "1,2,3,4", "5,6,7,8"]), (3, [EIGHT, "1,2,3,4", "1,2", "3,4", "5,6,7,8", "5,6", "7,8"])],
)
@virtually
async def test_what_is_too_much_for_one_call_goes_in_two_halves(most: int, asked: list[str]) -> None:
    here, engine = shops(over(most), residual="single")
    await known(here, engine)
    answered, _ = await timed(here, EIGHT)
    assert (answered.body, engine.asked, here.last.upstream_calls) == (right(EIGHT), asked, len(asked))


@virtually
async def test_a_part_that_is_too_much_by_itself_goes_whole() -> None:
    here, engine = shops(over(0), residual="single")
    await known(here, engine)
    answered, _ = await timed(here, "1,2")
    assert (answered.status, here.outcomes[1:], engine.asked) == (413, ["miss:too_large"], ["1,2", "1", "1,2"])


# Those who ask for the same


@virtually
async def test_parts_that_are_under_way_are_waited_for_and_not_asked_for_again() -> None:
    here, engine = shops(k=8)
    await known(here, engine)
    one, two = here.start(listed("1,2,3")), here.start(listed("2,3,4"))
    bodies = [(await task).body for task in (one, two)]
    third = here.start(listed("5,6"))
    await asyncio.sleep(0.5)
    fourth = here.start(listed("6,5"))
    bodies += [(await task).body for task in (third, fourth)]
    assert bodies == [right(ids) for ids in ("1,2,3", "2,3,4", "5,6", "6,5")]
    assert sorted(engine.asked) == ["1", "2", "3", "4", "5", "6"]
    assert [line.flight for line in here.log.requests[1:]] == ["lead", "lead", "lead", "follow"]
    assert [line.upstream_calls for line in here.log.requests[1:]] == [3, 1, 2, 0]
    assert b"collapsed" in (await fourth).header(b"cache-status")  # type: ignore[operator]


@virtually
async def test_who_leaves_and_comes_back_pays_once() -> None:
    here, engine = shops(k=2)
    await known(here, engine)
    leaving = FakeDelivery()
    task = here.start(listed("1,2,3,4"), leaving)
    await asyncio.sleep(0.5)
    leaving.leave()
    await asyncio.gather(task, return_exceptions=True)
    assert not leaving.started
    answered, took = await timed(here, "1,2,3,4")
    assert (answered.body, took) == (right("1,2,3,4"), pytest.approx(1.5))
    assert sorted(engine.asked) == ["1", "2", "3", "4"]
    assert (await here.ask(listed("4,1"))).body == right("4,1")
    assert len(engine.asked) == 4


@virtually
async def test_who_waits_for_parts_that_fail_is_told_so() -> None:
    here, engine = shops(lambda ids, number: UpstreamReset("gone"), k=8)
    await known(here, engine)
    spend(here)
    one, two = here.start(listed("1,2")), here.start(listed("1,2"))
    assert [(await task).status for task in (one, two)] == [502, 502]
    assert sorted(engine.asked) == ["1", "2"]
    engine.fault = lambda ids, number: None
    assert (await here.ask(listed("1,2"))).body == right("1,2")


# Answers that are not for all


@pytest.mark.parametrize(
    ("name", "value", "outcomes"),
    [
        (b"vary", b"*", ["miss:vary", "miss:split_lately"]),
        (b"set-cookie", b"a=b", ["miss:set_cookie", "miss:split_lately"]),
        (b"cache-control", b"no-store", ["miss:no_store", "miss:split_lately"]),
        (b"cache-control", b"private", ["miss:private", "miss:split_lately"]),
    ],
)
@virtually
async def test_answers_that_are_not_for_all_are_asked_for_whole(name: bytes, value: bytes, outcomes: list[str]) -> None:
    here, engine = shops(shop={"fields": ((name, value),)})
    for _ in range(2):
        assert (await here.ask(listed("1,2"))).body == right("1,2")
    assert here.outcomes == outcomes
    assert len(engine.asked) == 2, "who asked for all has the whole in its answer"


@virtually
async def test_an_answer_that_varies_by_its_coding_only_is_for_all() -> None:
    here, engine = shops(shop={"fields": ((b"vary", b"Accept-Encoding"),)})
    for _ in range(2):
        assert (await here.ask(listed("1,2"))).body == right("1,2")
    assert (here.outcomes, engine.asked) == (["miss", "hit"], ["1,2"])


FRENCH, KNOWN = (b"accept-language", b"fr"), (b"cookie", b"who=me")


@virtually
async def test_an_answer_that_varies_by_what_nobody_sent_is_for_all_who_do_not_send_it() -> None:
    engine = SlowShop(fields=((b"vary", b"Accept-Language, Cookie"), (b"cache-control", b"max-age=60")))
    here = World(engine, rules=(shop_rule(residual="single", ttl=None),), clock=VirtualClock())  # type: ignore[arg-type]
    asks = [(), (), (FRENCH,), (KNOWN,), ()]
    for fields in asks:
        request = listed("1,2")
        answered = await here.ask(replace(request, headers=(*request.headers, *fields)))
        assert (answered.body, answered.header(b"vary")) == (right("1,2"), b"Accept-Language, Cookie")
    assert here.outcomes == ["miss", "hit", "miss:vary", "miss:vary", "hit"]
    assert engine.asked == ["1,2", "1,2", "1,2"]


@virtually
async def test_who_says_who_they_are_does_not_wait_with_others() -> None:
    fields = ((b"vary", b"Cookie"), (b"cache-control", b"max-age=60"))
    engine = SlowShop(fields=fields)
    here = World(engine, rules=(shop_rule(residual="single", ttl=None),), clock=VirtualClock())  # type: ignore[arg-type]
    request = listed("1,2")
    known = here.start(replace(request, headers=(*request.headers, KNOWN)))
    await asyncio.sleep(0.5)
    others = [here.start(request), here.start(request)]
    assert [(await one).body for one in (known, *others)] == [right("1,2")] * 3
    assert {line.request_id[-1]: line.arm for line in here.log.requests} == {
        "1": "control",
        "2": "candidate",
        "3": "candidate",
    }
    assert len(engine.asked) == 2
    assert (await here.ask(request)).body == right("1,2")
    assert len(engine.asked) == 2


# What else went wrong before


@virtually
async def test_an_answer_made_of_new_parts_is_not_as_old_as_what_was_stored_before() -> None:
    here, engine = shops(rule={"ttl": 5.0})
    await known(here, engine)
    await asyncio.sleep(100)
    answered = await here.ask(listed("1,2"))
    assert here.outcomes[1:] == ["miss"]
    assert int(answered.header(b"age") or b"0") <= 2


@virtually
async def test_a_service_that_writes_answers_in_another_way_is_asked_once() -> None:
    here, engine = shops(rule={"ttl": 5.0}, residual="single")
    await known(here, engine, "1,2")
    await asyncio.sleep(100)
    other = b'{"total": 2,  "items": [{"id": "1"} , {"id": "2"}]}'
    engine.fault = lambda ids, number: answer(other, FRESH)
    assert [(await here.ask(listed(ids))).body for ids in ("1,2", "2,1")] == [
        other,
        b'{"total": 2,  "items": [{"id": "2"} , {"id": "1"}]}',
    ]
    assert (here.outcomes[1:], engine.asked) == (["miss", "hit"], ["1,2"])


@virtually
async def test_a_merge_that_fails_by_a_fault_of_its_own_costs_no_answer() -> None:
    class Faulty(Keyed):
        def slice(self, *_: Any) -> Any:
            raise ZeroDivisionError

    here, engine = shops(residual="single")
    splitting = here.rules[0].splitting
    assert splitting is not None
    object.__setattr__(splitting, "merge", Faulty("$.items"))
    spend(here)
    assert (await here.ask(listed("1,2"))).body == right("1,2")
    assert (here.outcomes, engine.asked) == (["miss:internal"], ["1,2", "1,2"])
    assert "ZeroDivisionError" in repr(here.log.failures)


@virtually
async def test_fetches_beside_each_other_all_teach_what_parts_cost() -> None:
    here, engine = shops(residual="auto", k=4)
    asks = [here.start(listed(",".join(str(100 * one + part) for part in range(one)))) for one in range(2, 8)]
    assert {(await task).status for task in asks} == {200}
    engine.shop.asked.clear()
    _, took = await timed(here, EIGHT)
    assert (len(engine.asked), took) == (4, pytest.approx(2.0))


@virtually
async def test_a_service_that_failed_once_does_not_hide_what_is_known() -> None:
    here, engine = shops(lambda ids, number: error(503) if "9" in ids else None, residual="single")
    await known(here, engine, "1,2")
    assert (await here.ask(listed("1,9"))).status == 503
    assert (await here.ask(listed("2,1"))).body == right("2,1")
    assert (here.outcomes[1:], engine.asked) == (["miss:status", "hit"], ["9", "9", "1,9"])


@virtually
async def test_stale_parts_stand_in_for_a_service_that_fails_where_it_is_not_asked_again() -> None:
    here, engine = shops(lambda ids, number: error(503), residual="single", rule={"ttl": 5.0, "error": 600.0})
    await known(here, engine, "1,2")
    await asyncio.sleep(20)
    spend(here)
    answered = await here.ask(listed("2,1"))
    assert (answered.body, here.outcomes[1:], engine.asked) == (right("2,1"), ["stale:status"], ["2,1"])


@virtually
async def test_what_is_purged_while_it_is_under_way_is_asked_for_anew_by_who_comes_later() -> None:
    here, engine = shops(residual="single")
    await known(here, engine)
    before = here.start(listed("1,2"))
    await asyncio.sleep(0.5)
    await here.purge(Wanted("rule", "kept"))
    await asyncio.sleep(0.5)
    after = here.start(listed("1,2"))
    assert [(await one).body for one in (before, after)] == [right("1,2")] * 2
    assert engine.asked == ["1,2", "1,2"]
    assert (await here.ask(listed("2,1"))).body == right("2,1")
    assert len(engine.asked) == 2


@virtually
async def test_an_answer_to_one_part_is_a_part_of_later_answers_to_more() -> None:
    here, engine = shops(residual="single")
    for ids in ("1,2", "3", "3,1"):
        assert (await here.ask(listed(ids))).body == right(ids)
        await here.settled()
    assert (here.outcomes, engine.asked) == (["miss", "miss", "hit"], ["1,2", "3"])


@virtually
async def test_an_answer_to_one_part_that_is_written_otherwise_is_no_part_of_answers_to_more() -> None:
    here, engine = shops(residual="single")
    await here.ask(listed("1,2"))
    engine.fault = lambda ids, number: answer(b'{"items": [{"id": "3"}], "only": true}', FRESH)
    await here.ask(listed("3"))
    engine.fault = lambda ids, number: None
    assert (await here.ask(listed("3,1"))).body == right("3,1")
    assert (here.outcomes, engine.asked) == (["miss", "miss", "partial"], ["1,2", "3", "3"])
