"""What every engine does: a request goes up as it is, an answer comes back as it is, both as they arrive."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
from engine_peers import ENGINES, Call, Peer, peer_for
from fakes import Body, until

from proxy.core.types import Headers, Request, Response
from proxy.errors import ClientGone, Refusal, UpstreamCut, UpstreamError

HOST = (b"host", b"site.test")


@pytest.fixture(params=ENGINES)
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    """Return each engine in turn."""
    async for one in peer_for(request.param):
        yield one


def asked(target: bytes = b"/", *fields: tuple[bytes, bytes], method: str = "GET", body: Any = b"") -> Request:
    return Request(method, target, (HOST, *fields), body)


def saying(status: int = 200, *fields: tuple[bytes, bytes], body: tuple[bytes, ...] = (b"ok",)) -> Any:
    """Return a story: take the request's body, then answer this."""

    async def story(call: Call) -> None:
        call.body = b"".join([piece async for piece in call.arriving()])  # type: ignore[attr-defined]
        await call.head(status, *fields)
        for piece in body:
            await call.send(piece)
        await call.end()

    return story


async def whole(response: Response) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    async with asyncio.timeout(10):
        return b"".join([piece async for piece in response.body])


async def take(peer: Peer, request: Request) -> tuple[Response, bytes]:
    """Send a request and read its whole answer."""
    async with asyncio.timeout(10):
        response = await peer.engine.send(request)
    return response, await whole(response)


def told(response: Response) -> Headers:
    """Return a response's fields but for its framing."""
    return tuple([(name, value) for name, value in response.headers if name != b"transfer-encoding"])


TARGETS = [
    b"/", b"/x?", b"/x?a=1&a=2", b"/%7e", b"/~", b"//double//", b"/../up/./x", b"/a|b", b"/a%2Fb%2fc", b"/%00%ff", b"/'\"{}",
    b"/x?q=%zz&&=", b"/x;a=1?b;c", b"/x?u=http://h/?y", b"/" + b"long" * 4000,
]  # fmt: skip


@pytest.mark.parametrize("target", [*TARGETS, b"/caf\xc3\xa9?\xff\x80"], ids=lambda target: ascii(target[:20]))
async def test_the_target_goes_up_byte_for_byte(target: bytes, peer: Peer) -> None:
    """Nothing is decoded, encoded, joined or resolved."""
    peer.story = saying()
    if peer.name == "httpx" and not target.isascii():
        with pytest.raises(Refusal) as refused:  # a known limit of httpx, named in the engine's docstring
            await peer.engine.send(asked(target))
        assert refused.value.status == 400
        return
    await take(peer, asked(target))
    if peer.name == "asgi":
        target = target.removesuffix(b"?")  # ASGI has no word for a `?` with nothing after it
    assert peer.calls[0].target == target


async def test_fields_go_up_in_order_with_duplicates(peer: Peer) -> None:
    """None is joined, moved, added or lost; a value's bytes are its own."""
    fields = ((b"x-b", b"2"), (b"x-a", b"1"), (b"x-b", b"3"), (b"cookie", b"a=1"), (b"x-utf", b"caf\xc3\xa9"), (b"x-empty", b""))
    peer.story = saying()
    await take(peer, asked(b"/", *fields))
    assert peer.calls[0].fields == (HOST, *fields)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "QUERY"])
async def test_any_method(method: str, peer: Peer) -> None:
    peer.story = saying(body=() if method == "HEAD" else (b"ok",))
    _, body = await take(peer, asked(method=method))
    assert (peer.calls[0].method, body) == (method, b"" if method == "HEAD" else b"ok")


@pytest.mark.parametrize(
    ("body", "fields", "framing"),
    [
        (b"", (), ()),
        (b"hello", ((b"content-length", b"5"),), ((b"content-length", b"5"),)),
        (b"", ((b"content-length", b"0"),), ((b"content-length", b"0"),)),
        ([b"he", b"llo"], ((b"content-length", b"5"),), ((b"content-length", b"5"),)),
        ([b"he", b"llo"], (), ((b"transfer-encoding", b"chunked"),)),
    ],
)
async def test_a_body_goes_up_whole_or_as_it_arrives(body: Any, fields: Headers, framing: Headers, peer: Peer) -> None:
    """Its length goes with it where it is known; framing is all that an engine adds."""
    peer.story = saying()
    await take(peer, asked(b"/", *fields, method="POST", body=Body(*body) if isinstance(body, list) else body))
    assert peer.calls[0].body == (b"".join(body) if isinstance(body, list) else body)
    if peer.name != "asgi":
        assert peer.calls[0].fields == (HOST, *framing)


