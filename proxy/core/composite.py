"""The values between a composite request and its answer: Request → Cut of Parts; answers → Frame and Shares → one body."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple

from proxy.core.reasons import Reason
from proxy.core.types import Request
from proxy.errors import Fallback


@dataclass(frozen=True, slots=True)
class Limits:
    """What is looked at before any work is done: parts of one request, bytes of its body; an answer's bytes and items."""

    parts: int = 64
    request_bytes: int = 2**20
    answer_bytes: int = 32 * 2**20
    answer_items: int = 10_000


LIMITS = Limits()


class Part(NamedTuple):
    """One part of a request: `raw` builds requests, `identity` makes its key, `label` is what names it in an answer.

    Parts with one identity in requests with one frame ask the same. `mark` is written back into its share of an answer
    (JSON-RPC's id). An `optional` part may be absent from a correct answer.
    """

    identity: bytes
    raw: bytes
    label: str | None = None
    mark: bytes = b""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Around:
    """The bytes of a text around its parts, and between two of them."""

    before: bytes
    between: bytes
    after: bytes

    def of(self, pieces: Iterable[bytes]) -> bytes:
        """Return the text with these pieces in it."""
        return b"".join((self.before, self.between.join(pieces), self.after))


@dataclass(frozen=True, slots=True)
class Cut:
    """A request cut into its parts, in its order and with its duplicates.

    `frame` is the request without its parts: its key, and a part's identity, are that part's key. `rest` is what the
    splitter needs to build requests, and nobody else's business.
    """

    parts: tuple[Part, ...]
    frame: Request
    rest: object = None

    def picked(self, places: Sequence[int]) -> tuple[Part, ...]:
        """Return the parts at these places."""
        return tuple([self.parts[place] for place in places])


class Kind(StrEnum):
    """What an answer says of a part; ABSENT: nothing, but it may have been cut off before that part."""

    PRESENT = "present"
    MISSING = "missing"
    ABSENT = "absent"
    ERROR = "error"


_LETTERS = {Kind.PRESENT: b"P", Kind.MISSING: b"M", Kind.ABSENT: b"A", Kind.ERROR: b"E"}
_KINDS = {letter: kind for kind, letter in _LETTERS.items()}


class Share(NamedTuple):
    """One part's share of an answer: the bytes of its items as they came."""

    items: tuple[bytes, ...]
    kind: Kind = Kind.PRESENT

    @property
    def lasting(self) -> bool:
        """Tell whether it may be kept for other requests: neither an ERROR nor ABSENT."""
        return self.kind in {Kind.PRESENT, Kind.MISSING}

    def packed(self) -> bytes:
        """Return this share as bytes to store."""
        if len(self.items) == 1:  # as most have
            return _LETTERS[self.kind] + b"=" + self.items[0]
        return _LETTERS[self.kind] + b"*" + pack(self.items)

    @classmethod
    def unpacked(cls, stored: bytes) -> "Share":
        """Read a stored share; raises ValueError where it is none."""
        kind = _KINDS.get(stored[:1])
        if kind is None or stored[1:2] not in {b"=", b"*"}:
            raise ValueError("not a share")
        return cls((stored[2:],) if stored[1:2] == b"=" else tuple(_all_bytes(unpack(stored[2:]))), kind)


MISSING = Share((), Kind.MISSING)
ABSENT = Share((), Kind.ABSENT)


