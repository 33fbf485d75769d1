"""Cache-Control ⇄ directives (RFC 9111 §5.2)."""

import re
from collections.abc import Mapping

Directives = Mapping[str, str | None]

NONE: Directives = {}
OF_FIELDS = frozenset({"no-cache", "private"})
"""Directives that may name the fields they are about (RFC 9111 §5.2.2.4, §5.2.2.7)."""
MOST_SECONDS = 2**31  # RFC 9111 §1.2.2: what overflows is this many

# Nothing here gives back what it took: a hostile value is read once, in a time that grows with its length only.
_DIRECTIVE = re.compile(
    rb"""[\s,]*+
         (?: ([!#$%&'*+\-.^_`|~0-9A-Za-z]++)                        # a token
             (?:=(?:"((?:[^"\\]|\\.)*+)"|([^\s,";]*+)))?+ )?+       # = quoted string or token
         [^,]*+                                                     # what else stands there is not ours to read
    """,
    re.VERBOSE | re.DOTALL,
)


def parse(value: bytes | None) -> Directives:
    """Read directives by lower-case name; of a repeated one the first argument counts (RFC 9111 §4.2.1)."""
    if not value:
        return NONE
    found: dict[str, str | None] = {}
    place = 0
    while place < len(value) and (one := _DIRECTIVE.match(value, place)):
        name, quoted, token = one.groups()
        if name is not None:
            word = name.decode("ascii").lower()
            argument = (quoted or token or b"").decode("latin-1") or None
            found[word] = _both(word, found[word], argument) if word in found else argument
        place = one.end()
    return found


def _both(name: str, first: str | None, again: str | None) -> str | None:
    """Return the argument of a repeated directive: the first, but what withholds fields withholds all that are named."""
    if name not in OF_FIELDS:
        return first
    return f"{first},{again}" if first and again else None


def fields(directives: Directives, name: str) -> frozenset[bytes]:
    """Return the fields, in lower case, that a qualified no-cache or private is about; none where it is about all."""
    listed = (directives.get(name) or "").lower().encode("latin-1").split(b",")
    return frozenset([one.strip() for one in listed if one.strip()])


def seconds(directives: Directives, name: str) -> float | None:
    """Return a directive's delta-seconds; None where it is absent, 0 where it makes no sense (RFC 9111 §4.2.1)."""
    if name not in directives:
        return None
    text = directives[name] or ""
    if not text.isascii() or not text.isdigit():
        return 0.0
    return float(min(int(text.lstrip("0")[:12] or "0"), MOST_SECONDS))
