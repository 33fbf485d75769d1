"""What a store that is too small keeps: hits and upstream seconds saved in a query log, for each way to evict.

    python tests/bench/evict.py PATH_TO_WORKLOADS [--seeds 10] [--goal 20.3]

The log is `sparql/wikidata_sparql_10k.jsonl.gz` below that path: real queries with the seconds that they really took.
It has no times, so it is replayed in shuffled orders, and the mean over their seeds is printed; that favours frequency
over recency. Nothing expires. A hit saves what that very request took; a policy knows only what the stored answer took.
`lru` and `gdsf` are the product's own policies in a replay of its hot tier: it forgets how often something was asked
for when that goes, and mends a rank in its heap when its turn comes. `lfu` is a yardstick: hits alone, halved each time
that as many requests have passed as ten times the entries that fit. `limit` is a store that holds everything.

First every answer takes the same place, and capacity is a part of the distinct queries. Then answers have bytes, and
capacity is a part of the bytes of all: the log has no sizes, they are SYNTHETIC (log-normal, median 8 KiB, sigma 1.5,
drawn anew for each seed, independent of what the query took). Exits with 1 where gdsf saves a smaller part of the
seconds than the goal, in percent, at 5 % of the distinct queries.
"""

import argparse
import gzip
import heapq
import json
import math
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

from proxy.core.evict import Evict
from proxy.core.evict.gdsf import Gdsf
from proxy.core.evict.lru import Lru

LOG = "sparql/wikidata_sparql_10k.jsonl.gz"
CAPACITIES = (1, 5, 10, 20)
GOAL_AT = 5
AGEING = 10
MEDIAN_BYTES, SIGMA = 8192, 1.5

Asked = tuple[int, float]
"""Which of the distinct queries, and the seconds that it took this time."""
Saved = tuple[float, float]
"""Hits, and upstream seconds, in percent of all."""


class Lfu:
    """Ranks by hits alone; the replay halves them."""

    def rank(self, hits: float, cost_s: float, size: int, floor: float, now: float) -> float:
        return hits


class Held:
    """One entry of a replayed store."""

    __slots__ = ("cost_s", "hits", "query", "queued", "rank", "size")

    def __init__(self, query: int, cost_s: float, size: int) -> None:
        self.query, self.cost_s, self.size = query, cost_s, size
        self.hits = self.rank = self.queued = 0.0

    def __lt__(self, other: "Held") -> bool:
        return self.queued < other.queued


class Store:
    """Keeps entries up to a size in all, as `proxy.store.memory` does."""

    def __init__(self, policy: Evict | Lfu, limit: float, halve_every: float = math.inf) -> None:
        self.policy, self.left, self.limit, self.halve_every = policy, limit, limit, halve_every
        self.held: dict[int, Held] = {}
        self.heap: list[Held] = []
        self.floor = 0.0
        self.now = 0

    def ask(self, query: int, cost_s: float, size: int) -> bool:
        """Take one request; tell whether it is a hit."""
        self.now += 1
        if self.now % self.halve_every < 1:
            self.halve()
        entry = self.held.get(query)
        if entry is not None:
            self.use(entry)
            return True
        if size <= self.limit:
            self.make_room(size)
            self.keep(Held(query, cost_s, size))
        return False

    def keep(self, entry: Held) -> None:
        self.use(entry)
        entry.queued = entry.rank
        self.held[entry.query] = entry
        self.left -= entry.size
        heapq.heappush(self.heap, entry)

    def use(self, entry: Held) -> None:
        entry.hits += 1
        entry.rank = self.policy.rank(entry.hits, entry.cost_s, entry.size, self.floor, self.now)

    def make_room(self, size: int) -> None:
        while self.left < size:
            entry = heapq.heappop(self.heap)
            if entry.rank > entry.queued:
                entry.queued = entry.rank
                heapq.heappush(self.heap, entry)
                continue
            self.floor = entry.rank
            self.left += entry.size
            del self.held[entry.query]

    def halve(self) -> None:
        for entry in self.held.values():
            entry.hits /= 2
            entry.rank = entry.queued = entry.hits
        heapq.heapify(self.heap)


