"""What stands between a call and the upstream: its slot, and the budget of extra calls.

Who demands none (what no rule of the owner's matches, the bypass) is not held up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from proxy.clock import Clock
from proxy.core.aimd import Sign, sign_of
from proxy.core.fair_queue import Priority
from proxy.core.log_line import Call
from proxy.core.pace import expected_end
from proxy.core.types import Response
from proxy.errors import UpstreamError
from proxy.upstream.budget import Budget
from proxy.upstream.limit import Limit
from proxy.upstream.slot import LimitStatus, Slot

_ENDLESS = (b"text/event-stream", b"multipart/x-mixed-replace")
"""The media types of answers that end when their reader leaves."""


def is_endless(response: Response) -> bool:
    """Tell whether an answer ends only when its reader leaves."""
    return (response.header(b"content-type") or b"").lower().startswith(_ENDLESS)


@dataclass(frozen=True, slots=True)
class Demand:
    """Who wants a slot and how urgently; `expected_s` is how long the call takes by experience.

    Its client's turn is over for as many rounds as `charge` says: a call for many things counts as many.
    """

    client: str
    priority: Priority = Priority.CLIENT
    expected_s: float | None = None
    charge: int = 1


class Protection:
    """Gives calls their slots; a call may wait for one `most_wait_s`.

    `outlives_cancel`: the upstream works on what nobody waits for any more.
    """

    def __init__(
        self,
        limit: Limit,
        clock: Clock,
        failed: Callable[[BaseException, str], None],
        *,
        most_wait_s: float | None = None,
        outlives_cancel: bool = False,
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._failed = failed
        self.most_wait_s = most_wait_s
        self._outlives_cancel = outlives_cancel
        self.budget = Budget()

    async def admit(self, demand: Demand, call: Call, request_id: str) -> "Admission":
        """Wait for a slot, noting in `call` for how long.

        Raises UpstreamBusy where none comes free in time, and the last error of an upstream that is down.
        """
        began = self._clock.timer()
        try:
            slot = await self._limit.acquire(
                demand.client, demand.priority, self.most_wait_s, demand.charge, note=call.wait
            )
        except OSError as error:  # the slots cannot be counted: that must not cost an answer
            self._failed(error, request_id)
            slot = None
        finally:
            call.begin(began, self._clock.timer())
        return Admission(self, slot, demand)

    def released(self, slot: Slot, demand: Demand, call: Call, word: str | None, error: UpstreamError | None) -> None:
        """Give a slot back at a call's end; `word` is how it failed."""
        sign = sign_of(call.status, word)
        gave_up = sign is Sign.SLOW or (word is not None and error is None)
        if gave_up and self._outlives_cancel:
            expected_s = demand.expected_s or self._limit.pace.mean_s or self.most_wait_s
            slot.hold_until(expected_end(slot.began, self._clock.timer(), expected_s))
        slot.release(sign, error)

    def hear(self, message: bytes) -> None:
        """Hear what another process tells."""
        self._limit.hear(message)

    @property
    def spare(self) -> float:
        """Return how many calls more could begin now."""
        now = self._limit.status()
        return inf if now.limit is None else max(0, int(now.limit) - now.in_flight - now.waiting)

    def status(self) -> LimitStatus:
        """Return what is under way."""
        return self._limit.status()

    def close(self) -> None:
        """Turn away who still waits."""
        self._limit.close()


@dataclass(frozen=True, slots=True)
class Admission:
    """The right to one call, to be given back at its end; without a slot it costs nothing."""

    protection: Protection
    slot: Slot | None
    demand: Demand

    def answered(self, response: Response) -> None:
        """Tell that a head came; give the slot back where the answer never ends by itself."""
        sign = sign_of(response.status)
        if self.slot is not None:
            self.slot.answered(sign)
            if is_endless(response):
                self.slot.release(sign)

    @property
    def patience_s(self) -> float | None:
        """Return how long the reader of an answer may take nothing of it: as long as another may wait for the slot."""
        return self.protection.most_wait_s if self.slot is not None else None

    def unread(self) -> None:
        """Give the slot back: it is the reader who keeps the call from its end, not the upstream."""
        if self.slot is not None:
            self.slot.release(Sign.FINE)

    def end(self, call: Call, word: str | None, error: UpstreamError | None) -> None:
        """Give the slot back; `word` is how the call failed."""
        if self.slot is not None:
            self.protection.released(self.slot, self.demand, call, word, error)
