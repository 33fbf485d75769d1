"""Cache-Control ⇄ directives (RFC 9111 §5.2)."""

import re
from collections.abc import Mapping

Directives = Mapping[str, str | None]

NONE: Directives = {}
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
    """Read directives by lower-case name; of a repeated one the first counts (RFC 9111 §4.2.1)."""
    if not value:
        return NONE
    found: dict[str, str | None] = {}
    place = 0
    while place < len(value) and (one := _DIRECTIVE.match(value, place)):
        name, quoted, token = one.groups()
        if name is not None:
            argument = quoted or token
            found.setdefault(name.decode("ascii").lower(), argument.decode("latin-1") if argument else None)
        place = one.end()
    return found


def seconds(directives: Directives, name: str) -> float | None:
    """Return a directive's delta-seconds; None where it is absent, 0 where it makes no sense (RFC 9111 §4.2.1)."""
    if name not in directives:
        return None
    text = directives[name] or ""
    if not text.isascii() or not text.isdigit():
        return 0.0
    return float(min(int(text[:12]), MOST_SECONDS))
