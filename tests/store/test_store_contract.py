"""One contract for every store, and one for what processes share. To add a store: a line in STORES."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiocache import RedisCache, SimpleMemoryCache
from fakes import FakeClock
from hypothesis import given
from hypothesis import strategies as st
from redis_server import Server, redis_server, valkey_server  # noqa: F401  fixtures

from proxy.core.types import Entry
from proxy.store import Shared, Store
from proxy.store.aiocache import Aiocache
from proxy.store.memory import Memory
from proxy.store.redis import Redis
from proxy.store.sqlite import Sqlite

# aiocache's Redis cache calls what redis-py has replaced.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated (close|setex):DeprecationWarning")

LIMIT = 2**20


@dataclass(frozen=True)
class Kind:
    """How to try one kind of store.

    `place` makes an empty place to keep things, of what a fixture of the name `needs` gives (that fixture may start a
    server); `make` opens a store there, and again for a second process. A store that asks the clock is tried with one
    that is advanced, for others time passes: then `lasts_s` should be short.
    """

    make: Callable[[Any, int, FakeClock], Store]
    needs: str = "tmp_path_factory"
    place: Callable[[Any], Any] = lambda folders: folders.mktemp("store") / "store"
    asks_clock: bool = True
    lasts_s: float = 10.0


def redis(place: tuple[str, str], limit: int, clock: FakeClock) -> Store:
    url, namespace = place
    return Redis(url, clock, namespace, limit_bytes=limit, deadline_s=10.0)


def aiocache_redis(place: tuple[str, str], limit: int, clock: FakeClock) -> Store:
    url, namespace = place
    options = {"endpoint": "127.0.0.1", "port": urlsplit(url).port}
    return Aiocache(RedisCache, clock, namespace, options=options, limit_bytes=limit, deadline_s=10.0)


STORES: dict[str, Kind] = {
    "memory": Kind(lambda place, limit, clock: Memory(limit)),
    "sqlite": Kind(Sqlite),
    "redis": Kind(redis, needs="redis_server", place=Server.place, asks_clock=False, lasts_s=0.5),
    "valkey": Kind(redis, needs="valkey_server", place=Server.place, asks_clock=False, lasts_s=0.5),
    "aiocache's memory": Kind(lambda _, limit, clock: Aiocache(SimpleMemoryCache, clock, limit_bytes=limit)),
    "aiocache's Redis": Kind(aiocache_redis, needs="redis_server", place=Server.place),
}
SHARED = ("sqlite", "redis", "valkey")
"""Those that several processes may use."""

Opened = Callable[[int], AbstractAsyncContextManager[Store]]


@pytest.fixture(scope="module", params=STORES)
def opened(request: pytest.FixtureRequest) -> Opened:
    """Return how to open an empty store that holds this many bytes."""
    kind = STORES[request.param]
    given_ = request.getfixturevalue(kind.needs)

    @asynccontextmanager
    async def opening(limit: int) -> AsyncIterator[Store]:
        store = kind.make(kind.place(given_), limit, FakeClock())
        try:
            yield store
        finally:
            await store.close()

    return opening


def entry(body: bytes = b"body", rule: str = "r", **more) -> Entry:
    return Entry(200, ((b"content-type", b"text/plain"),), body, stored_at=1.5, ttl=60.0, rule=rule, **more)


def key(name: object) -> bytes:
    return str(name).encode().rjust(20, b"k")


ENTRIES = {
    "plain": entry(),
    "without a body": entry(b""),
    "with any bytes": entry(bytes(range(256)) * 10),
    "with all it can have": Entry(
        404, ((b"a", b"\xff\0"), (b"b", b""), (b"a", b"2")), b"x", 1e9 + 0.123456, 3600.5, 12.5, 41.25, "rule 1", ()
    ),
    "the marker of variants": Entry(0, (), b"", 1.0, 60.0, rule="r", vary=(b"accept", b"accept-language")),
    "already expired": replace(entry(), ttl=-5.0),
}


@pytest.mark.parametrize("kept", ENTRIES.values(), ids=ENTRIES)
async def test_an_entry_comes_out_as_it_went_in(opened, kept):
    async with opened(LIMIT) as store:
        await store.set_many({key(1): kept})
        assert await store.get_many([key(1)]) == [kept]


async def test_answers_are_in_the_order_of_the_questions(opened):
    async with opened(LIMIT) as store:
        one, two = entry(b"1"), entry(b"2")
        await store.set_many({key(1): one, key(2): two})
        assert await store.get_many([key(2), key(0), key(1), key(2)]) == [two, None, one, two]
        assert await store.get_many([]) == []


async def test_the_last_entry_at_a_key_counts(opened):
    async with opened(LIMIT) as store:
        await store.set_many({key(1): entry(b"old")})
        await store.set_many({key(1): entry(b"new")})
        assert await store.get_many([key(1)]) == [entry(b"new")]
        assert store.status().entries == 1


async def test_deleted_is_gone_and_the_rest_is_not(opened):
    async with opened(LIMIT) as store:
        await store.set_many({key(1): entry(), key(2): entry()})
        await store.delete([key(1), key("absent")])
        assert await store.get_many([key(1), key(2)]) == [None, entry()]


async def test_clear_forgets_everything(opened):
    async with opened(LIMIT) as store:
        await store.set_many({key(number): entry() for number in range(10)})
        await store.clear()
        status = store.status()
        assert (status.entries, status.bytes, store.rules()) == (0, 0, {})
        assert await store.get_many([key(0)]) == [None]
        await store.set_many({key(0): entry()})
        assert await store.get_many([key(0)]) == [entry()]


async def test_writing_nothing_is_fine(opened):
    async with opened(LIMIT) as store:
        await store.set_many({})
        await store.delete([])
        assert store.status().entries == 0


async def test_close_may_be_called_twice(opened):
    async with opened(LIMIT) as store:
        await store.close()
        await store.close()


async def test_what_a_rule_holds(opened):
    async with opened(LIMIT) as store:
        await store.set_many({key(1): entry(rule="a"), key(2): entry(rule="b"), key(3): entry(b"longer", rule="b")})
        await store.delete([key(1)])
        rules = store.rules()
        assert {rule: entries for rule, (entries, _) in rules.items()} == {"b": 2}
        assert rules["b"][1] == store.status().bytes


async def test_another_rules_entry_at_a_key_is_counted_for_that_rule(opened):
    async with opened(LIMIT) as store:
        await store.set_many({key(1): entry(rule="a")})
        await store.set_many({key(1): entry(rule="b")})
        assert list(store.rules()) == ["b"]


async def test_an_entry_larger_than_the_store_is_not_kept_and_costs_no_other(opened):
    async with opened(10_000) as store:
        await store.set_many({key(1): entry(), key(2): entry()})
        await store.set_many({key(2): entry(b"x" * 10_001)})
        assert await store.get_many([key(1), key(2)]) == [entry(), None]


numbers = st.integers(0, 7)
operations = st.one_of(
    st.tuples(st.just("set"), st.dictionaries(numbers, st.tuples(st.binary(max_size=20), st.sampled_from("ab")))),
    st.tuples(st.just("get"), st.lists(numbers)),
    st.tuples(st.just("touch"), st.lists(numbers)),
    st.tuples(st.just("delete"), st.lists(numbers)),
    st.tuples(st.just("clear"), st.none()),
)


async def agrees(store: Store, done: list[tuple]) -> None:
    model: dict[bytes, Entry] = {}
    for what, given_ in done:
        if what == "set":
            new = {key(number): entry(body, rule) for number, (body, rule) in given_.items()}
            await store.set_many(new)
            model |= new
        elif what == "get":
            keys = [key(number) for number in given_]
            assert await store.get_many(keys) == [model.get(one) for one in keys]
        elif what == "touch":
            await store.touch({key(number): 3 for number in given_})
        elif what == "delete":
            await store.delete([key(number) for number in given_])
            model = {one: kept for one, kept in model.items() if one not in {key(number) for number in given_}}
        else:
            await store.clear()
            model = {}
    assert await store.get_many([key(number) for number in range(8)]) == [model.get(key(one)) for one in range(8)]
    assert (store.status().entries, store.status().evictions) == (len(model), 0)


def run(opened: Opened, limit: int, story: Callable[[Store], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with opened(limit) as store:
            await story(store)

    with asyncio.Runner() as runner:
        runner.run(whole())


@given(done=st.lists(operations, max_size=12))
def test_any_sequence_agrees_with_a_dict_as_long_as_nothing_is_evicted(opened, done):
    run(opened, LIMIT, lambda store: agrees(store, done))


async def stays_within(store: Store, limit: int, bodies: list[dict[int, int]]) -> None:
    for sizes in bodies:
        await store.set_many({key(number): entry(b"x" * size, "ab"[number % 2]) for number, size in sizes.items()})
        status, rules = store.status(), store.rules()
        assert (status.bytes <= limit, status.limit_bytes) == (True, limit)
        assert sum(entries for entries, _ in rules.values()) == status.entries
        assert sum(size for _, size in rules.values()) == status.bytes


@given(
    limit=st.integers(0, 5000),
    bodies=st.lists(st.dictionaries(numbers, st.integers(0, 4000), max_size=4), max_size=12),
)
def test_bytes_never_exceed_the_limit_and_rules_add_up_to_them(opened, limit, bodies):
    run(opened, limit, lambda store: stays_within(store, limit, bodies))


@dataclass(frozen=True)
class Two:
    """What two processes see of one place, and how to let time pass; `lasts_s` is long enough to look twice."""

    one: Shared
    other: Shared
    lasts_s: float
    passes: Callable[[float], Awaitable[None]]


@pytest.fixture(params=SHARED)
async def two(request: pytest.FixtureRequest) -> AsyncIterator[Two]:
    kind, clock = STORES[request.param], FakeClock()
    place = kind.place(request.getfixturevalue(kind.needs))
    one, other = kind.make(place, LIMIT, clock), kind.make(place, LIMIT, clock)

    async def passes(seconds: float) -> None:
        if kind.asks_clock:
            clock.advance(seconds)
        else:
            await asyncio.sleep(seconds)

    try:
        yield Two(one, other, kind.lasts_s, passes)
    finally:
        await one.close()
        await other.close()


async def test_what_one_keeps_the_other_finds(two):
    await two.one.set_many({key(1): entry(b"1"), key(2): entry(b"2")})
    assert await two.other.get_many([key(2), key(1)]) == [entry(b"2"), entry(b"1")]
    await two.other.delete([key(1)])
    assert await two.one.get_many([key(1), key(2)]) == [None, entry(b"2")]
    await two.one.clear()
    assert await two.other.get_many([key(2)]) == [None]


async def test_a_lease_is_one_owners(two):
    token = await two.one.lease(key(1), "one", two.lasts_s)
    assert isinstance(token, int)
    assert await two.other.lease(key(1), "other", two.lasts_s) is None
    assert isinstance(await two.other.lease(key(2), "other", two.lasts_s), int)


async def test_of_many_who_want_a_lease_one_gets_it(two):
    stores = (two.one, two.other)
    asked = [stores[number % 2].lease(key(1), str(number), two.lasts_s) for number in range(20)]
    assert len([token for token in await asyncio.gather(*asked) if token is not None]) == 1


async def test_renewing_keeps_the_token_and_the_lease(two):
    token = await two.one.lease(key(1), "one", two.lasts_s)
    await two.passes(two.lasts_s * 0.6)
    assert await two.one.lease(key(1), "one", two.lasts_s) == token
    await two.passes(two.lasts_s * 0.6)
    assert await two.other.lease(key(1), "other", two.lasts_s) is None


async def test_a_lease_that_is_not_renewed_goes_to_the_next_with_a_greater_token(two):
    first = await two.one.lease(key(1), "one", two.lasts_s)
    await two.passes(two.lasts_s * 1.1)
    second = await two.other.lease(key(1), "other", two.lasts_s)
    assert first < second
    assert await two.one.lease(key(1), "one", two.lasts_s) is None
    await two.one.release(key(1), "one")  # it is another's by now
    assert await two.one.lease(key(1), "one", two.lasts_s) is None


async def test_a_released_lease_is_free_and_its_next_token_greater(two):
    tokens = []
    for _ in range(3):
        tokens.append(await two.one.lease(key(1), "one", two.lasts_s))
        await two.one.release(key(1), "one")
        tokens.append(await two.other.lease(key(1), "other", two.lasts_s))
        await two.other.release(key(1), "other")
        await two.other.release(key(1), "other")
    assert tokens == sorted(set(tokens))


async def test_leases_are_no_entries(two):
    await two.one.set_many({key(1): entry()})
    await two.one.lease(key(1), "one", two.lasts_s)
    await two.one.pin(key(1).decode(), b"note", two.lasts_s)
    assert await two.one.get_many([key(1)]) == [entry()]
    await two.one.release(key(1), "one")
    assert await two.one.get_many([key(1)]) == [entry()]
    assert two.one.status().entries == 1


async def test_clear_and_delete_leave_leases_and_notes_alone(two):
    await two.one.lease(key(1), "one", two.lasts_s)
    await two.one.pin("note", b"kept", two.lasts_s)
    await two.one.delete([key(1)])
    await two.one.clear()
    assert await two.other.lease(key(1), "other", two.lasts_s) is None
    assert await two.other.notes("") == {"note": b"kept"}


async def test_the_board_has_the_last_note_of_each_name(two):
    await two.one.pin("flight:a", b"1", two.lasts_s)
    await two.other.pin("flight:b", bytes(range(256)), two.lasts_s)
    await two.other.pin("flight:a", b"2", two.lasts_s)
    await two.one.pin("other", b"", two.lasts_s)
    assert await two.one.notes("flight:") == {"flight:a": b"2", "flight:b": bytes(range(256))}
    assert await two.other.notes("") == {"flight:a": b"2", "flight:b": bytes(range(256)), "other": b""}
    assert await two.other.notes("flight:c") == {}


@pytest.mark.parametrize("prefix", ["%", "_", "*", "a*", "a?", "[a]", "a%"])
async def test_a_prefix_means_itself(two, prefix):
    await two.one.pin("abc", b"", two.lasts_s)
    await two.one.pin(prefix + "x", b"found", two.lasts_s)
    assert await two.one.notes(prefix) == {prefix + "x": b"found"}


async def test_a_note_that_is_not_renewed_is_gone(two):
    await two.one.pin("a", b"1", two.lasts_s)
    await two.one.pin("b", b"1", two.lasts_s)
    await two.passes(two.lasts_s * 0.6)
    await two.one.pin("b", b"2", two.lasts_s)
    await two.passes(two.lasts_s * 0.6)
    assert await two.other.notes("") == {"b": b"2"}
