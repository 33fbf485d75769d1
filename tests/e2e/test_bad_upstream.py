"""Whatever the upstream does, the client gets a clear answer, at once or cut as it was cut; nothing of it is kept."""

from typing import NamedTuple

import pytest
from running import Proxy, check_next, check_problem, status_of
from wire import Answer, Exchange, RawUpstream, Script, asked, chunk, raw_exchange, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONFIG = {
    "upstream": {"timeout": {"connect": "1s", "first_byte": "300ms", "idle": "300ms"}},
    "rules": [
        {"name": "kept", "match": {"path": "/kept/**"}, "ttl": "1h"},
        {"name": "posted", "match": {"method": "POST", "path": "/posted/**"}, "safe": True, "ttl": "1h"},
    ],
}
WAYS = [("GET", "/plain"), ("GET", "/kept"), ("POST", "/plain"), ("POST", "/posted")]
"""Unmatched and matched, safe and unsafe."""


class Fault(NamedTuple):
    """What an upstream does instead of answering, and what we say of it."""

    name: str
    script: Script
    reasons: frozenset[str]
    status: int = 502


async def reset(exchange: Exchange) -> None:
    """Reset the connection once the request is read."""
    await exchange.read()
    exchange.reset()


async def hang_up(exchange: Exchange) -> None:
    """End the connection once the request is read."""
    await exchange.read()
    exchange.close()


async def stay_silent(exchange: Exchange) -> None:
    """Say nothing until the other side leaves."""
    await exchange.read()
    await exchange.gone()


