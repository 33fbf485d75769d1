"""The values that travel the road, in its order: Request → Query → Key → Entry → Response."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

Headers = tuple[tuple[bytes, bytes], ...]
"""Fields as received, in order and with duplicates; names in lower case."""

DIGEST_BYTES = 20
"""The length of a key."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that only read, by their definition (RFC 9110 §9.2.1); of QUERY and others a legacy service may know less."""

Params = tuple[tuple[bytes, bytes | None], ...]
"""Decoded name=value pairs in order; the value is None where there was no `=`."""


class Stream(Protocol):
    """A body that is still arriving."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body's bytes as they arrive."""
        ...

    async def aclose(self) -> None:
        """Let go of the rest."""
        ...


Body = bytes | Stream


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: the peer's address, what the config lets us believe of it, and what its server said of it."""

    peer: str = ""
    ip: str = ""
    scheme: str = "http"
    scope: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One request exactly as asked, less its hop-by-hop fields; passthrough forwards this, never the normal form.

    `target` is the request target as it came, in bytes. `headers` hold at most one Host. `body` is b"" where the
    request has none. `fields` are the headers by name, the values of a duplicated one joined by a comma
    (RFC 9110 §5.3).
    """

    method: str
    target: bytes
    headers: Headers = ()
    body: Body = b""
    client: Client = Client()
    fields: Mapping[bytes, bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", by_name(self.headers))

    @property
    def path(self) -> bytes:
        """Return the target up to its query, as it came."""
        return self.target.partition(b"?")[0]

    @property
    def shown_path(self) -> str:
        """Return the path as text, without the credentials that a target of another form may begin with."""
        path = self.path if self.target.startswith(b"/") else self.path.rpartition(b"@")[2]
        return path.decode("utf-8", "backslashreplace")

    @property
    def query(self) -> bytes:
        """Return the raw query, without `?`."""
        return self.target.partition(b"?")[2]

    def header(self, name: bytes) -> bytes | None:
        """Return all values of field `name` joined by a comma (RFC 9110 §5.3), or None."""
        return self.fields.get(name)


@dataclass(frozen=True, slots=True)
class Response:
    """One response; `body` is bytes, or still arriving.

    `connect_s` is the time spent on a new connection for it, 0.0 where one was reused. `framed` tells that the body's
    end is marked: a body that merely stops when the connection closes may have been cut, and nobody could tell.
    """

    status: int
    headers: Headers = ()
    body: Body = b""
    connect_s: float = 0.0
    framed: bool = True

    def header(self, name: bytes) -> bytes | None:
        """Return all values of field `name` joined by a comma (RFC 9110 §5.3), or None."""
        return joined(self.headers, name)


@dataclass(frozen=True, slots=True)
class Query:
    """The normal form of a request: it decides the key and never goes upstream.

    `params` is None until a normalizer asks for the query's pairs; from then on they stand for it. `form` is the same
    for a urlencoded body. `query` is None where the target has no `?`. `fields` are request header fields (and identities) that take part in the key; `headers` are
    all of them. `now` is the moment that a relative time in the query means, in seconds.
    """

    method: str
    host: bytes
    path: bytes
    query: bytes | None = None
    params: Params | None = None
    media_type: bytes = b""
    body: bytes = b""
    form: Params | None = None
    fields: Headers = ()
    headers: Headers = ()
    now: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored response with its times, in seconds.

    `stored_at` is wall-clock time; `age` is how old the response already was then; `cost` is what the upstream took
    to make it. Past its `ttl` it may be served for `refresh` while a new one is fetched, and for `error` while the
    upstream fails. `guessed`: nobody said how long it is good (RFC 9111 §4.2.2). `strict`: nobody may get it past its
    ttl. `groups` are invalidated together (RFC 9875). `tag` is an ETag of ours, where the origin gave no validator.
    """

    status: int
    headers: Headers
    body: bytes
    stored_at: float
    ttl: float
    age: float = 0.0
    cost: float = 0.0
    rule: str = ""
    vary: tuple[bytes, ...] = ()
    refresh: float = 0.0
    error: float = 0.0
    guessed: bool = False
    strict: bool = False
    groups: tuple[bytes, ...] = ()
    tag: bytes = b""


class Outcome(StrEnum):
    """How a client request ended; the same word in log, metrics, API and docs."""

    HIT = "hit"
    STALE = "stale"
    MISS = "miss"
    EXPIRED = "expired"
    REVALIDATED = "revalidated"
    PARTIAL = "partial"
    COLLAPSED = "collapsed"
    PASSTHROUGH = "passthrough"
    ERROR = "error"


FROM_STORE = (Outcome.HIT, Outcome.STALE)
"""The outcomes of what was answered with what is stored."""
LOOKED_UP = (*FROM_STORE, Outcome.MISS, Outcome.EXPIRED, Outcome.REVALIDATED, Outcome.PARTIAL, Outcome.COLLAPSED)
"""The outcomes of what was looked for in the store."""


def by_name(headers: Headers) -> Mapping[bytes, bytes]:
    """Return the headers by name, the values of a duplicated one joined by a comma (RFC 9110 §5.3)."""
    found = dict(headers)
    if len(found) == len(headers):  # nearly always
        return found
    return {name: joined(headers, name) or b"" for name in found}


def joined(headers: Headers, name: bytes) -> bytes | None:
    """Return all values of field `name` joined by a comma (RFC 9110 §5.3), or None."""
    values = [value for key, value in headers if key == name]
    return b", ".join(values) if values else None
