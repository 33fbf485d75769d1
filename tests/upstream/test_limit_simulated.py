"""Hours of load against an upstream of known capacity, in virtual time: throughput, fairness, an outage."""

import asyncio
from collections import Counter

import pytest
from simulated_upstream import SimulatedUpstream
from virtual_time import VirtualClock, run_virtually

from proxy.core.aimd import Sign
from proxy.core.fair_queue import Priority
from proxy.errors import UpstreamBusy, UpstreamRefused
from proxy.upstream.limit import Limit
from proxy.upstream.slots import OwnSlots

LASTING = {
    "1 to 69 s": lambda dice: dice.uniform(1, 69),
    "40 to 69 s": lambda dice: dice.uniform(40, 69),
    "a minute": lambda _: 60.0,
    "mostly short": lambda dice: min(69.0, dice.expovariate(1 / 20)),
}


async def crowd(upstream, limit, clients, hours):
    """Let clients, each so many times, ask again and again; return how many of their calls were answered."""
    clock, answered = VirtualClock(), Counter()
    end = clock.timer() + hours * 3600

    async def ask(client, charge):
        while clock.timer() < end:
            try:
                slot = await limit.acquire(client, Priority.CLIENT, None, charge)
            except UpstreamRefused as error:
                await asyncio.sleep(error.retry_after_s)
                continue
            if await upstream.call(slot) is Sign.FINE and clock.timer() <= end:
                answered[client] += 1

    async with asyncio.TaskGroup() as group:
        for client, times, charge in clients:
            for _ in range(times):
                group.create_task(ask(client, charge))
    assert limit.status().in_flight == limit.status().waiting == 0
    return answered


def hours_of(hours, capacity, ceiling, lasts, seed, clients):
    async def main():
        upstream = SimulatedUpstream(capacity, lasts, seed)
        answered = await crowd(upstream, Limit(OwnSlots(), ceiling, VirtualClock()), clients, hours)
        assert upstream.most <= ceiling
        return answered, upstream

    return run_virtually(main())


@pytest.mark.parametrize("lasts", LASTING.values(), ids=LASTING)
@pytest.mark.parametrize("capacity", [3, 8, 20])
def test_as_much_is_answered_as_with_a_perfect_limit(capacity, lasts):
    clients = [(f"{number}", 1, 1) for number in range(4 * capacity)]
    perfect, _ = hours_of(3, capacity, capacity, lasts, 1, clients)
    for ceiling in (capacity, 2 * capacity):
        answered, upstream = hours_of(3, capacity, ceiling, lasts, 2, clients)
        assert answered.total() >= 0.95 * perfect.total()
        assert upstream.ends[Sign.BUSY] <= 0.05 * answered.total()


@pytest.mark.parametrize("at_once", [1, 5])
def test_one_who_floods_takes_nothing_from_nineteen_others(at_once):
    clients = [("flood", 200, 1), *[(f"{number}", at_once, 1) for number in range(19)]]
    answered, _ = hours_of(10, 8, 8, LASTING["1 to 69 s"], 3, clients)
    fair = answered.total() / 20
    for number in range(19):
        assert 0.8 * fair <= answered[f"{number}"] <= 1.2 * fair


def test_a_split_of_eight_parts_pays_for_each():
    clients = [("split", 30, 8), ("single", 30, 1)]
    answered, _ = hours_of(10, 4, 4, LASTING["1 to 69 s"], 4, clients)
    assert answered["single"] / answered["split"] == pytest.approx(8, rel=0.05)


CEILING = 8


def outage(seed):
    """Be busy for an hour, down for an hour, and back for another; return all calls' beginnings and the limit."""

    async def main():
        upstream = SimulatedUpstream(CEILING, LASTING["1 to 69 s"], seed)
        limit, loop = Limit(OwnSlots(), CEILING, VirtualClock()), asyncio.get_running_loop()
        down, back = loop.time() + 3600, loop.time() + 7200
        loop.call_at(down, setattr, upstream, "is_down", True)
        loop.call_at(back, setattr, upstream, "is_down", False)
        refused = []

        async def impatient():
            while loop.time() < back + 3600:
                try:
                    slot = await limit.acquire("client", Priority.CLIENT, 120.0)
                except UpstreamRefused as error:
                    refused.append((loop.time(), error.retry_after_s))
                    await asyncio.sleep(0.5)
                except UpstreamBusy:
                    await asyncio.sleep(0.5)
                else:
                    await upstream.call(slot)

        async with asyncio.TaskGroup() as group:
            for _ in range(40):
                group.create_task(impatient())
        return down, back, upstream.began, refused, upstream.ends[Sign.BUSY], limit.status()

    return run_virtually(main())


def test_after_an_hour_down_nobody_storms_the_upstream():
    down, back, began, refused, busy, status = outage(5)
    last = max(when for when in began if when < back)
    assert back - last <= 10.5, "it was not tried any more"
    during = [when for when in began if down + 200 < when < back]
    assert len(during) <= 3400 / 10 + 2, "one probe in ten seconds"
    assert len([1 for when, _ in refused if down + 200 < when < back]) > 40 * 6_000, "all others were told at once"
    assert all(1.0 <= after <= 10.0 for _, after in refused)
    first = min(when for when in began if when >= back)
    assert first - back <= 10.5
    assert len([1 for when in began if first <= when < first + 1]) <= CEILING
    assert busy == 0, "it came back slowly enough"
    assert len([1 for when in began if when > back + 600]) >= 0.95 * 8 * 3000 / 35, "and wholly"
    assert status.limit == CEILING
    assert not status.is_shut
