"""What is known of a request that is only observed → what its line tells: what would have become of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from proxy.accelerate import FAILED
from proxy.asked import Asked
from proxy.copied import Copied
from proxy.core.freshness import Verdict, bridges
from proxy.core.log_line import LogLine
from proxy.core.reasons import Reason
from proxy.core.rules import Rule
from proxy.core.types import Entry, Outcome, Request, Response
from proxy.core.validation import confirms, has_validator
from proxy.places import Found
from proxy.upstream.collapse import Flight

_FROM_THE_STORE = frozenset({Outcome.HIT, Outcome.STALE})
# what answers a condition or a part tells nothing of the whole
_OF_ANOTHER_QUESTION = frozenset({206, 304, 416})


@dataclass(slots=True, eq=False)
class Observation:
    """What is found out of one request: `sent` is what goes upstream, `keyed` the same as its rule's own path.

    `began` and `headed` are when it came and when its answer's head did (wall clock); `refused` is why its answer is
    not to be stored; `flight` stands for the fetch that it would be, `leader` for the one that it would have joined.
    """

    sent: Request
    keyed: Request
    rule: Rule
    host: bytes
    line: LogLine
    began: float
    settle: Callable[["Observation", Callable[[], None]], None]
    arriving: Copied | None = None
    looking: asyncio.Task[None] | None = None
    asked: Asked | None = None
    found: Found | None = None
    verdict: Verdict | None = None
    flight: Flight | None = None
    leader: Flight | None = None
    response: Response | None = None
    headed: float = 0.0
    body: Copied | None = None
    refused: Reason | None = None

    def end(self, tell: Callable[[], None]) -> None:
        """Note what would have been in the request's line, when that is known; then call `tell`."""
        self.settle(self, tell)

    @property
    def complete(self) -> bool:
        """Tell whether all of the answer went by."""
        return self.response is not None and (self.body is None or self.body.complete)

    @property
    def copy(self) -> bytes | None:
        """Return the answer's body; None where it is not complete, or too long."""
        if self.response is not None and isinstance(self.response.body, bytes):
            return self.response.body
        return None if self.body is None else self.body.copy

    @property
    def entry(self) -> Entry | None:
        """Return what was stored, whole or in part."""
        return None if self.found is None else self.found.entry or self.found.part


def note(one: Observation) -> None:
    """Tell in its line what would have become of a request."""
    line, verdict, entry = one.line, one.verdict, one.entry
    if one.asked is not None:
        known = one.asked.line
        line.key_hash, line.normalize_s, line.lookup_s = known.key_hash, known.normalize_s, known.lookup_s
    if verdict is None:
        return
    line.would, line.would_reason = verdict.outcome, verdict.reason
    if verdict.outcome is Outcome.EXPIRED and (failure := _bridged(one)) is not None:
        line.would, line.would_reason = Outcome.STALE, failure
    elif one.leader is not None and one.leader.ended and not one.leader.shared:
        line.would, line.would_reason = Outcome.PASSTHROUGH, one.leader.refused or Reason.NO_TTL
    elif one.leader is not None:
        line.would = Outcome.COLLAPSED
    elif verdict.outcome in {Outcome.MISS, Outcome.EXPIRED}:
        line.would_reason = verdict.reason or one.refused
    if line.would in _FROM_THE_STORE and entry is not None:
        line.would_save_s = entry.cost
    if line.would is Outcome.HIT and entry is not None and _differs(entry, one):
        line.would_differ = True


def _bridged(one: Observation) -> str | None:
    """Return the failure of the upstream that a stale answer would have stood in for, if it may (RFC 5861 §4)."""
    if one.found is None or one.found.entry is None or one.asked is None:
        return None
    failed = one.response is not None and one.response.status in FAILED
    failure = Reason.STATUS if failed else one.line.error if one.line.error_source == "upstream" else None
    return failure if bridges(one.found.entry, one.began, one.asked.directives) else None


def _differs(entry: Entry, one: Observation) -> bool:
    """Tell whether the upstream now surely says another thing than what is stored."""
    now = one.response
    if now is None:
        return False
    if now.status == 304:
        return has_validator(now.headers) and not confirms(entry, now)
    stored = Response(entry.status, entry.headers)
    if now.status in _OF_ANOTHER_QUESTION or now.header(b"content-encoding") != stored.header(b"content-encoding"):
        return False
    if now.status != entry.status or one.sent.method == "HEAD" or not one.complete:
        return now.status != entry.status
    if one.body is not None and one.body.bytes != len(entry.body):
        return True
    copy = one.copy
    return copy is not None and copy != entry.body
