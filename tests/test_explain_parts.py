"""Explanations of composites: what they say would happen is what happens, parts are told as they stand, and no secret is."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from catalogue import Catalogue
from fakes import FakeClock, FakeEngine, Held, answer
from world import World, asked, rule

from proxy.core.fan_out import Bounds
from proxy.core.merge.keyed import Keyed
from proxy.core.merge.positional import Positional
from proxy.core.normalize.json import Json
from proxy.core.rollout import Stage, Staging, Trust
from proxy.core.split.json_array import JsonArray
from proxy.core.split.query_list import QueryList
from proxy.core.splitting import Splitting
from proxy.core.types import Request
from proxy.errors import UpstreamError
from proxy.purge import Wanted

SECRET = b"hunter2"


def split(residual: Any = "single", at_once: int = 1, **more: Any) -> Splitting:
    by = QueryList(more.pop("name", "ids"), deny_params=("sort",))
    return Splitting(by, Keyed("$"), bounds=Bounds(residual, at_once), **more)


def world(splitting: Splitting | None = None, *answers: Any, stage: Stage = Stage.ON, **more: Any) -> World:
    engine = FakeEngine(*answers, *[Catalogue()] * 20)
    trust = Trust(split=Staging(stage, 100.0))
    one = rule(splitting=splitting or split(), trust=trust, **{"ttl": 10.0, **more})
    return World(engine, rules=(one,), clock=FakeClock())


def of(ids: str, *fields: tuple[bytes, bytes], **more: Any) -> Request:
    return asked(f"/kept/shop?ids={ids}", *fields, **more)


def plan(told: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of a split but for its key and single parts."""
    return {name: one for name, one in told["split"].items() if name not in {"frame", "each", "configured", "state"}}


NO_CACHE = (b"cache-control", b"no-cache")
HAPPENS: dict[str, tuple[list[Request | float], Request]] = {
    "nothing is known": ([], of("1,2")),
    "some is known": ([of("1,2")], of("2,3")),
    "all is known": ([of("1,2,3")], of("3,1")),
    "some is stale": ([of("1,2"), 9.0, of("3,4"), 2.0], of("2,3")),
    "all is stale": ([of("1,2"), 20.0], of("1,2")),
    "only one is named": ([of("1,2")], of("1")),
    "none is named": ([], asked("/kept/shop?ids=1,2&ids=3")),
    "an odd list": ([of("1,2")], of("1,,2")),
    "a parameter that forbids it": ([of("1,2")], of("1,2&sort=up")),
    "one comes twice": ([of("1,2")], of("1,1")),
    "its client wants a newer one": ([of("1,2")], of("1,2", NO_CACHE)),
    "a HEAD": ([of("1,2")], of("1,2", method="HEAD")),
    "stored whole, when it was asked for anew": ([of("1,2", NO_CACHE)], of("1,2")),
    "more than may be split": ([], of(",".join(map(str, range(65))))),
}


@pytest.mark.parametrize(("before", "request_"), HAPPENS.values(), ids=HAPPENS)
@pytest.mark.parametrize("stage", Stage)
async def test_what_it_says_is_what_happens_to_a_composite(
    stage: Stage, before: list[Request | float], request_: Request
) -> None:
    here = world(split(limits=split().limits), stage=stage)
    for one in before:
        if isinstance(one, float):
            here.clock.advance(one)
        else:
            await here.ask(one)
            await here.landed()
            await here.settled()  # a canary serves one answer at a time before it is compared
    told = await here.explain(request_)
    calls = len(here.engine.requests)
    await here.ask(request_)
    line, calls = here.last, len(here.engine.requests) - calls
    would, cut = told["would"], told["split"]
    in_parts = line.arm == "candidate"
    assert would["outcome"] == line.outcome
    assert ("its parts" in would["do"]) is in_parts
    assert not (in_parts and "whole" in cut)
    assert "whole" in cut or in_parts or would["do"] in {"answer from the store", "send it straight upstream"}
    if in_parts:
        assert (cut["parts"], cut["fresh"], cut["mode"]) == (line.parts, line.parts_hit, stage)
        assert cut.get("fetch", {}).get("calls", 0) == calls


async def test_parts_are_told_as_they_stand() -> None:
    here = world()
    await here.ask(of("1,2"))
    here.clock.advance(9)
    await here.ask(of("3,4"))
    here.clock.advance(2)
    told = await here.explain(of("2,3,9"))
    assert plan(told) == {
        "mode": "on", "percent": 100.0, "generation": 0, "parts": 3, "fresh": 1, "stale": 1, "missing": 1, "frame_known": True, "residual": "single",
        "fetch": {"parts": 2, "calls": 1, "at_once": 1},
    }  # fmt: skip
    assert told["split"]["each"] == [
        {"label": "2", "state": "stale"}, {"label": "3", "state": "fresh"}, {"label": "9", "state": "missing"},
    ]  # fmt: skip
    assert told["would"] == {"outcome": "partial", "do": "fetch what is missing of its parts, and answer from them"}


