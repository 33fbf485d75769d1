"""One client request, told in one line.

The line is filled while the request travels and is read once, at its end. What does not apply is absent, never null.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from proxy.core.reasons import Reason
from proxy.core.trace_context import Begun
from proxy.core.types import Outcome, Response


class Draw(NamedTuple):
    """The arm that a request was drawn for where `share` percent get the candidate; None where nobody drew.

    `why` says why nobody drew, or why it has another arm's answer after all.
    """

    arm: str
    share: float | None = None
    why: str = ""


class Observed(Protocol):
    """What is found out beside a request that passes."""

    def end(self, tell: Callable[[], None]) -> None:
        """Note what would have been in the request's line, when that is known; then call `tell`."""
        ...


class Waiting(Protocol):
    """A place in the queue for the upstream."""

    def ahead(self) -> int | None:
        """Return how many have their turn before; None once it waits no longer."""
        ...

    def hurry(self, client: str) -> None:
        """Go on waiting as that client, no longer behind all clients."""
        ...

    def step_back(self) -> None:
        """Go on waiting behind all clients."""
        ...


class Purpose(StrEnum):
    """Whom a call upstream is for: a client, who reads what is stored, or nobody: its answer is compared."""

    CLIENT = "client"
    REFRESH = "refresh"
    SHADOW = "shadow"


ABANDONED: Final = "abandoned"
"""What is told of a call that all who waited for it have left: it failed nobody."""


@dataclass(slots=True)
class Call:
    """One call upstream: when it began, answered first and ended, in seconds of the timer.

    `asked_at` is when it began by the wall clock. `sent` is how often it was sent: twice where the first connection was
    lost. `queue_s` is how long it waited before it began, `waiting` its place there. `store_s` is how long storing its
    answer took; `bytes_in` came from upstream, `bytes_out` went there. Of several calls that are summed up in this one,
    `busy_s` is the sum of their durations, `longest_s` the longest. `rule` is that of the request which led to it; `span` is
    its place in a trace, where there is one.
    """

    method: str = ""
    path: str = ""
    status: int | None = None
    began: float = 0.0
    connect_s: float | None = None
    first_byte: float | None = None
    ended: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    store_s: float | None = None
    error: str | None = None
    sent: int = 0
    asked_at: float = 0.0
    queue_s: float | None = None
    waiting: Waiting | None = field(default=None, repr=False, compare=False)
    busy_s: float = 0.0
    longest_s: float = 0.0
    rule: str | None = None
    purpose: Purpose = Purpose.CLIENT
    span: Begun | None = field(default=None, repr=False, compare=False)

    @property
    def failed(self) -> bool:
        """Tell whether it failed, by whosever fault but that of who waited for it."""
        return self.error is not None and self.error != ABANDONED

    def add(self, took_s: float) -> None:
        """Sum up one call more."""
        self.busy_s += took_s
        self.longest_s = max(self.longest_s, took_s)

    def sum_up(self, call: "Call", sent_before: int) -> None:
        """Note of a call that was sent again how it stands: it had been sent `sent_before` times."""
        self.began = self.began or call.began
        self.asked_at = self.asked_at or call.asked_at
        self.sent += call.sent - sent_before
        self.first_byte = self.first_byte or call.first_byte
        self.span = self.span or call.span
        if call.queue_s is not None:
            self.queue_s = max(self.queue_s or 0.0, call.queue_s)

    def wait(self, waiting: Waiting) -> None:
        """Take a place in the queue for the upstream."""
        self.waiting = waiting

    def begin(self, waited_since: float, now: float) -> None:
        """Leave the queue, if it had to wait there."""
        if self.waiting is not None:
            self.queue_s = (self.queue_s or 0.0) + now - waited_since
        self.waiting = None
        self.began = self.ended = now

    @property
    def place(self) -> int | None:
        """Return how many go upstream before it."""
        return self.waiting.ahead() if self.waiting is not None else None

    def begin_again(self) -> None:
        """Forget all but how often it was sent: its answer was not of use."""
        self.status = self.connect_s = self.first_byte = self.ended = self.error = None
        self.bytes_in = self.bytes_out = 0

    @property
    def ttfb_s(self) -> float | None:
        """Return the time from the call's begin to its response head."""
        return None if self.first_byte is None else self.first_byte - self.began

    def duration_s(self, now: float) -> float:
        """Return how long it took, or has taken until `now`."""
        return (now if self.ended is None else self.ended) - self.began


