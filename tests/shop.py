"""A service that is asked for many things at once, and a rule that splits such requests."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fakes import FakeClock, FakeEngine, answer
from world import World, asked, rule

from proxy.core.composite import Limits
from proxy.core.fan_out import Bounds
from proxy.core.merge.keyed import Keyed
from proxy.core.rollout import Stage, Staging, Trust
from proxy.core.rules import Rule
from proxy.core.split.query_list import QueryList
from proxy.core.splitting import Splitting
from proxy.core.types import Request, Response

FRESH = (b"content-type", b"application/json")


class Shop:
    """A service that answers `ids=1,2,3`; `asked` are the lists that it was asked for."""

    def __init__(self, **faults: Any) -> None:
        self.asked: list[list[str]] = []
        self.faults = faults
        self.missing: set[str] = set()

    def __call__(self, request: Request) -> Response:
        ids = parse_qs(urlsplit(request.target.decode()).query)["ids"][0].split(",")
        self.asked.append(ids)
        if (fault := self.faults.get("answers")) is not None and (said := fault(ids, len(self.asked))) is not None:
            return said  # type: ignore[no-any-return]
        items = [{"id": one, "price": 1.10, "big": 2**64} for one in ids if one not in self.missing]
        body = json.dumps({"items": items, "total": len(items)}).encode()
        return answer(body, FRESH, *self.faults.get("fields", ()))

    @property
    def bodies(self) -> list[str]:
        return [",".join(ids) for ids in self.asked]


def shop_rule(stage: Stage = Stage.ON, residual: Any = "single", at_once: int = 1, **more: Any) -> Rule:
    splitting = Splitting(
        QueryList("ids"), Keyed("$.items", missing="omit", totals={"$.total": "count"}),
        bounds=Bounds(residual, at_once), limits=Limits(parts=10),
        **{name: more.pop(name) for name in ("slower_than", "min_parts") if name in more},
    )  # fmt: skip
    trust = Trust(**{"split": Staging(stage), **more.pop("trusted", {})})
    return rule(splitting=splitting, trust=trust, **more)


def world(shop: Any = None, clock: FakeClock | None = None, **more: Any) -> tuple[World, Shop]:
    shop, clock = shop or Shop(), clock or FakeClock()
    engine = FakeEngine(*[shop] * 50, clock=clock)
    return World(engine, rules=(shop_rule(**more),), clock=clock), shop


def listed(ids: str) -> Request:
    return asked(f"/kept/shop?ids={ids}&lang=de")


async def whole(shop: Shop, ids: str) -> bytes:
    body = Shop(**shop.faults)(listed(ids)).body
    assert isinstance(body, bytes)
    return body


def splitting_rule(name: str = "shop", path: str = "/shop", stage: Stage = Stage.ON, **more: Any) -> Rule:
    """Return a rule of a path of its own."""
    return shop_rule(stage, name=name, path=path, own_path=path.encode(), **more)


def in_front(*rules: Rule) -> World:
    """Return a proxy in front of a shop, with these rules."""
    clock = FakeClock()
    return World(FakeEngine(*[Shop()] * 50, clock=clock), rules=rules or (splitting_rule(),), clock=clock)