@pytest.mark.parametrize("status", [200, 201, 206, 301, 302, 404, 418, 500, 503, 599, 600, 999])
async def test_any_status_comes_back(status: int, peer: Peer) -> None:
    """Also one that no list knows; a redirect is the client's to follow."""
    peer.story = saying(status, (b"Location", b"/elsewhere"))
    response, body = await take(peer, asked())
    assert (response.status, body, len(peer.calls)) == (status, b"ok", 1)
    assert told(response) == ((b"location", b"/elsewhere"),)


async def test_fields_come_back_in_order_with_duplicates(peer: Peer) -> None:
    """Names in lower case; values as they were sent."""
    fields = ((b"X-B", b"2"), (b"Set-Cookie", b"a=1"), (b"X-B", b"3"), (b"Set-Cookie", b"b=2"), (b"X-Utf", b"\xc3\xa9\xff"))
    peer.story = saying(200, *fields)
    response, _ = await take(peer, asked())
    assert told(response) == tuple([(name.lower(), value) for name, value in fields])
    assert response.framed


async def test_an_encoded_body_stays_encoded(peer: Peer) -> None:
    """The bytes of an answer are never decoded, also where its encoding is wrong."""
    for body in (gzip.compress(b"x" * 1000), b"not gzip at all"):
        peer.story = saying(200, (b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(body)), body=(body,))
        response, got = await take(peer, asked(b"/", (b"accept-encoding", b"gzip")))
        assert got == body
        assert response.header(b"content-encoding") == b"gzip"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("HEAD", 404), ("GET", 204), ("GET", 304), ("HEAD", 304)])
async def test_an_answer_without_a_body(method: str, status: int, peer: Peer) -> None:
    """Its Content-Length tells of another answer; the connection goes on serving."""
    fields = () if status == 204 else ((b"content-length", b"1000"), (b"etag", b'"e"'))
    peer.story = saying(status, *fields, body=())
    response, body = await take(peer, asked(method=method))
    assert (response.status, told(response), body, response.framed) == (status, fields, b"", True)
    peer.story = saying()
    assert (await take(peer, asked()))[1] == b"ok"


async def test_an_answer_arrives_piece_by_piece(peer: Peer) -> None:
    """Head and pieces are there before the upstream has more."""
    step = asyncio.Semaphore(0)

    async def story(call: Call) -> None:
        await call.head(200)
        for piece in (b"one", b"two"):
            await step.acquire()
            await call.send(piece)
        await step.acquire()
        await call.end()

    peer.story = story
    async with asyncio.timeout(10):
        response = await peer.engine.send(asked())
        chunks = aiter(response.body)
        for piece in (b"one", b"two"):
            step.release()
            assert await anext(chunks) == piece
        step.release()
        assert await anext(chunks, None) is None


async def test_a_body_goes_up_piece_by_piece(peer: Peer) -> None:
    """The upstream has each piece before the client has sent the next."""
    body, seen = Body(ends=False), []

    async def story(call: Call) -> None:
        async for piece in call.arriving():
            seen.append(piece)
        await call.head(200)
        await call.end()

    peer.story = story
    sending = asyncio.create_task(take(peer, asked(method="POST", body=body)))
    for count, piece in enumerate((b"one", b"two"), 1):
        body.feed(piece)
        await until(lambda count=count: len(seen) == count)
    body.end()
    await sending
    assert seen == [b"one", b"two"]


