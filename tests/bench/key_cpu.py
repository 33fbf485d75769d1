"""What one key costs, in µs (median): ours beside what a plain cache might do with the same kilobyte.

    python tests/bench/key_cpu.py [--rounds 31]

`parse_qsl + blake2b` sorts a query's decoded pairs and hashes them; `json + blake2b` reads a body and writes it with
sorted members, numbers as floats. Neither could be used as it is: the first has values that forge delimiters, the
second takes 9007199254740993 for 9007199254740992 and the last of two equal names.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from hashlib import blake2b
from statistics import median
from time import perf_counter
from typing import Any
from urllib.parse import parse_qsl

from proxy.core.key import Scope, key_of, query_of
from proxy.core.normalize import graphql
from proxy.core.rules import Rule, path_pattern
from proxy.core.types import Request
from proxy.plugins import load

SECRET = b"0" * 16
EXPR = 'sum by(pod) (rate(container_fs_reads_total{job="kubelet", cluster="prod", namespace="monitoring"}[60s]))'
QUERIES = [
    {
        "refId": name,
        "expr": EXPR,
        "instant": True,
        "intervalMs": 15000,
        "maxDataPoints": 2176,
        "datasource": {"uid": "prom", "id": 1.5},
    }
    for name in "ABCD"
]
PANEL = json.dumps(
    {"from": "1767222003155", "to": "1767225603155", "queries": QUERIES, "request_id": "0123456789abcdef"}
).encode()
DOCUMENT = (
    "query Posts($id: ID!) { user(id: $id) { id name "
    + "posts(first: 10) { edges { node { id title author { id } } } } " * 13
    + "} }"
)
GRAPHQL = json.dumps({"query": DOCUMENT, "variables": {"id": "7"}, "operationName": "Posts"}).encode()
TARGET = b"/search?" + b"&".join(b"name%d=some+value%%20of+%d" % (number, number) for number in range(35))
JSON_TYPE = ((b"content-type", b"application/json"),)


def keys(request: Request, words: Sequence[Any]) -> Callable[[], bytes]:
    rule = Rule(
        name="bench",
        path=path_pattern("/**"),
        safe=True,
        normalizers=tuple(load("normalize", word).made for word in words),
    )
    scope = Scope.of("", "http://upstream", rule, SECRET)
    return lambda: key_of(query_of(request, rule, b"host", SECRET, 1767222003.155), scope)


def plain_pairs() -> bytes:
    pairs = sorted(parse_qsl(TARGET.partition(b"?")[2], keep_blank_values=True))
    return blake2b(b"&".join(name + b"=" + value for name, value in pairs)).digest()


def plain_json() -> bytes:
    return blake2b(json.dumps(json.loads(PANEL), sort_keys=True, separators=(",", ":")).encode()).digest()


def unremembered() -> bytes:
    graphql._remembered.cache_clear()
    return GRAPHQL_KEY()


POST = Request("POST", b"/query", JSON_TYPE, PANEL)
ALIGN = {"align_time": {"paths": ["$.from", "$.to"], "step_path": "$.queries[*].intervalMs", "step_unit": "ms"}}
GRAPHQL_KEY = keys(Request("POST", b"/graphql", JSON_TYPE, GRAPHQL), ["graphql"])
WORK = {
    f"query, {len(TARGET)} B: parse_qsl + blake2b": plain_pairs,
    "query: sort_params": keys(Request("GET", TARGET), ["sort_params"]),
    f"body, {len(PANEL)} B: json + blake2b": plain_json,
    "body: as it is": keys(POST, []),
    "body: json": keys(POST, [{"json": {"ignore": ["$.request_id"]}}]),
    "body: align_time": keys(POST, [ALIGN]),
    "body: json, align_time": keys(POST, [{"json": {"ignore": ["$.request_id"]}}, ALIGN]),
    f"body, {len(GRAPHQL)} B: graphql": GRAPHQL_KEY,
    "body: graphql, a document never seen before": unremembered,
}


def microseconds(work: Callable[[], bytes], rounds: int) -> float:
    took = []
    for _ in range(rounds):
        began = perf_counter()
        for _ in range(100):
            work()
        took.append((perf_counter() - began) * 1e6 / 100)
    return median(took)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=31)
    rounds = arguments.parse_args().rounds
    for name, work in WORK.items():
        print(f"{name:<45}{microseconds(work, rounds):>8.1f}")


if __name__ == "__main__":
    main()
