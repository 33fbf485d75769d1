"""Paths into a JSON document, a subset of RFC 9535: `$.a.b`, `$.a[0]`, `$.a[*].b`, `$['odd name']`, and `$` itself."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proxy.core.json_text import Json

Step = str | int | None
"""One step down: a member's name, an element's number, or None for every element."""

Path = tuple[Step, ...]

_STEP = re.compile(
    r"""
      \. (?P<name> [A-Za-z_\x80-\U0010ffff] [0-9A-Za-z_\x80-\U0010ffff]* )
    | \[ (?P<number> 0 | [1-9][0-9]{0,8} ) \]
    | \[ (?P<every> \* ) \]
    | \[' (?P<odd> (?: [^'\\] | \\['\\] )* ) '\]
    """,
    re.VERBOSE,
)


def parse(path: str) -> Path:
    """Parse a path into its steps; raises ValueError that says where it is not one."""
    if not path.startswith("$"):
        raise ValueError(f"{path!r} is not a JSON path: it does not start with $")
    steps: list[Step] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise ValueError(f"{path!r} is not a JSON path: expected .name, [0], [*] or ['odd name'] at {path[at:]!r}")
        steps.append(_step(found))
        at = found.end()
    return tuple(steps)


def singular(path: str) -> Path:
    """Parse a path that leads to one place: without [*]; raises ValueError."""
    steps = parse(path)
    if None in steps:
        raise ValueError(f"{path!r} names many places: [*] cannot stand here")
    return steps


def _step(found: re.Match[str]) -> Step:
    match found.lastgroup:
        case "number":
            return int(found["number"])
        case "every":
            return None
        case "name":
            return found["name"]
        case _:
            return re.sub(r"\\(.)", r"\1", found["odd"])


def covers(outer: Path, inner: Path) -> bool:
    """Tell whether every place of `inner` is one of `outer`, or below one."""
    return len(outer) <= len(inner) and all(map(_holds, outer, inner))


def meets(one: Path, other: Path) -> bool:
    """Tell whether a place of `one` can be one of `other`, or lie above or below it."""
    return all(_holds(ours, theirs) or _holds(theirs, ours) for ours, theirs in zip(one, other, strict=False))


def _holds(step: Step, other: Step) -> bool:
    return step == other or (step is None and isinstance(other, int))


@dataclass(frozen=True, slots=True)
class Branch:
    """A place in a document: the marks of the paths that end here, and the places where others go on.

    A numbered element's branch has what `every` has as well.
    """

    marks: frozenset[str]
    members: dict[str, "Branch"]
    elements: dict[int, "Branch"]
    every: "Branch | None"

    def places(self, count: int) -> list[tuple[int, "Branch"]]:
        """Return those places of an array with `count` elements where paths end or go on."""
        if self.every is None:
            return [(number, below) for number, below in self.elements.items() if number < count]
        return [(number, self.elements.get(number, self.every)) for number in range(count)]


def compiled(marked: Mapping[str, Iterable[str]]) -> Branch:
    """Compile paths, grouped by the mark that each gives to the place where it ends, into one tree; raises ValueError."""
    return _branch([(mark, parse(path)) for mark, paths in marked.items() for path in paths])


def _branch(routes: list[tuple[str, Path]]) -> Branch:
    onward: dict[Step, list[tuple[str, Path]]] = {}
    for mark, steps in routes:
        if steps:
            onward.setdefault(steps[0], []).append((mark, steps[1:]))
    every = onward.pop(None, [])
    return Branch(
        marks=frozenset(mark for mark, steps in routes if not steps),
        members={step: _branch(rest) for step, rest in onward.items() if isinstance(step, str)},
        elements={step: _branch(rest + every) for step, rest in onward.items() if isinstance(step, int)},
        every=_branch(every) if every else None,
    )


def ends(tree: Json, branch: Branch) -> Iterator[tuple[Any, Any]]:
    """Yield what holds each place below the document itself where a path ends, and its key there.

    `holder[key]` is the value, and may be set.
    """
    below: list[tuple[Any, Branch]] = []
    if isinstance(tree, dict):
        below = [(name, onward) for name, onward in branch.members.items() if name in tree]
    elif isinstance(tree, list):
        below = list(branch.places(len(tree)))
    for key, onward in below:
        if onward.marks:
            yield tree, key
        yield from ends(tree[key], onward)  # type: ignore[index]  # a key of its own kind
