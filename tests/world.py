"""The whole road with fakes at both ends: Serve and Accelerate in front of an engine that answers as told."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fakes import VIA, FakeClock, FakeDelivery, FakeEngine, LineKeeper, unlimited, until

from proxy.accelerate import Accelerate
from proxy.boarding import Boarding
from proxy.bypass import Bypass
from proxy.consequences import Consequences
from proxy.core.key import Scope
from proxy.core.log_fields import request_fields
from proxy.core.log_line import LogLine
from proxy.core.rules import Rule, default_rule, path_pattern
from proxy.core.types import Client, Request
from proxy.edge import Edge
from proxy.errors import Refusal
from proxy.explain import Explain, Forms
from proxy.explain_parts import ExplainParts
from proxy.fan import Fan
from proxy.fetch import Fetch
from proxy.jobs import Jobs
from proxy.mode import Mode
from proxy.observe import Observe
from proxy.origins import Origins
from proxy.parts import Parts
from proxy.places import Places
from proxy.purge import Purge
from proxy.refresh import Refresh
from proxy.rollouts import Rollouts
from proxy.serve import Serve, Show
from proxy.shelf import Shelf
from proxy.store import Shared, Store
from proxy.store.memory import Memory
from proxy.tasks import Tasks
from proxy.trials import Trials
from proxy.trusting import Trusting
from proxy.turns import Turns
from proxy.upstream.call import Timeouts, Upstream
from proxy.upstream.flights import Flights
from proxy.upstream.protection import Protection

ADMIN_TOKEN = b"a-token-for-tests-0123456789"
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
    show: Show = field(default_factory=Show)
    turns: Turns | None = None
    protection: Protection | None = None
    roll: Callable[[], float] = lambda: 0.0
    shared: Shared | None = None
    mode: Mode = field(default_factory=Mode)

    def __post_init__(self) -> None:
        """Build the road."""
        self.log = LineKeeper()
        self.events: list[dict[str, Any]] = []
        self.tasks = Tasks(self.log.failed)
        self.flights = Flights(self.tasks)
        self.protection = self.protection or unlimited(self.clock, self.log)
        self.upstream = Upstream(self.engine, self.protection, self.clock, self.log.upstream_call, VIA, host=None)
        scopes = {one.name: Scope.of("test", "http://up.test", one, b"secret") for one in self.rules}
        forms = Forms()
        self.turns = self.turns or Turns(None, None, "", self.tasks, self.clock, self.log.failed)
        self.rollouts = Rollouts(self.rules, self.clock)
        places = Places(self.store, scopes, self.rollouts, self.clock, self.log.failed, forms.note)
        self.trials = Trials(self.rules, self.rollouts, self.clock, "here")
        self.origins = origins = Origins()
        self.parts = Parts(self.store, places, self.rollouts, origins, self.clock, self.log.failed)
        fan = Fan(self.parts, self.upstream, self.protection, self.tasks, self.timeouts, self.clock)
        self.trust = trust = Trusting(
            self.parts, fan, origins, self.rollouts, self.trials, self.upstream, self.protection, self.tasks,
            self.timeouts, self.clock, self.mode, self.shared, "here", tell=self.told, failed=self.log.failed, roll=self.roll,
        )  # fmt: skip
        self.reassembly = trust.reassembly
        fetch = Fetch(self.upstream, places, self.flights, self.turns, trust.evidence, self.timeouts, self.clock)
        self.composites = composites = trust.composites
        self.places = places
        self.refresh = refresh = Refresh(fetch, self.flights, self.protection, self.clock, self.roll)
        self.boarding = Boarding(fetch, places, self.flights, self.clock)
        self.accelerate = Accelerate(refresh, composites, places, self.boarding, trust.spellings, self.clock)
        consequences = Consequences(self.rules, places, self.parts, self.flights, self.clock, self.log.failed)
        self.bypass = Bypass()
        self.purge = Purge(self.rules, places, self.parts, self.flights, self.clock)
        parts = ExplainParts(composites, self.rollouts, self.boarding.usual_s, self.clock)
        self.explain = Explain(self.rules, scopes, places, parts, forms, self.clock)
        self.ended: list[LogLine] = []
        self.shelf = Shelf(self.store, self.shared, self.clock, self.log.failed)
        self.jobs = Jobs(
            self.shelf, self.tasks, self.clock, "/_frontrunner", timeouts=self.timeouts, failed=self.log.failed,
            tell=lambda line, _: self.ended.append(line),
        )  # fmt: skip
        self.observe = observe = Observe(
            fetch, trust.evidence, places, self.flights, consequences, self.tasks, self.clock, self.log.failed
        )
        ids = itertools.count(1)
        self.serve = Serve(
            self.rules, self.accelerate, consequences, self.upstream, self.bypass, self.mode, observe, self.jobs, self.clock, via=VIA,
            token=ADMIN_TOKEN,
            new_id=lambda: f"{next(ids):032x}", tell=self.left, failed=self.log.failed, show=self.show,
        )  # fmt: skip

    def left(self, line: LogLine) -> None:
        """Count and keep the line of a request that has its answer."""
        self.trials.count(line)
        self.log.request(line)
        line.leave()

    def told(self, event: str, **fields: Any) -> None:
        """Keep an event of the log."""
        self.events.append({"event": event, **fields})

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

    async def settled(self) -> None:
        """Wait until nothing is done beside requests any more."""
        await until(lambda: not len(self.flights) and not self.tasks)

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


class Stand:
    """An edge between a scripted client and a world."""

    def __init__(self, *answers: Any, **more: Any) -> None:
        self.world = World(FakeEngine(*answers), **{"rules": (), **more})
        self.edge = Edge(self.world.serve, FakeClock(), ())
        self.arriving: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.send_error: Exception | None = None

    async def receive(self) -> dict[str, Any]:
        return await self.arriving.get()

    def feed(self, *chunks: bytes, ends: bool = True) -> None:
        for number, chunk in enumerate(chunks, 1):
            more = not (ends and number == len(chunks))
            self.arriving.put_nowait({"type": "http.request", "body": chunk, "more_body": more})

    def leave(self) -> None:
        for _ in range(2):  # servers say so as often as they are asked
            self.arriving.put_nowait({"type": "http.disconnect"})

    async def send(self, message: Any) -> None:
        if self.send_error is not None:
            raise self.send_error
        self.sent.append(dict(message))

    def scope(self, *fields: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
        return {
            "type": "http", "method": "GET", "path": "/x", "raw_path": b"/x", "query_string": b"", "scheme": "http",
            "client": ("192.0.2.7", 1234), "headers": [HOST, *fields], **more,
        }  # fmt: skip

    async def serve(self, *fields: tuple[bytes, bytes], **more: Any) -> int:
        """Serve one request; return its status."""
        async with asyncio.timeout(10):
            await self.edge(self.scope(*fields, **more), self.receive, self.send)
        return self.status

    def start(self, *fields: tuple[bytes, bytes], **more: Any) -> asyncio.Task[int]:
        return asyncio.get_running_loop().create_task(self.serve(*fields, **more))

    @property
    def status(self) -> int:
        return self.sent[0]["status"] if self.sent else 0

    @property
    def request(self) -> Request:
        return self.world.engine.requests[0]
