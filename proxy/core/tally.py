"""What one process tells the others of what it has counted: notes of numbers first, and packed spans behind them.

A tally says all that counts: sums, the open spans, and those that were closed since the process's rings were written
down; a ring holds all closed spans of one grain. Where both have a span, the tally's is newer. Whoever names another
among those it `took` has counted all of that one's as its own, so that at no moment anything is counted twice.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, field
from itertools import accumulate, pairwise
from typing import Any, Final

from proxy.core.detail import Details, details_of
from proxy.core.operation import Operations, operations_of

_VERSION: Final = 1
Spans = Mapping[int, bytes]
"""Packed spans by their number since the epoch."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one store holds: entries, bytes, and whether it did what it was last asked for; `shared` by processes."""

    name: str
    entries: int
    bytes: int
    limit_bytes: int
    shared: bool = False
    is_well: bool = True


@dataclass(frozen=True, slots=True)
class Tally:
    """What one process has counted; `at` and `since` are wall-clock seconds.

    `machine` is where it runs; `far` is what processes of other machines counted that it took. `left`: it has ended.
    `heard` are the last questions that it has answered by this.
    """

    machine: str
    at: float
    since: float
    operations: Operations = field(default_factory=Operations)
    far: Operations = field(default_factory=Operations)
    details: Details = field(default_factory=Details)
    spans: Mapping[str, Spans] = field(default_factory=dict)
    took: tuple[str, ...] = ()
    heard: tuple[str, ...] = ()
    left: bool = False
    held: tuple[Held, ...] = ()
    evictions: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Calls that wait for their turn upstream, by priority."""

    def written(self) -> bytes:
        """Write it as a note."""
        flat = [(word, number, packed) for word, spans in self.spans.items() for number, packed in spans.items()]
        head = {
            "v": _VERSION, "machine": self.machine, "at": self.at, "since": self.since, "left": self.left,
            "took": self.took, "heard": self.heard, "operations": self.operations.written(arms=False),
            "held": [astuple(one) for one in self.held], "evictions": self.evictions, "waiting": dict(self.waiting),
            "far": self.far.written(arms=False), "details": self.details.written(),
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
            operations_of(head["far"]), details_of(head["details"]), spans, tuple(head["took"]), tuple(head["heard"]),
            bool(head["left"]), tuple(Held(*one) for one in head["held"]), int(head["evictions"]), dict(head["waiting"]),
        )  # fmt: skip
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


def ring_written(spans: Spans) -> bytes:
    """Write all closed spans of one grain as a note."""
    return _framed(
        {"v": _VERSION, "spans": [(number, len(packed)) for number, packed in spans.items()]}, spans.values()
    )


def ring_of(note: bytes) -> Spans:
    """Return the spans that a note tells; none where it cannot be read."""
    try:
        head, blobs = _parsed(note)
        return {int(number): packed for (number, _), packed in zip(head["spans"], blobs, strict=True)}
    except (ValueError, TypeError, KeyError):
        return {}


def _framed(head: Mapping[str, Any], blobs: Iterable[bytes]) -> bytes:
    told = json.dumps(head, separators=(",", ":")).encode()
    return b"".join([b"%d\n" % len(told), told, *blobs])


def _parsed(note: bytes) -> tuple[dict[str, Any], Iterator[bytes]]:
    length, _, rest = note.partition(b"\n")
    head = json.loads(rest[: int(length)])
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


def spans_of(tally: Tally, rings: Mapping[str, Spans], word: str) -> dict[int, bytes]:
    """Return the spans of one process, of one grain."""
    return {**rings.get(word, {}), **tally.spans.get(word, {})}
