"""The admin JSON API: plain numbers of what was measured and what is stored."""

import json
from typing import Any

import pytest
from admin_desk import PREFIX, Desk
from fakes import FakeClock, limited
from shop import splitting_rule
from world import rule

from proxy.admin.api import PATHS
from proxy.core.fair_queue import Priority
from proxy.core.log_line import Call, LogLine
from proxy.core.rules import default_rule
from proxy.core.types import Outcome

NOTHING = {"p50_s": 0.0, "p90_s": 0.0, "p99_s": 0.0, "max_s": 0.0}


def about(seconds: float) -> Any:
    """Return what a quantile says of this duration: within 1 %."""
    return pytest.approx(seconds, rel=0.011)


def filled(**world: Any) -> Desk:
    """Return a desk with ten fetches, ninety hits, an error and a passthrough."""
    desk = Desk("query", "search", **world)
    for number in range(10):
        desk.count("miss", 40.0 + number, upstream_s=40.0 + number, bytes_in=10, bytes_out=1000)
    for _ in range(90):
        desk.count("hit", 0.001, cost=45.0, bytes_out=1000)
    desk.count("error", 2.0, error_source="upstream", upstream_s=1.5)
    desk.count("passthrough", 3.0, rule=None, upstream_s=2.5, error_source="proxy")
    return desk


async def test_one_operation() -> None:
    """Counts and quantiles by outcome, seconds upstream and ours, errors by source."""
    told = await filled().numbers("performance/query")
    assert (told["operation"], told["n"]) == ("query", 101)
    assert told["by_outcome"]["hit"] == {
        "n": 90,
        "p50_s": about(0.001),
        "p90_s": about(0.001),
        "p99_s": about(0.001),
        "max_s": 0.001,
    }
    miss = told["by_outcome"]["miss"]
    assert (miss["n"], miss["p50_s"], miss["p90_s"], miss["p99_s"], miss["max_s"]) == (
        10,
        about(44),
        about(48),
        about(49),
        49.0,
    )
    assert (told["p50_s"], told["p99_s"], told["max_s"]) == (about(0.001), about(48), 49.0)
    assert (told["upstream_calls"], told["upstream_s"]) == (11, pytest.approx(446.5))
    assert told["overhead_s"] == pytest.approx(90 * 0.001 + 0.5)
    assert told["errors"] == {"client": 0, "upstream": 1, "proxy": 0}
    assert told["seconds_saved"] == pytest.approx(90 * 44.999)
    assert (told["bytes_in"], told["bytes_out"]) == (100, 100_000)


async def test_all_operations() -> None:
    """Errors of ours are a headline number."""
    desk = filled()
    desk.clock.advance(12.5)
    told = await desk.numbers("performance")
    assert (told["n"], told["since_s"]) == (102, 12.5)
    assert told["errors"] == {"client": 0, "upstream": 1, "proxy": 1}
    assert set(told["operations"]) == {"query", "unmatched"}
    one = await desk.numbers("performance/query")
    assert told["operations"]["query"].items() <= one.items()
    assert told["seconds_saved"] == one["seconds_saved"]


async def test_an_operation_that_was_split_tells_of_its_parts() -> None:
    desk = filled()
    assert "split" not in await desk.numbers("performance/query")
    for known in (0, 6):
        desk.count("partial", 1.0, parts=8, parts_hit=known, merge_s=0.001)
    assert (await desk.numbers("performance/query"))["split"] == {"parts": 16, "parts_hit": 6}


async def test_an_operation_that_was_observed_tells_what_would_have_been() -> None:
    desk = filled()
    assert "would" not in await desk.numbers("performance/query")
    desk.count("passthrough", 1.0, would=Outcome.HIT, would_save_s=2.0, would_differ=True)
    desk.count("passthrough", 1.0, would=Outcome.MISS)
    told = await desk.numbers("performance/query")
    assert (told["would"], told["would_save_s"], told["would_differ"]) == ({"hit": 1, "miss": 1}, 2.0, 1)


