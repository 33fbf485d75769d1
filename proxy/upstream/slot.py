"""One slot that was given, and what is told of all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from proxy.core.aimd import Sign
from proxy.core.fair_queue import Priority
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


class Slot:
    """The right to one call; to be released on every path. It also says how long it was waited for (seconds)."""

    __slots__ = ("_ended", "_released", "began", "is_probe", "priority", "token", "until", "waited_s")

    def __init__(
        self,
        ended: Callable[["Slot", Sign, UpstreamError | None], None],
        token: int,
        priority: Priority,
        began: float,
        waited_s: float,
        *,
        is_probe: bool,
    ) -> None:
        self._ended = ended
        self.token = token
        self.priority = priority
        self.began = self.until = began
        self.waited_s = waited_s
        self.is_probe = is_probe
        self._released = False

    def hold_until(self, until: float) -> None:
        """Keep the slot taken until then (timer) when it is released before: the upstream goes on with the call."""
        self.until = until

    def release(self, sign: Sign = Sign.NOTHING, error: UpstreamError | None = None) -> None:
        """Say how the call ended, and give the slot back; a second time does nothing."""
        if not self._released:
            self._released = True
            self._ended(self, sign, error)
