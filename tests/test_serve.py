"""The story of one request: whatever happens, one answer (or none) and exactly one line."""

import asyncio
from typing import Any

import pytest
from fakes import DATE, VIA, Body, FailingStore, FakeClock, FakeDelivery, FakeEngine, Held, answer, until
from world import World, asked, rule

from proxy.core.rules import default_rule
from proxy.errors import (
    ClientGone,
    Fallback,
    Refusal,
    UpstreamCut,
    UpstreamError,
    UpstreamInvalid,
    UpstreamRefused,
    UpstreamReset,
    UpstreamTimeout,
)
from proxy.serve import Show

ID = f"{1:032x}"
SAME = {"request_id": ID, "client_ip": "192.0.2.7", "method": "GET", "bytes_in": 0}
KEPT = SAME | {"path": "/kept/a", "rule": "kept", "key_hash": "…"}
TAKEN = {"duration_s": 2.5, "overhead_s": 0.0, "ttfb_s": 0.0, "send_s": 0.0}
FETCHED = {"upstream_calls": 1, "upstream_connect_s": 0.25, "upstream_ttfb_s": 2.5, "upstream_s": 2.5}
LOOKED_UP = {"normalize_s": 0.0, "lookup_s": 0.0}


def world(*answers: Any, **more: Any) -> World:
    """Return a world whose upstream takes 2.5 s for everything."""
    clock = FakeClock()
    return World(FakeEngine(*(answers or [answer(b"ok", connect_s=0.25)]), clock=clock, takes=2.5), clock=clock, **more)


def line_of(world: World) -> dict[str, Any]:
    """Return the only line; a key's digest is not the test's affair."""
    known = world.log.line
    return known | {"key_hash": "…"} if "key_hash" in known else known


async def test_the_line_of_a_miss() -> None:
    here = world()
    await here.ask()
    assert line_of(here) == KEPT | TAKEN | FETCHED | LOOKED_UP | {
        "outcome": "miss", "status": 200, "flight": "lead", "bytes_out": 2, "store_s": 0.0,
    }  # fmt: skip


async def test_the_line_of_a_hit() -> None:
    here = world(rules=(rule(ttl=120.0), default_rule()))
    await here.ask()
    here.clock.advance(60)
    here.log.requests.clear()
    got = await here.ask()
    assert line_of(here) == KEPT | LOOKED_UP | {
        "request_id": f"{2:032x}", "outcome": "hit", "status": 200, "bytes_out": 2, "upstream_calls": 0, "age_s": 60,
        "ttl_s": 60, "duration_s": 0.0, "overhead_s": 0.0, "ttfb_s": 0.0, "send_s": 0.0, "saved_s": 2.5,
    }  # fmt: skip
    assert here.last.cost == 2.5
    assert got.headers == (
        (b"content-length", b"2"), (b"date", DATE.replace(b"01:46:40", b"01:46:42")),
        (b"etag", b'"fr-0be6b55dd54c7a5de3377e0e"'), (b"age", b"60"),
        (b"x-request-id", f"{2:032x}".encode()), (b"cache-status", b"Frontrunner; hit; ttl=60"),
    )  # fmt: skip


async def test_the_line_of_an_expired_answer() -> None:
    here = world()
    await here.ask()
    here.clock.advance(3601)
    here.log.requests.clear()
    await here.ask()
    assert line_of(here) == KEPT | TAKEN | FETCHED | LOOKED_UP | {
        "request_id": f"{2:032x}", "outcome": "expired", "status": 200, "flight": "lead", "bytes_out": 2, "store_s": 0.0,
    }  # fmt: skip


async def test_the_line_of_a_collapsed_request() -> None:
    """A follower waited only since it joined, and made no call."""
    held = Held(answer(b"ok"))
    here = world(held)
    lead = here.start()
    await held.asked.wait()
    here.clock.advance(1)
    follow = here.start()
    await until(lambda: len(here.flights._joined) and len(next(iter(here.flights._joined.values()))._readers) == 2)
    held.go.set()
    await asyncio.gather(lead, follow)
    lines = {line.request_id: line for line in here.log.requests}
    here.log.requests[:] = [lines[f"{2:032x}"]]
    assert line_of(here) == KEPT | TAKEN | LOOKED_UP | {
        "request_id": f"{2:032x}", "outcome": "collapsed", "status": 200, "flight": "follow", "bytes_out": 2,
        "upstream_calls": 0, "upstream_s": 2.5,
    }  # fmt: skip
    assert lines[ID].upstream_s == 3.5
    assert len(here.log.calls) == 1


