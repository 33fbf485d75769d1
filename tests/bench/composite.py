"""How soon a composite that was never asked before is done, in virtual time: beside list scheduling and beside the bound.

    python tests/bench/composite.py [--costs PATH_TO_WORKLOADS/sparql/wikidata_sparql_10k.jsonl.gz] [--rounds 40]

Parts are independent, all in all 40 to 69 s. `list` is in-order list scheduling of the same costs, `bound` is
max(max c, Σc/k); both are means in seconds. Given are means of ours as multiples of these: of `list` where nothing is
known of single parts, of `bound` where it is remembered what each took (n ≥ 2k only). `auto` is after its first five
fetches. `serial`: an upstream that works at one call at a time and spends a share of the total on each call more;
given is what `auto` loses over one call after its first five fetches. Exits with 1 where a promise is not kept:
≤ 1.03 × list, ≤ 1.10 × bound, ≤ 28 s and ≤ 14.5 s for eight equal parts of 54.5 s, ≤ 2 % lost.
"""

import argparse
import gzip
import json
import random
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from schedules import (
    MEAN_SUM_S,
    Costs,
    Upstream,
    composite,
    drawn_from,
    equal,
    exponential,
    fetch,
    heavy,
    run,
    warmed,
)

from proxy.core.cost_model import CostModel
from proxy.core.fan_out import Bounds

SEEDS = range(5)
SHAPES = [(parts, at_once) for parts in (4, 8, 16, 32) for at_once in (2, 4, 8)]
PER_CALL = (0.0, 0.005, 0.01)


def measured(path: Path) -> list[float]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        costs = [json.loads(line)["cost_ms"] for line in lines]
    return [cost / 1000 for cost in costs if cost]


def means(residual: str, costs: Costs, parts: int, at_once: int, *, known: bool, rounds: int) -> tuple[float, ...]:
    done = [
        one for seed in SEEDS for one in run(residual, costs, parts, at_once, known=known, rounds=rounds, seed=seed)
    ]
    return tuple(
        sum(column) / len(done) for column in zip(*[(one.took, one.listed, one.bound) for one in done], strict=True)
    )


def cold(spreads: Mapping[str, Costs], rounds: int) -> Iterable[bool]:
    """Print one line for each shape; yield whether the promises are kept."""
    print(f"{'costs':<12}{'n':>4}{'k':>3}{'list s':>9}{'bound s':>9}    × list: each    auto   × bound: each    auto")
    for name, costs in spreads.items():
        for parts, at_once in SHAPES:
            over_list, over_bound = [], []
            for residual in ("each", "auto"):
                took, listed, bound = means(residual, costs, parts, at_once, known=False, rounds=rounds)
                over_list.append(took / listed)
                if parts >= 2 * at_once:
                    took, _, least = means(residual, costs, parts, at_once, known=True, rounds=rounds)
                    over_bound.append(took / least)
            yield max(over_list) <= 1.03
            yield max(over_bound, default=0.0) <= 1.10
            first, second = (
                "".join(f"{one:8.3f}" for one in column) or f"{'–':>8}{'–':>8}" for column in (over_list, over_bound)
            )
            print(f"{name:<12}{parts:>4}{at_once:>3}{listed:>9.1f}{bound:>9.1f}        {first}        {second}")


def eight_equal_parts() -> Iterable[bool]:
    print(f"\neight equal parts of {MEAN_SUM_S} s in all: seconds with each, with auto")
    for at_once, most in ((2, 28.0), (4, 14.5), (8, 7.5)):
        took = [
            fetch(model, Upstream(), [MEAN_SUM_S / 8] * 8, Bounds(residual, at_once))[0]
            for residual, model in (("each", CostModel()), ("auto", warmed(Upstream(), equal, random.Random(1), 8)))
        ]
        yield max(took) <= most
        print(f"k = {at_once}: {took[0]:6.2f} {took[1]:6.2f}   (at most {most} s)")


def lost(costs: Costs, per_call: float, parts: int, at_once: int, rounds: int = 200) -> float:
    dice, model = random.Random(f"{parts} {at_once}"), CostModel()
    upstream = Upstream(per_call * MEAN_SUM_S, workers=1)
    took = whole = 0.0
    for place in range(rounds):
        some = composite(dice, costs, parts)
        end, _, model = fetch(model, upstream, some, Bounds("auto", at_once))
        if place >= 5:
            took, whole = took + end, whole + sum(some) + upstream.per_call
    return took / whole - 1


def serial(spreads: Mapping[str, Costs]) -> Iterable[bool]:
    print(f"\n{'serial: lost':<12}{'n':>4}{'k':>3}" + "".join(f"{share:>10.1%} a call" for share in PER_CALL))
    for name, costs in spreads.items():
        for parts, at_once in SHAPES:
            losses = [lost(costs, share, parts, at_once) for share in PER_CALL]
            yield max(losses) <= 0.02
            print(f"{name:<12}{parts:>4}{at_once:>3}" + "".join(f"{loss:>17.2%}" for loss in losses))


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--costs", type=Path)
    arguments.add_argument("--rounds", type=int, default=40)
    given = arguments.parse_args()
    spreads = {"equal": equal, "exponential": exponential, "heavy": heavy}
    if given.costs is not None:
        spreads["wikidata"] = drawn_from(measured(given.costs))
    kept = [*cold(spreads, given.rounds), *eight_equal_parts(), *serial(spreads)]
    print(f"\n{sum(kept)} of {len(kept)} promises kept")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
