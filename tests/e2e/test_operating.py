"""An operator at work on a proxy that runs: purge, explain, and the Friday switch by every way there is."""

import asyncio
import itertools
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from running import BEARER, TOKEN, Line, Proxy, check_next, check_problem, status_of
from wire import Answer, Exchange, RawUpstream, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONFIG = {
    "rules": [
        {"name": "search", "match": {"path": "/search"}, "key": ["sort_params", {"lower": ["q"]}], "ttl": "1h"},
        {"name": "page", "match": {"path": "/page/**"}, "ttl": "1h", "grace": "1h"},
        {"name": "ask", "match": {"method": "POST", "path": "/ask"}, "safe": True, "key": ["json"], "ttl": "1h"},
    ]
}
SECRET = b"hunter2"
WITHIN_S = 1.0
numbers = itertools.count()


@pytest.fixture(autouse=True)
def counting(upstream: RawUpstream) -> None:
    """Let the upstream answer each request differently, as one of a group."""
    upstream.answer = lambda exchange: reply(200, b"answer %d" % next(numbers), b'Cache-Groups: "g"')


async def act(proxy: Proxy, path: str, asked: Any) -> Answer:
    """Send JSON to an admin endpoint."""
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    return await proxy.ask("POST", f"/_frontrunner/{path}", BEARER, b"Content-Type: application/json", body=body)


async def run(proxy: Proxy, *arguments: str, code: int = 0) -> str:
    """Run `frontrunner` as its operator does; return what it prints."""
    env = {**os.environ, "FRONTRUNNER_URL": proxy.url, "FRONTRUNNER_TOKEN": TOKEN}
    ended = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy", *arguments, env=env, cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await ended.communicate()
    assert ended.returncode == code, out
    return out.decode()


def in_a_second(began: float) -> None:
    assert time.monotonic() - began < WITHIN_S


async def until_bypassed(proxy: Proxy, *, on: bool) -> None:
    """Ask again and again until the proxy has followed its switch."""
    began = time.monotonic()
    while (status_of(await proxy.ask("GET", "/page/any"))[0] == "bypass") is not on:
        in_a_second(began)


# Purge.

PURGES = {
    "by URL": lambda proxy, line: {"url": "http://site.test/page/a?token=hunter2"},
    "by target and Host": lambda proxy, line: {"url": "/page/a?token=hunter2", "headers": {"Host": "site.test"}},
    "by target alone": lambda proxy, line: {"url": "/page/a?token=hunter2"},
    "by the key of its log line": lambda proxy, line: {"key": line["key_hash"]},
    "by rule": lambda proxy, line: {"rule": "page"},
    "by group": lambda proxy, line: {"group": "g", "host": "Site.test"},
    "all": lambda proxy, line: {"all": True},
}  # fmt: skip


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("purge", PURGES.values(), ids=PURGES)
async def test_the_next_request_sees_a_purge_and_the_log_tells_of_it(proxy: Proxy, purge: Any, soft: bool) -> None:
    """The audit line has who and what, and no secret."""
    target = "/page/a?token=hunter2"
    await act(proxy, "cache/purge", {"all": True})  # what is refreshed since the test before comes too late
    first = await proxy.ask("GET", target)
    line = await proxy.line(first)
    assert (await proxy.ask("GET", target)).body == first.body
    before = len(proxy.found(event="purge"))
    told = (await act(proxy, "cache/purge", {**purge(proxy, line), "soft": soft})).json()
    again = await proxy.ask("GET", target)
    assert status_of(again)[0] == ("hit" if soft else "uri-miss")
    assert (again.body == first.body) is soft
    assert (await proxy.line(again))["outcome"] == ("stale" if soft else "miss")
    audit = (await proxy.lines(before + 1, event="purge"))[-1]
    assert (audit["client_ip"], audit["level"]) == ("127.0.0.1", "info")
    assert {name: audit[name] for name in ("what", "soft", "name", "path", "held") if name in audit} == {
        name: value for name, value in told.items() if name != "purged"
    }
    assert SECRET.decode() not in str(proxy.log)


