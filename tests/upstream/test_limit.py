"""The limit: who gets a slot and when, who is turned away, and that none is ever lost."""

import asyncio

import pytest
from virtual_time import VirtualClock, virtually

from proxy.core.aimd import Sign
from proxy.core.fair_queue import Priority
from proxy.errors import UpstreamBusy, UpstreamError, UpstreamRefused
from proxy.upstream.limit import Limit
from proxy.upstream.slots import OwnSlots

CLIENT, REFRESH, WARM, SHADOW = Priority
DOWN = UpstreamRefused("nobody listens")


def limit_of(ceiling, **options):
    return Limit(OwnSlots(), ceiling, VirtualClock(), **options)


def now():
    return asyncio.get_running_loop().time()


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


class Asker:
    """One who asks for a slot; `slot` and `error` are what came of it."""

    def __init__(self, limit, client="client", priority=CLIENT, most_wait_s=None, charge=1):
        self.slot = self.error = self.at = None
        self._asks = limit.acquire(client, priority, most_wait_s, charge)
        self.task = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self):
        try:
            self.slot = await self._asks
        except UpstreamError as error:
            self.error = error
        self.at = now()

    @property
    def waits(self):
        return not self.task.done()


async def asked(limit, *who):
    """Let some ask, one after the other; each is (client, priority, …)."""
    askers = []
    for one in who:
        askers.append(Asker(limit, *one))
        await settle()
    return askers


async def shut(limit):
    """Let the upstream fail until it is taken for down."""
    for _ in range(5):
        slot = await limit.acquire("client", CLIENT)
        await asyncio.sleep(0.2)
        slot.release(Sign.REFUSED, DOWN)
    assert limit.status().is_shut


@virtually
async def test_up_to_the_ceiling_are_given_at_once_and_then_in_turn():
    limit = limit_of(2)
    first, second, third, fourth = await asked(limit, *[("client",)] * 4)
    assert (first.slot.waited_s, second.slot.waited_s) == (0.0, 0.0)
    assert third.waits
    assert fourth.waits
    await asyncio.sleep(3)
    first.slot.release(Sign.FINE)
    await settle()
    assert third.slot.waited_s == 3.0
    assert fourth.waits
    second.slot.release(Sign.FINE)
    await settle()
    assert fourth.slot


@virtually
async def test_a_slot_is_given_back_once_however_often_it_is_released():
    limit = limit_of(1)
    slot = await limit.acquire("client", CLIENT)
    slot.release()
    other = await limit.acquire("client", CLIENT)
    slot.release()
    assert limit.status().in_flight == 1
    other.release()


@virtually
async def test_a_slot_stays_taken_while_the_upstream_goes_on_with_the_call():
    limit = limit_of(1)
    slot = await limit.acquire("client", CLIENT)
    slot.hold_until(now() + 40)
    slot.release()
    begun = now()
    (next_,) = await asked(limit, ("client",))
    assert limit.status().in_flight == 1
    await next_.task
    assert next_.at == begun + 40


# who is next


@virtually
async def test_clients_take_turns_and_others_come_after_them():
    limit, order = limit_of(1), []
    (busy,) = await asked(limit, ("busy",))
    who = [("s", SHADOW), ("w", WARM), ("r", REFRESH), ("a",), ("a",), ("b",), ("c", CLIENT, None, 8), ("c",)]
    waiting = await asked(limit, *who)
    slot = busy.slot
    while slot:
        slot.release(Sign.FINE)
        await settle()
        slot = next((one.slot for one in waiting if one.slot and one not in order), None)
        order += [one for one in waiting if one.slot and one not in order]
    names = [who[waiting.index(one)][0] for one in order]
    assert "".join(names) == "abcacrws"


SPARE = {  # ceiling, who holds a slot → whether a refresh gets one at once
    "all free": (2, [], True),
    "the last but one": (3, [CLIENT], True),
    "the last is for a client": (3, [CLIENT, CLIENT], False),
    "the last, of a refresh before": (2, [REFRESH], False),
    "the only one": (1, [], True),
    "the only one is taken": (1, [CLIENT], False),
    "no ceiling": (None, [CLIENT] * 50, True),
    "no ceiling: one at a time": (None, [REFRESH], False),
    "no ceiling: one at a time of all kinds": (None, [SHADOW], False),
}


@pytest.mark.parametrize(("ceiling", "held", "given"), SPARE.values(), ids=SPARE)
@virtually
async def test_a_refresh_takes_what_is_spare(ceiling, held, given):
    limit = limit_of(ceiling)
    slots = [await limit.acquire("client", priority) for priority in held]
    (refresh,) = await asked(limit, ("key", REFRESH))
    assert bool(refresh.slot) is given
    for slot in slots:
        slot.release(Sign.FINE)
    await settle()
    assert refresh.slot


