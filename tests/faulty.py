"""Splitters, merges and normalizers with one fault each, and honest services that are noisy: what trials must tell apart."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from fakes import FakeClock, FakeEngine, answer
from shop import FRESH, Shop
from world import World, rule

from proxy.core.composite import Limits
from proxy.core.fan_out import Bounds
from proxy.core.merge.keyed import Keyed
from proxy.core.rollout import Stage, Staging, Trust
from proxy.core.rules import Rule
from proxy.core.split.query_list import QueryList
from proxy.core.splitting import Splitting
from proxy.core.types import Request, Response


@dataclass(frozen=True, slots=True)
class Losing(Keyed):
    """A merge that loses the last item, where there are three."""

    def merge(self, frame: Any, parts: Any, shares: Any, limits: Any = None) -> bytes:
        body = Keyed.merge(self, frame, parts, shares, limits)
        told = json.loads(body)
        if len(told["items"]) < 3:
            return body
        told["items"].pop()
        return json.dumps(told).encode()


@dataclass(frozen=True, slots=True)
class Reordering(Keyed):
    """A merge that puts items into another order."""

    def merge(self, frame: Any, parts: Any, shares: Any, limits: Any = None) -> bytes:
        told = json.loads(Keyed.merge(self, frame, parts, shares, limits))
        told["items"].reverse()
        return json.dumps(told).encode()


@dataclass(frozen=True, slots=True)
class Rounding(Keyed):
    """A merge that reads numbers as floats."""

    def merge(self, frame: Any, parts: Any, shares: Any, limits: Any = None) -> bytes:
        return json.dumps(json.loads(Keyed.merge(self, frame, parts, shares, limits), parse_int=float)).encode()


@dataclass(frozen=True, slots=True)
class Doubling(Keyed):
    """A merge that has the item at a boundary twice."""

    def merge(self, frame: Any, parts: Any, shares: Any, limits: Any = None) -> bytes:
        told = json.loads(Keyed.merge(self, frame, parts, shares, limits))
        told["items"].insert(1, told["items"][0])
        return json.dumps(told).encode()


@dataclass(frozen=True, slots=True)
class Hoarding(Keyed):
    """A merge that puts in what it saw of a part first, however old."""

    seen: ClassVar[dict[bytes, Any]] = {}

    def merge(self, frame: Any, parts: Any, shares: Any, limits: Any = None) -> bytes:
        old = [self.seen.setdefault(part.identity, share) for part, share in zip(parts, shares, strict=True)]
        return Keyed.merge(self, frame, parts, old, limits)


@dataclass(frozen=True, slots=True)
class Unseeing(Losing):
    """A merge that loses an item and takes any two answers for equal: putting one together again shows nothing."""

    def equal(self, one: bytes, other: bytes) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Confusing(QueryList):
    """A splitter that leaves a parameter out of the frame that changes what a part is."""

    def plan(self, request: Request, limits: Any = None) -> Any:
        cut = QueryList.plan(self, request, limits or Limits())
        if cut is None:
            return None
        bare = cut.frame.target.replace(b"lang=de", b"lang=xx").replace(b"lang=en", b"lang=xx")
        return replace(cut, frame=replace(cut.frame, target=bare))


@dataclass(frozen=True, slots=True)
class Skipping(QueryList):
    """A splitter that asks for parts in another language than its client."""

    def build(self, request: Request, cut: Any, places: Any) -> Request:
        built = QueryList.build(self, request, cut, places)
        return replace(built, target=built.target.replace(b"lang=de", b"lang=en"))


def faulty_shop_rule(stage: Stage, by: Any = None, merge: Any = None, **more: Any) -> Rule:
    """Return the rule of a shop with one fault."""
    merged = {"missing": "omit", "totals": {"$.total": "count"}}
    splitting = Splitting(
        by or QueryList("ids"), (merge or Keyed)("$.items", **merged), bounds=Bounds("single"), limits=Limits(parts=10)
    )
    trust = Trust(**{"split": Staging(stage, 100.0 if stage is Stage.CANARY else None), **more})
    return rule(splitting=splitting, trust=trust)


class Tongues(Shop):
    """A shop whose items are told in a language, and change now and then."""

    def __init__(self, clock: FakeClock, lasts: float = inf) -> None:
        super().__init__()
        self._clock, self._lasts = clock, lasts

    def __call__(self, request: Request) -> Response:
        told = parse_qs(urlsplit(request.target.decode()).query)
        ids, lang = told["ids"][0].split(","), told["lang"][0]
        self.asked.append(ids)
        made = int(self._clock.wall() // self._lasts)
        items = [{"id": one, "price": 1.10, "big": 2**64, "in": lang, "made": made} for one in ids]
        return answer(json.dumps({"items": items, "total": len(items)}).encode(), FRESH)


class Noisy(Shop):
    """A shop whose answers to one question differ: by the time, by the order of sets, by chance."""

    def __init__(self, clock: FakeClock, dice: random.Random) -> None:
        super().__init__()
        self._clock, self._dice = clock, dice
        self.kinds = dice.sample(sorted(NOISE), dice.choice([1, 1, 2]))

    def __call__(self, request: Request) -> Response:
        ids = parse_qs(urlsplit(request.target.decode()).query)["ids"][0].split(",")
        self.asked.append(ids)
        items = [{"id": one} | {kind: NOISE[kind](self._clock, self._dice) for kind in self.kinds} for one in ids]
        return answer(json.dumps({"items": items, "total": len(items)}).encode(), FRESH)


NOISE: dict[str, Callable[[FakeClock, random.Random], Any]] = {
    "seconds": lambda clock, _: int(clock.wall()),
    "milliseconds": lambda clock, _: round(clock.wall() * 1000),
    "a set of two": lambda _, dice: dice.sample(["x", "y"], 2),
    "a set of four": lambda _, dice: dice.sample("abcd", 4),
    "a coin": lambda _, dice: dice.choice([1, 2]),
    "seldom": lambda _, dice: 1 if dice.random() < 0.9 else 2,
}


def in_front_of(shop: Shop, one: Rule, clock: FakeClock, **more: Any) -> World:
    """Return a proxy in front of a shop, where waiting takes no time."""
    here = World(FakeEngine(shop, clock=clock, takes=0.3), rules=(one,), clock=clock, **more)

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    here.trust.verify.sleep = sleep
    return here