async def test_an_operation_that_nobody_asked_for_yet() -> None:
    """A rule is known from the start, with nothing counted."""
    told = await Desk("search").numbers("performance/search")
    assert {name: told[name] for name in NOTHING} == NOTHING
    assert (told["n"], told["by_outcome"], told["upstream_s"]) == (0, {}, 0.0)


@pytest.mark.parametrize(
    ("path", "known"), [("performance/nothing", "query, search, unmatched"), ("cache/nothing/info", "query, search")]
)
async def test_a_name_that_does_not_exist(path: str, known: str) -> None:
    """The problem names those that do."""
    said = await filled().ask(f"{PREFIX}/{path}")
    assert said is not None
    assert (said.status, said.header("content-type")) == (404, "application/problem+json")
    assert said.json()["detail"].endswith(f"there are: {known}")
    assert "'nothing'" in said.json()["detail"]


async def test_the_store() -> None:
    """Entries, bytes, limit; the share of hits among the requests that were looked up."""
    desk = filled()
    await desk.keep(b"a" * 20, b"x" * 1000)
    await desk.keep(b"b" * 20, b"x" * 500, rule="search")
    told = await desk.numbers("cache/status")
    held = desk.store.status()
    assert (told["entries"], told["bytes"], told["limit_bytes"], told["evictions"]) == (2, held.bytes, 2**20, 0)
    assert (told["hit_ratio"], told["seconds_saved"]) == (0.9, pytest.approx(4049.91))
    assert (await Desk().numbers("cache/status"))["hit_ratio"] == 0.0


async def test_what_each_store_let_go() -> None:
    """Of all, what the last one let go: what only the memory before it lets go is held still."""
    desk = Desk()
    for number in range(9):
        await desk.keep(bytes([number]) * 20, bytes(2**18))
    let_go = desk.store.status().evictions
    told = await desk.numbers("cache/status")
    assert (told["evictions"], [one["evictions"] for one in told["stores"]]) == (let_go, [let_go])
    assert let_go > 0
    said = await desk.ask(f"{PREFIX}/metrics")
    assert said is not None
    assert f"frontrunner_store_evictions_total {float(let_go)}" in said.body.decode()


async def test_what_one_rule_stores() -> None:
    desk = filled()
    await desk.keep(b"a" * 20, b"x" * 1000)
    told = await desk.numbers("cache/query/info")
    assert (told["type"], told["entries"], told["bytes"]) == ("query", 1, desk.store.status().bytes)
    assert told["requests"] == {"miss": 10, "hit": 90, "error": 1}
    nothing = await desk.numbers("cache/search/info")
    assert (nothing["entries"], nothing["bytes"], nothing["requests"]) == (0, 0, {})


async def test_a_proxy_that_answers_lives_and_is_ready() -> None:
    answers = [await Desk().ask(f"{PREFIX}/{path}") for path in ("livez", "readyz")]
    assert [one.status for one in answers if one] == [200, 200]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/performances",
        "/performance/a/b",
        "/cache",
        "/cache/a/b/info",
        "/jobs",
        "/jobs/",
        "/jobs/1/2",
        "/livez/",
        "x/performance",
    ],
)
async def test_what_is_not_registered_is_the_upstreams(path: str) -> None:
    assert await Desk().ask(PREFIX + path) is None


@pytest.mark.parametrize("root", [True, False])
async def test_root_paths(root: bool) -> None:
    """The original system's places, where the owner wants them, with the same token."""
    desk = Desk(root=root)
    for path in ("/performance", "/performance/query", "/cache/status", "/cache/query/info"):
        said = await desk.ask(path)
        assert (said is not None) is root
        if root:
            assert said == await desk.ask(PREFIX + path)
            refused = await desk.ask(path, {})
            assert refused is not None
            assert refused.status == 401
    for path in ("/livez", "/metrics", "/performances", "/cachet", "/"):
        assert await desk.ask(path) is None


