"""Our HTTP/1.1 server: uvicorn's protocol, held to what a proxy needs.

What uvicorn does not do: bound a request head in bytes, fields and time; keep the target as it came; keep trailers out
of the fields; send any status, and a 304 with its Content-Length; answer a malformed request like any other, with a log
line. It overrides private methods of one minor release: pyproject pins it and tests/test_server.py holds us to it.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from proxy.asgi import EXTENSION, WHOLE, AnswerCut
from proxy.core.reasons import Reason
from proxy.errors import Refusal, StartError

MOST_TARGET_BYTES = 2**16
MOST_HEAD_BYTES = 2**16
"""Of the fields together; nginx allows 32 KiB, Node 16 KiB. Long lists of ids travel in targets, not in fields."""
MOST_FIELDS = 500
HEAD_TIMEOUT_S = 60.0
KEEP_ALIVE_S = 75
_LINGER_S = 1.0

_MASK = bytes(range(128)) + b"x" * 128
_NO_BODY = frozenset({204, 304})
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_STATUS_LINES = {status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode() for status in range(200, 1000)}


class Protocol(HttpToolsProtocol):
    """One client connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = False
        self._at_line = True
        self._line = b""
        self._deaf = False
        self._head_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Parse what came; a connection that was refused hears nothing more."""
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        if self._at_line and not data.isascii():
            data = self._masked(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # we upgrade nothing: the request is served as if it had not asked (RFC 9110 §7.8)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, Refusal) else _malformed(error))
        except httptools.HttpParserError as error:
            self._refuse(_malformed(error))
        else:
            if self._in_head:
                self._bound_head(len(data))

    def _masked(self, data: bytes) -> bytes:
        """Hide bytes beyond ASCII in a request line from the parser, which refuses them; on_url puts them back."""
        line, end, rest = data.partition(b"\n")
        self._line = line
        return line.translate(_MASK) + end + rest

    def _bound_head(self, more: int) -> None:
        """Bound a head that comes in several pieces, also inside one endless field."""
        self._head_bytes += more
        if self._head_bytes > MOST_TARGET_BYTES + MOST_HEAD_BYTES:
            self._refuse(Refusal(431, Reason.HEAD_SIZE, f"more than {MOST_HEAD_BYTES} bytes of fields"))
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

    def _head_is_late(self) -> None:
        if self._in_head and not self.transport.is_closing():
            self._refuse(Refusal(408, Reason.HEAD_TIMEOUT, f"no complete head within {HEAD_TIMEOUT_S:.0f} s"))

    def _head_is_over(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the request in progress know that its client has left."""
        self._head_is_over()
        super().connection_lost(exc)

    # Parser callbacks. A Refusal raised here comes back as the context of HttpParserCallbackError.

    def on_message_begin(self) -> None:
        """Begin a head."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_head = True
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take (a piece of) the target as it came."""
        if self._line:
            start = 0 if self.url else self._line.index(b" ") + 1
            url = self._line[start : start + len(url)]
            self._line = b""
        self.url += url
        if len(self.url) > MOST_TARGET_BYTES:
            raise Refusal(414, Reason.TARGET_SIZE, f"a target of more than {MOST_TARGET_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field; what comes after the head is a trailer, and no part of the request's fields."""
        if not self._in_head:
            return
        name = name.lower()
        self.headers.append((name, value))
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MOST_HEAD_BYTES or len(self.headers) > MOST_FIELDS:
            raise Refusal(431, Reason.HEAD_SIZE, f"more than {MOST_HEAD_BYTES} bytes or {MOST_FIELDS} fields")
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            # the parser would let it pass, and find out in the body only (RFC 9112 §6.1)
            raise Refusal(400, Reason.BAD_REQUEST, "a transfer coding other than chunked")

    def on_message_complete(self) -> None:
        """End a request's body; what follows is another request line."""
        self._at_line = True
        if not self.parser.should_keep_alive():
            self.cycle.keep_alive = False  # a trailer may say so as late as here
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        """Start the request."""
        self._head_is_over()
        self._at_line = False
        method = self.parser.get_method().decode("ascii")
        version = self.parser.get_http_version()
        keep_alive = version != "1.0" and self.parser.should_keep_alive() and not self.parser.should_upgrade()
        refused = None
        if method == "CONNECT":
            refused = Refusal(501, Reason.UNKNOWN_METHOD, "CONNECT: this proxy opens no tunnels")
        self._begin(method, version, refused, keep_alive=keep_alive and refused is None)

    def _begin(self, method: str, version: str, refused: Refusal | None, *, keep_alive: bool) -> None:
        path, _, query = self.url.partition(b"?")
        text = path.decode("latin-1")
        self.scope = cast(
            "Any",
            {
                "type": "http", "asgi": {"version": self.asgi_version, "spec_version": "2.4"}, "http_version": version,
                "server": self.server, "client": self.client, "scheme": self.scheme, "root_path": self.root_path,
                "method": method, "path": unquote(text) if "%" in text else text, "raw_path": path,
                "query_string": query, "headers": self.headers, "state": self.app_state.copy(),
                "extensions": {EXTENSION: {"target": self.url, "refused": refused}},
            },
        )  # fmt: skip
        cycle = Cycle(
            scope=self.scope, transport=self.transport, flow=self.flow, logger=self.logger,
            access_logger=self.access_logger, access_log=False, default_headers=[], message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue and refused is None, keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )  # fmt: skip
        before, self.cycle = self.cycle, cycle
        if refused is not None:
            cycle.linger, cycle.more_body = self._linger, False
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _refuse(self, refusal: Refusal) -> None:
        """Answer what cannot be read like any request, then close; what is under way before it is finished first."""
        self._deaf = True
        running = self.cycle
        if running is not None and not running.response_complete and running.more_body:
            cast("Cycle", running).break_off(refusal, self._linger)  # the malformed part is its own body
            return
        try:
            method = self.parser.get_method().decode("ascii") if refusal.status != 501 else ""
        except (AttributeError, ValueError):
            method = ""
        self.headers = self.headers or []
        self.url = (getattr(self, "url", b"") or b"")[:1024]
        self._head_is_over()
        self._begin(method, "1.1", refusal, keep_alive=False)

    def _linger(self) -> None:
        """Close so that the answer arrives: with unread bytes in the socket a plain close would reset it."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.close)


def _malformed(error: httptools.HttpParserError) -> Refusal:
    # the parser knows some methods for other protocols only, and says so in words alone
    if isinstance(error, httptools.HttpParserInvalidMethodError) or "Invalid method" in str(error):
        return Refusal(501, Reason.UNKNOWN_METHOD, "a method that this proxy does not know")
    return Refusal(400, Reason.BAD_REQUEST, f"not a valid HTTP request: {error}")


class Cycle(RequestResponseCycle):
    """One request and its response on a connection."""

    linger: Callable[[], None] | None = None
    _broken: Refusal | None = None
    _until_close = False
    _waiting_head = b""

    def break_off(self, refusal: Refusal, linger: Callable[[], None]) -> None:
        """Tell the app that the rest of the request's body makes no sense."""
        self._broken = refusal
        self.linger = linger
        self.keep_alive = False
        self.message_event.set()

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


class Server(uvicorn.Server):
    """uvicorn's server: tells when it is ready, and what ended it."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self.interrupted = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        await super().startup(sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to stop; a second Ctrl-C does not wait."""
        self.interrupted = self.interrupted or sig == 2
        super().handle_exit(sig, frame)
        self._captured_signals.clear()  # we exit with a code of our own, not by the signal


def listen(host: str, port: int, unix: str | None) -> tuple[socket.socket, str]:
    """Bind where clients connect; return the socket and its URL. Raises StartError where that is not possible."""
    try:
        if unix:
            if Path(unix).is_socket():  # left behind by a process that was killed
                Path(unix).unlink()
            bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            bound.bind(unix)
            return bound, f"unix:{unix}"
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        where = unix or f"{host}:{port}"
        raise StartError(f"cannot listen on {where}: {error.strerror or error}") from error
    shown = f"[{host}]" if ":" in host else host
    return bound, f"http://{shown}:{bound.getsockname()[1]}"


def run(app: Any, bound: socket.socket, ready: Callable[[], None], *, finish_within_s: float) -> int:
    """Serve until a signal ends it, then finish what is under way; return the exit code."""
    config = uvicorn.Config(
        app, http=Protocol, loop="uvloop", ws="none", lifespan="on", log_config=None, access_log=False,
        proxy_headers=False, server_header=False, date_header=False, timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(finish_within_s),
    )  # fmt: skip
    server = Server(config, ready)
    try:
        server.run(sockets=[bound])
    except SystemExit as error:
        return 3 if error.code else 0
    return 130 if server.interrupted else 0
