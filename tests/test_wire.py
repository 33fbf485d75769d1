"""The tests' own ends: the upstream and the client by hand do what the tests against the proxy rely on."""

import asyncio

import pytest
from differences import Message, differences
from wire import Client, Exchange, RawUpstream, asked, chunk, raw_exchange, reply

OURS = [b"Via: 1.1 frontrunner-x", b"X-Forwarded-For: 127.0.0.1", b"X-Request-Id: " + b"0" * 32]


async def ask(upstream: RawUpstream, data: bytes, **options: float):
    return await raw_exchange("127.0.0.1", upstream.port, data, **options)


async def test_exact_bytes_are_recorded_and_answered() -> None:
    """Head, content and connection of each request are kept; an answer's fields keep order, case and duplicates."""
    answers = [reply(200, b"one", b"X-a: 1", b"x-A:  2 "), reply(404, b"two", chunked=True)]
    async with RawUpstream(answers) as upstream, await Client.to(upstream.port) as client:
        first = await client.ask(asked(b"POST", b"/%7e?\xff", body=b"abc"))
        second = await client.ask(asked(b"GET", b"/", b"Transfer-Encoding: chunked") + chunk(b"xy") + chunk(b""))
    one, two = upstream.exchanges
    assert one.head_bytes == b"POST /%7e?\xff HTTP/1.1\r\nHost: site.test\r\nContent-Length: 3\r\n\r\n"
    assert (one.body, two.body, one.connection, two.connection, two.index) == (b"abc", b"xy", 0, 0, 1)
    assert (first.status, first.body, first.fields[:2]) == (200, b"one", ((b"X-a", b"1"), (b"x-A", b"2")))
    assert (second.status, second.body, second.cut) == (404, b"two", False)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nshort", (200, b"short", True, b"", False)),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", (200, b"to the end", False, b"", False)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokMORE", (200, b"ok", False, b"MORE", True)),
        (b"HTTP/1.1 103 E\r\n\r\n" + reply(204, b"", length=False), (204, b"", False, b"", True)),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nab",
            (200, b"", True, b"", False),
        ),
        (reply(200, b"x", b"Connection: close"), (200, b"x", False, b"", False)),
    ],
)
async def test_the_client_tells_how_an_answer_ended(said: bytes, expected: tuple[object, ...]) -> None:
    """A cut body, surplus bytes and the connection's state are told apart."""
    async with RawUpstream(said) as upstream:
        answer = await ask(upstream, asked(b"GET", b"/"), settle=0.05)
    assert (answer.status, answer.body, answer.cut, answer.surplus, answer.open) == expected


async def test_an_upstream_can_reset_hang_and_refuse() -> None:
    """Endings that are no HTTP: RST, silence until the client leaves, no listener, and listening again."""
    left = asyncio.Event()

    async def hang(exchange: Exchange) -> None:
        await exchange.gone()
        left.set()

    async def reset(exchange: Exchange) -> None:
        exchange.reset()

    async with RawUpstream(routes={b"/hang": hang, b"/reset": reset}) as upstream:
        assert (await ask(upstream, asked(b"GET", b"/reset"))).status == 0
        async with await Client.to(upstream.port) as client:
            await client.send(asked(b"GET", b"/hang"))
            await upstream.arrived(b"/hang")
        async with asyncio.timeout(5):
            await left.wait()
        upstream.refuse()
        with pytest.raises(ConnectionRefusedError):
            await Client.to(upstream.port)
        await upstream.listen()
        assert (await ask(upstream, asked(b"GET", b"/"))).status == 200


async def test_an_early_answer_is_read_while_sending() -> None:
    """A client that still sends reads an answer that came before its body was read."""

    async def early(exchange: Exchange) -> None:
        await exchange.send(reply(413, b"no", b"Connection: close"))
        await exchange.gone()

    async with RawUpstream(early) as upstream:
        answer = await ask(upstream, asked(b"POST", b"/", body=b"x" * 2**24))
    assert (answer.status, answer.body) == (413, b"no")


def request(*fields: bytes, target: bytes = b"/x", body: bytes = b"") -> Message:
    exchange = Exchange(asked(b"POST", target, *fields), 0, 0, None, None, complete=True)  # type: ignore[arg-type]
    exchange.body = body
    return Message.asked(exchange)


@pytest.mark.parametrize(
    ("through", "found"),
    [
        ([b"X-A: 1", b"X-A: 2"], 0),
        ([b"x-a: 1", b"X-A: 2", b"Connection: close", b"TE: trailers"], 0),
        ([b"X-A: 2", b"X-A: 1"], 1),
        ([b"X-A: 1, 2"], 1),
        ([b"X-A: 1"], 1),
        ([b"X-A: 1", b"X-A: 2", b"Accept: */*"], 1),
        ([b"X-A: 1", b"X-A: 2", b"User-Agent: me"], 1),
        ([b"X-A: 1", b"X-A: 2", b"Content-Length: 3"], 0),
    ],
)
def test_differences_forgives_only_what_the_contract_names(through: list[bytes], found: int) -> None:
    """Fields must keep values, order and number; hop-by-hop fields and framing are forgiven."""
    direct = request(b"X-A: 1", b"X-A: 2")
    assert len(differences(direct, request(*through, *OURS))) == found


def test_differences_sees_every_part() -> None:
    """Target, body and each field of ours in its form."""
    direct = request(b"Via: 1.1 a", b"X-Forwarded-For: 1.1.1.1")
    ours = [b"Via: 1.1 a, 1.1 frontrunner-x", b"X-Forwarded-For: 1.1.1.1, 127.0.0.1", OURS[2]]
    assert differences(direct, request(*ours)) == []
    assert len(differences(direct, request(*ours, target=b"/y", body=b"z"))) == 2
    assert len(differences(direct, request(*OURS))) == 2
    assert (
        len(differences(direct, request(b"Via: 1.1 a", b"X-Forwarded-For: 127.0.0.1, 1.1.1.1", b"X-Request-Id: 1")))
        == 3
    )
