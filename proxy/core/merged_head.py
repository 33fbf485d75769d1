"""The heads of parts' answers → the head of their merged answer: in doubt the stricter word, or none at all."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from proxy.core import cache_control, http_date
from proxy.core.cache_control import OF_FIELDS, Directives
from proxy.core.freshness import age_of
from proxy.core.headers import HOP_BY_HOP
from proxy.core.lifetime import upstream_age
from proxy.core.reasons import Reason
from proxy.core.types import Entry, Headers, Response, by_name
from proxy.errors import Fallback

# What is one client's own, is about one part, or counts parts: no merged answer can have it.
_NEVER_MERGED = frozenset(
    {
        b"set-cookie", b"set-cookie2", b"content-range", b"x-total-count", b"x-total", b"x-count", b"x-result-count",
        b"x-total-results", b"x-total-pages", b"x-pagination",
    }
)  # fmt: skip
# How the body is to be read, who may see it and what may be done with it: one of them must not speak for another.
_THE_SAME_IN_ALL = frozenset(
    {
        # the body
        b"content-type", b"content-language", b"content-disposition", b"link", b"location",
        b"refresh", b"sourcemap",
        # security
        b"content-security-policy", b"content-security-policy-report-only", b"strict-transport-security",
        b"www-authenticate", b"proxy-authenticate", b"authentication-info", b"x-content-type-options",
        b"x-frame-options", b"x-xss-protection", b"x-permitted-cross-domain-policies", b"x-download-options",
        b"x-robots-tag", b"referrer-policy", b"permissions-policy", b"feature-policy", b"document-policy",
        b"cross-origin-embedder-policy", b"cross-origin-embedder-policy-report-only", b"cross-origin-opener-policy",
        b"cross-origin-opener-policy-report-only", b"cross-origin-resource-policy", b"origin-agent-cluster",
        b"timing-allow-origin", b"clear-site-data", b"integrity-policy", b"public-key-pins", b"expect-ct",
        b"service-worker-allowed", b"no-vary-search",
        # caching, in words that are for others
        b"cdn-cache-control", b"surrogate-control", b"edge-control",
    }
)  # fmt: skip
_THE_SAME_IN_ALL_FROM = (b"access-control-", b"x-content-security-policy", b"x-webkit-csp")
# What tells of a part's own bytes, or of its own way here; it is made anew where the merged answer has one.
_DROPPED = HOP_BY_HOP | {
    b"etag", b"last-modified", b"content-md5", b"digest", b"content-digest", b"repr-digest", b"unencoded-digest",
    b"signature", b"signature-input", b"content-length", b"content-encoding", b"accept-ranges", b"age", b"server-timing",
    b"x-request-id", b"x-correlation-id", b"x-amzn-requestid", b"x-amzn-trace-id", b"traceparent", b"tracestate",
    b"traceresponse", b"x-runtime", b"x-response-time",
}  # fmt: skip

# A directive that only permits needs the word of all; one that restricts, that of one (RFC 9111 §5.2.2).
_PERMITS = frozenset({"public", "immutable", "must-understand"})
_RESTRICTS = frozenset({"no-store", "no-cache", "private", "must-revalidate", "proxy-revalidate", "no-transform"})
_GRACE = frozenset({"stale-while-revalidate", "stale-if-error"})
_LIFETIMES = frozenset({"max-age", "s-maxage"})


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer to one part or more, `age` seconds old now; None where nobody said that it has one."""

    status: int
    headers: Headers
    age: float | None = None


def head_of_entry(entry: Entry, now: float) -> Head:
    """Return the head of a part that was stored."""
    return Head(entry.status, entry.headers, age_of(entry, now))


def head_of_response(response: Response) -> Head:
    """Return the head of an answer that came just now."""
    return Head(response.status, response.headers, upstream_age(response) if response.header(b"age") else None)


def merged_head(heads: Sequence[Head], length: int, now: float) -> Headers:
    """Return the fields of the answer with `length` bytes that at least one head's parts make up.

    Raises Fallback where these do not go together: a status that is not 200, a Set-Cookie, fields that differ and
    must not. Freshness is the most restrictive, Age the oldest (RFC 9111 §4.2.3); Vary names what any varies by;
    validators, digests and lengths of the parts are gone; of the rest stays what is equal in all.
    """
    if any(head.status != 200 for head in heads):
        raise Fallback(Reason.MERGED_HEAD)
    read = [by_name(headers) for headers in dict.fromkeys(head.headers for head in heads)]
    names = dict.fromkeys([name for fields in read for name in fields if name not in _DROPPED])
    merged = [(name, value) for name in names if (value := _value(name, read, now)) is not None]
    if b"cache-control" not in names and (directives := _freshness(read, now)):
        merged.append((b"cache-control", directives))
    merged.append((b"content-length", b"%d" % length))
    ages = [head.age for head in heads if head.age is not None]
    return (*merged, (b"age", b"%d" % max(ages))) if ages else tuple(merged)


Fields = Mapping[bytes, bytes]


def _value(name: bytes, read: Sequence[Fields], now: float) -> bytes | None:
    """Return what the merged answer says there, None where it says nothing."""
    values = [fields.get(name) for fields in read]
    if name in _NEVER_MERGED:
        raise Fallback(Reason.MERGED_HEAD)
    if name in _BY_RULE:
        return _BY_RULE[name](read, now)
    if all(value == values[0] for value in values):
        return values[0]
    if name in _THE_SAME_IN_ALL or name.startswith(_THE_SAME_IN_ALL_FROM):
        raise Fallback(Reason.MERGED_HEAD)
    return None


