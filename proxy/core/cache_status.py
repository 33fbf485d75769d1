"""What became of a request → our member of Cache-Status (RFC 9211): one form for each way an answer is made."""

from collections.abc import Mapping

from proxy.core.reasons import Reason
from proxy.core.types import Outcome

NAME = b"cache-status"

# Who waited for an answer that was not for all had looked in the store before.
_RELEASED = (
    Reason.STATUS, Reason.NO_TTL, Reason.NO_STORE, Reason.NO_CACHE, Reason.PRIVATE, Reason.SET_COOKIE,
    Reason.AUTHORIZATION, Reason.TOO_LARGE, Reason.INCOMPLETE, Reason.EVENT_STREAM, Reason.OVERTAKEN,
)  # fmt: skip
# RFC 9211 §2.2 wants the most specific word for why a request went forward. `request` is for an answer that was there
# and would have done for others; `bypass` for what this cache does not look at.
_FORWARDED_FOR: Mapping[tuple[Outcome, str], str] = {
    (Outcome.PASSTHROUGH, Reason.METHOD): "method",
    (Outcome.PASSTHROUGH, Reason.VARY): "vary-miss",
    (Outcome.PASSTHROUGH, Reason.VARIANTS): "vary-miss",
    **{(Outcome.PASSTHROUGH, reason): "uri-miss" for reason in _RELEASED},
    (Outcome.MISS, Reason.REQUEST_NO_CACHE): "request",
    (Outcome.REVALIDATED, Reason.REQUEST_NO_CACHE): "request",
}
_FORWARDED_AS = {
    Outcome.EXPIRED: "stale",
    Outcome.REVALIDATED: "stale",
    Outcome.PARTIAL: "partial",
    Outcome.PASSTHROUGH: "bypass",
}


def hit(ttl: float, reason: str | None = None) -> bytes:
    """Write the form of an answer from the store with `ttl` seconds left; `reason` is why a stale one had to do."""
    detail = f"; detail={reason}" if reason else ""
    return f"Frontrunner; hit; ttl={int(ttl)}{detail}".encode("ascii")


def composite(parts: int, hits: int, *, ttl: float = 0.0, stored: bool = False, collapsed: bool = False) -> bytes:
    """Write the form of a merged answer: so many of its parts came from the store.

    `ttl` is how long the part is fresh that expires first, in seconds; told where all of them were there. `stored`:
    all others now are. `collapsed`: some came from another's fetch.
    """
    if hits == parts:
        how = f"hit; ttl={int(ttl)}"
    else:
        how = f"fwd={'partial' if hits else 'uri-miss'}{'; stored' * stored}{'; collapsed' * collapsed}"
    return f'Frontrunner; {how}; detail="parts={parts};hit={hits}"'.encode("ascii")


def forwarded(
    outcome: Outcome,
    reason: str | None,
    *,
    status: int | None = None,
    stored: bool = False,
    collapsed: bool = False,
    varied: bool = False,
    by_method: bool = False,
) -> bytes:
    """Write the form of an answer from upstream; `reason` is why it was not more than that.

    `outcome` is that of the look-up where the answer was another's (`collapsed`). `status` is what the upstream
    answered where the client gets another; `varied`: another variant was stored; `by_method`:
    this method is never looked at.
    """
    word = "method" if by_method else _FORWARDED_FOR.get((outcome, reason or "")) or _FORWARDED_AS.get(outcome)
    parts = [f"Frontrunner; fwd={word or ('vary-miss' if varied else 'uri-miss')}"]
    if status is not None:
        parts.append(f"fwd-status={status}")
    if stored:
        parts.append("stored")
    if collapsed:
        parts.append("collapsed")
    if reason:
        parts.append(f"detail={reason}")
    return "; ".join(parts).encode("ascii")
