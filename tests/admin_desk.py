"""The admin API on its own: asked as a server would, without one."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from boards import Board
from fakes import FakeClock
from wires import FakeWire, Switchboard
from world import World
from world import rule as make_rule

from proxy.admin.acts import Acts
from proxy.api_of import api_of
from proxy.bypass import Bypass
from proxy.census_taker import CensusTaker, Now
from proxy.config import from_mapping
from proxy.core.log_line import Call, LogLine
from proxy.core.tally import Held
from proxy.core.types import Entry, Outcome
from proxy.recent import Recent
from proxy.reload import LastReload
from proxy.stats import Stats
from proxy.store.memory import Memory

TOKEN = "a-token-for-tests-0123456789"
PREFIX = "/_frontrunner"
PIECE = 2**16
BEARER = {"authorization": f"Bearer {TOKEN}"}


@dataclass
class Said:
    """One answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return ", ".join(value for key, value in self.headers if key == name)

    def json(self) -> Any:
        return json.loads(self.body)


class Desk:
    """Stats and a store that a test fills, and the API that reads them.

    With a `board` it is one of several processes that write to one Redis, and `wrote` is what it wrote there.
    """

    def __init__(
        self, *rules: str, root: bool = False, show: tuple[str, ...] = (), bypass: Bypass | None = None, name: str = "one",
        board: Board | None = None, wire: FakeWire | None = None, wrote: tuple[int, int] = (0, 0), **world: Any,
    ) -> None:  # fmt: skip
        self.clock = FakeClock()
        self.stats, self.recent = Stats(self.clock), Recent(self.clock)
        self.store = Memory(2**20)
        self.world = World(**{"store": self.store, "clock": self.clock, **world})
        self.audited: list[dict[str, Any]] = []
        self.failures: list[BaseException] = []
        self.counts = CensusTaker(
            self.stats, self.recent, self._now, board, wire, self.world.tasks, self.clock,
            machine="here", name=name, failed=lambda error, _: self.failures.append(error),
        )  # fmt: skip
        self.in_flight = 0
        self.redis = None if board is None else Held("redis", *wrote, 0)
        if wire is not None:
            wire.listen(self.counts.hear)
        self.reloaded = LastReload(self.clock.wall())
        named = [{"name": name, "match": {"path": f"/{name}"}, "ttl": "1h"} for name in rules or ("query",)]
        config = from_mapping(
            {
                "upstream": "http://127.0.0.1:9", "rules": named, "admin": {"prefix": PREFIX, "root_paths": root},
                "log": {"query": list(show)},
            },
            {},
        )  # fmt: skip
        self.api = api_of(
            config, [make_rule(one.name) for one in config.rules], self.counts, self._by_rule, self.world.protection.status,
            self.world.rollouts, self.world.trials,
            Acts(self.world.purge, bypass or self.world.bypass, self.world.explain, self._audit), self.world.jobs,
            self.clock, TOKEN, self._audit,
        )  # fmt: skip

    def _now(self) -> Now:
        held = self.store.status()
        told = Held("memory", held.entries, held.bytes, held.limit_bytes)
        return Now(
            (told,) if self.redis is None else (told, self.redis),
            {"memory": held.evictions},
            self.world.protection.status().by_priority,
            self.in_flight,
            not self.reloaded.successful,
            self.reloaded.succeeded_at,
        )

    def _by_rule(self) -> Mapping[str, tuple[int, int]] | None:
        return self.store.rules() if self.redis is None else None

    def _audit(self, event: str, **fields: Any) -> None:
        self.audited.append({"event": event, **fields})

    def count(self, outcome: str, seconds: float, rule: str | None = "query", **more: Any) -> None:
        """Count one request that took so long; one with a `call` waited for the upstream all the time."""
        upstream = more.pop("upstream_s", None)
        known = {"request_id": "", "path": "/", "began": 0.0, "rule": rule, "outcome": Outcome(outcome), **more}
        line = LogLine(method="GET", **known)
        if upstream is not None:
            line.call = Call(began=0.0, ended=upstream, sent=1, rule=rule)
            self.stats.count_call(line.call)
        line.close(seconds)
        self.stats.count(line)
        self.recent.add(line)

    async def keep(self, key: bytes, body: bytes, rule: str = "query") -> None:
        await self.store.set_many({key: Entry(200, (), body, 0.0, 60.0, rule=rule)})

    async def ask(
        self,
        path: str,
        headers: dict[str, str] | None = None,
        *,
        method: str = "GET",
        scheme: str = "http",
        body: bytes | None = b"",
    ) -> Said | None:
        """Ask for a path (with its query); None where it is the upstream's. Without a body the client leaves."""
        path, _, query = path.partition("?")
        given = BEARER if headers is None else headers
        scope: dict[str, Any] = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
            "headers": [(b"host", b"proxy.test"), *[(key.encode(), value.encode()) for key, value in given.items()]],
            "scheme": scheme, "root_path": "", "server": ("proxy.test", 80), "client": ("127.0.0.1", 1), "http_version": "1.1",
        }  # fmt: skip
        route = self.api.route_for(scope)
        if route is None:
            return None
        sent: list[dict[str, Any]] = []

        pieces = [(body or b"")[at : at + PIECE] for at in range(0, len(body or b"") or 1, PIECE)]

        async def receive() -> dict[str, Any]:
            if body is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        async def send(message: Any) -> None:
            sent.append(message)

        await route.handle(scope, receive, send)
        known = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in sent[0]["headers"]]
        return Said(sent[0]["status"], known, b"".join(message.get("body", b"") for message in sent[1:]))

    async def send(self, path: str, asked: Any) -> Said:
        """Send JSON (or bytes) below the prefix with the token; return what is said to it."""
        body = asked if isinstance(asked, bytes | None) else json.dumps(asked).encode()
        said = await self.ask(f"{PREFIX}/{path}", method="POST", body=body)
        assert said is not None
        return said

    async def numbers(self, path: str) -> Any:
        """Ask below the prefix with the token; return the JSON."""
        said = await self.ask(f"{PREFIX}/{path}")
        assert said is not None
        assert said.status == 200, said
        return said.json()


@asynccontextmanager
async def workers_on_a_redis(*wrote: tuple[int, int]) -> AsyncIterator[list[Desk]]:
    """Yield desks of workers that have written so many entries and bytes to one Redis, and have told so."""
    board, wires = Board(FakeClock()), Switchboard()
    desks = [
        Desk("query", name=f"worker {number}", board=board, wire=wires.wire(), wrote=one)
        for number, one in enumerate(wrote)
    ]
    for desk in desks:
        await desk.counts.keep_up()
    yield desks
    for desk in desks:
        await desk.world.tasks.close()
