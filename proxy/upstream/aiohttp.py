"""The default engine: aiohttp's connections and parser, our own bytes.

aiohttp's session would re-encode targets and fields, keep cookies, follow redirects and retry; so this drives its
connector (pool, TLS, DNS) and its response parser directly and writes each request head itself. That is private ground
of one minor release: pyproject pins it and the engine contract suite holds us to it.
"""

import asyncio
import re
import select
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawResponseMessage
from aiohttp.http_writer import StreamWriter
from aiohttp.streams import StreamReader
from yarl import URL

from proxy.core.types import SAFE_METHODS, Headers, Request, Response, Stream
from proxy.errors import UpstreamCut, UpstreamInvalid, UpstreamRefused, UpstreamReset, UpstreamTimeout
from proxy.upstream.address import Address

_IDLE_SAFE_S = 15.0
_FRESH_S = 0.0
_IDLE_UNSAFE_S = 1.0
"""An unsafe request cannot be sent again when it meets a connection that the upstream is just closing: only a new or
just used one will do. Servers close idle connections after two seconds (gunicorn) or more."""

_READ_BYTES = 2**16
_MOST_HEAD_BYTES = 2**17
_MOST_FIELDS = 1000
_FORBIDDEN = re.compile(rb"[\r\n\0]")
_EMPTY_LINE = re.compile(rb"^\r*\n", re.MULTILINE)


class Aiohttp:
    """Sends requests over kept-alive connections; no limit on their number (limits are decided before)."""

    def __init__(self, address: Address, connect_timeout: float, timer: Callable[[], float]) -> None:
        self._address = address
        self._timer = timer
        self._timeout = aiohttp.ClientTimeout(sock_connect=connect_timeout, connect=None)
        self._connectors: dict[float, aiohttp.BaseConnector] = {}
        self._template: ClientRequest | None = None

    def _connector(self, idle: float) -> aiohttp.BaseConnector:
        """Return the pool whose connections wait at most `idle` seconds for another request."""
        if idle not in self._connectors:
            options: dict[str, Any] = {"force_close": True} if idle == _FRESH_S else {"keepalive_timeout": idle}
            connector = self._connectors[idle] = (
                aiohttp.UnixConnector(self._address.unix, limit=0, **options)
                if self._address.unix
                else aiohttp.TCPConnector(limit=0, **options)
            )
            loop = asyncio.get_running_loop()
            connector._factory = cast("partial[ResponseHandler]", partial(_Link, loop))  # noqa: SLF001  no public way
        return self._connectors[idle]

    def _destination(self) -> ClientRequest:
        if self._template is None:
            url = URL.build(scheme=self._address.scheme, host=self._address.host, port=self._address.port)
            self._template = ClientRequest("GET", url, loop=asyncio.get_running_loop())
        return self._template

    async def _connect(self, idle: float) -> Connection:
        connector = self._connector(idle)
        while True:
            try:
                connection = await connector.connect(self._destination(), [], self._timeout)
            except TimeoutError as error:
                raise UpstreamTimeout(f"no connection within {self._timeout.sock_connect} s") from error
            except (aiohttp.ClientError, OSError) as error:
                raise UpstreamRefused(str(error)) from error
            protocol = connection.protocol
            if protocol is not None and not protocol.should_close and not _has_news(protocol):
                return connection
            connection.close()  # bytes came in while it was idle: they are no answer of ours

    async def send(self, request: Request, *, fresh: bool = False) -> Response:
        """Send a request and return its response head with the body still arriving."""
        head, chunked = _head(request, self._address)
        began = self._timer()
        idle = _IDLE_SAFE_S if request.method in SAFE_METHODS else _IDLE_UNSAFE_S
        connection = await self._connect(_FRESH_S if fresh else idle)
        connect_s = self._timer() - began
        upload = _Upload(connection, request.body, chunked=chunked)
        try:
            message, reader = await _exchange(connection, request, head, upload)
        except BaseException:
            upload.stop()
            connection.close()
            raise
        headers = tuple([(name.lower(), value) for name, value in message.raw_headers])
        framed = message.chunked or any(name == b"content-length" for name, _ in headers)
        bodiless = request.method == "HEAD" or message.code in {204, 304}
        body = _Download(connection, reader, upload)
        return Response(message.code, headers, body, connect_s=connect_s, framed=framed or bodiless)

    async def close(self) -> None:
        """Close all connections."""
        for connector in self._connectors.values():
            await connector.close()
        self._connectors.clear()


