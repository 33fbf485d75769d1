"""`collapse_space`: any run of white space means one space in these values, and nothing at their ends."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from proxy.core.params import Matches, matcher, with_values
from proxy.core.types import Query

Change = Callable[[str], str]

_REST = ".*+"
# What one language ends a line with and another does not ends no comment for certain.
_COMMENT = r"[^\n\v\f\r\x1c-\x1e\x85\u2028\u2029]*+(?:\r?\n|\Z)"
_URI_ENDS = ("<", ">")
_URI = r'[^<>"{}|^`\\\x00-\x20]*+>'
_NOT_IN_URIS = '<>"{}|^`'


def collapsed(text: str) -> str:
    """Return `text` with one space for each run of white space, and none at its ends."""
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class CollapseSpace:
    r"""Collapse white space in the named values (in all, without names); a value that is not UTF-8 stays as it is.

    Nothing inside `quotes` and `comments` changes. A quote is one mark for both ends (`"`, `'''`), and a backslash
    escapes inside, or two marks of one length (`[]`). `<>` enclose a URI, which has no white space: a `<` that begins
    none is the sign of comparison. A comment is its mark and all to the end of the line; only
    the white space that follows goes. Where marks begin alike, the longest is meant.

    Where it is not certain what is a quote, nothing changes from there on: one is never closed; a backslash stands
    outside; a mark comes three times, and no quote begins so; a pair encloses what begins another quote, a backslash,
    or the mark of a comment in what is no URI (`a < 3 # >`). Raises ValueError for what cannot be a mark.
    """

    version: ClassVar[int] = 1

    names: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    _matches: Matches = field(init=False, repr=False, compare=False)
    _change: Change = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        marked = self.quotes or self.comments
        object.__setattr__(self, "_matches", matcher(self.names or ("*",)))
        object.__setattr__(self, "_change", _collapsed_outside(self.quotes, self.comments) if marked else collapsed)

    def normalize(self, query: Query) -> Query:
        """Return `query` with the white space of these values collapsed."""
        return with_values(query, self._matches, self._change)


def _collapsed_outside(quotes: Sequence[str], comments: Sequence[str]) -> Change:
    """Return what collapses white space but for these quotes and comments, in one pass and without a step back."""
    ends = [_ends(quote) for quote in quotes]
    begins = [opening for opening, _ in ends]
    _check([*quotes, *comments], [*begins, *comments])
    kept = dict.fromkeys(comments, f"{_COMMENT}|{_REST}")
    for opening, closing in ends:
        if (opening, closing) == _URI_ENDS:
            kept[opening] = f"{_URI}|"  # what is no URI is the sign of comparison
            continue
        inside = [_quoted(opening)] if opening == closing else _enclosed(closing, begins, comments)
        kept[opening] = "|".join([*inside, _REST])
    longest_first = sorted(kept, key=len, reverse=True)
    # One group each: the last one that took part holds what is kept, without the white space behind a comment's end.
    parts = [f"({re.escape(mark)}(?:{kept[mark]}))" + r"\s*+" * (mark in comments) for mark in longest_first]
    pieces = re.compile("|".join([r"\s++", *parts, rf"(\\{_REST})"]), re.DOTALL)
    return lambda text: pieces.sub(_piece, text.lstrip())


def _piece(found: re.Match[str]) -> str:
    if found.lastindex:
        return found[found.lastindex]
    return " " if found.end() < len(found.string) else ""


def _ends(quote: str) -> tuple[str, str]:
    middle, odd = divmod(len(quote), 2)
    opening, closing = quote[:middle], quote[middle:]
    return (quote, quote) if odd or opening == closing else (opening, closing)


def _check(marks: Sequence[str], begins: Sequence[str]) -> None:
    for mark, begin in zip(marks, begins, strict=True):
        if not mark or re.search(r"[\s\\]", mark):
            raise ValueError(f"{mark!r} cannot be a mark: it is empty, or holds white space or a backslash")
        if begins.count(begin) > 1:
            raise ValueError(f"{mark!r} begins like another mark")


def _quoted(mark: str) -> str:
    thrice = f"(?!{re.escape(mark * 2)})" if len(mark) == 1 else ""
    return thrice + _until([mark], r"\\", r"\\.") + re.escape(mark)


def _enclosed(closing: str, begins: Iterable[str], comments: Iterable[str]) -> list[str]:
    """Return patterns for what a pair may enclose: a URI, or what would leave the text behind it alone if it were none."""
    uri = _until([closing, *begins, *_NOT_IN_URIS], r"\s\\\x00-\x1f")
    harmless = _until([closing, *begins, *comments], r"\\")
    return [inside + re.escape(closing) for inside in (uri, harmless)]


def _until(stops: Iterable[str], barred: str, escape: str = "") -> str:
    """Return a pattern for all up to one of the stops or of the barred characters."""
    single = {stop for stop in stops if len(stop) == 1}
    longer = [stop for stop in stops if stop[0] not in single]
    heads = "".join(sorted(map(re.escape, {stop[0] for stop in longer})))
    plain = f"[^{''.join(sorted(map(re.escape, single)))}{heads}{barred}]*+"
    steps = [escape] if escape else []
    if longer:
        steps.append(f"(?!{'|'.join(map(re.escape, longer))})[{heads}]")
    return f"{plain}(?:(?:{'|'.join(steps)}){plain})*+" if steps else plain
