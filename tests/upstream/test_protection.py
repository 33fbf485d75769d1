"""A call's slot, from the wait for it until it is given back: at the body's end, at once for events, or when expected."""

import asyncio

import pytest
from fakes import Body, FakeClock, FakeEngine, Held, LineKeeper, answer, limited, until
from virtual_time import VirtualClock, run_virtually

from proxy.core.aimd import Sign
from proxy.core.fair_queue import Priority
from proxy.core.log_line import ABANDONED, Call
from proxy.core.types import Client, Request
from proxy.errors import UpstreamBusy, UpstreamReset, UpstreamTimeout
from proxy.upstream.call import Timeouts, Upstream
from proxy.upstream.limit import Limit
from proxy.upstream.protection import Demand, Protection
from proxy.upstream.slots import OwnSlots

ID = "0" * 32
ASKED = Request("GET", b"/p", ((b"host", b"site.test"),), client=Client("192.0.2.7"))


class Desk:
    """An upstream with so many slots."""

    def __init__(self, *answers, ceiling=1, **more):
        self.clock, self.log = FakeClock(), LineKeeper()
        self.engine = FakeEngine(*answers, clock=self.clock)
        self.protection = limited(ceiling, self.clock, **more)
        self.upstream = Upstream(self.engine, self.protection, self.clock, self.log.upstream_call, b"1.1 us", host=None)

    async def send(self, call=None, demand=None, timeouts=None):
        demand = demand or Demand("192.0.2.7")
        return await self.upstream.send(ASKED, ID, call or Call(), timeouts or Timeouts(), demand)

    def start(self, call=None, demand=None):
        return asyncio.get_running_loop().create_task(self.send(call, demand))

    @property
    def in_flight(self):
        return self.protection.status().in_flight


async def read(response):
    return b"".join([chunk async for chunk in response.body])


async def test_a_slot_is_taken_until_the_body_is_read():
    desk = Desk(answer(Body(b"a", b"b")))
    response = await desk.send()
    assert desk.in_flight == 1
    assert [chunk async for chunk in response.body] == [b"a", b"b"]
    assert desk.in_flight == 0


async def test_events_hold_no_slot():
    desk = Desk(answer(Body(b"a", ends=False), (b"content-type", b"Text/Event-Stream; charset=utf-8")))
    response = await desk.send()
    assert desk.in_flight == 0
    await response.body.aclose()


async def test_who_demands_none_takes_none():
    desk = Desk(answer(Body(b"a")), answer(Body(b"b")))
    first = await desk.send()
    other = await desk.upstream.send(ASKED, ID, Call())
    assert desk.in_flight == 1
    await other.body.aclose()
    await first.body.aclose()


async def test_what_was_waited_for_a_turn_is_no_time_of_the_upstreams():
    held = Held(answer(b"first"))
    desk = Desk(held, answer(b"second"))
    call = Call()
    first = desk.start()
    await held.asked.wait()
    second = desk.start(call)
    await until(lambda: call.waiting is not None)
    assert call.place == 0
    desk.clock.advance(7.0)
    held.go.set()
    await read(await first)
    await read(await second)
    assert (call.queue_s, call.duration_s(desk.clock.timer()), call.place) == (7.0, 0.0, None)


async def test_who_gets_no_slot_in_time_is_told_when_to_come_again_and_calls_nobody():
    desk = Desk(Held(answer()), most_wait_s=0.01)
    first = desk.start()
    await until(lambda: desk.engine.requests)
    call = Call()
    with pytest.raises(UpstreamBusy) as told:
        await desk.send(call)
    assert (told.value.reason, told.value.retry_after_s, call.sent) == ("queue_timeout", 1.0, 0)
    assert len(desk.engine.requests) == 1
    first.cancel()


async def test_a_call_that_failed_gives_its_slot_back():
    desk = Desk(UpstreamReset("gone"))
    with pytest.raises(UpstreamReset):
        await desk.send(timeouts=Timeouts())
    assert desk.in_flight == 0


