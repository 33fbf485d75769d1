"""What deciding one fresh hit costs in the core alone, in µs (median): ours beside hishel's, interleaved, as a ratio.

    python tests/bench/decide.py [--rounds 31] [--times 2000]

From a request to the response that its client gets: ours finds the rule, reads what the client asks for, makes the key,
judges the stored answer and cuts the client's view of it, hishel takes one stored answer from its IdleClient to
FromCache. Ours runs twice: under the implicit last rule, and under one that normalizes; parts are of the latter.
"""

import argparse
import os
import time
from collections.abc import Callable
from statistics import median
from uuid import uuid4

import hishel

from proxy.core.freshness import Act, age_of, judge
from proxy.core.http_date import render
from proxy.core.key import Scope, key_of, normal_host, query_of
from proxy.core.plan import directives_of, reason_to_pass
from proxy.core.rules import Rule, default_rule, first_match, path_pattern
from proxy.core.storing import decide, entry_of
from proxy.core.types import Entry, Request, Response
from proxy.core.views import view
from proxy.plugins import load

NOW = time.time()
SECRET = b"s" * 16
TARGET = b"/b/1024?b=2&a=1&utm_source=mail&fields=name,price&page=3"
ASKED = (
    (b"host", b"bench"), (b"accept", b"*/*"), (b"accept-encoding", b"gzip, br"), (b"user-agent", b"bench"),
    (b"x-forwarded-for", b"192.0.2.7"),
)  # fmt: skip
SAID = (
    (b"content-type", b"application/json"), (b"content-length", b"1024"), (b"cache-control", b"max-age=3600"),
    (b"date", render(NOW)), (b"etag", b'"a"'), (b"last-modified", render(NOW - 86400)), (b"server", b"legacy"),
)  # fmt: skip
NORMALIZERS = ("sort_params", {"drop_params": ["utm_*"]})

Decision = Callable[[], object]


def rules() -> tuple[Rule, Rule]:
    made = tuple(load("normalize", word).made for word in NORMALIZERS)
    return Rule("bench", path_pattern("/b/**"), normalizers=made, ttl=3600.0), default_rule()


def ours(rules: tuple[Rule, ...]) -> tuple[Decision, dict[str, Decision]]:
    """Return the decision of one hit, and its parts alone."""
    request, body = Request("GET", TARGET, ASKED), b"x" * 1024
    scopes = {rule.name: Scope.of("", "http://legacy", rule, SECRET) for rule in rules}
    host, rule = normal_host(request), rules[0]
    answer = Response(200, SAID, body)
    entry = entry_of(answer, body, decide(request, answer, rule, NOW), rule, now=NOW, cost=0.0)
    query = query_of(request, rule, host, SECRET, NOW)
    stored = {key_of(query, scopes[rule.name]): entry}

    def hit() -> Response:
        host = normal_host(request)
        rule = first_match(rules, request, host)
        assert rule is not None
        directives = directives_of(request)
        assert reason_to_pass(request, rule, directives) is None
        entry = stored[key_of(query_of(request, rule, host, SECRET, NOW), scopes[rule.name])]
        assert judge(entry, NOW + 5, directives).act is Act.DELIVER
        return view(request, with_age(entry), NOW + 5)

    assert hit().body == body
    return hit, {
        "host and rule": lambda: first_match(rules, request, normal_host(request)),
        "directives and reason to pass": lambda: reason_to_pass(request, rule, directives_of(request)),
        "query": lambda: query_of(request, rule, host, SECRET, NOW),
        "key of a query": lambda: key_of(query, scopes[rule.name]),
        "judge": lambda: judge(entry, NOW + 5, {}),
        "view": lambda: view(request, with_age(entry), NOW + 5),
    }


def with_age(entry: Entry) -> Response:
    return Response(entry.status, (*entry.headers, (b"age", b"%d" % age_of(entry, NOW + 5))), entry.body)


def hishels() -> Decision:
    def headers(fields: tuple[tuple[bytes, bytes], ...]) -> hishel.Headers:
        return hishel.Headers({name.decode(): value.decode() for name, value in fields})

    options = hishel.CacheOptions(shared=True, supported_methods=["GET", "HEAD"], allow_stale=False)
    request = hishel.Request("GET", f"http://bench{TARGET.decode()}", headers(ASKED))
    entries = [hishel.Entry(uuid4(), request, hishel.Response(200, headers(SAID)))]

    def hit() -> object:
        return hishel.IdleClient(options=options).next(request, entries)

    assert isinstance(hit(), hishel.FromCache)
    return hit


def measured(decisions: dict[str, Decision], rounds: int, times: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in decisions}
    for _ in range(rounds):
        for name, decision in decisions.items():
            began = time.perf_counter()
            for _ in range(times):
                decision()
            found[name].append((time.perf_counter() - began) / times * 1e6)
    return found


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=31)
    options.add_argument("--times", type=int, default=2000)
    given = options.parse_args()
    os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
    normalizing, parts = ours(rules())
    plain, _ = ours(rules()[1:])
    whole = {"hishel": hishels(), "ours": plain, "ours, normalizing": normalizing}
    found = measured(whole | parts, given.rounds, given.times)
    for name in whole:
        ratio = median(mine / base for mine, base in zip(found[name], found["hishel"], strict=True))
        print(f"{name:20} {median(found[name]):6.1f} us a decision   {ratio:.2f} x hishel")
    for name in parts:
        print(f"   {name:29} {median(found[name]):6.1f} us")


if __name__ == "__main__":
    main()
