"""Prefer → what of it we do: `respond-async` and `wait` (RFC 7240)."""

import re
from dataclasses import dataclass

from proxy.core.cache_control import MOST_SECONDS

MOST_BYTES = 4096
"""A longer field is a preference for nothing."""

# Nothing here gives back what it took, and an unclosed quote reaches to the end: a hostile field is read once.
_PREFERENCE = re.compile(
    rb"""[\s,]*+
         ([!#$%&'*+\-.^_`|~0-9A-Za-z]*+)                                      # a token
         (?: [ \t]*+ = [ \t]*+ (?: "((?:[^"\\]++|\\.)*+)" | ([^\s,;"]*+) ) )?+  # = quoted string or token
         ((?: [^,"]++ | "(?:[^"\\]++|\\.)*+\\?+"?+ )*+)                        # parameters, or what nobody can read
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Wish:
    """How long a client waits (seconds, None: as long as it takes), and whether it takes a 202 then, or before."""

    respond_async: bool
    wait_s: float | None

    @property
    def patience_s(self) -> float:
        """Return how long to wait for the answer's head before telling where the answer will be."""
        return self.wait_s or 0.0


def wish_of(prefer: bytes | None) -> Wish | None:
    """Read the joined values of Prefer; None where it asks for nothing that we do.

    Names in any case; of a repeated one the first counts, also where it makes no sense (RFC 7240 §2).
    """
    if not prefer or len(prefer) > MOST_BYTES:
        return None
    found = _preferences(prefer)
    respond_async = found.get(b"respond-async") == b""
    wait_s = _seconds(found.get(b"wait", b""))
    return Wish(respond_async, wait_s) if respond_async or wait_s is not None else None


def _preferences(prefer: bytes) -> dict[bytes, bytes | None]:
    """Return the value of each preference by its lower-case name; None where it is malformed."""
    found: dict[bytes, bytes | None] = {}
    place = 0
    while place < len(prefer) and (one := _PREFERENCE.match(prefer, place)) and one.end() > place:
        name, quoted, token, rest = one.groups()
        value = (_ESCAPED.sub(rb"\1", quoted) if quoted is not None else token) or b""
        is_whole = not rest.strip() or rest.lstrip().startswith(b";")
        if name:
            found.setdefault(name.lower(), value if is_whole else None)
        place = one.end()
    return found


def _seconds(value: bytes | None) -> float | None:
    """Read delta-seconds; what overflows is MOST_SECONDS (RFC 9111 §1.2.2)."""
    if not value or not value.isdigit():
        return None
    return float(min(int(value.lstrip(b"0")[:12] or b"0"), MOST_SECONDS))
