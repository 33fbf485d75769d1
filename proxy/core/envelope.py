"""What stands around the items of an answer: cut out of a body by offsets, and closed again around other items.

An answer's items are the elements of one array, or the members of one object. Everything else is frame: equal in all
answers, but for the totals that are declared.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from proxy.core import json_slices, json_text
from proxy.core.composite import Frame, Limits
from proxy.core.json_path import Branch, Path, compiled, covers, singular
from proxy.core.json_slices import Found, Held, Read, Span, name_of, value_at
from proxy.core.json_text import Verbatim
from proxy.core.reasons import Reason
from proxy.core.types import Response
from proxy.errors import Fallback


@dataclass(frozen=True, slots=True)
class Sum:
    """A total that adds up the whole number at the path `sum` in each item."""

    sum: str

    def __post_init__(self) -> None:
        singular(self.sum)


Total = Literal["count", "any", "drop"] | Sum
"""How a total is made: the number of items; any answer's will do; left out; or a sum over the items."""

_ITEMS = "items"
_COMPUTED = re.compile(r"count|sum .*", re.DOTALL)
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,30})")
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_COMMA = re.compile(r",[ \t\n\r]*+")


class Opened(NamedTuple):
    """An answer whose items are found: the text, and where they stand in it."""

    text: str
    spans: Sequence[Span]
    frame: Frame

    def items(self) -> list[bytes]:
        """Return the bytes of each item."""
        return [self.text[span.start : span.end].encode() for span in self.spans]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Where items and totals stand; `opening` is `[` or `{`. What stands at a path of `refused` is a Fallback."""

    opening: str
    branch: Branch
    sums: Mapping[str, Path]

    @classmethod
    def of(
        cls, items: str, totals: Mapping[str, Total], opening: str = "[", refused: Mapping[str, str] | None = None
    ) -> "Envelope":
        """Compile options; raises ValueError for what is no path of names and numbers, and for totals in the items."""
        marked: dict[str, list[str]] = {_ITEMS: [items]}
        for path, total in totals.items():
            marked.setdefault(f"sum {total.sum}" if isinstance(total, Sum) else total, []).append(path)
        for path, reason in (refused or {}).items():
            marked.setdefault(reason, []).append(path)
        _check([path for paths in marked.values() for path in paths], marked.get("drop", ()))
        sums = {f"sum {total.sum}": singular(total.sum) for total in totals.values() if isinstance(total, Sum)}
        return cls(opening, compiled(marked), sums)

    def open(self, response: Response, limits: Limits, read: Read = json_slices.scan) -> Opened:
        """Find an answer's items; `read` reads each.

        Raises Fallback: PART_ERROR for any status but 200, SPLIT_LIMIT over `limits`, FRAME where it is not JSON in
        UTF-8 with such items, once, evenly separated, with totals that say what is declared.
        """
        body = _body_of(response, limits)
        try:
            text = json_text.decoded(body)
            found = json_slices.find(text, self.branch, _ITEMS, limits.answer_items, read)
        except Fallback as fallback:
            too_many = fallback.reason == Reason.SPLIT_LIMIT
            raise Fallback(Reason.SPLIT_LIMIT if too_many else Reason.FRAME) from None
        for place in found:
            if place.mark in _REASONS:
                raise Fallback(place.mark)
        held = next((place.span.value for place in found if place.mark == _ITEMS), None)
        if not isinstance(held, Held) or text[held.start] != self.opening:
            raise Fallback(Reason.FRAME)
        frame = _framed(text, found, held)
        computed = self._totals(frame.holes, held.spans)
        for hole, fill, place in zip(
            frame.holes, frame.fill, [one for one in found if one.mark != "drop"], strict=True
        ):
            if not fill and hole != _ITEMS and computed[hole] != text[place.span.at : place.span.end].encode():
                raise Fallback(Reason.FRAME)
        return Opened(text, held.spans, frame)

    def _totals(self, holes: Sequence[str], spans: Sequence[Span]) -> dict[str, bytes]:
        return {
            hole: b"%d"
            % (len(spans) if hole == "count" else sum(_number(span.value, self.sums[hole]) for span in spans))
            for hole in holes
            if _COMPUTED.fullmatch(hole)
        }

    def close(self, frame: Frame, items: Sequence[bytes], limits: Limits) -> bytes:
        """Write a body: the frame with these items in it, and its totals computed from them.

        Raises Fallback: FRAME where the frame does not show how they are separated, SPLIT_LIMIT over
        `limits.answer_bytes`.
        """
        if sum(map(len, items)) + sum(map(len, frame.pieces)) > limits.answer_bytes:
            raise Fallback(Reason.SPLIT_LIMIT)
        texts = {_ITEMS: _listed(frame, items)}
        if any(_COMPUTED.fullmatch(hole) for hole in frame.holes):
            texts |= self._totals(frame.holes, self._read(items))
        out = [frame.pieces[0]]
        for hole, fill, piece in zip(frame.holes, frame.fill, frame.pieces[1:], strict=True):
            out += [texts.get(hole, fill), piece]
        return b"".join(out)

    def _read(self, items: Sequence[bytes]) -> list[Span]:
        if not self.sums:
            return [Span("", 0, 0, 0, None)] * len(items)
        texts = [item.decode() if self.opening == "[" else f"{{{item.decode()}}}" for item in items]
        return [
            json_slices.document(text) if self.opening == "[" else json_slices.members(text, 0).spans[0]
            for text in texts
        ]

    def compared(self, body: bytes) -> bytes:
        """Return what two bodies are compared by: all of one but for totals that may differ."""
        try:
            text = json_text.decoded(body)
            found = json_slices.find(text, self.branch)
        except Fallback:
            return body
        differing = [(place.span.at, place.span.end) for place in found if place.mark == "any"]
        return "\0".join(_pieces(text, found, differing)).encode()


_REASONS = frozenset(Reason)


def _check(paths: Sequence[str], dropped: Sequence[str]) -> None:
    steps = [singular(path) for path in paths]
    for place, path in enumerate(paths):
        if any(covers(other, steps[place]) for number, other in enumerate(steps) if number != place):
            raise ValueError(f"{path!r} stands in what another path names")
    elements = [path for path in dropped if isinstance(singular(path)[-1], int)]
    if elements:
        raise ValueError(f"{elements[0]!r} is an element of an array: only members can be left out")


def _body_of(response: Response, limits: Limits) -> bytes:
    if response.status != 200:
        raise Fallback(Reason.PART_ERROR)
    body, coding = response.body, response.header(b"content-encoding")
    if not isinstance(body, bytes) or (coding is not None and coding.lower() != b"identity"):
        raise Fallback(Reason.FRAME)
    if len(body) > limits.answer_bytes:
        raise Fallback(Reason.SPLIT_LIMIT)
    if not json_text.says_utf_8(response.header(b"content-type") or b""):
        raise Fallback(Reason.FRAME)
    return body


def _framed(text: str, found: Sequence[Found], held: Held) -> Frame:
    kept = [place for place in found if place.mark != "drop"]
    inner = (held.start + 1, held.end - 1)
    holes = [inner if one.mark == _ITEMS else (one.span.at, one.span.end) for one in kept]
    pieces = _pieces(text, found, holes)
    fill = [text[one.span.at : one.span.end].encode() if one.mark == "any" else b"" for one in kept]
    frame = Frame(tuple([piece.encode() for piece in pieces]), tuple([one.mark for one in kept]), tuple(fill))
    return _spaced(text, frame, held)


def _spaced(text: str, frame: Frame, held: Held) -> Frame:
    spans = held.spans
    if not spans:
        return frame._replace(empty=text[held.start + 1 : held.end - 1].encode())
    gaps = {text[one.end : two.start] for one, two in pairwise(spans)}
    if len(gaps) > 1:
        raise Fallback(Reason.FRAME)
    lead = text[held.start + 1 : spans[0].start]
    return frame._replace(
        lead=lead.encode(),
        trail=text[spans[-1].end : held.end - 1].encode(),
        between=gaps.pop().encode() if gaps else None,
        guess=None if len(spans) > 1 else _guessed(text, lead),
    )


def _guessed(text: str, lead: str) -> bytes | None:
    """Return what would stand between two items, from how this text is indented, or else how it writes all its commas."""
    if "\n" in lead:
        return b"," + lead.encode()
    commas = set(_COMMA.findall(_STRING.sub('""', text)))
    return commas.pop().encode() if len(commas) == 1 else None


def _listed(frame: Frame, items: Sequence[bytes]) -> bytes:
    between = frame.guess if frame.between is None else frame.between
    if not items:
        empty = b"" if frame.empty is None and frame.lead == frame.trail == b"" else frame.empty
        if empty is None:
            raise Fallback(Reason.FRAME)
        return empty
    if frame.lead is None or frame.trail is None or (between is None and len(items) > 1):
        raise Fallback(Reason.FRAME)
    return b"".join((frame.lead, (between or b"").join(items), frame.trail))


def _number(value: Any, path: Path) -> int:
    number = value_at(value, path)
    if not isinstance(number, Verbatim) or not _WHOLE.fullmatch(number):
        raise Fallback(Reason.FRAME)
    return int(number)


def _dropped(found: Sequence[Found]) -> Iterator[tuple[int, int]]:
    """Yield what is left out with members that are to be dropped: their commas as well, so that JSON stays JSON."""
    within = {place.within.start: place.within for place in found if place.mark == "drop" and place.within}
    gone = {place.span.start for place in found if place.mark == "drop"}
    for held in within.values():
        spans = held.spans
        kept = next((number for number, span in enumerate(spans) if span.start not in gone), None)
        if kept is None:
            yield spans[0].start, spans[-1].end
            continue
        if kept:
            yield spans[0].start, spans[kept].start
        for one, two in pairwise(spans[kept:]):
            if two.start in gone:
                yield one.end, two.end


def _pieces(text: str, found: Sequence[Found], holes: Sequence[tuple[int, int]]) -> list[str]:
    """Return the text around the holes, without what is left out."""
    cuts = sorted([*[(start, end, True) for start, end in holes], *[(*dropped, False) for dropped in _dropped(found)]])
    begin, pieces = 0, [""]
    for start, end, hole in cuts:
        pieces[-1] += text[begin:start]
        pieces += [""] * hole
        begin = end
    pieces[-1] += text[begin:]
    return pieces


def label_at(value: Any, path: Path) -> str:
    """Return what names an item; raises Fallback (FRAME) where nothing does."""
    try:
        label = name_of(value_at(value, path))
    except Fallback:
        raise Fallback(Reason.FRAME) from None
    if label is None:
        raise Fallback(Reason.FRAME)
    return label