class _Link(ResponseHandler):
    """A connection whose answer ends where its framing says: surplus bytes end the connection, not the answer.

    aiohttp's parsers take them for the beginning of another answer: they fail, and a good one that came in the same
    packet is lost with them; or they keep what may still become one, and nobody is told.
    """

    _answer: tuple[RawResponseMessage, StreamReader] | None = None
    _held = b""

    def set_response_params(self, **options: Any) -> None:
        """Expect the next answer."""
        self._answer, self._held = None, b""
        super().set_response_params(**options)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, but nothing as another answer."""
        at = 0
        while self._answer is None and at < len(data) and not self._exception and not self._upgraded:
            # A head ends with an empty line: cut there, it is out of the parser before that sees what follows.
            end = _EMPTY_LINE.search(data, at)
            piece = data[at : end.end()] if end else data[at:]
            super().data_received(piece)
            at += len(piece)
            if self._buffer and self._buffer[-1][0][0].code >= 200:
                self._answer = self._buffer[-1][0]
        if self._answer:
            self._body_received(data[at:], *self._answer)

    def _body_received(self, rest: bytes, message: RawResponseMessage, reader: StreamReader) -> None:
        length = message.headers.get("content-length")
        left = len(rest)
        if reader.is_eof():
            left = 0
        elif message.chunked:
            self._chunks_received(self._held + rest, reader)
            return
        elif length is not None:
            left = int(length) - reader.total_bytes
        if len(rest) > left:
            self.force_close()
        super().data_received(rest[:left])  # also if this is nothing: so a parser that paused goes on

    def _chunks_received(self, rest: bytes, reader: StreamReader) -> None:
        """Parse the last byte apart: a body that has ended without it has something behind its end."""
        last, self._held = rest[-1:], b""
        super().data_received(rest[:-1])
        if not self._reading_paused and not self._exception:
            super().data_received(b"")  # many small chunks may leave a parser paused though its stream no longer is
        if reader.is_eof():
            if last:
                self.force_close()
        elif self._reading_paused:
            self._held = last  # the parser itself still holds some of what comes before
        elif last and not self._exception:
            super().data_received(last)


def _has_news(protocol: ResponseHandler) -> bool:
    """Tell whether anything waits in the socket: before a request was sent it is no answer to it."""
    link = None if protocol.transport is None else protocol.transport.get_extra_info("socket")
    if link is None or link.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(link.fileno(), select.POLLIN)
    return bool(poll.poll(0))


async def _exchange(
    connection: Connection, request: Request, head: bytes, upload: "_Upload"
) -> tuple[RawResponseMessage, StreamReader]:
    """Write a request and read the head of its final response (1xx answers are the connection's own affair)."""
    protocol = connection.protocol
    if protocol is None or protocol.transport is None:
        raise UpstreamReset("the connection closed before the request was sent")
    protocol.set_response_params(
        skip_payload=request.method == "HEAD", read_until_eof=True, auto_decompress=False, read_bufsize=_READ_BYTES,
        max_line_size=_MOST_HEAD_BYTES, max_field_size=_MOST_HEAD_BYTES, max_headers=_MOST_FIELDS,
    )  # fmt: skip
    upload.start(head)
    while True:
        try:
            message, reader = await protocol.read()
        except HttpProcessingError as error:
            raise UpstreamInvalid(error.message) from error
        except (aiohttp.ClientError, OSError) as error:
            if upload.failure is not None:
                raise upload.failure from error
            raise UpstreamReset(str(error) or "the connection closed without an answer") from error
        if message.code == 101:
            raise UpstreamInvalid("101 Switching Protocols to a request that asked for no upgrade")
        if message.code >= 200:
            broken = isinstance(protocol.exception(), HttpProcessingError) and not reader.is_eof()
            if broken or len(message.headers.getall("content-length", ())) > 1:  # aiohttp's Python parser takes any
                raise UpstreamInvalid("its framing is broken")
            return message, reader


def _head(request: Request, address: Address) -> tuple[bytes, bool]:
    """Write the request line and fields; tell whether the body goes chunked."""
    fields: Headers = request.headers
    names = {name for name, _ in fields}
    chunked = False
    if b"host" not in names:
        fields = ((b"host", address.authority), *fields)
    if isinstance(request.body, bytes):
        if request.body and b"content-length" not in names:
            fields = (*fields, (b"content-length", b"%d" % len(request.body)))
    elif b"content-length" not in names:
        chunked = True
        fields = (*fields, (b"transfer-encoding", b"chunked"))
    line = b"%b %b HTTP/1.1" % (request.method.encode("ascii"), address.target(request.target))
    pieces = [line, *[name + b": " + value for name, value in fields]]
    if any(_FORBIDDEN.search(piece) for piece in pieces):
        raise ValueError("a line break or NUL inside a request line or field")
    return b"\r\n".join(pieces) + b"\r\n\r\n", chunked


class _Upload:
    """Writes a request while its answer may already be arriving."""

    def __init__(self, connection: Connection, body: bytes | Stream, *, chunked: bool) -> None:
        self._connection = connection
        self._body = body
        self._chunked = chunked
        self._task: asyncio.Task[None] | None = None
        self.failure: Exception | None = None

    def start(self, head: bytes) -> None:
        protocol = self._connection.protocol
        if protocol is None or protocol.transport is None or protocol.transport.is_closing():
            raise UpstreamReset("the connection closed before the request was sent")
        if isinstance(self._body, bytes):
            protocol.transport.write(head + self._body)
            return
        protocol.transport.write(head)
        self._task = asyncio.get_running_loop().create_task(self._stream(self._body))

    async def _stream(self, body: Stream) -> None:
        protocol = self._connection.protocol
        if protocol is None:
            return
        writer = StreamWriter(protocol, asyncio.get_running_loop())
        writer.chunked = self._chunked
        writer._headers_written = True  # noqa: SLF001  the head is out: write_eof must only end the body
        try:
            async for chunk in body:
                await writer.write(chunk)
            await writer.write_eof()
        except (aiohttp.ClientError, OSError):
            pass  # the upstream reads no further: its answer, if it sent one, is what counts
        except Exception as failure:  # noqa: BLE001  the request's own body broke off, whatever the cause
            self.failure = failure
            self._connection.close()

    @property
    def unfinished(self) -> bool:
        return self._task is not None and not self._task.done()

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()


class _Download:
    """A response body that gives its connection back once it is complete."""

    def __init__(self, connection: Connection, reader: StreamReader, upload: _Upload) -> None:
        self._connection = connection
        self._reader = reader
        self._upload = upload
        protocol = connection.protocol
        self._closed = None if protocol is None or reader.is_eof() else protocol.closed
        if self._closed is not None:
            self._closed.add_done_callback(self._lost)

    def _lost(self, _: object) -> None:
        """Wake the reader where aiohttp does not: a broken chunk, or a connection that we closed."""
        if not self._reader.is_eof() and self._reader.exception() is None:
            self._reader.set_exception(aiohttp.ClientPayloadError("the connection ended inside the body"))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._reader.readany()
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            await self.aclose()
            raise self._upload.failure or UpstreamCut(str(error)) from error
        if chunk:
            return chunk
        if not self._upload.unfinished:
            self._connection.release()
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        if self._closed is not None:
            self._closed.remove_done_callback(self._lost)
        self._upload.stop()
        self._connection.close()