async def test_an_early_answer_comes_before_the_upload_ends(peer: Peer) -> None:
    """An upstream may answer while the client still sends; the rest goes up until the answer is over."""
    if peer.name == "httpx":
        return  # a known limit of httpx, named in the engine's docstring
    body = Body(b"first", ends=False)

    async def story(call: Call) -> None:
        pieces = call.arriving()
        assert await anext(pieces) == b"first"
        await call.head(200)
        await call.send(b"early")
        assert await anext(pieces) == b"second"
        await call.end()

    peer.story = story
    async with asyncio.timeout(10):
        response = await peer.engine.send(asked(method="POST", body=body))
        chunks = aiter(response.body)
        assert await anext(chunks) == b"early"
        body.feed(b"second")
        assert await anext(chunks, None) is None
    body.end()
    peer.story = saying()
    assert (await take(peer, asked()))[1] == b"ok", "a connection with half a request on it serves nobody else"


async def test_a_client_that_leaves_in_its_upload_ends_the_call(peer: Peer) -> None:
    """The call raises ClientGone and is over upstream; the upstream is not to blame."""
    gone = asyncio.Event()

    async def story(call: Call) -> None:
        try:
            async for _ in call.arriving():
                pass
        finally:
            gone.set()

    peer.story = story
    with pytest.raises(ClientGone):
        async with asyncio.timeout(10):
            await peer.engine.send(asked(method="POST", body=Body(b"first", ends=False).fail(ClientGone())))
    async with asyncio.timeout(10):
        await gone.wait()


async def test_no_cookie_is_kept(peer: Peer) -> None:
    """What one client was told to keep does not go up with another's request."""
    peer.story = saying(200, (b"set-cookie", b"session=secret; Path=/"))
    await take(peer, asked(b"/login"))
    await take(peer, asked(b"/"))
    assert [call.fields for call in peer.calls] == [(HOST,), (HOST,)]


@pytest.mark.parametrize("at", ["before the head", "in the body"])
async def test_a_call_that_is_let_go_ends_upstream(at: str, peer: Peer) -> None:
    """Cancelled before its head, or its body closed early."""
    arrived, left = asyncio.Event(), asyncio.Event()

    async def story(call: Call) -> None:
        async for _ in call.arriving():
            pass
        if at == "in the body":
            await call.head(200)
            await call.send(b"some")
        arrived.set()
        try:
            await call.gone()
        finally:
            left.set()

    peer.story = story
    async with asyncio.timeout(10):
        sending = asyncio.create_task(peer.engine.send(asked()))
        await arrived.wait()
        if at == "in the body":
            response = await sending
            assert await anext(aiter(response.body)) == b"some"
            await response.body.aclose()
            await response.body.aclose()
        else:
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        await left.wait()


async def test_a_thousand_cancelled_calls_cost_nothing(peer: Peer) -> None:
    """After them, fifty at once are answered as ever."""

    async def hang(call: Call) -> None:
        await call.gone()

    peer.story = hang
    for _ in range(20):
        calls = [asyncio.create_task(peer.engine.send(asked())) for _ in range(50)]
        arrived = len(peer.calls) + 50
        await until(lambda arrived=arrived: len(peer.calls) >= arrived, within=30)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    peer.story = saying()
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*[take(peer, asked()) for _ in range(50)])
    assert {body for _, body in answers} == {b"ok"}


async def test_a_body_that_ends_early_is_cut(peer: Peer) -> None:
    """Short of its Content-Length: what came is there, then UpstreamCut."""

    async def story(call: Call) -> None:
        async for _ in call.arriving():
            pass
        await call.head(200, (b"content-length", b"10"))
        await call.send(b"half")
        await call.end()
        if peer.name != "asgi":
            call.exchange.close()  # type: ignore[attr-defined]

    peer.story = story
    response = await peer.engine.send(asked())
    chunks, got = aiter(response.body), b""
    with pytest.raises(UpstreamCut):
        async with asyncio.timeout(10):
            while True:
                got += await anext(chunks)
    assert got == b"half"


async def test_closing_ends_what_runs_and_may_be_done_twice(peer: Peer) -> None:
    """A call under way at shutdown gets an error, or an end."""
    arrived = asyncio.Event()

    async def story(call: Call) -> None:
        arrived.set()
        await call.gone()

    peer.story = story
    sending = asyncio.create_task(peer.engine.send(asked()))
    await arrived.wait()
    await peer.engine.close()
    await peer.engine.close()
    sending.cancel()
    with pytest.raises((asyncio.CancelledError, UpstreamError)):
        await sending
