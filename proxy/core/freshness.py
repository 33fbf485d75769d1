"""Entry × now → is it still good, and what is to be done (RFC 9111 §4.2); all times in seconds."""

from dataclasses import dataclass, replace
from enum import Enum

from proxy.core.cache_control import Directives, seconds
from proxy.core.reasons import Reason
from proxy.core.types import Entry, Outcome
from proxy.core.validation import has_validator


class Act(Enum):
    """What the road does next."""

    DELIVER = "deliver"
    REFRESH = "deliver and refresh"
    REVALIDATE = "revalidate"
    FETCH = "fetch"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with what was looked up, the outcome that this makes, and why it is not a hit."""

    act: Act
    outcome: Outcome
    reason: Reason | None = None


_HIT = Verdict(Act.DELIVER, Outcome.HIT)
_STALE = Verdict(Act.REFRESH, Outcome.STALE)
_TOLERATED = Verdict(Act.DELIVER, Outcome.STALE, Reason.REQUEST_MAX_STALE)
_MISS = Verdict(Act.FETCH, Outcome.MISS)
# What can be validated is; the rest is fetched anew.
_EXPIRED = {
    True: Verdict(Act.REVALIDATE, Outcome.EXPIRED),
    False: Verdict(Act.FETCH, Outcome.EXPIRED),
}
_CLIENT_WANTS_NEW = {
    True: Verdict(Act.REVALIDATE, Outcome.MISS, Reason.REQUEST_NO_CACHE),
    False: Verdict(Act.FETCH, Outcome.MISS, Reason.REQUEST_NO_CACHE),
}


def age_of(entry: Entry, now: float) -> float:
    """Return how old the response is, the upstream's own Age counted in (RFC 9111 §4.2.3)."""
    return entry.age + max(0.0, now - entry.stored_at)


def left(entry: Entry, now: float) -> float:
    """Return how long the entry is still fresh; negative once it is not."""
    return entry.ttl - age_of(entry, now)


def softened(entry: Entry, now: float) -> Entry:
    """Return an entry whose time is over: it is stale from now on, if it was not before."""
    return replace(entry, ttl=min(entry.ttl, age_of(entry, now)))


def judge(entry: Entry | None, now: float, asked: Directives) -> Verdict:
    """Decide between delivering what is stored, validating it and fetching anew; `asked` are the client's directives."""
    if entry is None:
        return _MISS
    remains = left(entry, now)
    if remains <= 0 and not _wants_better(entry, now, asked):
        if -entry.refresh < remains:
            return _STALE
        if _tolerates(entry, remains, asked):
            return _TOLERATED
    if remains <= 0:
        return _EXPIRED[has_validator(entry.headers)]
    if asked and not _good_enough(entry, now, asked):
        return _CLIENT_WANTS_NEW[has_validator(entry.headers)]
    return _HIT


def _good_enough(entry: Entry, now: float, asked: Directives) -> bool:
    """Apply the client's max-age, min-fresh and no-cache (RFC 9111 §5.2.1)."""
    oldest, freshest = seconds(asked, "max-age"), seconds(asked, "min-fresh")
    if "no-cache" in asked:
        return False
    if oldest is not None and age_of(entry, now) > oldest:
        return False
    return freshest is None or left(entry, now) >= freshest


def _wants_better(entry: Entry, now: float, asked: Directives) -> bool:
    """Tell whether the client asks for something that a stale answer is not."""
    oldest = seconds(asked, "max-age")
    too_old = oldest is not None and ("max-stale" not in asked or age_of(entry, now) > oldest)
    return too_old or "no-cache" in asked or "min-fresh" in asked


def _tolerates(entry: Entry, remains: float, asked: Directives) -> bool:
    """Apply the client's max-stale: without an argument any age will do (RFC 9111 §5.2.1.2)."""
    if entry.strict or "max-stale" not in asked:
        return False
    most = seconds(asked, "max-stale") if asked["max-stale"] is not None else None
    return most is None or -remains <= most


def bridges(entry: Entry, now: float, asked: Directives) -> bool:
    """Tell whether the entry may be served while the upstream fails, by its word or the client's (RFC 5861 §4)."""
    if "no-cache" in asked:
        return False
    clients = 0.0 if entry.strict else seconds(asked, "stale-if-error") or 0.0
    return left(entry, now) > -max(entry.error, clients)


def wants_newer(asked: Directives) -> bool:
    """Tell whether the client wants an answer that was asked for after it came (a reload)."""
    return "no-cache" in asked or seconds(asked, "max-age") == 0
