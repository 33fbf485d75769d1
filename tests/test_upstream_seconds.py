"""Upstream seconds are counted where they are spent, whoever waits for them: by rule, and by what a call was for."""

import json
from collections import Counter
from urllib.parse import parse_qs

import pytest
from asgi_client import ask
from fakes import FakeClock, until

from proxy.app import Proxy
from proxy.config import from_mapping

TOOK_S = 3.0
SPLIT = {
    "by": {"query_list": {"name": "ids"}}, "merge": {"keyed": {"items": "$.items", "id": "$.id"}},
    "residual": "each", "max_parallel": 4,
}  # fmt: skip
RULES = [
    {"name": "page", "match": {"path": "/page/**"}, "ttl": "1h"},
    {"name": "brief", "match": {"path": "/brief/**"}, "ttl": "1m", "grace": "1h"},
    {"name": "pinned", "match": {"path": "/pinned"}, "ttl": "1h", "pin": ["http://slow.test/pinned"]},
    {
        "name": "items", "match": {"path": "/items"}, "ttl": "1h", "split": SPLIT,
        "rollout": {"split": {"mode": "on", "audit": 0}},
    },
    {"name": "tried", "match": {"path": "/tried"}, "ttl": "1h", "split": SPLIT, "rollout": {"split": {"mode": "shadow"}}},
]  # fmt: skip


class Slow:
    """The slow service: each call takes so long by the fake clock."""

    def __init__(self, clock):
        self.clock = clock
        self.calls = 0

    async def __call__(self, scope, receive, send):
        self.calls += 1
        self.clock.advance(TOOK_S)
        ids = parse_qs(scope["query_string"].decode()).get("ids", [""])[0].split(",")
        body = json.dumps({"items": [{"id": int(one)} for one in ids if one]}).encode()
        fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": body})


ROADS = {
    "a miss, and then a hit": (["/page/a", "/page/a"], {("page", "client"): 1}),
    "by the default rule": (["/else"], {("default", "client"): 1}),
    "what no rule matches": (["POST /else"], {(None, "client"): 1}),
    "each of the calls that a split made": (["/items?ids=1,2,3,4"], {("items", "client"): 3}),
    "a refresh behind a stale answer": (
        ["/brief/a", 61, "/brief/a"],
        {("brief", "client"): 1, ("brief", "refresh"): 1},
    ),
    "a refresh behind the stale answer to one that nobody waits for": (
        ["/brief/a", 61, "/brief/a shadow"],
        {("brief", "client"): 1, ("brief", "refresh"): 1},
    ),
    "what is only compared": (["/tried?ids=1,2"], {("tried", "client"): 1, ("tried", "shadow"): 2}),
}


@pytest.mark.parametrize(("steps", "wanted"), ROADS.values(), ids=ROADS)
async def test_each_call_is_counted_by_its_rule_and_by_what_it_was_for(steps, wanted, tmp_path):
    clock = FakeClock()
    slow = Slow(clock)
    config = {
        "upstream": "http://slow.test:81", "store": {"disk": "off"}, "admin": {"token": "t"}, "rules": RULES,
        "log": {"to": str(tmp_path / "log")},
    }  # fmt: skip
    proxy = Proxy(from_mapping(config, {}), slow, clock=clock)
    wanted = Counter(wanted) + Counter({("pinned", "refresh"): 1})
    for step in steps:
        if isinstance(step, str):
            method, path, *marked = step.split() if step[0] != "/" else ("GET", *step.split())
            await ask(proxy, method, path, headers=[("frontrunner-shadow", "1") for _ in marked])
        else:
            clock.advance(step)
    await until(lambda: slow.calls >= wanted.total())
    await proxy.close()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    calls = [line for line in lines if line["event"] == "upstream_call"]
    told = proxy._stats.operations
    assert Counter((line.get("rule"), line.get("purpose", "client")) for line in calls) == wanted
    assert {(name, purpose): n for name, one in told.items() for purpose, n in one.calls.items()} == {
        (name or "unmatched", purpose): n for (name, purpose), n in wanted.items()
    }
    assert slow.calls == wanted.total()
    assert told.all().upstream_s == pytest.approx(sum(line["duration_s"] for line in calls), abs=1e-5)
