"""Several processes and one upstream: they share the slots and what they learnt, and wake each other."""

import asyncio
import random
from collections import Counter
from contextlib import contextmanager

import pytest
from virtual_time import VirtualClock, virtually

from proxy.core.aimd import Sign
from proxy.core.fair_queue import Priority
from proxy.errors import UpstreamError, UpstreamRefused
from proxy.upstream.limit import Limit
from proxy.upstream.neighbours import Neighbours
from proxy.upstream.slots import SharedSlots

CLIENT, REFRESH = Priority.CLIENT, Priority.REFRESH
DOWN = UpstreamRefused("nobody listens")


class Machine:
    """Limits that share slots as processes do; what they tell each other takes a millisecond, or is lost."""

    def __init__(self, folder, count, ceiling):
        self.words_are_lost = False
        self.slots = [SharedSlots(folder / "slots", "upstream", ceiling) for _ in range(count)]
        self.limits = []
        for number, slots in enumerate(self.slots):
            roll = random.Random(number).random
            neighbours = Neighbours(f"{number}", lambda said, number=number: self.tell(number, said), roll)
            self.limits.append(Limit(slots, ceiling, VirtualClock(), neighbours=neighbours))

    def tell(self, teller, message):
        for number, limit in enumerate(self.limits):
            if number != teller and not self.words_are_lost:
                asyncio.get_running_loop().call_later(0.001, limit.hear, message)


@contextmanager
def machine_of(folder, count, ceiling):
    machine = Machine(folder, count, ceiling)
    try:
        yield machine
    finally:
        for limit in machine.limits:
            limit.close()


def asks(limit, client="client", priority=CLIENT):
    return asyncio.get_running_loop().create_task(limit.acquire(client, priority))


@virtually
async def test_who_waits_in_one_is_woken_by_another(tmp_path):
    with machine_of(tmp_path, 3, 1) as machine:
        one, two, _ = machine.limits
        slot = await one.acquire("a", CLIENT)
        waits = asks(two)
        await asyncio.sleep(0.01)
        assert two.status().in_flight == 1
        slot.release(Sign.FINE)
        await asyncio.sleep(0.005)
        assert waits.done()
        waits.result().release()
        assert one.status().in_flight == 0


@pytest.mark.parametrize("how", ["killed", "released"])
@virtually
async def test_without_a_word_a_free_slot_is_found_within_a_second(tmp_path, how):
    with machine_of(tmp_path, 2, 1) as machine:
        one, two = machine.limits
        machine.words_are_lost = True
        slot = await one.acquire("a", CLIENT)
        waits = asks(two)
        await asyncio.sleep(10)
        assert not waits.done()
        if how == "killed":
            machine.slots[0].close()
        else:
            slot.release(Sign.FINE)
        await asyncio.sleep(0.7)
        assert waits.done()
        waits.result().release()


@virtually
async def test_nobody_looks_for_slots_while_nobody_waits(tmp_path):
    with machine_of(tmp_path, 2, 1) as machine:
        slot = await machine.limits[0].acquire("a", CLIENT)
        waits = asks(machine.limits[1])
        await asyncio.sleep(5)
        slot.release(Sign.FINE)
        (await waits).release(Sign.FINE)
        await asyncio.sleep(1)
        assert not [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]


@virtually
async def test_what_one_learnt_holds_for_all(tmp_path):
    with machine_of(tmp_path, 3, 8) as machine:
        slot = await machine.limits[0].acquire("a", CLIENT)
        await asyncio.sleep(1)
        slot.release(Sign.BUSY)
        await asyncio.sleep(0.01)
        assert [limit.status().limit for limit in machine.limits] == [7.0] * 3


@virtually
async def test_a_refresh_takes_nothing_that_a_client_of_another_process_waits_for(tmp_path):
    with machine_of(tmp_path, 2, 2) as machine:
        one, two = machine.limits
        slots = [await one.acquire("a", CLIENT) for _ in range(2)]
        client, refresh = asks(two), asks(one, "key", REFRESH)
        await asyncio.sleep(5)
        slots[0].release(Sign.FINE)
        await asyncio.sleep(0.1)
        assert (client.done(), refresh.done()) == (True, False)
        slots[1].release(Sign.FINE)
        await asyncio.sleep(5)
        assert not refresh.done(), "the last one is left for a client"
        client.result().release(Sign.FINE)
        await asyncio.sleep(1)
        assert refresh.done()


@virtually
async def test_a_refresh_that_comes_to_a_third_process_is_not_quicker_than_a_client_that_waits(tmp_path):
    with machine_of(tmp_path, 3, 1) as machine:
        one, two, three = machine.limits
        slot = await one.acquire("a", CLIENT)
        client = asks(two)
        await asyncio.sleep(0.1)
        slot.release(Sign.FINE)
        refresh = asks(three, "key", REFRESH)
        await asyncio.sleep(0.1)
        assert (client.done(), refresh.done()) == (True, False)
        client.result().release(Sign.FINE)
        await asyncio.sleep(1)
        assert refresh.done()


