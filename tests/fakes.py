"""Fakes for the rooms that do IO: each keeps its contract, stands still until told, and remembers what it was asked."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from proxy.core.log_fields import call_fields, request_fields
from proxy.core.log_line import Call, LogLine
from proxy.core.types import Entry, Headers, Request, Response, Stream
from proxy.errors import ClientGone
from proxy.store import StoreStatus
from proxy.store.memory import Memory
from proxy.upstream.limit import Limit
from proxy.upstream.protection import Protection
from proxy.upstream.slots import OwnSlots

PATIENCE = 10.0
"""Seconds after which any single wait is a failed test."""
VIA = b"1.1 frontrunner-test"
NOON = 1_000_000_000.0
DATE = b"Sun, 09 Sep 2001 01:46:40 GMT"


async def until(true: Callable[[], object], within: float = PATIENCE) -> None:
    """Let everything else run until something is true."""
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0)


class FakeClock:
    """Two times that stand still until advanced."""

    def __init__(self, wall: float = NOON, timer: float = 100.0) -> None:
        self._wall, self._timer = wall, timer

    def wall(self) -> float:
        return self._wall

    def timer(self) -> float:
        return self._timer

    def advance(self, seconds: float) -> None:
        self._wall += seconds
        self._timer += seconds


class Body:
    """A stream that yields what it is fed, and ends or fails when told; knows whether it was closed."""

    def __init__(self, *chunks: bytes, ends: bool = True) -> None:
        self._fed: deque[bytes | Exception | None] = deque(chunks)
        self._news = asyncio.Event()
        self.closed = 0
        self.taken = 0
        if ends:
            self.end()

    def feed(self, *chunks: bytes) -> None:
        self._fed.extend(chunks)
        self._news.set()

    def end(self) -> None:
        self._fed.append(None)
        self._news.set()

    def fail(self, error: Exception) -> Self:
        self._fed.append(error)
        self._news.set()
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._fed:
            self._news.clear()
            await self._news.wait()
        one = self._fed[0]
        if one is None:
            raise StopAsyncIteration
        if isinstance(one, Exception):
            raise one
        self.taken += 1
        return self._fed.popleft()  # type: ignore[return-value]  # it is `one`

    async def aclose(self) -> None:
        self.closed += 1


class Held:
    """An answer that comes when the test lets it."""

    def __init__(self, answer: "Answer") -> None:
        self.answer = answer
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self.cancelled = False

    async def wait(self) -> "Answer":
        self.asked.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return self.answer


Answer = Response | Exception | Held | Callable[[Request], Response]


def answer(body: bytes | Stream = b"ok", *fields: tuple[bytes, bytes], status: int = 200, **more: Any) -> Response:
    """Make a response; a body of bytes gets its Content-Length unless `length=False`."""
    length = more.pop("length", True)
    if isinstance(body, bytes) and length:
        fields = (*fields, (b"content-length", b"%d" % len(body)))
    return Response(status, fields, body, **more)


class FakeEngine:
    """Answers what it was told, in order; the last answer stands for all that follow."""

    def __init__(self, *answers: Answer, clock: FakeClock | None = None, takes: float = 0.0) -> None:
        self._answers = list(answers) or [answer()]
        self._clock, self._takes = clock, takes
        self.requests: list[Request] = []
        self.received: list[bytes] = []
        self.fresh: list[bool] = []
        self.closed = 0

    def then(self, *answers: Answer) -> None:
        """Answer these from now on."""
        self._answers = list(answers)

    async def send(self, request: Request, *, fresh: bool = False) -> Response:
        self.requests.append(request)
        self.fresh.append(fresh)
        said: Any = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(request.body, bytes):
            self.received.append(request.body)
        else:
            self.received.append(b"".join([chunk async for chunk in request.body]))
        if isinstance(said, Held):
            said = await said.wait()
        if self._clock is not None:
            self._clock.advance(self._takes)
        if isinstance(said, Exception):
            raise said
        response: Response = said if isinstance(said, Response) else said(request)
        if isinstance(response.body, bytes):
            empty = request.method == "HEAD" or not response.body
            response = replace(response, body=Body() if empty else Body(response.body))
        return response

    async def close(self) -> None:
        self.closed += 1


class LineKeeper:
    """Takes finished lines and failures, as the log does."""

    def __init__(self) -> None:
        self.requests: list[LogLine] = []
        self.calls: list[tuple[Call, str]] = []
        self.failures: list[tuple[BaseException, str]] = []

    def request(self, line: LogLine) -> None:
        self.requests.append(line)

    def upstream_call(self, call: Call, request_id: str) -> None:
        self.calls.append((call, request_id))

    def failed(self, error: BaseException, request_id: str = "") -> None:
        self.failures.append((error, request_id))

    @property
    def line(self) -> dict[str, Any]:
        """Return the fields of the only request line."""
        assert len(self.requests) == 1, self.requests
        return request_fields(self.requests[0])

    @property
    def call(self) -> dict[str, Any]:
        """Return the fields of the only upstream_call line."""
        assert len(self.calls) == 1, self.calls
        return call_fields(*self.calls[0], now=0.0)


class FakeDelivery:
    """One client: takes an answer, or leaves."""

    def __init__(self, *, bytes_in: int = 0, gone_at_send: bool = False) -> None:
        self.started = self.client_gone = self.was_cut = False
        self.bytes_in = bytes_in
        self.watched = 0
        self.status = 0
        self.headers: Headers = ()
        self.body = b""
        self.complete = False
        self._gone_at_send = gone_at_send
        self._watched_task: asyncio.Task[Any] | None = None

    def watch(self) -> None:
        self.watched += 1
        self._watched_task = asyncio.current_task()

    def leave(self) -> None:
        """Be gone; only a watched request notices."""
        if self._watched_task is not None:
            self.client_gone = True
            self._watched_task.cancel()

    async def deliver(self, response: Response, line: LogLine) -> None:
        if self._gone_at_send:
            raise ClientGone
        self.started = True
        self.status, self.headers = response.status, response.headers
        line.status, line.first_byte, line.send_s = response.status, line.began, 0.0
        if isinstance(response.body, bytes):
            self._take(response.body, line)
        else:
            async for chunk in response.body:
                self._take(chunk, line)
        self.complete = True

    def _take(self, chunk: bytes, line: LogLine) -> None:
        self.body += chunk
        line.bytes_out += len(chunk)

    def cut(self) -> None:
        self.was_cut = True

    def header(self, name: bytes) -> bytes | None:
        return Response(self.status, self.headers).header(name)


def unlimited(clock: FakeClock, log: LineKeeper, **more: Any) -> Protection:
    """Return what protects an upstream that may be asked as often as clients like."""
    return Protection(Limit(OwnSlots(), None, clock), clock, log.failed, **more)


def limited(ceiling: int, clock: FakeClock, **more: Any) -> Protection:
    """Return what lets so many calls go upstream at once."""
    return Protection(Limit(OwnSlots(), ceiling, clock), clock, LineKeeper().failed, **more)


async def held_by(store: Memory) -> dict[bytes, Entry]:
    """Return all that the hot tier holds, by key."""
    keys = tuple(store._places)
    found = await store.get_many(keys)
    return {key: entry for key, entry in zip(keys, found, strict=True) if entry is not None}


class FailingStore:
    """A store that is broken: every call raises."""

    async def get_many(self, keys: Sequence[bytes]) -> list[Entry | None]:
        raise ConnectionError("the store is down")

    async def set_many(self, entries: Mapping[bytes, Entry]) -> None:
        raise ConnectionError("the store is down")

    async def touch(self, hits: Mapping[bytes, int]) -> None:
        raise ConnectionError("the store is down")

    async def delete(self, keys: Sequence[bytes]) -> None:
        raise ConnectionError("the store is down")

    async def clear(self) -> None:
        raise ConnectionError("the store is down")

    def status(self) -> StoreStatus:
        raise ConnectionError("the store is down")

    def rules(self) -> Mapping[str, tuple[int, int]]:
        raise ConnectionError("the store is down")

    async def close(self) -> None:
        raise ConnectionError("the store is down")
