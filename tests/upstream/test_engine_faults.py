"""What engines make of an upstream that refuses, resets, lies, talks too much or says nothing."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx2
import pytest
from engine_peers import ON_THE_WIRE, Peer, engine_for, peer_for
from fakes import Body, until
from wire import Exchange, chunk, reply

from proxy.core.types import Request, Response
from proxy.errors import (
    ClientGone,
    UpstreamCut,
    UpstreamError,
    UpstreamInvalid,
    UpstreamRefused,
    UpstreamReset,
    UpstreamTimeout,
)
from proxy.upstream import Engine
from proxy.upstream.address import Address
from proxy.upstream.httpx import Httpx

HOST = (b"host", b"site.test")
GET = Request("GET", b"/", (HOST,))
POST = Request("POST", b"/", (HOST, (b"content-length", b"2")), b"hi")


@pytest.fixture(params=ON_THE_WIRE)
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    """Return each engine that talks over the network, with the server by hand behind it."""
    async for one in peer_for(request.param):
        yield one


async def whole(response: Response) -> bytes:
    assert not isinstance(response.body, bytes)
    return b"".join([piece async for piece in response.body])


async def take(engine: Engine, request: Request = GET) -> tuple[int, bytes]:
    async with asyncio.timeout(10):
        response = await engine.send(request)
        return response.status, await whole(response)


async def fails(engine: Engine, kind: type[Exception], request: Request = GET) -> Exception:
    """Check that a call fails like this, before or in its body."""
    with pytest.raises(kind) as told:
        await take(engine, request)
    assert type(told.value) is kind
    return told.value


@pytest.mark.parametrize("name", ON_THE_WIRE)
async def test_nobody_listens(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    engine = engine_for(name, f"http://127.0.0.1:{port}")
    await fails(engine, UpstreamRefused)
    await engine.close()


@pytest.mark.parametrize("name", ON_THE_WIRE)
async def test_no_connection_in_time(name: str) -> None:
    """A listener whose queue is full lets nobody in and says nothing."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        engine = engine_for(name, f"http://127.0.0.1:{full.getsockname()[1]}", connect_timeout=0.2)
        await fails(engine, UpstreamTimeout)
        await engine.close()


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
async def test_an_end_before_the_head_is_a_reset_and_not_retried(how: str, request_: Request, peer: Peer) -> None:
    """Whether to ask again is not the engine's to decide."""

    async def end(exchange: Exchange) -> None:
        await exchange.read()
        exchange.close() if how == "close" else exchange.reset()

    peer.wire.answer = end
    await fails(peer.engine, UpstreamReset, request_)
    assert len(peer.wire.exchanges) == 1


