"""Missing parts → calls upstream: how many, which parts in each, in which order, how many at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace
from itertools import pairwise
from math import ceil, floor, hypot, inf
from typing import Literal

from proxy.core.cost_model import LEAST_SPEED_UP, CostModel, Line
from proxy.core.reasons import Reason
from proxy.errors import Fallback

Residual = Literal["auto", "single", "each"] | int
"""How missing parts are asked for: by the cost model, in one call, each alone, or at most so many in each."""

TOO_LARGE = frozenset({413, 414})
"""The statuses that say that a call asked for too much: half of it may do (RFC 9110 §15.5.14, §15.5.15)."""
MOST_HALVINGS = 4

# How far a part's cost lies from what is expected of it, as a share: where it was measured before, and where not.
_KNOWN, _UNKNOWN = 0.2, 1.0


@dataclass(frozen=True, slots=True)
class Call:
    """The parts that one call asks for, by their places among the missing ones; `halved` times after being too large."""

    parts: tuple[int, ...]
    halved: int = 0


@dataclass(frozen=True, slots=True)
class FanOut:
    """Calls in the order in which they start, `at_once` of them together."""

    calls: tuple[Call, ...]
    at_once: int = 1


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a rule allows one request: see `residual`, `max_parallel` and `extra_work` in the guide.

    `most_bytes` is how many bytes of parts one call may ask for (a single part may have more).
    """

    residual: Residual = "auto"
    max_parallel: int = 1
    extra_work: float = 0.25
    most_bytes: float = inf


@dataclass(frozen=True, slots=True)
class Missing:
    """One missing part: the bytes that it takes in a call, and what it took when it was last asked for alone."""

    size: int = 0
    cost: float | None = None


def fan_out(
    missing: Sequence[Missing], bounds: Bounds, model: CostModel, *, spare: int = 1, extra_calls: float = inf
) -> FanOut:
    """Plan the calls for at least one missing part.

    `spare` is how many calls may be under way at once, this request's own slot counted in. `extra_calls` is how many
    more than one the budget has left for `auto`; what is `each` or in groups is done as asked.
    """
    at_once = max(1, min(bounds.max_parallel, spare))
    everything = tuple(range(len(missing)))
    if bounds.residual == "single":
        return FanOut((Call(everything),))
    if bounds.residual == "each":
        return _ordered([(one,) for one in everything], _expected(missing), at_once)
    if bounds.residual == "auto":
        return _chosen(missing, bounds, model, at_once, extra_calls)
    number = ceil(len(missing) / bounds.residual)
    expected = _expected(missing)
    groups = balanced(missing, expected, number, most=bounds.residual, most_bytes=bounds.most_bytes)
    return _ordered(groups, expected, at_once)


def paired(plan: FanOut) -> FanOut:
    """Return the plan with the two shortest parts in one call, and that first, where each call asks for one part.

    Only an answer to several parts shows what stands between them.
    """
    calls = plan.calls
    if len(calls) < 2 or any(len(call.parts) > 1 for call in calls):
        return plan
    pair = tuple(sorted([*calls[-2].parts, *calls[-1].parts]))
    return FanOut((Call(pair), *calls[:-2]), min(plan.at_once, len(calls) - 1))


def _expected(missing: Sequence[Missing]) -> list[float]:
    """Return what each part is expected to take beside the others; of what is not known, the mean of what is."""
    known = [one.cost for one in missing if one.cost is not None]
    mean = sum(known) / len(known) if known else 1.0
    return [mean if one.cost is None else one.cost for one in missing]


def _ordered(groups: Sequence[tuple[int, ...]], expected: Sequence[float], at_once: int) -> FanOut:
    """Start the longest first: then those that end last are short."""
    longest_first = sorted(groups, key=lambda group: -sum([expected[one] for one in group]))
    return FanOut(tuple([Call(group) for group in longest_first]), min(at_once, len(groups)))


def balanced(
    missing: Sequence[Missing], expected: Sequence[float], number: int, *, most: float = inf, most_bytes: float = inf
) -> list[tuple[int, ...]]:
    """Share the parts out over `number` calls that take about as long; over more where the bounds of a call ask for it.

    What is expected to take equally long stays in its order; else the longest goes first to the call that has least.
    """
    if most_bytes == inf and len(set(expected)) == 1:
        return _in_order(len(missing), number)
    open_calls = [(0.0, place) for place in range(number)]
    held: list[list[int]] = [[] for _ in range(number)]
    room = [most_bytes] * number
    smallest = min(one.size for one in missing)
    for part in sorted(range(len(missing)), key=lambda part: -expected[part]):
        size, passed_over = missing[part].size, []
        while open_calls and held[open_calls[0][1]] and room[open_calls[0][1]] < size:
            passed_over.append(heappop(open_calls))
        load, place = heappop(open_calls) if open_calls else (0.0, len(held))
        if place == len(held):
            held.append([])
            room.append(most_bytes)
        held[place].append(part)
        room[place] -= size
        if len(held[place]) < most and room[place] >= smallest:
            heappush(open_calls, (load + expected[part], place))
        for call in passed_over:
            heappush(open_calls, call)
    return [tuple(sorted(parts)) for parts in held if parts]


