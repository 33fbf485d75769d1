"""One contract for every store. To add one: a line in STORES."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.types import Entry
from proxy.store import Store
from proxy.store.memory import Memory

LIMIT = 2**20

STORES: dict[str, Callable[[int], Store]] = {"memory": Memory}
"""How to open an empty store that holds this many bytes."""

every_store = pytest.mark.parametrize("opened", STORES.values(), ids=STORES)


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


@every_store
@pytest.mark.parametrize("kept", ENTRIES.values(), ids=ENTRIES)
async def test_an_entry_comes_out_as_it_went_in(opened, kept):
    store = opened(LIMIT)
    await store.set_many({key(1): kept})
    assert await store.get_many([key(1)]) == [kept]


@every_store
async def test_answers_are_in_the_order_of_the_questions(opened):
    store = opened(LIMIT)
    one, two = entry(b"1"), entry(b"2")
    await store.set_many({key(1): one, key(2): two})
    assert await store.get_many([key(2), key(0), key(1), key(2)]) == [two, None, one, two]
    assert await store.get_many([]) == []


@every_store
async def test_the_last_entry_at_a_key_counts(opened):
    store = opened(LIMIT)
    await store.set_many({key(1): entry(b"old")})
    await store.set_many({key(1): entry(b"new")})
    assert await store.get_many([key(1)]) == [entry(b"new")]
    assert store.status().entries == 1


@every_store
async def test_deleted_is_gone_and_the_rest_is_not(opened):
    store = opened(LIMIT)
    await store.set_many({key(1): entry(), key(2): entry()})
    await store.delete([key(1), key("absent")])
    assert await store.get_many([key(1), key(2)]) == [None, entry()]


@every_store
async def test_clear_forgets_everything(opened):
    store = opened(LIMIT)
    await store.set_many({key(number): entry() for number in range(10)})
    await store.clear()
    status = store.status()
    assert (status.entries, status.bytes, store.rules()) == (0, 0, {})
    assert await store.get_many([key(0)]) == [None]
    await store.set_many({key(0): entry()})
    assert await store.get_many([key(0)]) == [entry()]


@every_store
async def test_writing_nothing_is_fine(opened):
    store = opened(LIMIT)
    await store.set_many({})
    await store.delete([])
    assert store.status().entries == 0


@every_store
async def test_close_may_be_called_twice(opened):
    store = opened(LIMIT)
    await store.close()
    await store.close()


@every_store
async def test_what_a_rule_holds(opened):
    store = opened(LIMIT)
    await store.set_many({key(1): entry(rule="a"), key(2): entry(rule="b"), key(3): entry(b"longer", rule="b")})
    await store.delete([key(1)])
    rules = store.rules()
    assert {rule: entries for rule, (entries, _) in rules.items()} == {"b": 2}
    assert rules["b"][1] == store.status().bytes


@every_store
async def test_another_rules_entry_at_a_key_is_counted_for_that_rule(opened):
    store = opened(LIMIT)
    await store.set_many({key(1): entry(rule="a")})
    await store.set_many({key(1): entry(rule="b")})
    assert list(store.rules()) == ["b"]


@every_store
async def test_an_entry_larger_than_the_store_is_not_kept_and_costs_no_other(opened):
    store = opened(10_000)
    await store.set_many({key(1): entry(), key(2): entry()})
    await store.set_many({key(2): entry(b"x" * 10_001)})
    assert await store.get_many([key(1), key(2)]) == [entry(), None]


numbers = st.integers(0, 7)
operations = st.one_of(
    st.tuples(st.just("set"), st.dictionaries(numbers, st.tuples(st.binary(max_size=20), st.sampled_from("ab")))),
    st.tuples(st.just("get"), st.lists(numbers)),
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
        elif what == "delete":
            await store.delete([key(number) for number in given_])
            model = {one: kept for one, kept in model.items() if one not in {key(number) for number in given_}}
        else:
            await store.clear()
            model = {}
    assert await store.get_many([key(number) for number in range(8)]) == [model.get(key(one)) for one in range(8)]
    assert (store.status().entries, store.status().evictions) == (len(model), 0)


def run(story: Awaitable[None]) -> None:
    with asyncio.Runner() as runner:
        runner.run(story)


@every_store
@given(done=st.lists(operations, max_size=12))
@settings(deadline=None)
def test_any_sequence_agrees_with_a_dict_as_long_as_nothing_is_evicted(opened, done):
    run(agrees(opened(LIMIT), done))


async def stays_within(store: Store, limit: int, bodies: list[dict[int, int]]) -> None:
    for sizes in bodies:
        await store.set_many({key(number): entry(b"x" * size, "ab"[number % 2]) for number, size in sizes.items()})
        status, rules = store.status(), store.rules()
        assert (status.bytes <= limit, status.limit_bytes) == (True, limit)
        assert sum(entries for entries, _ in rules.values()) == status.entries
        assert sum(size for _, size in rules.values()) == status.bytes


@every_store
@given(
    limit=st.integers(0, 5000),
    bodies=st.lists(st.dictionaries(numbers, st.integers(0, 4000), max_size=4), max_size=12),
)
@settings(deadline=None)
def test_bytes_never_exceed_the_limit_and_rules_add_up_to_them(opened, limit, bodies):
    run(stays_within(opened(limit), limit, bodies))