GARBAGE = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "bytes": bytes(range(256)),
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a broken field": b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
    "a length of letters": b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n0123456789",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
    "an upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_is_invalid(name: str, peer: Peer) -> None:
    """What is not HTTP is told as such: it must not be taken for a connection that ended, and sent again."""

    async def babble(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.send(GARBAGE[name])
        exchange.close()

    peer.wire.answer = babble
    await fails(peer.engine, UpstreamInvalid)


CUT = {
    "short of its length": reply(200, b"half", b"Content-Length: 8", length=False),
    "without its last chunk": reply(200, b"half", chunked=True)[:-5],
    "inside a chunk": reply(200, b"", b"Transfer-Encoding: chunked", length=False) + b"8\r\nhalf",
    "a broken chunk": reply(200, b"", b"Transfer-Encoding: chunked", length=False) + chunk(b"half"),
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("name", CUT)
async def test_a_body_that_ends_early_is_cut(name: str, how: str, peer: Peer) -> None:
    """What came before is delivered; the end is an error."""
    read = asyncio.Event()

    async def short(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.send(CUT[name])
        await read.wait()
        if name == "a broken chunk":
            await exchange.send(b"zz\r\n")
        exchange.close() if how == "close" else exchange.reset()

    peer.wire.answer = short
    async with asyncio.timeout(10):
        response = await peer.engine.send(GET)
        chunks, got = aiter(response.body), b""
        while len(got) < 4:
            got += await anext(chunks)
        read.set()
        with pytest.raises(UpstreamCut):
            await anext(chunks)
    assert got == b"half"


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
async def test_a_body_that_ends_with_its_connection_is_not_framed(version: bytes, peer: Peer) -> None:
    """Nobody can tell whether it was complete, so it is told that it cannot be."""
    peer.wire.answer = reply(200, b"to the end", length=False).replace(b"HTTP/1.1", version)
    async with asyncio.timeout(10):
        response = await peer.engine.send(GET)
        assert (response.framed, await whole(response)) == (False, b"to the end")


async def test_1xx_answers_are_skipped(peer: Peer) -> None:
    """They are the connection's own affair; the final answer counts."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    peer.wire.answer = b"HTTP/1.1 100 Continue\r\n\r\n" + hints + hints + reply(200, b"final")
    assert await take(peer.engine) == (200, b"final")


POISON = reply(200, b"poison")


async def test_surplus_in_the_same_packet_is_nobodys_answer(peer: Peer) -> None:
    """Bytes beyond the Content-Length never become the answer to the next request."""
    peer.wire.answer = [reply(200, b"one") + POISON, reply(200, b"two"), reply(200, b"three")]
    assert [await take(peer.engine) for _ in range(3)] == [(200, b"one"), (200, b"two"), (200, b"three")]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_a_body_where_none_may_be_is_nobodys_answer(method: str, status: int, peer: Peer) -> None:
    """An upstream that sends one nevertheless has broken HTTP; the next request gets its own answer."""
    peer.wire.answer = [reply(status, POISON), reply(200, b"two"), reply(200, b"three")]
    assert await take(peer.engine, Request(method, b"/", (HOST,))) == (status, b"")
    assert [await take(peer.engine) for _ in range(2)] == [(200, b"two"), (200, b"three")]


@pytest.mark.parametrize("noticed", [True, False], ids=["with time to notice", "at the very moment of reuse"])
async def test_surplus_that_comes_late_is_nobodys_answer(noticed: bool, peer: Peer) -> None:
    """Also when it arrives after the answer was read, while the connection waits for its next request."""
    said = iter([reply(200, b"one"), reply(200, b"two"), reply(200, b"three")])
    peer.wire.answer = lambda _: next(said)
    assert await take(peer.engine) == (200, b"one")
    first = peer.wire.exchanges[0]
    if not first.writer.is_closing():
        first.writer.write(POISON)  # on loopback it is in the engine's socket from here on
    for _ in range(20 if noticed else 0):
        await asyncio.sleep(0)
    assert [await take(peer.engine) for _ in range(2)] == [(200, b"two"), (200, b"three")]


async def test_an_answer_that_came_before_its_request_is_nobodys(peer: Peer) -> None:
    """An upstream that closes an idle connection does not fail the next request where a new connection does it."""
    peer.wire.answer = reply(200, b"ok")
    assert await take(peer.engine) == (200, b"ok")
    peer.wire.hang_up()
    await until(lambda: not peer.wire._open)
    for _ in range(20):
        await asyncio.sleep(0)
    assert await take(peer.engine) == (200, b"ok")


async def test_an_early_answer_with_a_reset_is_still_the_answer(peer: Peer) -> None:
    """An upstream that answers 413 and reads no further has answered."""

    async def refuse(exchange: Exchange) -> None:
        await exchange.send(reply(413, b"too much", b"Connection: close"))
        exchange.writer.write_eof()
        await exchange.gone()

    peer.wire.answer = refuse
    body = Body(*[b"x" * 2**16] * 64, ends=True)
    request = Request("POST", b"/", (HOST,), body)
    assert await take(peer.engine, request) == (413, b"too much")


async def test_a_client_that_leaves_while_its_answer_arrives_is_not_the_upstreams_fault(peer: Peer) -> None:
    """The answer began before the upload was over; then the client left."""
    if peer.name == "httpx":
        return  # it reads no answer before the upload has ended
    body = Body(b"first", ends=False)

    async def early(exchange: Exchange) -> None:
        await exchange.send(reply(200, b"", b"Transfer-Encoding: chunked", length=False) + chunk(b"early"))
        await exchange.gone()

    peer.wire.answer = early
    response = await peer.engine.send(Request("POST", b"/", (HOST,), body))
    chunks = aiter(response.body)
    assert await anext(chunks) == b"early"
    body.fail(ClientGone())
    with pytest.raises(ClientGone):
        async with asyncio.timeout(10):
            await anext(chunks)


async def test_a_fault_in_the_requests_body_ends_the_call(peer: Peer) -> None:
    """Whatever a body raises, nobody waits for an answer to half a request."""
    peer.wire.answer = reply()
    body = Body(b"first", ends=False).fail(RuntimeError("a fault of ours"))
    with pytest.raises((RuntimeError, UpstreamError)):
        async with asyncio.timeout(2):
            await peer.engine.send(Request("POST", b"/", (HOST,), body))


@pytest.mark.parametrize("field", [b"a\r\nX-Forged: 1", b"a\nb", b"a\0b"])
async def test_no_value_can_forge_a_field(field: bytes, peer: Peer) -> None:
    """A line break or NUL in a field never reaches the wire."""
    with pytest.raises(Exception, match=r"(?i)line break|illegal|header"):
        await take(peer.engine, Request("GET", b"/", (HOST, (b"x-a", field))))
    assert peer.wire.exchanges == []


async def test_an_unsafe_request_takes_only_a_fresh_or_just_used_connection() -> None:
    """The pool for unsafe methods forgets a connection before any server closes it; safe ones may wait longer."""
    async for peer in peer_for("aiohttp"):
        peer.wire.answer = reply()
        for request in (GET, GET, POST, POST, GET):
            await take(peer.engine, request)
        await whole(await peer.engine.send(GET, fresh=True))
        assert [exchange.connection for exchange in peer.wire.exchanges] == [0, 0, 1, 1, 0, 2]
        pools = peer.engine._connectors.values()  # type: ignore[attr-defined]
        assert {pool._keepalive_timeout for pool in pools if not pool._force_close} == {1.0, 15.0}


async def test_a_transport_of_the_users_own() -> None:
    """Whatever speaks httpx's transport protocol can be the upstream; each of its errors is one of ours."""
    said: list[httpx2.Response | Exception] = []

    class Own(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if isinstance(said[0], Exception):
                raise said[0]
            return said[0]

    engine = Httpx(Address.parse("http://app.invalid"), 1.0, Own())
    said[:] = [httpx2.Response(200, stream=httpx2.ByteStream(b"own"))]
    assert await take(engine) == (200, b"own")
    for error, ours in [
        (httpx2.ConnectTimeout(""), UpstreamTimeout), (httpx2.PoolTimeout(""), UpstreamTimeout),
        (httpx2.ReadTimeout(""), UpstreamTimeout), (httpx2.ConnectError(""), UpstreamRefused),
        (httpx2.ReadError(""), UpstreamReset), (httpx2.UnsupportedProtocol(""), UpstreamRefused),
        (httpx2.TransportError(""), UpstreamInvalid),
    ]:  # fmt: skip
        said[:] = [error]
        await fails(engine, ours)


async def test_a_unix_socket(tmp_path: object) -> None:
    """An address may be a socket's path."""
    path = f"{tmp_path}/up"
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply(200, b"unix", b"Connection: close"))
        writer.close()

    async with await asyncio.start_unix_server(serve, path):
        for name in ON_THE_WIRE:
            engine = engine_for(name, f"unix:{path}")
            assert await take(engine, Request("GET", b"/p")) == (200, b"unix")
            await engine.close()
    assert all(head.startswith(b"GET /p HTTP/1.1\r\nhost: localhost\r\n") for head in seen), seen
