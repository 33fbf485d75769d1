"""The way to the proxy: what goes over the wire is what is wanted, to the byte."""

import asyncio
import socket

import pytest
from wire import RawUpstream, reply

from proxy import __version__
from proxy.core.types import Request
from proxy.warm.asking import Asking
from proxy.warm.sending import Failed, Unreachable

SAFE = b'{"rule": "ask", "would": {"outcome": "miss"}}'


@pytest.fixture
async def there():
    async with RawUpstream() as server:
        yield server


@pytest.fixture
async def asking(there):
    one = Asking(there.url, "/_frontrunner", "hunter2")
    yield one
    await one.close()


async def test_a_target_and_its_fields_go_as_they_are(there, asking):
    target = b"/%7e//../a?b=%2B+%zz&{}"
    there.answer = reply(200, b"body", b"Cache-Status: Frontrunner; hit", b"Set-Cookie: a=b", b"Location: /c")
    for _ in range(2):
        answer, problem = await asking(
            Request("GET", target, ((b"host", b"Site.test"), (b"x-a", b"1"), (b"x-a", b"2")))
        )
    assert (answer.status, answer.header(b"cache-status"), problem) == (200, b"Frontrunner; hit", {})
    for exchange in there.exchanges:
        assert (exchange.method, exchange.target) == (b"GET", target)
        agent = b"frontrunner-warm/" + __version__.encode()
        assert [(name.lower(), value) for name, value in exchange.fields if name.lower() != b"connection"] == [
            (b"host", b"Site.test"), (b"x-a", b"1"), (b"x-a", b"2"), (b"user-agent", agent), (b"accept", b"*/*"),
        ]  # fmt: skip


async def test_redirects_are_answers(there, asking):
    there.answer = reply(302, b"", b"Location: /elsewhere")
    answer, _ = await asking(Request("GET", b"/", ((b"host", b"a"),)))
    assert (answer.status, len(there.exchanges)) == (302, 1)


async def test_a_body_goes_as_it_is(there, asking):
    bodies = []

    async def keep(exchange):
        bodies.append(await exchange.read())
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    there.answer = keep
    await asking(Request("POST", b"/", ((b"host", b"a"), (b"content-type", b"text/a")), b"\xff{}"))
    await asking(Request("POST", b"/", ((b"host", b"a"),)))
    assert bodies == [b"\xff{}", b""]


async def test_an_answer_is_read_to_its_end_and_not_held(there, asking):
    async def long(exchange):
        await exchange.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/problem+json\r\nContent-Length: 4000000\r\n\r\n"
        )
        await exchange.send(b"x" * 4_000_000)
        there.sent_all = True

    there.answer = long
    answer, problem = await asking(Request("GET", b"/", ((b"host", b"a"),)))
    assert (answer.status, problem, there.sent_all) == (200, {}, True)


async def test_a_problem_of_ours_is_read(there, asking):
    there.answer = reply(502, b'{"reason": "upstream_refused"}', b"Content-Type: application/problem+json")
    _, problem = await asking(Request("GET", b"/", ((b"host", b"a"),)))
    assert problem == {"reason": "upstream_refused"}


async def test_what_is_cut_has_failed(there, asking):
    async def cut(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        exchange.writer.close()

    there.answer = cut
    with pytest.raises(Failed):
        await asking(Request("GET", b"/", ((b"host", b"a"),)))


@pytest.mark.parametrize("url", ["", "proxy", "ftp://a", "unix:/run/a", "http://", "http://a:x", "http://["])
def test_what_is_no_url_is_told(url):
    with pytest.raises(ValueError):
        Asking(url, "/_frontrunner", "")


async def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asking = Asking(f"http://127.0.0.1:{port}", "/_frontrunner", "")
    with pytest.raises(Unreachable):
        await asking.check()
    with pytest.raises(Unreachable):
        await asking(Request("GET", b"/", ((b"host", b"a"),)))
    await asking.close()


@pytest.mark.parametrize(
    ("path", "asked"), [("", b"/_frontrunner/livez"), ("/", b"/_frontrunner/livez"), ("/ops/", b"/ops/livez")]
)
async def test_it_is_made_sure_that_it_is_a_proxy_of_ours(there, path, asked):
    asking = Asking(there.url + path, "/_frontrunner", "hunter2")
    there.answer = reply(200, b"ok\n")
    await asking.check()
    assert there.exchanges[0].target == asked
    assert b"hunter2" not in there.exchanges[0].head_bytes, "it is for nobody else"
    for other in (reply(404, b"ok\n"), reply(200, b"<html>"), reply(302, b"")):
        there.answer = other
        with pytest.raises(Unreachable, match="no Frontrunner"):
            await asking.check()
    await asking.close()


EXPLAINED = {
    "a rule that says safe": (200, SAFE, None),
    "a rule that does not": (200, b'{"rule": "a", "passthrough": "method"}', "method"),
    "no rule": (200, b'{"rule": null, "passthrough": "no_rule"}', "no_rule"),
    "refused": (200, b'{"rule": "a", "refused": "only_if_cached"}', "only_if_cached"),
    "the bypass is on": (200, b'{"rule": "a", "would": {"outcome": "passthrough", "reason": "bypass"}}', "bypass"),
    "no token": (401, b'{"reason": "token"}', "whether a rule says safe is not told without the token"),
    "a description that it cannot read": (400, b'{"detail": "too long"}', "too long"),
    "something else": (200, b"[1]", "what would become of it is not told: 200"),
    "a page": (404, b"<html>", "what would become of it is not told: 404"),
}


@pytest.mark.parametrize(("status", "body", "reason"), EXPLAINED.values(), ids=EXPLAINED)
async def test_whether_a_post_may_be_asked_again_is_the_proxys_to_say(there, asking, status, body, reason):
    there.answer = reply(status, body)
    asked = Request("POST", b"/ask?a", ((b"host", b"Site.test"), (b"x-a", b"1")), b"{}")
    assert await asking.refusing(asked) == reason
    (exchange,) = there.exchanges
    assert (exchange.method, exchange.target) == (b"POST", b"/_frontrunner/explain")
    assert exchange.values(b"authorization") == [b"Bearer hunter2"]


async def test_two_at_once_have_a_connection_each(there, asking):
    go = asyncio.Event()

    async def wait(exchange):
        await go.wait()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    there.answer = wait
    both = asyncio.gather(*[asking(Request("GET", b"/", ((b"host", b"a"),))) for _ in range(2)])
    await there.arrived(b"/", 2)
    go.set()
    assert [answer.status for answer, _ in await both] == [200, 200]
