"""One fetch per key: a Flight belongs to the app, and all who ask for its key read from it as bytes arrive.

A flight that will be stored keeps every chunk until it ends. One that will not (its answer is nobody else's, or too
large) takes no more followers, lets go of what all its readers have read, and waits for the quickest of them, at most
WINDOW_BYTES ahead. No client can hold up another: one that falls further behind than `most_behind` is cut off.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Protocol

from proxy.core.fair_queue import Priority
from proxy.core.log_line import Call
from proxy.core.reasons import Reason
from proxy.core.types import Entry, Query, Request, Response
from proxy.errors import Fallback, UpstreamCut, UpstreamError

WINDOW_BYTES = 2**18


class Right(Protocol):
    """The right to fetch for all processes; `is_lost` once another may have it."""

    is_lost: bool

    def release(self) -> None:
        """Let the others go on by themselves."""
        ...

    async def end(self) -> None:
        """Give it back."""
        ...


class Flight:
    """A fetch under way: its head once it is there, its chunks so far, those who read it.

    `kept` tells that the fetch goes on when all clients have left; `refused` is why its answer is not stored;
    `shared` tells that it is for others too, but for what is `withheld` from them; `guessed`: not for who sends a
    Cookie. `confirmed` is the stored entry where the upstream only said that it is still good, `told` the same with all
    that it said to the leader; `completed`: it only gave what was missing of a stored part;
    `elsewhere` is what another process fetched, `turn` the right to fetch for all of them; `patience_s` is how long it
    waits for that, None for one that fetches by itself. `unwatched`: no client waits for it; `priority` is
    whose turn upstream it is. `key` is that of its request, `home` where the answers to it stand, whatever variant it
    fetches, `bare` the key without what tells clients apart; `rule` and `groups` are what it can be purged by. `most_behind` is how many bytes a reader may be
    behind another.
    """

    def __init__(self, request: Request, *, kept: bool, most_behind: int = 2**25) -> None:
        self.request = request
        self._most_behind = most_behind
        self._bytes = 0
        self.kept = kept
        self.call = Call()
        self.refused: Reason | None = None
        self.confirmed: Entry | None = None
        self.told: Entry | None = None
        self.completed = False
        self.elsewhere: Entry | None = None
        self.turn: Right | None = None
        self.patience_s: float | None = None
        self.shared = True
        self.guessed = False
        self.withheld: frozenset[bytes] = frozenset()
        self.unwatched = False
        self.priority = Priority.CLIENT
        self.key = self.home = self.bare = self.place = b""
        self.query: Query | None = None
        self.rule = ""
        self.groups: tuple[bytes, ...] = ()
        self.disowned = False
        self._head: Response | None = None
        self._chunks: list[bytes] = []
        self._dropped = 0
        self._ended = False
        self._error: UpstreamError | Exception | None = None
        self._readers: set[Reader] = set()
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def hurry(self, client: str) -> None:
        """Go upstream as early as for any client: one waits for it now."""
        self.priority = Priority.CLIENT
        if self.call.waiting is not None:
            self.call.waiting.hurry(client)

    def lead(self, turn: Right) -> None:
        """Fetch for all processes, as long as the answer is for all."""
        self.turn = turn
        self._release_what_is_not_for_all()

    def open(self, head: Response, refused: Reason | None, *, shared: bool = True) -> None:
        """Let all see the response head; `refused` is why it is not stored.

        What is not stored, or not `shared` (it may not be used again without asking), is for the one who asked only.
        """
        self._head = replace(head, body=b"")
        self.refused = refused or (Reason.OVERTAKEN if self.disowned else None)
        self.kept = self.refused is None
        self.shared = shared and self.kept
        self._release_what_is_not_for_all()
        self._tell()
        self._leave_if_unwanted()

    def add(self, chunk: bytes) -> None:
        """Let all read one more chunk."""
        self._chunks.append(chunk)
        self._bytes += len(chunk)
        self._tell()

    def spill(self, reason: Reason) -> None:
        """Keep nothing any more: the answer turned out to be too large to store."""
        self.refused = reason
        self.kept = False
        self._release_what_is_not_for_all()
        self._leave_if_unwanted()

    def disown(self) -> None:
        """Keep nothing and take nobody: what is under way was overtaken by an unsafe request."""
        self.disowned = True
        self.kept = self.shared = False
        self._release_what_is_not_for_all()
        self._leave_if_unwanted()

    def end(self) -> None:
        """Let all know that the answer is complete."""
        self._ended = True
        self._tell()

    def fail(self, error: Exception) -> None:
        """Let all know that there will be no (more of the) answer."""
        self._error = error
        self._ended = True
        self._tell()

    async def room(self) -> None:
        """Wait until the quickest reader of a flight that keeps nothing has come near."""
        while not self.kept and self._bytes - self._most_taken() > WINDOW_BYTES:
            self._taken.clear()
            await self._taken.wait()
        if not self.kept:
            self._cut_off()
            self._let_go()

    @property
    def body(self) -> bytes:
        """Return all chunks of a kept flight as one."""
        return b"".join(self._chunks)

    def _release_what_is_not_for_all(self) -> None:
        """Let the other processes fetch by themselves: they would wait for nothing."""
        if self.turn is not None and not (self.kept and self.shared):
            self.turn.release()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _most_taken(self) -> int:
        return max([reader.taken for reader in self._readers], default=self._bytes)

    def _cut_off(self) -> None:
        too_far = self._most_taken() - self._most_behind
        for reader in [one for one in self._readers if one.taken < too_far]:
            reader.cut_off = True
            self._readers.discard(reader)
            self._tell()

    def _let_go(self) -> None:
        read_by_all = min([reader.place for reader in self._readers], default=self._dropped + len(self._chunks))
        del self._chunks[: read_by_all - self._dropped]
        self._dropped = read_by_all

    def begin(self, task: asyncio.Task[None]) -> None:
        """Remember the task that fetches."""
        self._task = task

    def reader(self, *, lead: bool) -> "Reader":
        """Return a new reader, from the first byte."""
        reader = Reader(self, lead=lead)
        self._readers.add(reader)
        return reader

    @property
    def followers(self) -> int:
        """Return how many read this flight."""
        return len(self._readers)

    @property
    def ended(self) -> bool:
        """Tell whether all was said."""
        return self._ended

    @property
    def takes_followers(self) -> bool:
        """Tell whether somebody else may still join."""
        return self.kept and self.shared and self._error is None

    async def _head_for(self, reader: "Reader") -> Response:
        while self._head is None and self._error is None:
            await self._changed.wait()
        if self._head is None:
            raise self._error or RuntimeError("a flight ended without a head")
        if reader.lead:
            return self._head
        if not self.shared:
            raise Fallback(self.refused or Reason.NO_TTL)
        kept = tuple([field for field in self._head.headers if field[0] not in self.withheld])
        return replace(self._head, headers=kept)

    async def _chunk_for(self, reader: "Reader") -> bytes | None:
        while reader.cut_off or reader.place - self._dropped >= len(self._chunks):
            if reader.cut_off:
                raise UpstreamCut("too far behind the others who read this answer")
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            await self._changed.wait()
        chunk = self._chunks[reader.place - self._dropped]
        reader.place += 1
        reader.taken += len(chunk)
        self._taken.set()
        return chunk

    def _left(self, reader: "Reader") -> None:
        self._readers.discard(reader)
        if not self._readers and not self.unwatched and self.call.waiting is not None:
            self.priority = Priority.REFRESH  # nothing was paid for yet, and nobody waits for it
            self.call.waiting.step_back()
        self._taken.set()
        self._leave_if_unwanted()

    def _leave_if_unwanted(self) -> None:
        if not self.kept and not self._readers and not self._ended and self._task is not None:
            self._task.cancel()


class Reader:
    """One client's view of a flight: the head, then the body from its first byte."""

    def __init__(self, flight: Flight, *, lead: bool) -> None:
        self.flight = flight
        self.lead = lead
        self.place = 0
        self.taken = 0
        self.cut_off = False

    async def head(self) -> Response:
        """Return the response head with this reader as its body.

        Raises what the fetch failed with, and Fallback for a follower of an answer that is not for all.
        """
        return replace(await self.flight._head_for(self), body=self)  # noqa: SLF001  a flight and its readers are one

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self.flight._chunk_for(self)  # noqa: SLF001
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Leave the flight; it goes on if it is kept or others read it."""
        self.flight._left(self)  # noqa: SLF001