async def test_what_was_under_way_is_not_stored(proxy: Proxy, upstream: RawUpstream) -> None:
    """Over the wire, too: half of the answer is here when it is purged."""
    go = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nol")
        await go.wait()
        await exchange.send(b"d")

    upstream.routes[b"/page/slow"] = slow
    first = asyncio.get_running_loop().create_task(proxy.ask("GET", "/page/slow"))
    await upstream.arrived(b"/page/slow")
    assert (await act(proxy, "cache/purge", {"url": "/page/slow"})).json()["held"] is False
    go.set()
    assert (await first).body == b"old"
    del upstream.routes[b"/page/slow"]
    assert (await proxy.ask("GET", "/page/slow")).body != b"old"


# Explain, and the key of a sample.


async def test_an_explanation_comes_true(proxy: Proxy, upstream: RawUpstream) -> None:
    """It asks nothing of the upstream, writes no line, and its key is that of the request's line."""
    asked = {"url": "/search?q=CATS&a=1"}
    before = len(upstream.exchanges)
    told = (await act(proxy, "explain", asked)).json()
    assert (told["rule"], told["would"]["outcome"], len(upstream.exchanges)) == ("search", "miss", before)
    line = await proxy.line(await proxy.ask("GET", "/search?a=1&q=cats"))
    assert (line["outcome"], line["key_hash"]) == ("miss", told["key"]["hash"])
    told = (await act(proxy, "explain", asked)).json()
    assert (told["would"]["outcome"], told["entry"]["state"]) == ("hit", "fresh")
    near = (await act(proxy, "explain", {"url": "/search?q=dogs&a=1"})).json()["nearest"]
    assert near == {"key": line["key_hash"], "differs": [{"part": "param q", "here": "dogs", "there": "cats"}]}
    assert not proxy.found(event="request", path="/_frontrunner/explain")


async def test_a_sample_without_a_proxy_has_the_same_key(proxy: Proxy) -> None:
    target = "http://site.test/search?q=SAME"
    printed = await run(proxy, "check", str(proxy.folder / "config.yaml"), "--try", f"GET {target}")
    line = await proxy.line(await proxy.ask("GET", "/search?q=same"))
    assert re.findall(r"^key +(\w+)$", printed, re.MULTILINE) == [line["key_hash"]]


async def test_by_hand(proxy: Proxy) -> None:
    """All commands, one after the other."""
    target = "http://site.test/search?q=hand&token=hunter2"
    await proxy.ask("GET", "/search?q=hand&token=hunter2")
    printed = await run(proxy, "explain", "GET", target)
    assert "now      hit: answer from the store" in printed
    printed += await run(proxy, "purge", target)
    assert printed.endswith("\npurged: url /search\n")
    printed += await run(proxy, "explain", "GET", target)
    assert "now      miss: fetch from the upstream" in printed
    printed += await run(proxy, "purge", "--rule", "none", code=1)
    assert "no rule is called 'none'; there are: search, page, ask, default" in printed
    for turn in ("on", "off"):
        assert (await run(proxy, "bypass", turn)).startswith(f"bypass is {turn}\nits switch is /")
        assert (await run(proxy, "bypass")).startswith(f"bypass is {turn}\n")
    assert SECRET.decode() not in printed


HOSTILE = {
    "more than is taken": b" " * (2**24 + 1),
    "levels without end": b'{"url":' * 100_000,
    "a body of levels": json.dumps({"method": "POST", "url": "/ask", "body": "[" * 100_000}).encode(),
    "a body of members": json.dumps({"method": "POST", "url": "/ask", "body": json.dumps(dict.fromkeys(map(str, range(9999)), "x"))}).encode(),
    "bytes": bytes(range(256)),
    "line breaks": json.dumps({"url": "/page/a", "headers": {"X-A": "1\r\nSet-Cookie: hunter2"}}).encode(),
}  # fmt: skip


