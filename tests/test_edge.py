"""ASGI ⇄ Request/Response: what a request becomes, and how an answer, a failure or a leaving client come back."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fakes import VIA, Body, FakeClock, Held, answer, until
from world import Stand, rule

from proxy.asgi import EXTENSION, AnswerCut
from proxy.core.log_line import LogLine
from proxy.core.types import Request, Response
from proxy.edge import Edge, origin_form
from proxy.errors import Refusal, UpstreamCut

FORMS = [
    (b"/x?y", b"/x?y", None),
    (b"*", b"*", None),
    (b"//two//", b"//two//", None),
    (b"http://up.test/x?y", b"/x?y", b"up.test"),
    (b"HTTPS://up.test:8443/x", b"/x", b"up.test:8443"),
    (b"http://up.test", b"/", b"up.test"),
    (b"http://up.test?q=/a", b"/?q=/a", b"up.test"),
    (b"http://up.test/a?u=http://other/", b"/a?u=http://other/", b"up.test"),
    (b"/http://up.test/", b"/http://up.test/", None),
    (b"ftp://up.test/x", b"ftp://up.test/x", None),
    (b"up.test:443", b"up.test:443", None),
]


@pytest.mark.parametrize(("target", "origin", "authority"), FORMS, ids=ascii)
def test_targets_as_an_origin_wants_them(target: bytes, origin: bytes, authority: bytes | None) -> None:
    assert origin_form(target) == (origin, authority)


def own(**facts: Any) -> dict[str, Any]:
    return {"extensions": {EXTENSION: {"target": b"/x", "refused": None, **facts}}}


TARGETS = [
    (own(target=b"/caf\xc3\xa9?"), b"/caf\xc3\xa9?"),
    ({"raw_path": b"/%7e//a", "path": "/~//a", "query_string": b"q=%2f"}, b"/%7e//a?q=%2f"),
    ({"raw_path": None, "path": "/plain", "query_string": b""}, b"/plain"),
    ({"raw_path": None, "path": "/a b/caf\xe9?#%", "query_string": b"q=1"}, b"/a%20b/caf%C3%A9%3F%23%25?q=1"),
    ({"raw_path": None, "path": "/a\r\nX-Forged: 1"}, b"/a%0D%0AX-Forged:%201"),
]


@pytest.mark.parametrize(("facts", "target"), TARGETS, ids=lambda one: ascii(one)[:40])
async def test_the_target_is_our_servers_word_or_put_together(facts: dict[str, Any], target: bytes) -> None:
    """Without raw_path it is encoded again: a decoded path is no target."""
    stand = Stand()
    assert await stand.serve(**facts) == 200
    assert stand.request.target == target


async def test_an_absolute_target_names_the_host() -> None:
    """What the Host field says is then ignored (RFC 9112 §3.2.2)."""
    stand = Stand()
    await stand.serve((b"x-a", b"1"), **own(target=b"http://other.test/x"))
    assert (stand.request.target, stand.request.header(b"host")) == (b"/x", b"other.test")


async def test_fields_for_this_hop_only_end_here() -> None:
    stand = Stand()
    dropped = (
        (b"connection", b"keep-alive, x-hop"),
        (b"keep-alive", b"1"),
        (b"x-hop", b"1"),
        (b"te", b"trailers"),
        (b"upgrade", b"h2c"),
    )
    await stand.serve((b"x-a", b"1"), *dropped)
    assert [name for name, _ in stand.request.headers] == [b"host", b"x-a", b"via", b"x-forwarded-for", b"x-request-id"]


REFUSED = [
    ("two hosts", [(b"host", b"other")], {}, 400, "bad_request"),
    ("a websocket", [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")], {}, 501, "upgrade"),
    ("what our server refused", [], own(refused=Refusal(431, "head_size", "much")), 431, "head_size"),
]


@pytest.mark.parametrize(
    ("fields", "facts", "status", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_what_no_upstream_should_have_to_read(fields: list, facts: dict, status: int, reason: str) -> None:
    stand = Stand()
    assert await stand.serve(*fields, **facts) == status
    assert stand.world.engine.requests == []
    assert stand.world.outcomes == [f"error:{reason}"]


BODIES = [
    ([], [], b""),
    ([(b"content-length", b"0")], [b""], b""),
    ([(b"content-length", b"5")], [b"he", b"", b"llo"], b"hello"),
    ([(b"transfer-encoding", b"chunked")], [b"he", b"llo", b""], b"hello"),
    ([(b"transfer-encoding", b"chunked")], [b""], b""),
]


@pytest.mark.parametrize(("fields", "chunks", "body"), BODIES)
async def test_a_body_goes_up_as_it_arrives(fields: list, chunks: list[bytes], body: bytes) -> None:
    stand = Stand()
    stand.feed(*chunks)
    assert await stand.serve(*fields, method="POST") == 200
    assert stand.world.engine.received == [body]
    assert stand.world.last.bytes_in == len(body)


@pytest.mark.parametrize(
    ("fields", "chunks"),
    [([], []), ([], [b""]), ([(b"content-length", b"0")], [b""]), ([(b"content-length", b"2")], [b"hi"])],
    ids=["no body", "no body, told so", "Content-Length: 0", "a body"],
)
async def test_a_client_that_leaves_ends_its_call(fields: list, chunks: list[bytes]) -> None:
    """Whatever body it sent; its task ends as if nothing had been, and is not left cancelled."""
    held = Held(answer())
    stand = Stand(held)
    stand.feed(*chunks)
    cancelling: list[int] = []

    async def serve() -> None:
        await stand.serve(*fields, method="POST")
        task = asyncio.current_task()
        assert task is not None
        cancelling.append(task.cancelling())

    serving = asyncio.create_task(serve())
    await held.asked.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    stand.leave()
    await until(serving.done, within=5)
    await serving
    assert (held.cancelled, cancelling, stand.sent) == (True, [0], [])
    assert stand.world.outcomes == ["error:client_gone"]


async def test_a_client_that_leaves_in_its_upload() -> None:
    stand = Stand()
    stand.feed(b"half", ends=False)
    stand.leave()
    await stand.serve((b"content-length", b"8"), method="POST")
    assert (stand.sent, stand.world.outcomes) == ([], ["error:client_gone"])
    assert stand.world.last.bytes_in == 4


async def test_a_broken_upload_is_told_to_the_client_that_waits() -> None:
    """Our server says why it reads no further; the client gets that answer and its line that reason."""
    stand = Stand()
    stand.feed(b"half", ends=False)
    stand.arriving.put_nowait({"type": "http.disconnect", EXTENSION: Refusal(400, "bad_request", "a broken chunk")})
    assert await stand.serve((b"transfer-encoding", b"chunked"), method="POST") == 400
    assert stand.world.outcomes == ["error:bad_request"]


async def test_the_servers_own_cancellation_goes_on_upwards() -> None:
    """Only what the watcher did is undone."""
    held = Held(answer())
    stand = Stand(held)
    serving = stand.start()
    await held.asked.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert serving.cancelled()


async def test_a_client_that_leaves_after_its_answer_cancels_nothing() -> None:
    """The watcher is gone with the request."""
    stand = Stand(rules=(rule(path="/**"),))
    tasks = len(asyncio.all_tasks())
    assert await stand.serve() == 200
    stand.leave()
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == tasks
    assert stand.world.outcomes == ["miss"]


async def test_an_answer_is_sent_as_it_arrives() -> None:
    """Head, then each piece, then the end; times and bytes are in the line."""
    body = Body(b"one", ends=False)
    stand = Stand(answer(body, (b"x-a", b"1"), (b"x-a", b"2")))
    serving = stand.start()
    await until(lambda: len(stand.sent) == 2)
    assert [value for name, value in stand.sent[0]["headers"] if name == b"x-a"] == [b"1", b"2"]
    body.feed(b"two")
    body.end()
    await serving
    pieces = [(message["body"], message["more_body"]) for message in stand.sent[1:]]
    assert pieces == [(b"one", True), (b"two", True), (b"", False)]
    assert stand.world.last.bytes_out == 6


async def test_an_answer_that_breaks_off_must_be_cut() -> None:
    """After the head the server has to end the connection: the edge says so to it."""
    stand = Stand(answer(Body(b"half", ends=False).fail(UpstreamCut("half"))))
    with pytest.raises(AnswerCut):
        await stand.serve()
    assert [message.get("more_body") for message in stand.sent] == [None, True]
    assert stand.world.outcomes == ["error:upstream_cut"]


async def test_a_failed_send_is_a_client_that_left() -> None:
    """Servers other than ours raise OSError there (ASGI 2.4); it is no fault of ours."""
    stand = Stand()
    stand.send_error = ConnectionResetError("gone")
    await stand.serve()
    assert stand.world.outcomes == ["error:client_gone"]
    assert stand.world.log.failures == []


async def test_the_loop_is_found_by_our_via() -> None:
    stand = Stand()
    assert await stand.serve((b"via", VIA)) == 508


async def test_an_app_behind_us_learns_what_our_server_knew() -> None:
    """State, client, root_path: an inner app sees them as without us."""
    stand = Stand()
    await stand.serve(state={"db": 1}, root_path="/mounted", server=("127.0.0.1", 80))
    known = stand.request.client
    assert (known.peer, known.ip, known.scheme) == ("192.0.2.7", "192.0.2.7", "http")
    told = {"state": {"db": 1}, "root_path": "/mounted", "server": ("127.0.0.1", 80), "client": ("192.0.2.7", 1234)}
    assert {name: known.scope[name] for name in told} == told


async def test_a_client_on_a_unix_socket_has_no_address() -> None:
    stand = Stand()
    assert await stand.serve(client=None) == 200
    assert stand.request.header(b"x-forwarded-for") is None


class _Story:
    """A serve that does one thing with its delivery."""

    def __init__(self, does: Callable[[Any], Any]) -> None:
        self.does = does

    async def __call__(self, _: Request, delivery: Any, __: Refusal | None) -> None:
        await self.does(delivery)


async def test_watching_twice_cancels_once() -> None:
    """However often it is asked for, there is one watcher."""
    caught: list[int] = []

    async def does(delivery: Any) -> None:
        delivery.watch()
        delivery.watch()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            caught.append(task.cancelling())

    stand = Stand()
    edge = Edge(_Story(does), FakeClock(), ())  # type: ignore[arg-type]
    stand.leave()
    async with asyncio.timeout(5):
        await edge(stand.scope(), stand.receive, stand.send)
    assert caught == [1]


@pytest.mark.parametrize(("length", "pieces"), [(0, []), (6, [b"one", b"two"])], ids=["empty", "two pieces"])
async def test_a_client_that_leaves_with_its_whole_answer_has_not_left_early(length: int, pieces: list[bytes]) -> None:
    """It knows the answer's length, and need not wait until the body's end is told."""
    body = Body(*pieces, ends=False)
    stand = Stand(answer(body, (b"content-length", b"%d" % length)))
    serving = stand.start()
    await until(lambda: len(stand.sent) == 1 + len(pieces))
    stand.leave()
    for _ in range(5):
        await asyncio.sleep(0)
    stand.send_error = ConnectionResetError("gone")
    body.end()
    await serving
    assert (stand.world.outcomes, stand.world.last.bytes_out) == (["passthrough:no_rule"], length)


async def test_the_time_of_a_delivery() -> None:
    """`send_s` counts what the client took, not what the upstream took."""
    clock = FakeClock()
    line = LogLine("", "GET", "/", clock.timer())

    class Slow(Stand):
        async def send(self, message: Any) -> None:
            clock.advance(1.0)
            await super().send(message)

    async def pieces() -> Any:
        for piece in (b"a", b"b"):
            clock.advance(10.0)
            yield piece

    async def does(delivery: Any) -> None:
        await delivery.deliver(Response(200, (), pieces()), line)

    stand = Slow()
    await Edge(_Story(does), clock, ())(stand.scope(), stand.receive, stand.send)  # type: ignore[arg-type]
    assert (line.send_s, line.bytes_out, line.status) == (3.0, 2, 200)
