"""Parts in the store: purged with their composites, hard or soft, and nothing that is under way brings them back."""

import asyncio
import json
from typing import Any

import pytest
from catalogue import GROUPS, Catalogue
from fakes import Body, FakeClock, FakeEngine, Held, answer, limited, until
from world import World, asked, rule

from proxy.core.fan_out import Bounds
from proxy.core.merge.keyed import Keyed
from proxy.core.rollout import Stage, Staging, Trust
from proxy.core.rules import Rule
from proxy.core.split.query_list import QueryList
from proxy.core.splitting import Splitting
from proxy.core.types import Request
from proxy.errors import UpstreamError
from proxy.purge import Wanted

ANNA, BEN = (b"authorization", b"Basic anna"), (b"authorization", b"Basic ben")


def split(name: str = "kept", **more: Any) -> Rule:
    splitting = Splitting(QueryList("ids"), Keyed("$"), bounds=Bounds("single"))
    return rule(name, splitting=splitting, trust=Trust(split=Staging(Stage.ON)), **more)


def world(*first: Any, ceiling: int | None = None, **more: Any) -> tuple[World, Catalogue]:
    service, clock = Catalogue(), FakeClock()
    engine = FakeEngine(*[one or service for one in first], *[service] * 20)
    protection = None if ceiling is None else limited(ceiling, clock)
    return World(engine, rules=(split(**more),), clock=clock, protection=protection), service


def of(ids: str, *fields: tuple[bytes, bytes], method: str = "GET") -> Request:
    return asked(f"/kept/shop?ids={ids}", *fields, method=method)


def by(kind: str, ids: str = "1,2", *, soft: bool = False) -> Wanted:
    value = {"rule": "kept", "group": "site.test g"}.get(kind, "")
    return Wanted(kind, value, soft, of(ids) if kind == "url" else None)


async def told(here: World, *requests: Request) -> list[str]:
    """Return what each request is told of its parts."""
    bodies = [json.loads((await here.ask(one)).body) for one in requests]
    return [" ".join(item["is"] for item in body) for body in bodies]


async def changed(here: World, service: Catalogue, wanted: Wanted | Request) -> bool | None:
    """Let the service change, and be purged or told."""
    here.clock.advance(1)
    service.version = "new"
    held = await here.purge(wanted) if isinstance(wanted, Wanted) else bool(await here.ask(wanted))
    here.clock.advance(1)
    return held


KINDS = ("url", "rule", "group", "all")


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_composite_is_not_put_together_again_of_parts_that_were_purged(kind: str, soft: bool) -> None:
    here, service = world()
    assert await told(here, of("1,2")) == ["old old"]
    held = await changed(here, service, by(kind, soft=soft))
    assert held is (True if kind == "url" else None)
    assert await told(here, of("2,1"), of("1,2")) == ["new new", "new new"]
    assert service.asked == ["1,2", "2,1"]


async def test_what_else_was_known_stays() -> None:
    here, service = world()
    await told(here, of("1,2,3,4"))
    await changed(here, service, by("url", "1,2", soft=True))
    assert await told(here, of("3,4"), of("1,3")) == ["old old", "new old"]


async def test_soft_they_still_stand_in_for_an_upstream_that_fails() -> None:
    here, service = world(None, *[UpstreamError("down")] * 9, error=600.0)
    await told(here, of("1,2"))
    await changed(here, service, by("url", soft=True))
    assert await told(here, of("1,2")) == ["old old"]
    assert here.last.outcome == "stale"


async def test_hard_they_do_not() -> None:
    here, service = world(None, *[UpstreamError("down")] * 9, error=600.0)
    await told(here, of("1,2"))
    await changed(here, service, by("url"))
    assert (await here.ask(of("1,2"))).status == 502


async def test_purging_one_thing_takes_it_out_of_what_was_asked_for_with_others() -> None:
    here, service = world()
    await told(here, of("1,2,3"))
    assert await changed(here, service, by("url", "2", soft=True))
    assert await told(here, of("1,2,3")) == ["old new old"]


async def test_a_purge_tells_whether_a_part_was_there() -> None:
    here, service = world()
    assert await changed(here, service, by("url", "7,8")) is False
    await told(here, of("7,9"))
    assert await changed(here, service, by("url", "7,8")) is True
    assert await changed(here, service, by("url", "7,8")) is False


