"""JSON for keys: a strict reader that keeps number literals as written, and a writer with one form for one meaning."""

import re
from collections.abc import Callable
from itertools import accumulate
from json import JSONDecoder
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, NoReturn

from proxy.core.reasons import Reason
from proxy.errors import Fallback

MAX_DEPTH = 100

Json = dict[str, "Json"] | list["Json"] | str | bool | None
"""A parsed document; numbers are Verbatim."""


class Verbatim(str):
    """JSON text that is written as it stands: a number's literal, or a part that was written before."""

    __slots__ = ()


_UTF_8 = {b"charset=utf-8", b'charset="utf-8"', b"charset=utf8", b'charset="utf8"'}


def read(media_type: bytes, body: bytes) -> Json:
    """Parse a body; raises Fallback as `parse` does, and KEY_BODY_ENCODING where its media type says another charset."""
    if not says_utf_8(media_type):
        raise Fallback(Reason.KEY_BODY_ENCODING)
    return parse(body)


def says_utf_8(media_type: bytes) -> bool:
    """Tell whether a media type leaves JSON in UTF-8."""
    given = [parameter.strip() for parameter in media_type.lower().split(b";")[1:]]
    return all(parameter in _UTF_8 for parameter in given if parameter.startswith(b"charset"))


def parse(body: bytes) -> Json:
    """Parse one JSON document in UTF-8, with nothing after it.

    Raises Fallback: KEY_BODY_DEPTH over MAX_DEPTH levels, KEY_DUPLICATE_MEMBER where an object names a member twice,
    KEY_BODY_SYNTAX for anything else that RFC 8259 does not allow (NaN, a byte order mark, bytes that are not UTF-8).
    """
    document = decoded(body)
    try:
        tree: Json = _DECODER.decode(document)
    except ValueError:
        raise Fallback(Reason.KEY_BODY_SYNTAX) from None
    return tree


def decoded(body: bytes) -> str:
    """Return a document's text before it is parsed.

    Raises Fallback: KEY_BODY_DEPTH over MAX_DEPTH levels, KEY_BODY_SYNTAX where it is not UTF-8.
    """
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _too_deep(body):
        raise Fallback(Reason.KEY_BODY_DEPTH)
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Fallback(Reason.KEY_BODY_SYNTAX) from None


# Possessive, and content with a string that nothing ends: linear whatever a client sends.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_A_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def _too_deep(body: bytes) -> bool:
    brackets = _STRING.sub(b"", body).translate(None, delete=_NOT_A_BRACKET)
    levels = accumulate(map(_STEPS.__getitem__, brackets))
    return any(map(MAX_DEPTH.__lt__, levels))  # stops at the first level too many


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):  # names are decoded here, so "a" and "\u0061" are one
        raise Fallback(Reason.KEY_DUPLICATE_MEMBER)
    return members


def _refused(_constant: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_DECODER = JSONDecoder(
    parse_int=Verbatim, parse_float=Verbatim, parse_constant=_refused, object_pairs_hook=_object
)  # fmt: skip


def write(tree: Json) -> bytes:
    """Write a document in its one form: members in RFC 8785 order, no white space, ASCII, number literals as they came."""
    return text(tree).encode("ascii")


def text(tree: Json) -> Verbatim:
    """Write a part of a document; put back into a tree, it is written as it stands."""
    return Verbatim(_WRITERS[type(tree)](tree))


def _written_object(members: dict[str, Json]) -> str:
    order = None if "".join(members).isascii() else _utf16
    written = [f"{_quoted(name)}:{_WRITERS[type(members[name])](members[name])}" for name in sorted(members, key=order)]
    return f"{{{','.join(written)}}}"


def _written_array(elements: list[Json]) -> str:
    return f"[{','.join([_WRITERS[type(element)](element) for element in elements])}]"


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: _quoted,
    Verbatim: str,
    dict: _written_object,
    list: _written_array,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): {None: "null"}.__getitem__,
}
