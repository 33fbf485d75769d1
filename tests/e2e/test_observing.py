"""Two workers that observe one upstream: it answers everything, and log and numbers tell what could have been stored."""

import asyncio
import itertools
import json
from typing import Any

import pytest
from running import Proxy, status_of
from wire import RawUpstream, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONFIG = {
    "workers": 2,
    "mode": "observe",
    "rules": [
        {"name": "search", "match": {"path": "/search"}, "key": ["sort_params"], "ttl": "1h"},
        {"name": "ask", "match": {"method": "POST", "path": "/ask"}, "safe": True, "key": ["json"], "ttl": "1h"},
        {"name": "pinned", "match": {"path": "/pinned"}, "ttl": "1h", "pin": ["http://site.test/pinned"]},
    ],
}


async def told(proxy: Proxy, operation: str) -> Any:
    """Return what was counted for a rule."""
    return json.loads((await proxy.admin(f"performance/{operation}")).body)


async def test_every_answer_is_the_upstreams_and_the_log_knows_better(proxy: Proxy, upstream: RawUpstream) -> None:
    """One line after the other: who asks next is compared with what was settled before."""
    numbers = itertools.count()
    upstream.routes[b"/search"] = lambda _: reply(200, b"answer %d" % (next(numbers) // 3))
    answers, lines = [], []
    for query in ("?a=1&b=2", "?b=2&a=1", "?a=1&b=2", "?b=2&a=1"):
        answers.append(await proxy.ask("GET", f"/search{query}"))
        lines.append(await proxy.line(answers[-1]))
    assert [answer.body for answer in answers] == [b"answer 0"] * 3 + [b"answer 1"]
    assert {(answer.value(b"cache-status"), answer.values(b"age") != []) for answer in answers} == {
        (b"Frontrunner; fwd=bypass; detail=observe", False)
    }
    assert [line["would"] for line in lines] == ["miss", "hit", "hit", "hit"]
    assert [line.get("would_differ") for line in lines] == [None, None, None, True]
    assert [line.get("would_save_s", 0) > 0 for line in lines] == [False, True, True, True]
    async with asyncio.timeout(10):  # the workers' counts come together within a second
        while (counted := await told(proxy, "search"))["n"] < len(lines):
            await asyncio.sleep(0.05)
    assert (counted["would"], counted["would_differ"]) == ({"miss": 1, "hit": 3}, 1)
    assert counted["would_save_s"] == pytest.approx(sum(line.get("would_save_s", 0) for line in lines), abs=1e-5)
    assert counted["by_outcome"].keys() == {"passthrough"}
    assert (counted["seconds_saved"], counted["upstream_calls"]) == (0, 4)


async def test_a_post_by_its_meaning(proxy: Proxy) -> None:
    """Its body goes up as it came, and is read beside."""
    lines = []
    for body in (b'{"a": 1, "b": 2}', b'{"b":2,"a":1}', b"{"):
        lines.append(await proxy.line(await proxy.ask("POST", "/ask", b"Content-Type: application/json", body=body)))
    assert [line["would"] for line in lines] == ["miss", "hit", "passthrough"]
    assert lines[-1]["would_reason"] == "key_body_syntax"


async def test_nothing_goes_up_that_no_client_asked_for(proxy: Proxy, upstream: RawUpstream) -> None:
    """No pin is fetched; what does not wait is not told of a job."""
    answer = await proxy.ask("GET", "/pinned", b"Prefer: respond-async")
    assert (answer.status, status_of(answer)[0]) == (200, "bypass")
    line = await proxy.line(answer)
    assert (line["would"], len(upstream.seen(b"/pinned"))) == ("miss", 1)


async def test_rules_without_anything_observed_say_nothing_of_it(proxy: Proxy) -> None:
    """A number that means nothing is absent."""
    await proxy.ask("PUT", "/elsewhere", body=b"x")
    assert "would" not in await told(proxy, "unmatched")
