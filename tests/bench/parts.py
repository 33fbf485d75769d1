"""What a composite costs us when all of its parts are known: cut, keys, one look-up, judge, merge, head.

    python tests/bench/parts.py [--parts 50] [--rounds 2000] [--purged] [--new-documents] [--profile]

The hot tier holds everything; the upstream is never asked. `--purged`: something else was purged before, so that every
part is asked about. `--new-documents`: no GraphQL document was seen before. Printed are medians, in milliseconds. Exits
with 1 where one with 50 parts takes 2 ms or more.
"""

import argparse
import asyncio
import cProfile
import json
import pstats
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fakes import FakeEngine, answer
from world import World, asked, rule

from proxy.asked import Asked
from proxy.clock import SystemClock
from proxy.core.composite import Limits
from proxy.core.fan_out import Bounds
from proxy.core.log_line import LogLine
from proxy.core.merge import Merge
from proxy.core.merge.concat import Concat
from proxy.core.merge.dict_union import DictUnion
from proxy.core.merge.graphql import Graphql
from proxy.core.merge.jsonrpc import Jsonrpc as MergeJsonrpc
from proxy.core.merge.keyed import Keyed
from proxy.core.merge.positional import Positional
from proxy.core.plan import directives_of
from proxy.core.rollout import Stage, Staging, Trust
from proxy.core.split import Splitter, graphql_roots
from proxy.core.split.graphql_roots import GraphqlRoots
from proxy.core.split.json_array import JsonArray
from proxy.core.split.jsonrpc import Jsonrpc as SplitJsonrpc
from proxy.core.split.query_list import QueryList
from proxy.core.split.query_repeat import QueryRepeat
from proxy.core.splitting import Splitting
from proxy.core.types import Request

MOST_MS = 2.0
ITEM = {"name": "x" * 80, "price": 1.10, "tags": ["a", "b", "c"]}


def ids(count: int) -> list[str]:
    return [str(4000 + 7 * number) for number in range(count)]


def listed(count: int) -> Request:
    return asked("/kept/x?ids=" + ",".join(ids(count)) + "&lang=de", (b"accept", b"*/*"), (b"user-agent", b"bench"))


def repeated(count: int) -> Request:
    return asked("/kept/x?lang=de&" + "&".join([f"id={one}" for one in ids(count)]))


def posted(count: int) -> Request:
    body = json.dumps({"lang": "de", "questions": [f"How many of {one} are there?" for one in ids(count)]}).encode()
    return sent(body)


def sent(body: bytes) -> Request:
    fields = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
    return asked("/kept/x", *fields, method="POST", body=body)


def batched(count: int) -> Request:
    calls = [{"jsonrpc": "2.0", "method": "get", "params": {"id": one}, "id": one} for one in ids(count)]
    return sent(json.dumps(calls).encode())


def fields_of(count: int) -> Request:
    roots = " ".join(f"f{one}: item(id: {one}, lang: $lang) {{ id name price tags }}" for one in ids(count))
    query = f"query ($lang: String) {{ {roots} }}"
    return sent(json.dumps({"query": query, "variables": {"lang": "de"}}).encode())


def items(count: int) -> list[dict[str, Any]]:
    return [{"id": one, **ITEM} for one in ids(count)]


CASES: Mapping[str, tuple[Splitter, Merge, Any, Any]] = {
    "query_list, keyed": (
        QueryList("ids"), Keyed("$.items", missing="omit", totals={"$.total": "count"}),
        listed, lambda count: {"items": items(count), "total": count},
    ),
    "query_list, concat": (
        QueryList("ids"), Concat("$.rows", by="$.id"), listed, lambda count: {"rows": items(count)},
    ),
    "query_list, dict_union": (
        QueryList("ids"), DictUnion("$.found"), listed, lambda count: {"found": {one["id"]: one for one in items(count)}},
    ),
    "query_repeat, keyed": (
        QueryRepeat("id"), Keyed(), repeated, items,
    ),
    "jsonrpc": (
        SplitJsonrpc(), MergeJsonrpc(), batched,
        lambda count: [{"jsonrpc": "2.0", "result": one, "id": one["id"]} for one in items(count)],
    ),
    "graphql": (
        GraphqlRoots(), Graphql(), fields_of, lambda count: {"data": {f"f{one['id']}": one for one in items(count)}},
    ),
    "json_array, positional": (
        JsonArray("$.questions"), Positional("$.answers"), posted, lambda count: {"answers": items(count)},
    ),
}  # fmt: skip


async def timed(name: str, given: argparse.Namespace, profile: cProfile.Profile | None) -> float:
    """Return the median of what one composite takes, all of its parts known, in milliseconds."""
    by, merge, request_of, answer_of = CASES[name]
    count = given.parts
    splitting = Splitting(by, merge, bounds=Bounds("single"), limits=Limits(parts=count))
    request, clock = request_of(count), SystemClock()
    body = json.dumps(answer_of(count), separators=(",", ":")).encode()
    trust = Trust(split=Staging(Stage.ON))
    one = rule(splitting=splitting, trust=trust, safe=True, methods=frozenset({"GET", "POST"}), ttl=1e6)
    fields = ((b"content-type", b"application/json"), (b"cache-control", b"max-age=600"))
    here = World(FakeEngine(answer(body, *fields)), rules=(one,), clock=clock)  # type: ignore[arg-type]
    first = await here.ask(request)
    assert (first.status, first.body, here.outcomes) == (200, body, ["miss"]), here.outcomes
    if given.purged:
        here.places.purges.rules([b"other"], clock.wall())
        here.places.purges.targets([b"other"], clock.wall())
        here.places.purges.groups([b"other"], clock.wall(), soft=True)
    took = []
    for _ in range(given.rounds):
        if given.new_documents:
            graphql_roots._remembered.cache_clear()
        line = LogLine("id", request.method, "/kept/x", clock.timer())
        wanted = Asked(request, one, b"site.test", directives_of(request), line)
        if profile is not None:
            profile.enable()
        began = time.perf_counter()
        composite = await here.composites.of(wanted, None)
        assert composite is not None
        response = await here.composites.answer(composite, lambda: None)
        took.append((time.perf_counter() - began) * 1000)
        if profile is not None:
            profile.disable()
        assert (line.parts_hit, response.body) == (count, body)
    await here.tasks.close()
    return statistics.median(took)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--parts", type=int, default=50)
    arguments.add_argument("--rounds", type=int, default=2000)
    arguments.add_argument("--purged", action="store_true")
    arguments.add_argument("--new-documents", action="store_true")
    arguments.add_argument("--profile", action="store_true")
    given = arguments.parse_args()
    profile = cProfile.Profile() if given.profile else None
    medians = {name: asyncio.run(timed(name, given, profile)) for name in CASES}
    for name, median in medians.items():
        print(f"{name:<26}{given.parts:>4} parts{median:>8.3f} ms")
    if profile is not None:
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    return 0 if given.parts != 50 or max(medians.values()) < MOST_MS else 1


if __name__ == "__main__":
    sys.exit(main())
