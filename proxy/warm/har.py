"""HAR 1.2 → its entries, one at a time: a recording may be larger than memory, mostly by answers that nobody needs."""

import re
from collections.abc import Iterable, Iterator

import orjson

from proxy.core.headers import HOP_BY_HOP
from proxy.core.types import Headers, Request
from proxy.warm.wanted import LeftOut, Unreadable, Wanted, absolute

MOST_ENTRY_BYTES = 2**25
_KEPT_TO_SEARCH_BYTES = 2**12
_BEGIN = re.compile(rb'\s*\{\s*"log"\s*:\s*\{')
_ENTRIES = re.compile(rb'"entries"\s*:\s*\[')
_TO_MARK = re.compile(rb'["{}\[\]]')
_TO_END_OF_TEXT = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_METHODS = frozenset({"GET", "POST", "QUERY"})
# Of these, an answer for all does not depend, or it is not for us to say them again: who asked, what he had, on which road.
_NOT_ASKED_AGAIN = HOP_BY_HOP | {
    b"host", b"content-length", b"expect", b"cookie", b"authorization", b"proxy-authorization", b"range", b"cache-control",
    b"pragma", b"priority", b"referer", b"dnt", b"via", b"forwarded", b"upgrade-insecure-requests", b"x-request-id",
    b"x-real-ip", b"traceparent", b"tracestate",
}  # fmt: skip
_NOT_ASKED_AGAIN_KINDS = (b":", b"if-", b"sec-", b"x-forwarded-")
_OVER_HTTP = re.compile(r"https?://", re.IGNORECASE)
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z:]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")


def is_har(beginning: bytes) -> bool:
    """Tell whether a text that begins so is a HAR file."""
    return _BEGIN.match(beginning) is not None


def entries(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    """Yield the JSON text of each entry; None for one that is larger than 32 MiB.

    Raises:
        Unreadable: there are no entries, or the file ends before they do.
    """
    rest = iter(chunks)
    before = b""
    while (found := _ENTRIES.search(before)) is None:
        chunk = next(rest, b"")
        if not chunk:
            raise Unreadable("a HAR file without entries")
        before = before[-_KEPT_TO_SEARCH_BYTES:] + chunk
    scan = _Scan()
    yield from scan.take(before[found.end() :])
    while not scan.ended:
        chunk = next(rest, b"")
        if not chunk:
            raise Unreadable("the HAR file is cut")
        yield from scan.take(chunk)


class _Scan:
    """Where each object of an array begins and ends; knows no more of JSON than texts and brackets."""

    def __init__(self) -> None:
        self.ended = False
        self._depth = 0
        self._in_text = False
        self._held = bytearray()
        self._too_large = False
        self._torn = b""

    def take(self, chunk: bytes) -> Iterator[bytes | None]:
        """Yield the objects that end within this chunk."""
        text, self._torn = self._torn + chunk, b""
        at = begun = 0
        while not self.ended:
            if self._in_text:
                at = _end(_TO_END_OF_TEXT, text, at)
                if at >= len(text) or text[at] == ord("\\"):  # a backslash whose other half is still to come
                    break
                self._in_text, at = False, at + 1
                continue
            mark = _TO_MARK.search(text, at)
            if mark is None:
                at = len(text)
                break
            at = mark.end()
            if mark[0] == b'"':
                self._in_text = True
            elif mark[0] in b"{[":
                begun = mark.start() if self._depth == 0 else begun
                self._depth += 1
            else:
                self._depth -= 1
                self.ended = self._depth < 0
                if self._depth == 0:
                    yield self._whole(text[begun:at])
                    begun = at
        self._torn = text[at:]
        if self._depth > 0:
            self._hold(text[begun:at])

    def _hold(self, piece: bytes) -> None:
        self._too_large = self._too_large or len(self._held) + len(piece) > MOST_ENTRY_BYTES
        if self._too_large:
            self._held.clear()
        else:
            self._held += piece

    def _whole(self, last: bytes) -> bytes | None:
        self._hold(last)
        whole = None if self._too_large else bytes(self._held)
        self._held.clear()
        self._too_large = False
        return whole


def _end(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()


def wanted_of(entry: bytes) -> Wanted:
    """Return the request of an entry, with what it took in seconds.

    Raises:
        LeftOut: it is not to be asked again, for a reason that is no fault.
        Unreadable: it is no entry of a HAR file.
    """
    try:
        told = orjson.loads(entry)
        asked, status = told["request"], told["response"]["status"]
        method, url, fields, sent = asked["method"], asked["url"], asked.get("headers", []), asked.get("postData")
        named = [(one["name"], one["value"]) for one in fields]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable("no entry of a HAR file") from error
    if not isinstance(method, str) or method not in _METHODS:
        raise LeftOut("method")
    if status != 200:
        raise LeftOut("status")
    if not isinstance(url, str) or not _OVER_HTTP.match(url):
        raise LeftOut("scheme")
    host, target = absolute(url)
    body = b"" if method == "GET" else _body(sent, asked.get("bodySize"))
    return Wanted(Request(method, target, ((b"host", host), *_headers(named)), body), _cost_s(told))


def _headers(named: Iterable[tuple[object, object]]) -> Headers:
    kept = []
    for name, value in named:
        if not (isinstance(name, str) and isinstance(value, str) and _NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            raise LeftOut("field")
        field = name.lower().encode("ascii")
        if field not in _NOT_ASKED_AGAIN and not field.startswith(_NOT_ASKED_AGAIN_KINDS):
            kept.append((field, value.strip().encode("ascii")))
    return tuple(kept)


def _body(sent: object, size: object) -> bytes:
    """Return the body as it was sent; a recording may hold less of it, or a form's pairs only."""
    text = sent.get("text") if isinstance(sent, dict) else None
    body = text.encode() if isinstance(text, str) else b""
    if (isinstance(size, int) and size > 0 and size != len(body)) or (sent and not body):
        raise LeftOut("body")
    return body


def _cost_s(told: dict[str, object]) -> float:
    timings = told.get("timings")
    waited = timings.get("wait") if isinstance(timings, dict) else None
    for milliseconds in (waited, told.get("time")):
        if isinstance(milliseconds, int | float) and milliseconds > 0:
            return milliseconds / 1000
    return 0.0
