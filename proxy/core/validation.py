"""Asking whether what is stored is still good, and what a 304 makes of it (RFC 9111 §4.3)."""

from dataclasses import replace

from proxy.core.headers import end_to_end
from proxy.core.types import Entry, Headers, Request, Response, joined

# What a client asked under its own conditions or in parts, we ask under ours and as a whole.
_CONDITIONS = frozenset({b"if-none-match", b"if-modified-since", b"range", b"if-range"})
_VALIDATORS = ((b"etag", b"if-none-match"), (b"last-modified", b"if-modified-since"))
# RFC 9111 §3.2: what describes the stored bytes stays with them.
_OF_THE_BYTES = frozenset({b"content-length", b"content-encoding", b"content-range", b"content-md5", b"content-digest"})


def has_validator(headers: Headers) -> bool:
    """Tell whether the origin can be asked about a response with these fields."""
    return any(name in {b"etag", b"last-modified"} for name, _ in headers)


def unconditional(request: Request) -> Request:
    """Return the request for the whole, whatever its client has already."""
    if request.method != "GET" or _CONDITIONS.isdisjoint(request.fields):
        return request
    return replace(request, headers=tuple([field for field in request.headers if field[0] not in _CONDITIONS]))


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
    """Return the stored response with the fields that a 304 brought (RFC 9111 §3.2)."""
    brought = tuple([field for field in end_to_end(answer.headers) if field[0] not in _OF_THE_BYTES])
    names = {name for name, _ in brought} | {b"date"}  # a stored one would tell when it was made, not when confirmed
    kept = tuple([field for field in entry.headers if field[0] not in names])
    return Response(entry.status, kept + brought, entry.body)
