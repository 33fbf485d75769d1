"""What keys see in two query logs: hit ratios with an unlimited cache, and whether two questions ever share a key.

    python tests/bench/replay_keys.py PATH_TO_WORKLOADS [--seed 1]

The logs are `sparql/wikidata_sparql_10k.jsonl.gz` and `dashboards/promql_replay.jsonl.gz` below that path. Each is
replayed offline in its own order, nothing expires. `exact` is the key of a cache that takes the target and the body as
they came. `normal` is ours. `limit` is what a cache could do that knew which requests mean the same: it asks an
independent reader of the queries, below, which shares no code with the normalizers. Under `styles` each request is
written in one of four ways at random: SYNTHETIC, nobody's clients differ just so. Exits with 1 where two requests that
mean different things got one key.
"""

import argparse
import gzip
import json
import random
import re
import sys
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import quote

from proxy.core.key import Scope, key_of, query_of
from proxy.core.rules import Rule, path_pattern
from proxy.core.types import Request
from proxy.errors import Fallback
from proxy.plugins import load

SPARQL = [
    "sort_params",
    {"collapse_space": {"names": ["query"], "quotes": ['"', "'", "<>"], "comments": ["#"]}},
]
PANELS = [
    # the width of a screen: what it does to the answer is in intervalMs already
    {"json": {"ignore": ["$.queries[*].maxDataPoints"]}},
    {"align_time": {"paths": ["$.from", "$.to"], "step_path": "$.queries[*].intervalMs", "step_unit": "ms"}},
]
SECRET = b"0" * 16

Asked = tuple[Request, Hashable]
"""A request, and what an independent reader says that it means."""


def normal_key(words: Sequence[Any]) -> Callable[[Request], Hashable]:
    normalizers = tuple(load("normalize", word).made for word in words)
    rule = Rule(name="replay", path=path_pattern("/**"), safe=True, normalizers=normalizers)
    scope = Scope.of("", "http://upstream", rule, SECRET)

    def key(request: Request) -> Hashable:
        try:
            return key_of(query_of(request, rule, b"host", SECRET, 0.0), scope)
        except Fallback as fallback:
            return f"passed: {fallback.reason}", id(request)

    return key


def exact_key(request: Request) -> Hashable:
    return request.method, request.target, request.body


def hit_ratio(keys: Iterable[Hashable]) -> float:
    seen: set[Hashable] = set()
    hits = total = 0
    for key in keys:
        total += 1
        hits += key in seen
        seen.add(key)
    return hits / total


def records(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


# SPARQL: GET /sparql?query=…

LEXEMES = re.compile(
    r'''(?s)"""(?:\\.|[^\\])*?"""|\'\'\'(?:\\.|[^\\])*?\'\'\'|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'
    |<[^<>"{}|^`\\\x00-\x20]*>|\#[^\n]*|\s+|[\w:?$@.-]+|.''',
    re.VERBOSE,
)


def lexemes(text: str) -> list[str]:
    """Read SPARQL as its grammar does, as far as white space goes (§19.8: strings, IRIREF, comments)."""
    return [found[0] for found in LEXEMES.finditer(text)]


def sparql_meaning(text: str) -> Hashable:
    """Return what is left without white space and comments: less strict than a normalizer has to be."""
    return tuple(one for one in lexemes(text) if not one.isspace() and not one.startswith("#"))


def percent(text: str, *, plus: bool, lower: bool) -> str:
    written = quote(text, safe="").replace("%20", "+" if plus else "%20")
    return re.sub("%..", lambda found: found[0].lower(), written) if lower else written


def widened(text: str, by: str) -> str:
    """Make every run of white space longer, where it is between two lexemes."""
    return "".join(one + by if one.isspace() else one for one in lexemes(text))


def sparql_target(text: str, style: int) -> bytes:
    wide = widened(text, {2: "  ", 3: "\n\t"}.get(style, ""))
    pairs = [f"query={percent(wide, plus=style in {1, 3}, lower=style in {2, 3})}", "format=json"]
    return f"/sparql?{'&'.join(pairs[::-1] if style in {1, 2} else pairs)}".encode()


def sparql(path: Path, styles: Sequence[int], dice: random.Random) -> list[Asked]:
    return [
        (Request("GET", sparql_target(row["query"], dice.choice(styles))), sparql_meaning(row["query"]))
        for row in records(path / "sparql" / "wikidata_sparql_10k.jsonl.gz")
    ]


# Panels: POST /api/ds/query {"from": ms, "to": ms, "queries": [{"expr", "intervalMs", …}]}


def panel_meaning(body: dict[str, Any]) -> Hashable:
    step = max(one["intervalMs"] for one in body["queries"])
    queries = tuple((one["refId"], one["expr"], one["instant"], one["intervalMs"]) for one in body["queries"])
    return int(body["from"]) // step, int(body["to"]) // step, queries


def reversed_members(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: reversed_members(tree[name]) for name in reversed(tree)}
    return [reversed_members(one) for one in tree] if isinstance(tree, list) else tree


def panel_body(body: dict[str, Any], style: int) -> bytes:
    written = json.dumps(reversed_members(body) if style in {1, 2} else body, indent={2: 2, 3: 1}.get(style))
    return (written.replace("/", "\\/") if style in {1, 3} else written).encode()


def panels(path: Path, styles: Sequence[int], dice: random.Random) -> list[Asked]:
    kind = ((b"content-type", b"application/json"),)
    return [
        (
            Request("POST", row["path"].encode(), kind, panel_body(row["body"], dice.choice(styles))),
            panel_meaning(row["body"]),
        )
        for row in records(path / "dashboards" / "promql_replay.jsonl.gz")
    ]


def replay(name: str, asked: Sequence[Asked], words: Sequence[Any]) -> int:
    """Print one line; return how many requests got the key of one that means something else."""
    key = normal_key(words)
    began = perf_counter()
    keys = [key(request) for request, _ in asked]
    each = (perf_counter() - began) / len(asked) * 1e6
    meanings: dict[Hashable, Hashable] = {}
    wrong = sum(meanings.setdefault(key, meaning) != meaning for key, (_, meaning) in zip(keys, asked, strict=True))
    passed = sum(isinstance(key, tuple) for key in keys)
    exact, normal, limit = (
        100 * hit_ratio(ones)
        for ones in ((exact_key(request) for request, _ in asked), keys, (meaning for _, meaning in asked))
    )
    print(
        f"{name:<18}{len(asked):>9,}{exact:>9.1f}{normal:>9.1f}{limit:>9.1f}{normal / limit:>10.1%}{passed:>9}{wrong:>8}{each:>9.0f}"
    )
    return wrong


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("workloads", type=Path)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    print("hits, % of requests  requests    exact   normal    limit  of limit   passed   wrong   µs each")
    wrong = 0
    for name, read, words in (("sparql", sparql, SPARQL), ("panels", panels, PANELS)):
        for styles, title in (((0,), "as logged"), ((0, 1, 2, 3), "4 styles")):
            wrong += replay(f"{name}, {title}", read(given.workloads, styles, random.Random(given.seed)), words)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
