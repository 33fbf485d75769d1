"""Log schemas: the flat fields of any event → the names, units and nesting of another system. Each is one file, mostly a table.

No field is lost and nothing raises: what the other system has no name for, or none for a value of this type, stands
below `frontrunner` under its flat name.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from ipaddress import ip_address
from typing import Any, Final, NamedTuple, Protocol

OWN: Final = "frontrunner"
"""The name of the service, and of the mapping of what has no other name."""
KEPT: Final = frozenset({"outcome"})
"""What no other system has a word for in full; it stays beside what they make of it."""

Convert = Callable[[Any], Any]
"""Returns the value in the other system's unit and type; None where it does not fit there."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST = 2**63
_LONGEST_S = 315_576_000_000  # of google.protobuf.Duration, and above what 64 bits of nanoseconds hold
_SUMMARY: Mapping[str, tuple[str, ...]] = {
    "request": ("method", "path", "status", "outcome"),
    "job": ("method", "path", "status", "outcome"),
    "upstream_call": ("event", "method", "path", "status", "error"),
    "error": ("error",),
}


class Schema(Protocol):
    """Gives the fields of an event the names that another system knows."""

    def rename(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what is to be written instead of the flat fields."""
        ...


class Row(NamedTuple):
    """A flat field, the other system's name for it (a dot nests), and how its value is converted."""

    field: str
    name: str
    convert: Convert


Rows = tuple[Row, ...]


class Tables:
    """The rows that hold for every event, and those of some events, where a field's later rows stand for its earlier ones."""

    def __init__(self, every: Rows, **events: tuple[Rows, ...]) -> None:
        self.every = _by_field(every)
        self.events = {event: _by_field(every, *layers) for event, layers in events.items()}

    def told(self, fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[Any, Any]]:
        """Return the values by the other system's names, and the fields to be kept: those that no row could take."""
        event = fields.get("event")
        table = self.events.get(event, self.every) if isinstance(event, str) else self.every
        known: dict[str, Any] = {}
        own: dict[Any, Any] = {}
        for field, value in fields.items():
            rows = table.get(field)
            if rows is None:
                own[field] = value
                continue
            is_told = False
            for name, convert in rows:
                if (converted := convert(value)) is not None:
                    known[name], is_told = converted, True
            if not is_told or field in KEPT:
                own[field] = value
        return known, own


def _by_field(*layers: Rows) -> dict[str, tuple[tuple[str, Convert], ...]]:
    table = {}
    for rows in layers:
        for field in dict.fromkeys(row.field for row in rows):
            table[field] = tuple((row.name, row.convert) for row in rows if row.field == field)
    return table


def nested(known: Mapping[str, Any], own: Mapping[Any, Any], whole: Collection[str] = ()) -> dict[str, Any]:
    """Return a tree by the dots in the names, but in those of `whole`, with `own` below its name."""
    tree: dict[str, Any] = {}
    for name, value in known.items():
        above, last = ((), name) if name in whole else _path(name)
        branch = tree
        for step in above:
            branch = branch.setdefault(step, {})
        branch[last] = value
    if own:
        tree[OWN] = own
    return tree


@cache
def _path(name: str) -> tuple[tuple[str, ...], str]:
    """Return the steps of a name: no dot before a slash is one."""
    domain, slash, rest = name.rpartition("/")
    first, *others = rest.split(".")
    steps = (domain + slash + first, *others)
    return steps[:-1], steps[-1]


def summary(fields: Mapping[str, Any]) -> str:
    """Return an event in a few words, for systems that show a line by its message."""
    event = fields.get("event")
    names = _SUMMARY.get(event, ("event",)) if isinstance(event, str) else ()
    return " ".join(word for name in names if (word := _word(fields.get(name))))


def _word(value: object) -> str:
    if type(value) is str or isinstance(value, StrEnum):
        return str(value)
    return str(number) if (number := whole(value)) is not None else ""


def text(value: Any) -> str | None:
    """Return text as it is."""
    return value if isinstance(value, str) else None


def whole(value: Any) -> int | None:
    """Return a whole number of 64 bits."""
    return int(value) if isinstance(value, int) and type(value) is not bool and abs(value) < _LARGEST else None


def whole_text(value: Any) -> str | None:
    """Return a whole number as text, as protobuf's JSON has numbers of 64 bits."""
    return None if (number := whole(value)) is None else str(number)


def nanoseconds(value: Any) -> int | None:
    """Return seconds as whole nanoseconds."""
    seconds = _seconds(value)
    return None if seconds is None else whole(round(seconds * 1e9))


def duration(value: Any) -> str | None:
    """Return seconds as text with their unit, as protobuf's JSON has a Duration: `41.2s`."""
    seconds = _seconds(value)
    return None if seconds is None else f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def _seconds(value: Any) -> float | None:
    fits = isinstance(value, int | float) and type(value) is not bool and abs(value) < _LONGEST_S
    return float(value) if fits else None  # NaN is not below anything


def unix_nanoseconds(value: Any) -> str | None:
    """Return an RFC 3339 time as text of the nanoseconds since 1970."""
    if type(value) is not str:
        return None
    try:
        since = datetime.fromisoformat(value) - _EPOCH
    except (ValueError, TypeError, OverflowError):  # TypeError: a time without its zone
        return None
    return str(since // timedelta(microseconds=1) * 1000) if since >= timedelta(0) else None


def address(value: Any) -> str | None:
    """Return an IP address, without a zone."""
    if type(value) is not str or "%" in value:
        return None
    try:
        ip_address(value)
    except ValueError:
        return None
    return value


def trace_id(value: Any) -> str | None:
    """Return a trace id of 32 hex digits in lower case (W3C Trace Context)."""
    return _hex(value, 32)


def span_id(value: Any) -> str | None:
    """Return a span id of 16 hex digits in lower case (W3C Trace Context)."""
    return _hex(value, 16)


def _hex(value: Any, digits: int) -> str | None:
    fits = type(value) is str and len(value) == digits and not value.strip("0123456789abcdef") and value.strip("0")
    return value if fits else None


def file_of(value: Any) -> str | None:
    """Return the file of `file:line`."""
    return value.rpartition(":")[0] or None if type(value) is str and line_of(value) is not None else None


def line_of(value: Any) -> int | None:
    """Return the line of `file:line`."""
    line = value.rpartition(":")[2] if type(value) is str else ""
    return int(line) if line.isascii() and line.isdecimal() and len(line) < 10 else None


def word_of(words: Mapping[str, Any]) -> Convert:
    """Return a conversion by a table of words."""
    return lambda value: words.get(value) if isinstance(value, str) else None


def failure(value: Any) -> str | None:
    """Return `failure` for the outcome, or the level, `error`, and `success` for any other."""
    return None if not isinstance(value, str) else "failure" if value == "error" else "success"
