"""The wrapper of aiocache: what it asks of a cache, what it never lets out, and the count of what it wrote."""

import asyncio
import logging
import traceback
from dataclasses import replace

import pytest
from aiocache import SimpleMemoryCache
from aiocache.base import BaseCache
from aiocache.serializers import PickleSerializer
from fakes import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.types import Entry
from proxy.store import StoreStatus
from proxy.store.aiocache import LONGEST_S, Aiocache, Written, lasts_s
from proxy.store.record import to_record

SECRET = b"what-no-log-may-hold"
ENTRY = Entry(200, ((b"set-token", SECRET), (b"etag", b'"1"')), SECRET * 50, 1e9, ttl=60.0, rule="r")
KEY, OTHER, THIRD = b"k" * 20, b"o" * 20, b"t" * 20


class Strict(BaseCache):
    """A user's own class with Memcached's ways: short names, whole seconds up to 30 days, no name twice."""

    NAME = "strict"

    def __init__(self, *, size: int = 10) -> None:
        super().__init__()
        self.kept: dict[str, tuple[bytes, int]] = {}
        self.size = size
        self.closed = 0

    async def _multi_get(self, keys, encoding="utf-8", _conn=None):
        assert len(set(keys)) == len(keys)
        assert all(len(key) <= 250 and key.isascii() and " " not in key for key in keys)
        return [self.kept.get(key, (None, 0))[0] for key in keys]

    async def _set(self, key, value, ttl=0, _cas_token=None, _conn=None):
        assert isinstance(value, bytes)
        assert isinstance(ttl, int)
        assert 0 < ttl <= 30 * 86400
        self.kept[key] = (value, ttl)
        while len(self.kept) > self.size:
            del self.kept[next(iter(self.kept))]
        return True

    async def _delete(self, key, _conn=None):
        return 1 if self.kept.pop(key, None) else 0

    async def _clear(self, namespace=None, _conn=None):
        raise AssertionError("it would take what is not ours")

    async def _close(self, *args, _conn=None, **kwargs):
        self.closed += 1


class Broken(BaseCache):
    """A cache that quotes what it was to keep."""

    NAME = "broken"

    async def _multi_get(self, keys, encoding="utf-8", _conn=None):
        raise RuntimeError(f"cannot get {keys}")

    async def _set(self, key, value, ttl=0, _cas_token=None, _conn=None):
        raise RuntimeError(f"cannot keep {value!r}")

    async def _delete(self, key, _conn=None):
        raise RuntimeError(f"cannot delete {key}")

    async def _close(self, *args, _conn=None, **kwargs):
        raise RuntimeError("cannot close")


class Hanging(BaseCache):
    """A cache that never answers."""

    NAME = "hanging"

    async def _hang(self, *_, **__):
        await asyncio.Event().wait()

    _multi_get = _set = _delete = _hang


def open_store(kind=Strict, namespace="", clock=None, **more) -> Aiocache:
    return Aiocache(kind, clock or FakeClock(), namespace, **more)


async def test_a_users_own_cache_is_asked_in_words_that_memcached_understands():
    store = open_store(namespace="legacy")
    await store.set_many({KEY: ENTRY, OTHER: replace(ENTRY, ttl=float("inf")), THIRD: replace(ENTRY, ttl=-1e9)})
    assert await store.get_many([KEY, b"absent" * 3, KEY]) == [ENTRY, None, ENTRY]
    assert set(store._cache.kept) == {f"frontrunner:legacy:{key.hex()}" for key in (KEY, OTHER, THIRD)}
    await store.close()
    await store.close()
    assert store._cache.closed == 2


async def test_namespaces_do_not_see_each_other():
    one = open_store(namespace="one")
    other = open_store(lambda: one._cache, namespace="other")
    await one.set_many({KEY: ENTRY})
    assert await other.get_many([KEY]) == [None]
    await other.set_many({KEY: replace(ENTRY, status=404)})
    await one.clear()
    assert [entry.status for entry in await other.get_many([KEY])] == [404]


async def test_options_go_to_the_class_and_what_would_pickle_does_not():
    store = open_store(SimpleMemoryCache, options={"serializer": PickleSerializer(), "timeout": 3, "namespace": "x"})
    await store.set_many({KEY: ENTRY})
    assert store._cache._cache == {f"frontrunner::{KEY.hex()}": to_record(KEY, ENTRY)}
    assert store._cache.timeout is None


@pytest.mark.parametrize(
    "record", [b"", b"\x80\x05K*.", "text", 7, to_record(OTHER, ENTRY), to_record(KEY, ENTRY)[:-1]]
)
async def test_what_is_no_record_of_ours_for_this_key_is_a_miss(record):
    store = open_store(SimpleMemoryCache)
    await store._cache.set(f"frontrunner::{KEY.hex()}", record)
    assert await store.get_many([KEY]) == [None]


async def test_clear_leaves_no_timer_that_would_delete_a_later_value():
    store = open_store(SimpleMemoryCache)
    await store._cache.set("not ours", b"stays")
    await store.set_many({KEY: ENTRY, OTHER: ENTRY})
    (timer, _) = store._cache._handlers.values()
    await store.clear()
    assert timer.cancelled()
    assert store._cache._handlers == {}
    assert await store._cache.get("not ours") == b"stays"


async def test_a_thousand_and_one_entries_are_cleared():
    store = open_store(SimpleMemoryCache)
    for number in range(1001):
        await store.set_many({b"%020d" % number: ENTRY})
    await store.clear()
    assert store._cache._cache == {}


async def test_a_cache_that_aiocache_has_disabled_misses(monkeypatch):
    store = open_store(SimpleMemoryCache)
    monkeypatch.setenv("AIOCACHE_DISABLE", "1")
    await store.set_many({KEY: ENTRY})
    assert await store.get_many([KEY, OTHER]) == [None, None]
    await store.clear()


