"""Requests of our own making for parts of a client's: another query or another body, everything else as it came."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import NamedTuple

from proxy.core import json_text
from proxy.core.composite import Limits
from proxy.core.params import decoded
from proxy.core.reasons import Reason
from proxy.core.types import Request
from proxy.errors import Fallback

MAX_OTHER_PAIRS = 256

# These vouch for the bytes of a body, which a part's body does not have.
_OF_THE_BYTES = frozenset(
    {b"content-md5", b"digest", b"content-digest", b"repr-digest", b"signature", b"content-range"}
)


class Piece(NamedTuple):
    """One piece of a raw query between two `&`: as it came, its decoded name, and its raw value if it has one."""

    raw: bytes
    name: bytes
    value: bytes | None


def pieces_of(request: Request, limits: Limits, separator: bytes = b"") -> list[Piece]:
    """Return the pieces of a request's query.

    Raises Fallback: BODY where the request's body is still arriving, SPLIT_LIMIT over `limits.parts` and MAX_OTHER_PAIRS
    of them, SPLIT_SYNTAX where `;` (unless it is the parts' `separator`) or `#` makes some services read others.
    """
    query = request.query
    if not isinstance(request.body, bytes):
        raise Fallback(Reason.BODY)
    if query.count(b"&") >= limits.parts + MAX_OTHER_PAIRS:
        raise Fallback(Reason.SPLIT_LIMIT)
    if b"#" in query or (b";" in query and separator != b";"):
        raise Fallback(Reason.SPLIT_SYNTAX)
    return [_piece(raw) for raw in query.split(b"&")]


def _piece(raw: bytes) -> Piece:
    name, equals, value = raw.partition(b"=")
    return Piece(raw, decoded(name.replace(b"+", b" ")), value if equals else None)


def label_of(value: bytes) -> str:
    """Return the text that a raw value of a query means."""
    return decoded(value.replace(b"+", b" ")).decode("utf-8", "surrogateescape")


def run_of(pieces: Sequence[Piece], name: bytes) -> tuple[int, int]:
    """Return where the run of pieces with a name begins and ends; raises Fallback (SPLIT_SYNTAX) where there are two."""
    named = [piece.name == name for piece in pieces]
    count = sum(named)
    begin = named.index(True) if count else 0
    end = begin + len([*takewhile(bool, named[begin:])])
    if end - begin != count:
        raise Fallback(Reason.SPLIT_SYNTAX)
    return begin, end


def with_query(request: Request, query: bytes) -> Request:
    """Return a request with another query."""
    return replace(request, target=b"%b?%b" % (request.path, query))


def body_of(request: Request, limits: Limits) -> str:
    """Return the JSON text of a request whose body may be cut.

    Raises Fallback: BODY where it is still arriving, SPLIT_LIMIT where it is larger than `limits.request_bytes`,
    SPLIT_SYNTAX where a field vouches for its bytes, KEY_BODY_ENCODING where it is compressed or not in UTF-8, and as
    `json_text.decoded` does.
    """
    body = request.body
    if not isinstance(body, bytes):
        raise Fallback(Reason.BODY)
    if len(body) > limits.request_bytes:
        raise Fallback(Reason.SPLIT_LIMIT)
    if not _OF_THE_BYTES.isdisjoint(request.fields):
        raise Fallback(Reason.SPLIT_SYNTAX)
    coded = request.fields.get(b"content-encoding", b"identity").lower() != b"identity"
    if coded or not json_text.says_utf_8(request.fields.get(b"content-type", b"")):
        raise Fallback(Reason.KEY_BODY_ENCODING)
    return json_text.decoded(body)


def with_body(request: Request, body: bytes) -> Request:
    """Return a request with another body, and its right Content-Length where it has one."""
    length = (b"content-length", b"%d" % len(body))
    headers = tuple([length if field[0] == b"content-length" else field for field in request.headers])
    return replace(request, headers=headers, body=body)
