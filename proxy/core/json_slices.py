"""Where values stand in a JSON text: offsets to cut at, so that bytes that nobody computed are never written again.

Unlike `json_text`, objects that name a member twice are read, and remember which; only a path that leads through such a
member is refused. Offsets count characters of the decoded text: what UTF-8 decodes to, it encodes to again.
"""

import re
from collections import Counter
from collections.abc import Callable
from json import JSONDecoder
from json.decoder import scanstring  # type: ignore[attr-defined]  # the C scanner of strings, as the decoder uses it
from typing import Any, NamedTuple, NoReturn

from proxy.core.json_path import Branch, Path
from proxy.core.json_text import Verbatim
from proxy.core.reasons import Reason
from proxy.errors import Fallback

_BLANK = re.compile(r"[ \t\n\r]*+")
_PLAIN_NAME = re.compile(r'"([^"\\\x00-\x1f]*+)"[ \t\n\r]*+:[ \t\n\r]*+')
_AFTER = re.compile(r"[ \t\n\r]*+([],}])[ \t\n\r]*+")

Read = Callable[[str, Any, int], tuple[Any, int]]
"""Reads the value that begins at an offset, under a member's name or an element's number: its value, and its end."""


class Repeated(dict[str, Any]):
    """An object that names members twice: the last of each, as most services read it."""

    repeated: frozenset[str] = frozenset()


class Span(NamedTuple):
    """One element of an array, or one member of an object (from its name on): its place and its parsed value.

    `at` is where the value itself begins; of an element, that is `start`.
    """

    name: str
    start: int
    at: int
    end: int
    value: Any


class Held(NamedTuple):
    """An array or object: its place, bracket to bracket, and what it holds."""

    start: int
    end: int
    spans: list[Span]


