"""A body that is copied while it goes by, for who must not hold it up."""

import asyncio
from collections.abc import AsyncIterator

from proxy.core.types import Stream


class Copied:
    """A body on its way, with a copy of it where it has at most `most` bytes; `length` is what its head says."""

    def __init__(self, body: Stream, most: int, length: int | None) -> None:
        self._body = body
        self._chunks = aiter(body)
        self._most = most
        self._length = length
        self._copy: list[bytes] = []
        self.bytes = 0
        self.complete = False
        self.known = asyncio.Event()
        """Whether its copy is complete, or there will be none."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            self._end()
            raise
        self.bytes += len(chunk)
        if self.bytes <= self._most:
            self._copy.append(chunk)
        else:
            self._copy.clear()
            self.known.set()
        if self.bytes == self._length:
            self._end()
        return chunk

    def _end(self) -> None:
        self.complete = True
        self.known.set()

    @property
    def copy(self) -> bytes | None:
        """Return the body; None where it is not complete, or has too many bytes."""
        return b"".join(self._copy) if self.complete and self.bytes <= self._most else None

    async def aclose(self) -> None:
        """Let go of the rest."""
        await self._body.aclose()


class Unread:
    """A body that nobody will read."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Do nothing: there is no more."""
