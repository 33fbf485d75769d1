"""`nfc`: a letter with a mark means the same as the composed letter in these values."""

from dataclasses import dataclass, field
from typing import ClassVar
from unicodedata import combining, normalize

from proxy.core.params import Matches, matcher, with_values
from proxy.core.types import Query

MAX_MARKS = 30
"""The most marks in a row that the Stream-Safe Text Format (UAX #15) allows."""

_MARKS = b"\1" * (MAX_MARKS + 1)
_UNDECLARED = "\u0f73\u0f75\u0f81"
"""The characters that decompose into marks only and are not declared as marks."""


def composed(text: str) -> str:
    """Return `text` in Unicode's form NFC, or as it is where over MAX_MARKS marks follow each other."""
    return text if text.isascii() or _too_many_marks(text) else normalize("NFC", text)


def _too_many_marks(text: str) -> bool:
    # unicodedata sorts a run of n marks in n² steps: 1 MB of them would stop this process for minutes.
    if len(text) <= MAX_MARKS:
        return False
    for mark in _UNDECLARED:
        text = text.replace(mark, "\u0f71")
    return _MARKS in bytes(map(bool, map(combining, text)))


@dataclass(frozen=True, slots=True)
class Nfc:
    """Compose the characters of the named values (of all, without names); a value that is not UTF-8 stays as it is."""

    version: ClassVar[int] = 1

    names: tuple[str, ...] = ()
    _matches: Matches = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_matches", matcher(self.names or ("*",)))

    def normalize(self, query: Query) -> Query:
        """Return `query` with these values in NFC."""
        return with_values(query, self._matches, composed)
