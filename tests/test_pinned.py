"""What a rule pins is there before anybody asks, and stays fresh though nobody does."""

import asyncio

import pytest
from fakes import FakeClock, FakeEngine, answer
from world import World, asked, rule

from proxy.core.freshness import Act, judge
from proxy.core.rules import default_rule
from proxy.errors import UpstreamReset
from proxy.pinned import AGAIN_S, Pinned

URL = "http://site.test/kept/a"
TTL_S, COST_S = 60.0, 2.0


def world(*answers):
    clock = FakeClock()
    rules = (rule(ttl=TTL_S), default_rule())
    return World(FakeEngine(*answers, clock=clock, takes=COST_S), rules=rules, clock=clock)


def pinned(here, *urls, name="kept"):
    return Pinned(
        {name: urls or (URL,)}, here.rules, here.places, here.refresh, here.bypass, here.mode, here.clock, new_id=lambda: "1" * 32, roll=lambda: 0.0
    )  # fmt: skip


async def test_it_is_there_before_anybody_asks():
    here = world(answer(b"one"))
    keeping = asyncio.get_running_loop().create_task(pinned(here).keep())
    async with asyncio.timeout(5):
        while not here.engine.requests or len(here.flights):
            await asyncio.sleep(0)
    assert (await here.ask()).body == b"one"
    assert here.outcomes == ["hit"]
    keeping.cancel()


async def test_it_is_fetched_again_on_time_though_nobody_reads_it():
    here = world(*[answer(b"%d" % number) for number in range(9)])
    pins = pinned(here)
    calls = []
    for _ in range(30):
        wait_s = await pins.look(pins._asked[0])
        await here.landed()
        calls.append(len(here.engine.requests))
        here.clock.advance(wait_s)
        if calls[-1] > 4:
            break
    took = here.clock.timer()
    assert took >= 3 * (TTL_S - 5 * COST_S), "once for each ending"
    here.clock.advance(-1)
    assert (await here.ask()).body == b"4"
    assert here.outcomes == ["hit"]


async def test_nothing_is_fetched_while_observing():
    here = world(answer(b"one"))
    pins, here.mode.observing = pinned(here), True
    assert await looked_after(here, pins, 10) == 0
    here.mode.observing = False
    assert await looked_after(here, pins, 1) == 1


async def looked_after(here, pins, seconds):
    """Look as long as that; return how often the upstream was asked."""
    before, until = len(here.engine.requests), here.clock.timer() + seconds
    while here.clock.timer() < until:
        wait_s = await pins.look(pins._asked[0])
        await here.landed()
        here.clock.advance(wait_s)
    return len(here.engine.requests) - before


async def test_what_fails_is_tried_again_and_not_at_once():
    here = world(UpstreamReset("gone"), answer(b"one"))
    pins = pinned(here)
    assert await pins.look(pins._asked[0]) == AGAIN_S
    await here.landed()
    here.clock.advance(AGAIN_S)
    assert await pins.look(pins._asked[0]) == 2 * AGAIN_S
    await here.landed()
    assert (await here.ask()).body == b"one"


async def test_what_cannot_be_stored_was_fetched_for_ever():
    here = world(answer(b"one", (b"set-cookie", b"a=b")))
    assert await looked_after(here, pinned(here), 3600) <= 12


async def test_pins_were_asked_for_while_the_bypass_was_on():
    here = world(answer(b"one"))
    here.bypass.turn(on=True)
    assert await looked_after(here, pinned(here), 600) == 0


@pytest.mark.parametrize(("ttl", "cost"), [(10.0, 0.5), (60.0, 0.1), (3.0, 0.1)])
async def test_short_lived_and_cheap_pins_were_absent_now_and_then(ttl, cost):
    clock = FakeClock()
    here = World(
        FakeEngine(answer(b"one"), clock=clock, takes=cost), rules=(rule(ttl=ttl), default_rule()), clock=clock
    )
    pins = pinned(here)
    absent, due = 0, 0.0
    for _ in range(2000):
        if clock.timer() >= due:
            due = clock.timer() + await pins.look(pins._asked[0])
            await here.landed()
        clock.advance(0.1)
        found = await here.places.find(pins._asked[0])
        absent += found.entry is None or judge(found.entry, clock.wall(), {}).act is not Act.DELIVER
    assert absent == 0


WRONG = {
    "another rule's": ("http://site.test/other", "which is for default"),
    "with a fragment": ("http://site.test/kept/a#b", "fragment"),
}


@pytest.mark.parametrize(("url", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_kept_is_told_at_the_start(url, said):
    with pytest.raises(ValueError, match=said):
        pinned(world(), url)


async def test_a_pin_is_asked_for_as_background_work():
    here = world(answer(b"one"))
    pins = pinned(here)
    await pins.look(pins._asked[0])
    await here.landed()
    (sent,) = here.engine.requests
    assert (sent.method, sent.target) == ("GET", b"/kept/a")
    assert (await here.ask(asked("/kept/a"))).body == b"one"