@pytest.mark.parametrize("outlives", [False, True])
async def test_an_upstream_that_works_on_keeps_its_slot_taken(outlives):
    desk = Desk(Held(answer()), outlives_cancel=outlives)
    first = desk.start(demand=Demand("a", expected_s=60.0))
    await until(lambda: desk.engine.requests)
    desk.clock.advance(20.0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert desk.in_flight == outlives
    desk.upstream._protection.close()


KNOWN = {  # what the demand expects, how long a call before lasted → when a call given up after 1 s gives its slot back
    "by its key": (60.0, 40.0, 60.0),
    "by the calls before": (None, 40.0, 40.0),
    "nothing: as long as a call may last": (None, None, 90.0),
}


@pytest.mark.parametrize(("expected_s", "before_s", "held_s"), KNOWN.values(), ids=KNOWN)
def test_a_slot_is_held_on_even_where_its_key_is_new(expected_s, before_s, held_s):
    async def main():
        clock = VirtualClock()
        protection = Protection(
            Limit(OwnSlots(), 1, clock), clock, LineKeeper().failed, most_wait_s=90.0, outlives_cancel=True
        )
        if before_s is not None:
            slot = await protection._limit.acquire("a", Priority.CLIENT)
            await asyncio.sleep(before_s)
            slot.release(Sign.FINE)
        call, begun = Call(), clock.timer()
        admission = await protection.admit(Demand("a", expected_s=expected_s), call, ID)
        await asyncio.sleep(1.0)
        admission.end(call, ABANDONED, None)
        (await protection._limit.acquire("b", Priority.CLIENT)).release()
        assert clock.timer() - begun == held_s
        protection.close()

    run_virtually(main())


async def test_a_body_that_comes_too_slowly_is_no_success():
    desk = Desk(answer(Body(b"a", ends=False)), ceiling=4)
    response = await desk.send(timeouts=Timeouts(idle=0.01))
    with pytest.raises(UpstreamTimeout):
        await read(response)
    assert desk.protection.status().limit < 4


async def test_an_answer_that_is_left_says_nothing_of_how_long_calls_last():
    desk = Desk(answer(Body(b"a", ends=False)))
    response = await desk.send()
    await response.body.aclose()
    assert desk.protection._limit.pace.mean_s is None


async def test_slots_that_cannot_be_counted_cost_no_answer():
    class Broken(OwnSlots):
        def take(self, limit):
            raise OSError("no locks here")

    clock, log = FakeClock(), LineKeeper()
    protection = Protection(Limit(Broken(), 1, clock), clock, log.failed)
    upstream = Upstream(FakeEngine(answer(b"ok")), protection, clock, log.upstream_call, b"1.1 us", host=None)
    response = await upstream.send(ASKED, ID, Call(), demand=Demand("a"))
    assert await read(response) == b"ok"
    assert [str(error) for error, _ in log.failures] == ["no locks here"]


async def test_a_lost_connection_is_tried_again_only_within_the_budget():
    desk = Desk(*[UpstreamReset("gone")] * 40)
    sent = 0
    for _ in range(20):
        call = Call()
        with pytest.raises(UpstreamReset):
            await desk.send(call)
        sent += call.sent
    assert sent == 20 + 10 + 1, "ten are saved, and ten calls add one"


async def test_a_request_that_lost_the_idle_race_was_refused_its_second_sending():
    """However often it happens: what the second one answers, the first one never asked."""
    desk = Desk(*[UpstreamReset("closed"), answer(b"ok")] * 30)
    for _ in range(30):
        assert await read(await desk.send()) == b"ok"


async def test_background_work_gives_way():
    desk = Desk(answer(Body(b"client")), answer(b"refresh"))
    response = await desk.send()
    refresh = desk.start(demand=Demand("", Priority.REFRESH))
    await asyncio.sleep(0)
    assert not refresh.done()
    await response.body.aclose()
    assert await read(await refresh) == b"refresh"


async def test_a_reader_that_stood_still_kept_all_others_from_the_upstream():
    desk = Desk(answer(Body(b"a", b"b")), answer(b"next"), most_wait_s=0.02)
    stalled = await desk.send()
    assert await anext(aiter(stalled.body)) == b"a"
    assert desk.in_flight == 1
    await until(lambda: desk.in_flight == 0)
    assert await read(await desk.send()) == b"next"
    assert await read(stalled) == b"b", "it may go on all the same"


async def test_a_reader_that_goes_on_reading_keeps_the_slot():
    desk = Desk(answer(Body(*[b"x"] * 5)), most_wait_s=0.05)
    response = await desk.send()
    for _ in range(4):
        await anext(aiter(response.body))
        await asyncio.sleep(0.02)
        assert desk.in_flight == 1
    await read(response)
    assert desk.in_flight == 0
