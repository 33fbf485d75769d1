"""ASGI ⇄ Request/Response: the only file that sees scope, receive and send.

Our own server hands over the request target as it came and what it refused to read, under `EXTENSION`; any other
ASGI server will do, then the target is put together from its path and query.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from proxy.asgi import EXTENSION, WHOLE, AnswerCut, Message, Receive, Scope, Send
from proxy.clock import Clock
from proxy.core.headers import Networks, client_ip, end_to_end, wants_upgrade
from proxy.core.log_line import LogLine
from proxy.core.reasons import Reason
from proxy.core.storing import content_length
from proxy.core.types import Client, Headers, Request, Response, by_name
from proxy.errors import ClientGone, Refusal

Serving = Callable[[Request, "ClientDelivery", Refusal | None], Awaitable[None]]

_LENGTHS = frozenset({b"content-length", b"transfer-encoding"})


class Edge:
    """The ASGI application for HTTP."""

    def __init__(self, serve: Serving, clock: Clock, trusted: Networks) -> None:
        self._serve = serve
        self._clock = clock
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises AnswerCut where the answer had to be left incomplete."""
        headers: Headers = tuple(scope["headers"])
        own = scope.get("extensions", {}).get(EXTENSION, {})
        fields = by_name(headers)
        has_body = not _LENGTHS.isdisjoint(fields) and not _is_empty(fields)
        body = ClientBody(receive, own.get("gone"), waiting=has_body)
        target, authority = origin_form(own.get("target") or _target(scope))
        refused = own.get("refused") or _refused(headers, fields)
        request = Request(
            method=scope["method"],
            target=target,
            headers=_with_authority(end_to_end(headers), authority),
            body=body if body.waiting else b"",
            client=self._client(scope, headers),
        )
        delivery = ClientDelivery(send, body, self._clock)
        try:
            await self._serve(request, delivery, refused)
        finally:
            delivery.unwatch()
        if delivery.must_cut:
            raise AnswerCut

    def _client(self, scope: Scope, headers: Headers) -> Client:
        peer = scope["client"][0] if scope.get("client") else ""
        ip = client_ip(headers, peer, self._trusted) if self._trusted else peer
        return Client(peer, ip, scope.get("scheme", "http"), scope)


def _refused(headers: Headers, fields: Mapping[bytes, bytes]) -> Refusal | None:
    """Find what no upstream should be asked to make sense of."""
    if len(fields) != len(headers) and [name for name, _ in headers].count(b"host") > 1:
        return Refusal(400, Reason.BAD_REQUEST, "more than one Host field")  # RFC 9112 §3.2
    if b"upgrade" in fields and wants_upgrade(headers, b"websocket"):
        return Refusal(501, Reason.UPGRADE, "WebSocket upgrades are not built yet")
    return None


def _target(scope: Scope) -> bytes:
    path = scope.get("raw_path") or quote(scope["path"], safe="/:@!$&'()*+,;=~").encode()
    query = scope["query_string"]
    return bytes(path + b"?" + query if query else path)


def origin_form(target: bytes) -> tuple[bytes, bytes | None]:
    """Return a target as an origin wants it, and the authority that an absolute one named (RFC 9112 §3.2)."""
    if target.startswith(b"/") or target == b"*":
        return target, None
    scheme, found, rest = target.partition(b"://")
    if not found or scheme.lower() not in {b"http", b"https"}:
        return target, None
    end = min([place for place in (rest.find(b"/"), rest.find(b"?")) if place >= 0], default=len(rest))
    origin = rest[end:]
    authority = rest[:end].rpartition(b"@")[2]  # credentials are no part of a Host (RFC 9110 §4.2.4)
    return origin if origin.startswith(b"/") else b"/" + origin, authority


def _with_authority(headers: Headers, authority: bytes | None) -> Headers:
    if authority is None:
        return headers
    return ((b"host", authority), *[field for field in headers if field[0] != b"host"])