JOB = "jobs/{id}"
STOP = {"split": {"mode": "off"}}
SENT: dict[str, Any] = {
    "cache/purge": {"all": True}, "bypass": {"on": False}, "explain": {"url": "/kept/a"}, "rollout": STOP,
    "rollout/{rule}": STOP,
}  # fmt: skip
BOTH = {"bypass", "rollout", "rollout/{rule}"}
RULES = (rule(), splitting_rule(), default_rule())
NAMED = {"{operation}": "query", "{type}": "query", "{rule}": "shop"}


def place_of(path: str) -> str:
    """Return where a path of the list is."""
    for name, value in NAMED.items():
        path = path.replace(name, value)
    return f"{PREFIX}/{path}"


async def test_every_path_of_the_list_is_served() -> None:
    """The list is what the guide shows; what does something is sent to."""
    for path in PATHS:
        desk = Desk(rules=RULES)
        if path == JOB:
            said = await desk.ask(f"{PREFIX}/jobs/1")
            assert said is not None
            assert (said.status, said.json()["reason"]) == (404, "unknown_name")
        elif path in SENT:
            assert (await desk.send(place_of(path).removeprefix(f"{PREFIX}/"), SENT[path])).status == 200
        else:
            said = await desk.ask(place_of(path))
            assert said is not None
            assert said.status == 200


@pytest.mark.parametrize("path", [path for path in PATHS if path not in {"livez", "readyz", JOB}])
async def test_who_may_and_how(path: str) -> None:
    """Who has no token is told that first; another method than the path's is refused, and does nothing."""
    place = place_of(path)
    body = json.dumps(SENT.get(path, {})).encode()
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        desk = Desk(rules=RULES)
        allowed = {"GET", "HEAD", "POST"} if path in BOTH else {"POST"} if path in SENT else {"GET", "HEAD"}
        refused = await desk.ask(place, {}, method=method, body=body)
        said = await desk.ask(place, method=method, body=body)
        assert refused is not None
        assert said is not None
        assert (refused.status, said.status) == (401, 200 if method in allowed else 405)
        assert (said.header("allow") == ", ".join(sorted(allowed))) is (method not in allowed)
        assert [one.header("cache-control") for one in (refused, said)] == ["no-store"] * 2
        assert bool(desk.audited) is (method == "POST" and path in {"cache/purge", *BOTH})


@pytest.mark.parametrize("on", [True, False])
async def test_readyz_says_that_the_bypass_is_on(on: bool) -> None:
    """Without a token: who watches the proxy sees it."""
    desk = Desk()
    desk.world.bypass.turn(on=on)
    said = await desk.ask(f"{PREFIX}/readyz", {})
    assert said is not None
    assert (said.status, said.body) == (200, b"ok, bypass is on\n" if on else b"ok\n")


async def test_what_is_saved_spent_waited_for_and_in_flight_is_told() -> None:
    desk = filled(protection=limited(3, FakeClock()))
    queued = LogLine(
        "",
        "GET",
        "/",
        began=0.0,
        rule="query",
        outcome=Outcome.MISS,
        call=Call(began=7.0, ended=9.0, sent=1, rule="query"),
    )
    queued.call.queue_s = 7.0
    queued.close(9.0)
    desk.stats.count_call(queued.call)
    desk.stats.count(queued)
    slot = await desk.world.protection._limit.acquire("client", Priority.CLIENT)
    told = [await desk.numbers(path) for path in ("performance", "cache/status")]
    slot.release()
    for one in told:
        assert {name: one[name] for name in ("queue_s", "in_flight", "waiting", "max_in_flight", "limit")} == {
            "queue_s": 7.0, "in_flight": 1, "waiting": 0, "max_in_flight": 3, "limit": 3.0,
        }  # fmt: skip
        assert (one["seconds_saved"], one["seconds_spent"]) == (4049.91, 451.0)
    queue = told[0]["operations"]["query"]["queue"]
    assert (queue["n"], queue["max_s"]) == (1, 7.0)


async def test_without_a_cap_none_is_told() -> None:
    told = await Desk().numbers("cache/status")
    assert (told["in_flight"], "max_in_flight" in told, "limit" in told) == (0, False, False)