def then(data: bytes, end: str = "close") -> Script:
    """Send these bytes and end: close, reset, or stall until the other side leaves."""

    async def script(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.send(data)
        if end == "stall":
            await exchange.gone()
        exchange.reset() if end == "reset" else exchange.close()

    return script


INVALID = frozenset({"upstream_invalid"})
RESET = frozenset({"upstream_reset"})
EITHER = INVALID | RESET
LONG = reply(200, b"", b"Content-Length: 100", length=False)
NO_ANSWER = [
    Fault("reset before a byte", reset, RESET),
    Fault("closed before a byte", hang_up, RESET),
    Fault("closed in the head", then(b"HTTP/1.1 200 OK\r\nContent-Le"), EITHER),
    Fault("reset in the head", then(b"HTTP/1.1 200 OK\r\nContent-Le", "reset"), EITHER),
    Fault("garbage", then(b"what is this?\r\n\r\n"), INVALID),
    Fault("old html", then(b"<html>hello</html>"), EITHER),
    Fault("bytes", then(bytes(range(256)) * 4), INVALID),
    Fault("status is no number", then(b"HTTP/1.1 abc OK\r\n\r\n"), INVALID),
    Fault("length is no number", then(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc"), INVALID),
    Fault("negative length", then(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc"), INVALID),
    Fault("two lengths", then(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), INVALID),
    Fault("nul in a value", then(b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"), INVALID),
    Fault("space before colon", then(b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n"), INVALID),
    Fault("only 1xx", then(b"HTTP/1.1 103 Early Hints\r\n\r\n"), EITHER),
]
CUT = [
    Fault("reset in the body", then(LONG + b"some", "reset"), frozenset({"upstream_cut"}), 200),
    Fault("closed in the body", then(LONG + b"some"), frozenset({"upstream_cut"}), 200),
    Fault("no last chunk", then(reply(200, b"some", chunked=True)[:-5]), frozenset({"upstream_cut"}), 200),
    Fault(
        "closed in a chunk", then(reply(200, b"some", chunked=True)[:-5] + b"9\r\nx"), frozenset({"upstream_cut"}), 200
    ),
]


async def ask(proxy: Proxy, method: str, target: str) -> Answer:
    """Ask over a new connection, a POST with a small body."""
    return await proxy.ask(method, target, body=b"x" if method == "POST" else None)


async def check_line(proxy: Proxy, answer: Answer, reasons: frozenset[str]) -> None:
    """The one line of this request says that it was the upstream's error."""
    line = await proxy.line(answer)
    assert (line["outcome"], line["error_source"], line["status"]) == ("error", "upstream", answer.status)
    assert line["reason"] in reasons


@pytest.mark.parametrize(("method", "root"), WAYS)
async def test_a_refused_connection_is_a_502(method: str, root: str, upstream: RawUpstream, proxy: Proxy) -> None:
    """Nobody listens: 502 upstream_refused, also for a connection that was open before; back again, all is well."""
    await check_next(proxy, upstream)
    upstream.refuse()
    answer = await ask(proxy, method, f"{root}/refused")
    await upstream.listen()
    check_problem(answer, 502, answer.json()["reason"])
    await check_next(proxy, upstream)
    await check_line(proxy, answer, frozenset({"upstream_refused"}))


@pytest.mark.parametrize(("method", "root"), WAYS)
@pytest.mark.parametrize("fault", NO_ANSWER, ids=[fault.name for fault in NO_ANSWER])
async def test_no_answer_is_a_clear_502(
    method: str, root: str, fault: Fault, upstream: RawUpstream, proxy: Proxy
) -> None:
    """What is no HTTP response becomes a problem of ours; an unsafe request was sent once, a safe one at most twice."""
    target = f"{root}/{method}/{NO_ANSWER.index(fault)}"
    upstream.routes[target.encode()] = fault.script
    answer = await ask(proxy, method, target)
    check_problem(answer, fault.status, answer.json()["reason"])
    sent = len(upstream.seen(target.encode()))
    assert sent == 1 if (method, root) == ("POST", "/plain") else sent in {1, 2}
    await check_next(proxy, upstream)
    await check_line(proxy, answer, fault.reasons)
    upstream.routes[target.encode()] = reply(200, b"well again")
    assert (await ask(proxy, method, target)).body == b"well again"


@pytest.mark.parametrize(("method", "root"), WAYS)
@pytest.mark.parametrize("fault", CUT, ids=[fault.name for fault in CUT])
async def test_a_cut_body_is_cut_for_the_client_too(
    method: str, root: str, fault: Fault, upstream: RawUpstream, proxy: Proxy
) -> None:
    """The client can tell that the body is not whole, got what there was of it, and nothing is kept of it."""
    target = f"{root}/{method}/cut/{CUT.index(fault)}"
    upstream.routes[target.encode()] = fault.script
    answer = await ask(proxy, method, target)
    assert (answer.status, answer.cut) == (200, True)
    assert b"somex".startswith(answer.body)
    await check_next(proxy, upstream)
    await check_line(proxy, answer, fault.reasons)
    assert len(upstream.seen(target.encode())) == 1, "bytes had come: it is not sent again"
    upstream.routes[target.encode()] = reply(200, b"whole")
    assert (await ask(proxy, method, target)).body == b"whole"


@pytest.mark.parametrize(("method", "root"), WAYS)
async def test_a_broken_chunk_is_never_a_whole_answer(
    method: str, root: str, upstream: RawUpstream, proxy: Proxy
) -> None:
    """A chunk whose size is no number: a 502 if nothing was sent yet, else an answer that is cut."""
    target = f"{root}/{method}/broken"
    upstream.routes[target.encode()] = then(reply(200, b"some", chunked=True)[:-5] + b"xyz\r\n")
    answer = await ask(proxy, method, target)
    assert answer.status == 502 or (answer.status, answer.cut) == (200, True)
    await check_line(proxy, answer, INVALID | {"upstream_cut"})
    upstream.routes[target.encode()] = reply(200, b"whole")
    assert (await ask(proxy, method, target)).body == b"whole"


@pytest.mark.parametrize(("method", "root"), [("GET", "/kept"), ("POST", "/posted")])
async def test_a_silent_upstream_is_a_504(method: str, root: str, upstream: RawUpstream, proxy: Proxy) -> None:
    """A matched request that gets no first byte in time is answered with 504, and its call is over."""
    upstream.routes[f"{root}/silent".encode()] = stay_silent
    answer = await ask(proxy, method, f"{root}/silent")
    check_problem(answer, 504, "upstream_timeout")
    await check_next(proxy, upstream)
    await check_line(proxy, answer, frozenset({"upstream_timeout"}))
    assert len(upstream.seen(f"{root}/silent".encode())) == 1


async def test_a_body_that_stalls_is_cut(upstream: RawUpstream, proxy: Proxy) -> None:
    """A matched answer that stops in its body ends when the idle time is over."""
    upstream.routes[b"/kept/stalls"] = then(LONG + b"some", "stall")
    answer = await ask(proxy, "GET", "/kept/stalls")
    assert (answer.status, answer.body, answer.cut) == (200, b"some", True)
    await check_line(proxy, answer, frozenset({"upstream_timeout", "upstream_cut"}))
    await check_next(proxy, upstream)


async def test_an_unmatched_request_may_take_its_time(upstream: RawUpstream, proxy: Proxy) -> None:
    """The timeouts of matched requests do not end an unmatched one."""

    async def slowly(exchange: Exchange) -> None:
        await exchange.read()
        rest, still_open = await _silence(exchange, 0.6)
        assert (rest, still_open) == (b"", True)
        await exchange.send(reply(200, b"at last"))

    upstream.routes[b"/plain/slow"] = slowly
    assert (await ask(proxy, "POST", "/plain/slow")).body == b"at last"


async def _silence(exchange: Exchange, seconds: float) -> tuple[bytes, bool]:
    """Wait that long for the other side to leave; tell whether it is still there."""
    try:
        await exchange.gone(seconds)
    except TimeoutError:
        return b"", True
    return b"", False


@pytest.mark.parametrize(("method", "root"), WAYS)
async def test_bytes_over_the_length_are_dropped(method: str, root: str, upstream: RawUpstream, proxy: Proxy) -> None:
    """A body longer than its Content-Length ends there; what follows is nobody's answer."""
    upstream.routes[f"{root}/surplus".encode()] = (
        reply(200, b"", b"Content-Length: 2", length=False) + b"ok" + reply(200, b"x")
    )
    answer = await ask(proxy, method, f"{root}/surplus")
    assert (answer.status, answer.body, answer.cut) == (200, b"ok", False)
    for _ in range(3):
        await check_next(proxy, upstream)


@pytest.mark.parametrize("size", [40, 70, 200])
async def test_a_large_head_passes_whole_or_is_a_502(size: int, upstream: RawUpstream, proxy: Proxy) -> None:
    """So many KiB of fields reach the client all or not at all."""
    fields = [b"X-%d: %s" % (number, b"v" * 1000) for number in range(size)]
    upstream.routes[b"/plain/fields"] = reply(200, b"ok", *fields)
    answer = await ask(proxy, "POST", "/plain/fields")
    if answer.status == 502:
        check_problem(answer, 502, answer.json()["reason"])
        await check_line(proxy, answer, INVALID)
    else:
        assert answer.status == 200
        assert [name.lower() for name, _ in answer.fields if name[2:].isdigit()] == [
            b"x-%d" % number for number in range(size)
        ]
    await check_next(proxy, upstream)


async def test_length_and_chunks_from_upstream_never_confuse(upstream: RawUpstream, proxy: Proxy) -> None:
    """An answer with both framings is a 502, or is read by its chunks; the next answer is the right one."""
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"right") + chunk(b"")
    upstream.routes[b"/kept/both"] = said
    answer = await ask(proxy, "GET", "/kept/both")
    assert answer.status == 502 or answer.body == b"right"
    for _ in range(3):
        await check_next(proxy, upstream)


async def test_an_unasked_101_does_not_open_a_tunnel(upstream: RawUpstream, proxy: Proxy) -> None:
    """A switch of protocols that nobody asked for is no answer."""
    upstream.routes[b"/kept/switch"] = then(
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "stall"
    )
    answer = await ask(proxy, "GET", "/kept/switch")
    assert answer.status in {502, 504}
    check_problem(answer, answer.status, answer.json()["reason"])
    await check_next(proxy, upstream)


async def test_errors_are_not_kept_under_a_ttl(upstream: RawUpstream, proxy: Proxy) -> None:
    """Our own 502 and the upstream's 500 are asked for again the next time."""
    upstream.routes[b"/kept/errors"] = [reply(500, b"no"), reply(503, b"no"), reply(200, b"yes")]
    statuses = [(await ask(proxy, "GET", "/kept/errors")).status for _ in range(3)]
    again = await raw_exchange("127.0.0.1", proxy.port, asked(b"GET", b"/kept/errors"))
    assert (statuses, again.body, status_of(again)[0]) == ([500, 503, 200], b"yes", "hit")
