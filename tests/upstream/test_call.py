"""One call upstream: its fields, its deadlines, its one retry, its own log line."""

import asyncio
from collections.abc import Callable

import pytest
from fakes import VIA, Body, FakeClock, FakeEngine, Held, LineKeeper, answer, unlimited

from proxy.core.log_line import Call
from proxy.core.types import Client, Headers, Request, Response
from proxy.errors import (
    ClientGone,
    UpstreamCut,
    UpstreamError,
    UpstreamInvalid,
    UpstreamRefused,
    UpstreamReset,
    UpstreamTimeout,
)
from proxy.upstream.call import UNLIMITED, Timeouts, Upstream
from proxy.upstream.protection import Demand

ID = "0" * 32
HOST = (b"host", b"site.test")
SHORT = Timeouts(first_byte=0.02, idle=0.02)


class Desk:
    """An upstream with its engine, clock and log."""

    def __init__(
        self,
        *answers: object,
        host: bytes | None = None,
        takes: float = 0.0,
        tell: Callable[[Call, str], None] | None = None,
    ) -> None:
        self.clock, self.log = FakeClock(), LineKeeper()
        tell = tell or self.log.upstream_call
        self.protection = unlimited(self.clock, self.log)
        self.engine = FakeEngine(*answers, clock=self.clock, takes=takes)  # type: ignore[arg-type]
        self.upstream = Upstream(self.engine, self.protection, self.clock, tell, VIA, host=host)
        self.call = Call()

    @property
    def in_flight(self) -> int:
        return self.protection.status().in_flight

    async def send(self, request: Request | None = None, timeouts: Timeouts = UNLIMITED) -> Response:
        return await self.upstream.send(request or asked(), ID, self.call, timeouts, Demand("192.0.2.7"))

    async def take(self, request: Request | None = None, timeouts: Timeouts = UNLIMITED) -> bytes:
        response = await self.send(request, timeouts)
        assert not isinstance(response.body, bytes)
        try:
            return b"".join([chunk async for chunk in response.body])
        finally:
            await response.body.aclose()


def asked(*fields: tuple[bytes, bytes], method: str = "GET", body: object = b"") -> Request:
    return Request(method, b"/p/a?secret", (HOST, *fields), body, Client("192.0.2.7"))  # type: ignore[arg-type]


