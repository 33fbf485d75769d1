"""One client, one URL or one kernel error must not cost all others the upstream."""

import asyncio
import errno
from collections import Counter

import pytest
from virtual_time import VirtualClock, virtually

from proxy.core.aimd import Sign
from proxy.core.fair_queue import Priority
from proxy.errors import UpstreamBusy, UpstreamError, UpstreamRefused, UpstreamReset, UpstreamTimeout
from proxy.upstream.limit import Limit
from proxy.upstream.slots import OwnSlots

CLIENT, REFRESH, *_ = Priority
DOWN = UpstreamRefused("nobody listens")
ERRORS = {Sign.RESET: UpstreamReset("gone"), Sign.SLOW: UpstreamTimeout("too slow"), Sign.REFUSED: DOWN}


def now():
    return asyncio.get_running_loop().time()


def limit_of(ceiling, slots=None, **options):
    return Limit(slots or OwnSlots(), ceiling, VirtualClock(), **options)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def called(limit, client, lasts_s, sign):
    """Call once; return how it ended."""
    slot = await limit.acquire(client, CLIENT)
    await asyncio.sleep(lasts_s)
    slot.release(sign, ERRORS.get(sign))
    return sign


async def polled(limit, client, every_s, lasts_s, sign, times):
    """Call again and again; return how often it ended in which way."""
    ends = Counter()
    for _ in range(times):
        try:
            ends[await called(limit, client, lasts_s, sign)] += 1
        except UpstreamError as error:
            ends[type(error)] += 1
        await asyncio.sleep(every_s)
    return ends


async def shut(limit):
    for _ in range(5):
        await called(limit, "client", 0.2, Sign.REFUSED)
    assert limit.status().is_shut


# one URL


@pytest.mark.parametrize("ceiling", [None, 4])
@pytest.mark.parametrize(("lasts_s", "sign"), [(0.01, Sign.RESET), (60.0, Sign.SLOW)], ids=["reset", "too slow"])
@virtually
async def test_one_url_that_always_fails_takes_no_other_down(ceiling, lasts_s, sign):
    limit = limit_of(ceiling)
    bad = asyncio.get_running_loop().create_task(polled(limit, "poller", 1.0, lasts_s, sign, 1_000))
    await asyncio.sleep(700.0)
    good = await polled(limit, "dashboard", 2.0, 0.05, Sign.FINE, 1_000)
    bad.cancel()
    assert good == {Sign.FINE: 1_000}


@virtually
async def test_a_url_that_is_reset_does_not_keep_an_upstream_shut_that_is_back():
    limit = limit_of(4)
    await shut(limit)
    await asyncio.sleep(1.1)
    assert await called(limit, "poller", 0.01, Sign.RESET)
    assert await called(limit, "dashboard", 0.05, Sign.FINE)


@virtually
async def test_without_a_ceiling_the_gate_holds_up_nobody():
    limit = limit_of(None)
    ends = await polled(limit, "client", 0.2, 0.01, Sign.REFUSED, 50)
    assert ends == {Sign.REFUSED: 50}
    assert not limit.status().is_shut


@virtually
async def test_a_call_that_was_under_way_and_goes_well_opens_the_gate():
    limit = limit_of(16)
    healthy = await limit.acquire("a", CLIENT)
    await shut(limit)
    healthy.release(Sign.FINE)
    assert not limit.status().is_shut
    await called(limit, "b", 0.05, Sign.FINE)


@virtually
async def test_a_probe_is_back_with_its_head_however_long_its_body_takes():
    limit = limit_of(4)
    await shut(limit)
    await asyncio.sleep(1.1)
    probe = await limit.acquire("a", CLIENT)
    assert probe.is_probe
    probe.answered(Sign.FINE)
    assert (limit.status().is_shut, limit.status().limit) == (False, 2.0)
    assert await called(limit, "b", 0.05, Sign.FINE), "one more than the probe"
    probe.release(Sign.NOTHING)
    probe.answered(Sign.FINE)
    assert not limit.status().is_shut


@virtually
async def test_a_head_that_comes_while_all_is_well_changes_nothing():
    limit = limit_of(4)
    slot = await limit.acquire("a", CLIENT)
    slot.answered(Sign.FINE)
    assert limit.status().limit == 4.0
    slot.release(Sign.FINE)


# one client


@virtually
async def test_one_client_over_its_own_rate_limit_throttles_nobody_else():
    limit = limit_of(8)
    await polled(limit, "poller", 1.0, 0.01, Sign.LIMITED, 100)
    assert limit.status().limit == 8.0


