"""The sqlite store: what survives, who has to go, what broken rows and files cost, what is left when it is closed."""

import stat
from dataclasses import replace

import pytest
from fakes import FakeClock
from sqlite_child import entry, key
from sqlite_stage import opened, sql, store_path  # noqa: F401

from proxy.core.evict.lru import Lru
from proxy.core.types import Entry
from proxy.store.record import to_record


async def test_what_was_kept_is_there_after_a_restart(path):
    kept = {key(number): entry(number, 1) for number in range(50)}
    async with opened(path) as store:
        await store.set_many(kept)
        before = store.status(), store.rules()
    async with opened(path) as store:
        await store.open()
        assert (store.status(), store.rules()) == before
        assert await store.get_many(list(kept)) == list(kept.values())


async def test_nobody_else_may_read_it(path):
    async with opened(path) as store:
        await store.set_many({key(1): entry(1, 1)})
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert len(modes) == 4  # the link, the file, its log, the log's index
        assert set(modes.values()) == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {file.name for file in path.parent.iterdir()} == {path.name, path.readlink().name}


def sized(number: int, size: int = 1000) -> Entry:
    return Entry(200, (), b"%d" % number * size, 1.0, 1.0, rule="r")


async def test_the_least_recently_used_goes_first_where_that_is_wanted(path):
    clock = FakeClock()
    async with opened(path, 14_000, clock, evict=Lru()) as store:
        for number in range(9):  # of 1,3 KB each
            await store.set_many({key(number): sized(number)})
            clock.advance(60)
        assert await store.get_many([key(0), key(2)]) == [sized(0), sized(2)]
        clock.advance(1)
        await store.set_many({key(10 + number): sized(1) for number in range(4)})
        found = await store.get_many([key(number) for number in range(9)])
        assert [number for number, kept in enumerate(found) if kept is None] == [1, 3, 4]
        assert store.status().evictions == 3


def priced(number: int, cost_s: float) -> Entry:
    return replace(sized(number), cost=cost_s)


async def test_the_least_upstream_seconds_per_byte_go_first(path):
    async with opened(path, 14_000) as store:
        await store.set_many({key(number): priced(number, 60.0 if number in {0, 4} else 0.1) for number in range(9)})
        for number in range(20, 60):
            await store.set_many({key(number): priced(1, 0.1)})
        found = await store.get_many([key(number) for number in range(9)])
        assert [number for number, kept in enumerate(found) if kept is not None] == [0, 4]


async def test_what_was_read_often_stays(path):
    """Here or, as `touch` tells, from a hot tier."""
    async with opened(path, 14_000) as store:
        await store.set_many({key(number): priced(number, 0.1) for number in range(9)})
        for _ in range(5):
            await store.get_many([key(3)])
        await store.touch({key(5): 40, key(99): 1})
        await store.set_many({key(20 + number): priced(1, 0.1) for number in range(6)})
        found = await store.get_many([key(3), key(5)])
        assert None not in found


async def test_reads_are_written_down_together_now_and_then(path):
    async with opened(path, 400_000) as store:
        kept = {key(number): sized(1) for number in range(290)}
        await store.set_many(kept)
        for name in kept:
            await store.get_many([name])
            assert len(store._read) <= 256
        await store.open()
        assert store._read == {}
        assert sql(path, "SELECT count(*) FROM entries WHERE hits = 2")[0][0] >= 256


async def test_how_often_was_read_is_known_after_a_restart(path):
    async with opened(path, 14_000) as store:
        await store.set_many({key(number): priced(number, 0.1) for number in range(9)})
        await store.get_many([key(number) for number in range(9) if number != 4])
    async with opened(path, 14_000) as store:
        await store.set_many({key(10): priced(1, 0.1), key(11): priced(1, 0.1)})
        assert [one is None for one in await store.get_many([key(4), key(5)])] == [True, False]


async def test_the_ranks_of_another_policy_do_not_count(path):
    """Seconds of the clock beside seconds per byte: what one policy ranked would never go, or at once, under another."""
    async with opened(path, 14_000, evict=Lru()) as store:
        await store.set_many({key(number): priced(number, 0.1) for number in range(9)})
    async with opened(path, 14_000) as store:
        await store.set_many({key(20 + number): priced(1, 50.0) for number in range(8)})
        found = await store.get_many([key(20 + number) for number in range(8)])
        assert None not in found
    async with opened(path, 14_000) as store:
        assert sql(path, "SELECT count(*) FROM entries WHERE rank > 0") != [(0,)], "the same policy goes on"


async def test_a_smaller_limit_than_yesterdays_is_kept(path):
    async with opened(path, 2**20) as store:
        await store.set_many({key(number): sized(number) for number in range(300)})
    async with opened(path, 20_000) as store:
        await store.open()
        assert store.status().bytes <= 20_000
        assert 0 < store.status().entries < 300


