"""What broke in proxies before us, each once: leaking pools and cookies, poisoned connections, rewritten targets."""

import asyncio
import time

import pytest
from running import Proxy, status_of
from wire import Client, Exchange, RawUpstream, asked, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONFIG = {"rules": [{"name": "kept", "match": {"path": "/kept/**"}, "ttl": "1h"}]}


async def test_1000_cancelled_requests_do_not_shrink_the_pool(upstream: RawUpstream, proxy: Proxy) -> None:
    """After a thousand clients that left, fifty at once are answered as quickly as ever."""

    async def hang(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.gone()

    async def leave(worker: int) -> None:
        for number in range(20):
            target = b"/hang/%d/%d" % (worker, number)
            async with await Client.to(proxy.port) as client:
                await client.send(asked(b"POST" if number % 2 else b"PUT", target, body=b"x"))
                await upstream.arrived(target)

    upstream.answer = hang
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for worker in range(50):
            group.create_task(leave(worker))
    await proxy.lines(count=1000, within=20, event="request", reason="client_gone")
    upstream.answer = reply(200, b"quick")
    began = time.perf_counter()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        asking = [group.create_task(proxy.ask("GET", "/quick")) for _ in range(50)]
    upstream.answer = reply()
    assert {task.result().body for task in asking} == {b"quick"}
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("root", ["/plain", "/kept"])
async def test_a_cookie_reaches_nobody_else(root: str, upstream: RawUpstream, proxy: Proxy) -> None:
    """What one client was told to keep reaches no other client, and goes up with nobody's request."""
    upstream.routes[f"{root}/login".encode()] = lambda exchange: reply(
        200, b"for you", b"Set-Cookie: session=%d; Path=/" % len(upstream.exchanges), b"Cache-Control: max-age=600"
    )
    first, second = [await proxy.ask("GET", f"{root}/login") for _ in range(2)]
    assert first.values(b"set-cookie") != second.values(b"set-cookie")
    third = await proxy.ask("GET", f"{root}/elsewhere")
    assert third.values(b"set-cookie") == []
    for path in (f"{root}/login", f"{root}/elsewhere"):
        assert [exchange.values(b"cookie") for exchange in upstream.seen(path.encode())][-1] == []
    if root == "/kept":
        assert (await proxy.line(second))["reason"] == "set_cookie"


CUT = {
    "short of its length": reply(200, b"half", b"Content-Length: 8", length=False),
    "without its last chunk": reply(200, b"half", chunked=True)[:-5],
}


@pytest.mark.parametrize("name", CUT)
async def test_a_cut_body_is_not_stored(name: str, upstream: RawUpstream, proxy: Proxy) -> None:
    """The next client gets the whole answer, and only that one is kept."""

    async def short(exchange: Exchange) -> None:
        await exchange.read()
        await exchange.send(CUT[name])
        exchange.close()

    target = f"/kept/cut/{list(CUT).index(name)}"
    upstream.routes[target.encode()] = short
    first = await proxy.ask("GET", target)
    assert (first.body, first.cut) == (b"half", True)
    upstream.routes[target.encode()] = reply(200, b"half and half")
    second, third = [await proxy.ask("GET", target) for _ in range(2)]
    assert (second.body, third.body) == (b"half and half", b"half and half")
    assert (status_of(second)[0], status_of(third)[0]) == ("uri-miss", "hit")


@pytest.mark.parametrize("root", ["/plain", "/kept"])
async def test_surplus_bytes_never_answer_another_request(root: str, upstream: RawUpstream, proxy: Proxy) -> None:
    """Bytes beyond a Content-Length, even a whole response, are nobody's answer, neither at once nor from the store."""
    poison = reply(200, b"poison", b"Cache-Control: max-age=600")
    upstream.routes[f"{root}/poisoned".encode()] = reply(200, b"hello") + poison
    for number in range(20):
        target = f"{root}/clean/{number}"
        upstream.routes[target.encode()] = reply(200, target.encode())
        method = "GET" if number % 2 else "POST"
        assert (await proxy.ask(method, f"{root}/poisoned?{number}", body=None if number % 2 else b"")).body == b"hello"
        assert (await proxy.ask("GET", target)).body == target.encode()
        assert (await proxy.ask("GET", target)).body == target.encode()


@pytest.mark.parametrize("root", [b"/plain", b"/kept"])
@pytest.mark.parametrize(
    "tail", [b"/%7e", b"//x//", b"/a/../b", b"/a|b", b"/..", b"/%2F", b"/%7E?%7e=|", b"/x?", b"/\xe4"]
)
async def test_targets_go_up_as_they_came(root: bytes, tail: bytes, upstream: RawUpstream, proxy: Proxy) -> None:
    """Nothing in a target is decoded, encoded, merged or resolved, whether a rule matches or not."""
    upstream.answer = lambda exchange: reply(200, exchange.target)
    target = root + tail
    async with await Client.to(proxy.port) as client:
        assert (await client.ask(asked(b"GET", target))).body == target
    assert upstream.exchanges[-1].target == target
    upstream.answer = reply()


@pytest.mark.parametrize("root", ["/plain", "/kept"])
async def test_paths_that_only_decoding_makes_equal_share_nothing(
    root: str, upstream: RawUpstream, proxy: Proxy
) -> None:
    """By the default key, differently spelled targets have answers of their own."""
    upstream.answer = lambda exchange: reply(200, exchange.target, b"Cache-Control: max-age=600")
    tails = [
        "/s/a%2Fb",
        "/s/a/b",
        "/s/a//b",
        "/s/%61/b",
        "/s/./a/b",
        "/s/a/b?",
        "/s/a/b?x",
        "/s/a/b?x=",
        "/s/a%2fb",
        "/s/A/b",
    ]
    for _ in range(2):
        assert [(await proxy.ask("GET", root + tail)).body.decode() for tail in tails] == [
            root + tail for tail in tails
        ]
    upstream.answer = reply()


async def lose_the_race(exchange: Exchange) -> None:
    """Answer a connection's first request; end the connection when a second one comes, without a byte."""
    await exchange.read()
    if exchange.index:
        exchange.close()
    else:
        await exchange.send(reply(200, b"" if exchange.method == b"HEAD" else exchange.body))


@pytest.mark.parametrize("root", ["/plain", "/kept"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_safe_request_that_lost_the_idle_race_is_sent_again(
    method: str, root: str, upstream: RawUpstream, proxy: Proxy
) -> None:
    """The client never learns that the upstream closed an idle connection under its request."""
    upstream.answer = lose_the_race
    for number in range(6):
        target = f"{root}/race/{method}/{number}"
        answer = await proxy.ask(method, target)
        assert answer.status == 200
        assert len(upstream.seen(target.encode())) in {1, 2}
    upstream.answer = reply()


async def test_a_safe_request_is_sent_again_only_once(upstream: RawUpstream, proxy: Proxy) -> None:
    """An upstream that always ends the connection is asked twice at most."""

    async def end(exchange: Exchange) -> None:
        await exchange.read()
        exchange.close()

    upstream.routes[b"/ends"] = end
    for number in range(1, 4):
        await proxy.ask("GET", "/warm")  # leaves an idle connection to lose
        before = len(upstream.seen(b"/ends"))
        assert (await proxy.ask("GET", "/ends")).status == 502, number
        assert len(upstream.seen(b"/ends")) - before in {1, 2}


@pytest.mark.parametrize("root", ["/plain", "/kept"])
async def test_an_unsafe_request_is_never_sent_twice(root: str, upstream: RawUpstream, proxy: Proxy) -> None:
    """However often the upstream closes under it, a POST arrives at most once; lost ones are a 502."""
    upstream.answer = lose_the_race
    for number in range(12):
        await proxy.ask("GET", f"/warm/{number}")  # leaves an idle connection to lose
        target = f"{root}/unsafe/{number}"
        answer = await proxy.ask("POST", target, body=b"once")
        assert len(upstream.seen(target.encode())) <= 1
        assert (answer.status, answer.body) == (200, b"once") or answer.status == 502
    upstream.answer = reply()


async def test_an_immediate_repeat_is_a_hit(upstream: RawUpstream, proxy: Proxy) -> None:
    """Who asks again right after the last byte is answered from the store, fifty times of fifty."""
    upstream.answer = lambda exchange: reply(200, exchange.path * 100, chunked=exchange.path[-1:] in b"02468")
    hits = 0
    async with await Client.to(proxy.port) as one, await Client.to(proxy.port) as other:
        for number in range(50):
            data = asked(b"GET", b"/kept/again/%d" % number)
            first = await one.ask(data)
            second = await (one if number % 2 else other).ask(data)
            assert first.body == second.body
            hits += status_of(second)[0] == "hit"
    upstream.answer = reply()
    assert hits == 50
