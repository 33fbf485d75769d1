"""`json`: a JSON body means its document, however it is spelled."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from proxy.core import json_text
from proxy.core.json_path import Branch, compiled
from proxy.core.normalize.collapse_space import collapsed
from proxy.core.normalize.nfc import composed
from proxy.core.reasons import Reason
from proxy.core.types import Query
from proxy.errors import Fallback

_UTF_8 = {b"charset=utf-8", b'charset="utf-8"', b"charset=utf8", b'charset="utf8"'}


@dataclass(frozen=True, slots=True)
class Json:
    """Write a JSON body in its one form; the options are lists of JSON paths.

    `ignore` drops members (an element becomes null, so that its neighbours keep their numbers), `unordered` sorts the
    elements of arrays, `text` composes characters (NFC) and collapses white space in strings, and leaves their case.
    Raises ValueError for what is not a path, and for paths that contradict each other.
    """

    version: ClassVar[int] = 1

    ignore: tuple[str, ...] = ()
    unordered: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    _paths: Branch = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        paths = compiled({"ignore": self.ignore, "unordered": self.unordered, "text": self.text})
        if "ignore" in paths.marks:
            raise ValueError("ignore: '$' is the whole body, no two requests would differ")
        _check(paths, "$")
        object.__setattr__(self, "_paths", paths)

    def normalize(self, query: Query) -> Query:
        """Return `query` with its body in its one form; raises Fallback if it is not JSON in UTF-8."""
        if not query.body:
            return query
        _check_charset(query.media_type)
        return replace(query, body=json_text.write(_shaped(json_text.parse(query.body), self._paths)))


def _check(branch: Branch, path: str) -> None:
    if branch.elements and "unordered" in branch.marks:
        raise ValueError(
            f"unordered: the elements of {path!r} have no fixed number, but another path names one by its number"
        )
    for name, below in branch.members.items():
        _check(below, f"{path}.{name}")
    for number, below in branch.elements.items():
        _check(below, f"{path}[{number}]")
    if branch.every:
        _check(branch.every, f"{path}[*]")


def _check_charset(media_type: bytes) -> None:
    for parameter in media_type.lower().split(b";")[1:]:
        if parameter.strip().startswith(b"charset") and parameter.strip() not in _UTF_8:
            raise Fallback(Reason.KEY_BODY_ENCODING)


def _shaped(value: json_text.Json, branch: Branch) -> json_text.Json:
    if isinstance(value, dict):
        _shape_members(value, branch)
    elif isinstance(value, list):
        _shape_elements(value, branch)
    elif type(value) is str and "text" in branch.marks:  # a number's literal is a Verbatim
        return collapsed(composed(value))
    return value


def _shape_members(members: dict[str, json_text.Json], branch: Branch) -> None:
    for name, below in branch.members.items():
        if name in members:
            if "ignore" in below.marks:
                del members[name]
            else:
                members[name] = _shaped(members[name], below)


def _shape_elements(elements: list[json_text.Json], branch: Branch) -> None:
    for number, below in branch.places(len(elements)):
        elements[number] = None if "ignore" in below.marks else _shaped(elements[number], below)
    if "unordered" in branch.marks:
        elements[:] = sorted(map(json_text.text, elements))