async def test_the_line_of_a_request_that_no_rule_matches() -> None:
    here = world(rules=())
    got = await here.ask(asked("/x?secret=1"))
    assert line_of(here) == SAME | TAKEN | FETCHED | {
        "path": "/x", "outcome": "passthrough", "reason": "no_rule", "status": 200, "bytes_out": 2,
    }  # fmt: skip
    assert got.header(b"cache-status") == b"Frontrunner; fwd=bypass; detail=no_rule"
    assert got.header(b"date") == DATE.replace(b"01:46:40", b"01:46:42")


async def test_the_line_of_a_refusal() -> None:
    """What the server could not read goes nowhere, and is the client's fault."""
    here = world()
    got = await here.ask(refused=Refusal(431, "head_size", "too many fields"))
    assert line_of(here) == SAME | {
        "path": "/kept/a", "outcome": "error", "error": "head_size", "error_source": "client", "reason": "head_size",
        "status": 431, "upstream_calls": 0, "bytes_out": len(got.body), "duration_s": 0.0, "overhead_s": 0.0,
        "ttfb_s": 0.0, "send_s": 0.0,
    }  # fmt: skip
    assert (got.status, got.header(b"content-type")) == (431, b"application/problem+json")
    assert here.engine.requests == []


FAILURES = [
    (UpstreamRefused("no"), 502, "upstream_refused"),
    (UpstreamReset("no"), 502, "upstream_reset"),
    (UpstreamInvalid("no"), 502, "upstream_invalid"),
    (UpstreamTimeout("no"), 504, "upstream_timeout"),
    (UpstreamError("no"), 502, "upstream_error"),
]


@pytest.mark.parametrize(("error", "status", "reason"), FAILURES, ids=str)
@pytest.mark.parametrize("target", ["/kept/a", "/plain"])
async def test_an_upstream_that_fails(error: Exception, status: int, reason: str, target: str) -> None:
    """The client is told with a problem; the line names the upstream as its source."""
    here = world(error, rules=(rule(),))
    got = await here.ask(asked(target))
    assert (got.status, got.complete, got.was_cut) == (status, True, False)
    assert got.header(b"content-type") == b"application/problem+json"
    line = here.log.line
    assert (line["outcome"], line["error"], line["error_source"], line["status"]) == (
        "error",
        reason,
        "upstream",
        status,
    )
    assert (here.last.level, line["upstream_calls"]) == ("error", 1)
    assert [call.error for call, _ in here.log.calls] == [reason]


@pytest.mark.parametrize("target", ["/kept/a", "/plain"])
async def test_an_answer_that_breaks_off_is_cut(target: str) -> None:
    """After the first byte nothing can be mended: the client must be able to tell."""
    broken = answer(Body(b"half", ends=False).fail(UpstreamCut("half")), (b"content-length", b"8"))
    here = world(broken, rules=(rule(),))
    got = await here.ask(asked(target))
    assert (got.status, got.body, got.complete, got.was_cut) == (200, b"half", False, True)
    line = here.log.line
    assert (line["outcome"], line["reason"], line["error_source"], line["status"]) == (
        "error",
        "upstream_cut",
        "upstream",
        200,
    )
    assert line["bytes_out"] == 4


async def test_a_client_that_leaves_an_uncached_request_ends_its_call() -> None:
    """As without us: the call upstream is cancelled, the line says who left, nothing is raised."""
    held = Held(answer())
    here, delivery = world(held, rules=()), FakeDelivery()
    asking = here.start(asked("/plain"), delivery)
    await held.asked.wait()
    delivery.leave()
    await asking
    assert held.cancelled
    line = here.log.line
    assert (line["outcome"], line["reason"], line["error_source"]) == ("error", "client_gone", "client")
    assert "status" not in line
    assert here.log.calls[0][0].error == "abandoned"


async def test_a_client_that_leaves_a_cacheable_request_leaves_its_fetch() -> None:
    """A fetch that was paid for is kept, and answers who asks next."""
    held = Held(answer())
    here, delivery = world(held), FakeDelivery()
    asking = here.start(asked(), delivery)
    await held.asked.wait()
    delivery.leave()
    await asking
    assert here.outcomes == ["error:client_gone"]
    assert here.last.level == "info"
    told = here.log.line
    held.go.set()
    await here.landed()
    assert here.log.line == told, "what was counted is told"
    await here.ask()
    assert here.outcomes[1:] == ["hit"]
    assert len(here.engine.requests) == 1


async def test_a_client_that_leaves_while_its_body_is_read() -> None:
    """Before the key is known there is nothing to fetch."""
    here = world(rules=(rule(safe=True),))
    await here.ask(asked(method="POST", body=Body(b"half", ends=False).fail(ClientGone())))
    assert here.outcomes == ["error:client_gone"]
    assert here.engine.requests == []


