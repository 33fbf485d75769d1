"""Requests that are under way at once: each is asked when a test says so, and answered when it says so."""

import asyncio
from dataclasses import dataclass
from typing import Any

from fakes import Answer, Body, FakeDelivery, FakeEngine, Held, answer
from world import HOST, World, rule

from proxy.core.types import Client, Request, Response

FRESH, SHORT = "max-age=60", "max-age=10"
OWN = rule(name="own", path="/**", ttl=None)
"""A rule of the owner's under which the origin's own word counts."""


def lines(fields: dict[str, Any]) -> tuple[tuple[bytes, bytes], ...]:
    """Return fields as they are sent; of a word's `_` becomes `-`."""
    return tuple((name.replace("_", "-").encode(), str(value).encode()) for name, value in fields.items())


def said(body: str | Body = "", status: int = 200, **fields: Any) -> Response:
    """Return an answer of the upstream; it tells no length where its body still arrives, or has none."""
    whole = body.encode() if isinstance(body, str) else body
    return answer(whole, *lines(fields), status=status, length=bool(body) and "content_length" not in fields)


def ask(to: str = "/a", method: str = "GET", body: bytes = b"", scheme: str = "http", **fields: Any) -> Request:
    client = Client("192.0.2.7", "192.0.2.7", scheme)
    return Request(method, to.encode(), (HOST, *lines(fields)), body, client)


@dataclass(frozen=True)
class UnderWay:
    """A request whose answer the upstream holds back."""

    held: Held
    task: asyncio.Task[FakeDelivery]

    async def ends(self) -> FakeDelivery:
        """Let its answer come; return what its client got."""
        self.held.go.set()
        return await self.task


class Race:
    """A world whose requests overtake each other as they are told."""

    def __init__(self, *before: Answer, rules: tuple[Any, ...] = (OWN,), **more: Any) -> None:
        self.here = World(FakeEngine(*before), rules=rules, **more)
        self.clock = self.here.clock

    @property
    def calls(self) -> int:
        """Return how often the upstream was asked."""
        return len(self.here.engine.requests)

    async def gets(self, *upstream: Answer, **asks: Any) -> FakeDelivery:
        """Ask, with an upstream that would answer this; return what the client got."""
        self.here.engine.then(*upstream or [said("nobody should have asked")])
        return await self.here.ask(ask(**asks))

    async def begins(self, upstream: Response, **asks: Any) -> UnderWay:
        """Ask what goes up and is not answered yet."""
        held = Held(upstream)
        self.here.engine.then(held)
        task = self.here.start(ask(**asks))
        await held.asked.wait()
        return UnderWay(held, task)

    async def joins(self, *upstream: Answer, **asks: Any) -> asyncio.Task[FakeDelivery]:
        """Ask what waits for another's answer; the upstream would answer it by itself with this."""
        self.here.engine.then(*upstream or [said("its own")])
        task = self.here.start(ask(**asks))
        await turns()
        return task

    async def at_once(self, upstream: Response, many: int = 10) -> int:
        """Ask for the same so many times at once; return how many calls that cost."""
        held, before = Held(upstream), self.calls
        self.here.engine.then(held)
        asking = [self.here.start(ask()) for _ in range(many)]
        await turns()
        held.go.set()
        await asyncio.gather(*asking)
        return self.calls - before


async def turns(many: int = 30) -> None:
    """Let everything else run for a while."""
    for _ in range(many):
        await asyncio.sleep(0)
