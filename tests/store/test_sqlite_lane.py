"""The threads of the sqlite store: what waits, what fails alone, what ends."""

import asyncio
import threading

import pytest
from sqlite_child import entry, key
from sqlite_stage import opened, store_path  # noqa: F401

from proxy.core.types import Entry
from proxy.errors import SqliteError
from proxy.store import sqlite_lane


async def test_nothing_is_left_when_it_is_closed(path):
    async with opened(path) as store:
        writes = asyncio.gather(*[store.set_many({key(number): entry(number, 1)}) for number in range(100)])
        await asyncio.sleep(0)
        await store.close()
        await writes
        assert [thread.name for thread in threading.enumerate() if "sqlite" in thread.name] == []
        for asked in (store.get_many([key(1)]), store.set_many({key(1): entry(1, 1)}), store.open()):
            with pytest.raises(SqliteError, match="closed"):
                await asked
    async with opened(path) as store:
        assert await store.get_many([key(99)]) == [entry(99, 1)]


async def test_a_store_that_was_never_asked_makes_no_file_and_closes(path):
    async with opened(path):
        pass
    assert not path.parent.exists()


async def test_what_piled_up_is_kept_in_one_commit(path):
    async with opened(path) as store:
        await store.open()
        commits: list[str] = []
        await store._writes.ask(lambda connection: connection.set_trace_callback(commits.append))
        await asyncio.gather(*[store.set_many({key(number): entry(number, 1)}) for number in range(40)])
        assert len([said for said in commits if said == "COMMIT"]) <= 3
        assert store.status().entries == 40


async def test_an_entry_that_cannot_be_written_costs_no_other(path):
    async with opened(path) as store:
        impossible = Entry(10**6, (), b"", 1.0, 1.0)
        done = await asyncio.gather(
            store.set_many({key(1): entry(1, 1)}),
            store.set_many({key(2): impossible, key(3): entry(3, 1)}),
            store.set_many({key(4): entry(4, 1)}),
            return_exceptions=True,
        )
        assert [type(one) for one in done] == [type(None), SqliteError, type(None)]
        found = await store.get_many([key(number) for number in range(1, 5)])
        assert found == [entry(1, 1), None, None, entry(4, 1)]


async def test_who_gave_up_waiting_is_no_trouble(path):
    async with opened(path) as store:
        tasks = [
            asyncio.create_task(store.set_many({key(1): entry(1, 1)})),
            asyncio.create_task(store.get_many([key(1)])),
        ]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.open()
        assert await store.get_many([key(1)]) == [entry(1, 1)]  # it was under way already


async def test_what_waits_for_a_slow_disk_is_bounded(path, monkeypatch):
    monkeypatch.setattr(sqlite_lane, "MOST_WAITING_BYTES", 100_000)
    go = threading.Event()
    async with opened(path) as store:
        hangs = asyncio.create_task(store._writes.ask(lambda _: go.wait(10)))
        large = {key(1): Entry(200, (), b"x" * 200_000, 1.0, 1.0)}
        first = asyncio.create_task(store.set_many(large))
        await asyncio.sleep(0)
        with pytest.raises(SqliteError, match="too much"):
            await store.set_many({key(2): entry(2, 1)})
        deleted = asyncio.create_task(store.delete([key(3)]))  # that costs nothing
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(hangs, first, deleted)
        await store.set_many({key(2): entry(2, 1)})
        assert await store.get_many([key(1), key(2)]) == [*large.values(), entry(2, 1)]