class Frame(NamedTuple):
    """What an answer holds besides its items, cut at the holes where items and totals stood.

    `pieces` are the bytes around the `holes`, one more than these; `fill` is what stood in each hole, b"" where it is
    computed. `lead`, `between` and `trail` are the white space (and comma) around items, `empty` what stands between the
    brackets where there are none; None where this answer does not show it. `guess` is what `between` should be, from
    how the rest of the answer is written.
    """

    pieces: tuple[bytes, ...]
    holes: tuple[str, ...]
    fill: tuple[bytes, ...]
    lead: bytes | None = None
    between: bytes | None = None
    trail: bytes | None = None
    empty: bytes | None = None
    guess: bytes | None = None

    def packed(self) -> bytes:
        """Return this frame as bytes to store."""
        known = [self.lead, self.between, self.trail, self.empty, self.guess]
        return pack([*known, *[hole.encode() for hole in self.holes], *self.fill, *self.pieces])

    @property
    def shows_between(self) -> bool:
        """Tell whether any number of items can be put into it without a guess."""
        return self.between is not None and self.lead is not None

    @classmethod
    def unpacked(cls, stored: bytes) -> "Frame":
        """Read a stored frame; raises ValueError where it is none."""
        texts = unpack(stored)
        known, rest = texts[:5], _all_bytes(texts[5:])
        count, odd = divmod(len(rest) - 1, 3)
        if len(known) < 5 or count < 1 or odd:
            raise ValueError("not a frame")
        holes = tuple([hole.decode() for hole in rest[:count]])
        return cls(tuple(rest[2 * count :]), holes, tuple(rest[count : 2 * count]), *known)


class Sliced(NamedTuple):
    """An answer cut into its frame, and the shares of the parts that were asked for, in that order.

    `shows_order`: only the order of the request explains that of the items; a service that sorts would have sent others.
    """

    frame: Frame
    shares: tuple[Share, ...]
    shows_order: bool = False


def alike(parts: Sequence[Part], shares: Sequence[Share]) -> tuple[Share, ...]:
    """Return the shares; raises Fallback (DUPLICATE_PART) where an answer says two things of one part."""
    first: dict[bytes, Share] = {}
    for part, share in zip(parts, shares, strict=True):
        if first.setdefault(part.identity, share) != share:
            raise Fallback(Reason.DUPLICATE_PART)
    return tuple(shares)


def united(frames: Sequence[Frame], *, guess: bool = False) -> Frame:
    """Return what several answers' frames show together: of totals that nobody computes, the first one's.

    Without `guess`, nobody guesses how items are separated where each answer held only one. Raises Fallback (FRAME)
    where they differ, and where there are none.
    """
    if not frames:
        raise Fallback(Reason.FRAME)
    one = frames[0]
    if any((two.pieces, two.holes) != (one.pieces, one.holes) for two in frames):
        raise Fallback(Reason.FRAME)
    guesses = {frame.guess for frame in frames} - {None}
    return one._replace(
        lead=_agreed([frame.lead for frame in frames]),
        between=_agreed([frame.between for frame in frames]),
        trail=_agreed([frame.trail for frame in frames]),
        empty=_agreed([frame.empty for frame in frames]),
        guess=guesses.pop() if guess and len(guesses) == 1 else None,
    )


def _agreed(texts: Iterable[bytes | None]) -> bytes | None:
    known = {text for text in texts if text is not None}
    if len(known) > 1:
        raise Fallback(Reason.FRAME)
    return known.pop() if known else None


def sorted_somehow(labels: Sequence[str]) -> bool:
    """Tell whether labels stand in an order that sorting would give, up or down: by text, without case, as numbers."""
    orders: list[Sequence[Any]] = [labels, [label.casefold() for label in labels]]
    if all(label.removeprefix("-").isdecimal() and len(label) <= 40 for label in labels):
        orders.append([int(label) for label in labels])
    return any(
        all(one <= two for one, two in pairwise(order)) or all(one >= two for one, two in pairwise(order))
        for order in orders
    )


def pack(texts: Iterable[bytes | None]) -> bytes:
    """Write texts one after another, each with its length before it."""
    return b"".join([b"-," if text is None else b"%d:%b," % (len(text), text) for text in texts])


def unpack(packed: bytes) -> list[bytes | None]:
    """Read what `pack` wrote; raises ValueError where it did not."""
    texts: list[bytes | None] = []
    at = 0
    while at < len(packed):
        if packed.startswith(b"-,", at):
            texts.append(None)
            at += 2
            continue
        colon = packed.index(b":", at)
        length = packed[at:colon]
        end = colon + 1 + int(length)
        if not length.isdigit() or packed[end : end + 1] != b",":
            raise ValueError("not packed by us")
        texts.append(packed[colon + 1 : end])
        at = end + 1
    return texts


def _all_bytes(texts: Sequence[bytes | None]) -> list[bytes]:
    if None in texts:
        raise ValueError("not packed by us")
    return [text for text in texts if text is not None]
