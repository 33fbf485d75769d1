"""Request × Response × Rule → may it be stored, and for how long (RFC 9111 §3, §4.2.1); all times in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from proxy.core import http_date
from proxy.core.cache_control import Directives, seconds
from proxy.core.cache_control import parse as parse_cache_control
from proxy.core.headers import end_to_end
from proxy.core.reasons import Reason
from proxy.core.rules import Rule
from proxy.core.targeted import targeted
from proxy.core.types import Entry, Request, Response
from proxy.core.validation import has_validator

# What an owner's plain `ttl: 1h` is for: answers, and moves that are meant to last. Errors need a ttl of their own.
STATUSES_OF_A_PLAIN_TTL = frozenset({200, 203, 204, 300, 301, 308})
_NEEDS_MORE_THAN_A_WHOLE_ANSWER = frozenset({206, 304})
_NEVER_STALE = frozenset({"must-revalidate", "proxy-revalidate", "no-cache", "s-maxage"})
# RFC 9110 §15.1: heuristically cacheable, of those that a whole answer can have.
_HEURISTIC = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
_MOST_HEURISTIC_S = 86400.0
_ROUNDED_S = 1.0
"""A Date has whole seconds: up to one is no age."""
_UNREADABLE = -1
# RFC 9111 §5.2.2.3: the statuses whose caching we know.
_UNDERSTOOD = frozenset(status.value for status in HTTPStatus if status >= 200) - _NEEDS_MORE_THAN_A_WHOLE_ANSWER
# RFC 9111 §3.5: the origin says that an answer to somebody's credentials is for all.
_FOR_ALL = frozenset({"public", "s-maxage", "must-revalidate"})
# RFC 9111 §3.1: never stored; the request id is each client's own.
_NOT_STORED = frozenset(
    {b"proxy-authenticate", b"proxy-authentication-info", b"proxy-authorization", b"x-request-id", b"age"}
)


@dataclass(frozen=True, slots=True)
class Storing:
    """The decision: a ttl, or the reason why there is none. `age` is what the upstream says of its own cache."""

    ttl: float = 0.0
    age: float = 0.0
    reason: Reason | None = None
    vary: tuple[bytes, ...] = ()
    refresh: float = 0.0
    error: float = 0.0
    guessed: bool = False

    @property
    def is_fresh(self) -> bool:
        """Tell whether it may be used at all without asking the origin again."""
        return self.reason is None and self.ttl > self.age


def decide(request: Request, response: Response, rule: Rule, now: float, delay: float = 0.0) -> Storing:
    """Decide from the response's head whether it may be stored.

    `delay` is how long the upstream took for the head. An origin's lifetime counts from the request (RFC 9111 §4.2.3),
    an owner's from the answer.
    """
    aimed = targeted(response.headers)
    said = parse_cache_control(response.header(b"cache-control")) if aimed is None else aimed
    vary = vary_of(response)
    if "must-understand" in said and response.status not in _UNDERSTOOD:
        return Storing(reason=Reason.STATUS)
    for refusal in (
        _refused_by_kind(response, rule),
        _refused_by_origin(said, rule),
        _refused_by_identity(request, said, rule),
    ):
        if refusal:
            return Storing(reason=refusal)
    if b"*" in vary:
        return Storing(reason=Reason.VARY)
    age = _upstream_age(response)
    ttl = _explicit_ttl(response, said, rule, now, aimed=aimed is not None)
    guessed = ttl is None and rule.ttl is None and b"cookie" not in request.fields
    if guessed:  # a guess is not enough where an answer may be somebody's own
        ttl = _heuristic_ttl(response, said, now)
    if ttl is None:
        ttl = rule.ttl.get(response.status) if isinstance(rule.ttl, Mapping) else rule.ttl
    else:
        age = max(age + delay, _apparent_age(response, now))
    must_ask = "no-cache" in said and "no-cache" not in rule.override
    # what never had a lifetime has none to outlive
    refresh, error = (0.0, 0.0) if ttl is None else _grace(said, rule)
    storing = Storing(0.0 if must_ask else ttl or 0.0, age, None, vary, refresh, error, guessed=guessed)
    if storing.is_fresh or _may_be_asked_about(request, response, said, named=ttl is not None):
        return storing
    return Storing(reason=Reason.NO_CACHE if must_ask else Reason.NO_TTL)


def _refused_by_kind(response: Response, rule: Rule) -> Reason | None:
    length = content_length(response)
    content_type = response.header(b"content-type") or b""
    if response.status in _NEEDS_MORE_THAN_A_WHOLE_ANSWER or not _status_is_meant(response.status, rule):
        return Reason.STATUS
    if response.header(b"set-cookie") is not None:
        return Reason.SET_COOKIE
    if content_type.lower().startswith(b"text/event-stream"):
        return Reason.EVENT_STREAM
    if not response.framed or length == _UNREADABLE:
        return Reason.INCOMPLETE
    if length is not None and length > rule.max_object:
        return Reason.TOO_LARGE
    return None


def content_length(response: Response) -> int | None:
    """Return the body's length as its head says, None where it says nothing, -1 where it makes no sense."""
    said = response.header(b"content-length")
    if said is None:
        return None
    return int(said.lstrip(b"0")[:19] or b"0") if said.isdigit() else _UNREADABLE