@pytest.mark.parametrize("path", ["explain", "cache/purge", "bypass"])
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_input_is_refused_or_read_and_forgotten(
    proxy: Proxy, upstream: RawUpstream, path: str, body: bytes
) -> None:
    before = len(proxy.found(event="error"))
    said = await act(proxy, path, body)
    if said.status != 200:
        check_problem(said, 400, "bad_request")
    assert SECRET not in said.body
    assert not said.values(b"set-cookie")
    await check_next(proxy, upstream)
    assert len(proxy.found(event="error")) == before


# The Friday switch.


async def by_api(proxy: Proxy, on: bool) -> None:
    assert (await act(proxy, "bypass", {"on": on})).json()["on"] is on


async def by_signal(proxy: Proxy, _: bool) -> None:
    proxy.process.send_signal(signal.SIGUSR2)


async def by_file(proxy: Proxy, on: bool) -> None:
    """Make or remove the file that the proxy names."""
    file = Path((await proxy.admin("bypass")).json()["file"])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch() if on else file.unlink()


@pytest.mark.parametrize("turn", [by_api, by_signal, by_file])
async def test_the_switch_works_within_a_second_and_is_seen_everywhere(
    proxy: Proxy, upstream: RawUpstream, turn: Any
) -> None:
    """In readyz, in each log line, in Cache-Status; what was stored is there again afterwards."""
    target = f"/page/{turn.__name__}"
    stored = await proxy.ask("GET", target)
    lines = len(proxy.found(event="bypass"))
    await turn(proxy, True)
    await until_bypassed(proxy, on=True)
    assert (await proxy.ask("GET", "/_frontrunner/readyz")).body == b"ok, bypass is on\n"
    before = len(upstream.exchanges)
    answers = [
        await proxy.ask(*one)
        for one in (("GET", target), ("GET", "/search"), ("POST", "/ask"), ("GET", "/none"), ("PUT", "/x"))
    ]
    assert len(upstream.exchanges) - before == len(answers)
    for answer in answers:
        line = await proxy.line(answer)
        assert (line["outcome"], line["reason"]) == ("passthrough", "bypass")
    would = (await act(proxy, "explain", {"url": target})).json()
    assert (would["would"]["reason"], would["entry"]["state"]) == ("bypass", "fresh")
    await turn(proxy, False)
    await until_bypassed(proxy, on=False)
    assert (await proxy.ask("GET", "/_frontrunner/readyz")).body == b"ok\n"
    again = await proxy.ask("GET", target)
    assert (again.body, status_of(again)[0]) == (stored.body, "hit")
    told = (await proxy.lines(lines + 2, event="bypass"))[lines:]
    assert [line["on"] for line in told] == [True, False], "one line for each turn"


async def test_it_holds_over_a_restart_and_for_all_processes_in_front_of_one_upstream(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    config: Line = {**CONFIG, "upstream": upstream.url, "admin": {"token": TOKEN}}
    first, second = Proxy(config, tmp_path).start(), Proxy(config, tmp_path).start()
    try:
        await act(first, "bypass", {"on": True})
        await until_bypassed(second, on=True)
        first.stop()
        first = Proxy(config, tmp_path).start()
        assert status_of(await first.ask("GET", "/page/any"))[0] == "bypass"
        await act(second, "bypass", {"on": False})
        await until_bypassed(first, on=False)
        other = Proxy({**config, "store": {"namespace": "other"}}, tmp_path).start()
        await act(first, "bypass", {"on": True})
        await until_bypassed(second, on=True)
        try:
            assert status_of(await other.ask("GET", "/page/any"))[0] != "bypass"
        finally:
            other.stop()
    finally:
        first.stop()
        second.stop()
