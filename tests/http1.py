"""HTTP/1.1 by hand: heads, body framing, one end of a connection. Nothing here repairs, re-orders or validates."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

Fields = tuple[tuple[bytes, bytes], ...]
LIMIT = 2**18
"""Bytes a reader keeps before it stops reading from its socket (asyncio stops at twice this)."""
CHUNKED = -1
UNTIL_CLOSE = -2
PATIENCE = 20.0
"""Seconds after which any single wait is a failed test."""


class CutError(Exception):
    """The other side ended in the middle of a message."""


def split_head(head: bytes) -> tuple[bytes, Fields]:
    """Split a head into its first line and its fields, in order, with duplicates, names as sent."""
    first, *rows = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    pairs = (row.partition(b":") for row in rows)
    return first, tuple((name, value.strip(b" \t")) for name, _, value in pairs)


def values(fields: Fields, name: bytes) -> list[bytes]:
    """Return the values of all fields called `name`, in order."""
    return [value for key, value in fields if key.lower() == name.lower()]


def request_length(fields: Fields) -> int:
    """Tell how a request's body is framed (RFC 9112 §6.3)."""
    if values(fields, b"transfer-encoding"):
        return CHUNKED
    return int((values(fields, b"content-length") or [b"0"])[0])


def response_length(method: bytes, status: int, fields: Fields) -> int:
    """Tell how a response's body is framed (RFC 9112 §6.3)."""
    if method == b"HEAD" or status < 200 or status in {204, 304}:
        return 0
    if values(fields, b"transfer-encoding"):
        return CHUNKED
    return int((values(fields, b"content-length") or [str(UNTIL_CLOSE).encode()])[0])


class Wire:
    """One end of a connection: reads heads and bodies, sends bytes, ends it in every way there is."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.trailers: Fields = ()
        self.ended = False

    async def head(self) -> bytes:
        """Read up to and with the next blank line; b"" if the other side ended before it."""
        try:
            return await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def pieces(self, length: int) -> AsyncIterator[bytes]:
        """Yield a body's content as it arrives; raise CutError if it ends early."""
        if length == CHUNKED:
            while size := int((await self._take(b"\r\n")).partition(b";")[0] or b"x", 16):
                yield (await self._take(size + 2))[:-2]
            rows = b""
            while (row := await self._take(b"\r\n")) != b"\r\n":
                rows += row
            self.trailers = split_head(b"\r\n" + rows)[1] if rows else ()
        while length == UNTIL_CLOSE or length > 0:
            if not (piece := await self._some(2**16 if length < 0 else min(length, 2**16))):
                if length > 0:
                    raise CutError
                return
            length -= len(piece) if length > 0 else 0
            yield piece

    async def _take(self, what: int | bytes) -> bytes:
        try:
            return await (self.reader.readexactly(what) if isinstance(what, int) else self.reader.readuntil(what))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise CutError from error

    async def _some(self, most: int) -> bytes:
        try:
            return await self.reader.read(most)
        except ConnectionError as error:
            raise CutError from error

    async def send(self, data: bytes) -> None:
        """Send exactly these bytes and wait until the socket took them (but for a small buffer)."""
        self.writer.write(data)
        await self.writer.drain()

    def close(self) -> None:
        """End the connection in an orderly way."""
        self.ended = True
        self.writer.close()

    def reset(self) -> None:
        """End the connection with an RST."""
        self.ended = True
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self, within: float = PATIENCE) -> None:
        """Wait until the other side has ended the connection."""
        async with asyncio.timeout(within):
            try:
                while await self.reader.read(2**16):
                    pass
            except ConnectionError:
                pass


def reply(
    status: int = 200,
    body: bytes = b"ok",
    *fields: tuple[bytes, bytes] | bytes,
    length: bool = True,
    chunked: bool = False,
) -> bytes:
    """Build a response; each field is `(name, value)` or `b"Name: value"`."""
    rows = [row if isinstance(row, bytes) else b": ".join(row) for row in fields]
    if chunked:
        rows.append(b"Transfer-Encoding: chunked")
        body = (chunk(body) if body else b"") + chunk(b"")
    elif length:
        rows.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([b"HTTP/1.1 %d Said" % status, *rows, b"", body])


def chunk(data: bytes) -> bytes:
    """Frame one chunk; an empty one ends the body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def asked(method: bytes, target: bytes, *fields: bytes, body: bytes | None = None, host: bytes = b"site.test") -> bytes:
    """Build a request with a Host; a body gets a Content-Length."""
    rows = [b"Host: " + host, *fields] + ([] if body is None else [b"Content-Length: %d" % len(body)])
    return b"\r\n".join([method + b" " + target + b" HTTP/1.1", *rows, b"", body or b""])
