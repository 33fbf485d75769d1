"""Partial answers: what of a representation is held, what is missing, and both put together (RFC 9111 §3.3, §3.4)."""

import re
from dataclasses import dataclass, replace
from typing import cast

from proxy.core.headers import end_to_end
from proxy.core.ranges import OF_THE_BYTES_SENT, Span, is_current, ranges, single
from proxy.core.types import Entry, Request, Response
from proxy.core.validation import unconditional

# Where these differ, the tag is not to be believed.
_OF_THE_CODING = (b"content-encoding", b"content-type")
_CONTENT_RANGE = re.compile(rb"(?i:bytes) ([0-9]{1,20})-([0-9]{1,20})/([0-9]{1,20})")


@dataclass(frozen=True, slots=True)
class Held:
    """Which bytes of a representation a 206 holds: from `start` up to, not including, `end`, of `size` in all."""

    start: int
    end: int
    size: int


def content_range(value: bytes | None) -> Held | None:
    """Read which bytes a 206 holds; None where it does not say so, or not of how many (RFC 9110 §14.4)."""
    found = _CONTENT_RANGE.fullmatch(value or b"")
    if found is None:
        return None
    first, last, size = (int(number) for number in found.groups())
    return Held(first, last + 1, size) if first <= last < size else None


def held(response: Response) -> Held | None:
    """Return which bytes a complete 206 (its body in bytes) holds; None where its body is not as long as it says."""
    said = content_range(response.header(b"content-range")) if response.status == 206 else None
    if said is None or not isinstance(response.body, bytes) or len(response.body) != said.end - said.start:
        return None
    return said


def _held_to_the_end(response: Response) -> Held | None:
    """Return which bytes a 206 holds that counts its last byte as the one behind it, a common slip of origins."""
    said = content_range(response.header(b"content-range")) if response.status == 206 else None
    if said is None or said.end != said.size or not isinstance(response.body, bytes):
        return None
    end = said.start + len(response.body)
    return Held(said.start, end, end) if said.start < end == said.end - 1 else None


def cut_part(response: Response, range_value: bytes, if_range: bytes | None = None) -> Response | None:
    """Cut one range out of a stored 206; None where it does not hold what is asked for (RFC 9111 §3.3)."""
    here, body = held(response) or _held_to_the_end(response), response.body
    if here is None or not isinstance(body, bytes):
        return None
    spans = ranges(range_value, here.size) if is_current(response, if_range) else None
    if spans is None or len(spans) != 1:
        return None
    start, end = spans[0]
    if start < here.start or here.end < end:
        return None
    return single(response, body[start - here.start : end - here.start], (start, end), here.size)


def combined(one: Response, new: Response) -> Response | None:
    """Join two parts of one representation: a longer part, or the whole (RFC 9111 §3.4).

    None where they are not surely of one, do not touch, or contradict each other. Fields are the newer one's.
    """
    tag, first, second = one.header(b"etag"), held(one), held(new)
    if tag is None or not tag.startswith(b'"') or tag != new.header(b"etag"):
        return None
    if first is None or second is None or first.size != second.size:
        return None
    if any(one.header(name) != new.header(name) for name in _OF_THE_CODING):
        return None
    body = _joined(first.start, cast("bytes", one.body), second.start, cast("bytes", new.body))
    if body is None:
        return None
    names = {name for name, _ in new.headers} | OF_THE_BYTES_SENT
    fields = [field for field in one.headers if field[0] not in names]
    fields += [field for field in new.headers if field[0] not in OF_THE_BYTES_SENT]
    start = min(first.start, second.start)
    if len(body) == first.size:
        return Response(200, (*fields, (b"content-length", b"%d" % len(body))), body)
    return single(Response(206, tuple(fields)), body, (start, start + len(body)), first.size)


def _joined(start: int, body: bytes, at: int, other: bytes) -> bytes | None:
    if at < start:
        start, body, at, other = at, other, start, body
    known = body[at - start : at - start + len(other)]
    if at > start + len(body) or known != other[: len(known)]:
        return None
    return body + other[len(known) :]


def united(part: Entry, new: Entry, most: int) -> Entry:
    """Return the entry of both parts together, or the new one where they do not fit or are more than `most` bytes."""
    both = combined(Response(part.status, part.headers, part.body), Response(new.status, new.headers, new.body))
    if both is None or not isinstance(both.body, bytes) or len(both.body) > most:
        return new
    return replace(new, status=both.status, headers=both.headers, body=both.body, cost=part.cost + new.cost)


def missing(part: Entry | None) -> Span | None:
    """Return the one span that makes a stored part whole; None where there is no such, or nothing to be sure by."""
    if part is None:
        return None
    response = Response(part.status, part.headers, part.body)
    here, tag = held(response), response.header(b"etag")
    if here is None or tag is None or not tag.startswith(b'"'):
        return None
    if here.start == 0:
        return (here.end, here.size) if here.end < here.size else None
    return (0, here.start) if here.end == here.size else None


def completing(request: Request, part: Entry | None) -> Request | None:
    """Return the request for what is missing of a stored part, if that would make it whole (RFC 9110 §14.2)."""
    span = missing(part)
    if part is None or span is None or request.method != "GET" or unconditional(request) is not request:
        return None
    start, end = span
    wanted = b"bytes=%d-" % start if start else b"bytes=0-%d" % (end - 1)
    tag = Response(206, part.headers).header(b"etag") or b""
    return replace(request, headers=(*request.headers, (b"range", wanted), (b"if-range", tag)))


def completed(part: Entry, answer: Response, body: bytes) -> Response | None:
    """Return the whole that a stored part and the answer for what is missing make; None where they do not."""
    new = replace(answer, headers=end_to_end(answer.headers), body=body)
    both = combined(Response(part.status, part.headers, part.body), new)
    return both if both is not None and both.status == 200 else None
