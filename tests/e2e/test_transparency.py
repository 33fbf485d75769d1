"""The differential test: what went directly and what went through us differ only in what CONTRACT.md names."""

import pytest
from differences import Message, differences
from running import Proxy
from transparency_table import Case, cases
from wire import Answer, Client, RawUpstream, asked, raw_exchange, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")
CASES = cases()
SENTINEL = b"/sentinel"


async def exchange(upstream: RawUpstream, port: int, case: Case) -> tuple[Message, Message, Answer]:
    """Run one case over a new connection: the request as the upstream saw it, the response as the client saw it."""
    upstream.answer = case.response
    before = len(upstream.exchanges)
    answer = await raw_exchange("127.0.0.1", port, case.request)
    seen = upstream.exchanges[before:]
    assert len(seen) == 1, (
        f"the upstream saw {len(seen)} requests; the client got {answer.status} {answer.body[:300]!r}"
    )
    method = case.request.partition(b" ")[0]
    return Message.asked(seen[0]), Message.answered(method, answer), answer


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_the_upstream_and_the_client_see_what_they_would_see_without_us(
    case: Case, upstream: RawUpstream, proxy: Proxy
) -> None:
    """The request at the upstream and the response at the client are equal, directly and through us."""
    request, response, _ = await exchange(upstream, upstream.port, case)
    request_through, response_through, _ = await exchange(upstream, proxy.port, case)
    assert differences(request, request_through) == []
    assert differences(response, response_through) == []


@pytest.mark.parametrize("case", CASES[::4], ids=[case.name for case in CASES[::4]])
async def test_a_connection_is_in_step_after_each_exchange(case: Case, upstream: RawUpstream, proxy: Proxy) -> None:
    """After any answer that leaves the connection open, the next request on it gets its own answer."""
    upstream.routes[SENTINEL] = reply(200, b"in step")
    upstream.answer = case.response
    async with await Client.to(proxy.port) as client:
        first = await client.ask(case.request)
        if first.open:
            second = await client.ask(asked(b"GET", SENTINEL))
            assert (second.status, second.body) == (200, b"in step")
        else:
            assert await client.rest(within=5) == (b"", False)


async def test_a_cached_default_changes_nothing_on_the_first_answer(upstream: RawUpstream, proxy: Proxy) -> None:
    """An answer with explicit freshness goes through as it came, and the upstream saw the request as it came."""
    fields = [b"Cache-Control: public, max-age=60", b'ETag: "1"', b"Set-Cookie: a=1", b"X-A: 1", b"X-A: 2"]
    case = Case("fresh", asked(b"GET", b"/fresh?b=2&a=1&", b"X-B: 1"), reply(200, b"fresh", *fields))
    request, response, _ = await exchange(upstream, upstream.port, case)
    request_through, response_through, _ = await exchange(upstream, proxy.port, case)
    assert (differences(request, request_through), differences(response, response_through)) == ([], [])


async def test_a_request_id_is_kept_and_echoed(upstream: RawUpstream, proxy: Proxy) -> None:
    """A valid X-Request-Id is the same at the upstream, in the answer and in the log; another one is replaced."""
    upstream.answer = reply()
    valid = "f0e1d2c3b4a5968778695a4b3c2d1e0f"
    answer = await proxy.ask("POST", "/id", b"X-Request-Id: " + valid.encode(), body=b"x")
    assert answer.request_id == valid
    assert (await proxy.line(valid))["path"] == "/id"
    other = await proxy.ask("POST", "/id", b"X-Request-Id: evil\xff", body=b"x")
    assert other.request_id != valid
    assert len(other.request_id) == 32
    assert upstream.seen(b"/id")[-1].values(b"x-request-id") == [other.request_id.encode()]


@pytest.mark.parametrize(
    "target", [b"http://abs.test/%7e//?x=1", b"http://abs.test", b"HTTP://abs.test:8080/", b"http://abs.test?x"]
)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_absolute_form_never_parts_from_its_host(
    method: bytes, target: bytes, upstream: RawUpstream, proxy: Proxy
) -> None:
    """An absolute target goes up as it came, or in origin form with its authority as Host (RFC 9112 §3.2.2)."""
    upstream.answer = reply()
    before = len(upstream.exchanges)
    answer = await raw_exchange(
        "127.0.0.1", proxy.port, asked(method, target, body=b"x" if method == b"POST" else None)
    )
    seen = upstream.exchanges[before:]
    authority, slash, rest = target[7:].partition(b"/") if b"/" in target[7:] else target[7:].partition(b"?")
    origin = b"/" + rest if slash == b"/" else b"/" + slash + rest
    assert (answer.status, len(seen)) == (200, 1)
    assert (seen[0].target, seen[0].values(b"host")) in [(target, [b"site.test"]), (origin, [authority])]


async def test_an_http_1_0_client_gets_no_chunks(upstream: RawUpstream, proxy: Proxy) -> None:
    """A client of HTTP/1.0 gets the body until the connection ends, never chunked."""
    upstream.answer = reply(200, b"in chunks", chunked=True)
    answer = await raw_exchange("127.0.0.1", proxy.port, b"GET /old HTTP/1.0\r\nHost: site.test\r\n\r\n")
    assert (answer.status, answer.body, answer.values(b"transfer-encoding")) == (200, b"in chunks", [])


async def test_pipelined_requests_are_answered_in_order(upstream: RawUpstream, proxy: Proxy) -> None:
    """Requests sent without waiting get their answers in the order of asking."""
    upstream.answer = lambda exchange: reply(200, exchange.target)
    targets = [b"/pipe/%d" % number for number in range(20)]
    async with await Client.to(proxy.port) as client:
        await client.send(b"".join(asked(b"GET", target) for target in targets))
        assert [(await client.answer()).body for _ in targets] == targets


async def test_one_log_line_each_and_nothing_secret_in_it(upstream: RawUpstream, proxy: Proxy) -> None:
    """A passed request has one line with the contract's fields; neither query nor field values are in the log."""
    upstream.answer = reply(201, b"made")
    answer = await proxy.ask(
        "POST", "/log?secret=hush1", b"Authorization: Bearer hush2", b"Cookie: c=hush3", body=b"hush4"
    )
    line = await proxy.line(answer)
    expected = {
        "method": "POST",
        "path": "/log",
        "status": 201,
        "outcome": "passthrough",
        "bytes_in": 5,
        "bytes_out": 4,
    }
    assert {name: line.get(name) for name in expected} == expected
    assert {"timestamp", "level", "version", "pid", "client_ip", "reason", "duration_s", "upstream_s"} <= line.keys()
    assert None not in line.values()
    assert "hush" not in str(proxy.log)
