"""A slow service is never asked for more at once than it bears, whichever worker asks; who cannot wait is told when."""

import asyncio

import pytest
from running import Proxy
from wire import RawUpstream, reply

TAKES_S, CEILING = 0.3, 2


@pytest.fixture
async def upstream():
    async with RawUpstream(reply(200, b"ok")) as server:
        yield server


class Service:
    """Answers slowly, and remembers how many it had at once, and in which order they came."""

    def __init__(self):
        self.now = self.most = 0
        self.paths = []

    async def __call__(self, exchange):
        self.now += 1
        self.most = max(self.most, self.now)
        await exchange.read()
        self.paths.append(exchange.path)
        await asyncio.sleep(TAKES_S)
        self.now -= 1
        await exchange.send(reply(200, b"slow"))


def started(upstream, tmp_path, workers=1, **more):
    config = {
        "upstream": {"url": upstream.url, "max_in_flight": CEILING, **more},
        "workers": workers,
        "rules": [{"name": "kept", "match": {"path": "/kept/**"}, "ttl": "1h"}],
        "admin": {"token": "${FRONTRUNNER_TOKEN}"},
    }
    return Proxy(config, tmp_path / "proxy").start()


@pytest.mark.parametrize("workers", [1, 3])
async def test_no_more_are_in_flight_than_may_be(upstream, tmp_path, workers):
    service = upstream.answer = Service()
    proxy = started(upstream, tmp_path, workers)
    answers = await asyncio.gather(*[proxy.ask("GET", f"/kept/{number}") for number in range(16)])
    assert {answer.body for answer in answers} == {b"slow"}
    assert service.most == CEILING
    waited = [line["queue_s"] for line in await proxy.lines(16, event="request") if "queue_s" in line]
    assert max(waited) >= (16 / CEILING - 2) * TAKES_S * 0.9
    told = (await proxy.admin("performance")).json()
    assert (told["max_in_flight"], told["in_flight"]) == (CEILING, 0)
    proxy.stop()


async def test_what_no_rule_matches_is_not_held_up(upstream, tmp_path):
    service = upstream.answer = Service()
    proxy = started(upstream, tmp_path)
    await asyncio.gather(*[proxy.ask("GET", f"/other/{number}") for number in range(8)])
    assert service.most > CEILING
    proxy.stop()


async def test_who_would_wait_too_long_is_told_when_to_come_again(upstream, tmp_path):
    upstream.answer = Service()
    proxy = started(upstream, tmp_path, timeout={"first_byte": "500ms"})
    answers = await asyncio.gather(*[proxy.ask("GET", f"/kept/{number}") for number in range(12)])
    refused = [answer for answer in answers if answer.status == 503]
    assert refused
    assert {answer.status for answer in answers} == {200, 503}
    assert all(int(answer.value(b"retry-after")) >= 1 for answer in refused)
    assert {answer.value(b"content-type") for answer in refused} == {b"application/problem+json"}
    proxy.stop()


async def test_clients_go_before_what_nobody_waits_for(upstream, tmp_path):
    service = upstream.answer = Service()
    proxy = started(upstream, tmp_path)
    busy = [asyncio.get_running_loop().create_task(proxy.ask("GET", f"/kept/busy{number}")) for number in range(2)]
    async with asyncio.timeout(10):
        while service.now < CEILING:
            await asyncio.sleep(0.005)
    loop = asyncio.get_running_loop()
    warming = [loop.create_task(proxy.ask("GET", f"/kept/warm{number}", b"Priority: u=7")) for number in range(2)]
    await asyncio.sleep(0.05)
    clients = [loop.create_task(proxy.ask("GET", f"/kept/client{number}")) for number in range(3)]
    await asyncio.gather(*busy, *warming, *clients)
    kinds = ["warm" if b"warm" in path else "client" for path in service.paths[CEILING:]]
    assert kinds == ["client"] * 3 + ["warm"] * 2
    proxy.stop()
