"""Parts of an answer, cut out of what is stored whole (RFC 9110 §14).

A span is what a slice takes: its first byte and the one behind its last.
"""

import re
from dataclasses import replace
from hashlib import blake2b
from itertools import pairwise

from proxy.core import http_date
from proxy.core.types import Headers, Response

Span = tuple[int, int]
MOST_BYTES = 4096
MOST_RANGES = 32
MOST_STEPS_BACK = 2

_HEAD_OF_BODY = 4096
_RANGE = re.compile(rb"([0-9]{0,20})-([0-9]{0,20})")
# Content-Digest and Content-MD5 are of the bytes in the message, which are now others (RFC 9530 §2).
OF_THE_BYTES_SENT = frozenset({b"content-length", b"content-range", b"content-digest", b"content-md5"})
# What speaks of a representation, or of how long it may be reused, says nothing about a 416.
_OF_THE_REPRESENTATION = OF_THE_BYTES_SENT | {
    b"content-type", b"content-encoding", b"content-language", b"content-location", b"content-disposition",
    b"repr-digest", b"digest", b"etag", b"last-modified", b"age", b"cache-control", b"expires", b"pragma",
    b"cdn-cache-control", b"frontrunner-cache-control", b"surrogate-control",
}  # fmt: skip


def ranges(value: bytes, size: int) -> tuple[Span, ...] | None:
    """Read Range for `size` bytes: () where none of it can be satisfied, None where it is to be ignored (RFC 9110 §14.2).

    Ignored is what is malformed or in another unit, any range of nothing, more than 32 ranges, more than two steps
    back, and what adds up to more than the whole: the whole answer serves these better.
    """
    unit, _, listed = value.strip(b" \t").partition(b"=")
    if unit.lower() != b"bytes" or listed[:1] in {b" ", b"\t"} or len(value) > MOST_BYTES or not size:
        return None
    asked = [spec for spec in [spec.strip(b" \t") for spec in listed.split(b",")] if spec]
    if not 1 <= len(asked) <= MOST_RANGES:
        return None
    spans: list[Span] = []
    for spec in asked:
        span = _span(spec, size)
        if span is None:
            return None
        if span[0] < span[1]:
            spans.append(span)
    return None if _is_excessive(spans, size) else tuple(spans)


def _span(spec: bytes, size: int) -> Span | None:
    """Read one range (RFC 9110 §14.1.2): None where it is malformed, empty where it lies outside."""
    found = _RANGE.fullmatch(spec)
    if found is None or spec == b"-":
        return None
    first, last = found[1], found[2]
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size


def _is_excessive(spans: list[Span], size: int) -> bool:
    steps_back = sum([after[0] < before[1] for before, after in pairwise(spans)])
    return steps_back > MOST_STEPS_BACK or sum([end - start for start, end in spans]) > size


def cut(response: Response, range_value: bytes | None, if_range: bytes | None = None) -> Response:
    """Cut what Range asks for out of a complete answer to a GET: 206, 416, or the answer as it is (RFC 9110 §14.2)."""
    body = response.body
    if range_value is None or response.status != 200 or not isinstance(body, bytes):
        return response
    spans = ranges(range_value, len(body)) if is_current(response, if_range) else None
    if spans is None:
        return response
    if not spans:
        return _unsatisfiable(response, len(body))
    if len(spans) == 1:
        return single(response, body[slice(*spans[0])], spans[0], len(body))
    return _multipart(response, body, spans)


def is_current(response: Response, if_range: bytes | None) -> bool:
    """Tell whether If-Range holds, which only a strong validator can make it do (RFC 9110 §13.1.5)."""
    if if_range is None:
        return True
    if if_range.startswith(b'"'):
        return if_range == response.header(b"etag")
    modified = response.header(b"last-modified")
    return modified == if_range and _is_strong(modified, response.header(b"date") or b"")


def _is_strong(modified: bytes, date: bytes) -> bool:
    """Tell whether nothing can have changed within the second of Last-Modified (RFC 9110 §8.8.2.2)."""
    sent = http_date.parse(date, 0.0)
    changed = None if sent is None else http_date.parse(modified, sent)
    return sent is not None and changed is not None and sent - changed >= 1


def single(response: Response, body: bytes, span: Span, size: int) -> Response:
    """Write the 206 of one span (RFC 9110 §15.3.7)."""
    headers = (*_without(response.headers, OF_THE_BYTES_SENT), (b"content-range", _held(span, size)), _length(body))
    return replace(response, status=206, headers=headers, body=body)


def _multipart(response: Response, whole: bytes, spans: tuple[Span, ...]) -> Response:
    """Write multipart/byteranges (RFC 9110 §14.6), or the answer as it is where a forged boundary stands in it."""
    boundary = _boundary(response, whole)
    if boundary in whole:
        return response
    media_type = response.header(b"content-type")
    opening = b"--%b\r\n" % boundary + (b"content-type: %b\r\n" % media_type if media_type else b"")
    parts = [
        opening + b"content-range: %b\r\n\r\n" % _held(span, len(whole)) + whole[slice(*span)] for span in spans
    ]  # fmt: skip
    body = b"\r\n".join([*parts, b"--%b--\r\n" % boundary])
    headers = _without(response.headers, OF_THE_BYTES_SENT | {b"content-type"})
    kind = (b"content-type", b"multipart/byteranges; boundary=" + boundary)
    return replace(response, status=206, headers=(*headers, kind, _length(body)), body=body)


def _boundary(response: Response, body: bytes) -> bytes:
    """Return the same boundary for the same representation, without dice."""
    seed = b"%b %d " % (response.header(b"etag") or b"", len(body)) + body[:_HEAD_OF_BODY]
    return blake2b(seed, digest_size=16).hexdigest().encode("ascii")


def _unsatisfiable(response: Response, size: int) -> Response:
    """Write the 416 (RFC 9110 §15.5.17)."""
    headers = _without(response.headers, _OF_THE_REPRESENTATION)
    added = ((b"content-range", b"bytes */%d" % size), _length(b""))
    return replace(response, status=416, headers=headers + added, body=b"")


def _without(headers: Headers, names: frozenset[bytes]) -> Headers:
    return tuple([field for field in headers if field[0] not in names])


def _held(span: Span, size: int) -> bytes:
    return b"bytes %d-%d/%d" % (span[0], span[1] - 1, size)


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % len(body)
