"""What is read steadily is fetched again before it ends: nobody waits, and the upstream is asked once for each ending."""

import asyncio
import random

import pytest
from fakes import FakeClock, FakeEngine, Held, answer, limited, until
from world import World, asked, rule

from proxy.core.rules import default_rule

TTL_S, COST_S = 60.0, 2.0


def world(*answers, roll=lambda: 0.5, rules=None, **more):
    clock = FakeClock()
    engine = FakeEngine(*answers, clock=clock, takes=COST_S)
    return World(engine, rules=rules or (rule(ttl=TTL_S, refresh=TTL_S),), clock=clock, roll=roll, **more)


async def test_of_ten_thousand_steady_reads_none_waits():
    """The first one fetches; after that no read is stale, and each answer is fetched again once."""
    here = world(*[answer(b"%d" % number) for number in range(200)], roll=random.Random(7).random)
    await here.ask()
    began = here.clock.timer()
    for _ in range(10_000):
        here.clock.advance(0.5)
        await here.ask()
        await here.landed()
    outcomes = [str(line.outcome) for line in here.log.requests[1:]]
    assert set(outcomes) == {"hit"}
    took = here.clock.timer() - began
    refreshes = len(here.engine.requests) - 1
    assert took / TTL_S - 1 <= refreshes <= took / (TTL_S - 5 * COST_S), "one for each stored answer, in its window"


async def test_a_key_that_is_read_by_many_is_refreshed_once():
    here = world(answer(b"one"), Held(answer(b"two")))
    await here.ask()
    here.clock.advance(TTL_S - 1)
    await asyncio.gather(*[here.ask() for _ in range(50)])
    assert len(here.engine.requests) == 2
    assert here.outcomes[1:] == ["hit"] * 50


async def test_a_refresh_that_failed_is_not_tried_again_for_the_same_answer():
    here = world(answer(b"one"), answer(b"", status=500), answer(b"two"))
    await here.ask()
    here.clock.advance(TTL_S - 3)
    for _ in range(3):
        await here.ask()
        await here.landed()
    assert len(here.engine.requests) == 2


@pytest.mark.parametrize(("before_end", "calls"), [(30.0, 1), (10.5, 1), (4.0, 2), (0.5, 2)])
async def test_the_window_is_measured_in_what_the_answer_cost(before_end, calls):
    """Five times its cost at most, and surely within two; `roll` of one half is lucky in neither."""
    here = world(answer(b"one"), answer(b"two"))
    await here.ask()
    here.clock.advance(TTL_S - before_end)
    await here.ask()
    await here.landed()
    assert len(here.engine.requests) == calls


async def test_what_nobody_paid_for_is_not_refreshed_ahead():
    here = world(answer(b"one"), answer(b"two"))
    here.engine._takes = 0.0
    await here.ask()
    here.clock.advance(TTL_S - 0.001)
    await here.ask()
    await here.landed()
    assert len(here.engine.requests) == 1


async def test_where_no_rule_is_the_owners_nothing_is_asked_but_what_clients_ask():
    fresh = (b"cache-control", b"max-age=60")
    here = world(answer(b"one", fresh), answer(b"two", fresh), rules=(default_rule(),))
    await here.ask()
    here.clock.advance(TTL_S - 1 - COST_S)
    await here.ask()
    await here.landed()
    assert len(here.engine.requests) == 1


async def test_a_refresh_takes_only_what_clients_leave():
    """With one slot that a client holds, the stale answer goes out and its refresh waits its turn."""
    clock, held = FakeClock(), Held(answer(b"slow"))
    here = World(
        FakeEngine(answer(b"one"), held, answer(b"two"), clock=clock),
        rules=(rule(ttl=10.0, refresh=100.0),), clock=clock, protection=limited(1, clock),
    )  # fmt: skip
    await here.ask()
    clock.advance(11)
    slow = here.start(asked("/kept/slow"))
    await held.asked.wait()
    assert (await here.ask()).body == b"one"
    await until(lambda: here.protection.status().by_priority["refresh"] == 1)
    held.go.set()
    await slow
    await here.landed()
    assert (await here.ask()).body == b"two"


async def test_a_client_who_comes_to_wait_for_a_refresh_does_not_wait_behind_clients():
    clock, held = FakeClock(), Held(answer(b"slow"))
    here = World(
        FakeEngine(answer(b"one"), held, answer(b"two"), clock=clock),
        rules=(rule(ttl=10.0, refresh=5.0),), clock=clock, protection=limited(1, clock),
    )  # fmt: skip
    await here.ask()
    clock.advance(11)
    slow = here.start(asked("/kept/slow"))
    await held.asked.wait()
    await here.ask()
    clock.advance(10)
    late = here.start()
    await until(lambda: here.protection.status().by_priority["client"] == 1)
    assert here.protection.status().by_priority["refresh"] == 0
    held.go.set()
    assert ((await slow).body, (await late).body) == (b"slow", b"two")
