"""Jobs: who waits how long, what goes on whoever leaves, and what is told of it; the road is the real one."""

import asyncio
import json
from typing import Any

import pytest
from fakes import Body, FakeClock, FakeDelivery, FakeEngine, Held, answer, limited, until
from job_asking import ASYNC, LONG, NOW, ended, read, told, url_of
from world import World, asked, rule

from proxy import arrival, shelf
from proxy.core.log_fields import request_fields
from proxy.core.rules import default_rule
from proxy.core.sampling import Sampling
from proxy.core.types import Response
from proxy.errors import UpstreamCut, UpstreamRefused
from proxy.stats import Stats
from proxy.upstream.call import Timeouts

EVERY = rule("every", "/**", ttl=None)
NO_STORE = (b"cache-control", b"no-store")


async def test_who_does_not_wait_is_told_where_and_gets_the_answer_there() -> None:
    here = World(FakeEngine(held := Held(answer(b"done", (b"x-sent", b"on")))))
    got = await here.ask(asked("/kept/a", ASYNC))
    assert (got.status, got.header(b"preference-applied"), got.header(b"cache-control")) == (
        202, b"respond-async", b"no-store",
    )  # fmt: skip
    assert got.header(b"location") == json.loads(got.body)["url"].encode()
    assert got.header(b"date") is not None
    url = url_of(got)
    assert (await told(here, url))["state"] == "running"
    held.go.set()
    await ended(here)
    result = await read(here, url)
    assert (result.status, result.body, result.header(b"x-sent")) == (200, b"done", b"on")
    assert result.header(b"cache-status") == b"Frontrunner; fwd=uri-miss; stored"
    assert result.header(b"x-request-id") == got.header(b"x-request-id")


@pytest.mark.parametrize("wish", [ASYNC, NOW, LONG])
async def test_what_is_stored_is_answered_as_ever(wish: tuple[bytes, bytes]) -> None:
    """Prefer is no part of the key."""
    here = World(FakeEngine(answer(b"stored")))
    await here.ask(asked("/kept/a"))
    got = await here.ask(asked("/kept/a", wish))
    assert (got.status, got.body, here.outcomes) == (200, b"stored", ["miss", "hit"])


async def test_who_waits_long_enough_gets_the_answer_as_it_arrives() -> None:
    here = World(FakeEngine(held := Held(answer(body := Body(b"first", ends=False)))))
    task = here.start(asked("/kept/a", LONG), delivery := FakeDelivery())
    await until(held.asked.is_set)
    held.go.set()
    await until(lambda: delivery.body == b"first")
    body.feed(b"last")
    body.end()
    got = await task
    assert (got.status, got.body, got.complete, here.ended) == (200, b"firstlast", True, [])
    assert (here.last.outcome, here.last.upstream_calls, here.last.flight) == ("miss", 1, "lead")


@pytest.mark.parametrize("wish", [ASYNC, NOW, LONG])
async def test_what_said_how_long_it_waits_was_of_interest_to_the_log_for_that(wish: tuple[bytes, bytes]) -> None:
    """Any client could have all its lines written, however few the owner wants."""
    here = World(FakeEngine(answer(b"stored")))
    await here.ask(asked("/kept/a"))
    await here.ask(asked("/kept/a", wish))
    assert not Sampling(0.0).keeps(here.last)


async def test_who_only_waits_is_told_that_it_is_over() -> None:
    here = World(FakeEngine(held := Held(answer(b"late"))))
    got = await here.ask(asked("/kept/a", NOW))
    problem = json.loads(got.body)
    assert (got.status, problem["reason"], problem["retry_after_s"]) == (504, "wait_over", 1)
    assert got.header(b"link") == b'<%b>; rel="status"' % problem["job"].encode()
    assert (here.last.outcome, here.last.error, here.last.error_source) == ("error", "wait_over", "client")
    held.go.set()
    await ended(here)
    assert (await read(here, problem["job"])).body == b"late"
    assert (await here.ask()).body == b"late"
    assert here.outcomes[-1] == "hit"


