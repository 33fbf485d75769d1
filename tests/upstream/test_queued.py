"""A place in the queue: how many are before it, and how it is left behind no longer."""

import pytest
from virtual_time import VirtualClock, virtually

from proxy.core.fair_queue import Priority
from proxy.upstream.limit import Limit
from proxy.upstream.slots import OwnSlots


@pytest.fixture
def limit():
    return Limit(OwnSlots(), 1, VirtualClock())


async def waiting(limit, *priorities):
    """Let one hold the slot and others wait; return their places and tasks, in that order."""
    import asyncio

    places, tasks = [], []
    first = await limit.acquire("first", Priority.CLIENT)
    for number, priority in enumerate(priorities):
        asking = limit.acquire(f"{number}", priority, note=places.append)
        tasks.append(asyncio.get_running_loop().create_task(asking))
        await asyncio.sleep(0)
    return first, places, tasks


@virtually
async def test_it_tells_how_many_have_their_turn_before(limit):
    first, places, tasks = await waiting(limit, Priority.CLIENT, Priority.REFRESH, Priority.CLIENT)
    assert [one.ahead() for one in places] == [0, 2, 1]
    first.release()
    slot = await tasks[0]
    assert [one.ahead() for one in places] == [None, 1, 0]
    slot.release()
    (await tasks[2]).release()
    (await tasks[1]).release()


@virtually
async def test_who_is_waited_for_now_waits_as_a_client(limit):
    first, places, tasks = await waiting(limit, Priority.WARM, Priority.REFRESH, Priority.CLIENT)
    places[0].hurry("somebody")
    assert [one.ahead() for one in places] == [1, 2, 0]
    first.release()
    (await tasks[2]).release()
    slot = await tasks[0]
    assert slot.priority is Priority.CLIENT
    slot.release()
    (await tasks[1]).release()
    assert limit.status().in_flight == 0


@virtually
async def test_to_hurry_one_that_waits_no_longer_changes_nothing(limit):
    first, places, tasks = await waiting(limit, Priority.WARM)
    first.release()
    slot = await tasks[0]
    places[0].hurry("somebody")
    assert (places[0].ahead(), limit.status().waiting) == (None, 0)
    slot.release()


@virtually
async def test_where_a_slot_is_free_nobody_waits(limit):
    places = []
    (await limit.acquire("a", Priority.CLIENT, note=places.append)).release()
    assert places == []
