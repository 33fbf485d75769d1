"""What engines make of an answer with bytes behind its end: the answer counts, the bytes are nobody's."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp.client_proto
import pytest
from aiohttp import http_parser
from engine_peers import Peer, asked, peer_for, whole
from fakes import Body
from wire import Exchange, chunk, reply

from proxy.errors import UpstreamCut, UpstreamError, UpstreamInvalid
from proxy.upstream.aiohttp import _READ_BYTES, _Link

# The first is written in C, where aiohttp's extension is built.
PARSERS = {"C": http_parser.HttpResponseParser, "Python": http_parser.HttpResponseParserPy}


@pytest.fixture(params=["aiohttp C", "aiohttp Python", "httpx"])
async def peer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Peer]:
    """Return each engine that talks over the network; aiohttp's with each of its parsers."""
    name, _, parser = request.param.partition(" ")
    if parser:
        monkeypatch.setattr(aiohttp.client_proto, "HttpResponseParser", PARSERS[parser])
    async for one in peer_for(name):
        yield one


CHUNKED = reply(200, b"", b"Transfer-Encoding: chunked", length=False)
ANSWERS = {
    "a length": ("GET", 200, reply(200, b"one"), b"one"),
    "a length of none": ("GET", 200, reply(200, b""), b""),
    "chunks": ("GET", 200, CHUNKED + chunk(b"o") + chunk(b"ne") + chunk(b""), b"one"),
    "chunks of empty lines": ("GET", 200, CHUNKED + chunk(b"\r\n\r\n") + chunk(b"\n\n") + chunk(b""), b"\r\n\r\n\n\n"),
    "chunks and a trailer": ("GET", 200, CHUNKED + chunk(b"one") + b"0\r\nX-Sum: 1\r\n\r\n", b"one"),
    "no chunks": ("GET", 200, CHUNKED + chunk(b""), b""),
    "HEAD": ("HEAD", 200, reply(200, b"", b"Content-Length: 5", length=False), b""),
    "HEAD of chunks": ("HEAD", 200, CHUNKED, b""),
    "204": ("GET", 204, reply(204, b"", length=False), b""),
    "204 with a length": ("GET", 204, reply(204, b"", b"Content-Length: 5", length=False), b""),
    "304": ("GET", 304, reply(304, b"", length=False), b""),
    "304 with a length": ("GET", 304, reply(304, b"", b"Content-Length: 5", length=False), b""),
    "304 with chunks": ("GET", 304, reply(304, b"", b"Transfer-Encoding: chunked", length=False), b""),
    "after 1xx": ("GET", 200, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply(200, b"one"), b"one"),
    "HTTP/1.0": ("GET", 200, reply(200, b"one", b"Connection: keep-alive").replace(b"1.1", b"1.0"), b"one"),
    "Connection: close": ("GET", 200, reply(200, b"one", b"Connection: close"), b"one"),
}  # fmt: skip
POISON = reply(200, b"poison")
SURPLUS = {
    "the rest of a body": b"12345",
    "a byte": b"x",
    "a line end": b"\r\n",
    "an empty line": b"\r\n\r\n",
    "lines": b"no\r\nanswer\r\n\r\n",
    "binary": bytes(range(256)),
    "an answer": POISON,
    "two answers": POISON * 2,
    "an answer behind a line end": b"\r\n" + POISON,
    "half an answer": POISON[:-3],
    "the start of an answer": POISON[:3],
    "a broken answer": b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    "a chunk": chunk(b"poison"),
    "the end of chunks": chunk(b""),
    "a huge answer": reply(200, b"p" * 3 * _READ_BYTES),
}


async def take(peer: Peer, method: str = "GET") -> tuple[int, bytes]:
    async with asyncio.timeout(10):
        response = await peer.engine.send(asked(method=method))
        return response.status, await whole(response)