class Found(NamedTuple):
    """A place where a path ends, and the object that names it, if one does."""

    mark: str
    span: Span
    within: Held | None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    several = Repeated(members)
    several.repeated = frozenset(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return several


def _refused(_constant: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_SCAN: Callable[[str, int], tuple[Any, int]] = JSONDecoder(
    parse_int=Verbatim, parse_float=Verbatim, parse_constant=_refused, object_pairs_hook=_object
).scan_once  # type: ignore[attr-defined]  # raw_decode adds nothing to it but a frame


def _wrong() -> Fallback:
    return Fallback(Reason.KEY_BODY_SYNTAX)


def scan(text: str, _key: object, at: int) -> tuple[Any, int]:
    """Read one value at an offset; raises Fallback (KEY_BODY_SYNTAX) where there is none."""
    try:
        value, end = _SCAN(text, at)
    except (StopIteration, ValueError):
        raise _wrong() from None
    return value, end


def blank(text: str, at: int) -> int:
    """Return where white space that begins at an offset ends."""
    return _BLANK.match(text, at).end()  # type: ignore[union-attr]  # it matches everywhere


def elements(text: str, at: int, most: int | None = None, read: Read = scan) -> Held:
    """Read the array that begins at an offset.

    Raises Fallback: KEY_BODY_SYNTAX where it is none, SPLIT_LIMIT as soon as it has more than `most` elements.
    """
    begin, spans = at, list[Span]()
    at = blank(text, at + 1)
    if text[at : at + 1] == "]":
        return Held(begin, at + 1, spans)
    while True:
        if len(spans) == most:
            raise Fallback(Reason.SPLIT_LIMIT)
        value, end = read(text, len(spans), at)
        spans.append(Span("", at, at, end, value))
        after = _AFTER.match(text, end)
        if after is None or after[1] == "}":
            raise _wrong()
        if after[1] == "]":
            return Held(begin, after.end(1), spans)
        at = after.end()


def members(text: str, at: int, most: int | None = None, read: Read = scan) -> Held:
    """Read the object that begins at an offset, members named twice and all; raises Fallback as `elements` does."""
    begin, spans = at, list[Span]()
    at = blank(text, at + 1)
    if text[at : at + 1] == "}":
        return Held(begin, at + 1, spans)
    while True:
        if len(spans) == most:
            raise Fallback(Reason.SPLIT_LIMIT)
        plain = _PLAIN_NAME.match(text, at)
        name, value_at = (plain[1], plain.end()) if plain else _name(text, at)
        value, end = read(text, name, value_at)
        spans.append(Span(name, at, value_at, end, value))
        after = _AFTER.match(text, end)
        if after is None or after[1] == "]":
            raise _wrong()
        if after[1] == "}":
            return Held(begin, after.end(1), spans)
        at = after.end()


def _name(text: str, at: int) -> tuple[str, int]:
    """Read a member's name with escapes in it, and find where its value begins."""
    if text[at : at + 1] != '"':
        raise _wrong()
    try:
        name, end = scanstring(text, at + 1, True)
    except ValueError:
        raise _wrong() from None
    colon = blank(text, end)
    if text[colon : colon + 1] != ":":
        raise _wrong()
    return name, blank(text, colon + 1)


def held(text: str, at: int, most: int | None = None, read: Read = scan) -> Held | None:
    """Read what stands at an offset if it is an array or an object."""
    match text[at : at + 1]:
        case "[":
            return elements(text, at, most, read)
        case "{":
            return members(text, at, most, read)
    return None


def opened(text: str, key: object, at: int) -> tuple[Any, int]:
    """Read one value as `scan` does, but an array or object as Held."""
    inner = held(text, at)
    return (inner, inner.end) if inner else scan(text, key, at)


def document(text: str) -> Span:
    """Read a whole document; raises Fallback (KEY_BODY_SYNTAX) unless it is one value, and white space around it."""
    return _whole(text, scan)


def _whole(text: str, read: Read) -> Span:
    at = blank(text, 0)
    value, end = read(text, None, at)
    if blank(text, end) != len(text):
        raise _wrong()
    return Span("", at, at, end, value)


class _Wanted(NamedTuple):
    mark: str
    most: int | None
    read: Read
    places: list[Found]


def find(text: str, branch: Branch, mark: str = "", most: int | None = None, read: Read = scan) -> list[Found]:
    """Return the places of a document where the paths of a tree end, in the order in which they stand.

    The value of a place with this `mark` is Held, where it is an array or object; `most` bounds what it holds, and
    `read` reads it. Raises Fallback: KEY_DUPLICATE_MEMBER where a member on a path is named twice, else as `elements` does.
    """
    wanted = _Wanted(mark, most, read, [])
    root = _whole(text, lambda text, _key, at: _followed(text, at, branch, wanted))
    wanted.places.extend([Found(mark, root, None) for mark in branch.marks])
    return sorted(wanted.places, key=_start)


def _start(place: Found) -> int:
    return place.span.start


def _followed(text: str, at: int, below: Branch | None, wanted: _Wanted) -> tuple[Any, int]:
    """Read one value, and note the places in it where paths end."""
    begins = text[at : at + 1]
    if below is None or begins not in {"[", "{"}:
        return scan(text, None, at)
    if below.marks:
        inner = held(text, at, wanted.most, wanted.read) if wanted.mark in below.marks else None
        return (inner, inner.end) if inner else scan(text, None, at)
    if not (below.elements if begins == "[" else below.members):
        return scan(text, None, at)
    if begins == "[":
        onward = below.elements
        whole = elements(text, at, None, lambda text, number, at: _followed(text, at, onward.get(number), wanted))
        _note([(span, onward[number]) for number, span in enumerate(whole.spans) if number in onward], None, wanted)
    else:
        named = below.members
        whole = members(text, at, None, lambda text, name, at: _followed(text, at, named.get(name), wanted))
        on_path = [(span, named[span.name]) for span in whole.spans if span.name in named]
        if len({span.name for span, _ in on_path}) < len(on_path):
            raise Fallback(Reason.KEY_DUPLICATE_MEMBER)
        _note(on_path, whole, wanted)
    return None, whole.end


def _note(on_path: list[tuple[Span, Branch]], within: Held | None, wanted: _Wanted) -> None:
    wanted.places.extend([Found(mark, span, within) for span, branch in on_path for mark in branch.marks])


def value_at(value: Any, path: Path) -> Any:
    """Return what stands at a path (of names and numbers) in a value that was scanned.

    Raises Fallback: KEY_DUPLICATE_MEMBER where the path leads through a member that is named twice, FRAME where
    nothing stands there.
    """
    for step in path:
        if isinstance(value, Repeated) and step in value.repeated:
            raise Fallback(Reason.KEY_DUPLICATE_MEMBER)
        if not isinstance(value, dict if isinstance(step, str) else list):
            raise Fallback(Reason.FRAME)
        try:
            value = value[step]  # type: ignore[index]  # a key of its own kind
        except LookupError:
            raise Fallback(Reason.FRAME) from None
    return value


def name_of(value: Any) -> str | None:
    """Return the text by which a scalar names something: a string's, or a number's literal; None for all else."""
    return str(value) if isinstance(value, str) else None
