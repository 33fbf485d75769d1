"""Four workers behind one socket: one fetch, one mind, one log; whoever is killed is replaced."""

import asyncio
import os
import pathlib
import signal
import time

import pytest
from running import Proxy, status_of
from wire import reply

pytestmark = pytest.mark.asyncio(loop_scope="module")
WORKERS = 4
CONFIG = {
    "workers": WORKERS,
    "store": {"disk": "auto"},
    "rules": [{"name": "kept", "match": {"path": "/kept/**"}, "ttl": "1h"}],
}


def slow(seconds):
    async def answer(exchange):
        await asyncio.sleep(seconds)
        await exchange.send(reply(200, b"x" * 1000))

    return answer


def pids(proxy):
    """Return the workers' process ids, as they stand in their log lines."""
    return {line["pid"] for line in proxy.found(event="request")}


async def test_five_hundred_who_ask_at_once_cost_one_call(proxy, upstream):
    upstream.routes[b"/kept/cold"] = slow(2)
    began = time.perf_counter()
    answers = await asyncio.gather(*[proxy.ask("GET", "/kept/cold") for _ in range(500)])
    took = time.perf_counter() - began
    assert {(answer.status, answer.body) for answer in answers} == {(200, b"x" * 1000)}
    assert len([one for one in upstream.exchanges if one.path == b"/kept/cold"]) == 1
    assert took < 6, f"{took:.2f} s: the rest is what 500 connections cost here"
    await proxy.lines(500, event="request", path="/kept/cold")
    assert len(pids(proxy)) == WORKERS
    waited = [line["upstream_calls"] for line in proxy.found(event="request", path="/kept/cold")]
    assert sum(waited) == 1


async def test_what_one_worker_stored_all_answer_with(proxy, upstream):
    upstream.routes[b"/kept/one"] = reply(200, b"one")
    await proxy.ask("GET", "/kept/one")
    answers = await asyncio.gather(*[proxy.ask("GET", "/kept/one") for _ in range(40)])
    assert {status_of(answer)[0] for answer in answers} == {"hit"}


async def test_a_purge_is_seen_by_all_at_once(proxy, upstream):
    upstream.routes[b"/kept/purged"] = reply(200, b"old")
    await asyncio.gather(*[proxy.ask("GET", "/kept/purged") for _ in range(40)])
    upstream.routes[b"/kept/purged"] = reply(200, b"new")
    told = await proxy.ask(
        "POST",
        "/_frontrunner/cache/purge",
        b"Authorization: Bearer token-for-tests-0123456789abcdef",
        body=b'{"rule": "kept"}',
    )
    assert told.status == 200
    await asyncio.sleep(0.1)
    answers = await asyncio.gather(*[proxy.ask("GET", "/kept/purged") for _ in range(40)])
    assert {answer.body for answer in answers} == {b"new"}


async def test_counts_never_fall_whichever_worker_tells(proxy):
    told = []
    for _ in range(20):
        await proxy.ask("GET", "/kept/one")
        told.append((await proxy.admin("performance")).json()["n"])
    assert told == sorted(told)
    async with asyncio.timeout(10):
        while (await proxy.admin("performance")).json()["n"] < len(proxy.found(event="request")) - WORKERS:
            await asyncio.sleep(0.1)


async def test_the_bypass_is_turned_for_all_within_a_second(proxy, upstream):
    upstream.routes[b"/kept/bypassed"] = reply(200, b"kept")
    await proxy.ask("GET", "/kept/bypassed")
    for word, wanted in (("on", {"bypass"}), ("off", {"hit"})):
        proxy.process.send_signal(signal.SIGUSR2)
        await asyncio.sleep(1)
        answers = await asyncio.gather(*[proxy.ask("GET", "/kept/bypassed") for _ in range(40)])
        assert {status_of(answer)[0] for answer in answers} == wanted, word


async def test_a_leader_that_is_killed_is_replaced_and_so_is_its_process(proxy, upstream):
    upstream.routes[b"/kept/lost"] = slow(3)
    asking = [asyncio.get_running_loop().create_task(proxy.ask("GET", "/kept/lost")) for _ in range(40)]
    async with asyncio.timeout(10):
        while not [one for one in upstream.exchanges if one.path == b"/kept/lost"]:
            await asyncio.sleep(0.01)
    leader = leading(proxy)
    lost = connections(leader, 1, proxy.port)
    os.kill(leader, signal.SIGKILL)
    told = await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), 40)
    answered = [one for one in told if not isinstance(one, BaseException) and not one.cut]
    assert lost < 40
    assert len(answered) >= 40 - lost, "all clients of the other workers"
    assert {answer.body for answer in answered} == {b"x" * 1000}
    assert len([one for one in upstream.exchanges if one.path == b"/kept/lost"]) <= 2
    async with asyncio.timeout(10):
        while len(children(proxy)) < WORKERS:
            await asyncio.sleep(0.05)
    assert leader not in children(proxy)
    assert status_of(await proxy.ask("GET", "/kept/lost"))[0] == "hit"


async def test_workers_whose_first_process_was_killed_held_the_port_for_ever(tmp_path):
    running = Proxy({"upstream": "http://127.0.0.1:9", "workers": 2}, tmp_path / "orphans").start()
    orphans = children(running)
    running.process.kill()
    async with asyncio.timeout(20):
        while any(pathlib.Path(f"/proc/{pid}").exists() for pid in orphans):
            await asyncio.sleep(0.05)
    running.kill()


def children(proxy):
    with pathlib.Path(f"/proc/{proxy.process.pid}/task/{proxy.process.pid}/children").open() as told:
        return {int(pid) for pid in told.read().split()}


def connections(pid, side, port):
    """Return how many connections a process has whose end on one side, 1 its own and 2 the other, is at a port."""
    with pathlib.Path(f"/proc/{pid}/net/tcp").open() as told:
        rows = [row.split() for row in told.readlines()[1:]]
    inodes = {row[9] for row in rows if int(row[side].rpartition(":")[2], 16) == port and row[3] == "01"}
    links = [str(one.readlink()) for one in pathlib.Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink()]
    return sum(f"socket:[{inode}]" in links for inode in inodes)


def leading(proxy):
    """Return the worker that holds the connection upstream: the only one that is connected to it."""
    port = int(proxy.config["upstream"]["url"].rpartition(":")[2])
    return next(pid for pid in children(proxy) if connections(pid, 2, port))
