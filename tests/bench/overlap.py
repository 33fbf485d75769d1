"""What parts with keys of their own find in a log of overlapping lists, and what is left for the upstream.

    python tests/bench/overlap.py PATH_TO_WORKLOADS/lists/mooncake_conversation.jsonl.gz [--call-s 0.1] [--part-s 0.01]

The log is replayed at its own times; nothing expires and nothing is evicted. A call takes a + b·n seconds. A part is a
hit where it was there when it was asked for, joined where another's call was to bring it. `lists` is what a cache
sees that takes the list as it came. The upstream's work is counted in parts: each call asks for all that are missing
(max_parallel 1), and its work is spread evenly over its time. Exits with 1 where fewer than 36 % of parts are hits, or
where in any window the upstream has more to do than without a proxy.
"""

import argparse
import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import floor
from pathlib import Path

from proxy.core.cost_model import CostModel, Fetched, learned
from proxy.core.fan_out import Bounds, Missing, fan_out

Asked = tuple[float, Sequence[int]]
WINDOWS_S = (1.0, 10.0, 60.0)


def lists(path: Path) -> list[Asked]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return sorted([(row["t"], row["ids"]) for row in rows], key=lambda asked: asked[0])


@dataclass
class Work:
    """What the upstream is asked to do: (start, end, parts) for each call."""

    calls: list[tuple[float, float, int]] = field(default_factory=list)

    def add(self, start: float, seconds: float, parts: int) -> None:
        self.calls.append((start, start + seconds, parts))

    def by_window(self, window_s: float) -> Counter[int]:
        """Return the parts done in each window, a call's spread evenly over its time; in millionths."""
        done: Counter[int] = Counter()
        for start, end, parts in self.calls:
            for place in range(floor(start / window_s), floor(end / window_s) + 1):
                within = min(end, (place + 1) * window_s) - max(start, place * window_s)
                done[place] += round(1e6 * parts * within / (end - start))
        return done

    def by_then(self, window_s: float) -> list[float]:
        """Return the parts done by the end of each window."""
        done = self.by_window(window_s)
        return list(accumulate(done[place] for place in range(max(done) + 1)))


@dataclass
class Seen:
    """What became of the parts of all lists."""

    parts: int = 0
    hits: int = 0
    joined: int = 0
    lists: int = 0
    list_hits: int = 0
    whole: Work = field(default_factory=Work)
    ours: Work = field(default_factory=Work)


def replay(asked: Iterable[Asked], call_s: float, part_s: float) -> Seen:
    seen, model, there = Seen(), CostModel(), dict[int, float]()
    known_lists: set[tuple[int, ...]] = set()
    for now, ids in asked:
        seen.whole.add(now, call_s + part_s * len(ids), len(ids))
        seen.lists += 1
        seen.list_hits += tuple(ids) in known_lists
        known_lists.add(tuple(ids))
        missing = [part for part in dict.fromkeys(ids) if part not in there]
        seen.parts += len(ids)
        for part in ids:
            seen.hits += there.get(part, now + 1) <= now
            seen.joined += there.get(part, now) > now
        if not missing:
            continue
        for call in fan_out([Missing() for _ in missing], Bounds(), model).calls:
            took = call_s + part_s * len(call.parts)
            seen.ours.add(now, took, len(call.parts))
            there.update({missing[place]: now + took for place in call.parts})
            model = learned(model, Fetched(len(call.parts), 1, took, took))
    return seen


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("log", type=Path)
    arguments.add_argument("--call-s", type=float, default=0.1)
    arguments.add_argument("--part-s", type=float, default=0.01)
    given = arguments.parse_args()
    seen = replay(lists(given.log), given.call_s, given.part_s)
    ratio = seen.hits / seen.parts
    print(f"{seen.lists:,} lists, {seen.parts:,} parts")
    print(
        f"hits: {seen.list_hits / seen.lists:.2%} of lists, {ratio:.2%} of parts; joined: {seen.joined / seen.parts:.2%}"
    )
    parts_asked = sum(parts for _, _, parts in seen.ours.calls)
    print(
        f"upstream: {parts_asked:,} parts of {seen.parts:,} ({parts_asked / seen.parts:.1%}), "
        f"{len(seen.ours.calls):,} calls of {len(seen.whole.calls):,}"
    )
    above = 0
    for window_s in WINDOWS_S:
        whole, ours = seen.whole.by_window(window_s), seen.ours.by_window(window_s)
        more = sum(ours[place] > whole[place] + 10 for place in ours)
        worst = max(ours[place] / max(1, whole[place]) for place in ours)
        above += more
        print(
            f"windows of {window_s:g} s: more work than without a proxy in {more} of {len(whole)}, at most × {worst:.3f}"
        )
    return 0 if ratio >= 0.36 and not above else 1


if __name__ == "__main__":
    sys.exit(main())
