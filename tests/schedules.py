"""Upstreams in virtual time: what a plan of calls takes where parts are independent, share some workers, or wait in line."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from proxy.core.cost_model import CostModel, Fetched, learned
from proxy.core.fan_out import Bounds, FanOut, Missing, fan_out

MEAN_SUM_S = 54.5
SUMS_S = (40.0, 69.0)

Costs = Callable[[random.Random, int], list[float]]


@dataclass(frozen=True)
class Upstream:
    """Takes `per_call` seconds for each call and a part's own cost for each part; works at `workers` calls at a time."""

    per_call: float = 0.0
    workers: float = inf

    def takes(self, plan: FanOut, costs: Sequence[float]) -> tuple[float, list[float]]:
        """Return when the last call has ended, and what each took: its wait for a worker counted in."""
        slots, workers = [0.0] * plan.at_once, [0.0] * int(min(self.workers, plan.at_once))
        took = []
        for call in plan.calls:
            slot, worker = slots.index(min(slots)), workers.index(min(workers))
            end = max(slots[slot], workers[worker]) + self.per_call + sum(costs[part] for part in call.parts)
            took.append(end - slots[slot])
            slots[slot] = workers[worker] = end
        return max(slots), took


def in_order(costs: Sequence[float], at_once: int, per_call: float = 0.0) -> float:
    """Return when the last part ends where each has a call of its own and they start as they were asked (Graham)."""
    busy: list[float] = []
    now = 0.0
    for cost in costs:
        if len(busy) == at_once:
            now = min(busy)
            busy.remove(now)
        busy.append(now + per_call + cost)
    return max(busy)


def limit(costs: Sequence[float], at_once: int, per_call: float = 0.0) -> float:
    """Return what no schedule of single parts can be quicker than."""
    return max(max(costs) + per_call, (sum(costs) + per_call * len(costs)) / at_once)


def equal(_: random.Random, parts: int) -> list[float]:
    return [1.0] * parts


def exponential(dice: random.Random, parts: int) -> list[float]:
    return [dice.expovariate(1.0) for _ in range(parts)]


def heavy(dice: random.Random, parts: int) -> list[float]:
    """Draw costs like those of the public SPARQL endpoints: median 0.2 s, one in a hundred 1.7 s or more."""
    return [dice.lognormvariate(-1.6, 0.95) for _ in range(parts)]


def drawn_from(measured: Sequence[float]) -> Costs:
    return lambda dice, parts: [dice.choice(measured) for _ in range(parts)]


def composite(dice: random.Random, costs: Costs, parts: int, total: float | None = None) -> list[float]:
    """Draw one composite's costs, all in all 40 to 69 s."""
    some = costs(dice, parts)
    scale = (dice.uniform(*SUMS_S) if total is None else total) / sum(some)
    return [one * scale for one in some]


def fetch(
    model: CostModel, upstream: Upstream, costs: Sequence[float], bounds: Bounds, known: Sequence[float] | None = None
) -> tuple[float, float, CostModel]:
    """Plan and run one composite: when it was done, how long the upstream worked, and what was learned."""
    missing = [Missing(cost=None if known is None else known[place]) for place in range(len(costs))]
    plan = fan_out(missing, bounds, model, spare=bounds.max_parallel)
    took, calls = upstream.takes(plan, costs)
    fetched = Fetched(len(costs), len(calls), sum(calls), took, plan.at_once)
    return took, upstream.per_call * len(calls) + sum(costs), learned(model, fetched)


def warmed(
    upstream: Upstream, costs: Costs, dice: random.Random, parts: int, shares: Sequence[float] = (1, 0.5, 1, 0.3, 0.7)
) -> CostModel:
    """Return a model after its first five fetches: such shares of composites of so many parts, all in one call."""
    model = CostModel()
    for share in shares:
        missing = composite(dice, costs, parts)[: max(1, round(parts * share))]
        _, _, model = fetch(model, upstream, missing, Bounds("auto"))
    return model


@dataclass(frozen=True)
class Done:
    """What one composite took, beside in-order list scheduling of its parts and beside the bound; in seconds."""

    took: float
    listed: float
    bound: float
    worked: float


def run(
    residual: str,
    costs: Costs,
    parts: int,
    at_once: int,
    *,
    known: bool,
    upstream: Upstream | None = None,
    rounds: int = 60,
    seed: int = 1,
) -> list[Done]:
    """Ask for composites one after the other; the model learns on, after its first five fetches, which are not told."""
    dice, upstream = random.Random(f"{seed} {parts} {at_once}"), upstream or Upstream()
    model, done = warmed(upstream, costs, dice, parts), []
    for _ in range(rounds):
        some = composite(dice, costs, parts)
        took, worked, model = fetch(model, upstream, some, Bounds(residual, at_once), some if known else None)
        listed, bound = in_order(some, at_once, upstream.per_call), limit(some, at_once, upstream.per_call)
        done.append(Done(took, listed, bound, worked))
    return done
