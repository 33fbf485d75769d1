"""What one process tells the others of what it has counted: notes of numbers first, and packed spans behind them.

A tally says all that counts: sums, the open spans, and those that were closed since the process's rings were written
down; a ring holds all closed spans of one grain. Where both have a span, the tally's is newer. Whoever names another
among those it `took` has counted all of that one's as its own, so that at no moment anything is counted twice.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from itertools import accumulate, pairwise
from typing import Any, Final

import orjson

from proxy.core.detail import Details, details_of
from proxy.core.history import FINEST, GRAINS, Span, pack_all
from proxy.core.operation import Operations, operations_of

_VERSION: Final = 2
_UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError)
_WIDTHS: Final = {grain.word: grain.width_s for grain in GRAINS}
Spans = Mapping[int, Span]
"""Spans by their number since the epoch."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one store holds: entries, bytes, and whether it did what it was last asked for; `shared` by processes."""

    name: str
    entries: int
    bytes: int
    limit_bytes: int
    shared: bool = False
    is_well: bool = True

    @classmethod
    def of(cls, told: Sequence[Any]) -> "Held":
        """Return what was told of a store. Raises ValueError or TypeError for what nobody tells."""
        name, entries, size, limit, shared, is_well = told
        return cls(str(name), int(entries), int(size), int(limit), bool(shared), bool(is_well))


@dataclass(frozen=True, slots=True)
class Tally:
    """What one process has counted; `at` and `since` are wall-clock seconds.

    `machine` is where it runs; `far` is what processes of other machines counted that it took. `left`: it has ended.
    """

    machine: str
    at: float
    since: float
    operations: Operations = field(default_factory=Operations)
    far: Operations = field(default_factory=Operations)
    details: Details = field(default_factory=Details)
    spans: Mapping[str, Spans] = field(default_factory=dict)
    took: tuple[str, ...] = ()
    left: bool = False
    held: tuple[Held, ...] = ()
    evictions: Mapping[str, int] = field(default_factory=dict)
    """By store."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Calls that wait for their turn upstream, by priority."""
    in_flight: int = 0
    """Calls that hold a slot which is no other process's to count."""
    reload_failed: bool = False
    reloaded_at: float = 0.0
    """When its config could last be used; `reload_failed` says that one was read since which could not."""
    open: int = 0
    """The number of the shortest span that is open: the longer ones do not hold it yet."""
    kept_from: Mapping[str, int] = field(default_factory=dict)
    """The first span of each grain before which there was no room for some."""
    edition: int = 0
    """Which of the rings that were written down under its name belong to it."""

    def written(self) -> bytes:
        """Write it as a note; what is not packed yet is packed."""
        spans = pack_all(self.spans)
        flat = [(word, number, packed) for word, one in spans.items() for number, packed in one.items()]
        head = {
            "v": _VERSION, "machine": self.machine, "at": self.at, "since": self.since, "left": self.left,
            "took": self.took, "operations": self.operations.written(arms=False),
            "held": [astuple(one) for one in self.held], "evictions": dict(self.evictions), "waiting": dict(self.waiting),
            "in_flight": self.in_flight, "reload_failed": self.reload_failed, "reloaded_at": self.reloaded_at,
            "far": self.far.written(arms=False), "details": self.details.written(),
            "open": self.open, "kept_from": dict(self.kept_from), "edition": self.edition,
            "spans": [(word, number, len(packed)) for word, number, packed in flat],
        }  # fmt: skip
        return _framed(head, [packed for _, _, packed in flat])


def tally_of(note: bytes) -> Tally | None:
    """Return what a note tells; None where it cannot be read, or another release has written it."""
    try:
        head, blobs = _parsed(note)
        spans: dict[str, dict[int, bytes]] = {}
        for (word, number, _), packed in zip(head["spans"], blobs, strict=True):
            spans.setdefault(word, {})[int(number)] = packed
        return Tally(
            str(head["machine"]), float(head["at"]), float(head["since"]), operations_of(head["operations"]),
            operations_of(head["far"]), details_of(head["details"]), spans, tuple(map(str, head["took"])),
            bool(head["left"]), tuple(map(Held.of, head["held"])), _numbers(head["evictions"]), _numbers(head["waiting"]),
            int(head.get("in_flight", 0)), bool(head.get("reload_failed")), float(head.get("reloaded_at", 0.0)),
            int(head["open"]), _numbers(head["kept_from"]), int(head["edition"]),
        )  # fmt: skip
    except _UNREADABLE:
        return None


def _numbers(told: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(number) for name, number in told.items()}


def summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sum of what is counted by name."""
    found: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            found[name] = found.get(name, 0) + count
    return found


def ring_written(spans: Mapping[int, bytes]) -> bytes:
    """Write all closed spans of one grain, packed, as a note."""
    return _framed(
        {"v": _VERSION, "spans": [(number, len(packed)) for number, packed in spans.items()]}, spans.values()
    )


def ring_of(note: bytes) -> Spans:
    """Return the spans that a note tells; none where it cannot be read."""
    try:
        head, blobs = _parsed(note)
        return {int(number): packed for (number, _), packed in zip(head["spans"], blobs, strict=True)}
    except _UNREADABLE:
        return {}


def _framed(head: Mapping[str, Any], blobs: Iterable[bytes]) -> bytes:
    told = orjson.dumps(head)
    return b"".join([b"%d\n" % len(told), told, *blobs])


def _parsed(note: bytes) -> tuple[dict[str, Any], Iterator[bytes]]:
    length, _, rest = note.partition(b"\n")
    head = orjson.loads(rest[: int(length)])
    if head["v"] != _VERSION:
        raise ValueError("of another release")
    ends = accumulate([one[-1] for one in head["spans"]], initial=int(length))
    return head, (rest[start:end] for start, end in pairwise(ends))


Rings = Mapping[str, Mapping[str, Spans]]
"""The rings of each process, by grain."""


def counting(tallies: Mapping[str, Tally]) -> dict[str, Tally]:
    """Return the tallies that count: not those that another has taken."""
    taken = {name for one in tallies.values() for name in one.took}
    return {name: one for name, one in tallies.items() if name not in taken}


def spans_of(tally: Tally, rings: Mapping[str, Spans], word: str) -> list[tuple[int, Span]]:
    """Return the spans of one process, of one grain, with their numbers: two of one number hold different requests."""
    found = list({**rings.get(word, {}), **tally.spans.get(word, {})}.items())
    shortest = tally.spans.get(FINEST.word, {})
    if word != FINEST.word and tally.open in shortest:
        found.append((tally.open * FINEST.width_s // _WIDTHS[word], shortest[tally.open]))
    return found
