"""The first place where two JSON documents differ in what they mean, seen through what the owner says does not count.

Arrays without an order are matched by a key of each element: what is equal has an equal key. With a tolerance, elements
that are equal but for numbers are matched greedily in the order of these. The work is O(n log n), but for pairs of numbers that
are tried out of order, and of those there are at most TRIES.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from itertools import chain, groupby
from typing import NamedTuple

from proxy.core import moment
from proxy.core.difference import ABSENT, Difference, Kind, at_place
from proxy.core.json_number import bounded, exact, near
from proxy.core.json_path import Branch, compiled
from proxy.core.json_text import Json, Verbatim, text

TRIES = 100_000

IGNORE = "ignore"
UNORDERED = "unordered"

_NOWHERE = compiled({})
_ZERO = Decimal(0)
_LONGEST_SHAPE = 256
_DIGEST_BYTES = 20


@dataclass(frozen=True, slots=True)
class Lens:
    """What does not count: places marked IGNORE, the order of arrays marked UNORDERED, digits within a tolerance, what is recent.

    Elements of arrays are recent if the first member of `times` that is a moment, or the number that a pair begins with,
    is within `recent_s` seconds of `now`.
    """

    places: Branch = _NOWHERE
    relative: Decimal = _ZERO
    absolute: Decimal = _ZERO
    recent_s: float = 0.0
    times: tuple[str, ...] = ()
    now: float = 0.0


class Key(NamedTuple):
    """What an element means: equal for equal ones. `numbers` are those to which a tolerance applies, `shape` is all else."""

    shape: str
    numbers: tuple[Decimal, ...]


class _Found(NamedTuple):
    kind: Kind
    control: object
    candidate: object
    way: list[int | str]  # from the place up to the document


class _Element(NamedTuple):
    key: Key
    number: int
    value: Json


_Elements = list[_Element]


def first(control: Json, candidate: Json, lens: Lens) -> Difference | None:
    """Return the first difference in the order of the control, None where both documents mean the same."""
    found = _Walk(lens).first(control, candidate, lens.places)
    return found and at_place(found.way[::-1], found.kind, found.control, found.candidate)


@dataclass(slots=True)
class _Walk:
    """One comparison: what it has made keys of, and how many numbers it may still try out of order."""

    lens: Lens
    keys: dict[tuple[int, int], Key] = field(default_factory=dict)
    tries: int = TRIES
    tolerant: bool = field(init=False)

    def __post_init__(self) -> None:
        self.tolerant = bool(self.lens.relative or self.lens.absolute)

    def first(self, control: Json, candidate: Json, below: Branch) -> _Found | None:
        if isinstance(control, dict) and isinstance(candidate, dict):
            return self._first_member(control, candidate, below)
        if isinstance(control, list) and isinstance(candidate, list):
            return self._first_element(control, candidate, below)
        kind = self._scalars(control, candidate)
        return kind and _Found(kind, control, candidate, [])

    def _scalars(self, control: Json, candidate: Json) -> Kind | None:
        if type(control) is not type(candidate):
            return "type"
        if control == candidate:
            return None
        if isinstance(control, Verbatim) and isinstance(candidate, Verbatim):
            return None if self._one_number(control, candidate) else "number"
        return "value"

    def _one_number(self, control: Verbatim, candidate: Verbatim) -> bool:
        ours, theirs = self._number(control), self._number(candidate)
        return ours.shape == theirs.shape and self._near(ours, theirs)

    def _first_member(self, control: dict[str, Json], candidate: dict[str, Json], below: Branch) -> _Found | None:
        for name, value in control.items():
            onward = below.members.get(name, _NOWHERE)
            if IGNORE in onward.marks:
                continue
            if name not in candidate:
                return _Found("missing", value, ABSENT, [name])
            if found := self.first(value, candidate[name], onward):
                found.way.append(name)
                return found
        for name, value in candidate.items():
            if name not in control and IGNORE not in below.members.get(name, _NOWHERE).marks:
                return _Found("extra", ABSENT, value, [name])
        return None

    def _first_element(self, control: list[Json], candidate: list[Json], below: Branch) -> _Found | None:
        ours, theirs = self._counted(control), self._counted(candidate)
        if len(ours) != len(theirs):
            return _Found("length", control, candidate, [])
        if UNORDERED in below.marks:
            return self._first_unmatched(ours, theirs, below)
        for (number, value), (_, other) in zip(ours, theirs, strict=True):
            onward = _onward(below, number)
            if IGNORE not in onward.marks and (found := self.first(value, other, onward)):
                found.way.append(number)
                one_set = len(ours) > 1 and not self._unmatched(ours, theirs, below)[0]
                return _Found("order", control, candidate, []) if one_set else found
        return None

    def _first_unmatched(
        self, ours: list[tuple[int, Json]], theirs: list[tuple[int, Json]], below: Branch
    ) -> _Found | None:
        """Look into what no element is equal to, the likeliest pairs: in nested arrays there may be another order yet."""
        pairs = zip(*self._unmatched(ours, theirs, below), strict=True)
        for one, other in sorted(pairs, key=lambda pair: pair[0].number):
            if found := self.first(one.value, other.value, _onward(below, one.number)):
                found.way.append(one.number)
                return found
        return None

    def _unmatched(
        self, ours: list[tuple[int, Json]], theirs: list[tuple[int, Json]], below: Branch
    ) -> tuple[_Elements, _Elements]:
        """Return what is left on both sides once each element has found an equal one, in the order of their keys."""
        left, right = self._keyed(ours, below), self._keyed(theirs, below)
        if not self.tolerant:
            return _unequal(left, right)
        alike, others = _by_shape(left), _by_shape(right)
        sides = [self._not_near(alike.get(shape, []), others.get(shape, [])) for shape in sorted({*alike, *others})]
        return [one for side, _ in sides for one in side], [one for _, side in sides for one in side]

    def _not_near(self, ours: _Elements, theirs: _Elements) -> tuple[_Elements, _Elements]:
        """Match elements of one shape, in the order of their numbers: all; or what is equal, what is near, then any two.

        For elements of one number the first says already whether they can be matched at all. Whoever is the control, the
        pairs are the same: both sides take the lowest that is left.
        """
        if len(ours) == len(theirs) and all(self._places_near(ours, theirs)):
            return [], []
        ours, theirs = _unequal(ours, theirs)
        near_by = [*self._places_near(ours, theirs), *[False] * abs(len(ours) - len(theirs))]
        ours = [one for one, matched in zip(ours, near_by, strict=False) if not matched]
        theirs = [one for one, matched in zip(theirs, near_by, strict=False) if not matched]
        return [one for one in ours if not self._taken(one, theirs)], theirs

    def _places_near(self, ours: _Elements, theirs: _Elements) -> Iterator[bool]:
        return (self._near(one.key, other.key) for one, other in zip(ours, theirs, strict=False))

    def _taken(self, one: _Element, others: _Elements) -> bool:
        """Take the first of the others that is near, as long as tries are left."""
        cost = 1 + len(one.key.numbers)
        for place in range(min(len(others), self.tries // cost)):
            self.tries -= cost
            if self._near(one.key, others[place].key):
                del others[place]
                return True
        return False

    def _near(self, one: Key, other: Key) -> bool:
        pairs = zip(one.numbers, other.numbers, strict=True)
        return all(near(ours, theirs, self.lens.relative, self.lens.absolute) for ours, theirs in pairs)

    def _keyed(self, elements: list[tuple[int, Json]], below: Branch) -> _Elements:
        keyed = [
            _Element(self._element_key(value, _onward(below, number)), number, value) for number, value in elements
        ]
        return sorted(keyed, key=_key_of)

    def _element_key(self, value: Json, below: Branch) -> Key:
        return _IGNORED if IGNORE in below.marks else self._key(value, below)

    def _key(self, value: Json, below: Branch) -> Key:
        if isinstance(value, Verbatim):
            return self._number(value)
        place = id(value), id(below)  # both live as long as the comparison
        if isinstance(value, dict):
            return self.keys.get(place) or self.keys.setdefault(place, self._key_of_object(value, below))
        if isinstance(value, list):
            return self.keys.get(place) or self.keys.setdefault(place, self._key_of_array(value, below))
        return Key(_short(text(value)), ())

    def _number(self, literal: Verbatim) -> Key:
        form = exact(literal)
        number = bounded(form) if self.tolerant else None
        return Key(f"#{_short(form)}", ()) if number is None else Key("#", (number,))

    def _key_of_object(self, members: dict[str, Json], below: Branch) -> Key:
        inner = [(name, below.members.get(name, _NOWHERE)) for name in sorted(members)]
        keys = [(name, self._key(members[name], onward)) for name, onward in inner if IGNORE not in onward.marks]
        shape = ",".join([f"{text(name)}:{key.shape}" for name, key in keys])
        return _joined(f"{{{shape}}}", [key for _, key in keys])

    def _key_of_array(self, elements: list[Json], below: Branch) -> Key:
        keys = [self._element_key(value, _onward(below, number)) for number, value in self._counted(elements)]
        if UNORDERED in below.marks:
            keys.sort()
        return _joined(f"[{','.join([key.shape for key in keys])}]", keys)

    def _counted(self, elements: list[Json]) -> list[tuple[int, Json]]:
        """Return the elements that count, with their numbers."""
        if not self.lens.recent_s:
            return list(enumerate(elements))
        return [(number, value) for number, value in enumerate(elements) if not self._recent(value)]

    def _recent(self, element: Json) -> bool:
        at = None
        if isinstance(element, dict):
            named = [moment.of(element[name]) for name in self.lens.times if name in element]
            at = next((one for one in named if one is not None), None)
        elif isinstance(element, list) and len(element) == 2 and isinstance(element[0], Verbatim):
            at = moment.of(element[0])
        return at is not None and abs(self.lens.now - at) <= self.lens.recent_s


_IGNORED = Key("-", ())


def _onward(below: Branch, number: int) -> Branch:
    return below.elements.get(number, below.every or _NOWHERE)


def _key_of(element: _Element) -> Key:
    return element.key


def _joined(shape: str, keys: list[Key]) -> Key:
    return Key(_short(shape), tuple(chain.from_iterable([key.numbers for key in keys])))


def _short(shape: str) -> str:
    """Keep the beginning, by which alike elements are sorted together, and a digest of what is long."""
    if len(shape) <= _LONGEST_SHAPE:
        return shape
    return f"{shape[: _LONGEST_SHAPE // 2]}…{blake2b(shape.encode(), digest_size=_DIGEST_BYTES).hexdigest()}"


def _unequal(ours: _Elements, theirs: _Elements) -> tuple[_Elements, _Elements]:
    """Return what is on one side only, of two sides in the order of their keys."""
    left, right = list[_Element](), list[_Element]()
    one, other = 0, 0
    while one < len(ours) and other < len(theirs):
        if ours[one].key == theirs[other].key:
            one, other = one + 1, other + 1
        elif ours[one].key < theirs[other].key:
            left.append(ours[one])
            one += 1
        else:
            right.append(theirs[other])
            other += 1
    return left + ours[one:], right + theirs[other:]


def _by_shape(elements: _Elements) -> dict[str, _Elements]:
    return {shape: list(alike) for shape, alike in groupby(elements, key=lambda one: one.key.shape)}
