"""`json`: a JSON body means its document, however it is spelled."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from proxy.core import json_text
from proxy.core.json_path import Branch, compiled, covers, meets, parse
from proxy.core.normalize.collapse_space import collapsed
from proxy.core.normalize.nfc import composed
from proxy.core.types import Query


@dataclass(frozen=True, slots=True)
class Json:
    """Write a JSON body in its one form; the options are lists of JSON paths.

    `ignore` drops members (an element becomes null, so that its neighbours keep their numbers), `only` keeps nothing
    but what is named and what leads there (where a body has another shape than the paths, it stays whole),
    `unordered` sorts the elements of arrays, `text` composes characters (NFC) and collapses white space in strings, and leaves their case.
    Raises ValueError for what is not a path, and for paths that contradict each other.
    """

    version: ClassVar[int] = 1

    ignore: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    unordered: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    _paths: Branch = field(init=False, repr=False, compare=False)
    _only: Branch | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        named = {"ignore": self.ignore, "unordered": self.unordered, "text": self.text}
        object.__setattr__(self, "_paths", compiled(named))
        object.__setattr__(self, "_only", compiled({"only": self.only}) if self.only else None)
        if "ignore" in self._paths.marks:
            raise ValueError("ignore: '$' is the whole body, no two requests would differ")
        named["only"] = self.only
        _check_ignored(named)
        _check_kept(named)
        _check_numbers(compiled(named), "$")

    def normalize(self, query: Query) -> Query:
        """Return `query` with its body in its one form; raises Fallback if it is not JSON in UTF-8."""
        if not query.body:
            return query
        tree = json_text.read(query.media_type, query.body)
        if self._only is not None:
            tree = _kept(tree, self._only)
        return replace(query, body=json_text.write(_shaped(tree, self._paths)))


def _check_ignored(named: dict[str, tuple[str, ...]]) -> None:
    for ignored in named["ignore"]:
        for option in ("only", "unordered", "text"):
            for path in named[option]:
                if covers(parse(ignored), parse(path)):
                    raise ValueError(f"{option}: {path!r} names what `ignore` drops with {ignored}")


def _check_kept(named: dict[str, tuple[str, ...]]) -> None:
    for option in ("ignore", "unordered", "text"):
        for path in named[option]:
            if named["only"] and not any(meets(parse(path), parse(kept)) for kept in named["only"]):
                raise ValueError(f"{option}: {path!r} names nothing that `only` keeps")


def _check_numbers(branch: Branch, path: str) -> None:
    if branch.elements and "unordered" in branch.marks:
        raise ValueError(
            f"unordered: the elements of {path!r} have no fixed number, but another path names one by its number"
        )
    for name, below in branch.members.items():
        _check_numbers(below, f"{path}.{name}")
    for number, below in branch.elements.items():
        _check_numbers(below, f"{path}[{number}]")
    if branch.every:
        _check_numbers(branch.every, f"{path}[*]")


def _kept(value: json_text.Json, branch: Branch) -> json_text.Json:
    if "only" in branch.marks:
        return value
    if isinstance(value, dict) and branch.members:
        return {name: _kept(value[name], below) for name, below in branch.members.items() if name in value}
    if isinstance(value, list) and (branch.elements or branch.every):
        kept = {number: _kept(value[number], below) for number, below in branch.places(len(value))}
        return [kept.get(number) for number in range(max(kept, default=-1) + 1)]
    return value


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
