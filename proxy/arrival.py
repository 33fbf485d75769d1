"""A job's answer while it arrives: read to its end, within the room that all jobs of this process share."""

import asyncio
from collections.abc import AsyncIterator

from proxy.core.job import ENDLESS, TOO_LARGE
from proxy.core.storing import content_length
from proxy.core.types import Response
from proxy.errors import Refusal, UpstreamTimeout
from proxy.shelf import Shelf


class Arrival:
    """Reads one answer of at most `most` bytes, of which no two pieces are further apart than `idle_s` seconds."""

    def __init__(self, shelf: Shelf, most: int, idle_s: float | None) -> None:
        self._shelf = shelf
        self._most = most
        self._idle_s = idle_s
        self._size = 0

    async def read(self, head: Response) -> bytes:
        """Return the whole body. Raises Refusal where it is too large or has no end, and what the body raises."""
        body = head.body
        if isinstance(body, bytes):
            await self._take(body)
            return body
        try:
            if (head.header(b"content-type") or b"").lower().startswith(b"text/event-stream"):
                raise Refusal(*ENDLESS)
            if (content_length(head) or 0) > self._most:
                raise Refusal(*TOO_LARGE)
            chunks, arriving = [], aiter(body)
            while chunk := await self._next(arriving):
                await self._take(chunk)
                chunks.append(chunk)
            return b"".join(chunks)
        finally:
            await body.aclose()

    async def _take(self, chunk: bytes) -> None:
        if self._size + len(chunk) > self._most or not await self._shelf.reserve(len(chunk)):
            raise Refusal(*TOO_LARGE)
        self._size += len(chunk)

    async def _next(self, arriving: AsyncIterator[bytes]) -> bytes:
        """Return the next piece, b"" at the end. Raises UpstreamTimeout where it does not come."""
        try:
            async with asyncio.timeout(self._idle_s):
                while not (chunk := await anext(arriving)):
                    pass
                return chunk
        except StopAsyncIteration:
            return b""
        except TimeoutError as error:
            raise UpstreamTimeout(f"nothing more within {self._idle_s} s") from error

    def give_back(self) -> None:
        """Let others have the room; idempotent."""
        self._shelf.give_back(self._size)
        self._size = 0
