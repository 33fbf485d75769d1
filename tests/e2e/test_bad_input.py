"""Whatever a client sends gets a clear answer or passes; the proxy goes on as if nothing had been.

Each refusal is a problem+json and one log line with the same reason; nothing of it reaches the upstream.
"""

import asyncio
from typing import NamedTuple

import pytest
from running import Proxy, check_next, check_problem
from wire import Client, RawUpstream, asked, chunk, raw_exchange, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONFIG = {"rules": [{"name": "kept", "match": {"path": "/kept/**"}, "ttl": "1h"}]}
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: site.test\r\n\r\n"
WEBSOCKET = [b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: eA==", b"Sec-WebSocket-Version: 13"]
TLS_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 32 + b"\r\n\r\n"


class Bad(NamedTuple):
    """A request that we refuse: its bytes, the status, and the reason."""

    name: str
    data: bytes
    status: int = 400
    reason: str = "bad_request"


def framed(*fields: bytes, body: bytes = SMUGGLED) -> bytes:
    """Build a POST whose framing is in doubt, followed by what might be taken for a request."""
    return asked(b"POST", b"/framed", *fields) + body


REFUSED = [
    Bad("unknown method", asked(b"FOO", b"/"), 501, "unknown_method"),
    Bad("method in lower case", asked(b"get", b"/"), 501, "unknown_method"),
    Bad("long method", asked(b"M" * 5000, b"/"), 501, "unknown_method"),
    Bad("method of RTSP", asked(b"DESCRIBE", b"/"), 501, "unknown_method"),
    Bad("connect", b"CONNECT site.test:443 HTTP/1.1\r\nHost: site.test:443\r\n\r\n", 501, "unknown_method"),
    Bad("websocket", asked(b"GET", b"/chat", *WEBSOCKET), 501, "upgrade"),
    Bad("websocket on a rule", asked(b"GET", b"/kept/chat", *WEBSOCKET), 501, "upgrade"),
    Bad("long target", asked(b"GET", b"/" + b"t" * 70_000), 414, "target_size"),
    Bad("long query", asked(b"GET", b"/?" + b"q" * 70_000), 414, "target_size"),
    Bad("endless first line", b"GET /" + b"t" * 2**20, 414, "target_size"),
    Bad("many fields", asked(b"GET", b"/", *[b"X-%d: %s" % (n, b"v" * 1000) for n in range(80)]), 431, "head_size"),
    Bad("one long field", asked(b"GET", b"/", b"X-Long: " + b"v" * 80_000), 431, "head_size"),
    Bad("endless field", b"GET / HTTP/1.1\r\nHost: site.test\r\nX-Long: " + b"v" * 2**20, 431, "head_size"),
    Bad("length and chunks", framed(b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED)),
    Bad("chunks and length", framed(b"Transfer-Encoding: chunked", b"Content-Length: 4", body=b"0\r\n\r\n" + SMUGGLED)),
    Bad("two lengths", framed(b"Content-Length: 0", b"Content-Length: 44")),
    Bad("a list of lengths", framed(b"Content-Length: 0, 44")),
    Bad("signed length", framed(b"Content-Length: +0")),
    Bad("negative length", framed(b"Content-Length: -1")),
    Bad("hexadecimal length", framed(b"Content-Length: 0x0")),
    Bad("length over 64 bits", framed(b"Content-Length: 99999999999999999999999")),
    Bad("unknown coding", framed(b"Transfer-Encoding: xchunked")),
    Bad("chunked is not last", framed(b"Transfer-Encoding: chunked, gzip")),
    Bad("odd white space in coding", framed(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n" + SMUGGLED)),
    Bad("space before colon", framed(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n" + SMUGGLED)),
    Bad("folded field", framed(b"X-A: 1\r\n Transfer-Encoding: chunked")),
    Bad("space before the first field", b"GET / HTTP/1.1\r\n Host: site.test\r\n\r\n"),
    Bad("nul in a value", asked(b"GET", b"/", b"X-A: a\0b")),
    Bad("cr in a value", asked(b"GET", b"/", b"X-A: a\rX-B: b")),
    Bad("lf alone ends a line", asked(b"GET", b"/", b"X-A: a\nX-B: b")),
    Bad("no name", asked(b"GET", b"/", b": a")),
    Bad("odd name", asked(b"GET", b"/", b"X(y): a")),
    Bad("line without colon", asked(b"GET", b"/", b"nonsense")),
    Bad("two hosts", asked(b"GET", b"/", b"Host: other.test")),
    Bad("space in target", asked(b"GET", b"/a b")),
    Bad("control byte in target", asked(b"GET", b"/\x01")),
    Bad("no target", b"GET  HTTP/1.1\r\nHost: site.test\r\n\r\n"),
    Bad("target without slash", asked(b"GET", b"nonsense")),
    Bad("wrong version", b"GET / HTTP/9.9\r\nHost: site.test\r\n\r\n"),
]


@pytest.mark.parametrize("bad", REFUSED, ids=[bad.name for bad in REFUSED])
async def test_what_cannot_be_taken_is_refused_clearly(bad: Bad, upstream: RawUpstream, proxy: Proxy) -> None:
    """Refused with its status and reason, never sent upstream, logged once as the client's error."""
    before = len(upstream.exchanges)
    answer = await raw_exchange("127.0.0.1", proxy.port, bad.data, settle=0.05)
    check_problem(answer, bad.status, bad.reason)
    assert (answer.surplus, len(upstream.exchanges) - before) == (b"", 0)
    await check_next(proxy, upstream)
    line = await proxy.line(answer)
    expected = {"status": bad.status, "outcome": "error", "reason": bad.reason, "error_source": "client"}
    assert {name: line.get(name) for name in expected} == expected


async def test_a_loop_is_ended(upstream: RawUpstream, proxy: Proxy) -> None:
    """A request that already came through this instance is answered with 508."""
    await proxy.ask("GET", "/once")
    via = upstream.seen(b"/once")[0].values(b"via")[-1]
    answer = await proxy.ask("GET", "/again", b"Via: 1.0 other, " + via)
    check_problem(answer, 508, "loop")
    assert upstream.seen(b"/again") == []
    line = await proxy.line(answer)
    assert (line["outcome"], line["reason"], line["status"]) == ("error", "loop", 508)
    other = await proxy.ask("GET", "/again", b"Via: 1.1 frontrunner-of-somebody-else")
    assert other.status == 200


async def test_a_broken_chunk_ends_the_request(upstream: RawUpstream, proxy: Proxy) -> None:
    """A chunk whose size is no number is refused; the upstream never sees a complete request."""
    data = asked(b"POST", b"/broken", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\nxyz\r\n" + SMUGGLED
    answer = await raw_exchange("127.0.0.1", proxy.port, data)
    check_problem(answer, 400, "bad_request")
    await check_next(proxy, upstream)
    line = await proxy.line(answer)
    assert (line["outcome"], line["error_source"]) == ("error", "client")
    assert not any(exchange.complete for exchange in upstream.seen(b"/broken"))
    assert upstream.seen(b"/smuggled") == []


async def test_a_body_short_of_its_length_is_never_taken_as_complete(upstream: RawUpstream, proxy: Proxy) -> None:
    """A client that leaves in its own body leaves nothing complete upstream, and one line."""
    async with await Client.to(proxy.port) as client:
        await client.send(asked(b"POST", b"/short", b"Content-Length: 100") + b"only this")
        await upstream.arrived(b"/short")
    line = (await proxy.lines(event="request", path="/short"))[0]
    assert (line["reason"], line["error_source"]) == ("client_gone", "client")
    await check_next(proxy, upstream)
    assert [exchange.complete for exchange in upstream.seen(b"/short")] == [False]


async def test_bytes_after_a_request_are_not_its_body(upstream: RawUpstream, proxy: Proxy) -> None:
    """A body longer than its Content-Length is cut there; the rest is judged as a request of its own."""
    async with await Client.to(proxy.port) as client:
        first = await client.ask(asked(b"POST", b"/long", b"Content-Length: 3") + b"abcdef\r\n\r\n")
        second = await client.answer()
    assert (first.status, upstream.seen(b"/long")[0].body) == (200, b"abc")
    check_problem(second, second.status, second.json()["reason"])
    assert second.status in {400, 501}
    await check_next(proxy, upstream)


async def test_trailers_never_become_request_fields(upstream: RawUpstream, proxy: Proxy) -> None:
    """Fields after a chunked body reach the upstream not at all, or as trailers, but never as fields."""
    rows = b"Authorization: Bearer stolen\r\nHost: evil.test\r\nX-Evil: 1\r\nX-Forwarded-For: 6.6.6.6\r\n"
    for target in (b"/trailed", b"/kept/trailed"):
        data = asked(b"POST", target, b"Transfer-Encoding: chunked") + chunk(b"abc") + b"0\r\n" + rows + b"\r\n"
        assert (await raw_exchange("127.0.0.1", proxy.port, data)).status == 200
        seen = upstream.seen(target)[0]
        assert (seen.body, seen.values(b"host"), seen.values(b"x-forwarded-for")) == (
            b"abc",
            [b"site.test"],
            [b"127.0.0.1"],
        )
        assert seen.values(b"authorization") == seen.values(b"x-evil") == []
    await check_next(proxy, upstream)


@pytest.mark.parametrize("trailer", [b"Content-Length: 44", b"Transfer-Encoding: chunked", b"Connection: close"])
async def test_framing_in_trailers_changes_nothing(trailer: bytes, upstream: RawUpstream, proxy: Proxy) -> None:
    """Framing after the body is refused or has no effect: what follows is never hidden in, or made of, the body."""
    data = asked(b"POST", b"/framing", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n" + trailer + b"\r\n\r\n"
    async with await Client.to(proxy.port) as client:
        answer = await client.ask(data)
        if answer.status == 200:
            assert upstream.seen(b"/framing")[-1].body == b"abc"
            assert upstream.seen(b"/framing")[-1].values(b"content-length") in ([], [b"3"])
        else:
            check_problem(answer, 400, "bad_request")
        if answer.open:
            assert (await client.ask(asked(b"GET", b"/after"), within=3)).body == b"ok"
    await check_next(proxy, upstream)


@pytest.mark.parametrize("data", [TLS_HELLO, b"GET /old\r\nHost: site.test\r\n\r\n", b"\r\n\r\n\r\n" + TLS_HELLO])
async def test_what_is_another_protocol_harms_nobody(data: bytes, upstream: RawUpstream, proxy: Proxy) -> None:
    """TLS and HTTP/0.9 get an answer, and the connection ends."""
    answer = await raw_exchange("127.0.0.1", proxy.port, data, settle=0.5)
    assert (answer.status in {200, 400, 501, 505}, answer.open) == (True, False)
    if answer.status != 200:
        check_problem(answer, answer.status, answer.json()["reason"])
    await check_next(proxy, upstream)


async def test_connection_cannot_take_away_what_we_need(upstream: RawUpstream, proxy: Proxy) -> None:
    """Host and what we add go up even if Connection names them."""
    trick = b"Connection: close, Host, Via, X-Forwarded-For, X-Request-Id, Content-Length"
    answer = await raw_exchange("127.0.0.1", proxy.port, asked(b"POST", b"/trick", trick, body=b"abc"))
    seen = upstream.seen(b"/trick")[0]
    assert (answer.status, seen.body, seen.values(b"host")) == (200, b"abc", [b"site.test"])
    assert seen.values(b"x-forwarded-for") == [b"127.0.0.1"]
    assert len(seen.values(b"via")) == len(seen.values(b"x-request-id")) == 1


@pytest.mark.parametrize("field", [b"Authorization", b"Cookie"])
async def test_connection_cannot_make_a_private_answer_public(
    field: bytes, upstream: RawUpstream, proxy: Proxy
) -> None:
    """An answer made with credentials that Connection names is never another client's answer."""
    target = b"/kept/private/" + field
    upstream.routes[target] = lambda exchange: reply(200, b"for " + b"".join(exchange.values(field)))
    await proxy.ask("GET", target.decode(), b"Connection: close, " + field, field + b": a-secret")
    assert b"a-secret" not in (await proxy.ask("GET", target.decode())).body


@pytest.mark.parametrize("protocol", [b"h2c", b"TLS/1.0", b"nonsense"])
async def test_an_upgrade_to_anything_else_is_not_taken(protocol: bytes, upstream: RawUpstream, proxy: Proxy) -> None:
    """The request itself passes, without Upgrade."""
    fields = [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + protocol, b"HTTP2-Settings: AAMAAABkAAQ"]
    answer = await proxy.ask("GET", "/upgrade", *fields)
    assert (answer.status, answer.body) == (200, b"ok")
    assert upstream.seen(b"/upgrade")[-1].values(b"upgrade") == []
    await check_next(proxy, upstream)


async def test_a_client_that_says_nothing_holds_up_nobody(upstream: RawUpstream, proxy: Proxy) -> None:
    """Connections without a request, with half a head, or ended at once leave others alone and are no requests."""
    silent = [await Client.to(proxy.port) for _ in range(50)]
    for client in silent[:25]:
        await client.send(b"GET / HT")
    silent[0].reset()
    await check_next(proxy, upstream)
    for client in silent:
        client.close()
    async with asyncio.timeout(5):
        await check_next(proxy, upstream)
