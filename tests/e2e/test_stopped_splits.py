"""A kill switch, thrown at one of several workers: it holds in all of them within a second, and over a restart."""

import asyncio
import itertools
import json
from contextlib import contextmanager

import pytest
from running import BEARER, Proxy, status_of
from wire import RawUpstream, reply

NUMBERS = itertools.count(1)
CONFIG = {
    "workers": 3,
    "rules": [
        {
            "name": "shop",
            "match": {"path": "/shop"},
            "ttl": "1h",
            "split": {
                "by": {"query_list": {"name": "ids"}},
                "merge": {"keyed": {"items": "$.items", "missing": "omit"}},
            },
            "rollout": {"split": {"mode": "on", "audit": 0}},
            "aliases": {"/shop-split": "candidate"},
        }
    ],
}


async def sold(exchange):
    ids = exchange.target.partition(b"ids=")[2].decode().split(",")
    body = json.dumps({"items": [{"id": one} for one in ids]}).encode()
    await exchange.send(reply(200, body, b"Content-Type: application/json"))


async def split(proxy, path="/shop", *fields):
    """Ask for two things that nobody has asked for; tell whether the answer was put together from parts."""
    answer = await proxy.ask("GET", f"{path}?ids={next(NUMBERS)},{next(NUMBERS)}", *fields)
    assert answer.status == 200, answer
    return "detail" in status_of(answer)[1]


async def everywhere(proxy, path="/shop", *fields):
    return set(await asyncio.gather(*[split(proxy, path, *fields) for _ in range(30)]))


async def said(proxy, method, path, mode=None):
    body = json.dumps({"split": {"mode": mode}}).encode() if method == "POST" else None
    answer = await proxy.ask(method, f"/_frontrunner/{path}", BEARER, body=body)
    assert answer.status == 200, answer
    return answer.json()


@pytest.fixture
async def upstream():
    """Return a shop."""
    async with RawUpstream() as server:
        server.routes[b"/shop"] = sold
        yield server


@contextmanager
def running(upstream, folder):
    """Run three workers in front of it; what is in the folder outlives them."""
    proxy = Proxy({**CONFIG, "upstream": upstream.url}, folder).start()
    yield proxy
    proxy.stop()


async def test_the_kill_switch_holds_for_all_workers_and_over_a_restart(upstream, tmp_path):
    forced = (BEARER, b"Frontrunner-Arm: candidate")
    with running(upstream, tmp_path) as proxy:
        assert await everywhere(proxy) == {True}
        await said(proxy, "POST", "rollout", "off")
        await asyncio.sleep(1)
        assert await everywhere(proxy) == await everywhere(proxy, "/shop-split") == {False}
        assert await everywhere(proxy, "/shop", *forced) == {False}
        (line,) = await proxy.lines(event="decision")
        assert (line["rule"], line["mode"], line["client_ip"]) == ("shop", "off", "127.0.0.1")
    with running(upstream, tmp_path) as proxy:
        assert await everywhere(proxy) == {False}
        assert (await said(proxy, "GET", "rollout/shop"))["split"]["mode"] == "off"
        await said(proxy, "POST", "rollout", None)
        await asyncio.sleep(1)
        assert await everywhere(proxy) == await everywhere(proxy, "/shop", *forced) == {True}
    assert {exchange.path for exchange in upstream.exchanges} == {b"/shop"}
    assert not any(b"token-for-tests" in exchange.head_bytes for exchange in upstream.exchanges)
