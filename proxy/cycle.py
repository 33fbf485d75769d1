"""How our server writes: one request and its response on a connection, over uvicorn's cycle.

What uvicorn does not do: send any status, and a 304 with its Content-Length; speak to HTTP/1.0 clients without chunks;
write a whole answer at once; end the connection where an answer had to stay incomplete.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from proxy.asgi import EXTENSION, WHOLE, AnswerCut
from proxy.errors import Refusal

_NO_BODY = frozenset({204, 304})
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_STATUS_LINES = {status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode() for status in range(200, 1000)}


class Cycle(RequestResponseCycle):
    """One request and its response on a connection."""

    linger: Callable[[], None] | None = None
    _broken: Refusal | None = None
    _until_close = False
    _gone: asyncio.Event | None = None
    _waiting_head = b""

    def break_off(self, refusal: Refusal, linger: Callable[[], None]) -> None:
        """Tell the app that the rest of the request's body makes no sense."""
        self._broken = refusal
        self.linger = linger
        self.keep_alive = False
        self.message_event.set()

    def leave(self) -> None:
        """Tell the app, however it waits, that its client has left."""
        self.disconnected = True
        self.message_event.set()
        if self._gone is not None:
            self._gone.set()

    async def gone(self) -> None:
        """Return when the client has left, also while nobody reads the request's body."""
        self._gone = asyncio.Event()
        if not self.disconnected:
            await self._gone.wait()

    async def receive(self) -> Any:
        """Return the next event; a broken body ends like a client that left, with the reason for our own edge."""
        event: Any = {} if self._broken is not None else await super().receive()
        return event if self._broken is None else {"type": "http.disconnect", EXTENSION: self._broken}

    async def run_asgi(self, app: Any) -> None:
        """Run the app; an answer that it had to leave incomplete ends the connection."""
        try:
            await app(self.scope, self.receive, self.send)
        except AnswerCut:
            self._cut()
        except Exception:
            self.logger.exception("the app raised")
            self._cut()
        else:
            if not self.response_complete and not self.disconnected:
                self._cut()
        finally:
            self.on_response = lambda: None

    def _cut(self) -> None:
        if self.disconnected or self.transport.is_closing():
            return
        if self._until_close:  # only a reset tells this client that the end is not the end
            link = self.transport.get_extra_info("socket")
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()

    async def send(self, message: Any) -> None:
        """Write a response message; waits while the client reads too slowly."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            head = self._head(message["status"], message["headers"])
            if message.get(WHOLE):
                self._waiting_head = head
            else:
                self.transport.write(head)
        else:
            self._send_body(message.get("body", b""), more=message.get("more_body", False))

    def _head(self, status: int, headers: Any) -> bytes:
        self.response_started = True
        self.waiting_for_100_continue = False
        pieces = [_STATUS_LINES[status]]
        length = None
        for name, value in headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" and b"close" in value.lower():
                self.keep_alive = False
            pieces.append(b"%b: %b\r\n" % (name, value))
        bodiless = self.scope["method"] == "HEAD" or status in _NO_BODY
        self.expected_content_length = 0 if bodiless else length or 0
        self.chunked_encoding = False
        if length is None and not bodiless:
            self._without_length(pieces)
        if not self.keep_alive:
            pieces.append(b"connection: close\r\n")
        head = b"".join(pieces)
        if head.count(b"\n") != len(pieces) or head.count(b"\r") != len(pieces) or b"\0" in head:
            raise ValueError("a line break or NUL inside a response field")
        return head + b"\r\n"

    def _without_length(self, pieces: list[bytes]) -> None:
        if self.scope["http_version"] == "1.0":
            self._until_close = True
            self.keep_alive = False
        else:
            self.chunked_encoding = True
            pieces.append(b"transfer-encoding: chunked\r\n")

    def _send_body(self, body: bytes, *, more: bool) -> None:
        head, self._waiting_head = self._waiting_head, b""
        if self.chunked_encoding:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body += b"" if more else b"0\r\n\r\n"
        elif self.scope["method"] == "HEAD":
            body = b""
        elif not self._until_close:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise ValueError("a response body longer than its Content-Length")
        if head or body:
            self.transport.write(head + body if head else body)
        if not more:
            self._complete()

    def _complete(self) -> None:
        if self.expected_content_length:
            raise ValueError("a response body shorter than its Content-Length")
        self.response_complete = True
        self.message_event.set()
        if self.linger is not None:
            self.linger()
        elif not self.keep_alive:
            self.transport.close()
        self.on_response()
