"""The three engines, each in front of something that plays the same story: a server by hand, or an app in this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from wire import Exchange, RawUpstream, chunk

from proxy.clock import SystemClock
from proxy.core.types import Headers, Request, Response
from proxy.upstream import Engine
from proxy.upstream.address import Address
from proxy.upstream.aiohttp import Aiohttp
from proxy.upstream.asgi import Asgi
from proxy.upstream.httpx import Httpx

ENGINES = ("aiohttp", "httpx", "asgi")
ON_THE_WIRE = ("aiohttp", "httpx")
HOST = (b"host", b"site.test")


class Call(Protocol):
    """One request as it arrived, and the way to answer it piece by piece."""

    method: str
    target: bytes
    fields: Headers

    def arriving(self) -> AsyncIterator[bytes]:
        """Yield the request's body as it arrives."""
        ...

    async def head(self, status: int, *fields: tuple[bytes, bytes]) -> None:
        """Send a response head; without a Content-Length the body goes chunked."""
        ...

    async def send(self, piece: bytes) -> None:
        """Send a piece of the body."""
        ...

    async def end(self) -> None:
        """End the body."""
        ...

    async def gone(self) -> None:
        """Return when the engine has ended the call."""
        ...


Story = Callable[[Any], Awaitable[None]]


@dataclass
class WireCall:
    """A call on a connection."""

    exchange: Exchange
    method: str
    target: bytes
    fields: Headers
    chunked: bool = False

    @classmethod
    def of(cls, exchange: Exchange) -> Self:
        fields = tuple([(name.lower(), value) for name, value in exchange.fields])
        return cls(exchange, exchange.method.decode(), exchange.target, fields)

    def arriving(self) -> AsyncIterator[bytes]:
        return self.exchange.arriving()

    async def head(self, status: int, *fields: tuple[bytes, bytes]) -> None:
        empty = self.method == "HEAD" or status in {204, 304}
        self.chunked = not empty and not any(name.lower() == b"content-length" for name, _ in fields)
        rows = [name + b": " + value for name, value in fields]
        rows += [b"Transfer-Encoding: chunked"] if self.chunked else []
        await self.exchange.send(b"\r\n".join([b"HTTP/1.1 %d Said" % status, *rows, b"", b""]))

    async def send(self, piece: bytes) -> None:
        await self.exchange.send(chunk(piece) if self.chunked else piece)

    async def end(self) -> None:
        if self.chunked:
            await self.exchange.send(chunk(b""))

    async def gone(self) -> None:
        await self.exchange.gone()


@dataclass
class AppCall:
    """A call of the app."""

    scope: Any
    receive: Any
    sent: Any
    fields: Headers = ()

    def __post_init__(self) -> None:
        query = self.scope["query_string"]
        self.method = self.scope["method"]
        self.target = self.scope["raw_path"] + (b"?" + query if query else b"")
        self.fields = tuple(self.scope["headers"])

    async def arriving(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                return
            if message["body"]:
                yield message["body"]
            more = message["more_body"]

    async def head(self, status: int, *fields: tuple[bytes, bytes]) -> None:
        await self.sent({"type": "http.response.start", "status": status, "headers": list(fields)})

    async def send(self, piece: bytes) -> None:
        await self.sent({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self) -> None:
        await self.sent({"type": "http.response.body", "body": b"", "more_body": False})

    async def gone(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass


@dataclass
class Peer:
    """One engine and what it talks to; `story` answers each call."""

    name: str
    engine: Engine
    upstream: RawUpstream | None
    calls: list[Any] = field(default_factory=list)
    story: Story | None = None
    ended: int = 0

    async def play(self, call: Any) -> None:
        self.calls.append(call)
        assert self.story is not None
        try:
            await self.story(call)
        except asyncio.CancelledError:
            self.ended += 1
            raise

    @property
    def wire(self) -> RawUpstream:
        assert self.upstream is not None
        return self.upstream


def engine_for(name: str, url: str, connect_timeout: float = 5.0) -> Engine:
    """Return an engine that talks over the network."""
    address = Address.parse(url)
    return (
        Aiohttp(address, connect_timeout, SystemClock.timer) if name == "aiohttp" else Httpx(address, connect_timeout)
    )


async def peer_for(name: str) -> AsyncIterator[Peer]:
    """Yield an engine with its other side, and close both."""
    if name == "asgi":

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await peer.play(AppCall(scope, receive, send))

        peer = Peer(name, Asgi(app), None)
        yield peer
        await peer.engine.close()
        return

    async def script(exchange: Exchange) -> None:
        await peer.play(WireCall.of(exchange))

    async with RawUpstream(script) as upstream:
        peer = Peer(name, engine_for(name, upstream.url), upstream)
        yield peer
        await peer.engine.close()


def asked(target: bytes = b"/", *fields: tuple[bytes, bytes], method: str = "GET", body: Any = b"") -> Request:
    return Request(method, target, (HOST, *fields), body)


def saying(status: int = 200, *fields: tuple[bytes, bytes], body: tuple[bytes, ...] = (b"ok",)) -> Any:
    """Return a story: take the request's body, then answer this."""

    async def story(call: Call) -> None:
        call.body = b"".join([piece async for piece in call.arriving()])  # type: ignore[attr-defined]
        await call.head(status, *fields)
        for piece in body:
            await call.send(piece)
        await call.end()

    return story


async def whole(response: Response) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    async with asyncio.timeout(10):
        return b"".join([piece async for piece in response.body])


async def take(peer: Peer, request: Request) -> tuple[Response, bytes]:
    """Send a request and read its whole answer."""
    async with asyncio.timeout(10):
        response = await peer.engine.send(request)
    return response, await whole(response)
