"""Where a service's own answers to one request differ: there, nobody can tell whether a candidate's is wrong."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from proxy.core.compare import Compare
from proxy.core.compare.json import Json
from proxy.core.compare.json_semantic import JsonSemantic
from proxy.core.difference import Difference, same_place
from proxy.core.json_path import parse
from proxy.core.types import Response

_CUT = "…"
"""Stands for the rest of a path: it may be of many places."""
_NUMBER = re.compile(r"\[[0-9]+\]")


def difference(
    compare: Compare, control: Response, candidate: Response, now: float, noise: Sequence[Difference]
) -> Difference | None:
    """Return the first difference of two plain answers that is no noise; in JSON as its path, wherever there is one.

    Where there is noise, what is left is compared as JSON: of its bytes nobody can say which they should be.
    """
    found = tolerant(compare, noise).difference(control, candidate, now)
    if found is not None and found.kind == "bytes":
        found = Json().difference(control, candidate, now) or found
    return None if found is None or any(same_place(one, found) for one in noise) else found


def tolerant(compare: Compare, noise: Sequence[Difference]) -> Compare:
    """Return a measure by which answers that differ by noise only are equal, as far as it has places in JSON."""
    unordered = {_place(one) for one in noise if one.kind == "order"} - {None}
    ignored = {_place(one) for one in noise if one.kind != "order"} - {None}
    given = compare if isinstance(compare, JsonSemantic) else JsonSemantic()
    if not unordered and not ignored:
        return compare
    try:
        return replace(
            given, ignore=_joined(given.ignore, ignored), unordered=_joined(given.unordered, unordered - ignored)
        )
    except ValueError:  # they contradict one another, or what the owner says
        return compare


def _joined(given: tuple[str, ...], places: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*given, *sorted([place for place in places if place is not None])]))


def _place(one: Difference) -> str | None:
    """Return a place as a JSON path, the same for all elements of an array; None where it has none."""
    path = _NUMBER.sub("[*]", one.path)
    try:
        return path if _CUT not in path and parse(path) else None
    except ValueError:  # a status, a byte
        return None
