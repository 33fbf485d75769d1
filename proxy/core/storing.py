"""Request × Response × Rule → may it be stored, and for how long (RFC 9111 §3); all times in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from http import HTTPStatus

from proxy.core import http_date, lifetime
from proxy.core.cache_control import Directives, fields, seconds
from proxy.core.cache_control import parse as parse_cache_control
from proxy.core.headers import end_to_end
from proxy.core.partial import content_range
from proxy.core.reasons import Reason
from proxy.core.rules import Rule
from proxy.core.targeted import groups, targeted
from proxy.core.types import Entry, Request, Response
from proxy.core.validation import OURS, has_validator

# What an owner's plain `ttl: 1h` is for: answers, and moves that are meant to last. Errors need a ttl of their own.
STATUSES_OF_A_PLAIN_TTL = frozenset({200, 203, 204, 300, 301, 308})
_NEVER_STALE = frozenset({"must-revalidate", "proxy-revalidate", "no-cache", "s-maxage"})
_UNREADABLE = -1
# RFC 9111 §5.2.2.3: the statuses whose caching we know.
_UNDERSTOOD = frozenset(status.value for status in HTTPStatus if status >= 200) - {304}
# RFC 9111 §3.5: the origin says that an answer to somebody's credentials is for all.
_FOR_ALL = frozenset({"public", "s-maxage", "must-revalidate"})
# RFC 9111 §3.1: never stored; the request id is each client's own.
_NOT_STORED = frozenset(
    {b"proxy-authenticate", b"proxy-authentication-info", b"proxy-authorization", b"x-request-id", b"age"}
)
FOR_ONE = _NOT_STORED - {b"age"}
"""What those who wait for another's answer do not get of it."""
# RFC 9111 §4.1: what an origin makes of the fields that we write ourselves, no client's fields tell.
_WRITTEN_BY_US = frozenset({b"*", b"x-forwarded-for", b"x-request-id", b"via"})
# An answer that may not keep these is not kept: without them its body would be read as something else.
_NEVER_WITHHELD = frozenset({b"content-encoding", b"content-type", b"content-range", b"vary", b"cache-control"})
_MOST_TAGGED_BYTES = 2**22
"""Four milliseconds of hashing: nobody else is served meanwhile."""


@dataclass(frozen=True, slots=True)
class Storing:
    """The decision: a ttl, or the reason why there is none.

    `age` is how old the answer already is; `withheld` are the fields that must not be kept with it; `strict`: it must
    never be served stale. `by_owner`: the ttl is its owner's.
    """

    ttl: float = 0.0
    age: float = 0.0
    reason: Reason | None = None
    vary: tuple[bytes, ...] = ()
    refresh: float = 0.0
    error: float = 0.0
    guessed: bool = False
    strict: bool = False
    withheld: frozenset[bytes] = frozenset()
    by_owner: bool = field(default=False, compare=False)

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
    said, withheld = _qualified(said, rule)
    vary = vary_of(response)
    if reason := _refused(request, response, said, withheld, rule):
        return Storing(reason=reason)
    ttl = lifetime.named(response, said, now, ignored=rule.override, aimed=aimed is not None)
    guessed = ttl is None and rule.ttl is None and b"cookie" not in request.fields
    if guessed:  # a guess is not enough where an answer may be somebody's own
        ttl = lifetime.guessed(response, said, now)
    by_owner = ttl is None
    if ttl is None:
        ttl, age = _owners_ttl(response.status, rule), lifetime.upstream_age(response)
    else:
        age = lifetime.age_on_arrival(response, now, delay)
    must_ask = "no-cache" in said and "no-cache" not in rule.override
    # what never had a lifetime has none to outlive
    strict = ttl is None or not _NEVER_STALE.isdisjoint(said.keys() - rule.override)
    refresh, error = (0.0, 0.0) if strict else _grace(said, rule)
    storing = Storing(
        0.0 if must_ask else ttl or 0.0, age, None, vary, refresh, error, guessed, strict, withheld, by_owner
    )
    if storing.is_fresh or _may_be_asked_about(request, response, said, named=ttl is not None):
        return storing
    return Storing(reason=Reason.NO_CACHE if must_ask else Reason.NO_TTL)


def _qualified(said: Directives, rule: Rule) -> tuple[Directives, frozenset[bytes]]:
    """Return what is said of the whole answer, and the fields of which more is said (RFC 9111 §5.2.2.4, §5.2.2.7).

    Those are left out of what is stored, which both no-cache and private allow (RFC 9111 §3.1).
    """
    withheld: frozenset[bytes] = frozenset()
    for directive in ("no-cache", "private"):
        named = fields(said, directive)
        if named and named.isdisjoint(_NEVER_WITHHELD):
            said = {name: value for name, value in said.items() if name != directive}
            withheld |= frozenset() if directive in rule.override else named
    return said, withheld


