"""Who waits for a slot: what it is given in the end, and its place until then."""

import asyncio
from collections.abc import Callable

from proxy.core.fair_queue import Client, FairQueue, Priority, Ticket
from proxy.upstream.slot import Slot


class Waiter:
    """One who waits since a moment of the timer: it is granted a slot, or fails."""

    __slots__ = ("_over", "_timer", "granted", "is_probe", "most_wait_s", "since")

    def __init__(
        self, granted: asyncio.Future[Slot], since: float, most_wait_s: float | None, *, is_probe: bool
    ) -> None:
        self.granted = granted
        self.since = since
        self.most_wait_s = most_wait_s
        self.is_probe = is_probe
        self._over: Callable[[], None] = lambda: None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, over: Callable[[], None]) -> None:
        """Wait as long as it may; then `over` is called."""
        self._over = over
        self.begin_again()

    def begin_again(self) -> None:
        """Wait as long as it may, from now on."""
        self.end()
        if self.most_wait_s is not None:
            self._timer = asyncio.get_running_loop().call_later(self.most_wait_s, self._over)

    def end(self) -> None:
        """Wait no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def fail(self, error: Exception) -> None:
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
        """Go on waiting for that client too: as long as one that comes now, and no longer behind all clients."""
        if self._ticket not in self._queue:
            return
        self._ticket.item.begin_again()
        if self._ticket.priority is not Priority.CLIENT:
            self._queue.leave(self._ticket)
            self._ticket.priority, self._ticket.client = Priority.CLIENT, client
            self._queue.offer(self._ticket)
            self._pump()