@virtually
async def test_without_a_ceiling_clients_never_wait():
    limit = limit_of(None)
    slots = [await limit.acquire("client", CLIENT) for _ in range(500)]
    status = limit.status()
    assert (status.in_flight, status.limit, status.ceiling, status.waiting) == (500, None, None, 0)
    for slot in slots:
        slot.release(Sign.BUSY)
    assert limit.status().in_flight == 0


@virtually
async def test_what_is_told_of_it():
    limit = limit_of(2)
    await asked(limit, ("a",), ("b",), ("c",), ("d",), ("key", REFRESH), ("key", SHADOW))
    status = limit.status()
    assert (status.in_flight, status.limit, status.ceiling, status.waiting) == (2, 2.0, 2, 4)
    assert status.by_priority == {"client": 2, "refresh": 1, "warm": 0, "shadow": 1}
    assert not status.is_shut
    limit.close()
    await settle()


# who is turned away


@virtually
async def test_who_finds_the_queue_full_is_told_so_and_when_to_come_again():
    limit = limit_of(1, most_waiting=3)
    (busy,) = await asked(limit, ("client",))
    await asyncio.sleep(40)
    busy.slot.release(Sign.FINE)
    askers = await asked(limit, *[("client",)] * 5)
    assert [one.waits for one in askers] == [False, True, True, True, False]
    error = askers[-1].error
    assert isinstance(error, UpstreamBusy)
    assert (error.status, error.reason) == (503, "queue_full")
    assert error.retry_after_s == pytest.approx(40 * 3.5)
    limit.close()
    await settle()


@virtually
async def test_a_client_displaces_the_last_come_of_the_lowest():
    limit = limit_of(1, most_waiting=2)
    _, shadow, warm, client = await asked(limit, ("a",), ("k", SHADOW), ("k", WARM), ("b",))
    assert shadow.error.reason == "queue_full"
    assert warm.waits
    assert client.waits
    limit.close()
    await settle()


@virtually
async def test_who_waited_as_long_as_it_may_is_turned_away():
    limit = limit_of(1)
    begun = now()
    _, other = await asked(limit, ("client",), ("client", CLIENT, 7.0))
    await other.task
    assert other.at == begun + 7.0
    assert (other.error.reason, other.error.retry_after_s) == ("queue_timeout", 7.0)
    assert limit.status().waiting == 0


HOPELESS = {  # (seconds that calls last, ceiling, who waits) → whether one that may wait 60 s is let wait
    "one before it": (40.0, 1, 1, True),
    "two before it": (40.0, 1, 2, False),
    "two before it, and two slots": (40.0, 2, 2, True),
    "many before it, but calls are short": (0.5, 1, 100, True),
    "nobody before it": (100.0, 1, 0, True),
    "nobody before it, but calls last for ever": (600.0, 1, 0, False),
}


@pytest.mark.parametrize(("lasts", "ceiling", "before", "waits"), HOPELESS.values(), ids=HOPELESS)
@virtually
async def test_who_would_clearly_wait_too_long_is_told_at_once(lasts, ceiling, before, waits):
    limit = limit_of(ceiling)
    slot = await limit.acquire("client", CLIENT)
    await asyncio.sleep(lasts)
    slot.release(Sign.FINE)
    await asked(limit, *[("client",)] * (ceiling + before))
    (last,) = await asked(limit, ("client", CLIENT, 60.0))
    assert last.waits is waits
    if not waits:
        assert (last.error.reason, limit.status().waiting) == ("queue_timeout", before)
        assert last.error.retry_after_s == pytest.approx(lasts * (before + 1.5) / ceiling)
    limit.close()
    await settle()


@virtually
async def test_it_is_its_own_place_that_counts_not_the_queues_length():
    limit = limit_of(1)
    slot = await limit.acquire("flood", CLIENT)
    await asyncio.sleep(40)
    slot.release(Sign.FINE)
    await asked(limit, *[("flood",)] * 50)
    (other,) = await asked(limit, ("other", CLIENT, 60.0))
    assert other.waits
    limit.close()
    await settle()


# cancellation


@virtually
async def test_who_leaves_while_waiting_leaves_no_trace():
    limit = limit_of(1)
    first, second, third = await asked(limit, ("a",), ("b",), ("c",))
    second.task.cancel()
    await settle()
    assert limit.status().waiting == 1
    first.slot.release(Sign.FINE)
    await settle()
    assert third.slot
    assert limit.status().in_flight == 1