def _in_order(parts: int, number: int) -> list[tuple[int, ...]]:
    cuts = [parts * place // number for place in range(number + 1)]
    return [tuple(range(start, end)) for start, end in pairwise(cuts) if start < end]


def _chosen(missing: Sequence[Missing], bounds: Bounds, model: CostModel, at_once: int, extra_calls: float) -> FanOut:
    """Choose by the model: as many at once as may be, in as many calls as promise the earliest end.

    Work grows with each call, m·a + b·n for m of them; it stays within `extra_work` of one call's. More calls than go
    at once cost a each, and bring what nobody could foresee into balance.
    """
    line, parts = model.line, len(missing)
    at_once = min(at_once, model.most_at_once or at_once)
    most_calls = 1 if line is None else _most_calls(line, parts, bounds.extra_work, extra_calls)
    at_once = min(at_once, most_calls)
    if line is not None and not (line.told and model.has_gained and model.ceiling is None):
        most_calls = at_once  # nobody knows yet what one more costs, or gains
    expected = _expected(missing)
    together = balanced(missing, expected, 1, most_bytes=bounds.most_bytes)
    if line is None or at_once == 1:
        return _ordered(together, expected, 1)
    plans = [
        balanced(missing, expected, number, most_bytes=bounds.most_bytes) for number in _numbers(at_once, most_calls)
    ]
    ends = [_end(groups, missing, expected, line, at_once) for groups in plans]
    (_, end), groups = min(zip(ends, plans, strict=True), key=lambda plan: sum(plan[0]))
    return _ordered(together if end * LEAST_SPEED_UP > line.seconds(parts) else groups, expected, at_once)


def _most_calls(line: Line, parts: int, extra_work: float, extra_calls: float) -> int:
    """Return the largest m with m·a + b·n within (1 + extra_work)·(a + b·n), no more than there are parts."""
    by_work = extra_work * line.seconds(parts) / line.a if line.a > 0 else inf
    return int(min(parts, 1 + floor(min(by_work + 1e-9, max(0.0, extra_calls), parts))))


def _numbers(at_once: int, most: int) -> list[int]:
    """Return the numbers of calls to weigh against each other: a few, from as many as go at once to the most."""
    numbers = [at_once]
    while numbers[-1] * 2 < most:
        numbers.append(numbers[-1] * 2)
    return numbers if numbers[-1] == most else [*numbers, most]


def _end(
    groups: Sequence[tuple[int, ...]],
    missing: Sequence[Missing],
    expected: Sequence[float],
    line: Line,
    at_once: int,
) -> tuple[float, float]:
    """Return what chance is expected to add to the end of the last call, and this end without it."""
    total = sum(expected)
    scale = line.b * len(missing) / total if total > 0 else 0.0
    loads = sorted([line.a + scale * sum([expected[one] for one in group]) for group in groups], reverse=True)
    chance = max(
        hypot(*[scale * expected[one] * (_UNKNOWN if missing[one].cost is None else _KNOWN) for one in group])
        for group in groups
    )
    # where there is one call for each slot and no more, the slowest of them is the end
    return chance if len(groups) <= at_once else chance / 2, last_end(loads, at_once)


def last_end(seconds: Sequence[float], at_once: int) -> float:
    """Return when the last of calls ends that start in this order, each as soon as one of `at_once` slots is free."""
    free = [0.0] * at_once
    for one in seconds:
        heapreplace(free, free[0] + one)
    return max(free)


def bisected(call: Call, *, most_halvings: int = MOST_HALVINGS) -> tuple[Call, Call]:
    """Return the two halves of a call that asked for too much; raises Fallback where it cannot be halved (again)."""
    if len(call.parts) < 2 or call.halved >= most_halvings:
        raise Fallback(Reason.TOO_LARGE)
    middle = (len(call.parts) + 1) // 2
    return Call(call.parts[:middle], call.halved + 1), Call(call.parts[middle:], call.halved + 1)
