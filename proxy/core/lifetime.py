"""Response × now → how long it is good, and how old it already is (RFC 9111 §4.2); all times in seconds."""

from collections.abc import Set as AbstractSet

from proxy.core import http_date
from proxy.core.cache_control import MOST_SECONDS, Directives, seconds
from proxy.core.types import Response

# RFC 9110 §15.1
HEURISTIC = frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501})
"""The statuses whose lifetime may be guessed."""

_MOST_HEURISTIC_S = 86400.0
_LEAST_JITTERED_S = 120.0
_JITTER = 0.1
_ROUNDED_S = 1.0
"""A Date has whole seconds: up to one is no age."""


def named(
    response: Response, said: Directives, now: float, *, ignored: AbstractSet[str] = frozenset(), aimed: bool = False
) -> float | None:
    """Return the lifetime that the origin names; None where it names none but `ignored` ones (RFC 9111 §4.2.1).

    `aimed`: `said` comes from a field for caches like us, which stands for Cache-Control and Expires together
    (RFC 9213 §2.1).
    """
    for directive in ("s-maxage", "max-age"):
        if directive not in ignored and (lifetime := seconds(said, directive)) is not None:
            return lifetime
    if not aimed and "expires" not in ignored and (until := response.header(b"expires")) is not None:
        return _until(until, response, now)
    return None


def _until(expires: bytes, response: Response, now: float) -> float:
    """Return Expires − Date; an invalid Expires is in the past (RFC 9111 §5.3)."""
    date = http_date.parse(response.header(b"date") or b"", now)
    end = http_date.parse(expires, now)
    return 0.0 if end is None else max(0.0, end - (now if date is None else date))


def guessed(response: Response, said: Directives, now: float) -> float | None:
    """Return a tenth of the time since the last modification, at most a day (RFC 9111 §4.2.2)."""
    modified = http_date.parse(response.header(b"last-modified") or b"", now)
    if modified is None or (response.status not in HEURISTIC and "public" not in said):
        return None
    date = http_date.parse(response.header(b"date") or b"", now)
    return min(max(0.0, ((now if date is None else date) - modified) / 10), _MOST_HEURISTIC_S)


def age_on_arrival(response: Response, now: float, delay: float) -> float:
    """Return how old a response is that took `delay`: by its Age, or by its Date (RFC 9111 §4.2.3)."""
    return max(upstream_age(response) + delay, _apparent_age(response, now))


def _apparent_age(response: Response, now: float) -> float:
    date = http_date.parse(response.header(b"date") or b"", now)
    return 0.0 if date is None else max(0.0, now - date - _ROUNDED_S)


def upstream_age(response: Response) -> float:
    """Return the first member of Age; what is not a number counts as none (RFC 9111 §5.1)."""
    first = (response.header(b"age") or b"").partition(b",")[0].strip()
    return float(min(int(first.lstrip(b"0")[:12] or b"0"), MOST_SECONDS)) if first.isdigit() else 0.0


def jittered(ttl: float, key: bytes) -> float:
    """Return an owner's ttl up to a tenth shorter, by its key: what was stored together does not end together.

    Never longer than its owner said, and no shorter where that is two minutes or less.
    """
    share = int.from_bytes(key[:4], "big") / 2**32
    return ttl * (1 - _JITTER * share) if ttl > _LEAST_JITTERED_S else ttl