def _refused(
    request: Request, response: Response, said: Directives, withheld: frozenset[bytes], rule: Rule
) -> Reason | None:
    """Return the first reason against storing, in the order in which they are told."""
    length = content_length(response)
    content_type = (response.header(b"content-type") or b"").lower()
    for_all = b"authorization" in rule.private_by or not _FOR_ALL.isdisjoint(said)
    reasons = (
        (Reason.STATUS, "must-understand" in said and response.status not in _UNDERSTOOD),
        (Reason.STATUS, response.status == 304 or not _status_is_meant(response.status, rule)),
        (Reason.RANGE, not _is_whole_or_the_part(request, response)),
        (Reason.SET_COOKIE, b"set-cookie" not in withheld and response.header(b"set-cookie") is not None),
        (Reason.EVENT_STREAM, content_type.startswith(b"text/event-stream")),
        (Reason.INCOMPLETE, not response.framed or length == _UNREADABLE),
        (Reason.TOO_LARGE, length is not None and length > rule.max_object),
        # RFC 9111 §5.2.2.3: for those who know the status, must-understand takes the place of no-store
        (Reason.NO_STORE, "no-store" in said and "must-understand" not in said and "no-store" not in rule.override),
        (Reason.PRIVATE, "private" in said and "private" not in rule.override),
        (Reason.AUTHORIZATION, b"authorization" in request.fields and not for_all),
        (Reason.VARY, not _WRITTEN_BY_US.isdisjoint(vary_of(response))),
    )
    return next((reason for reason, holds in reasons if holds), None)


def _is_whole_or_the_part(request: Request, response: Response) -> bool:
    """Tell whether it answers the whole question, or says which part of its answer it is (RFC 9111 §3.3)."""
    if response.status != 206:
        return b"range" not in request.fields or response.status == 200
    return b"range" in request.fields and content_range(response.header(b"content-range")) is not None


def content_length(response: Response) -> int | None:
    """Return the body's length as its head says, None where it says nothing, -1 where it makes no sense."""
    said = response.header(b"content-length")
    if said is None:
        return None
    return int(said.lstrip(b"0")[:19] or b"0") if said.isdigit() else _UNREADABLE


def _status_is_meant(status: int, rule: Rule) -> bool:
    if rule.ttl is None:
        return True
    whole = 200 if status == 206 else status  # a part of what is meant
    return whole in (rule.ttl if isinstance(rule.ttl, Mapping) else STATUSES_OF_A_PLAIN_TTL)


def _owners_ttl(status: int, rule: Rule) -> float | None:
    return rule.ttl.get(200 if status == 206 else status) if isinstance(rule.ttl, Mapping) else rule.ttl


def _may_be_asked_about(request: Request, response: Response, said: Directives, *, named: bool) -> bool:
    """Tell whether an answer that is not fresh is stored, to ask the origin by its validator whether it still is.

    RFC 9111 §3 allows it where the origin says something, or by its status. A date alone cannot tell one client's
    answer from another's, so what was asked with a Cookie needs a tag, and a word of the origin.
    """
    if response.status >= 500 or response.status == 206 or not has_validator(response.headers):
        return False
    meant, by_status = named or "public" in said, response.status in lifetime.HEURISTIC
    if b"cookie" in request.fields:
        return (meant or (by_status and "no-cache" in said)) and response.header(b"etag") is not None
    return meant or by_status


def _grace(said: Directives, rule: Rule) -> tuple[float, float]:
    """Return how long past its ttl an answer may be served: while refreshed, and on errors (RFC 5861)."""
    refresh, error = seconds(said, "stale-while-revalidate"), seconds(said, "stale-if-error")
    return rule.refresh if refresh is None else refresh, rule.error if error is None else error


def vary_of(response: Response) -> tuple[bytes, ...]:
    """Return the names in Vary, lower case, sorted, each once."""
    value = response.header(b"vary")
    if not value:
        return ()
    return tuple(sorted({name.strip().lower() for name in value.split(b",") if name.strip()}))


def entry_of(
    response: Response,
    body: bytes,
    storing: Storing,
    rule: Rule,
    *,
    now: float,
    cost: float,
    host: bytes = b"",
    key: bytes = b"",
) -> Entry:
    """Make the entry of a complete response; `cost` is what the upstream took, in seconds.

    `host` scopes its groups; an owner's ttl ends a little earlier or later by its `key`.
    """
    left_out = _NOT_STORED | storing.withheld
    headers = [field for field in end_to_end(response.headers) if field[0] not in left_out]
    names = {name for name, _ in headers}
    if b"date" not in names:
        headers.append((b"date", http_date.render(now)))
    if b"content-length" not in names and response.status != 204:
        headers.append((b"content-length", b"%d" % len(body)))
    ttl = lifetime.jittered(storing.ttl, key) if storing.by_owner else storing.ttl
    return Entry(
        status=response.status, headers=tuple(headers), body=body, stored_at=now, ttl=ttl, age=storing.age, cost=cost,
        rule=rule.name, refresh=storing.refresh, error=storing.error,
        guessed=storing.guessed, strict=storing.strict, groups=groups_of(response, host),
        tag=_tag(response, body) if rule.ttl is not None else b"",
    )  # fmt: skip


def _tag(response: Response, body: bytes) -> bytes:
    """Return a tag of ours where the origin gives nothing to ask by: the same for the same bytes."""
    if response.status != 200 or has_validator(response.headers) or len(body) > _MOST_TAGGED_BYTES:
        return b""
    coding = response.header(b"content-encoding") or b""
    return OURS % blake2b(body, key=coding[:64], digest_size=12).hexdigest().encode("ascii")


def groups_of(response: Response, host: bytes, name: bytes = b"cache-groups") -> tuple[bytes, ...]:
    """Return the groups that a field names, each within its origin (RFC 9875 §2)."""
    return tuple([b"%b %b" % (host, group.encode()) for group in groups(response.header(name))])
