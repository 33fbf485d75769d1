"""Exchanges with the whole road, as tables: what a client asks, what the upstream would answer, what comes of it.

A case is a name (its section, MUST, SHOULD or MAY, the requirement in our words) and its steps. A step without an
answer of the upstream must not reach it. Where nothing else is said the client gets the upstream's status and body.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import pytest
from fakes import NOON, Answer, FakeClock, FakeDelivery, FakeEngine, answer
from world import HOST, World

from proxy.core import http_date
from proxy.core.rules import default_rule
from proxy.core.types import Client, Request, Response

Value = str | int | list[str] | None
"""What a field holds: one line, a number, several lines; of an expectation also: absent."""
FRESH = "max-age=60"
TAG = '"a"'
LONG_AGO = -1_000_000.0


def date(seconds: float = 0.0) -> str:
    """Return the date so many seconds after a story began."""
    return http_date.render(NOON + seconds).decode()


def lines(fields: Mapping[str, Value]) -> tuple[tuple[bytes, bytes], ...]:
    """Return fields as they are sent; of a word's `_` becomes `-`."""
    found = []
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            found.append((name.replace("_", "-").encode(), str(one).encode("latin-1")))
    return tuple(found)


def said(body: str = "one", status: int = 200, **fields: Value) -> Response:
    """Return an answer of the upstream; its length is told unless it has none or tells another."""
    length = status not in {204, 304} and "content_length" not in fields
    return answer(body.encode(), *lines(fields), status=status, length=length)


def unchanged(**fields: Value) -> Response:
    """Return the upstream's word that what is stored is still good."""
    return said("", 304, **fields)


@dataclass(frozen=True)
class Step:
    """One ask at its moment, and what is expected of it."""

    request: Request
    upstream: tuple[Answer, ...]
    wait: float = 0.0
    takes: float = 0.0
    status: int | None = None
    body: bytes | None = None
    outcome: str | None = None
    cut: bool = False
    fields: Mapping[str, Value] = field(default_factory=dict)
    sent: Mapping[str, Value] = field(default_factory=dict)

    def gets(
        self,
        body: str | None = None,
        status: int = 200,
        outcome: str | None = None,
        *,
        cut: bool = False,
        **fields: Value,
    ) -> Self:
        """Say what the client gets."""
        told = None if body is None else body.encode()
        return replace(self, body=told, status=status, outcome=outcome, cut=cut, fields=fields)

    def goes_up(self, **fields: Value) -> Self:
        """Say which fields the upstream is (first) asked with."""
        return replace(self, sent=fields)


def ask(
    *upstream: Answer, to: str = "/a", method: str = "GET", wait: float = 0.0, takes: float = 0.0, body: bytes = b"",
    host: bytes = HOST[1], **fields: Value,
) -> Step:  # fmt: skip
    """Return a step: `wait` seconds after the one before, with an upstream that `takes` so long."""
    headers = ((b"host", host), *lines(fields))
    client = Client("192.0.2.7", "192.0.2.7")
    return Step(Request(method, to.encode("latin-1"), headers, body, client), upstream, wait, takes)


Case = Sequence[Step]


def table(cases: Mapping[str, Case], known: Mapping[str, str] | None = None) -> list[Any]:
    """Return the parameters of a table's test; `known` says of a case why it does not hold."""
    broken = known or {}
    assert broken.keys() <= cases.keys(), "each known failure is a case"
    return [
        pytest.param(
            steps, id=name, marks=[pytest.mark.xfail(strict=True, reason=broken[name])] if name in broken else []
        )
        for name, steps in cases.items()
    ]


def world(**more: Any) -> World:
    """Return a proxy that goes by its upstream's own word."""
    return World(FakeEngine(), **{"rules": (default_rule(),), **more})


async def play(steps: Case, here: World | None = None) -> World:
    """Play a case, and check each step."""
    here = here or world()
    for number, step in enumerate(steps, 1):
        where = f"step {number}"
        here.clock.advance(step.wait)
        before = len(here.engine.requests)
        here.engine.then(*[_slow(one, here.clock, step.takes) for one in step.upstream or [said("nobody should ask")]])
        got = await here.ask(step.request)
        await here.landed()
        requests = here.engine.requests[before:]
        assert len(requests) == len(step.upstream), f"{where}: {len(requests)} calls upstream: {here.outcomes[-1]}"
        _check_answer(step, got, here.outcomes[-1], where)
        for name, value in step.sent.items():
            sent = requests[0].header(name.replace("_", "-").encode())
            assert sent == _whole(value), f"{where}: {name} upstream"
    assert here.log.failures == []
    return here


def _slow(said: Answer, clock: FakeClock, takes: float) -> Answer:
    if not takes or not isinstance(said, Response):
        return said

    def late(_: Request) -> Response:
        clock.advance(takes)
        return said

    return late


def _check_answer(step: Step, got: FakeDelivery, outcome: str, where: str) -> None:
    last = step.upstream[-1] if step.upstream else None
    status, body = step.status, step.body
    if status is None and isinstance(last, Response):
        status, body = last.status, b"" if step.request.method == "HEAD" else last.body
    assert got.status == status, f"{where}: {outcome}"
    assert body is None or got.body == body, f"{where}: {outcome}"
    assert (got.was_cut, got.complete) == (step.cut, not step.cut), f"{where}: {outcome}"
    assert step.outcome in {None, outcome, outcome.partition(":")[0]}, f"{where}: {outcome}"
    for name, value in step.fields.items():
        assert got.header(name.replace("_", "-").encode()) == _whole(value), f"{where}: {name} of {got.headers}"
    if outcome.partition(":")[0] in {"hit", "stale"} and status in {200, 206, 304}:
        assert (got.header(b"age") or b"").isdigit(), f"{where}: RFC 9111 §4: what is reused tells its age"


def _whole(value: Value) -> bytes | None:
    return b", ".join([one for _, one in lines({"x": value})]) if value is not None else None
