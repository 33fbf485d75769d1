"""What fetches took → what the next will take: a + b·n seconds for one call that asks for n parts; all in seconds.

Values, not objects with a state of their own: `learned` takes a model and returns the next one.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, combinations
from math import exp, floor, log, log2, sqrt
from statistics import median
from typing import TypeGuard

LEAST_FETCHES = 5
"""The model says nothing before it has seen this many."""
MOST_FETCHES = 32
LEAST_SPEED_UP = 1.2
"""Calls at once that gain less than this are not worth what they cost the upstream."""

_FORGETTING = 0.9
"""What each fetch weighs beside the one after it."""
# A fixed cost is believed where it explains nearly all, or where chance would hardly show one.
_EXACTLY = 0.1
_FAR_APART = 1.5
"""Sizes that differ less do not tell a from b."""
_JUDGED, _ENOUGH_JUDGED = 16, 5
_DOUBT = 1.5
"""So many standard errors a speed-up has to lie below the least one: a dear question is no slow upstream."""
_SHORT_REST, _FIRST_REST = 3, 8
_LONGEST_REST = 512
_SHORTEST_S, _LONGEST_S = 1e-9, 1e9


@dataclass(frozen=True, slots=True)
class Fetched:
    """One request's fetch of `parts` missing parts in `calls` calls.

    `upstream_s` is the sum of what the calls took, `took_s` is from the start of the first to the end of the last.
    `at_once` is how many were under way together.
    """

    parts: int
    calls: int
    upstream_s: float
    took_s: float
    at_once: int = 1


@dataclass(frozen=True, slots=True)
class Line:
    """Seconds upstream: `a` for each call, `b` for each part; neither is negative.

    `told`: calls of sizes that differ told one from the other; else all is taken to be b.
    """

    a: float
    b: float
    told: bool = True

    def seconds(self, parts: float, calls: int = 1) -> float:
        """Return the upstream's work for so many parts in so many calls."""
        return self.a * calls + self.b * parts


@dataclass(frozen=True, slots=True)
class CostModel:
    """What is known of one rule's fetches.

    `means` are parts and seconds per call of the last ones, the newest last. `speed_ups` are those of calls at once
    since this was last given up. `ceiling` is how many calls at once the speed-ups allow, None for any number;
    `rest`: so many fetches more go in one call, `next_rest` if that happens again. `line` is None until there are
    enough fetches.
    """

    means: tuple[tuple[float, float], ...] = ()
    speed_ups: tuple[float, ...] = ()
    ceiling: int | None = None
    rest: int = 0
    next_rest: int = _FIRST_REST
    line: Line | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "line", fitted(self.means))

    @property
    def most_at_once(self) -> int | None:
        """Return how many calls at once are worth trying now; None for any number."""
        return 1 if self.rest else self.ceiling

    @property
    def has_gained(self) -> bool:
        """Tell whether calls at once have gained enough since they were last given up."""
        return bool(self.speed_ups) and median(self.speed_ups) >= LEAST_SPEED_UP


def learned(model: CostModel, fetched: Fetched) -> CostModel:
    """Return the model that knows one complete fetch more; failed and cut ones teach nothing and are not for it."""
    times = (fetched.took_s, fetched.upstream_s)
    if fetched.parts < 1 or fetched.calls < 1 or not all(_SHORTEST_S < seconds < _LONGEST_S for seconds in times):
        return model
    after = model
    if fetched.at_once > 1 and model.line is not None:
        after = _judged(model, model.line, fetched)
        doubt = _doubt(model, model.line, len(after.speed_ups))
        if not after.speed_ups or median(after.speed_ups) < LEAST_SPEED_UP * doubt:
            return after  # what calls took that may have waited for each other tells nothing of what one takes
    elif fetched.at_once == 1 and model.rest and fetched.parts > 1:  # one part could not have gone in several calls
        after = replace(model, rest=model.rest - 1)
    mean = (fetched.parts / fetched.calls, fetched.upstream_s / fetched.calls)
    return replace(after, means=_with(model.means, mean))


