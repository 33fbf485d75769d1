"""The hot tier: what an entry weighs, who has to go first, what is not kept."""

import asyncio
import gc
import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.evict.lru import Lru
from proxy.core.rules import default_rule
from proxy.core.storing import Storing, entry_of
from proxy.core.types import Entry, Response
from proxy.core.variants import marker_for
from proxy.store.memory import Memory, weight

NUMBER = 2000

TEXTS, TIMES = st.binary(max_size=30), st.floats(0, 1e10)
BODIES = st.one_of(st.binary(max_size=50), st.integers(2**13 - 2, 2**13 + 2).map(bytes))


def head(number: int) -> tuple[tuple[bytes, bytes], ...]:
    """Read a head as an engine does: every name and value is an object of its own."""
    text = (
        b"content-type: application/json\r\ncontent-length: 1024\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b'etag: "%032x"\r\ncache-control: public, max-age=3600' % number
    )
    lines = [line.partition(b": ") for line in text.split(b"\r\n")]
    return tuple([(name, value) for name, _, value in lines])


def answer(number: int) -> Entry:
    storing = Storing(3600.0 + number, float(number))
    return entry_of(
        Response(200, head(number)), os.urandom(1024), storing, default_rule(), now=1e9 + number, cost=number / 7
    )


def marker(number: int) -> Entry:
    vary = b"accept,accept-encoding,accept-language,x-tenant,x-%d" % number
    return marker_for(tuple(vary.split(b",")), Entry(200, (), b"", 1e9 + number, number / 7, number / 3, rule="r"))


def real_bytes(made: Callable[[int], Entry]) -> tuple[int, int]:
    """Return what a store says NUMBER entries take, and what they really do."""
    store = Memory(2**30)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(NUMBER):
        fill = store.set_many({os.urandom(20): made(number)})
        with pytest.raises(StopIteration):
            fill.send(None)  # it never waits: no loop whose objects would be counted
    del fill
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return store.status().bytes, taken


@pytest.mark.parametrize("made", [answer, marker], ids=["answers of 1 KiB and 5 fields", "markers of 5 variant fields"])
def test_an_entry_weighs_what_it_takes(made):
    said, taken = real_bytes(made)
    assert said == pytest.approx(taken, rel=0.15)


def entry(size: int = 0) -> Entry:
    return Entry(200, (), b"x" * size, 0.0, 60.0)


def test_an_answer_of_a_kibibyte_with_a_head_of_150_bytes_takes_at_most_1600_bytes():
    """Counted in full: with its key, its places in dict and heap, and what the allocator rounds up."""
    assert sum(len(name) + len(value) for name, value in head(1)) >= 150
    _, taken = real_bytes(answer)
    assert taken / NUMBER <= 1600


@given(st.builds(Entry, st.integers(100, 999), st.lists(st.tuples(TEXTS, TEXTS)).map(tuple), BODIES, *[TIMES] * 4))
def test_what_is_kept_comes_back_equal(whole: Entry):
    """However long its body is, and whatever is in its head."""
    assert asyncio.run(_kept_and_read(whole)) == whole


async def _kept_and_read(whole: Entry) -> Entry | None:
    store = Memory(2**30)
    await store.set_many({KEYS[0]: whole})
    (found,) = await store.get_many([KEYS[0]])
    return found


def test_the_weight_counts_body_and_fields():
    bare = weight(entry())
    assert weight(entry(100)) == bare + 100
    one, other = (weight(Entry(200, fields, b"", 0.0, 60.0)) for fields in (((b"a", b"b"),), ((b"ab", b"bcd"),)))
    assert (other - one, one > bare) == (3, True)


KEYS = [bytes([number]) * 20 for number in range(5)]


async def held(store: Memory) -> list[int]:
    """Tell which keys are held, without using any."""
    return [number for number, key in enumerate(KEYS) if key in store._places]


async def full_of_three() -> Memory:
    store = Memory(3 * weight(entry(1000)), Lru())
    for key in KEYS[:3]:
        await store.set_many({key: entry(1000)})
    return store


async def test_the_least_recently_written_goes_first():
    store = await full_of_three()
    await store.set_many({KEYS[3]: entry(1000)})
    assert await held(store) == [1, 2, 3]
    assert store.status().evictions == 1