@virtually
async def test_that_nobody_waits_any_more_is_told_at_once(tmp_path):
    with machine_of(tmp_path, 2, 1) as machine:
        one, two = machine.limits
        slot = await one.acquire("a", CLIENT)
        client = asks(two)
        await asyncio.sleep(0.1)
        client.cancel()
        await asyncio.sleep(0.01)
        slot.release(Sign.FINE)
        refresh = asks(one, "key", REFRESH)
        await asyncio.sleep(0.01)
        assert refresh.done()


@virtually
async def test_who_comes_when_a_slot_was_freed_without_a_word_does_not_pass_who_waits(tmp_path):
    with machine_of(tmp_path, 2, 1) as machine:
        one, two = machine.limits
        machine.words_are_lost = True
        slot = await one.acquire("a", CLIENT)
        waits = asks(two, "b")
        await asyncio.sleep(0.1)
        slot.release(Sign.FINE)
        comes = asks(two, "c")
        await asyncio.sleep(0.01)
        assert (waits.done(), comes.done()) == (True, False)


@virtually
async def test_who_saw_it_come_back_tells_all(tmp_path):
    with machine_of(tmp_path, 2, 4) as machine:
        for limit in machine.limits:
            for _ in range(5):
                slot = await limit.acquire("a", CLIENT)
                await asyncio.sleep(0.2)
                slot.release(Sign.REFUSED, DOWN)
        one, two = machine.limits
        assert one.status().is_shut
        assert two.status().is_shut
        await asyncio.sleep(1)
        (await one.acquire("a", CLIENT)).release(Sign.FINE)
        await asyncio.sleep(0.01)
        assert [(limit.status().is_shut, limit.status().limit) for limit in machine.limits] == [(False, 1.0)] * 2


@virtually
async def test_what_it_does_not_understand_it_does_not_hear(tmp_path):
    with machine_of(tmp_path, 1, 4) as machine:
        (limit,) = machine.limits
        for message in (b"", b"place", b"sl other x", b"su other 0", b"\xff"):
            limit.hear(message)
        assert limit.status().limit == 4.0
        unlimited = Limit(machine.slots[0], None, VirtualClock())
        unlimited.hear(b"sl other 1.0")
        assert unlimited.status().limit is None


@virtually
async def test_clients_of_all_processes_have_the_same_share(tmp_path):
    """Nine clients come to the first process, with one who floods; ten to the second: nobody notices the flood."""
    with machine_of(tmp_path, 2, 6) as machine:
        loop, answered, dice = asyncio.get_running_loop(), Counter(), random.Random(7)
        end, most = loop.time() + 3600, 0

        async def ask(limit, client):
            nonlocal most
            while loop.time() < end:
                slot = await limit.acquire(client, CLIENT)
                most = max(most, limit.status().in_flight)
                await asyncio.sleep(dice.uniform(1, 9))
                slot.release(Sign.FINE)
                answered[client] += 1

        async with asyncio.TaskGroup() as group:
            for number in range(19):
                group.create_task(ask(machine.limits[number >= 9], f"{number}"))
            for _ in range(100):
                group.create_task(ask(machine.limits[0], "flood"))
        assert most == 6
        fair = (answered.total() - 100) / 20
        shares = [answered[f"{number}"] / fair for number in range(19)]
        assert min(shares) >= 0.8
        assert max(shares) <= 1.2


@virtually
async def test_in_no_order_are_there_more_than_may_be_or_is_one_lost(tmp_path):
    with machine_of(tmp_path, 3, 2) as machine:
        dice, held = random.Random(11), []

        async def ask(limit):
            slot = await limit.acquire(dice.choice("abc"), dice.choice(list(Priority)), dice.choice([1.0, 20.0]))
            held.append(slot)
            assert len(held) <= 2
            sign = Sign.NOTHING
            try:
                await asyncio.sleep(dice.choice([0, 0.01, 3]))
                sign = dice.choice([Sign.FINE, Sign.FINE, Sign.NOTHING, Sign.BUSY])
            finally:
                held.remove(slot)
                slot.release(sign)

        tasks = []
        for _ in range(2_000):
            tasks.append(asyncio.get_running_loop().create_task(ask(dice.choice(machine.limits))))
            if dice.random() < 0.3:
                dice.choice(tasks[-20:]).cancel()
            machine.words_are_lost = dice.random() < 0.2
            await asyncio.sleep(dice.choice([0, 0.01, 1.0]))
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(one) for one in ended} <= {type(None), asyncio.CancelledError} | set(
            UpstreamError.__subclasses__()
        )
        assert [limit.status().in_flight + limit.status().waiting for limit in machine.limits] == [0, 0, 0]
