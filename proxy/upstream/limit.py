"""How many calls are in flight upstream at once, and who waits for the next slot.

The slots are shared by all processes of the machine; how many of them may be used is learnt from how calls end. Clients
go first and take turns; refresh, warm and shadow take what is spare. Who would wait too long is told so at once. An
upstream that takes no connections is left alone but for one probe.
"""

import asyncio
from collections.abc import Callable

from proxy.clock import Clock
from proxy.core.aimd import Aimd, ForAll, Sign
from proxy.core.fair_queue import Client, FairQueue, Priority, Ticket
from proxy.core.pace import Pace
from proxy.core.reasons import Reason
from proxy.errors import UpstreamBusy, UpstreamError
from proxy.upstream.gate import Gate, Turned, Way
from proxy.upstream.neighbours import Neighbours, News
from proxy.upstream.queued import Queued, Waiter
from proxy.upstream.slot import LimitStatus, Slot
from proxy.upstream.slots import UNLIMITED, Slots

MOST_WAITING = 1_000
_CLEARLY = 1.5
"""An expected wait this many times as long as one may wait is no wait but a refusal."""
_LOOK_S = 0.5
_HAND_OVER_S = 0.02
"""How long a slot that came free is left to the other processes."""
_TOLD_STEP = 0.1
_CLOSING = "the proxy is closing"


