"""A service whose answers to several are not the answers to each: its canary is demoted on two machines at once."""

import asyncio
import itertools
import json
import time

import pytest
from redis_server import own_server  # noqa: F401  a fixture
from running import BEARER, Proxy
from wire import RawUpstream, reply

NUMBERS = itertools.count(1)
WITHIN_S = 1.0
RULE = {
    "name": "shop",
    "match": {"path": "/shop"},
    "key": ["sort_params"],
    "ttl": "1h",
    "split": {
        "by": {"query_list": {"name": "ids"}},
        "merge": {"keyed": {"items": "$.items"}},
        "residual": "each",
        "max_parallel": 4,
    },
    "rollout": {"split": {"mode": "canary", "percent": 100}},
}


async def ranked(exchange):
    """Tell of each item how many were asked for beside it: nobody sees that in one answer."""
    ids = exchange.target.partition(b"ids=")[2].decode().split(",")
    body = json.dumps({"items": [{"id": one, "of": len(ids)} for one in ids]}).encode()
    await exchange.send(reply(200, body, b"Content-Type: application/json"))


@pytest.fixture
async def machines(own_server, tmp_path):  # noqa: F811
    async with RawUpstream() as upstream:
        upstream.routes[b"/shop"] = ranked
        config = {
            "workers": 2, "upstream": upstream.url, "store": {"redis": own_server.url}, "rules": [RULE],
            "admin": {"token": "${FRONTRUNNER_TOKEN}"},
        }  # fmt: skip
        both = [Proxy(config, tmp_path / name).start() for name in ("a", "b")]
        yield upstream, *both
        for machine in both:
            machine.stop()


async def ask(machine):
    """Ask for three new things; tell whether the answer is right."""
    ids = ",".join(str(next(NUMBERS)) for _ in range(3))
    answer = await machine.ask("GET", f"/shop?ids={ids}")
    return {item["of"] for item in answer.json()["items"]} == {3}


async def told(machine, path="rollout/shop", wanted=None):
    body = None if wanted is None else json.dumps(wanted).encode()
    answer = await machine.ask("GET" if body is None else "POST", f"/_frontrunner/{path}", BEARER, body=body)
    assert answer.status == 200, (answer, machine.found(event="error")[-3:])
    return answer.json()


async def all_say(machines_, feature, name, value, within=WITHIN_S):
    """Wait until every worker says so; whoever is asked answers."""
    began = time.monotonic()
    while True:
        asked = await asyncio.gather(*[told(one) for one in machines_ for _ in range(8)])
        if {answer[feature][name] for answer in asked} == {value}:
            return
        assert time.monotonic() - began < within + 1, [answer[feature] for answer in asked]


@pytest.mark.timeout(240)  # where the machine is busy, what is asked again fails now and then, and waits
async def test_what_one_worker_finds_out_holds_for_all_and_is_reported(machines):
    upstream, one, other = machines
    wrong = 0
    async with asyncio.timeout(120):
        while not one.found(event="decision", state="demoted") and not other.found(event="decision", state="demoted"):
            right = await asyncio.gather(*[ask(machine) for machine in (one, other) for _ in range(4)])
            wrong += right.count(False)
    await asyncio.sleep(WITHIN_S)
    assert all(await asyncio.gather(*[ask(machine) for machine in (one, other) for _ in range(30)]))
    assert 1 <= wrong <= 3
    await all_say((one, other), "split", "state", "demoted")
    asked_for = [exchange for exchange in upstream.exchanges if exchange.values(b"frontrunner-shadow") == [b"1"]]
    assert asked_for
    await asyncio.sleep(3)  # what was counted is told every two seconds
    for machine in (one, other):
        report = (await told(machine))["split"]["report"]
        assert (report["verdict"], report["correctness"]["exposed"]) == ("rollback", wrong)
        assert report["mismatches"][0]["path"] == "$.items[0].of"


async def test_the_kill_switch_of_a_normalized_key_reaches_every_worker(machines):
    _, one, other = machines
    await told(one, "rollout", {"normalize": {"mode": "off"}})
    await asyncio.sleep(WITHIN_S)
    await all_say((one, other), "normalize", "mode", "off", within=0)
    for spelled in ("/shop?ids=1&a=1", "/shop?a=1&ids=1"):
        await one.ask("GET", spelled)
    keys = {line["key_hash"] for line in await one.lines(2, event="request", outcome="miss")}
    assert len(keys) == 2
    await told(other, "rollout", {"normalize": {"mode": None}})
    await asyncio.sleep(WITHIN_S)
    await all_say((one, other), "normalize", "mode", "on", within=0)
