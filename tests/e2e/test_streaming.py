"""Bodies pass as they come, in bounded memory; who leaves and who stays decides what goes on upstream."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from running import Proxy, status_of
from wire import Client, Exchange, RawUpstream, asked, chunk, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONFIG = {
    "rules": [
        {"name": "kept", "match": {"path": "/kept/**"}, "ttl": "1h"},
        {"name": "small", "match": {"path": "/small/**"}, "ttl": "1h", "max_object": "1MiB"},
    ]
}
MIB = 2**20
BLOCK = bytes(range(256)) * 256
CHUNKS = b"Transfer-Encoding: chunked"
STILL = 0.7
"""Seconds without progress after which a stream counts as held."""


class Meter:
    """Counts bytes that were taken from a sender, and tells when the other side holds them up."""

    def __init__(self) -> None:
        self.bytes = 0
        self._moved = asyncio.Event()

    async def pump(self, side: Client | Exchange, most: int) -> None:
        """Send chunks until `most` bytes were taken or the other side ends."""
        try:
            while self.bytes < most:
                await side.send(chunk(BLOCK))
                self.bytes += len(BLOCK)
                self._moved.set()
        except ConnectionError:
            pass

    async def held(self) -> int:
        """Wait until nothing moves any more, and return how much was taken by then."""
        async with asyncio.timeout(30):
            while True:
                self._moved.clear()
                try:
                    await asyncio.wait_for(self._moved.wait(), STILL)
                except TimeoutError:
                    return self.bytes


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_server_sent_events_arrive_one_by_one(method: bytes, upstream: RawUpstream, proxy: Proxy) -> None:
    """Each event reaches the client before the upstream sends the next one."""
    step = asyncio.Event()

    async def events(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.send(reply(200, b"", b"Content-Type: text/event-stream", CHUNKS, length=False))
        for number in range(5):
            await exchange.send(chunk(b"data: %d\n\n" % number))
            await step.wait()
            step.clear()
        await exchange.send(chunk(b""))

    upstream.routes[b"/kept/events"] = events
    async with asyncio.timeout(10), await Client.to(proxy.port) as client:
        await client.send(
            asked(method, b"/kept/events", b"Accept: text/event-stream", body=b"" if method == b"POST" else None)
        )
        status = (await client.start())[1]
        got = []
        async for piece in client.pieces(-1):
            got.append(piece)
            step.set()
    assert (status, got) == (200, [b"data: %d\n\n" % number for number in range(5)])


async def test_the_head_arrives_before_the_body(upstream: RawUpstream, proxy: Proxy) -> None:
    """Status and fields reach the client while the upstream still thinks about the body."""
    go_on = asyncio.Event()

    async def slowly(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.send(reply(200, b"", b"Content-Length: 4", length=False))
        await go_on.wait()
        await exchange.send(b"done")

    upstream.routes[b"/slow"] = upstream.routes[b"/kept/slow"] = slowly
    for target in (b"/slow", b"/kept/slow"):
        go_on.clear()
        async with asyncio.timeout(10), await Client.to(proxy.port) as client:
            await client.send(asked(b"GET", target))
            assert (await client.start())[1] == 200
            go_on.set()
            assert b"".join([piece async for piece in client.pieces(4)]) == b"done"


@pytest.mark.parametrize("target", [b"/endless", b"/small/endless"])
async def test_an_endless_answer_waits_for_its_reader(target: bytes, upstream: RawUpstream, proxy: Proxy) -> None:
    """Towards a client that does not read, an endless body is held after a bounded number of bytes; then it is over."""
    meter, over = Meter(), asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        await exchange.send(reply(200, b"", CHUNKS, b"Content-Type: a/b", length=False))
        await meter.pump(exchange, 64 * MIB)
        over.set()

    upstream.routes[target] = endless
    async with await Client.to(proxy.port, rcvbuf=65_536) as client:
        await client.send(asked(b"GET", target))
        await upstream.arrived(target)
        assert 0 < await meter.held() < 16 * MIB
        client.reset()
    async with asyncio.timeout(10):
        await over.wait()
    assert meter.bytes < 64 * MIB, "the upstream's connection was to end when the client left"


async def test_an_endless_upload_waits_for_its_reader(upstream: RawUpstream, proxy: Proxy) -> None:
    """Towards an upstream that does not read, an endless upload is held after a bounded number of bytes."""
    meter, release = Meter(), asyncio.Event()

    async def deaf(exchange: Exchange) -> None:
        await release.wait()
        exchange.reset()

    upstream.routes[b"/deaf"] = deaf
    async with await Client.to(proxy.port) as client, asyncio.TaskGroup() as group:
        await client.send(asked(b"POST", b"/deaf", CHUNKS))
        pumping = group.create_task(meter.pump(client, 64 * MIB))
        await upstream.arrived(b"/deaf")
        assert 0 < await meter.held() < 16 * MIB
        release.set()
        pumping.cancel()


async def test_64_mib_pass_both_ways_intact(upstream: RawUpstream, proxy: Proxy) -> None:
    """A large upload and a large answer arrive as they were sent, with their length."""
    size, sums = 64 * MIB, {}

    async def blocks() -> AsyncIterator[bytes]:
        for number in range(size // len(BLOCK)):
            yield number.to_bytes(4, "big") + BLOCK[4:]

    async def echo(exchange: Exchange) -> None:
        taken = hashlib.sha256()
        async for piece in exchange.arriving():
            taken.update(piece)
        sums["up"] = taken.hexdigest()
        await exchange.send(reply(200, b"", b"Content-Length: %d" % size, length=False))
        async for block in blocks():
            await exchange.send(block)

    upstream.routes[b"/large"] = echo
    expected, down = hashlib.sha256(), hashlib.sha256()
    async with asyncio.timeout(60), await Client.to(proxy.port) as client:
        await client.send(asked(b"PUT", b"/large", b"Content-Length: %d" % size))
        async for block in blocks():
            expected.update(block)
            await client.send(block)
        _, status, fields, _ = await client.start()
        async for piece in client.pieces(size):
            down.update(piece)
    assert (status, sums["up"], down.hexdigest()) == (200, expected.hexdigest(), expected.hexdigest())
    assert (b"content-length", b"%d" % size) in [(name.lower(), value) for name, value in fields]


@pytest.mark.parametrize(
    ("method", "target", "part"),
    [
        ("POST", b"/left/post", b""),
        ("PUT", b"/left/put", b""),
        ("DELETE", b"/kept/left/delete", b""),
        ("POST", b"/kept/left/post", b""),
        ("POST", b"/left/mid", reply(200, b"", b"Content-Length: 100", length=False) + b"some"),
    ],
)
async def test_a_request_that_is_not_kept_ends_when_its_client_leaves(
    method: str, target: bytes, part: bytes, upstream: RawUpstream, proxy: Proxy
) -> None:
    """Unmatched and unsafe requests are cancelled upstream when the client leaves, before or in the answer."""
    left = asyncio.Event()

    async def patient(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.send(part)
        await exchange.gone()
        left.set()

    upstream.routes[target] = patient
    async with await Client.to(proxy.port) as client:
        await client.send(asked(method.encode(), target, body=b"x"))
        await upstream.arrived(target)
        if part:
            assert (await client.start())[1] == 200
    async with asyncio.timeout(5):
        await left.wait()
    line = (await proxy.lines(event="request", path=target.decode()))[0]
    assert (line["outcome"], line["reason"], line["error_source"]) == ("error", "client_gone", "client")


async def test_a_cacheable_fetch_is_kept_when_its_client_leaves(upstream: RawUpstream, proxy: Proxy) -> None:
    """A matched fetch goes on without its client; whoever asks again meanwhile or later costs no second call."""
    go_on = asyncio.Event()

    async def slowly(exchange: Exchange) -> None:
        await exchange.read()
        await go_on.wait()
        await exchange.send(reply(200, b"worth keeping"))

    target = b"/kept/left/get"
    upstream.routes[target] = slowly
    async with await Client.to(proxy.port) as client:
        await client.send(asked(b"GET", target))
        await upstream.arrived(target)
    await proxy.lines(event="request", path=target.decode(), reason="client_gone")
    async with await Client.to(proxy.port) as client:
        await client.send(asked(b"GET", target))
        go_on.set()
        joined = await client.answer()
    later = await proxy.ask("GET", target.decode())
    assert (joined.body, later.body, len(upstream.seen(target))) == (b"worth keeping", b"worth keeping", 1)
    assert status_of(later)[0] == "hit"


async def test_many_clients_share_one_fetch(upstream: RawUpstream, proxy: Proxy) -> None:
    """Clients that ask the same at once wait for one upstream call: one leads, the others are collapsed."""
    go_on = asyncio.Event()

    async def slowly(exchange: Exchange) -> None:
        await exchange.read()
        await go_on.wait()
        await exchange.send(reply(200, b"shared"))

    upstream.routes[b"/kept/shared"] = slowly
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(await Client.to(proxy.port)) for _ in range(20)]
        for client in clients:
            await client.send(asked(b"GET", b"/kept/shared"))
        await upstream.arrived(b"/kept/shared")
        await proxy.ask("GET", "/fence")  # what was sent before it has been taken up by now
        go_on.set()
        answers = [await client.answer() for client in clients]
    assert ({answer.body for answer in answers}, len(upstream.seen(b"/kept/shared"))) == ({b"shared"}, 1)
    lines = await proxy.lines(count=20, event="request", path="/kept/shared")
    assert sorted({line["outcome"] for line in lines}) == ["collapsed", "miss"]
    assert sum(line["outcome"] == "miss" for line in lines) == 1


async def test_an_early_answer_reaches_the_client_before_its_upload_ends(upstream: RawUpstream, proxy: Proxy) -> None:
    """An upstream that refuses an upload in the middle of it is heard at once."""

    async def refuse(exchange: Exchange) -> None:
        await exchange.send(reply(413, b"too much", b"Connection: close"))
        await exchange.gone()

    upstream.routes[b"/early"] = refuse
    async with asyncio.timeout(10), await Client.to(proxy.port) as client:
        await client.send(asked(b"POST", b"/early", b"Content-Length: 8000000") + b"only the beginning")
        answer = await client.answer(b"POST")
    assert (answer.status, answer.body) == (413, b"too much")


async def test_an_upload_goes_up_as_it_arrives(upstream: RawUpstream, proxy: Proxy) -> None:
    """The upstream reads the first chunk of an upload before the client sends the second."""
    first = asyncio.Event()

    async def listen(exchange: Exchange) -> None:
        async for piece in exchange.arriving():
            exchange.body += piece
            first.set()
        await exchange.send(reply(200, exchange.body))

    upstream.routes[b"/up"] = listen
    async with asyncio.timeout(10), await Client.to(proxy.port) as client:
        await client.send(asked(b"POST", b"/up", CHUNKS) + chunk(b"one,"))
        await first.wait()
        await client.send(chunk(b"two") + chunk(b""))
        assert (await client.answer(b"POST")).body == b"one,two"
