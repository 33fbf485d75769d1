"""A client's body that is part of the key is read whole; one that is too long for that goes on as it was."""

from collections.abc import AsyncIterator
from dataclasses import replace

from proxy.core.types import Request, Stream


class TooLong(Exception):
    """A body is too long to be read whole; `request` has it put together again."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request


async def with_whole_body(request: Request, most: int) -> Request:
    """Read a body of at most `most` bytes that is part of the key. Raises TooLong."""
    if isinstance(request.body, bytes):
        return request
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.body:
        chunks.append(chunk)
        size += len(chunk)
        if size > most:
            raise TooLong(replace(request, body=_Chained(b"".join(chunks), request.body)))
    return replace(request, body=b"".join(chunks))


class _Chained:
    """A body of which the first part was already read."""

    def __init__(self, first: bytes, rest: Stream) -> None:
        self._first = first
        self._rest = rest

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return await anext(aiter(self._rest))

    async def aclose(self) -> None:
        await self._rest.aclose()
