"""What every engine does: a request goes up as it is, an answer comes back as it is, both as they arrive."""

import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
from engine_peers import ENGINES, HOST, Peer, asked, peer_for, saying, take
from fakes import Body

from proxy.core.types import Headers, Response
from proxy.errors import Refusal


@pytest.fixture(params=ENGINES)
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    """Return each engine in turn."""
    async for one in peer_for(request.param):
        yield one


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
    fields = (
        (b"x-b", b"2"),
        (b"x-a", b"1"),
        (b"x-b", b"3"),
        (b"cookie", b"a=1"),
        (b"x-utf", b"caf\xc3\xa9"),
        (b"x-empty", b""),
    )
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
    fields = (
        (b"X-B", b"2"),
        (b"Set-Cookie", b"a=1"),
        (b"X-B", b"3"),
        (b"Set-Cookie", b"b=2"),
        (b"X-Utf", b"\xc3\xa9\xff"),
    )
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


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("HEAD", 404), ("GET", 204), ("GET", 304), ("HEAD", 304)]
)
async def test_an_answer_without_a_body(method: str, status: int, peer: Peer) -> None:
    """Its Content-Length tells of another answer; the connection goes on serving."""
    fields = () if status == 204 else ((b"content-length", b"1000"), (b"etag", b'"e"'))
    peer.story = saying(status, *fields, body=())
    response, body = await take(peer, asked(method=method))
    assert (response.status, told(response), body, response.framed) == (status, fields, b"", True)
    peer.story = saying()
    assert (await take(peer, asked()))[1] == b"ok"


async def test_no_cookie_is_kept(peer: Peer) -> None:
    """What one client was told to keep does not go up with another's request."""
    peer.story = saying(200, (b"set-cookie", b"session=secret; Path=/"))
    await take(peer, asked(b"/login"))
    await take(peer, asked(b"/"))
    assert [call.fields for call in peer.calls] == [(HOST,), (HOST,)]
