"""Composite requests, a service that answers them in many ways of writing JSON, and the shortest road that splits them."""

import os
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, NamedTuple

from proxy.core.composite import LIMITS, Cut, Frame, Limits, Share, united
from proxy.core.merge import Merge
from proxy.core.reasons import Reason
from proxy.core.split import Splitter
from proxy.core.types import Request, Response
from proxy.errors import Fallback

COMPOSITES = int(os.environ.get("FRONTRUNNER_COMPOSITES", "500"))
"""Generated composites for each splitter and merge."""
FORGETS = 0.1
"""How often a road begins with an empty store again."""


class Raw(str):
    """JSON text that is written as it stands."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """An object, by its members in order; one may come twice."""


class Style(NamedTuple):
    """How a service writes JSON."""

    comma: str = ","
    colon: str = ":"
    indent: str | None = None

    def write(self, value: object, level: int = 0) -> str:
        """Write a tree of Raw, Members and lists."""
        match value:
            case Raw():
                return value
            case Members():
                return self._between("{}", [self.member(name, inner, level + 1) for name, inner in value], level)
            case list():
                return self._between("[]", [self.write(inner, level + 1) for inner in value], level)
        raise TypeError(value)

    def member(self, name: str, value: object, level: int = 0) -> str:
        """Write one member of an object."""
        return f"{quoted(name)}{self.colon}{self.write(value, level)}"

    def _between(self, brackets: str, texts: list[str], level: int) -> str:
        if self.indent is None or not texts:
            return brackets[0] + self.comma.join(texts) + brackets[1]
        line = "\n" + self.indent * (level + 1)
        return f"{brackets[0]}{line}{f'{self.comma}{line}'.join(texts)}\n{self.indent * level}{brackets[1]}"


STYLES = {
    "compact": Style(),
    "spaced": Style(", ", ": "),
    "two": Style(",", ": ", "  "),
    "tabs": Style(",", ":", "\t"),
}


def quoted(text: str) -> Raw:
    """Write a string as JSON, beyond ASCII as it is."""
    inner = "".join([f"\\u{ord(one):04x}" if one < " " else "\\" * (one in '"\\') + one for one in text])
    return Raw(f'"{inner}"')


_ODD = [
    "18446744073709551616", "1.10", "1e5", "-0.0", "1E+2", "null", "true", '"\\u00e9\\/"', '"é"', '"],[{},{"', '"a, b"',
    '"\\ud800"', "12345678901234567890.123456789", '""',
]  # fmt: skip


def facts(name: str, dice: Random) -> Members:
    """Return what a service knows of one thing besides its name."""
    found = Members([("n", Raw(str(len(name)))), ("size", Raw(str(dice.randrange(-(10**20), 10**20))))])
    found += [(f"f{number}", Raw(dice.choice(_ODD))) for number in range(dice.randrange(4))]
    if dice.random() < 0.2:
        found += [("twice", Raw("1")), ("twice", Raw("2.0"))]
    if dice.random() < 0.3:
        found.append(("more", [Raw(dice.choice(_ODD)) for _ in range(dice.randrange(3))]))
    return found


def json_response(text: str, status: int = 200) -> Response:
    """Return a response with a body of JSON."""
    return Response(status, ((b"content-type", b"application/json"),), text.encode("utf-8", "surrogatepass"))


class Road:
    """Plan, look up, fetch in one call or several, slice, merge, keep: one request after another, without any waiting."""

    def __init__(self, splitter: Splitter, merge: Merge, service: Callable[[Request], Response]) -> None:
        self.splitter, self.merge, self.service = splitter, merge, service
        self.parts: dict[Any, bytes] = {}
        self.frames: dict[Any, bytes] = {}
        self.hits = self.calls = 0

    def answer(self, request: Request, dice: Random, limits: Limits = LIMITS) -> bytes:
        """Return the body put together from what is known and what is fetched; raises Fallback."""
        if dice.random() < FORGETS:
            self.parts.clear()
            self.frames.clear()
        cut = self.splitter.plan(request, limits)
        if cut is None:
            raise Fallback(Reason.SPLIT_SYNTAX)
        self.merge.check(cut.parts)
        key = cut.frame.target, cut.frame.body
        found = [self.parts.get((key, part.identity)) for part in cut.parts]
        shares = {place: Share.unpacked(share) for place, share in enumerate(found) if share}
        self.hits += len(shares)
        frames = [Frame.unpacked(self.frames[key])] if key in self.frames else []
        for places in self._groups([place for place in range(len(cut.parts)) if place not in shares], dice):
            sliced_frame, sliced = self._fetched(request, cut, places, limits)
            frames.append(sliced_frame)
            shares.update(zip(places, sliced, strict=True))
        frame = united(frames, guess=True)
        self.frames[key] = frame.packed()
        return self.merge.merge(frame, cut.parts, [shares[place] for place in sorted(shares)], limits)

    def _groups(self, missing: list[int], dice: Random) -> Iterable[list[int]]:
        count = len(missing) if self.merge.one_each else dice.choice([1, 1, 2, 3, len(missing)])
        dealt: list[list[int]] = [[] for _ in range(max(count, 1))]
        for number, place in enumerate(missing):
            dealt[number % len(dealt) if self.merge.one_each else dice.randrange(len(dealt))].append(place)
        return [places for places in dealt if places]

    def _fetched(
        self, request: Request, cut: Cut, places: Sequence[int], limits: Limits
    ) -> tuple[Frame, tuple[Share, ...]]:
        self.calls += 1
        asked = cut.picked(places)
        sliced = self.merge.slice(self.service(self.splitter.build(request, cut, places)), asked, limits)
        for part, share in zip(asked, sliced.shares, strict=True):
            if share.lasting:
                self.parts[(cut.frame.target, cut.frame.body), part.identity] = share.packed()
        return sliced.frame, sliced.shares


class Counted(NamedTuple):
    """What became of many composites."""

    equal: int
    fallbacks: dict[str, int]
    hits: int


def travel(road: Road, requests: Iterable[Request], dice: Random) -> Counted:
    """Send requests down a road, and compare each body with the service's own, byte by byte."""
    equal, fallbacks = 0, dict[str, int]()
    for request in requests:
        try:
            body = road.answer(request, dice)
        except Fallback as fallback:
            fallbacks[fallback.reason] = fallbacks.get(fallback.reason, 0) + 1
            continue
        whole = road.service(request).body
        assert body == whole, (request, body, whole)
        equal += 1
    return Counted(equal, fallbacks, road.hits)