@pytest.mark.parametrize("released_first", [True, False])
@virtually
async def test_a_slot_granted_in_the_moment_of_a_cancellation_goes_to_the_next(released_first):
    limit = limit_of(1)
    first, second, third = await asked(limit, ("a",), ("b",), ("c",))
    for act in (first.slot.release, second.task.cancel)[:: 1 if released_first else -1]:
        act()
    await settle()
    assert second.task.cancelled()
    assert third.slot
    third.slot.release()
    assert (limit.status().in_flight, limit.status().waiting) == (0, 0)


@virtually
async def test_a_slot_granted_in_the_moment_the_wait_is_over_is_not_lost():
    limit = limit_of(1)
    first, second, third = await asked(limit, ("a",), ("b", CLIENT, 5.0), ("c",))
    asyncio.get_running_loop().call_at(now() + 5.0, first.slot.release)
    await asyncio.sleep(6.0)
    assert [bool(second.slot), bool(third.slot)].count(True) == 1
    assert bool(second.error) is not bool(second.slot)
    limit.close()
    await settle()


# what is learnt


@virtually
async def test_overload_lowers_the_limit_and_answers_raise_it_again():
    limit = limit_of(4)
    slots = [await limit.acquire("a", CLIENT) for _ in range(4)]
    await asyncio.sleep(1)
    slots[0].release(Sign.BUSY)
    assert limit.status().limit == 3.0
    waiting = await asked(limit, *[("a",)] * 40)
    assert limit.status().in_flight == 3, "the fourth is not used any more"
    for slot in slots[1:]:
        slot.release(Sign.FINE)
    for one in waiting:
        await one.task
        await asyncio.sleep(1)
        one.slot.release(Sign.FINE)
    assert limit.status().limit == 4.0


# an upstream that is down


@virtually
async def test_while_it_is_down_all_are_told_at_once_and_one_tries_it():
    limit = limit_of(2)
    await shut(limit)
    (turned_away,) = await asked(limit, ("a",))
    assert isinstance(turned_away.error, UpstreamRefused)
    assert str(turned_away.error) == str(DOWN)
    assert turned_away.error.retry_after_s == pytest.approx(1.0)
    await asyncio.sleep(1)
    probe, other = await asked(limit, ("a",), ("b",))
    assert probe.slot.is_probe
    assert other.error
    probe.slot.release(Sign.FINE)
    status = limit.status()
    assert (status.is_shut, status.limit) == (False, 1.0)


@virtually
async def test_who_waits_when_it_goes_down_is_told_so():
    limit = limit_of(1)
    askers = await asked(limit, *[("a",)] * 8)
    for one in askers[:5]:
        await one.task
        await asyncio.sleep(0.2)
        one.slot.release(Sign.REFUSED, DOWN)
    await settle()
    assert [type(one.error) for one in askers[5:]] == [UpstreamRefused] * 3
    assert limit.status().waiting == limit.status().in_flight == 0


@virtually
async def test_a_probe_that_leaves_while_it_waits_lets_another_try():
    limit = limit_of(1)
    hung = await limit.acquire("slow", CLIENT)
    hung.hold_until(now() + 1_000)
    other = Limit(OwnSlots(), 1, VirtualClock())
    limit._gate = other._gate  # it went down while a call before it hung
    await shut(other)
    hung.release()
    await asyncio.sleep(1)
    (probe,) = await asked(limit, ("a",))
    assert probe.waits
    probe.task.cancel()
    await settle()
    (second,) = await asked(limit, ("b",))
    assert second.waits, "not turned away: it is the probe now"
    limit.close()
    await settle()


@virtually
async def test_a_probe_that_is_answered_slowly_is_no_sign_of_being_down():
    limit = limit_of(16)
    await shut(limit)
    await asyncio.sleep(1)
    probe = await limit.acquire("a", CLIENT)
    await asyncio.sleep(1.5)
    (second,) = await asked(limit, ("b",))
    assert second.slot, "failures took 0.2 s"
    assert limit.status().limit == 2.0
    probe.release(Sign.FINE)
    second.slot.release(Sign.FINE)


# the end


@virtually
async def test_at_the_end_all_are_turned_away_and_no_timer_is_left():
    limit = limit_of(1)
    first, second = await asked(limit, ("a",), ("b", CLIENT, 60.0))
    first.slot.hold_until(now() + 60)
    first.slot.release()
    limit.close()
    await settle()
    assert isinstance(second.error, UpstreamError)
    with pytest.raises(UpstreamError, match="closing"):
        await limit.acquire("c", CLIENT)
    assert limit.status().in_flight == limit.status().waiting == 0
    assert not [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]


@virtually
async def test_what_ends_after_the_end_is_given_back_at_once():
    limit = limit_of(1)
    slot = await limit.acquire("a", CLIENT)
    limit.close()
    slot.hold_until(now() + 60)
    slot.release(Sign.FINE)
    assert not asyncio.get_running_loop()._scheduled