async def test_without_the_frame_of_its_answers_all_parts_are_fetched() -> None:
    here = world()
    await here.ask(of("1,2"))
    await here.store.delete([bytes.fromhex((await here.explain(of("1,2")))["split"]["frame"])])
    told = await here.explain(of("1,3"))
    assert (told["split"]["frame_known"], told["split"]["fetch"]["parts"]) == (False, 2)
    assert told["would"]["outcome"] == "miss"


CALLS: dict[str, tuple[Any, int, tuple[int, int]]] = {
    "one for all": ("single", 2, (1, 1)),
    "one each": ("each", 2, (4, 2)),
    "groups of three": (3, 8, (2, 2)),
    "by cost, of which nothing is known": ("auto", 2, (1, 1)),
}


@pytest.mark.parametrize(("residual", "at_once", "calls"), CALLS.values(), ids=CALLS)
async def test_it_tells_in_how_many_calls_parts_would_be_asked_for(
    residual: Any, at_once: int, calls: tuple[int, int]
) -> None:
    here = world(split(residual, at_once))
    await here.ask(of("8,9", NO_CACHE))  # whole: it shows what stands between two items
    await here.settled()
    before = len(here.engine.requests)
    told = (await here.explain(of("1,2,3,4")))["split"]
    assert (told["fetch"]["calls"], told["fetch"]["at_once"]) == calls
    await here.ask(of("1,2,3,4"))
    assert (here.last.arm, len(here.engine.requests) - before) == ("candidate", calls[0])


async def test_what_stands_in_if_the_upstream_fails() -> None:
    here = world(None, Catalogue(), *[UpstreamError("down")] * 9, error=60.0)
    await here.ask(of("1,2"))
    here.clock.advance(11)
    told = await here.explain(of("2,1"))
    assert told["would"]["if_it_fails"] == "answer from its parts"
    assert "if_it_fails" not in (await here.explain(of("2,3")))["would"]
    await here.ask(of("2,1"))
    assert here.last.outcome == "stale"


def odd(_: Request) -> Any:
    return answer(b'[{"id":"1"},{"id":"7"}]', (b"content-type", b"application/json"))


WHOLE: dict[str, tuple[dict[str, Any], Any, str]] = {
    "in shadow": ({"stage": Stage.SHADOW}, None, "its split is shadow"),
    "off": ({"stage": Stage.OFF}, None, "its split is off"),
    "too quick": ({"splitting": split(slower_than=5.0)}, None, "its rule takes 0 s, less than 5 s"),
    "too few": ({"splitting": split(min_parts=3)}, None, "it has fewer than 3 parts"),
    "could not be put together lately": ({}, odd, "split_lately"),
}


@pytest.mark.parametrize(("more", "first", "whole"), WHOLE.values(), ids=WHOLE)
async def test_why_it_goes_whole(more: dict[str, Any], first: Any, whole: str) -> None:
    here = world(more.pop("splitting", None), *[first] * bool(first), **more)
    if first:
        await here.ask(of("1,2"))
    told = await here.explain(of("2,3"))
    assert told["split"]["whole"] == whole
    assert told["would"] == {"outcome": "miss", "do": "fetch from the upstream"}
    await here.ask(of("2,3"))
    assert here.last.arm != "candidate"


ARMS = {
    "split in shadow": (b"/split", Stage.SHADOW, None),
    "not split where it is off by config": (b"/kept/shop", Stage.OFF, "its split is off"),
    "whole where it is on": (b"/whole", Stage.ON, "its arm is control"),
}


@pytest.mark.parametrize(("path", "stage", "whole"), ARMS.values(), ids=ARMS)
async def test_the_arm_that_an_alias_forces(path: bytes, stage: Stage, whole: str | None) -> None:
    aliases = {b"/split": "candidate", b"/whole": "control"}
    here = world(stage=stage, own_path=b"/kept/shop", aliases=aliases)
    request = asked(path.decode() + "?ids=1,2")
    told = await here.explain(request)
    assert told["split"].get("whole") == whole
    assert ("its parts" in told["would"]["do"]) is (whole is None)
    await here.ask(request)
    assert here.last.arm == ("candidate" if whole is None else "control" if path == b"/whole" else None)


async def test_an_operators_word_and_a_mismatch_are_told() -> None:
    here = world()
    here.rollouts.demote("kept")
    told = (await here.explain(of("1,2")))["split"]
    assert (told["mode"], told["state"], told["configured"]) == ("shadow", "demoted", "on")
    assert told["whole"] == "its split is shadow"


