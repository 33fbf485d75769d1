"""Two machines with two workers each on one Redis: one fetch, one mind, and nobody errs when the Redis does."""

import asyncio
import json

import pytest
from redis_server import own_server  # noqa: F401  a fixture
from running import Proxy, status_of
from wire import RawUpstream, reply


@pytest.fixture
async def machines(own_server, tmp_path):  # noqa: F811
    async with RawUpstream(reply(200, b"ok")) as upstream:
        config = {
            "workers": 2, "upstream": upstream.url, "store": {"redis": own_server.url},
            "rules": [{"name": "kept", "match": {"path": "/kept/**"}, "ttl": "1h"}],
            "admin": {"token": "${FRONTRUNNER_TOKEN}"},
        }  # fmt: skip
        both = [Proxy(config, tmp_path / name).start() for name in ("a", "b")]
        yield upstream, *both, own_server
        for machine in both:
            machine.stop()


def calls(upstream, path):
    return len([one for one in upstream.exchanges if one.path == path])


def slow(seconds):
    async def answer(exchange):
        await asyncio.sleep(seconds)
        await exchange.send(reply(200, b"x" * 1000))

    return answer


async def test_machines_that_share_a_redis_are_one(machines):
    upstream, one, other, _ = machines
    upstream.routes[b"/kept/cold"] = slow(2)
    answers = await asyncio.gather(*[machine.ask("GET", "/kept/cold") for machine in (one, other) for _ in range(250)])
    assert {(answer.status, answer.body) for answer in answers} == {(200, b"x" * 1000)}
    assert calls(upstream, b"/kept/cold") == 1
    told = await one.ask(
        "POST",
        "/_frontrunner/cache/purge",
        b"Authorization: Bearer token-for-tests-0123456789abcdef",
        body=b'{"all": true}',
    )
    assert told.status == 200
    await asyncio.sleep(0.5)
    upstream.routes[b"/kept/cold"] = reply(200, b"new")
    answers = await asyncio.gather(*[machine.ask("GET", "/kept/cold") for machine in (one, other) for _ in range(20)])
    assert {answer.body for answer in answers} == {b"new"}


async def test_a_redis_that_is_paused_or_gone_costs_hits_and_no_answer(machines):
    upstream, one, other, redis = machines
    upstream.routes[b"/kept/a"] = reply(200, b"kept")
    assert (await one.ask("GET", "/kept/a")).body == b"kept"
    redis.pause()
    for machine in (one, other):
        answers = await asyncio.gather(*[machine.ask("GET", f"/kept/{number}") for number in range(20)])
        assert {answer.status for answer in answers} == {200}
    redis.resume()
    redis.stop()
    for machine in (one, other):
        answers = await asyncio.gather(*[machine.ask("GET", f"/kept/b{number}") for number in range(20)])
        assert {answer.status for answer in answers} == {200}
    assert status_of(await one.ask("GET", "/kept/b1"))[0] in {"hit", "uri-miss"}


async def test_whichever_worker_is_asked_all_tell_the_same_of_what_the_redis_holds(machines):
    _, one, other, _ = machines
    for number in range(8):
        await (one if number % 2 else other).ask("GET", f"/kept/{number}")
    token, told = b"Authorization: Bearer token-for-tests-0123456789abcdef", set()
    for machine in (one, other) * 8:
        status = json.loads((await machine.ask("GET", "/_frontrunner/cache/status", token)).body)
        lines = (await machine.ask("GET", "/_frontrunner/metrics", token)).body.decode().splitlines()
        gauge = next(line for line in lines if line.startswith("frontrunner_store_entries "))
        told.add((status["entries"], status["stores"][-1]["entries"], float(gauge.split()[1])))
    assert told == {(8, 8, 8.0)}
