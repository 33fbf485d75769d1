"""A request that is wanted in the store, what it once took, and how it is recognised again."""

import re
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote, urlsplit

from proxy.core.types import Request

MOST_TARGET_BYTES = 2**16
_UNSENDABLE = re.compile(r"[\x00-\x20\x7f]")
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._~\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class Unreadable(Exception):
    """What stands there is no request."""


class LeftOut(Exception):
    """It is a request, but not one to ask again; `reason` is one word or two."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request, and what the upstream took for it, in seconds; 0.0 where nobody knows.

    Its body is bytes. Without a Host it is for whatever name the proxy is called by.
    """

    request: Request
    cost_s: float = 0.0

    @property
    def digest(self) -> str:
        """Return what is the same for the same request, and tells nobody what it asks for: 32 hex digits."""
        request = self.request
        body = request.body if isinstance(request.body, bytes) else b""
        fields = [part for field in sorted(request.headers) for part in field]
        parts = [request.method.encode(), request.target, body, *fields]
        return sha256(b"".join([b"%d:%s" % (len(part), part) for part in parts])).hexdigest()[:32]

    @property
    def size_bytes(self) -> int:
        """Return about what it takes in memory."""
        request = self.request
        body = len(request.body) if isinstance(request.body, bytes) else 0
        return 800 + len(request.target) + body + sum([len(name) + len(value) + 150 for name, value in request.headers])


def absolute(url: str) -> tuple[bytes, bytes]:
    """Return host and target of an http or https URL; what is beyond ASCII is written as clients send it.

    Raises:
        Unreadable: it is none, or holds credentials.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Unreadable(f"no URL: {error}") from error
    if "@" in parts.netloc:
        raise Unreadable("a URL with credentials")
    if parts.scheme not in {"http", "https"} or not _AUTHORITY.fullmatch(parts.netloc):
        raise Unreadable("no http or https URL")
    after = url.partition("#")[0].partition("://")[2][len(parts.netloc) :]
    return parts.netloc.lower().encode("ascii"), origin_form(after if after.startswith("/") else f"/{after}")


def origin_form(path: str) -> bytes:
    """Return a path with its query as a request target.

    Raises:
        Unreadable: no client could send it.
    """
    path = path.partition("#")[0]
    if not path.startswith("/"):
        raise Unreadable("no URL and no path")
    if _UNSENDABLE.search(path):
        raise Unreadable("white space in a URL")
    try:
        written = path if path.isascii() else quote(path, safe="".join(map(chr, range(0x21, 0x7F))))
    except UnicodeError as error:
        raise Unreadable("not Unicode text") from error
    if len(written) > MOST_TARGET_BYTES:
        raise Unreadable("longer than 64 KiB")
    return written.encode("ascii")