POLICIES: Mapping[str, type[Lru | Lfu | Gdsf]] = {"lru": Lru, "lfu": Lfu, "gdsf": Gdsf}


def read(path: Path) -> list[Asked]:
    """Return the log; the few queries that failed count as having taken no time."""
    numbers: dict[str, int] = {}
    with gzip.open(path) as lines:
        told = [json.loads(line) for line in lines]
    return [(numbers.setdefault(one["query"], len(numbers)), (one["cost_ms"] or 0.0) / 1000) for one in told]


def replay(asked: Sequence[Asked], sizes: Sequence[int], store: Store) -> Saved:
    """Return what a store saves."""
    saved = [cost_s for query, cost_s in asked if store.ask(query, cost_s, sizes[query])]
    return 100 * len(saved) / len(asked), 100 * sum(saved) / sum(cost_s for _, cost_s in asked)


def shuffled(asked: Sequence[Asked], seed: int) -> list[Asked]:
    order = list(asked)
    random.Random(seed).shuffle(order)
    return order


def drawn(distinct: int, seed: int) -> list[int]:
    dice = random.Random(f"sizes {seed}")
    return [max(1, round(dice.lognormvariate(math.log(MEDIAN_BYTES), SIGMA))) for _ in range(distinct)]


def measured(asked: Sequence[Asked], sizes: Sequence[Sequence[int]], name: str, capacity: float) -> list[Saved]:
    """Return what a policy saves, for each seed."""
    found = []
    for seed, drawn_sizes in enumerate(sizes):
        limit = round(sum(drawn_sizes) * capacity / 100)
        entries = len(drawn_sizes) * capacity / 100
        store = Store(POLICIES[name](), limit, round(AGEING * entries) if name == "lfu" else math.inf)
        found.append(replay(shuffled(asked, seed), drawn_sizes, store))
    return found


def table(asked: Sequence[Asked], sizes: Sequence[Sequence[int]], of: str) -> dict[tuple[str, float], float]:
    """Print what each policy saves at each capacity; return the seconds in percent."""
    print(f"\ncapacity in % of {of}: hits % / upstream seconds saved % (standard deviation over seeds)")
    print(f"{'':8}" + "".join(f"{f'{capacity} %':>22}" for capacity in CAPACITIES))
    means = {}
    for name in POLICIES:
        cells = []
        for capacity in CAPACITIES:
            hits, seconds = zip(*measured(asked, sizes, name, capacity), strict=True)
            means[name, capacity] = mean(seconds)
            spread = stdev(seconds) if len(seconds) > 1 else 0.0
            cells.append(f"{f'{mean(hits):.1f} / {mean(seconds):.1f} ({spread:.1f})':>22}")
        print(f"{name:8}" + "".join(cells))
    hits, seconds = zip(*measured(asked, sizes, "lru", 100), strict=True)
    print(f"{'limit':8}{f'{mean(hits):.1f} / {mean(seconds):.1f}':>16}")
    return means


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("workloads", type=Path)
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--goal", type=float, default=20.3)
    given = options.parse_args()
    asked = read(given.workloads / LOG)
    distinct = len({query for query, _ in asked})
    seconds = sum(cost_s for _, cost_s in asked)
    print(f"{len(asked):,} requests, {distinct:,} distinct, {seconds:,.0f} s upstream; seeds 0-{given.seeds - 1}")
    saved = table(asked, [[1] * distinct] * given.seeds, "the distinct queries")["gdsf", GOAL_AT]
    table(asked, [drawn(distinct, seed) for seed in range(given.seeds)], "the bytes of all answers, SYNTHETIC sizes")
    print(f"\ngdsf at {GOAL_AT} % of the distinct queries: {saved:.1f} % of the seconds, goal {given.goal} %")
    return 0 if saved >= given.goal else 1


if __name__ == "__main__":
    sys.exit(main())