@dataclass(slots=True)
class LogLine:
    """What is known of one client request so far; durations in seconds, sizes in bytes.

    `began`, `first_byte` and `joined` (a flight of somebody else's) are seconds of the timer; `call` is the upstream
    call that this request led or joined; `cost` is what the stored answer it got once took upstream, in seconds, or would take that its stored parts were put in;
    `sent_before` is how many calls went upstream in vain before `call`, for `spent_before_s` seconds; `arm` is `candidate` for what was put together
    from parts, or `control` for what was not though its rule may. `unit` is its normalized key, `draws` are the arms that it was drawn for by that, by feature;
    `fell_back` is why a candidate ended as a whole request, `candidate` the answer of one that did not; `after` is what is done once the answer has left. `expected_s` is how long the fetch it needs takes by experience; `cache_status` is our member of that field.
    `shown` are fields of the request that the owner wants to see; `sample_rate` is the share of lines like this one that are written.
    `would` is the outcome that a request had had which was only observed, for `would_reason`; `would_save_s` is what the
    stored answer once took upstream, in seconds; `would_differ` tells that it is not what the upstream says now.
    """

    request_id: str
    method: str
    path: str
    began: float
    client_ip: str = ""
    trace_id: str | None = None
    span_id: str | None = None
    status: int | None = None
    rule: str | None = None
    outcome: Outcome = Outcome.PASSTHROUGH
    reason: Reason | str | None = None
    would: Outcome | None = None
    would_reason: Reason | str | None = None
    would_save_s: float | None = None
    would_differ: bool | None = None
    error: str | None = None
    error_source: str | None = None
    key_hash: str | None = None
    age_s: float | None = None
    ttl_s: float | None = None
    parts: int | None = None
    parts_hit: int | None = None
    arm: str | None = None
    merge_s: float | None = None
    sent_before: int = 0
    spent_before_s: float = 0.0
    flight: str | None = None
    translated: bool | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    normalize_s: float | None = None
    lookup_s: float | None = None
    send_s: float | None = None
    duration_s: float = 0.0
    first_byte: float | None = None
    joined: float | None = None
    cost: float | None = None
    expected_s: float | None = None
    cache_status: bytes | None = field(default=None, repr=False)
    call: Call | None = field(default=None, repr=False)
    unit: bytes = b""
    draws: dict[str, Draw] | None = None
    fell_back: str | None = None
    candidate: Response | None = field(default=None, repr=False)
    after: list[Callable[[], None]] | None = field(default=None, repr=False, compare=False)
    shown: dict[str, str] | None = None
    sample_rate: float | None = None
    has_left: bool = field(default=False, repr=False, compare=False)
    left_by: "LogLine | None" = field(default=None, repr=False, compare=False)
    observed: Observed | None = field(default=None, repr=False, compare=False)

    def close(self, now: float) -> None:
        """Fix at the request's end how long it took and how its call stands, which may go on and be made again."""
        self.duration_s = now - self.began
        if self.call is not None:
            self.call = replace(self.call, waiting=None)

    def drew(self, feature: str, draw: Draw) -> None:
        """Note the arm of one feature."""
        self.draws = {**(self.draws or {}), feature: draw}

    def afterwards(self, act: Callable[[], None]) -> None:
        """Have something done once the answer has left; now, if it has."""
        if self.left_by is not None:
            self.left_by.afterwards(act)
        elif self.has_left:
            act()
        else:
            self.after = [*(self.after or ()), act]

    def leave_by(self, line: "LogLine") -> None:
        """Have what waits for this answer to leave, now or later, wait for another line's."""
        after, self.after, self.left_by = self.after, None, line
        for act in after or ():
            line.afterwards(act)

    def leave(self) -> None:
        """Do what waited for the answer to leave."""
        self.has_left = True
        after, self.after = self.after, None
        for act in after or ():
            act()

    @property
    def ttfb_s(self) -> float | None:
        """Return the time from the request's head to its answer's."""
        return None if self.first_byte is None else self.first_byte - self.began

    @property
    def upstream_calls(self) -> int:
        """Return how many calls upstream this request led to; a follower led to none."""
        return self.sent_before + (0 if self.call is None or self.joined is not None else self.call.sent)

    @property
    def upstream_s(self) -> float | None:
        """Return how long this request waited for the upstream; a follower waited only since it joined."""
        waited_s = self.waited_s(self.began + self.duration_s)
        return waited_s if not self.spent_before_s else self.spent_before_s + (waited_s or 0.0)

    def waited_s(self, end: float) -> float | None:
        """Return how long this request waited for the upstream until `end`, in seconds of the timer."""
        if self.call is None:
            return None
        began = max(self.began, self.call.began, self.joined or self.began)
        return max(0.0, min(end, end if self.call.ended is None else self.call.ended) - began)

    @property
    def overhead_s(self) -> float:
        """Return what the proxy itself took: the duration less the critical path upstream."""
        return max(0.0, self.duration_s - (self.upstream_s or 0.0) - (self.queue_s or 0.0))

    @property
    def saved_s(self) -> float | None:
        """Return the upstream seconds that a stored answer made unnecessary; None where none was given."""
        return None if self.cost is None else max(0.0, self.cost - self.duration_s)

    @property
    def queue_s(self) -> float | None:
        """Return how long its call waited for its turn upstream; for a follower, since it joined."""
        if self.call is None or self.call.queue_s is None or self.joined is None:
            return self.call.queue_s if self.call is not None else None
        return min(self.call.queue_s, max(0.0, self.call.began - self.joined))

    @property
    def upstream_connect_s(self) -> float | None:
        """Return how long connecting took; for a follower that was the leader's wait."""
        return self.call.connect_s if self.call is not None and self.joined is None else None

    @property
    def upstream_ttfb_s(self) -> float | None:
        """Return how long the upstream's head took; for a follower that was the leader's wait."""
        return self.call.ttfb_s if self.call is not None and self.joined is None else None

    @property
    def store_s(self) -> float | None:
        """Return how long storing took; for a follower that was the leader's wait."""
        return self.call.store_s if self.call is not None and self.joined is None else None

    @property
    def level(self) -> str:
        """Return `error` for what the upstream or the proxy failed at, else `info`."""
        return "error" if self.error_source in {"upstream", "proxy"} else "info"
