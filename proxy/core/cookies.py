"""Cookies that take part in a key."""

import re
from collections.abc import Collection

from proxy.core.types import Headers

# RFC 6265 §4.1.1: a token, and what may be a value without quotes.
_PAIR = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=([\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*)")

# What some readers take for an attribute of the cookie before it, or for no cookies at all.
_ATTRIBUTES = frozenset(b"comment domain expires httponly max-age partitioned path samesite secure version".split())


def cookie_fields(headers: Headers, wanted: Collection[bytes]) -> Headers:
    """Return the wanted cookies as fields `cookie:name`, or all that was sent where it is not certain which they are.

    Services read in different ways what RFC 6265 does not allow, a name that is an attribute's, a wanted name that comes
    twice, and several lines: a reader that takes quotes off, or stops at an odd byte, sees other cookies than we do.
    """
    lines = tuple([field for field in headers if field[0] == b"cookie"])
    if len(lines) != 1:
        return lines
    found: dict[bytes, bytes] = {}
    for piece in lines[0][1].rstrip(b"; \t").split(b";"):
        pair = _PAIR.fullmatch(piece.strip(b" \t"))
        if pair is None:
            return lines
        name, value = pair.groups()
        if name in found or name.startswith(b"$") or name.lower() in _ATTRIBUTES:
            return lines
        if name in wanted:
            found[name] = value
    return tuple([(b"cookie:" + name, value) for name, value in found.items()])
