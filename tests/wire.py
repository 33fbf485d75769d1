"""Both ends of the proxy by hand: an upstream that records requests and answers exact bytes, a client that sends them."""

import asyncio
import inspect
import json
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

from http1 import (
    LIMIT,
    PATIENCE,
    UNTIL_CLOSE,
    CutError,
    Fields,
    Wire,
    asked,
    chunk,
    reply,
    request_length,
    response_length,
    split_head,
    values,
)

__all__ = [
    "Answer",
    "Client",
    "Exchange",
    "Fields",
    "RawUpstream",
    "Script",
    "asked",
    "chunk",
    "raw_exchange",
    "reply",
    "values",
]


@dataclass(eq=False)
class Exchange(Wire):
    """One request at the upstream, with the connection it came on."""

    head_bytes: bytes
    connection: int
    index: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    body: bytes = b""
    trailers: Fields = ()
    ended: bool = False
    complete: bool = False
    started: bool = False

    def __post_init__(self) -> None:
        """Take the head apart."""
        first, self.fields = split_head(self.head_bytes)
        self.method, self.target, self.version = [*first.split(b" ", 2), b"", b""][:3]
        self.path = self.target.partition(b"?")[0]

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of all fields called `name`, in order."""
        return values(self.fields, name)

    async def arriving(self) -> AsyncIterator[bytes]:
        """Yield the request's content as it arrives, without keeping it."""
        self.started = True
        async for piece in self.pieces(request_length(self.fields)):
            yield piece
        self.complete = True

    async def read(self) -> bytes:
        """Read the request's content to its end and keep it (what came before a cut is kept too)."""
        if not self.started:
            async for piece in self.arriving():
                self.body += piece
        return self.body


Script = bytes | list[bytes] | Callable[[Exchange], bytes | Awaitable[None]]
"""What the upstream answers: bytes, one entry per request, or a function; a coroutine function does all by itself."""