@virtually
async def test_429_to_several_clients_lowers_the_limit():
    limit = limit_of(8)
    for number in range(3):
        await called(limit, f"client{number}", 0.1, Sign.LIMITED)
    assert limit.status().limit < 8.0


@virtually
async def test_one_client_with_a_thousand_keys_does_not_lock_out_the_others():
    limit = limit_of(2, most_waiting=10)
    loop = asyncio.get_running_loop()
    flood = [loop.create_task(limit.acquire("flood", CLIENT)) for _ in range(12)]
    await settle()
    others = [loop.create_task(limit.acquire(f"other{number}", CLIENT, 60.0)) for number in range(3)]
    await settle()
    assert not any(one.done() for one in others)
    turned_away = [one for one in flood if one.done() and one.exception()]
    assert turned_away == flood[:-4:-1][::-1], "its last"
    assert all(isinstance(one.exception(), UpstreamBusy) for one in turned_away)
    flood[0].result().release(Sign.FINE)
    flood[1].result().release(Sign.FINE)
    await settle()
    assert others[0].done(), "it has the second turn"
    limit.close()
    await asyncio.gather(*flood, *others, return_exceptions=True)


@virtually
async def test_who_joins_late_waits_as_long_as_any_other():
    limit, places = limit_of(1), []
    slot = await limit.acquire("busy", CLIENT)
    waits = asyncio.get_running_loop().create_task(limit.acquire("first", CLIENT, 60.0, note=places.append))
    await asyncio.sleep(50.0)
    places[0].hurry("late")
    await asyncio.sleep(59.0)
    assert not waits.done()
    slot.release(Sign.FINE)
    (await waits).release(Sign.FINE)


@virtually
async def test_who_joined_late_is_turned_away_when_its_own_time_is_over():
    limit, places = limit_of(1), []
    slot = await limit.acquire("busy", CLIENT)
    begun = now()
    waits = asyncio.get_running_loop().create_task(limit.acquire("", REFRESH, 60.0, note=places.append))
    await asyncio.sleep(50.0)
    places[0].hurry("late")
    with pytest.raises(UpstreamBusy):
        await waits
    assert now() - begun == 110.0
    places[0].hurry("later still")
    slot.release(Sign.FINE)
    assert not [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]


# the kernel


class OutOfLocks(OwnSlots):
    """Has none to take, or cannot give back, while it is so."""

    takes = gives = True

    def take(self, limit):
        if not self.takes:
            raise OSError(errno.ENOLCK, "no locks available")
        return super().take(limit)

    def give_back(self, token):
        if not self.gives:
            raise OSError(errno.ENOLCK, "no locks available")
        super().give_back(token)


@virtually
async def test_a_probe_that_finds_no_lock_lets_another_try():
    slots = OutOfLocks()
    limit = limit_of(2, slots)
    await shut(limit)
    await asyncio.sleep(1.1)
    slots.takes = False
    with pytest.raises(OSError, match="no locks"):
        await limit.acquire("a", CLIENT)
    slots.takes = True
    assert await called(limit, "b", 0.05, Sign.FINE)
    assert not limit.status().is_shut


@virtually
async def test_where_no_lock_is_left_one_who_waits_is_told_and_not_the_one_that_ends():
    slots = OutOfLocks()
    limit = limit_of(1, slots)
    slot = await limit.acquire("a", CLIENT)
    loop = asyncio.get_running_loop()
    waiting = [loop.create_task(limit.acquire(f"{number}", CLIENT)) for number in range(3)]
    await settle()
    slots.takes = False
    slot.release(Sign.FINE)
    await settle()
    assert [one.done() for one in waiting] == [True, False, False], "not all at once"
    assert isinstance(waiting[0].exception(), OSError)
    slots.takes = True
    limit._pump()
    (await waiting[1]).release(Sign.FINE)
    (await waiting[2]).release(Sign.FINE)
    assert limit.status().in_flight == limit.status().waiting == 0


@virtually
async def test_a_lock_that_cannot_be_given_back_is_given_back_later():
    slots = OutOfLocks()
    limit = limit_of(1, slots)
    slot = await limit.acquire("key", REFRESH)
    slots.gives = False
    slot.release(Sign.FINE)
    assert limit.status().in_flight == 1
    slots.gives = True
    await asyncio.sleep(1.0)
    assert limit.status().in_flight == limit._background == 0