def _status_is_meant(status: int, rule: Rule) -> bool:
    if rule.ttl is None:
        return True
    return status in (rule.ttl if isinstance(rule.ttl, Mapping) else STATUSES_OF_A_PLAIN_TTL)


def _refused_by_origin(said: Directives, rule: Rule) -> Reason | None:
    for directive, reason in (("no-store", Reason.NO_STORE), ("private", Reason.PRIVATE)):
        if directive in said and directive not in rule.override:
            return reason
    return None


def _refused_by_identity(request: Request, said: Directives, rule: Rule) -> Reason | None:
    if b"authorization" in rule.private_by or request.header(b"authorization") is None:
        return None
    return None if not _FOR_ALL.isdisjoint(said) else Reason.AUTHORIZATION


def _may_be_asked_about(request: Request, response: Response, said: Directives, *, named: bool) -> bool:
    """Tell whether an answer that is not fresh is stored, to ask the origin by its validator whether it still is.

    RFC 9111 §3 allows it where the origin says something, or by its status. A date alone cannot tell one client's
    answer from another's, so what was asked with a Cookie needs a tag, and a word of the origin.
    """
    if response.status >= 500 or not has_validator(response.headers):
        return False
    meant = named or "no-cache" in said or "public" in said
    if b"cookie" in request.fields:
        return meant and response.header(b"etag") is not None
    return meant or response.status in _HEURISTIC


def _grace(said: Directives, rule: Rule) -> tuple[float, float]:
    """Return how long past its ttl an answer may be served: while refreshed, and on errors (RFC 5861).

    What the origin forbids to serve stale never is (RFC 9111 §4.2.4).
    """
    if not _NEVER_STALE.isdisjoint(said.keys() - rule.override):
        return 0.0, 0.0
    refresh, error = seconds(said, "stale-while-revalidate"), seconds(said, "stale-if-error")
    return rule.refresh if refresh is None else refresh, rule.error if error is None else error


def _explicit_ttl(response: Response, said: Directives, rule: Rule, now: float, *, aimed: bool) -> float | None:
    """Return the lifetime that the origin names, if the owner does not override it.

    A field aimed at caches like us stands for Cache-Control and Expires together (RFC 9213 §2.1).
    """
    for directive in ("s-maxage", "max-age"):
        if directive not in rule.override and (named := seconds(said, directive)) is not None:
            return named
    if not aimed and "expires" not in rule.override and (until := response.header(b"expires")) is not None:
        return _until(until, response, now)
    return None


def _heuristic_ttl(response: Response, said: Directives, now: float) -> float | None:
    """Return a tenth of the time since the last modification, at most a day (RFC 9111 §4.2.2)."""
    modified = http_date.parse(response.header(b"last-modified") or b"", now)
    if modified is None or (response.status not in _HEURISTIC and "public" not in said):
        return None
    date = http_date.parse(response.header(b"date") or b"", now) or now
    return min(max(0.0, (date - modified) / 10), _MOST_HEURISTIC_S)


def _until(expires: bytes, response: Response, now: float) -> float:
    """Return Expires − Date; an invalid Expires is in the past (RFC 9111 §5.3)."""
    date = http_date.parse(response.header(b"date") or b"", now)
    end = http_date.parse(expires, now)
    return 0.0 if end is None else max(0.0, end - (now if date is None else date))


def _apparent_age(response: Response, now: float) -> float:
    """Return how long ago the origin says that it made the response (RFC 9111 §4.2.3)."""
    date = http_date.parse(response.header(b"date") or b"", now)
    return 0.0 if date is None else max(0.0, now - date - _ROUNDED_S)


def _upstream_age(response: Response) -> float:
    """Return the first member of Age; what is not a number counts as none (RFC 9111 §5.1)."""
    first = (response.header(b"age") or b"").partition(b",")[0].strip()
    return float(first[:12]) if first.isdigit() else 0.0


def vary_of(response: Response) -> tuple[bytes, ...]:
    """Return the names in Vary, lower case, sorted, each once."""
    value = response.header(b"vary")
    if not value:
        return ()
    return tuple(sorted({name.strip().lower() for name in value.split(b",") if name.strip()}))


def entry_of(response: Response, body: bytes, storing: Storing, *, rule: str, now: float, cost: float) -> Entry:
    """Make the entry of a complete response; `cost` is what the upstream took, in seconds."""
    headers = [field for field in end_to_end(response.headers) if field[0] not in _NOT_STORED]
    names = {name for name, _ in headers}
    if b"date" not in names:
        headers.append((b"date", http_date.render(now)))
    if b"content-length" not in names and response.status != 204:
        headers.append((b"content-length", b"%d" % len(body)))
    return Entry(
        status=response.status, headers=tuple(headers), body=body, stored_at=now, ttl=storing.ttl,
        age=storing.age, cost=cost, rule=rule, refresh=storing.refresh, error=storing.error,
        guessed=storing.guessed,
    )  # fmt: skip


def variants_of(vary: tuple[bytes, ...], like: Entry) -> Entry:
    """Make the marker that stands at a key whose answers differ by the request fields in `vary`.

    Its body is its generation: variants of an earlier one are never found again.
    """
    return Entry(0, (), b"%r" % like.stored_at, like.stored_at, like.ttl, like.age, rule=like.rule, vary=vary)