def _with(means: tuple[tuple[float, float], ...], mean: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """Add the newest, forgetting the oldest of the commonest size: sizes that differ tell a from b."""
    if len(means) < MOST_FETCHES:
        return (*means, mean)
    sizes = [floor(log2(parts) * 2) for parts, _ in means]
    commonest = max(sizes, key=sizes.count)
    oldest = sizes.index(commonest)
    return (*means[:oldest], *means[oldest + 1 :], mean)


def _judged(model: CostModel, line: Line, fetched: Fetched) -> CostModel:
    """Give calls at once up where they gain too little, or allow twice as many where they were few.

    Where fetches of one size take about as long each time, one tells whose calls waited for each other; else it takes
    some to tell, for one part that takes nearly all the time leaves nothing to gain, that time.
    """
    speed_ups = (*model.speed_ups, line.seconds(fetched.parts) / fetched.took_s)[-_JUDGED:]
    gain, doubt = median(speed_ups), _doubt(model, line, len(speed_ups))
    # k calls in line take (k + 1) / 2 times as long as alone; this is half of the way there
    waited = fetched.upstream_s > line.seconds(fetched.parts, fetched.calls) * (fetched.at_once + 3) / 4
    if gain * doubt < LEAST_SPEED_UP and (waited or len(speed_ups) >= _ENOUGH_JUDGED):
        longer = min(model.next_rest * 2, _LONGEST_REST)
        return replace(model, speed_ups=(), ceiling=2, rest=model.next_rest, next_rest=longer)
    if len(speed_ups) == _JUDGED and gain < LEAST_SPEED_UP * doubt:  # some calls alone will tell
        return replace(model, speed_ups=(), rest=_SHORT_REST)
    if model.ceiling is None or gain < LEAST_SPEED_UP:
        return replace(model, speed_ups=speed_ups)
    if fetched.at_once < model.ceiling:
        return replace(model, speed_ups=speed_ups, ceiling=None, next_rest=_FIRST_REST)
    return replace(model, speed_ups=speed_ups, ceiling=model.ceiling * 2)


def _doubt(model: CostModel, line: Line, judged: int) -> float:
    """Return the factor by which the median of so many speed-ups may be off, as far off the line as calls are."""
    off = [abs(log(took / line.seconds(parts))) for parts, took in model.means]
    deviation = 1.4826 * median(off)  # robustly: of what is normally distributed, half lies within 0.67 of it
    return exp(_DOUBT * deviation / sqrt(max(1, judged)))


def fitted(means: Sequence[tuple[float, float]]) -> Line | None:
    """Fit a line through (parts, seconds) per call, the newest last; None where there are too few.

    Fitted are seconds per part, b + a/n: their noise is the same for all sizes. The median of the slopes between all
    pairs (Theil–Sen) bears a few that are far off.
    """
    if len(means) < LEAST_FETCHES:
        return None
    aged = [(1 / parts, took / parts, _FORGETTING**age) for age, (parts, took) in enumerate(reversed(means))]
    shares = [share for share, _, _ in aged]
    told = max(shares) >= _FAR_APART * min(shares)
    without = Line(0.0, _weighted_median((each, weight) for _, each, weight in aged), told)
    slopes = [
        ((q[1] - p[1]) / (q[0] - p[0]), p[2] * q[2] * abs(q[0] - p[0]))
        for p, q in combinations(aged, 2)
        if p[0] != q[0]
    ]
    if not told or (a := _weighted_median(slopes)) <= 0:
        return without
    b = _weighted_median((each - a * share, weight) for share, each, weight in aged)
    line = Line(a, b) if b > 0 else Line(_weighted_median((each / share, weight) for share, each, weight in aged), 0.0)
    off = zip(_missed(line, aged), _missed(without, aged), strict=True)
    is_exact = any(with_a < _EXACTLY * without_a for with_a, without_a in off)
    return line if is_exact or _is_no_chance(slopes, shares) else without


def _missed(line: Line, aged: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Return how far off the line all are together, and three quarters at most: a few may be far off any line."""
    off = [(abs(each - line.b - line.a * share), weight) for share, each, weight in aged]
    return sum([distance * weight for distance, weight in off]), _weighted_median(off, 0.75)


def _is_no_chance(slopes: Sequence[tuple[float, float]], shares: Sequence[float]) -> bool:
    """Tell whether so many slopes with one sign are rarer than one in two hundred by chance (Mann–Kendall, with ties)."""
    rising = sum((slope > 0) - (slope < 0) for slope, _ in slopes)
    ties = [shares.count(share) for share in set(shares)]
    spread = sum(n * (n - 1) * (2 * n + 5) * sign for n, sign in [(len(shares), 1), *[(tied, -1) for tied in ties]])
    return rising > 2.6 * sqrt(spread / 18)


def _weighted_median(weighed: Iterable[tuple[float, float]], share: float = 0.5) -> float:
    ordered = sorted(weighed)
    below = list(accumulate(weight for _, weight in ordered))
    return ordered[bisect_left(below, below[-1] * share)][0]


def dumped(model: CostModel) -> dict[str, object]:
    """Return what `loaded` reads back: numbers and lists of them only."""
    means = [list(mean) for mean in model.means]
    return {"means": means, "ceiling": model.ceiling, "rest": model.rest, "next_rest": model.next_rest}


def loaded(dump: object) -> CostModel:
    """Read a model back; what is not one is a new one, for where it was kept others may write too."""
    if not isinstance(dump, Mapping) or not isinstance(dump.get("means"), list):
        return CostModel()
    means = tuple([(mean[0], mean[1]) for mean in dump["means"] if _is_mean(mean)])
    ceiling, rest, next_rest = (dump.get(name) for name in ("ceiling", "rest", "next_rest"))
    if len(means) < len(dump["means"]) or len(means) > MOST_FETCHES:
        return CostModel()
    if not (ceiling is None or _is_count(ceiling, 2, 2**30)) or not _is_count(rest, 0, _LONGEST_REST):
        return CostModel()
    if not _is_count(next_rest, _FIRST_REST, _LONGEST_REST):
        return CostModel()
    return CostModel(means, ceiling=ceiling, rest=rest, next_rest=next_rest)


def _is_mean(mean: object) -> bool:
    if not isinstance(mean, list) or len(mean) != 2:
        return False
    return all(type(one) in {int, float} and _SHORTEST_S < one < _LONGEST_S for one in mean) and mean[0] >= 1


def _is_count(value: object, least: int, most: int) -> TypeGuard[int]:
    return type(value) is int and least <= value <= most


class PartCosts:
    """What single parts took when a call asked for one alone; at most `most` of them, the longest unused go first."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._costs: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._costs)

    def learn(self, key: bytes, seconds: float) -> None:
        """Remember what a part took: halfway between what it took before and now."""
        before = self._costs.pop(key, seconds)
        self._costs[key] = (before + seconds) / 2
        if len(self._costs) > self._most:
            del self._costs[next(iter(self._costs))]

    def get(self, key: bytes) -> float | None:
        """Return what this part took, None where nothing is remembered."""
        cost = self._costs.pop(key, None)
        if cost is not None:
            self._costs[key] = cost
        return cost