async def test_a_client_that_left_when_it_is_told_of_an_error() -> None:
    here = world(UpstreamRefused("no"), rules=())
    await here.ask(asked(), FakeDelivery(gone_at_send=True))
    assert here.outcomes == ["error:upstream_refused"]


async def test_a_closing_server_ends_requests_with_a_line() -> None:
    """A cancellation that is not the client's leaving goes on upwards, and has a line all the same."""
    held = Held(answer())
    here = world(held, rules=())
    asking = here.start(asked("/plain"))
    await held.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert len(here.log.requests) == 1


async def test_a_loop_is_refused() -> None:
    """A request that went through this very proxy before would go round for ever."""
    here = world()
    got = await here.ask(asked("/kept/a", (b"via", b"1.0 other, " + VIA)))
    assert (got.status, here.outcomes, here.engine.requests) == (508, ["error:loop"], [])


class Broken:
    """A normalizer that fails in a way that nobody foresaw, or for a reason of its own."""

    version = 1

    def __init__(self, error: Exception) -> None:
        self.error = error

    def normalize(self, query: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_fault_in_the_key_costs_no_answer(method: str) -> None:
    """The original request goes upstream whole; the line tells of the fault, the log has the error."""
    fault = ZeroDivisionError("a fault of ours")
    here = world(rules=(rule(safe=True, normalizers=(Broken(fault),)),))
    got = await here.ask(asked(method=method, body=Body(b"bo", b"dy") if method == "POST" else b""))
    assert (got.status, got.body, got.complete) == (200, b"ok", True)
    line = here.log.line
    assert (line["outcome"], line["reason"], line["error"], line["error_source"]) == (
        "passthrough",
        "internal",
        "internal",
        "proxy",
    )
    assert here.log.failures == [(fault, ID)]
    assert here.engine.received == [b"body" if method == "POST" else b""]
    assert here.last.level == "error"


async def test_a_strangers_reason_passes_the_request_through() -> None:
    """A plug-in from elsewhere may have reasons that are not in our list; the request goes upstream all the same."""
    here = world(rules=(rule(normalizers=(Broken(Fallback("not_today")),)),))
    got = await here.ask()
    assert (got.status, here.last.outcome) == (200, "passthrough")


async def test_a_broken_store_costs_no_answer() -> None:
    """Every request is a miss; each failure is told, none is the client's affair."""
    here = world(store=FailingStore())
    answers = [await here.ask() for _ in range(2)]
    assert [one.body for one in answers] == [b"ok", b"ok"]
    assert here.outcomes == ["miss", "miss"]
    assert [type(error) for error, _ in here.log.failures] == [ConnectionError] * 4


async def test_a_fault_of_ours_outside_the_road_is_a_500() -> None:
    """The client gets a problem, not silence; what is wrong stays in the log."""
    here = world(rules=())

    async def fail(*_: Any) -> Any:
        raise RuntimeError("a secret detail")

    here.engine.send = fail  # type: ignore[method-assign]
    got = await here.ask(asked("/plain"))
    assert got.status == 500
    assert b"secret" not in got.body
    assert here.outcomes == ["error:internal"]
    assert here.log.line["error_source"] == "proxy"
    assert len(here.log.failures) == 1


async def test_a_key_body_that_is_too_large_goes_up_whole() -> None:
    """What was read already is put before what still comes."""
    here = world(rules=(rule(safe=True, max_key_body=4),))
    got = await here.ask(asked(method="POST", body=Body(b"123", b"456", b"789")))
    assert (got.status, here.engine.received) == (200, [b"123456789"])
    assert here.outcomes == ["passthrough:key_body_size"]


@pytest.mark.parametrize(
    ("sent", "kept"), [(b"0123456789abcdef" * 2, True), (b"0123456789ABCDEF" * 2, True), (b"short", False)]
)
async def test_a_valid_request_id_is_kept_and_echoed(sent: bytes, kept: bool) -> None:
    """In the line, to the upstream and back; the upstream's own never replaces it."""
    here = world(answer(b"ok", (b"x-request-id", b"the upstream's")))
    got = await here.ask(asked("/kept/a", (b"x-request-id", sent)))
    wanted = sent if kept else ID.encode()
    assert got.header(b"x-request-id") == wanted
    assert here.engine.requests[0].header(b"x-request-id") == wanted
    assert here.log.line["request_id"].encode() == wanted


async def test_without_cache_status() -> None:
    """The owner may keep it to himself."""
    here = world(rules=(rule(), default_rule()), show=Show(cache_status=False))
    for target in ("/kept/a", "/kept/a", "/plain"):
        assert (await here.ask(asked(target))).header(b"cache-status") is None