async def test_reading_keeps():
    store = await full_of_three()
    await store.get_many([KEYS[0]])
    await store.set_many({KEYS[3]: entry(1000)})
    assert await held(store) == [0, 2, 3]


async def test_writing_again_keeps():
    store = await full_of_three()
    await store.set_many({KEYS[0]: entry(1000)})
    await store.set_many({KEYS[3]: entry(1000)})
    assert await held(store) == [0, 2, 3]


async def test_a_large_one_takes_the_place_of_several():
    store = await full_of_three()
    await store.set_many({KEYS[3]: entry(2000)})
    assert await held(store) == [2, 3]
    assert store.status().evictions == 2


async def test_what_does_not_fit_at_all_is_not_kept_and_evicts_nothing():
    store = await full_of_three()
    await store.set_many({KEYS[3]: entry(10_000)})
    assert await held(store) == [0, 1, 2]
    assert store.status().evictions == 0


async def test_what_does_not_fit_at_all_is_not_kept_beside_an_older_one():
    store = await full_of_three()
    await store.set_many({KEYS[0]: entry(10_000)})
    assert await held(store) == [1, 2]


async def test_what_is_written_together_stays_together_where_it_fits():
    """A marker without its variant, or a variant without its marker, only takes up space."""
    store = await full_of_three()
    await store.set_many({KEYS[3]: entry(), KEYS[4]: entry(3000)})
    assert await held(store) == [3, 4]
    assert store.status().evictions == 3


async def test_clear_is_no_eviction():
    store = await full_of_three()
    await store.clear()
    status = store.status()
    assert (status.entries, status.bytes, status.evictions, status.limit_bytes) == (0, 0, 0, 3 * weight(entry(1000)))


def priced(cost_s: float, size: int = 1000) -> Entry:
    return replace(entry(size), cost=cost_s)


async def test_what_took_long_is_admitted_and_stays():
    """However many cheap ones come after it."""
    store = Memory(3 * weight(entry(1000)))
    await store.set_many({b"slow" * 5: priced(60.0)})
    for number in range(1000):
        await store.set_many({b"%020d" % number: priced(0.01)})
    assert [(await store.get_many([key]))[0] is not None for key in (b"slow" * 5, b"%020d" % 999)] == [True, True]


async def test_what_nobody_asks_for_any_more_goes_in_the_end():
    """The floor rises with each one that goes: a past cost is no title for ever."""
    store = Memory(3 * weight(entry(1000)))
    await store.set_many({b"slow" * 5: priced(10.0)})
    for number in range(200):
        await store.set_many({b"%020d" % number: priced(0.5)})
    assert (await store.get_many([b"slow" * 5]))[0] is None


async def test_two_small_ones_outweigh_a_large_one_of_the_same_cost():
    store = Memory(weight(entry(1000)) + weight(entry(4000)))
    await store.set_many({KEYS[0]: priced(1.0, 4000), KEYS[1]: priced(1.0, 1000)})
    await store.set_many({KEYS[2]: priced(1.0, 1000)})
    assert await held(store) == [1, 2]


async def test_what_was_deleted_leaves_nothing_behind():
    """Its place in the heap is swept once there are many of them."""
    store = Memory(2**30)
    for number in range(10_000):
        await store.set_many({b"%020d" % number: entry()})
        await store.delete([b"%020d" % number])
    assert (len(store._heap) < 100, store.status().bytes, store.rules()) == (True, 0, {})


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("sgd"), st.integers(0, 5000), st.floats(0, 60))))
def test_the_bounds_hold_whatever_happens(done: list[tuple[int, str, int, float]]):
    """Bytes and counts are those of what is held, and never above the limit."""
    asyncio.run(_done(done))


async def _done(done: list[tuple[int, str, int, float]]) -> None:
    store = Memory(12_000)
    for number, what, size, cost in done:
        key = bytes([number]) * 20
        if what == "s":
            await store.set_many({key: priced(cost, size)})
            assert (await store.get_many([key]))[0] is not None, "what was just written is there"
        elif what == "g":
            await store.get_many([key])
        else:
            await store.delete([key])
        status, sizes = store.status(), [weight(one) for one in await store.get_many(tuple(store._places)) if one]
        assert (status.entries, status.bytes) == (len(sizes), sum(sizes))
        assert status.bytes <= 12_000
