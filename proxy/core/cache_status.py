"""What became of a request → our member of Cache-Status (RFC 9211): one form for each way an answer is made."""

from collections.abc import Mapping

from proxy.core.reasons import Reason
from proxy.core.types import Outcome

NAME = b"cache-status"

# RFC 9211 §2.2 wants the most specific word for why a request went forward.
_FORWARDED_FOR: Mapping[tuple[Outcome, str], str] = {
    (Outcome.PASSTHROUGH, Reason.METHOD): "method",
    (Outcome.PASSTHROUGH, Reason.REQUEST_NO_STORE): "request",
    (Outcome.PASSTHROUGH, Reason.VARY): "vary-miss",
    (Outcome.MISS, Reason.REQUEST_NO_CACHE): "request",
    (Outcome.REVALIDATED, Reason.REQUEST_NO_CACHE): "request",
}
_FORWARDED_AS = {Outcome.EXPIRED: "stale", Outcome.REVALIDATED: "stale", Outcome.PASSTHROUGH: "bypass"}


def hit(ttl: float, reason: str | None = None) -> bytes:
    """Write the form of an answer from the store with `ttl` seconds left; `reason` is why a stale one had to do."""
    detail = f"; detail={reason}" if reason else ""
    return f"Frontrunner; hit; ttl={int(ttl)}{detail}".encode("ascii")


def forwarded(
    outcome: Outcome, reason: str | None, *, status: int | None = None, stored: bool = False, collapsed: bool = False
) -> bytes:
    """Write the form of an answer from upstream; `reason` is why it was not more than that.

    `status` is what the upstream answered where the client gets another.
    """
    word = _FORWARDED_FOR.get((outcome, reason or ""))
    parts = [f"Frontrunner; fwd={word or _FORWARDED_AS.get(outcome, 'uri-miss')}"]
    if status is not None:
        parts.append(f"fwd-status={status}")
    if stored:
        parts.append("stored")
    if collapsed:
        parts.append("collapsed")
    if reason:
        parts.append(f"detail={reason}")
    return "; ".join(parts).encode("ascii")