class Limit:
    """Gives slots; with `ceiling` None clients' calls are never held up, and others run one at a time.

    `neighbours` are the other processes, where they take from the same slots.
    """

    def __init__(
        self,
        slots: Slots,
        ceiling: int | None,
        clock: Clock,
        *,
        neighbours: Neighbours | None = None,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._slots = slots
        self._ceiling = ceiling
        self._clock = clock
        self._neighbours = neighbours
        self._aimd = None if ceiling is None else Aimd(ceiling)
        self._gate = Gate()
        self._for_all = ForAll()
        self.pace = Pace()
        self._queue: FairQueue[Waiter] = FairQueue(most_waiting)
        self._background = 0
        self._told_limit = float(ceiling or 0)
        self._yields = self._looks = self._closed = False
        self._timers: set[asyncio.TimerHandle] = set()

    async def acquire(
        self,
        client: Client,
        priority: Priority,
        most_wait_s: float | None = None,
        charge: int = 1,
        *,
        note: Callable[["Queued"], None] | None = None,
    ) -> Slot:
        """Wait for a slot, at most `most_wait_s`; `note` gets the place in the queue where there is one.

        Raises UpstreamBusy (queue_full or queue_timeout), and the upstream's last error while it is down; both with the
        seconds after which to come again. Raises OSError where the slots cannot be counted.
        """
        now = self._clock.timer()
        is_probe = self._pass(now)
        first = self._queue.first
        waiter = Waiter(asyncio.get_running_loop().create_future(), now, most_wait_s, is_probe=is_probe)
        ticket = Ticket(waiter, priority, client, charge)
        try:
            if first is None or priority < first:
                token = self._take(priority, now)
                if token is not None:
                    return self._slot(token, ticket, now)
            if note is not None:
                note(Queued(self._queue, ticket, self._pump))
            self._enqueue(ticket, now)
            return await waiter.granted
        except BaseException:
            self._gave_up(ticket)
            raise
        finally:
            waiter.end()

    def _pass(self, now: float) -> bool:
        """Pass the gate; tell whether as its probe. Raises the upstream's last error where it is shut."""
        if self._closed:
            raise UpstreamError(_CLOSING)
        way = Way.THROUGH if self._ceiling is None else self._gate.way(now)
        if way is Way.SHUT:
            if not self._gate.outlived(now):
                raise self._gate.refusal(now)
            self._reopened(now, 1)
        return way is Way.PROBE

    def _take(self, priority: Priority, now: float) -> int | None:
        """Return the token of a slot, if one is free; for others than clients, if one is spare."""
        room = UNLIMITED if self._aimd is None else self._aimd.room
        if self._yields:
            return None
        if priority is not Priority.CLIENT:
            if self._ceiling is None and self._background:
                return None
            if self._neighbours is not None and self._neighbours.waiting(now):
                return None
            if room > 1:  # where one is all there is, it is spare when nobody uses it
                room -= 1
        return self._slots.take(room)

    def _slot(self, token: int, ticket: Ticket[Waiter], now: float) -> Slot:
        waiter = ticket.item
        if ticket.priority is not Priority.CLIENT:
            self._background += 1
        if waiter.is_probe:
            self._gate.probe_begins(now)
        waited_s = now - waiter.since
        return Slot(self, token, ticket.client, ticket.priority, now, waited_s, is_probe=waiter.is_probe)

    def _enqueue(self, ticket: Ticket[Waiter], now: float) -> None:
        most_wait_s = ticket.item.most_wait_s
        left_out = self._queue.offer(ticket)
        if left_out is ticket:
            raise self._busy(Reason.QUEUE_FULL, most_wait_s)
        if left_out is not None:
            left_out.item.fail(self._busy(Reason.QUEUE_FULL, None))
        if most_wait_s is not None and self._is_hopeless(ticket, most_wait_s, now):
            raise self._busy(Reason.QUEUE_TIMEOUT, most_wait_s)
        ticket.item.begin(lambda: self._too_long(ticket))
        self._pump()
        self._look_later()

    def _is_hopeless(self, ticket: Ticket[Waiter], most_wait_s: float, now: float) -> bool:
        room, bearable = self._room, most_wait_s * _CLEARLY
        elsewhere = 0 if self._neighbours is None else self._neighbours.waiting(now)
        longest = self.pace.wait_s(len(self._queue) + elsewhere, room)
        if longest is None or longest <= bearable:
            return False
        expected = self.pace.wait_s(self._queue.ahead(ticket) + elsewhere, room)
        return expected is not None and expected > bearable

    @property
    def _room(self) -> int:
        return 1 if self._aimd is None else self._aimd.room

    def _busy(self, reason: Reason, most_wait_s: float | None) -> UpstreamBusy:
        """Return what one is told who gets no slot: to come again when a newcomer would get one."""
        expected = self.pace.wait_s(len(self._queue), self._room)
        after = expected if expected is not None else most_wait_s or 1.0
        detail = "too many wait for the upstream" if reason is Reason.QUEUE_FULL else "no slot at the upstream in time"
        return UpstreamBusy(detail, reason, max(1.0, after))

    def _too_long(self, ticket: Ticket[Waiter]) -> None:
        if self._queue.leave(ticket):
            ticket.item.fail(self._busy(Reason.QUEUE_TIMEOUT, ticket.item.most_wait_s))

    def _gave_up(self, ticket: Ticket[Waiter]) -> None:
        """Leave no trace of one who waits no longer, even if the slot was granted in the same moment."""
        waiter = ticket.item
        self._queue.leave(ticket)
        granted = waiter.granted
        if granted.done() and not granted.cancelled() and granted.exception() is None:
            granted.result().release()
        elif waiter.is_probe:
            now = self._clock.timer()
            self._gate.ended(Sign.NOTHING, waiter.since, now, probe=True)
        self._tell_waiting()

    def _pump(self) -> None:
        """Give slots to those who are next while there are any."""
        now = self._clock.timer()
        while (first := self._queue.first) is not None:
            try:
                token = self._take(first, now)
            except OSError as error:  # one goes without; the others look again later
                self._queue.next().item.fail(error)
                break
            if token is None:
                if self._aimd is not None:
                    self._aimd.crowded(now)
                break
            ticket = self._queue.next()
            if ticket.item.granted.done():  # cancelled, and has not come to leave yet
                self._free(token)
                continue
            ticket.item.granted.set_result(self._slot(token, ticket, now))
        self._tell_waiting()

    def _tell_waiting(self, *, again: bool = False) -> None:
        if self._neighbours is not None:
            self._neighbours.tell_waiting(self._queue.clients(Priority.CLIENT), again=again)

    def answered(self, slot: Slot, sign: Sign) -> None:
        """Learn from the response head of a call that goes on: an upstream that answers is not down."""
        now = self._clock.timer()
        if self._gate.is_shut and self._gate.ended(sign, slot.began, now) is Turned.OPENED:
            self._reopened(now, 1)
            self._pump()

    def released(self, slot: Slot, sign: Sign, error: UpstreamError | None) -> None:
        """Learn from a call that ended, and take its slot back."""
        now = self._clock.timer()
        self._learn(slot, sign, error, now)
        if slot.until > now and not self._closed:
            self._later(slot.until - now, self._give_back, slot)
        else:
            self._give_back(slot)

    def _learn(self, slot: Slot, sign: Sign, error: UpstreamError | None, now: float) -> None:
        if sign in {Sign.FINE, Sign.SLOW}:
            self.pace.add(now - slot.began)
        if self._aimd is None:
            return
        overload = self._for_all.sign(sign, slot.client, now, self.pace.mean_s)
        if self._aimd.ended(overload, slot.began, now):
            self._tell_limit(self._aimd.limit)
        turned = self._gate.ended(sign, slot.began, now, error, probe=slot.is_probe)
        if turned is Turned.OPENED:
            self._reopened(now, 0)
        elif turned is Turned.SHUT:
            while self._queue:
                self._queue.next().item.fail(self._gate.refusal(now))

    def _reopened(self, now: float, more: int) -> None:
        """Begin low: all who come at once now must not be the next failure; so many more than are under way."""
        if self._aimd is not None:
            self._aimd.restart(now, float(max(1, self._slots.in_use() + more)))
            self._tell_limit(self._aimd.limit)
        if self._neighbours is not None:
            self._neighbours.tell(News.UP)

    def _tell_limit(self, limit: float) -> None:
        if self._neighbours is not None and (limit < self._told_limit or limit >= self._told_limit + _TOLD_STEP):
            self._told_limit = limit
            self._neighbours.tell(News.LIMIT, limit)

    def _give_back(self, slot: Slot) -> None:
        self._free(slot.token)
        if slot.priority is not Priority.CLIENT:
            self._background -= 1
        neighbours = self._neighbours
        if neighbours is not None and neighbours.waiting(now := self._clock.timer()):
            neighbours.tell(News.FREE)
            if not self._yields and neighbours.are_due(self._queue.clients(Priority.CLIENT), now):
                self._yields = True
                self._later(_HAND_OVER_S, self._yielded)
        self._pump()

    def _free(self, token: int) -> None:
        try:
            self._slots.give_back(token)
        except OSError:
            self._later(_LOOK_S, self._free, token)

    def _yielded(self) -> None:
        self._yields = False
        self._pump()

    def hear(self, message: bytes) -> None:
        """Hear what another process tells."""
        now = self._clock.timer()
        heard = None if self._neighbours is None else self._neighbours.hear(message, now)
        if heard is None:
            return
        if heard.news is News.LIMIT and self._aimd is not None:
            self._aimd.adopt(heard.number, now)
            self._told_limit = self._aimd.limit
        elif heard.news is News.UP and self._gate.is_shut:
            self._gate.open(now)
        self._pump()

    def _look_later(self) -> None:
        """Look for a slot now and then while somebody waits: another process may have freed one without a word."""
        if self._neighbours is not None and self._queue and not self._looks:
            self._looks = True
            self._later(_LOOK_S * (0.75 + self._neighbours.roll() / 2), self._look)

    def _look(self) -> None:
        self._looks = False
        self._pump()
        self._tell_waiting(again=True)
        self._look_later()

    def _later(self, delay_s: float, act: Callable[..., None], *args: object) -> None:
        def due() -> None:
            self._timers.discard(timer)
            act(*args)

        timer = asyncio.get_running_loop().call_later(delay_s, due)
        self._timers.add(timer)

    def status(self) -> LimitStatus:
        """Return what is under way."""
        by_priority = {one.name.lower(): self._queue.waiting(one) for one in Priority}
        limit = None if self._aimd is None else self._aimd.limit
        return LimitStatus(
            self._slots.in_use(), limit, self._ceiling, len(self._queue), by_priority, self._gate.is_shut
        )

    def close(self) -> None:
        """Turn away who still waits and who comes, and free all slots."""
        self._closed = True
        while self._queue:
            self._queue.next().item.fail(UpstreamError(_CLOSING))
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._slots.close()
