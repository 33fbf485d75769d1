"""A rule may say how long a client waits for a fresh answer where a stale one within grace is there."""

import pytest
from fakes import FakeEngine, Held, answer
from world import World, asked, rule

from proxy.core.rules import Rule

TTL_S, GRACE_S = 10.0, 100.0


def patient_for(seconds: float | None, **more) -> tuple[Rule, ...]:
    return (rule(ttl=TTL_S, error=GRACE_S, soft_deadline=seconds, **more),)


async def aged(here: World, seconds: float) -> None:
    await here.ask()
    here.clock.advance(seconds)


async def test_who_has_waited_enough_gets_the_stale_answer_and_the_fetch_goes_on() -> None:
    held = Held(answer(b"new"))
    here = World(FakeEngine(answer(b"old"), held), rules=patient_for(0.01))
    await aged(here, 11)
    got = await here.ask()
    assert (got.body, got.header(b"cache-status")) == (b"old", b"Frontrunner; fwd=stale; detail=slow")
    line = here.last
    assert (line.outcome, line.reason, line.error, line.upstream_calls) == ("stale", "slow", None, 1)
    held.go.set()
    await here.landed()
    assert (await here.ask()).body == b"new"
    assert len(here.engine.requests) == 2


async def test_others_who_come_meanwhile_wait_no_longer_either() -> None:
    held = Held(answer(b"new"))
    here = World(FakeEngine(answer(b"old"), held), rules=patient_for(0.01))
    await aged(here, 11)
    for _ in range(3):
        assert (await here.ask()).body == b"old"
    assert len(here.engine.requests) == 2
    held.go.set()
    await here.landed()


async def test_a_fresh_answer_in_time_goes_out() -> None:
    here = World(FakeEngine(answer(b"old"), answer(b"new")), rules=patient_for(5.0))
    await aged(here, 11)
    assert (await here.ask()).body == b"new"
    assert here.outcomes[-1] == "expired"


NO_STALE = {
    "past its grace": (TTL_S + GRACE_S + 1, ()),
    "wanted anew by its client": (11, ((b"cache-control", b"no-cache"),)),
}


@pytest.mark.parametrize(("seconds", "fields"), NO_STALE.values(), ids=NO_STALE)
async def test_where_no_stale_one_may_be_served_the_client_waits(seconds, fields) -> None:
    held = Held(answer(b"new"))
    here = World(FakeEngine(answer(b"old"), held), rules=patient_for(0.001))
    await aged(here, seconds)
    asking = here.start(asked("/kept/a", *fields))
    await held.asked.wait()
    held.go.set()
    assert (await asking).body == b"new"


async def test_without_a_word_of_the_rule_the_client_waits() -> None:
    held = Held(answer(b"new"))
    here = World(FakeEngine(answer(b"old"), held), rules=patient_for(None))
    await aged(here, 11)
    asking = here.start()
    await held.asked.wait()
    held.go.set()
    assert (await asking).body == b"new"