@dataclass
class RawUpstream:
    """A server on a free loopback port that records every request and answers what its script says."""

    answer: Script = field(default_factory=reply)
    routes: dict[bytes, Script] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        """Start with nobody connected."""
        self._open: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}
        self._by_path: dict[bytes, list[Exchange]] = defaultdict(list)
        self._news = asyncio.Condition()

    @property
    def url(self) -> str:
        """Return the address a config names."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening and end all connections."""
        self.refuse()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def listen(self) -> None:
        """Take connections, on the same port as before if there was one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=LIMIT, backlog=2048)
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Take no new connections and end those that are open."""
        self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        """End all open connections, idle or not."""
        for writer in self._open.values():
            writer.close()

    def seen(self, path: bytes) -> list[Exchange]:
        """Return the requests for `path` (without query) so far."""
        return list(self._by_path[path])

    async def arrived(self, path: bytes, count: int = 1, within: float = PATIENCE) -> list[Exchange]:
        """Wait until `count` requests for `path` have arrived."""
        async with asyncio.timeout(within), self._news:
            await self._news.wait_for(lambda: len(self._by_path[path]) >= count)
        return self.seen(path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._open[task] = writer  # type: ignore[index]  # a handler always runs in a task
        number, self.connections = self.connections, self.connections + 1
        wire, index = Wire(reader, writer), 0
        try:
            while head := await wire.head():
                exchange = Exchange(head, number, index, reader, writer)
                index += 1
                self.exchanges.append(exchange)
                self._by_path[exchange.path].append(exchange)
                async with self._news:
                    self._news.notify_all()
                await self._play(exchange)
                if exchange.ended or not exchange.complete:
                    break
        except (ConnectionError, CutError, TimeoutError, asyncio.CancelledError):
            pass  # cancelled: the test is over
        finally:
            del self._open[task]  # type: ignore[arg-type]
            writer.close()

    async def _play(self, exchange: Exchange) -> None:
        script = self.routes.get(exchange.path, self.answer)
        if not inspect.iscoroutinefunction(script):
            await exchange.read()
        said = script(exchange) if callable(script) else script.pop(0) if isinstance(script, list) else script
        if isinstance(said, bytes):
            await exchange.send(said)
            if _ends(exchange.method, said):
                exchange.close()
        else:
            await said


def _ends(method: bytes, said: bytes) -> bool:
    """Tell whether the connection ends with this answer: it says so, it needs to, or it is short of its length."""
    head, _, rest = said.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 1"):
        head, _, rest = rest.partition(b"\r\n\r\n")
    first, fields = split_head(head)
    if b"close" in b",".join(values(fields, b"connection")).lower():
        return True
    try:
        length = response_length(method, int(first.split(b" ")[1]), fields)
        return length == UNTIL_CLOSE or length > len(rest)
    except (ValueError, IndexError):
        return True


@dataclass(frozen=True)
class Answer:
    """One response as a client read it; `status` 0 means that the connection ended before a head came."""

    status: int = 0
    fields: Fields = ()
    body: bytes = b""
    cut: bool = False
    interim: tuple[int, ...] = ()
    trailers: Fields = ()
    surplus: bytes = b""
    open: bool = False
    first: bytes = b""

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of all fields called `name`, in order."""
        return values(self.fields, name)

    def value(self, name: bytes) -> bytes:
        """Return the values of field `name` joined by a comma; b"" if there is none."""
        return b", ".join(self.values(name))

    @property
    def request_id(self) -> str:
        """Return the id that finds the log line."""
        return self.value(b"x-request-id").decode()

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Client(Wire):
    """A client's end: `ask` sends exact bytes and reads one response."""

    @classmethod
    async def to(cls, port: int, **sockets: int) -> Self:
        """Connect to a loopback port; `rcvbuf` bounds what the kernel takes on the client's behalf."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        if "rcvbuf" in sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, sockets["rcvbuf"])
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except OSError:
            sock.close()
            raise
        return cls(*await asyncio.open_connection(sock=sock, limit=LIMIT))

    async def __aenter__(self) -> Self:
        """Be used until the block ends."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the connection."""
        self.close()

    async def ask(self, data: bytes, within: float = PATIENCE) -> Answer:
        """Send these bytes and read one response; sending goes on while the response arrives."""
        async with asyncio.timeout(within), asyncio.TaskGroup() as group:
            sending = group.create_task(self._send_while_taken(data))
            answer = await self.answer(data.partition(b" ")[0])
            sending.cancel()
        return answer

    async def _send_while_taken(self, data: bytes) -> None:
        try:
            await self.send(data)
        except ConnectionError:
            pass

    async def start(self) -> tuple[bytes, int, Fields, tuple[int, ...]]:
        """Read 1xx heads and the final one: first line, status, fields, statuses of the 1xx."""
        interim: list[int] = []
        while head := await self.head():
            first, fields = split_head(head)
            status = int(first.split(b" ")[1])
            if status >= 200:
                return first, status, fields, tuple(interim)
            interim.append(status)
        return b"", 0, (), tuple(interim)

    async def answer(self, method: bytes = b"GET") -> Answer:
        """Read one response to its end, wherever that is."""
        first, status, fields, interim = await self.start()
        if not status:
            return Answer(cut=True, interim=interim)
        length, body, cut = response_length(method, status, fields), bytearray(), False
        try:
            async for piece in self.pieces(length):
                body += piece
        except CutError:
            cut = True
        ends = cut or length == UNTIL_CLOSE or b"close" in b",".join(values(fields, b"connection")).lower()
        return Answer(status, fields, bytes(body), cut, interim, self.trailers, b"", not ends, first)

    async def rest(self, within: float = 0.2) -> tuple[bytes, bool]:
        """Return what still comes within that time, and whether the connection is still open then."""
        rest = b""
        try:
            async with asyncio.timeout(within):
                while piece := await self.reader.read(2**16):
                    rest += piece
        except TimeoutError:
            return rest, True
        except ConnectionError:
            pass
        return rest, False


async def raw_exchange(host: str, port: int, data: bytes, *, settle: float = 0.0, within: float = PATIENCE) -> Answer:
    """Send exact bytes over a new connection and read one response; `settle` is how long to look for what follows it."""
    assert host == "127.0.0.1", "tests stay on this machine"
    async with await Client.to(port) as client:
        answer = await client.ask(data, within)
        if not settle:
            return answer
        surplus, still_open = await client.rest(settle)
    return replace(answer, surplus=surplus, open=still_open)