ADDED: list[tuple[Headers, Headers]] = [
    ((), ((b"via", VIA), (b"x-forwarded-for", b"192.0.2.7"), (b"x-request-id", ID.encode()))),
    (
        ((b"via", b"1.0 a"), (b"x-a", b"1"), (b"via", b"1.0 b"), (b"x-forwarded-for", b"10.0.0.1"), (b"x-request-id", b"old")),
        (
            (b"via", b"1.0 a"), (b"x-a", b"1"), (b"via", b"1.0 b, " + VIA), (b"x-forwarded-for", b"10.0.0.1, 192.0.2.7"),
            (b"x-request-id", ID.encode()),
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "arrived"), ADDED, ids=["bare", "on top of others"])
async def test_three_fields_are_added_and_no_more(sent: Headers, arrived: Headers) -> None:
    """Via, X-Forwarded-For and X-Request-Id; all else goes up as it came."""
    desk = Desk()
    await desk.take(asked(*sent))
    assert desk.engine.requests[0].headers == (HOST, *arrived)
    assert desk.engine.requests[0].target == b"/p/a?secret"


async def test_the_host_is_the_clients_or_the_upstreams_own() -> None:
    for host, wanted in [(None, b"site.test"), (b"legacy:8000", b"legacy:8000")]:
        desk = Desk(host=host)
        await desk.take(asked((b"x-a", b"1")))
        assert [value for name, value in desk.engine.requests[0].headers if name == b"host"] == [wanted]


PURPOSES: dict[str, tuple[Headers, str | None]] = {
    "a client's": ((), None),
    "one to compare answers": (((b"frontrunner-shadow", b"1"),), "shadow"),
}


@pytest.mark.parametrize(("fields", "purpose"), PURPOSES.values(), ids=PURPOSES)
async def test_the_line_tells_a_call_that_no_client_waits_for(fields: Headers, purpose: str | None) -> None:
    desk = Desk(answer(b"ok"))
    await desk.take(asked(*fields))
    assert desk.log.call.get("purpose") == purpose


async def test_the_line_of_a_call() -> None:
    """What was asked (without its query), what came, how long it took."""
    desk = Desk(answer(Body(b"ab", b"c"), status=203, connect_s=0.5), takes=2.0)
    assert await desk.take() == b"abc"
    assert desk.log.call == {
        "request_id": ID, "method": "GET", "path": "/p/a", "status": 203, "bytes_in": 3, "bytes_out": 0, "duration_s": 2.0,
        "upstream_connect_s": 0.5, "upstream_ttfb_s": 2.0,
    }  # fmt: skip


@pytest.mark.parametrize("body", [b"12345", Body(b"123", b"45")], ids=["whole", "as it arrives"])
async def test_the_line_tells_how_much_went_up(body: object) -> None:
    desk = Desk()
    await desk.take(asked(method="POST", body=body))
    assert desk.log.call["bytes_out"] == 5


async def leave(desk: Desk, held: Held) -> None:
    """Cancel a call before its head."""
    calling = asyncio.create_task(desk.send())
    await held.asked.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert held.cancelled


async def read_none(desk: Desk) -> None:
    """Close an answer unread, twice."""
    response = await desk.send()
    for _ in range(2):
        await response.body.aclose()  # type: ignore[union-attr]


async def read_some(desk: Desk) -> None:
    response = await desk.send()
    assert await anext(aiter(response.body)) == b"some"  # type: ignore[arg-type]
    await response.body.aclose()  # type: ignore[union-attr]


def raising(kind: type[Exception], timeouts: Timeouts = UNLIMITED, method: str = "POST") -> Callable[[Desk], object]:
    async def take(desk: Desk) -> None:
        with pytest.raises(kind):
            await desk.take(asked(method=method), timeouts)

    return take


PATHS = [
    ("complete", answer, lambda desk: desk.take(), None),
    ("refused", lambda: UpstreamRefused("no"), raising(UpstreamRefused), "upstream_refused"),
    ("invalid", lambda: UpstreamInvalid("no"), raising(UpstreamInvalid), "upstream_invalid"),
    ("reset", lambda: UpstreamReset("no"), raising(UpstreamReset), "upstream_reset"),
    ("any other error", lambda: UpstreamError("no"), raising(UpstreamError), "upstream_error"),
    ("the client left in its upload", ClientGone, raising(ClientGone), "ClientGone"),
    ("a fault of ours", lambda: RuntimeError("no"), raising(RuntimeError), "RuntimeError"),
    ("no head in time", lambda: Held(answer()), raising(UpstreamTimeout, SHORT), "upstream_timeout"),
    ("cut", lambda: answer(Body(b"h", ends=False).fail(UpstreamCut("no"))), raising(UpstreamCut), "upstream_cut"),
    ("silent in its body", lambda: answer(Body(b"h", ends=False)), raising(UpstreamTimeout, SHORT), "upstream_timeout"),
    ("a fault in its body", lambda: answer(Body(ends=False).fail(RuntimeError("x"))), raising(RuntimeError), "RuntimeError"),
    ("closed unread", answer, read_none, "abandoned"),
    ("closed early", lambda: answer(Body(b"some", ends=False)), read_some, "abandoned"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "use", "error"), [row[1:] for row in PATHS], ids=[row[0] for row in PATHS])
async def test_every_call_has_one_line_and_leaves_nothing_in_flight(
    said: Callable, use: Callable, error: str | None
) -> None:
    """Whatever happens to it."""
    desk = Desk(said())
    async with asyncio.timeout(10):
        await use(desk)
    word = "reason" if error == "abandoned" else "error"
    assert desk.log.call.get(word) == error
    assert desk.in_flight == 0
    assert desk.call.ended is not None


async def test_the_time_of_a_call_that_was_sent_again_was_told_twice() -> None:
    desk = Desk(UpstreamReset("lost"), answer(), takes=0.9)
    began = desk.clock.timer()
    await desk.take(asked())
    lost, again = desk.log.calls
    told = [call.duration_s(desk.clock.timer()) for call, *_ in (lost, again)]
    assert (told, desk.clock.timer() - began) == (pytest.approx([0.0, 1.8]), pytest.approx(1.8))


async def test_a_cancelled_call_has_its_line_too() -> None:
    held = Held(answer())
    desk = Desk(held)
    await leave(desk, held)
    assert (desk.log.call["reason"], desk.in_flight) == ("abandoned", 0)


async def test_a_call_counts_as_in_flight_until_its_body_is_read() -> None:
    desk = Desk(answer(Body(b"some", ends=False)))
    response = await desk.send()
    assert desk.in_flight == 1
    await response.body.aclose()  # type: ignore[union-attr]
    assert desk.in_flight == 0


async def test_a_silent_upstream_is_let_go() -> None:
    """After a deadline nothing goes on: the call is cancelled, the body closed."""
    held = Held(answer())
    with pytest.raises(UpstreamTimeout):
        await Desk(held).take(timeouts=SHORT)
    assert held.cancelled
    body = Body(b"some", ends=False)
    with pytest.raises(UpstreamTimeout):
        await Desk(answer(body)).take(timeouts=SHORT)
    assert body.closed


async def test_idle_counts_from_piece_to_piece() -> None:
    """An answer may take longer in all, as long as it moves."""
    body = Body(ends=False)
    reading = asyncio.create_task(Desk(answer(body)).take(timeouts=Timeouts(idle=0.4)))
    loop = asyncio.get_running_loop()
    for number in range(1, 7):
        loop.call_later(number * 0.1, body.feed, b"x")
    loop.call_later(0.7, body.end)
    assert await reading == b"xxxxxx"


RESET = UpstreamReset("just closing")
AGAIN = [
    ("a safe one", asked(), RESET, 0.0, True),
    ("HEAD", asked(method="HEAD"), RESET, 0.0, True),
    ("OPTIONS", asked(method="OPTIONS"), RESET, 0.9, True),
    ("too late", asked(), RESET, 1.0, False),
    ("an unsafe one", asked(method="POST"), RESET, 0.0, False),
    ("DELETE", asked(method="DELETE"), RESET, 0.0, False),
    ("QUERY", asked(method="QUERY"), RESET, 0.0, False),
    ("a body that is gone", asked(method="GET", body=Body(b"x")), RESET, 0.0, False),
    ("refused", asked(), UpstreamRefused("no"), 0.0, False),
    ("invalid", asked(), UpstreamInvalid("no"), 0.0, False),
]


@pytest.mark.parametrize(
    ("request_", "error", "takes", "again"), [row[1:] for row in AGAIN], ids=[row[0] for row in AGAIN]
)
async def test_one_retry_where_it_is_safe(request_: Request, error: Exception, takes: float, again: bool) -> None:
    """A safe request whose connection was just closing is sent again once, on a new connection; that is two calls."""
    desk = Desk(error, answer(), takes=takes)
    if again:
        await desk.take(request_)
        assert desk.engine.fresh == [False, True]
    else:
        with pytest.raises(type(error)):
            await desk.take(request_)
        assert desk.engine.fresh == [False]
    assert [call.error for call, _ in desk.log.calls] == [error.reason, None][: 1 + again]  # type: ignore[attr-defined]
    assert (desk.call.sent, desk.in_flight) == (1 + again, 0)


async def test_a_second_reset_is_final() -> None:
    desk = Desk(RESET, RESET, answer())
    with pytest.raises(UpstreamReset):
        await desk.take()
    assert len(desk.engine.requests) == len(desk.log.calls) == 2


async def test_closing_closes_the_engine() -> None:
    desk = Desk()
    await desk.upstream.close()
    assert desk.engine.closed == 1


async def test_a_log_that_fails_keeps_no_slot() -> None:
    def full(call: Call, request_id: str) -> None:
        raise OSError("the disk is full")

    desk = Desk(answer(b"ok"), tell=full)
    with pytest.raises(OSError, match="disk"):
        await desk.take()
    assert desk.in_flight == 0


class Odd(Exception):
    """An app of its owner's raises what it likes."""

    reason = ["not", "a", "word"]  # noqa: RUF012


async def test_whatever_an_app_raises_keeps_no_slot() -> None:
    desk = Desk(Odd("?"))
    with pytest.raises(Odd):
        await desk.take()
    assert (desk.in_flight, desk.call.error) == (0, "Odd")