async def test_an_operators_purge_takes_everybodys_parts() -> None:
    here, service = world(private_by=(b"authorization",))
    await told(here, of("1,2", ANNA), of("1,2", BEN))
    await changed(here, service, by("url"))
    assert await told(here, of("1,2", ANNA), of("1,2", BEN)) == ["new new", "new new"]


@pytest.mark.parametrize("ids", ["1,2", "1"])
async def test_a_change_at_a_url_takes_its_parts(ids: str) -> None:
    """RFC 9111 §4.4: whoever made it, and whoever asks."""
    here, service = world(private_by=(b"authorization",))
    await told(here, of("1,2", ANNA), of("1,2", BEN))
    await changed(here, service, of(ids, ANNA, method="DELETE"))
    assert [one[:3] for one in await told(here, of("1,2", ANNA), of("1,2", BEN))] == ["new", "new"]


# What is under way.


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_part_that_was_under_way_when_it_was_purged_is_not_stored(kind: str, soft: bool) -> None:
    held = Held(Catalogue()(of("1,2")))
    here, service = world(held)
    first = here.start(of("1,2"))
    await held.asked.wait()
    await changed(here, service, by(kind, soft=soft))
    held.go.set()
    assert b"old" in (await first).body
    assert await told(here, of("1,2")) == ["new new"]


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("kind", ["url", "rule", "all"])
async def test_who_asks_after_a_purge_does_not_join_a_part_that_was_asked_for_before(kind: str, soft: bool) -> None:
    held = Held(Catalogue()(of("1,2")))
    here, service = world(held)
    first = here.start(of("1,2"))
    await held.asked.wait()
    await changed(here, service, by(kind, soft=soft))
    assert await told(here, of("2,1")) == ["new new"]
    held.go.set()
    assert b"old" in (await first).body
    assert await told(here, of("1,2")) == ["new new"]


async def test_nor_one_whose_group_was_purged_once_its_head_told_of_it() -> None:
    body = Body(b"[", ends=False)
    held = Held(answer(body, (b"content-type", b"application/json"), GROUPS, length=False))
    here, service = world(held)
    held.go.set()
    first = here.start(of("1,2"))
    await until(lambda: body.taken)
    await changed(here, service, by("group"))
    assert await told(here, of("1,2")) == ["new new"]
    body.feed(b'{"id":"1","is":"old"},{"id":"2","is":"old"}]')
    body.end()
    assert b"old" in (await first).body
    assert await told(here, of("1,2")) == ["new new"]


async def test_nor_one_that_another_process_purged() -> None:
    held = Held(Catalogue()(of("1,2")))
    here, service = world(held)
    first = here.start(of("1,2"))
    await held.asked.wait()
    here.clock.advance(1)
    messages: list[bytes] = []
    other, _ = world()
    other.clock.advance(1)
    other.places.purges.tell = lambda message, _: messages.append(message)
    await other.purge(by("url"))
    for message in messages:
        here.places.purges.hear(message)
    here.clock.advance(1)
    service.version = "new"
    assert await told(here, of("1,2")) == ["new new"]
    held.go.set()
    await first
    assert await told(here, of("1,2")) == ["new new"]


async def test_nor_what_is_cut_out_of_a_whole_answer_whose_key_was_purged() -> None:
    held = Held(Catalogue()(of("1,2")))
    here, service = world(held)
    first = here.start(of("1,2", (b"cache-control", b"no-cache")))
    await held.asked.wait()
    await changed(here, service, Wanted("key", (await here.explain(of("1,2")))["key"]["hash"]))
    held.go.set()
    await first
    await here.landed()
    assert await told(here, of("1,2")) == ["new new"]


async def test_what_waits_for_its_turn_upstream_may_be_joined_after_a_purge() -> None:
    """It is yet to be asked for: what it brings is from after the purge, and later purges still count."""
    held = Held(Catalogue()(of("9")))
    here, service = world(held, ceiling=1)
    tasks = [here.start(of("9"))]
    await held.asked.wait()
    tasks.append(here.start(of("1,2")))
    assert here.protection is not None
    status = here.protection.status
    await until(lambda: status().waiting == 1)
    await changed(here, service, by("all"))
    tasks.append(here.start(of("1,2")))
    for _ in range(20):
        await asyncio.sleep(0)
    held.go.set()
    assert [json.loads((await one).body)[0]["is"] for one in tasks] == ["old", "new", "new"]
    assert service.asked == ["1,2"]