@pytest.mark.parametrize("surplus", SURPLUS)
@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_answer_with_surplus_in_its_packet_counts_and_its_connection_serves_no_other(
    answer: str, surplus: str, peer: Peer
) -> None:
    """As a client sees it that talks to the upstream itself; none of the surplus becomes the next request's answer."""
    method, status, said, body = ANSWERS[answer]
    peer.wire.answer = [said + SURPLUS[surplus], reply(200, b"two"), reply(200, b"three")]
    assert await take(peer, method) == (status, body)
    assert [await take(peer) for _ in range(2)] == [(200, b"two"), (200, b"three")]
    assert peer.wire.exchanges[0].connection != peer.wire.exchanges[1].connection


@pytest.mark.parametrize("answer", [name for name in ANSWERS if name != "Connection: close"])
async def test_an_answer_without_surplus_leaves_its_connection_to_the_next(answer: str, peer: Peer) -> None:
    """Only httpx's connections never serve twice."""
    method, status, said, body = ANSWERS[answer]
    peer.wire.answer = said
    assert [await take(peer, method) for _ in range(3)] == [(status, body)] * 3
    connections = [exchange.connection for exchange in peer.wire.exchanges]
    assert connections == ([0, 1, 2] if peer.name == "httpx" else [0, 0, 0])


class Pipe(asyncio.Transport):
    """What an aiohttp connection needs of a transport."""

    paused = False

    def close(self) -> None:
        pass

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