CALLS = {
    "get_many": lambda store: store.get_many([KEY]),
    "set_many": lambda store: store.set_many({KEY: ENTRY, OTHER: ENTRY}),
    "delete": lambda store: store.delete([KEY]),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@each_call
async def test_nothing_of_an_entry_is_in_an_error_or_a_log(call, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(OSError, match="aiocache: RuntimeError") as caught:
        await call(open_store(Broken))
    await call(open_store(SimpleMemoryCache))
    said = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert SECRET.decode() not in said


@each_call
async def test_a_cache_that_hangs_costs_the_deadline_and_no_more(call):
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError, match="no answer in time"):
        await call(open_store(Hanging, deadline_s=0.02))
    assert asyncio.get_running_loop().time() - began < 0.2


async def test_what_was_not_written_is_not_counted():
    store = open_store(Broken)
    with pytest.raises(OSError):
        await store.set_many({KEY: ENTRY})
    assert store.status() == StoreStatus(0, 0, 0, 0)
    await store.close()


async def test_what_the_cache_let_go_of_is_counted_once_it_is_missed():
    store = open_store(options={"size": 1})
    await store.set_many({KEY: ENTRY, OTHER: ENTRY})
    assert store.status().entries == 2
    await store.get_many([KEY, OTHER, THIRD])
    size = len(to_record(KEY, ENTRY))
    assert store.status() == StoreStatus(1, size, 0, 1)
    assert store.rules() == {"r": (1, size)}


async def test_a_limit_is_kept_by_deleting_what_was_written_first():
    size = len(to_record(KEY, ENTRY))
    store = open_store(limit_bytes=2 * size)
    await store.set_many({KEY: ENTRY})
    await store.set_many({OTHER: ENTRY, THIRD: ENTRY})
    assert store.status() == StoreStatus(2, 2 * size, 2 * size, 1)
    assert await store.get_many([KEY, OTHER, THIRD]) == [None, ENTRY, ENTRY]
    await store.set_many({KEY: ENTRY, OTHER: ENTRY, THIRD: replace(ENTRY, status=404)})
    assert [entry and entry.status for entry in await store.get_many([KEY, OTHER, THIRD])] == [
        None,
        200,
        404,
    ]  # KEY made room for the last


DAY = 86400.0


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (Entry(200, (), b"", 0.0, ttl=100.0), 160.0),
        (Entry(200, (), b"", 0.0, ttl=100.0, age=30.0), 130.0),
        (Entry(200, (), b"", 0.0, ttl=100.0, refresh=10.0, error=1000.0), 1160.0),
        (Entry(200, (), b"", 0.0, ttl=-5.0), 60.0),
        (Entry(200, ((b"etag", b'"1"'),), b"", 0.0, ttl=0.0), DAY),
        (Entry(200, ((b"last-modified", b"Sun, 09 Sep 2001 01:46:40 GMT"),), b"", 0.0, ttl=100.0), 100 + DAY),
        (Entry(200, (), b"", 0.0, ttl=float("inf")), LONGEST_S),
        (Entry(200, (), b"", 0.0, ttl=1.0, error=1e300), LONGEST_S),
    ],
)
def test_an_entry_is_kept_for_its_ttl_and_grace_and_longer_if_it_can_be_asked_about(entry, expected):
    assert lasts_s(entry) == expected


def test_what_has_expired_is_not_counted():
    clock = FakeClock()
    written = Written(clock, None)
    written.add({KEY: ("r", 10, 60.0)})
    written.add({OTHER: ("r", 5, 120.0)})
    clock.advance(60)
    assert (written.status(), written.rules()) == (StoreStatus(1, 5, 0, 0), {"r": (1, 5)})
    written.add({OTHER: ("r", 6, 120.0)})  # its end has moved
    clock.advance(60)
    assert written.status().entries == 1
    clock.advance(60)
    assert (written.status(), written.rules()) == (StoreStatus(0, 0, 0, 0), {})


def test_what_was_missed_after_its_end_was_not_evicted():
    clock = FakeClock()
    written = Written(clock, None)
    written.add({KEY: ("r", 10, 60.0)})
    clock.advance(61)
    written.missed(KEY)
    assert written.status() == StoreStatus(0, 0, 0, 0)


def test_the_count_itself_is_bounded():
    written = Written(FakeClock(), None, most=10)
    for number in range(1000):
        assert written.add({b"%d" % number: ("r", 1, 60.0)}) == set()
    assert (written.status().entries, written.keys()) == (10, [b"%d" % number for number in range(990, 1000)])
    for _ in range(10_000):
        written.add({KEY: ("r", 1, 60.0)})
    assert len(written._ends) <= 2 * 10 + 101


@given(
    st.lists(
        st.tuples(st.sampled_from("adm+"), st.integers(0, 5), st.sampled_from("xy"), st.integers(0, 60)), max_size=60
    )
)
def test_sums_agree_with_what_is_counted_whatever_happens(steps):
    clock = FakeClock()
    written = Written(clock, 100, most=4)
    for what, number, rule, size in steps:
        if what == "a":
            written.add({b"%d" % number: (rule, size, float(size))})
        elif what == "d":
            written.drop(b"%d" % number)
        elif what == "m":
            written.missed(b"%d" % number)
        else:
            clock.advance(size)
        status, rules = written.status(), written.rules()
        assert status.entries == len(written.keys()) == sum(entries for entries, _ in rules.values())
        assert (
            status.bytes == sum(held.size for held in written._held.values()) == sum(one for _, one in rules.values())
        )
        assert all(held.ends > clock.timer() for held in written._held.values())
        assert status.bytes <= 100
