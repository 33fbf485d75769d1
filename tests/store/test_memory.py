"""The hot tier: what an entry weighs, who has to go first, what is not kept."""

import gc
import os
import tracemalloc
from collections.abc import Callable

import pytest

from proxy.core.rules import default_rule
from proxy.core.storing import Storing, entry_of
from proxy.core.types import Entry, Response
from proxy.core.variants import marker_for
from proxy.store.memory import Memory, weight

NUMBER = 2000


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


def test_the_weight_counts_body_and_fields():
    bare = weight(entry())
    assert weight(entry(100)) == bare + 100
    one, other = (weight(Entry(200, fields, b"", 0.0, 60.0)) for fields in (((b"a", b"b"),), ((b"ab", b"bcd"),)))
    assert (other - one, one > bare) == (3, True)


KEYS = [bytes([number]) * 20 for number in range(5)]


async def held(store: Memory) -> list[int]:
    """Tell which keys are held, without using any."""
    return [number for number, key in enumerate(KEYS) if key in store._entries]


async def full_of_three() -> Memory:
    store = Memory(3 * weight(entry(1000)))
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
