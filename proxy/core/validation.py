"""Asking whether what is stored is still good, and what a 304 makes of it (RFC 9111 §4.3)."""

import re
from dataclasses import replace

from proxy.core.headers import end_to_end
from proxy.core.types import Entry, Headers, Request, Response, joined

OURS = b'"fr-%b"'
"""The form of a tag that we give to an answer whose origin has none; the origin is never asked by it."""

_TAG = re.compile(rb'(?:W/)?"[^"]*+"')
_TAG_OF_OURS = re.compile(rb'(?:W/)?"fr-[0-9a-f]{24}"')
VALIDATED = frozenset({"GET", "QUERY"})
"""The methods whose stored answers the origin can be asked about."""

# What a client asked under its own conditions or in parts, we ask under ours and as a whole.
CONDITIONS = frozenset({b"if-none-match", b"if-modified-since", b"range", b"if-range"})
_CREDENTIALS = frozenset({b"authorization", b"cookie", b"proxy-authorization"})
_VALIDATORS = ((b"etag", b"if-none-match"), (b"last-modified", b"if-modified-since"))
# RFC 9111 §3.2: what describes the stored bytes stays with them.
_OF_CACHING = frozenset(
    {
        b"age", b"cache-control", b"date", b"etag", b"expires", b"last-modified", b"vary", b"cdn-cache-control",
        b"frontrunner-cache-control",
    }
)  # fmt: skip
_OF_THE_BYTES = frozenset({b"content-length", b"content-encoding", b"content-range", b"content-md5", b"content-digest"})


def tags(value: bytes) -> list[bytes]:
    """Return the entity tags in If-None-Match."""
    return _TAG.findall(value)


def asks_conditionally(request: Request) -> bool:
    """Tell whether the origin may answer with a 304, which is of use to nobody else; it knows no tag of ours."""
    known = request.fields.get(b"if-none-match")
    if known is None:
        return b"if-modified-since" in request.fields
    return not all(_TAG_OF_OURS.fullmatch(tag) for tag in tags(known)) or not tags(known)


def has_validator(headers: Headers) -> bool:
    """Tell whether the origin can be asked about a response with these fields."""
    return any(name in {b"etag", b"last-modified"} for name, _ in headers)


_OF_ONE_CLIENT = frozenset(
    {b"cache-control", b"pragma", b"prefer", b"priority", b"range", b"if-range", b"frontrunner-shadow"}
)
"""How one client wants to be answered; where nobody waits, it would decide what all others get."""


def unconditional(request: Request) -> Request:
    """Return the request for the whole, whatever its client has already."""
    if request.method not in VALIDATED or CONDITIONS.isdisjoint(request.fields):
        return request
    return replace(request, headers=tuple([field for field in request.headers if field[0] not in CONDITIONS]))


def for_nobody(request: Request) -> Request:
    """Return the request for the whole, without what its client wants of this one answer."""
    whole = unconditional(request)
    kept = tuple([field for field in whole.headers if field[0] not in _OF_ONE_CLIENT])
    return whole if len(kept) == len(whole.headers) else replace(whole, headers=kept)


def validating(request: Request, entry: Entry) -> Request:
    """Return the request that asks whether `entry` is still good (RFC 9111 §4.3.1)."""
    whole = unconditional(request)
    ours = [(condition, value) for name, condition in _VALIDATORS if (value := joined(entry.headers, name)) is not None]
    return replace(whole, headers=(*whole.headers, *ours))


def confirms(entry: Entry, answer: Response) -> bool:
    """Tell whether a 304 is about this entry: it names no other validator than the stored one (RFC 9111 §4.3.4)."""
    named = [name for name, _ in _VALIDATORS if answer.header(name) is not None]
    both = [name for name in named if joined(entry.headers, name) is not None]
    return _is_same(both[0], entry, answer) if both else not named  # a tag says more than a date


def _is_same(name: bytes, entry: Entry, answer: Response) -> bool:
    told, stored = answer.header(name), joined(entry.headers, name)
    if told is None or stored is None:
        return False
    return told.removeprefix(b"W/") == stored.removeprefix(b"W/")


def freshened(entry: Entry, answer: Response, *, for_one: bool = False) -> Response:
    """Return the stored response with the fields that a 304 brought (RFC 9111 §3.2).

    What came `for_one` client (its request had credentials) says how long the answer is good, and nothing else of it.
    It can neither make a weak tag strong nor take a field out of Vary: servers send such a 304 for what they compress.
    """
    left_aside = _OF_THE_BYTES
    if (joined(entry.headers, b"etag") or b"").startswith(b"W/"):
        left_aside |= {b"etag"}
    if _members(joined(entry.headers, b"vary")) >= _members(answer.header(b"vary")):
        left_aside |= {b"vary"}
    brought = tuple([field for field in end_to_end(answer.headers) if field[0] not in left_aside])
    if for_one:
        brought = tuple([field for field in brought if field[0] in _OF_CACHING])
    # a stored Date would tell when it was made, not when confirmed; a Vary that says more is told beside the stored one
    names = {name for name, _ in brought} - {b"vary"} | {b"date"}
    kept = tuple([field for field in entry.headers if field[0] not in names])
    return Response(entry.status, kept + brought, entry.body)


def _members(value: bytes | None) -> set[bytes]:
    return {member.strip() for member in (value or b"").lower().split(b",")} - {b""}


def head_says(entry: Entry, answer: Response) -> bool | None:
    """Tell by the answer to a HEAD whether the stored answer to its GET is still good (RFC 9111 §4.3.5).

    True: by its validators it is; False: it is another one, or gone; None: that it does not say.
    """
    if answer.status in {404, 410} and entry.status != answer.status:
        return False
    if answer.status != 200 or entry.status != 200:
        return None
    names = [name for name in (b"etag", b"last-modified", b"content-length") if answer.header(name) is not None]
    if not all(_is_same(name, entry, answer) for name in names):
        return False
    return True if set(names) - {b"content-length"} else None


def has_credentials(request: Request) -> bool:
    """Tell whether the answer may be its client's own."""
    return not _CREDENTIALS.isdisjoint(request.fields)
