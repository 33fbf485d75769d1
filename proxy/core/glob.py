"""Patterns with `*` and `**` against what clients send: a match takes time in proportion to the text, whatever it is.

A pattern with one wildcard is a regular expression. With more, backtracking could be made to take for ever; so all
positions that the pattern can have reached are followed at once, as the bits of one integer.
"""

import re
from typing import Protocol

_STARS = re.compile(r"(\*\*|\*)")
_TO_BITS = {byte: bytes(49 if one == byte else 48 for one in range(256)) for byte in range(256)}


class Pattern(Protocol):
    """Something that matches a whole text or does not."""

    def fullmatch(self, text: bytes, /) -> object:
        """Return something true where all of `text` matches."""
        ...


def compiled(glob: str, within: bytes) -> Pattern:
    """Compile a glob: `*` stands for anything but the byte `within`, `**` for anything."""
    pieces = [piece for piece in _STARS.split(glob) if piece]
    if sum(piece in {"*", "**"} for piece in pieces) > 1:
        return _Reached(pieces, within[0])
    words = {"*": b"[^%b]*" % re.escape(within), "**": b".*"}
    return re.compile(b"".join([words.get(piece) or re.escape(piece.encode()) for piece in pieces]), re.DOTALL)


class _Reached:
    """A pattern with several wildcards."""

    def __init__(self, pieces: list[str], within: int) -> None:
        self._pieces = [piece if piece in {"*", "**"} else piece.encode() for piece in pieces]
        self._within = within
        first, last = self._pieces[0], self._pieces[-1]
        self._begin = first if isinstance(first, bytes) else b""
        self._end = last if isinstance(last, bytes) else b""

    def fullmatch(self, text: bytes) -> bool:
        """Return whether all of `text` matches."""
        if not (text.startswith(self._begin) and text.endswith(self._end)):
            return False
        everywhere = (1 << (len(text) + 1)) - 1
        here: dict[int, int] = {}
        reached = 1  # bit n: the pieces so far can end before byte n
        for piece in self._pieces:
            if isinstance(piece, bytes):
                for byte in piece:
                    if byte not in here:
                        here[byte] = _places(byte, text)
                    reached = (reached & here[byte]) << 1
            elif piece == "**":
                reached = everywhere & -(reached & -reached)
            else:
                inside = everywhere >> 1 & ~_places(self._within, text)
                # the sum carries each reached bit through the run of bytes that the wildcard may take
                reached |= (inside + (reached & inside)) ^ inside
            if not reached:
                return False
        return bool(reached >> len(text) & 1)


def _places(byte: int, text: bytes) -> int:
    """Return an integer with bit n set where `text` has `byte` at n."""
    return int(text[::-1].translate(_TO_BITS[byte]) or b"0", 2)
