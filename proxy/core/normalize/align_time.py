"""`align_time`: times that fall into one step mean the same; how stale an answer may get by that is the owner's choice."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from proxy.core import json_text
from proxy.core.json_path import Branch, Path, compiled, ends, meets, parse
from proxy.core.params import Matches, matcher, params_of, with_values
from proxy.core.types import Query
from proxy.core.units import parse_duration

LEAST_STEP_S = 0.001
MOST_STEP_S = 366 * 86400.0

_SECOND_NS = 10**9
_MILLISECOND_NS = 10**6
_UNITS_S = {"s": 1.0, "ms": 0.001}


@dataclass(frozen=True, slots=True)
class AlignTime:
    """Floor the times in these parameters (`names`) and JSON `paths` to a multiple of a step, counted from 1970 in UTC.

    All who ask within one step share the answer of the first, so an answer may be older than it looks by a step, on top
    of its ttl: naming this word is the owner's consent to that. The step is the largest of `step` and what the request
    itself says: as the parameter `step_param`, or at `step_path` in its JSON body, as a duration or a number of
    `step_unit`. Times are numbers of s, ms, µs or ns (told apart by their size), RFC 3339, `now` and `now-1h`; the last
    two become seconds, the others keep their unit. What is none of them, or has no step, stays as it is. A JSON body
    ends in its one form. Raises ValueError for options that name no time, no step, or one place as both.
    """

    version: ClassVar[int] = 1

    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    step: str = ""
    step_param: str = ""
    step_path: str = ""
    step_unit: Literal["s", "ms"] = "s"
    _matches: Matches = field(init=False, repr=False, compare=False)
    _times: Branch = field(init=False, repr=False, compare=False)
    _steps: Branch = field(init=False, repr=False, compare=False)
    _least_ns: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        steps = (self.step_path,) if self.step_path else ()
        object.__setattr__(self, "_times", _listed(compiled({"time": self.paths})))
        object.__setattr__(self, "_steps", _listed(compiled({"step": steps})))
        object.__setattr__(self, "_matches", matcher(self.names))
        object.__setattr__(self, "_least_ns", _duration_ns(self.step))
        self._check(list(map(parse, steps)))

    def _check(self, steps: list[Path]) -> None:
        if not self.names and not self.paths:
            raise ValueError("names or paths: at least one time has to be named")
        if self.step and not self._least_ns:
            raise ValueError(f"step: {self.step!r} is not a duration of 1ms to 366d, such as 15s, 5m, 1h")
        if not (self.step or self.step_param or self.step_path):
            raise ValueError("step: how long one is has to be said, by step, step_param or step_path")
        if self.step_param and self._matches(self.step_param.encode()):
            raise ValueError(f"step_param: {self.step_param!r} is named as a time as well")
        if any(len(path) == len(step) and meets(path, step) for path in map(parse, self.paths) for step in steps):
            raise ValueError(f"step_path: {self.step_path!r} is named as a time as well")

    def normalize(self, query: Query) -> Query:
        """Return `query` with these times floored; raises Fallback if paths are named and the body is not JSON."""
        read = query.body and (self.paths or self.step_path)
        body = [json_text.read(query.media_type, query.body)] if read else []
        step_ns = max([self._least_ns, *[_step_ns(one, self.step_unit) for one in self._said(query, body)]])
        if not step_ns:
            return query
        now_ns = int(query.now * 1000) * _MILLISECOND_NS
        if self.names:
            query = with_values(query, self._matches, lambda value: floored(value, step_ns, now_ns))
        if not self.paths or not body:
            return query
        for holder, key in ends(body, self._times):
            value = holder[key]
            if isinstance(value, str):  # a number's literal is one as well, and stays one
                holder[key] = type(value)(floored(value, step_ns, now_ns))
        return replace(query, body=json_text.write(body[0]))

    def _said(self, query: Query, body: json_text.Json) -> Iterator[object]:
        for holder, key in ends(body, self._steps):
            yield holder[key]
        if self.step_param:
            wanted = self.step_param.encode()
            for name, value in (*params_of(query), *(query.form or ())):
                if name == wanted and value:
                    yield value.decode("latin-1")


def _listed(branch: Branch) -> Branch:
    """Return the places in a list of one document: one that is nothing but a time is held by something, too."""
    return Branch(frozenset(), {}, {}, branch)


def _step_ns(value: object, unit: str) -> int:
    """Return the step that a request says, 0 for what is none."""
    if not isinstance(value, str):
        return 0
    return _whole_ns(float(value) * _UNITS_S[unit]) if _NUMBER.fullmatch(value) else _duration_ns(value)


def _duration_ns(text: str) -> int:
    try:
        return _whole_ns(parse_duration(text))
    except ValueError:
        return 0


def _whole_ns(seconds: float) -> int:
    return round(seconds * 1_000_000) * 1000 if LEAST_STEP_S <= seconds <= MOST_STEP_S else 0


# The first number of each unit, a day in 1973: what is smaller is of the next larger unit.
_FIRST_MS = 10**11
_NUMBERS_NS = ((10**17, 1), (10**14, 1000), (_FIRST_MS, _MILLISECOND_NS), (0, _SECOND_NS))
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,18})(?:\.([0-9]{1,20}))?")
_DATE = re.compile(
    r"""
    ([0-9]{4}-[0-9]{2}-[0-9]{2}) [Tt] ((?:[01][0-9]|2[0-3]) :[0-5][0-9] :[0-5][0-9]) (?:\.([0-9]{1,20}))?
    ([Zz] | [+-](?:[01][0-9]|2[0-3]) :[0-5][0-9])
    """,
    re.VERBOSE,
)
_RELATIVE = re.compile(r"now(?:([+-])([0-9]{1,9})(ms|s|m|h|d|w))?")
_RELATIVE_NS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  it stands for UTC, and its offset is written beside it


def floored(value: str, step_ns: int, now_ns: int) -> str:
    """Return a time floored to a multiple of `step_ns` in the unit it came in; as it is where it is no time."""
    if found := _NUMBER.fullmatch(value):
        return _number(found, step_ns)
    if found := _DATE.fullmatch(value):
        return _date(found, step_ns)
    if found := _RELATIVE.fullmatch(value):
        return _relative(found, step_ns, now_ns)
    return value


def _number(found: re.Match[str], step_ns: int) -> str:
    whole, fraction = found[1], found[2] or ""
    unit_ns = next(unit_ns for least, unit_ns in _NUMBERS_NS if int(whole) >= least)
    time_ns = int(whole + fraction) * unit_ns // 10 ** len(fraction)
    return _decimal(time_ns - time_ns % step_ns, unit_ns)


def _date(found: re.Match[str], step_ns: int) -> str:
    day, time, fraction, offset = found.groups()
    try:
        local = (datetime.fromisoformat(f"{day}T{time}") - _EPOCH) // timedelta(seconds=1)
        ahead = 0 if offset in "Zz" else int(offset[0] + "1") * (int(offset[1:3]) * 3600 + int(offset[4:]) * 60)
        time_ns = (local - ahead) * _SECOND_NS + int((fraction or "").ljust(9, "0")[:9])
        second, rest = divmod(time_ns - time_ns % step_ns, _SECOND_NS)
        written = (_EPOCH + timedelta(seconds=second + ahead)).isoformat()
    except (ValueError, OverflowError):  # a 30th of February, or a step that ends before the year 1
        return found[0]
    return f"{written}{_decimal(rest, _SECOND_NS)[1:]}{offset.upper()}"


def _relative(found: re.Match[str], step_ns: int, now_ns: int) -> str:
    sign, amount, unit = found.groups()
    time_ns = now_ns
    if sign:
        time_ns += int(sign + amount) * _RELATIVE_NS[unit] * _MILLISECOND_NS
    time_ns -= time_ns % step_ns
    # what comes later would be read as milliseconds
    return _decimal(time_ns, _SECOND_NS) if 0 <= time_ns < _FIRST_MS * _SECOND_NS else found[0]


def _decimal(time_ns: int, unit_ns: int) -> str:
    whole, rest = divmod(time_ns, unit_ns)
    return f"{whole}.{str(unit_ns + rest)[1:]}".rstrip("0") if rest else str(whole)