@pytest.mark.parametrize("surplus", ["none", *SURPLUS])
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("parser", PARSERS)
async def test_wherever_packets_end_aiohttps_connection_knows_its_surplus(
    parser: str, answer: str, surplus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut in two at each byte, and in single bytes: the same answer, and a connection that ends if more came."""
    monkeypatch.setattr(aiohttp.client_proto, "HttpResponseParser", PARSERS[parser])
    method, status, said, body = ANSWERS[answer]
    stream = said + SURPLUS.get(surplus, b"")[:300]
    packets = [[stream[:at], stream[at:]] for at in range(1, len(stream))]
    for cut in [*packets, [stream], [bytes([byte]) for byte in stream]]:
        link = _Link(asyncio.get_running_loop())
        link.transport = Pipe()
        link.set_response_params(skip_payload=method == "HEAD", read_until_eof=True, auto_decompress=False)
        for packet in filter(None, cut):
            link.data_received(packet)
        message, reader = await link.read()
        while message.code < 200:
            message, reader = await link.read()
        assert (message.code, await reader.read(), reader.is_eof()) == (status, body, True), cut
        assert link.should_close == (surplus != "none" or answer == "Connection: close"), cut


@pytest.mark.parametrize("framing", ["a length", "chunks", "small chunks"])
async def test_surplus_behind_a_body_that_had_to_wait_for_its_reader_is_nobodys(framing: str, peer: Peer) -> None:
    """Reading pauses while a client is slow; what the parser has not seen by then is judged as ever."""
    body = b"0123456789abcdef" * 2**14
    size = {"a length": 0, "chunks": 2**15, "small chunks": 16}[framing]
    pieces = [body[at : at + size] for at in range(0, len(body), size)] if size else []
    said = CHUNKED + b"".join(map(chunk, [*pieces, b""])) if size else reply(200, body)
    for surplus in (b"HTT", POISON, b"\r\n", b"garbage\r\n"):
        peer.wire.answer = [said + surplus, reply(200, b"two")]
        peer.wire.exchanges.clear()
        async with asyncio.timeout(10):
            response = await peer.engine.send(asked())
            for _ in range(20):
                await asyncio.sleep(0.001)  # all that may wait in the engine waits there
            assert await whole(response) == body
        assert await take(peer) == (200, b"two")
        first, second = peer.wire.exchanges
        assert first.connection != second.connection


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("surplus", [b"", b"HTT", POISON, b"garbage\r\n"])
async def test_a_body_of_thousands_of_chunks_ends_after_its_reader_caught_up(
    surplus: bytes, parser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many chunks pause aiohttp's parser without a word to it when they have been read."""
    monkeypatch.setattr(aiohttp.client_proto, "HttpResponseParser", PARSERS[parser])
    link = _Link(asyncio.get_running_loop())
    pipe = link.transport = Pipe()
    link.set_response_params(read_until_eof=True, auto_decompress=False, read_bufsize=_READ_BYTES)
    link.data_received(CHUNKED)
    _, reader = await link.read()
    count = reader._high_water_chunks + 1
    link.data_received(chunk(b"x") * count)
    assert pipe.paused
    assert await reader.readany() == b"x" * count
    assert not pipe.paused
    link.data_received(chunk(b"y") + chunk(b"") + surplus)
    assert (await reader.readany(), reader.is_eof()) == (b"y", True)
    assert link.should_close == bool(surplus)


async def test_surplus_that_comes_while_the_body_is_read_is_nobodys(peer: Peer) -> None:
    """In a packet of its own, before the answer was taken to its end."""
    begun, surplus_out = asyncio.Event(), asyncio.Event()

    async def story(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.send(reply(200, b"one"))
        await begun.wait()
        await exchange.send(b"HTT")
        surplus_out.set()
        await exchange.gone()

    peer.wire.answer = story
    async with asyncio.timeout(10):
        response = await peer.engine.send(asked())
        begun.set()
        await surplus_out.wait()  # on loopback it is in the engine's socket from here on
        assert await whole(response) == b"one"
    peer.wire.answer = reply(200, b"two")
    assert await take(peer) == (200, b"two")
    assert peer.wire.exchanges[0].connection != peer.wire.exchanges[1].connection


async def test_surplus_behind_an_early_answer_does_not_spoil_it(peer: Peer) -> None:
    """The upload still goes when the upstream has answered, and too much."""
    if peer.name == "httpx":
        return  # it reads no answer before the upload has ended
    body = Body(b"first", ends=False)

    async def story(exchange: Exchange) -> None:
        await exchange.send(reply(413, b"too much") + b"garbage\r\n")
        await exchange.gone()

    peer.wire.answer = story
    async with asyncio.timeout(10):
        response = await peer.engine.send(asked(method="POST", body=body))
        assert (response.status, await whole(response)) == (413, b"too much")
    body.end()
    peer.wire.answer = reply(200, b"two")
    assert await take(peer) == (200, b"two")


OK = b"HTTP/1.1 200 OK\r\n"
MALFORMED: dict[str, tuple[bytes, tuple[type[UpstreamError], type[UpstreamError] | None]]] = {
    "no status": (b"HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nok", (UpstreamInvalid, UpstreamInvalid)),
    "garbage, then an answer": (b"SSH-2.0\r\n\r\n" + POISON, (UpstreamInvalid, UpstreamInvalid)),
    "1xx, then garbage": (b"HTTP/1.1 103 Hints\r\n\r\ngarbage\r\n\r\n" + POISON, (UpstreamInvalid, UpstreamInvalid)),
    "two lengths": (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk", (UpstreamInvalid, UpstreamInvalid)),
    "a list of lengths": (OK + b"Content-Length: 2, 3\r\n\r\nokk", (UpstreamInvalid, UpstreamInvalid)),
    "a negative length": (OK + b"Content-Length: -2\r\n\r\nok", (UpstreamInvalid, UpstreamInvalid)),
    "a length and chunks": (
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"ok") + chunk(b""),
        (UpstreamInvalid, None),  # h11 follows the chunks and forgets the length
    ),
    "a broken chunk": (CHUNKED + b"zz\r\n", (UpstreamInvalid, UpstreamCut)),
    "a second chunk broken": (CHUNKED + chunk(b"ok") + b"zz\r\n", (UpstreamInvalid, UpstreamCut)),
    "a chunk longer than it says": (CHUNKED + b"1\r\nok\r\n" + chunk(b""), (UpstreamInvalid, UpstreamCut)),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
async def test_an_answer_that_is_itself_malformed_stays_an_error(name: str, peer: Peer) -> None:
    """Only bytes behind a good answer's end are overlooked."""
    said, (with_aiohttp, with_httpx) = MALFORMED[name]
    peer.wire.answer = [said, reply(200, b"two")]
    kind = with_httpx if peer.name == "httpx" else with_aiohttp
    if kind is None:
        assert await take(peer) == (200, b"ok")
    else:
        with pytest.raises(kind) as told:
            await take(peer)
        assert type(told.value) is kind
    assert await take(peer) == (200, b"two")
    assert peer.wire.exchanges[0].connection != peer.wire.exchanges[1].connection