async def test_a_file_that_may_not_grow_lets_go_of_the_oldest(path, monkeypatch):
    monkeypatch.setattr("proxy.store.sqlite_files._SLACK_PAGES", 0)
    clock = FakeClock()
    limit = 2**20
    async with opened(path, limit, clock) as store:
        for number in range(400):  # each takes a page of 4 KiB, and is counted as 2.3
            clock.advance(1)
            await store.set_many({key(number): sized(0, 2100)})
        assert path.stat().st_size <= limit * 1.25
        assert store.status().evictions > 0
        assert await store.get_many([key(399)]) == [sized(0, 2100)]
        assert await store.get_many([key(0)]) == [None]


async def test_a_broken_row_is_set_apart_and_its_key_is_free(path):
    async with opened(path) as store:
        await store.set_many({key(number): entry(number, 1) for number in range(3)})
        sql(path, "UPDATE entries SET record = substr(record, 1, 40) WHERE key = ?", key(1))
        assert await store.get_many([key(1), key(0), key(2)]) == [None, entry(0, 1), entry(2, 1)]
        await store.open()
        assert sql(path, "SELECT key, length(record) FROM quarantine") == [(key(1), 40)]
        assert store.status().entries == 2
        await store.set_many({key(1): entry(1, 2)})
        assert await store.get_many([key(1)]) == [entry(1, 2)]


@pytest.mark.parametrize(
    "change",
    [
        "record = zeroblob(100)", "record = x''", "record = 'text'", "record = 7",
        "hits = 'x', bytes = 'y', rank = 'z', record = 'z'", "record = randomblob(length(record))",
    ],
)  # fmt: skip
async def test_no_kind_of_broken_row_is_served_or_stays(path, change):
    async with opened(path) as store:
        await store.set_many({key(1): entry(1, 1)})
        sql(path, f"UPDATE entries SET {change}")
        assert await store.get_many([key(1)]) == [None]
        await store.open()
        assert sql(path, "SELECT count(*) FROM quarantine") == [(1,)]
        assert sql(path, "SELECT count(*) FROM entries") == [(0,)]


async def test_a_record_that_got_to_another_key_is_not_served(path):
    async with opened(path) as store:
        await store.set_many({key(1): entry(1, 1), key(2): entry(2, 1)})
        sql(path, "UPDATE entries SET record = ? WHERE key = ?", to_record(key(1), entry(1, 1)), key(2))
        assert await store.get_many([key(1), key(2)]) == [entry(1, 1), None]


async def test_a_row_that_was_mended_meanwhile_is_not_set_apart(path):
    async with opened(path) as store:
        await store.set_many({key(1): entry(1, 1)})
        await store._writes.ask(lambda connection: store._quarantine(key(1), connection))
        await store._writes.ask(lambda connection: store._quarantine(key(2), connection))
        assert await store.get_many([key(1)]) == [entry(1, 1)]
        assert sql(path, "SELECT count(*) FROM quarantine") == [(0,)]


async def test_what_is_set_apart_is_bounded(path):
    async with opened(path) as store:
        await store.set_many({key(number): Entry(200, (), b"x" * 100_000, 1.0, 1.0) for number in range(70)})
        sql(path, "UPDATE entries SET record = record || x'00'")
        assert await store.get_many([key(number) for number in range(70)]) == [None] * 70
        await store.open()
        assert sql(path, "SELECT count(*), max(length(record)) FROM quarantine") == [(64, 2**16)]


async def test_counts_that_are_noise_are_no_reason_to_fail(path):
    async with opened(path) as store:
        await store.set_many({key(1): entry(1, 1)})
        sql(path, "UPDATE held SET entries = 'many', bytes = x'ff', rule = CAST(x'ff' AS TEXT)")
        await store.set_many({key(2): entry(2, 1)})
        assert await store.get_many([key(1), key(2)]) == [entry(1, 1), entry(2, 1)]


async def test_clear_gives_the_space_back_to_be_used_again(path):
    async with opened(path) as store:
        for version in range(4):
            await store.set_many({key(number): entry(number, version) for number in range(200)})
            await store.clear()
        await store.set_many({key(1): entry(1, 9)})
        assert store.status().entries == 1
    assert path.stat().st_size < 2.5 * sum([len(entry(number, 1).body) + 300 for number in range(200)])


async def test_two_that_share_a_row_take_each_others_place(path, monkeypatch):
    monkeypatch.setattr("proxy.store.sqlite._id", lambda key: 7)
    async with opened(path) as store:
        await store.set_many({key(1): entry(1, 1)})
        await store.delete([key(2)])
        assert await store.get_many([key(2), key(1)]) == [None, entry(1, 1)]
        await store.set_many({key(2): entry(2, 1)})
        assert await store.get_many([key(2), key(1)]) == [entry(2, 1), None]
        assert store.status().entries == 1
