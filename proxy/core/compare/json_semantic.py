"""`json_semantic`: equal as JSON but for what the owner says does not count."""

from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation

from proxy.core.compare.bytes import compared
from proxy.core.compare.json import seen_through
from proxy.core.difference import Difference
from proxy.core.json_difference import IGNORE, UNORDERED, Lens
from proxy.core.json_path import Branch, compiled, covers, parse
from proxy.core.types import Response
from proxy.core.units import parse_duration

_LONGEST_TOLERANCE = 40


@dataclass(frozen=True, slots=True)
class JsonSemantic:
    """As `json`, less what these options leave out; `ignore` and `unordered` are lists of JSON paths.

    Numbers are equal within `float_abs`, or within `float_rel` of the larger one (at most 100 digits and exponents of
    400; others exactly). Nothing at a path of `ignore` counts, nor whether it is there; an ignored element still counts
    as one. Arrays at `unordered` mean the same in any order. Elements of arrays no further than `skip_recent`
    from now are left out of both answers, whose number may differ by them: their time is the first member of `time`
    that is one, or the number that a pair [time, value] begins with; in seconds or milliseconds since 1970, or ISO 8601.
    Raises ValueError for what is not a path, a tolerance or a duration, and for paths that contradict each other.
    """

    float_rel: float | str = 0.0
    float_abs: float | str = 0.0
    ignore: tuple[str, ...] = ()
    unordered: tuple[str, ...] = ()
    skip_recent: str | int = 0
    time: tuple[str, ...] = ("timestamp", "time", "ts")
    _lens: Lens = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = compiled({IGNORE: self.ignore, UNORDERED: self.unordered})
        _check_ignored(self.ignore, self.unordered)
        _check_numbers(places, "$")
        relative = _tolerance("float_rel", self.float_rel)
        if relative >= 1:
            raise ValueError(f"float_rel: {str(self.float_rel)!r} is not a part of a number: less than 1")
        absolute = _tolerance("float_abs", self.float_abs)
        lens = Lens(places, relative, absolute, parse_duration(self.skip_recent), self.time)
        object.__setattr__(self, "_lens", lens)

    def difference(self, control: Response, candidate: Response, now: float = 0.0) -> Difference | None:
        """Return the first difference."""
        return compared(control, candidate, seen_through(control, replace(self._lens, now=now)))


def _tolerance(option: str, given: float | str) -> Decimal:
    written = str(given)
    try:
        number = Decimal(written if len(written) <= _LONGEST_TOLERANCE else "NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0 or (number and abs(number.adjusted()) > 400):
        raise ValueError(f"{option}: {written!r} is not a number such as 0.01 or 1e-9")
    return number


def _check_ignored(ignore: tuple[str, ...], unordered: tuple[str, ...]) -> None:
    for ignored in map(parse, ignore):
        if not ignored:
            raise ValueError("ignore: '$' is the whole answer, no two would differ")
        for path in unordered:
            if covers(ignored, parse(path)):
                raise ValueError(f"unordered: {path!r} names what `ignore` leaves out")


def _check_numbers(branch: Branch, path: str) -> None:
    if branch.elements and UNORDERED in branch.marks:
        raise ValueError(
            f"unordered: the elements of {path!r} have no fixed number, but another path names one by its number"
        )
    for name, below in branch.members.items():
        _check_numbers(below, f"{path}.{name}")
    for number, below in branch.elements.items():
        _check_numbers(below, f"{path}[{number}]")
    if branch.every:
        _check_numbers(branch.every, f"{path}[*]")
