"""An answer is paid for once: whoever asks meanwhile, leaves, or comes back after a restart or a broken file."""

import asyncio
import os
import pathlib
import time

import pytest
from running import Proxy, status_of
from wire import Client, RawUpstream, asked, reply

BODY = b"x" * 1000


@pytest.fixture
async def upstream():
    async with RawUpstream(reply(200, b"ok")) as server:
        yield server


@pytest.fixture
def config(upstream, tmp_path):
    return {
        "upstream": upstream.url, "store": {"disk": str(tmp_path / "kept.sqlite")},
        "rules": [{"name": "kept", "match": {"path": "/kept/**"}, "ttl": "1h"}],
        "admin": {"token": "${FRONTRUNNER_TOKEN}"},
    }  # fmt: skip


@pytest.fixture
def proxy(config, tmp_path):
    running = Proxy(config, tmp_path / "proxy").start()
    yield running
    running.stop()


def slow(seconds):
    async def answer(exchange):
        await asyncio.sleep(seconds)
        await exchange.send(reply(200, BODY))

    return answer


def calls(upstream, path=b"/kept/cold"):
    return len([one for one in upstream.exchanges if one.path == path])


async def test_five_hundred_at_once_cost_one_call(proxy, upstream):
    upstream.routes[b"/kept/cold"] = slow(2)
    began = time.perf_counter()
    answers = await asyncio.gather(*[proxy.ask("GET", "/kept/cold") for _ in range(500)])
    assert {(answer.status, answer.body) for answer in answers} == {(200, BODY)}
    assert calls(upstream) == 1
    assert time.perf_counter() - began < 6, "the rest is what 500 connections cost here"


async def test_three_hundred_who_leave_take_nothing_with_them(proxy, upstream):
    upstream.routes[b"/kept/cold"] = slow(2)
    leaving = [await Client.to(proxy.port) for _ in range(300)]
    for client in leaving:
        await client.send(asked(b"GET", b"/kept/cold"))
    staying = [asyncio.get_running_loop().create_task(proxy.ask("GET", "/kept/cold")) for _ in range(200)]
    await asyncio.sleep(0.7)
    for client in leaving:
        client.close()
    answers = await asyncio.gather(*staying)
    assert {(answer.status, answer.body) for answer in answers} == {(200, BODY)}
    assert calls(upstream) == 1
    assert status_of(await proxy.ask("GET", "/kept/cold"))[0] == "hit"


async def test_who_gave_up_and_asks_again_finds_the_answer(proxy, upstream):
    upstream.routes[b"/kept/cold"] = slow(1)
    async with await Client.to(proxy.port) as client:
        await client.send(asked(b"GET", b"/kept/cold"))
        await asyncio.sleep(0.3)
    await asyncio.sleep(1)
    assert status_of(await proxy.ask("GET", "/kept/cold"))[0] == "hit"
    assert calls(upstream) == 1


@pytest.mark.parametrize("killed", [False, True], ids=["ended", "killed"])
async def test_a_restart_loses_nothing(config, upstream, tmp_path, killed):
    upstream.routes[b"/kept/cold"] = reply(200, BODY)
    first = Proxy(config, tmp_path / "first").start()
    before = await first.ask("GET", "/kept/cold")
    first.kill() if killed else first.stop()
    second = Proxy(config, tmp_path / "second").start()
    after = await second.ask("GET", "/kept/cold")
    second.stop()
    assert (before.body, after.body, status_of(after)[0]) == (BODY, BODY, "hit")
    assert calls(upstream) == 1


def truncated(file):
    os.truncate(file, 1000)


def noise(file):
    size = pathlib.Path(file).stat().st_size
    with pathlib.Path(file).open("r+b") as out:
        out.write(os.urandom(size))


def gone(file):
    pathlib.Path(file).unlink()


@pytest.mark.parametrize("harm", [truncated, noise, gone])
async def test_a_file_that_is_harmed_costs_hits_and_no_answer(proxy, upstream, tmp_path, harm):
    for number in range(20):
        upstream.routes[b"/kept/%d" % number] = reply(200, b"answer %d" % number)
        await proxy.ask("GET", f"/kept/{number}")
    harm(os.path.realpath(tmp_path / "kept.sqlite"))
    for number in [*range(20), *range(20)]:
        answer = await proxy.ask("GET", f"/kept/{number}")
        assert (answer.status, answer.body) == (200, b"answer %d" % number)