def _all_of(name: bytes, separator: bytes) -> Callable[[Sequence[Fields], float], bytes]:
    """Return the rule for a list of which the merged answer has what any part has."""

    def unite(read: Sequence[Fields], _: float) -> bytes:
        return separator.join(dict.fromkeys([fields[name] for fields in read if name in fields]))

    return unite


def _vary(read: Sequence[Fields], now: float) -> bytes:
    """Return the names that any part varies by, each once where parts differ (RFC 9110 §12.5.5)."""
    if len({fields.get(b"vary") for fields in read}) == 1:
        return read[0][b"vary"]
    words: dict[bytes, bytes] = {}
    for word in _all_of(b"vary", b",")(read, now).split(b","):
        words.setdefault(word.strip().lower(), word.strip())
    words.pop(b"", None)
    return b"*" if b"*" in words else b", ".join(words.values())


def _oldest_date(read: Sequence[Fields], now: float) -> bytes:
    dates = [http_date.parse(fields.get(b"date", b""), now) for fields in read]
    return http_date.render(min([now if date is None else date for date in dates]))


def _earliest_expires(read: Sequence[Fields], now: float) -> bytes | None:
    """Return the first moment at which one expires, none where one does not say; no date is a past one (§5.3)."""
    values = [fields.get(b"expires") for fields in read]
    if None in values:
        return None
    return min([value for value in values if value is not None], key=lambda value: http_date.parse(value, now) or 0.0)


def _freshness(read: Sequence[Fields], now: float) -> bytes | None:
    """Merge Cache-Control; None where there is none and none is needed."""
    values = [fields.get(b"cache-control") for fields in read]
    expires = {fields.get(b"expires") for fields in read}
    if all(value == values[0] for value in values) and (len(expires) == 1 or b"max-age" in (values[0] or b"")):
        return values[0]
    said = [cache_control.parse(value) for value in values]
    merged: dict[str, str | None] = {}
    for name in dict.fromkeys([name for directives in said for name in directives]):
        having = [directives for directives in said if name in directives]
        if name in _RESTRICTS:
            merged[name] = _about(name, having)
        elif name in _GRACE and len(having) == len(said):
            merged[name] = _least([cache_control.seconds(directives, name) for directives in said])
        elif name in _PERMITS and len(having) == len(said):
            merged[name] = None
        elif name not in _GRACE | _PERMITS | _LIFETIMES:
            merged[name] = _unknown(name, said)
    return _written(merged | _lifetimes(said, read, now))


def _unknown(name: str, said: Sequence[Directives]) -> str | None:
    """Return the argument that all give; nobody knows whether such a directive permits or restricts."""
    if any(name not in one or one[name] != said[0].get(name) for one in said):
        raise Fallback(Reason.MERGED_HEAD)
    return said[0][name]


def _about(name: str, having: Sequence[Directives]) -> str | None:
    """Return the fields that a no-cache or private is about in all; None, for all fields, where one names none."""
    named = [cache_control.fields(directives, name) for directives in having]
    if name not in OF_FIELDS or not all(named):
        return None
    return ", ".join(sorted(one.decode("latin-1") for one in frozenset().union(*named)))


def _lifetimes(said: Sequence[Directives], read: Sequence[Fields], now: float) -> dict[str, str | None]:
    """Return the shortest lifetimes; where one names some, another that names none has none."""
    own = [_own_lifetime(directives, fields, now) for directives, fields in zip(said, read, strict=True)]
    shared = [
        lifetime if (seconds := cache_control.seconds(directives, "s-maxage")) is None else seconds
        for directives, lifetime in zip(said, own, strict=True)
    ]
    merged: dict[str, str | None] = {}
    if any("max-age" in directives for directives in said) or len({one is None for one in own}) == 2:
        merged["max-age"] = _least(own)
    if any("s-maxage" in directives for directives in said):
        merged["s-maxage"] = _least(shared)
    return merged


def _own_lifetime(directives: Directives, fields: Fields, now: float) -> float | None:
    """Return how long a client may keep it: by max-age, else by Expires (RFC 9111 §4.2.1)."""
    lifetime = cache_control.seconds(directives, "max-age")
    if lifetime is not None or b"expires" not in fields:
        return lifetime
    end, date = (http_date.parse(fields.get(name, b""), now) for name in (b"expires", b"date"))
    return 0.0 if end is None else max(0.0, end - (now if date is None else date))


def _least(seconds: Collection[float | None]) -> str:
    return str(int(min([0.0 if one is None else one for one in seconds])))


def _written(directives: Directives) -> bytes | None:
    """Write Cache-Control; more than one word stands in quotes (RFC 9111 §5.2)."""
    words = []
    for name, argument in directives.items():
        quote = "" if argument is None or argument.isalnum() else '"'
        words.append(name if argument is None else f"{name}={quote}{argument}{quote}")
    return ", ".join(words).encode("latin-1") or None


_BY_RULE: Mapping[bytes, Callable[[Sequence[Fields], float], bytes | None]] = {
    b"cache-control": _freshness,
    b"date": _oldest_date,
    b"expires": _earliest_expires,
    b"pragma": _all_of(b"pragma", b", "),
    b"vary": _vary,
    # by what caches between here and the client invalidate
    b"cache-groups": _all_of(b"cache-groups", b", "),
    b"cache-tag": _all_of(b"cache-tag", b","),
    b"surrogate-key": _all_of(b"surrogate-key", b" "),
    b"xkey": _all_of(b"xkey", b" "),
}
