"""The whole road with fakes at both ends: Serve and Accelerate in front of an engine that answers as told."""

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any

from fakes import VIA, FakeClock, FakeDelivery, FakeEngine, LineKeeper, until

from proxy.accelerate import Accelerate
from proxy.core.key import Scope
from proxy.core.log_line import LogLine, request_fields
from proxy.core.rules import Rule, default_rule, path_pattern
from proxy.core.types import Client, Request
from proxy.errors import Refusal
from proxy.serve import Serve
from proxy.store import Store
from proxy.store.memory import Memory
from proxy.tasks import Tasks
from proxy.upstream.call import Timeouts, Upstream
from proxy.upstream.collapse import Flights

HOST = (b"host", b"site.test")


def rule(name: str = "kept", path: str = "/kept/**", **more: Any) -> Rule:
    """Make a rule; an owner's ttl of an hour unless told otherwise."""
    return Rule(name=name, path=path_pattern(path), **{"ttl": 3600.0, **more})


def asked(target: str = "/kept/a", *fields: tuple[bytes, bytes], method: str = "GET", body: Any = b"") -> Request:
    return Request(method, target.encode(), (HOST, *fields), body, Client("192.0.2.7", "192.0.2.7"))


@dataclass
class World:
    """One proxy without a server: `ask` sends a request down the road and returns what its client got."""

    engine: FakeEngine = field(default_factory=FakeEngine)
    rules: tuple[Rule, ...] = (rule(), default_rule())
    store: Store = field(default_factory=lambda: Memory(2**24))
    timeouts: Timeouts = field(default_factory=Timeouts)
    clock: FakeClock = field(default_factory=FakeClock)
    show_cache_status: bool = True

    def __post_init__(self) -> None:
        """Build the road."""
        self.log = LineKeeper()
        self.tasks = Tasks(self.log.failed)
        self.flights = Flights(self.tasks)
        self.upstream = Upstream(self.engine, self.clock, self.log, VIA, host=None)
        self.accelerate = Accelerate(
            self.upstream, self.store, self.flights,
            {one.name: Scope.of("test", "http://up.test", one, b"secret") for one in self.rules},
            self.timeouts, self.clock, failed=self.log.failed, show_cache_status=self.show_cache_status,
        )  # fmt: skip
        ids = itertools.count(1)
        self.serve = Serve(
            self.rules, self.accelerate, self.upstream, self.clock, via=VIA, new_id=lambda: f"{next(ids):032x}",
            tell=self.log.request, failed=self.log.failed, show_cache_status=self.show_cache_status,
        )  # fmt: skip

    async def ask(
        self, request: Request | None = None, delivery: FakeDelivery | None = None, refused: Refusal | None = None
    ) -> FakeDelivery:
        """Serve one request to its end."""
        delivery = delivery or FakeDelivery()
        async with asyncio.timeout(10):
            await self.serve(request or asked(), delivery, refused)
        return delivery

    def start(self, request: Request | None = None, delivery: FakeDelivery | None = None) -> asyncio.Task[FakeDelivery]:
        """Serve one request beside the test."""
        return asyncio.get_running_loop().create_task(self.ask(request, delivery))

    async def landed(self) -> None:
        """Wait until no flight is under way."""
        await until(lambda: not len(self.flights))

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [request_fields(line) for line in self.log.requests]

    @property
    def last(self) -> LogLine:
        return self.log.requests[-1]

    @property
    def outcomes(self) -> list[str]:
        """Return how the requests so far ended, with the reason where there is one."""
        return [f"{one.outcome}:{one.reason}" if one.reason else str(one.outcome) for one in self.log.requests]
