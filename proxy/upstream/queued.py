"""Who waits for a slot: what it is given in the end, and its place until then."""

import asyncio
from collections.abc import Callable

from proxy.core.fair_queue import Client, FairQueue, Priority, Ticket
from proxy.errors import UpstreamError
from proxy.upstream.slot import Slot


class Waiter:
    """One who waits since a moment of the timer: it is granted a slot, or fails."""

    __slots__ = ("granted", "is_probe", "since", "timer")

    def __init__(self, granted: asyncio.Future[Slot], since: float, *, is_probe: bool) -> None:
        self.granted = granted
        self.since = since
        self.is_probe = is_probe
        self.timer: asyncio.TimerHandle | None = None

    def fail(self, error: UpstreamError) -> None:
        """Tell that no slot will come."""
        if not self.granted.done():
            self.granted.set_exception(error)


class Queued:
    """One place in the queue."""

    def __init__(self, queue: FairQueue[Waiter], ticket: Ticket[Waiter], pump: Callable[[], None]) -> None:
        self._queue = queue
        self._ticket = ticket
        self._pump = pump

    def ahead(self) -> int | None:
        """Return how many have their turn before; None once it waits no longer."""
        return self._queue.ahead(self._ticket) if self._ticket in self._queue else None

    def step_back(self) -> None:
        """Go on waiting behind all clients."""
        if self._ticket.priority is Priority.CLIENT and self._queue.leave(self._ticket):
            self._ticket.priority = Priority.REFRESH
            self._queue.offer(self._ticket)

    def hurry(self, client: Client) -> None:
        """Go on waiting as that client, no longer behind all clients."""
        if self._ticket.priority is not Priority.CLIENT and self._queue.leave(self._ticket):
            self._ticket.priority, self._ticket.client = Priority.CLIENT, client
            self._queue.offer(self._ticket)
            self._pump()
