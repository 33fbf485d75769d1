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
_VALIDATORS = ((b"etag", b"if-none-match"), (b"last-modified", b"if-modified-since"))
# RFC 9111 §3.2: what describes the stored bytes stays with them.
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


def unconditional(request: Request) -> Request:
    """Return the request for the whole, whatever its client has already."""
    if request.method not in VALIDATED or CONDITIONS.isdisjoint(request.fields):
        return request
    return replace(request, headers=tuple([field for field in request.headers if field[0] not in CONDITIONS]))


def validating(request: Request, entry: Entry) -> Request:
    """Return the request that asks whether `entry` is still good (RFC 9111 §4.3.1)."""
    whole = unconditional(request)
    ours = [(condition, value) for name, condition in _VALIDATORS if (value := joined(entry.headers, name)) is not None]
    return replace(whole, headers=(*whole.headers, *ours))


def confirms(entry: Entry, answer: Response) -> bool:
    """Tell whether a 304 is about this entry: it names no other validator than the stored one (RFC 9111 §4.3.4)."""
    for validator, _ in _VALIDATORS:  # a tag says more than a date
        named, stored = answer.header(validator), joined(entry.headers, validator)
        if named is not None and stored is not None:
            return named.removeprefix(b"W/") == stored.removeprefix(b"W/")
    return True


def freshened(entry: Entry, answer: Response) -> Response:
    """Return the stored response with the fields that a 304 brought (RFC 9111 §3.2).

    It can neither make a weak tag strong nor take a field out of Vary: servers send such a 304 for what they compress.
    """
    left_aside = _OF_THE_BYTES
    if (joined(entry.headers, b"etag") or b"").startswith(b"W/"):
        left_aside |= {b"etag"}
    if _members(joined(entry.headers, b"vary")) >= _members(answer.header(b"vary")):
        left_aside |= {b"vary"}
    brought = tuple([field for field in end_to_end(answer.headers) if field[0] not in left_aside])
    # a stored Date would tell when it was made, not when confirmed; a Vary that says more is told beside the stored one
    names = {name for name, _ in brought} - {b"vary"} | {b"date"}
    kept = tuple([field for field in entry.headers if field[0] not in names])
    return Response(entry.status, kept + brought, entry.body)


def _members(value: bytes | None) -> set[bytes]:
    return {member.strip() for member in (value or b"").lower().split(b",")} - {b""}


def agrees(entry: Entry, answer: Response) -> bool:
    """Tell whether the answer to a HEAD is about the stored answer to a GET (RFC 9111 §4.3.5)."""
    length, stored = answer.header(b"content-length"), joined(entry.headers, b"content-length")
    same_length = length is None or length == stored
    return answer.status == entry.status and same_length and confirms(entry, answer)
