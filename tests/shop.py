"""A service that answers `ids=1,2,3`, and the rule that splits what it is asked."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fakes import FakeClock, FakeEngine, answer
from world import World, rule

from proxy.core.merge.keyed import Keyed
from proxy.core.rules import Rule
from proxy.core.split.query_list import QueryList
from proxy.core.splitting import Splitting, Stage
from proxy.core.types import Request, Response


def splitting(stage: Stage = Stage.ON) -> Splitting:
    """Return how its requests are split."""
    return Splitting(QueryList("ids"), Keyed("$.items", missing="omit", totals={"$.total": "count"}), stage=stage)


def splitting_rule(name: str = "shop", path: str = "/shop", stage: Stage = Stage.ON, **more: Any) -> Rule:
    """Return a rule whose requests are lists of ids."""
    return rule(name, path, splitting=splitting(stage), own_path=path.encode(), **more)


def sold(request: Request) -> Response:
    """Answer for each id that is asked for."""
    ids = parse_qs(urlsplit(request.target.decode()).query)["ids"][0].split(",")
    items = [{"id": one, "price": 1.10} for one in ids]
    return answer(json.dumps({"items": items, "total": len(items)}).encode(), (b"content-type", b"application/json"))


def shop(*rules: Rule) -> World:
    """Return a proxy in front of the shop."""
    clock = FakeClock()
    return World(FakeEngine(*[sold] * 50, clock=clock), rules=rules or (splitting_rule(),), clock=clock)
