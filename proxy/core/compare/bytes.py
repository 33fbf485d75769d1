"""`bytes`: equal to the byte; and what every profile looks at before the bodies, the cheapest first."""

from collections.abc import Callable
from dataclasses import dataclass

from proxy.core.difference import Difference
from proxy.core.types import Response

OfBodies = Callable[[bytes, bytes], Difference | None]
"""Compares two bodies whose bytes differ."""

# What the logs may name; of anything else they tell the length only.
_KNOWN_TYPES = frozenset(
    {
        b"application/graphql-response+json", b"application/json", b"application/octet-stream",
        b"application/problem+json", b"application/x-ndjson", b"application/xml", b"text/csv", b"text/html",
        b"text/plain", b"text/xml",
    }
)  # fmt: skip
_KNOWN_CHARSETS = frozenset({b"iso-8859-1", b"us-ascii", b"utf-8", b"utf-16", b"windows-1252"})


@dataclass(frozen=True, slots=True)
class Bytes:
    """Equal bytes; the difference names the first byte that differs."""

    def difference(self, control: Response, candidate: Response, now: float = 0.0) -> Difference | None:  # noqa: ARG002
        """Return the first difference."""
        return compared(control, candidate, of_bytes)


def compared(control: Response, candidate: Response, of_bodies: OfBodies) -> Difference | None:
    """Compare status, then media type and charset, then bytes, and only where all that leaves a doubt, the bodies.

    Raises TypeError for a body that is still arriving.
    """
    if control.status >= 400 and control.status // 100 == candidate.status // 100:
        return None
    if control.status != candidate.status:
        return Difference("status", "status", f"status {control.status}", f"status {candidate.status}")
    ours, theirs = _media_type(control), _media_type(candidate)
    if ours != theirs:
        return Difference("media_type", "media_type", _described(ours), _described(theirs))
    one, other = _whole(control), _whole(candidate)
    return None if one == other else of_bodies(one, other)


def of_bytes(one: bytes, other: bytes) -> Difference:
    """Return the first byte where two bodies differ; where one begins with the other, that is the end of the shorter."""
    return Difference(f"byte {_first(one, other)}", "bytes", f"{len(one)} bytes", f"{len(other)} bytes")


def _first(one: bytes, other: bytes) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:  # halves, so that memory is compared at its own speed
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _whole(response: Response) -> bytes:
    if not isinstance(response.body, bytes):
        raise TypeError("a body that is still arriving cannot be compared")
    return response.body


def _media_type(response: Response) -> tuple[bytes, bytes]:
    kind, *parameters = (response.header(b"content-type") or b"").lower().split(b";")
    pairs = [parameter.strip().partition(b"=") for parameter in parameters]
    charset = next((value.strip(b'" ') for name, _, value in pairs if name == b"charset"), b"")
    return kind.strip(), b"utf-8" if charset == b"utf8" else charset


def _described(media_type: tuple[bytes, bytes]) -> str:
    kind, charset = media_type
    shown = kind.decode() if kind in _KNOWN_TYPES else f"type of {len(kind)} characters" if kind else "absent"
    if not charset:
        return shown
    return f"{shown}; charset={charset.decode() if charset in _KNOWN_CHARSETS else f'{len(charset)} characters'}"