async def test_one_line_for_the_202_and_one_for_its_job() -> None:
    clock = FakeClock()
    here = World(FakeEngine(held := Held(answer(b"done")), clock=clock, takes=50.0), clock=clock)
    got = await here.ask(asked("/kept/a", ASYNC))
    held.go.set()
    await ended(here)
    first, last = here.lines[0], request_fields(here.ended[0])
    assert first["request_id"] == last["request_id"] == (got.header(b"x-request-id") or b"").decode()
    assert [(one["status"], one["outcome"], one.get("reason"), one["upstream_calls"], one["duration_s"]) for one in (first, last)] == [
        (202, "miss", "respond_async", 0, 0.0), (200, "miss", None, 1, 50.0),
    ]  # fmt: skip
    assert (last["bytes_out"], last["upstream_s"], len(here.log.calls)) == (4, 50.0, 1)


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("HEAD", "/kept/a", (ASYNC,)),
        ("POST", "/kept/a", (ASYNC,)),
        ("GET", "/kept/a", (ASYNC, (b"cookie", b"a=1"))),
        ("GET", "/kept/a", (ASYNC, (b"if-match", b'"a"'))),
        ("GET", "/unmatched", (NOW,)),
    ],
)
async def test_what_passes_is_not_ours_to_make_a_job_of(method: str, path: str, fields: Any) -> None:
    here = World(FakeEngine(held := Held(answer(b"as ever", status=202))), (rule(),))
    task = here.start(asked(path, *fields, method=method))
    await until(held.asked.is_set)
    await asyncio.sleep(0.01)  # as long as a 202 would take, and longer
    assert not task.done()
    held.go.set()
    got = await task
    assert (got.status, got.header(b"location"), here.last.outcome) == (202, None, "passthrough")
    assert here.engine.requests[0].header(b"prefer") == fields[0][1]


async def test_nothing_is_a_job_while_the_bypass_is_on() -> None:
    here = World(FakeEngine(answer(b"as ever")))
    here.bypass.turn(on=True)
    assert (await here.ask(asked("/kept/a", ASYNC))).status == 200


async def test_what_the_upstream_itself_puts_off_passes() -> None:
    fields = ((b"preference-applied", b"respond-async"), (b"location", b"/theirs"))
    here = World(FakeEngine(answer(b"", *fields, status=202)))
    got = await here.ask(asked("/kept/a", LONG))
    assert (got.status, got.header(b"location"), here.last.reason) == (202, b"/theirs", "status")


async def test_what_must_not_be_asked_for_is_refused_and_no_job() -> None:
    here = World()
    got = await here.ask(asked("/kept/a", ASYNC, (b"cache-control", b"only-if-cached")))
    assert (got.status, json.loads(got.body)["reason"], here.ended) == (504, "only_if_cached", [])


async def test_the_answer_of_who_fell_off_the_road_is_a_jobs_too() -> None:
    """An answer that nobody may store is its asker's own; its job is too."""
    here = World(FakeEngine(held := Held(answer(b"own", NO_STORE, (b"set-cookie", b"a=1")))), (EVERY,))
    url = url_of(await here.ask(asked("/own", ASYNC)))
    held.go.set()
    await ended(here)
    result = await read(here, url)
    assert (result.body, result.header(b"set-cookie"), here.ended[0].reason) == (b"own", b"a=1", "set_cookie")


async def test_many_jobs_for_one_key_cost_one_call() -> None:
    here = World(FakeEngine(held := Held(answer(b"done"))))
    urls = {url_of(await here.ask(asked("/kept/a", ASYNC))) for _ in range(20)}
    assert (len(urls), len(here.engine.requests)) == (20, 1)
    held.go.set()
    await ended(here, 20)
    assert {(await read(here, url)).body for url in urls} == {b"done"}
    assert sorted({str(one.outcome) for one in here.ended}) == ["collapsed", "miss"]


@pytest.mark.parametrize("wish", [ASYNC, NOW])
async def test_who_leaves_when_told_takes_nothing_along(wish: tuple[bytes, bytes]) -> None:
    here = World(FakeEngine(held := Held(answer(b"own", NO_STORE))), (EVERY,))
    await here.ask(asked("/own", wish), FakeDelivery(gone_at_send=True))
    held.go.set()
    await ended(here)
    assert (held.cancelled, here.ended[0].status, here.ended[0].bytes_out) == (False, 200, 3)


async def test_progress_is_told_from_what_is_known() -> None:
    """What the same answer took the last time; else what the rule's answers take; else nothing."""
    clock = FakeClock()
    here = World(FakeEngine(held := Held(answer(b"ok")), clock=clock, takes=50.0), clock=clock)
    assert "expected_s" not in json.loads((await here.ask(asked("/kept/first", ASYNC))).body)
    held.go.set()
    await ended(here)
    here.engine.then(held := Held(answer(b"ok")))
    usual = json.loads((await here.ask(asked("/kept/second", ASYNC))).body)["expected_s"]
    assert usual == pytest.approx(50.0, rel=0.1)
    clock.advance(3601)
    got = await here.ask(asked("/kept/first", ASYNC))
    assert (json.loads(got.body)["expected_s"], got.header(b"retry-after")) == (50.0, b"50")
    clock.advance(20.0)
    later = await read(here, url_of(got))
    assert (json.loads(later.body)["elapsed_s"], later.header(b"retry-after")) == (20.0, b"30")
    held.go.set()


