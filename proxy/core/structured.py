"""Structured fields ⇄ values, strictly: a field that is not well-formed to its last byte is no field (RFC 9651)."""

import re
from binascii import a2b_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar
from urllib.parse import unquote_to_bytes

MOST_BYTES = 2**16
MOST_PIECES = 2**14
"""Keys, values and what separates them: 1024 members of four parameters each have fewer (RFC 9651 §3.1, §3.2)."""


class Token(str):
    """A bare word, as in `max-age=none` (RFC 9651 §3.3.4)."""

    __slots__ = ()


class DisplayString(str):
    """A text of any characters, as in `%"f%c3%bc"` (RFC 9651 §3.3.8)."""

    __slots__ = ()


class Date(int):
    """Seconds since 1970, as in `@1659578233` (RFC 9651 §3.3.7)."""

    __slots__ = ()


Bare = bool | int | Decimal | str | bytes
"""A value without parameters; `type(value)` tells a Token from a str and a bool or a Date from an int."""


@dataclass(frozen=True, slots=True)
class Item:
    """A value with its parameters; an inner list is a tuple of items (RFC 9651 §3.1.1)."""

    value: "Bare | tuple[Item, ...]"
    params: Mapping[str, Bare] = field(default_factory=dict)


Read = TypeVar("Read")

# No pattern gives back what it took, and the first that does not fit ends the reading: so it is linear.
_KEY = re.compile(r"([a-z*][a-z0-9_\-.*]*+)(=?)")
_SPACES = re.compile(r" *+")
_AFTER_MEMBER = re.compile(r"[ \t]*+(?:\Z|,[ \t]*+(?!\Z))")
_AFTER_INNER_ITEM = re.compile(r" ++|(?=\))")
_BARE = re.compile(
    r"""(?P<decimal>-?[0-9]{1,12}\.[0-9]{1,3})
      | (?P<integer>-?[0-9]{1,15})
      | "(?P<string>(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*+)"
      | (?P<token>[A-Za-z*][!\#$%&'*+\-.^_`|~0-9A-Za-z:/]*+)
      | :(?P<bytes>[A-Za-z0-9+/]*+=*+):
      | \?(?P<boolean>[01])
      | @(?P<date>-?[0-9]{1,15})
      | %"(?P<display>(?:[\x20-\x21\x23-\x24\x26-\x7e]|%[0-9a-f]{2})*+)"
    """,
    re.VERBOSE,
)
_BACKSLASHED = re.compile(r"\\(.)")
_TO_BACKSLASH = re.compile(r'["\\]')
_UNWRITABLE = re.compile(r"[^\x20-\x7e]")


def dictionary(value: bytes) -> dict[str, Item] | None:
    """Read a Dictionary, of a repeated key the last; None where it is malformed (RFC 9651 §4.2.2)."""
    return _read(value, _dictionary)


def items(value: bytes) -> list[Item] | None:
    """Read a List; None where it is malformed (RFC 9651 §4.2.1)."""
    return _read(value, _list)


def string(text: str) -> bytes:
    """Write a String, with `?` for each character that none can hold (RFC 9651 §4.1.6)."""
    return b'"' + _TO_BACKSLASH.sub(r"\\\g<0>", _UNWRITABLE.sub("?", text)).encode("ascii") + b'"'


class _Reader:
    """A text and how far it is read, in how many pieces; what does not fit raises ValueError."""

    __slots__ = ("at", "pieces", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.pieces = 0

    @property
    def done(self) -> bool:
        return self.at == len(self.text)

    def take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self.text, self.at)
        self.pieces += 1
        if found is None or self.pieces > MOST_PIECES:
            raise ValueError(f"malformed, or too much, at {self.at}")
        self.at = found.end()
        return found

    def skip(self, mark: str) -> bool:
        found = self.text.startswith(mark, self.at)
        self.at += found
        return found


def _read(value: bytes, whole: Callable[[_Reader], Read]) -> Read | None:
    if len(value) > MOST_BYTES:
        return None
    try:
        return whole(_Reader(value.decode("ascii").strip(" ")))
    except ValueError:  # also what is not ASCII, not UTF-8 within a display string, not base64
        return None


def _list(reader: _Reader) -> list[Item]:
    found = []
    while not reader.done:
        found.append(_member(reader))
        reader.take(_AFTER_MEMBER)
    return found


def _dictionary(reader: _Reader) -> dict[str, Item]:
    found = {}
    while not reader.done:
        key, equals = reader.take(_KEY).groups()
        found[key] = _member(reader) if equals else Item(True, _params(reader))
        reader.take(_AFTER_MEMBER)
    return found


def _member(reader: _Reader) -> Item:
    return Item(_inner_list(reader) if reader.skip("(") else _bare(reader), _params(reader))


def _inner_list(reader: _Reader) -> tuple[Item, ...]:
    found = []
    reader.take(_SPACES)
    while not reader.skip(")"):
        found.append(Item(_bare(reader), _params(reader)))
        reader.take(_AFTER_INNER_ITEM)
    return tuple(found)


def _params(reader: _Reader) -> dict[str, Bare]:
    found: dict[str, Bare] = {}
    while reader.skip(";"):
        reader.take(_SPACES)
        key, equals = reader.take(_KEY).groups()
        found[key] = _bare(reader) if equals else True
    return found


def _bare(reader: _Reader) -> Bare:
    found = reader.take(_BARE)
    kind = found.lastgroup or ""
    return _MAKE[kind](found[kind])


def _string(text: str) -> str:
    return _BACKSLASHED.sub(r"\1", text)


def _bytes(text: str) -> bytes:
    """Decode base64; missing padding is forgiven (RFC 9651 §4.2.7)."""
    return a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)


def _boolean(text: str) -> bool:
    return text == "1"


def _display_string(text: str) -> DisplayString:
    return DisplayString(unquote_to_bytes(text).decode("utf-8"))


_MAKE: Mapping[str, Callable[[str], Bare]] = {
    "decimal": Decimal,
    "integer": int,
    "string": _string,
    "token": Token,
    "bytes": _bytes,
    "boolean": _boolean,
    "date": Date,
    "display": _display_string,
}
