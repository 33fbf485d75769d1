"""One slot that was given, and what is told of all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from proxy.core.aimd import Sign
from proxy.core.fair_queue import Client, Priority
from proxy.errors import UpstreamError


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """Now: calls in flight (of all processes), the learnt limit, who waits here."""

    in_flight: int
    limit: float | None
    ceiling: int | None
    waiting: int
    by_priority: Mapping[str, int]
    is_shut: bool


class Lender(Protocol):
    """Gives slots, and is told what becomes of them."""

    def answered(self, slot: "Slot", sign: Sign) -> None:
        """Learn from the response head of a call that goes on."""
        ...

    def released(self, slot: "Slot", sign: Sign, error: UpstreamError | None) -> None:
        """Learn from a call that ended, and take its slot back."""
        ...


class Slot:
    """The right to one call; to be released on every path. It also says how long it was waited for (seconds)."""

    __slots__ = ("_limit", "_released", "began", "client", "is_probe", "priority", "token", "until", "waited_s")

    def __init__(
        self,
        limit: Lender,
        token: int,
        client: Client,
        priority: Priority,
        began: float,
        waited_s: float,
        *,
        is_probe: bool,
    ) -> None:
        self._limit = limit
        self.token = token
        self.client = client
        self.priority = priority
        self.began = self.until = began
        self.waited_s = waited_s
        self.is_probe = is_probe
        self._released = False

    def hold_until(self, until: float) -> None:
        """Keep the slot taken until then (timer) when it is released before: the upstream goes on with the call."""
        self.until = until

    def answered(self, sign: Sign) -> None:
        """Say that a response head came."""
        if not self._released:
            self._limit.answered(self, sign)

    def release(self, sign: Sign = Sign.NOTHING, error: UpstreamError | None = None) -> None:
        """Say how the call ended, and give the slot back; a second time does nothing."""
        if not self._released:
            self._released = True
            self._limit.released(self, sign, error)
