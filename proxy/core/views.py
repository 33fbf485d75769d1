"""A whole answer as one client asked for it: 304, a part of it, or its head; cut at delivery (RFC 9110 §13, §14)."""

from dataclasses import replace

from proxy.core import http_date
from proxy.core.ranges import cut
from proxy.core.types import Request, Response
from proxy.core.validation import tags

_WITH_CONDITIONS = frozenset({"GET", "HEAD", "QUERY"})
# RFC 9110 §15.4.5: a 304 tells of the choice of representation, not of the representation.
_OF_THE_BODY = frozenset(
    {
        b"content-length", b"content-type", b"content-encoding", b"content-language", b"content-range",
        b"content-disposition", b"content-md5", b"content-digest", b"accept-ranges",
    }
)  # fmt: skip


def view(request: Request, response: Response, now: float) -> Response:
    """Return what of a complete stored `response` (its body in bytes) answers this `request`.

    A cache evaluates If-None-Match and If-Modified-Since, in this order, before Range (RFC 9111 §4.3.2,
    RFC 9110 §13.2.2).
    """
    if request.method not in _WITH_CONDITIONS:
        return response
    if response.status == 200 and is_unmodified(request, response, now):
        kept = tuple([field for field in response.headers if field[0] not in _OF_THE_BODY])
        return Response(304, kept)
    if request.method == "HEAD":
        return replace(response, body=b"")
    wanted = request.header(b"range") if request.method == "GET" else None
    return response if wanted is None else cut(response, wanted, request.header(b"if-range"))


def is_unmodified(request: Request, response: Response, now: float) -> bool:
    """Tell whether the client has this very answer already."""
    known = request.header(b"if-none-match")
    if known is not None:
        return _knows(known, response.header(b"etag"))
    since = request.header(b"if-modified-since")
    if since is None:
        return False
    modified = response.header(b"last-modified") or response.header(b"date") or b""
    at, asked = http_date.parse(modified, now), http_date.parse(since, now)
    return at is not None and asked is not None and at <= asked


def _knows(known: bytes, etag: bytes | None) -> bool:
    """Compare weakly: the same opaque tag, whatever its strength (RFC 9110 §8.8.3.2)."""
    if known.strip() == b"*":
        return True
    return etag is not None and etag.removeprefix(b"W/") in [one.removeprefix(b"W/") for one in tags(known)]