async def test_once_its_answers_are_known_to_be_slow_they_are_split() -> None:
    clock = FakeClock()
    held = Held(Catalogue()(of("1")))
    slow = rule(splitting=split(slower_than=5.0), trust=Trust(split=Staging(Stage.ON)))
    here = World(FakeEngine(held, *[Catalogue()] * 9), rules=(slow,), clock=clock)
    first = here.start(of("1"))
    await held.asked.wait()
    clock.advance(7)
    held.go.set()
    await first
    assert "whole" not in (await here.explain(of("1,2")))["split"]
    await here.ask(of("1,2"))
    assert here.last.arm == "candidate"


# What is not told.


def in_a_body(**members: Any) -> Callable[[bytes], Request]:
    def request(value: bytes) -> Request:
        text = json.dumps(members).replace("VALUE", value.decode()).encode()
        return asked("/kept/q", (b"content-type", b"application/json"), method="POST", body=text)

    return request


def by_array(path: str, label: str = "$") -> Splitting:
    return Splitting(JsonArray(path, id=label), Positional("$"))


SECRETS: dict[str, tuple[Splitting, Callable[[bytes], Request]]] = {
    "a list of tokens": (split(name="token"), lambda value: asked(f"/kept/a?token={value.decode()},b&page=b")),
    "a list of keys in a body": (by_array("$.api_keys"), in_a_body(api_keys=["VALUE", "b"], q="b")),
    "of what is named by a password": (
        by_array("$.who", "$.password"),
        in_a_body(who=[{"password": "VALUE", "n": 1}, {"password": "b", "n": 2}]),
    ),
    "a list of URLs that name users": (
        split(),
        lambda value: asked(f"/kept/a?ids=http://me:{value.decode()}@host/,b"),
    ),
    "escaped, in another URL": (
        split(),
        lambda value: asked(f"/kept/a?ids=u%3Ftoken%3D{value.decode()},b"),
    ),
}


@pytest.mark.parametrize(("splitting", "request_of"), SECRETS.values(), ids=SECRETS)
async def test_no_secret_part_is_told_but_how_many_there_are(
    splitting: Splitting, request_of: Callable[[bytes], Request]
) -> None:
    more = {"safe": True, "methods": frozenset({"GET", "POST"}), "normalizers": ()}
    here = world(splitting, **more)
    told = await here.explain(request_of(SECRET))
    assert "whole" not in told["split"], told["split"]
    assert (told["split"]["parts"], told["split"]["missing"]) == (2, 2)
    assert SECRET.decode() not in json.dumps(told, ensure_ascii=False)
    assert told["split"]["each"][0]["label"] == "…"


async def test_nor_a_short_one_that_stands_elsewhere() -> None:
    """What is shown of the path, of other parameters, or of a length says nothing of a list that is hidden."""
    here = world(split(name="token"))
    told = await here.explain(asked("/kept/1?token=1,2&page=2"))
    assert [one["label"] for one in told["split"]["each"]] == ["…", "…"]
    body = in_a_body(q="x" * 2**16, who=["VALUE", "5"])
    here = world(by_array("$.who"), safe=True, methods=frozenset({"POST"}), max_key_body=2**20)
    told = await here.explain(body(b"6"))
    assert "65" in told["key"]["form"]["body"]
    assert [one["label"] for one in told["split"]["each"]] == ["…", "…"]


async def test_parts_of_a_body_are_told_by_what_names_them() -> None:
    more: dict[str, Any] = {"safe": True, "methods": frozenset({"POST"}), "normalizers": (Json(),)}
    here = world(by_array("$.who", "$.id"), **more)
    told = await here.explain(in_a_body(who=[{"id": "VALUE", "n": 1}, {"id": "b", "n": 2}])(b"anna"))
    assert [one["label"] for one in told["split"]["each"]] == ["anna", "b"]


async def test_of_many_parts_the_first_are_told() -> None:
    ids = [str(number) for number in range(200)]
    here = world(split(limits=Splitting(QueryList("ids"), Keyed("$")).limits.__class__(parts=500)))
    told = (await here.explain(of(",".join(ids))))["split"]
    assert (told["parts"], told["missing"], len(told["each"])) == (200, 200, 64)


async def test_it_asks_and_changes_nothing() -> None:
    here = world()
    await here.ask(of("1,2"))
    first = await here.explain(of("2,3"))
    assert await here.explain(of("2,3")) == first
    assert (len(here.engine.requests), len(here.log.requests)) == (1, 1)


async def test_after_a_purge_its_parts_are_missing() -> None:
    here = world()
    await here.ask(of("1,2"))
    here.clock.advance(1)
    await here.purge(Wanted("url", "", True, of("1,2")))
    assert plan(await here.explain(of("1,2")))["stale"] == 2
    await here.purge(Wanted("url", "", False, of("1,2")))
    assert plan(await here.explain(of("1,2")))["missing"] == 2