def _is_empty(fields: Mapping[bytes, bytes]) -> bool:
    return fields.get(b"content-length") == b"0" and b"transfer-encoding" not in fields


class ClientBody:
    """A request's body as it arrives; after its end, the news that the client has left."""

    def __init__(self, receive: Receive, gone: Callable[[], Awaitable[None]] | None = None, *, waiting: bool) -> None:
        self._receive = receive
        self._gone = gone
        self.waiting = waiting
        self.bytes_in = 0
        self._read: asyncio.Event | None = None
        self._refused: Refusal | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while self.waiting:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._refused = message.get(EXTENSION)
                self._end()
                raise self._refused or ClientGone
            chunk = message.get("body", b"")
            self.bytes_in += len(chunk)
            if not message.get("more_body", False):
                self._end()
            if chunk:
                return bytes(chunk)
        raise StopAsyncIteration

    def _end(self) -> None:
        self.waiting = False
        if self._read is not None:
            self._read.set()

    async def aclose(self) -> None:
        """Do nothing: the server reads on or closes."""

    async def gone(self) -> None:
        """Return when the client has left.

        A server that is not ours tells it only to who receives: while the body is being read, its reader notices.
        """
        if self._gone is not None:
            await self._gone()
            return
        if self.waiting:
            self._read = asyncio.Event()
            await self._read.wait()
        if self._refused is not None:
            await asyncio.get_running_loop().create_future()  # the client is there, waiting to be told
        while (await self._receive())["type"] != "http.disconnect":
            pass  # the empty message of a request without a body


class ClientDelivery:
    """Sends one answer to one client, and notices when the client leaves."""

    def __init__(self, send: Send, body: ClientBody, clock: Clock) -> None:
        self._asgi_send = send
        self._body = body
        self._clock = clock
        self._watcher: asyncio.Task[None] | None = None
        self._done = False
        self.started = False
        self.client_gone = False
        self.must_cut = False

    @property
    def bytes_in(self) -> int:
        """Return how much of the request's body has arrived."""
        return self._body.bytes_in

    def watch(self) -> None:
        """From now on, cancel this request's task when the client leaves."""
        if self._watcher is None:
            loop = asyncio.get_running_loop()
            task = asyncio.current_task()
            if task is not None:
                self._watcher = loop.create_task(self._watch(task))

    async def _watch(self, task: asyncio.Task[Any]) -> None:
        await self._body.gone()
        if not self._done:
            self.client_gone = True
            task.cancel()

    def unwatch(self) -> None:
        """Stop noticing."""
        self._done = True
        if self._watcher is not None:
            self._watcher.cancel()
        if self.client_gone and (task := asyncio.current_task()) is not None:
            task.uncancel()

    async def _send(self, message: Message) -> None:
        try:
            await self._asgi_send(message)
        except OSError as error:  # ASGI 2.4: the client has left
            raise ClientGone from error

    async def deliver(self, response: Response, line: LogLine) -> None:
        """Send a response, noting in `line` what left and when; raises what its body raises."""
        began = self._clock.timer()
        line.first_byte, line.status = began, response.status
        self.started = True
        whole = isinstance(response.body, bytes)
        start = {"type": "http.response.start", "status": response.status, "headers": response.headers, WHOLE: whole}
        await self._send(start)
        if isinstance(response.body, bytes):
            self._done = True
            line.bytes_out = len(response.body)
            await self._send({"type": "http.response.body", "body": response.body})
            line.send_s = self._clock.timer() - began
            return
        line.send_s = self._clock.timer() - began
        whole_at = content_length(response)  # who has that much has all, and may leave
        self._done = whole_at == 0
        async for chunk in response.body:
            began = self._clock.timer()
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            line.bytes_out += len(chunk)
            line.send_s += self._clock.timer() - began
            self._done = line.bytes_out == whole_at
        has_all, self._done = self._done, True
        try:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        except ClientGone:
            if not has_all:
                raise

    def cut(self) -> None:
        """End the connection instead of the answer, so that the client sees that it is incomplete."""
        self.must_cut = True