async def test_the_place_in_the_queue_is_told() -> None:
    """How many go upstream before, until it is its turn."""
    clock, held = FakeClock(), Held(answer())
    here = World(FakeEngine(held), clock=clock, protection=limited(1, clock))
    told = [json.loads((await here.ask(asked(f"/kept/{name}", ASYNC))).body) for name in "abc"]
    assert [one.get("place") for one in told] == [None, 0, 1]
    held.go.set()


FAILURES = {
    "refused": (UpstreamRefused("nobody listens"), 502, "upstream_refused"),
    "cut": (answer(Body(b"part", ends=False).fail(UpstreamCut("4 bytes of 9"))), 502, "upstream_cut"),
    "too large": (answer(b"x" * 101), 507, "too_large"),
    "events": (answer(Body(b"x", ends=False), (b"content-type", b"text/event-stream")), 507, "event_stream"),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_a_job_that_fails_ends_with_the_problem(name: str) -> None:
    said, status, reason = FAILURES[name]
    here = World(FakeEngine(held := Held(said)), (rule(max_object=100),))
    got = await here.ask(asked("/kept/a", ASYNC))
    held.go.set()
    await ended(here)
    result = await read(here, url_of(got))
    problem = json.loads(result.body)  # type: ignore[arg-type]
    assert (result.status, problem["status"], problem["reason"]) == (status, status, reason)
    assert problem["request_id"] == (got.header(b"x-request-id") or b"").decode()
    assert (here.ended[0].status, here.ended[0].outcome, here.ended[0].error) == (status, "error", reason)
    assert here.log.failures == []


async def test_a_fault_of_ours_ends_a_job_with_500_and_is_told(monkeypatch: Any) -> None:
    async def broken(*_: Any) -> bytes:
        raise RuntimeError("broken")

    monkeypatch.setattr(arrival.Arrival, "read", broken)
    here = World(FakeEngine(held := Held(answer(b"done"))))
    url = url_of(await here.ask(asked("/kept/a", ASYNC)))
    held.go.set()
    await ended(here)
    result = await read(here, url)
    assert (result.status, json.loads(result.body)["reason"]) == (500, "internal")  # type: ignore[arg-type]
    assert [type(error) for error, _ in here.log.failures] == [RuntimeError]


@pytest.mark.parametrize("said", [answer(b"x" * 8), answer(Body(b"x" * 8).fail(UpstreamCut("8 bytes of 9")))])
async def test_the_room_that_a_job_took_is_the_next_ones(said: Response, monkeypatch: Any) -> None:
    monkeypatch.setattr(shelf, "MOST_BYTES", 10)
    here = World(FakeEngine(one := Held(said), two := Held(answer(b"y" * 9))))
    await here.ask(asked("/kept/a", ASYNC))
    one.go.set()
    await ended(here)
    url = url_of(await here.ask(asked("/kept/b", ASYNC)))
    two.go.set()
    await ended(here, 2)
    assert (await read(here, url)).body == b"y" * 9


async def test_a_shutdown_ends_a_job_and_its_line_says_so() -> None:
    here = World(FakeEngine(Held(answer())))
    await here.ask(asked("/kept/a", ASYNC))
    async with asyncio.timeout(5):
        await here.tasks.close()
    assert [(one.outcome, one.error, one.error_source) for one in here.ended] == [("error", "shutdown", "proxy")]


async def test_without_the_owners_rule_prefer_was_ours_to_answer() -> None:
    """The upstream may know Prefer itself (RFC 7240), and a client that only wished gets its answer as ever."""
    here = World(FakeEngine(answer(b"its own", status=202)), rules=(default_rule(),))
    got = await here.ask(asked("/plain", ASYNC))
    assert (got.status, got.body, got.header(b"location")) == (202, b"its own", None)


async def test_a_request_whose_wait_was_over_was_counted_twice() -> None:
    held = Held(answer())
    here, stats = World(FakeEngine(held)), Stats(FakeClock())
    await here.ask(asked("/kept/a", (b"prefer", b"wait=0")))
    held.go.set()
    await until(lambda: here.ended)
    for line in (*here.log.requests, *here.ended):
        stats.count(line)
    assert stats.operations["kept"].n == 1


async def test_a_job_whose_request_passed_had_no_time_limit() -> None:
    """Where a request passes, its client says when it has waited enough; nobody says so of a job."""
    here = World(FakeEngine(Held(answer())), (rule(),), timeouts=Timeouts(first_byte=0.01))
    url = url_of(await here.ask(asked("/kept/a", ASYNC, (b"range", b"bytes=0-1"), (b"if-range", b'"a"'))))
    await ended(here)
    assert (await read(here, url)).status == 504
    assert here.ended[0].error == "upstream_timeout"
