"""How our server reads: one client connection, over uvicorn's protocol.

What uvicorn does not do: bound a request head in bytes, fields and time; keep the target as it came; keep trailers out
of the fields; read a body whose head offers to upgrade; answer a malformed request like any other, with a log line. It
overrides private methods of one minor release: pyproject pins it and tests/test_protocol.py holds us to it.
"""

import asyncio
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from proxy.asgi import EXTENSION
from proxy.core.reasons import Reason
from proxy.cycle import Cycle
from proxy.errors import Refusal

MOST_TARGET_BYTES = 2**16
MOST_HEAD_BYTES = 2**16
"""Of the fields together; nginx allows 32 KiB, Node 16 KiB. Long lists of ids travel in targets, not in fields."""
MOST_FIELDS = 500
HEAD_TIMEOUT_S = 60.0
LAST_HEAD_WITHIN_S = 1.0
"""Of a connection that had sent no whole request when the server was told to stop."""
_LINGER_S = 1.0

_MASK = bytes(range(128)) + b"x" * 128
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class Protocol(HttpToolsProtocol):
    """One client connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = self._field_bytes = 0
        self._in_head = False
        self._at_line = True
        self._line = b""
        self._deaf = False
        self._ends = False
        self._running: RequestResponseCycle | None = None
        self._body_parser: httptools.HttpRequestParser | None = None
        self._has_upgrade_body = False
        self._head_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Parse what came; a connection that was refused hears nothing more."""
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        in_body = self.cycle is not None and self.cycle.more_body
        if self._at_line:
            data = self._masked(data)
        try:
            (self._body_parser or self.parser).feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if self._has_upgrade_body:
                self._read_on(data[offer.args[0] :])
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, Refusal) else _malformed(error))
        except httptools.HttpParserError as error:
            self._refuse(_malformed(error))
        else:
            if self._in_head:
                self._bound_head(0 if in_body else len(data))

    def _masked(self, data: bytes) -> bytes:
        """Hide bytes beyond ASCII in a request line from the parser, which refuses them; on_url puts them back."""
        if not self._line:
            if data.isascii() and b"\n" in data:  # nearly always: a whole line that hides nothing
                self._at_line = False
                return data
            data = data.lstrip(b"\r\n")
        line, end, rest = data.partition(b"\n")
        self._line += line
        self._at_line = not end
        return data if line.isascii() else line.translate(_MASK) + end + rest

    def _read_on(self, rest: bytes) -> None:
        """Read a body whose head offered to upgrade: we upgrade nothing (RFC 9110 §7.8), the parser would."""
        framing = b"".join([b"%b: %b\r\n" % field for field in self.headers if field[0] in _FRAMING])
        self._body_parser = httptools.HttpRequestParser(_BodyOf(self))
        self.data_received(b"POST / HTTP/1.1\r\n" + framing + b"\r\n" + rest)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _bound_head(self, more: int) -> None:
        """Bound a head that comes in several pieces, also inside one endless field."""
        self._head_bytes += more
        if self._head_bytes > MOST_TARGET_BYTES + MOST_HEAD_BYTES:
            self._refuse(Refusal(431, Reason.HEAD_SIZE, f"more than {MOST_HEAD_BYTES} bytes of fields"))
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_is_late)

    def connection_made(self, transport: Any) -> None:
        """Begin a connection; one that never says anything is closed like one that says nothing more."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def shutdown(self) -> None:
        """End when nothing is under way; a request that may be on its way already is waited for, and is the last."""
        if self.cycle is None or (self._in_head and self.cycle.response_complete):
            self._ends = True
            self.loop.call_later(LAST_HEAD_WITHIN_S, self._end_unless_asked)
        else:
            super().shutdown()

    def _end_unless_asked(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

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
        if self._running is not None and not self._running.response_complete:
            cast("Cycle", self._running).leave()  # uvicorn tells the newest of pipelined requests only
        super().connection_lost(exc)

    # Parser callbacks. A Refusal raised here comes back as the context of HttpParserCallbackError.

    def on_message_begin(self) -> None:
        """Begin a head."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_head = True
        self._head_bytes = self._field_bytes = 0
        self._at_line = self._at_line and bool(self._line)  # a pipelined one began in the middle of a packet

    def on_url(self, url: bytes) -> None:
        """Take (a piece of) the target as it came."""
        if self._line:
            start = self._line.index(b" ") + 1 + len(self.url)
            url = self._line[start : start + len(url)]
        self.url += url
        if len(self.url) > MOST_TARGET_BYTES:
            raise Refusal(414, Reason.TARGET_SIZE, f"a target of more than {MOST_TARGET_BYTES} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field; what comes after the head is a trailer, and no part of the request's fields."""
        if not self._in_head:
            return
        name = name.lower()
        self.headers.append((name, value))
        self._field_bytes += len(name) + len(value) + 4
        if self._field_bytes > MOST_HEAD_BYTES or len(self.headers) > MOST_FIELDS:
            raise Refusal(431, Reason.HEAD_SIZE, f"more than {MOST_HEAD_BYTES} bytes or {MOST_FIELDS} fields")
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            # the parser would let it pass, and find out in the body only (RFC 9112 §6.1)
            raise Refusal(400, Reason.BAD_REQUEST, "a transfer coding other than chunked")

    def on_message_complete(self) -> None:
        """End a request's body; what follows is another request line."""
        if self._body_parser is None and self._has_upgrade_body:
            return  # the parser stopped at the offer to upgrade: the body is still to come
        self._at_line, self._line = True, b""
        if not self.parser.should_keep_alive():
            self.cycle.keep_alive = False  # a trailer may say so as late as here
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        """Start the request."""
        self._head_is_over()
        self._at_line = False
        method = self.parser.get_method().decode("ascii")
        version = self.parser.get_http_version()
        keep_alive = (
            not self._ends and version != "1.0" and self.parser.should_keep_alive() and not self.parser.should_upgrade()
        )
        refused = None
        if method == "CONNECT":
            refused = Refusal(501, Reason.UNKNOWN_METHOD, "CONNECT: this proxy opens no tunnels")
        self._has_upgrade_body = self.parser.should_upgrade() and any(name in _FRAMING for name, _ in self.headers)
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
        cast("Any", self.scope)["extensions"][EXTENSION]["gone"] = cycle.gone
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
        if running is not None and running.more_body:  # its answer is out already, and was the only one
            self._linger()
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


class _BodyOf:
    """Hands on what a second parser finds in a body."""

    def __init__(self, protocol: Protocol) -> None:
        self.on_body = protocol.on_body
        self.on_message_complete = protocol.on_message_complete
