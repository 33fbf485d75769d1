"""Four workers under load: metrics, performance, log lines and the client's own count say the same, whoever is asked."""

import asyncio
import os
import pathlib
import signal
from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families as families
from running import Proxy, status_of
from wire import RawUpstream, reply

WORKERS = 4
ASKED_EACH_WAY = 8
TOLD_WITHIN_S = 2.0
"""What a process that is killed may take with it."""


@pytest.fixture
async def running(tmp_path):
    async with RawUpstream(reply(200, b"ok")) as upstream:
        config = {
            "workers": WORKERS, "upstream": upstream.url, "admin": {"token": "${FRONTRUNNER_TOKEN}"},
            "rules": [{"name": name, "match": {"path": f"/{name}/**"}, "ttl": "1h"} for name in ("kept", "more")],
        }  # fmt: skip
        proxy = Proxy(config, tmp_path).start()
        yield proxy
        if proxy.process.poll() is None:
            proxy.stop()


class Load:
    """What a client has asked for and got, by rule."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.got = Counter()

    async def ask(self, times):
        paths = [f"/{('kept', 'more', 'free')[number % 3]}/{number % 20}" for number in range(times)]
        for start in range(0, times, 20):
            asked = paths[start : start + 20]
            told = await asyncio.gather(*[self.proxy.ask("GET", path) for path in asked])
            assert {answer.status for answer in told} == {200}
            self.got.update([path.split("/")[1] for path in asked])


async def performance(proxy, window="all"):
    return (await proxy.admin(f"performance?window={window}")).json()


async def metrics(proxy):
    """Return the number and the seconds of all requests, and the seconds saved, as scraped."""
    text = (await proxy.admin("metrics")).body.decode()
    found = Counter()
    for family in families(text):
        for sample in family.samples:
            found[sample.name] += sample.value
    return found


async def check(proxy, load, lines, calls_before=()):
    """Check that all four counts agree, each time somebody else may be the one who answers."""
    n = load.got.total()
    assert len(lines) == n
    by_rule = Counter(line.get("rule", "unmatched") for line in lines)
    by_outcome = Counter((line.get("rule", "unmatched"), line["outcome"]) for line in lines)
    calls = [*calls_before, *proxy.found(event="upstream_call")]
    called_s = sum(call["duration_s"] for call in calls)
    saved, took = sum(line.get("saved_s", 0) for line in lines), sum(line["duration_s"] for line in lines)
    for _ in range(ASKED_EACH_WAY):
        told, scraped = await performance(proxy), await metrics(proxy)
        assert told["n"] == n
        assert {name: one["n"] for name, one in told["operations"].items()} == by_rule
        assert {
            (name, outcome): one["n"]
            for name, of in told["operations"].items()
            for outcome, one in of["by_outcome"].items()
        } == by_outcome
        assert told["seconds_saved"] == pytest.approx(saved, abs=1e-5 * n)
        assert sum(one["upstream_calls"] for one in told["operations"].values()) == len(calls)
        assert told["seconds_spent"] == pytest.approx(called_s, abs=1e-5 * n)
        assert scraped["frontrunner_request_duration_seconds_count"] == n
        assert scraped["frontrunner_request_duration_seconds_sum"] == pytest.approx(took, abs=1e-5 * n)
        assert scraped["frontrunner_upstream_calls_total"] == len(calls)
        assert scraped["frontrunner_upstream_seconds_total"] == pytest.approx(called_s, abs=1e-5 * n)
        assert scraped["frontrunner_saved_seconds_total"] == pytest.approx(saved, abs=1e-5 * n)
        assert (await performance(proxy, "10m"))["n"] == n


def children(proxy):
    text = pathlib.Path(f"/proc/{proxy.process.pid}/task/{proxy.process.pid}/children").read_text()
    return {int(pid) for pid in text.split()}


async def replaced(proxy, pid):
    """Wait until a worker is gone and another serves in its place."""
    async with asyncio.timeout(20):
        while pid in children(proxy) or len(children(proxy)) < WORKERS:
            await asyncio.sleep(0.05)


async def test_they_agree_exactly_at_once(running):
    load = Load(running)
    await load.ask(400)
    await check(running, load, await running.lines(400, event="request"))
    assert len({line["pid"] for line in running.found(event="request")}) == WORKERS
    assert {status_of(await running.ask("GET", "/kept/0"))[0]} == {"hit"}


async def test_they_agree_after_a_worker_was_killed_and_after_each_was_replaced(running):
    load = Load(running)
    await load.ask(200)
    await asyncio.sleep(TOLD_WITHIN_S)
    killed = min(children(running))
    os.kill(killed, signal.SIGKILL)
    await replaced(running, killed)
    await load.ask(200)
    await check(running, load, await running.lines(400, event="request"))
    for pid in sorted(children(running)):
        os.kill(pid, signal.SIGTERM)
        await asyncio.gather(load.ask(60), replaced(running, pid))
    n = load.got.total()
    await check(running, load, await running.lines(n, event="request"))


async def test_they_survive_a_restart(running):
    load = Load(running)
    await load.ask(120)
    lines, calls = await running.lines(120, event="request"), running.found(event="upstream_call")
    running.stop()
    again = Proxy(running.config, running.folder).start()
    try:
        load.proxy = again
        await load.ask(120)
        await check(again, load, lines + await again.lines(120, event="request"), calls)
    finally:
        again.stop()
