"""What is read steadily is fetched again before it ends: nobody waits, and the upstream is asked once for each ending."""

import asyncio
import random

import pytest
from fakes import FakeClock, FakeEngine, Held, answer, limited, until
from processes import Processes
from world import World, asked, rule

from proxy.core.rules import default_rule
from proxy.refresh import AGAIN_S

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
    """With one slot that a client holds, the stale answer goes out; its refresh begins with a later one."""
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
    assert len(here.flights) == 1, "nobody has to wait for a refresh that waits"
    held.go.set()
    await slow
    await here.ask()
    await here.landed()
    assert (await here.ask()).body == b"two"


async def test_with_a_shared_store_nothing_was_ever_refreshed_ahead():
    """What was stored before is no answer that another process has stored meanwhile."""
    engine = FakeEngine(answer(b"one"), answer(b"two"))
    two = Processes(engine, rules=(rule(ttl=TTL_S),))
    engine._clock, engine._takes = two.clock, COST_S
    await two.one.ask()
    two.clock.advance(TTL_S - COST_S)
    assert (await two.one.ask()).body == b"one"
    await two.one.landed()
    assert (await two.one.ask()).body == b"two"
    assert two.one.outcomes == ["miss", "hit", "hit"]
    await two.close()


async def test_a_refresh_went_up_with_what_one_client_wanted_of_one_answer():
    """Its Prefer would have the upstream answer 202, its Cache-Control nothing at all; and all others would get that."""
    here = world(answer(b"one"), answer(b"two"))
    await here.ask()
    here.clock.advance(TTL_S + 1)
    fields = ((b"prefer", b"return=minimal"), (b"cache-control", b"max-stale"), (b"priority", b"u=0"), (b"x-a", b"1"))
    await here.ask(asked("/kept/a", *fields))
    await here.landed()
    sent = {name for name, _ in here.engine.requests[-1].headers}
    assert not {b"prefer", b"cache-control", b"priority"} & sent
    assert b"x-a" in sent


async def test_each_stale_hit_began_a_refresh_that_another_process_was_at():
    here = world(answer(b"one"))
    await here.ask()
    here.clock.advance(TTL_S + 1)
    begun = []
    here.flights.start = lambda *_: begun.append(1)
    for _ in range(100):
        await here.ask()
    assert len(begun) == 1
    here.clock.advance(AGAIN_S)
    await here.ask()
    assert len(begun) == 2


async def test_who_has_no_rule_of_the_owners_was_held_up_by_a_refresh():
    """It waited for a slot, and no longer than the owner's timeout, for an answer that it would have waited for."""
    fresh = (b"cache-control", b"max-age=10, stale-while-revalidate=10")
    held = Held(answer(b"refreshed", fresh))
    here = world(answer(b"one", fresh), held, answer(b"own", fresh), rules=(default_rule(),))
    await here.ask()
    here.clock.advance(9)
    await here.ask()
    await held.asked.wait()
    here.clock.advance(30)
    assert (await here.ask()).body == b"own"
    held.go.set()


async def test_a_second_warming_request_made_the_first_one_a_clients():
    clock, held = FakeClock(), Held(answer(b"slow"))
    here = World(FakeEngine(held, answer(b"warm"), clock=clock), clock=clock, protection=limited(1, clock))
    slow = here.start(asked("/kept/slow"))
    await held.asked.wait()
    warming = [here.start(asked("/kept/w", (b"priority", b"u=7"))) for _ in range(2)]
    await until(lambda: here.protection.status().waiting)
    await asyncio.sleep(0)
    assert here.protection.status().by_priority["client"] == 0
    held.go.set()
    await asyncio.gather(slow, *warming)


async def test_what_all_clients_had_left_went_up_before_those_who_waited():
    clock, held = FakeClock(), Held(answer(b"slow"))
    here = World(FakeEngine(held, answer(b"b"), answer(b"a"), clock=clock), clock=clock, protection=limited(1, clock))
    slow = here.start(asked("/kept/slow"))
    await held.asked.wait()
    leaves = here.start(asked("/kept/left"))
    await until(lambda: here.protection.status().waiting)
    leaves.cancel()
    await asyncio.gather(leaves, return_exceptions=True)
    stays = here.start(asked("/kept/stays"))
    await until(lambda: here.protection.status().waiting == 2)
    held.go.set()
    await asyncio.gather(slow, stays)
    assert [one.target for one in here.engine.requests[:2]] == [b"/kept/slow", b"/kept/stays"]
    await here.landed()


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
