"""The files of the sqlite store: versions, broken ones, full ones, places that cannot be written, several processes."""

import contextlib
import os
import random
import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import pytest
from fakes import FakeClock
from sqlite_child import KEYS, entry, key
from sqlite_stage import LIMIT, child, named, opened, said, sql, store_path  # noqa: F401

from proxy.errors import SqliteError
from proxy.store import sqlite_files, sqlite_lane

MOST_ROUNDS = int(os.environ.get("FRONTRUNNER_KILLS", "3"))


@pytest.mark.timeout(60 + 10 * MOST_ROUNDS)
async def test_what_was_acknowledged_survives_kill_9_under_load(path):
    dice, acknowledged = random.Random(1), dict.fromkeys(range(KEYS), 0)
    for begin in range(1, MOST_ROUNDS * 1000, 1000):
        other = child("write_for_ever", path, begin)
        lines = [other.stdout.readline() for _ in range(dice.randint(1, 1500))]
        other.kill()
        lines += other.communicate()[0].splitlines()
        acknowledged |= dict([map(int, line.split()) for line in lines])
        async with opened(path) as store:
            found = await store.get_many([key(number) for number in range(KEYS)])
            for number, version in acknowledged.items():
                # of the next version it may have been killed before it could say that it is kept
                possible = {kept: entry(number, kept) for kept in (version, version + 1, begin) if kept}
                assert found[number] in (possible.values() if version else (None, possible[begin]))
                acknowledged[number] = max([0, *[kept for kept, one in possible.items() if one == found[number]]])
            assert sql(path, "SELECT count(*) FROM quarantine") == [(0,)]
        held_is_what_is_there(path)


def held_is_what_is_there(path):
    told = sql(path, "SELECT rule, entries, bytes FROM held WHERE entries > 0 ORDER BY rule")
    assert told == sql(path, "SELECT rule, count(*), sum(bytes) FROM entries GROUP BY rule ORDER BY rule")
    assert sql(path, "PRAGMA integrity_check") == [("ok",)]


async def test_several_processes_write_at_once(path):
    running = [child("write_all", path, version) for version in (1, 2, 3)]
    assert [said(one) for one in running] == [["wrote 1"], ["wrote 2"], ["wrote 3"]]
    async with opened(path) as store:
        found = await store.get_many([key(number) for number in range(KEYS)])
        assert all(one in [entry(number, version) for version in (1, 2, 3)] for number, one in enumerate(found))
    held_is_what_is_there(path)
    assert len(named(path, ".*")) == 1  # all began at once, with one file


def truncated(file: Path, size: int) -> None:
    os.truncate(file, min(size, file.stat().st_size))


def noisy(file: Path, at: int, size: int) -> None:
    with file.open("r+b") as open_file:
        open_file.seek(at)
        open_file.write(random.Random(2).randbytes(size))


DAMAGE = {
    "empty": lambda file: truncated(file, 0),
    "cut in the first page": lambda file: truncated(file, 1000),
    "half": lambda file: truncated(file, file.stat().st_size // 2),
    "a byte short": lambda file: truncated(file, file.stat().st_size - 1),
    "noise at its beginning": lambda file: noisy(file, 0, 5000),
    "noise in its middle": lambda file: noisy(file, file.stat().st_size // 2, 50_000),
    "noise here and there": lambda file: [noisy(file, at, 40) for at in range(200, file.stat().st_size, 3000)],
    "all noise": lambda file: noisy(file, 0, file.stat().st_size),
    "another database": lambda file: (file.unlink(), sql(file, "CREATE TABLE other (a)")),
    "another schema": lambda file: (sql(file, "DROP TABLE entries"), sql(file, "CREATE TABLE entries (a)")),
    "no table": lambda file: sql(file, "DROP TABLE held"),
    "gone": lambda file: file.unlink(),
    "the link is gone": lambda file: (file.parent / "store.sqlite").unlink(),
    "the log is noise": lambda file: noisy(file.with_name(file.name + "-wal"), 0, 60_000),
    "the log is cut": lambda file: truncated(file.with_name(file.name + "-wal"), 10_000),
}


async def refused(store, number, version):
    """Ask for a key and write it; return how much of that was refused. Only what was kept may come back."""
    count = 0
    try:
        (found,) = await store.get_many([key(number)])
        assert found is None or found in [entry(number, kept) for kept in range(1, version + 1)]
    except SqliteError:
        count += 1
    try:
        await store.set_many({key(number): entry(number, version)})
    except SqliteError:
        count += 1
    return count


@pytest.mark.parametrize(
    ("damage", "is_open"),
    [
        pytest.param(damage, is_open, id=f"{name}, while {'open' if is_open else 'closed'}")
        for name, damage in DAMAGE.items()
        for is_open in (False, True)
        if is_open or "log" not in name
    ],
)
async def test_a_broken_file_costs_hits_and_heals(path, damage, is_open):
    clock = FakeClock()
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(opened(path, clock=clock)) for _ in range(2)]
        for at, store in enumerate(stores):
            await store.set_many({key(number): entry(number, 1) for number in range(at, KEYS, 2)})
        await stores[1].get_many([key(1)])
        if not is_open:
            for store in stores:
                await store.close()
            stores = [await stack.enter_async_context(opened(path, clock=clock)) for _ in range(2)]
        damage(path.parent / path.readlink())
        for version in range(2, 10):
            clock.advance(61)
            if not sum([await refused(stores[number % 2], number, version) for number in range(KEYS)]):
                break
        assert version < 9
        assert await stores[0].get_many([key(number) for number in range(KEYS)]) == [
            entry(number, version) for number in range(KEYS)
        ]
        assert len(named(path, ".broken-*")) <= 1
        assert len(named(path, ".*-????????")) == 1


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
async def test_a_log_that_is_left_as_noise_costs_hits(path, ending):
    async with opened(path) as store:
        await store.set_many({key(number): entry(number, 1) for number in range(KEYS)})
    file = path.parent / path.readlink()
    file.with_name(file.name + ending).write_bytes(random.Random(3).randbytes(100_000))
    async with opened(path) as store:
        assert sum([await refused(store, number, 2) for number in range(KEYS)]) <= 2 * KEYS
        assert await refused(store, 1, 3) in (0, 2)


async def test_a_file_is_set_aside_at_most_once_a_minute(path):
    clock = FakeClock()
    async with opened(path, clock=clock) as store:
        for _ in range(3):
            await store.set_many({key(1): entry(1, 1)})
            sql(path, "DROP TABLE entries")
            assert [await refused(store, 1, 2) for _ in range(3)] == [1, 0, 0]
            second = path.readlink()
            sql(path, "DROP TABLE entries")
            for _ in range(5):
                assert await refused(store, 1, 2) == 2
                clock.advance(10)
            assert (path.readlink(), len(named(path, ".broken-*"))) == (second, 1)
            clock.advance(10)
            assert [await refused(store, 1, 2) for _ in range(2)] == [1, 0]
            assert path.readlink() != second
            clock.advance(60)


async def test_in_the_second_half_of_a_second_two_lanes_set_aside_one_file_and_then_the_new_one(path):
    files = sqlite_files.Files(path, LIMIT, "1", FakeClock(wall=1_000_000_000.7))
    for _ in range(2):
        name, connection = files.open()
        sqlite_files.close(connection)
        files.set_aside(name)
    assert (path.readlink().name, len(named(path, ".broken-*"))) == (name, 1)


async def test_another_version_of_the_schema_begins_anew(path, monkeypatch):
    async with opened(path) as old:
        await old.set_many({key(1): entry(1, 1)})
        monkeypatch.setattr(sqlite_files, "SCHEMA_VERSION", sqlite_files.SCHEMA_VERSION + 1)
        async with opened(path) as new:
            assert await new.get_many([key(1)]) == [None]
            await new.set_many({key(1): entry(1, 2)})
            for _ in range(3):  # the two do not go on emptying each other's
                with pytest.raises(SqliteError, match="another release"):
                    await old.get_many([key(1)])
                with pytest.raises(SqliteError, match="another release"):
                    await old.set_many({key(1): entry(1, 1)})
                assert await new.get_many([key(1)]) == [entry(1, 2)]
    assert [file.name for file in named(path, ".*")] == [path.readlink().name]


@pytest.mark.parametrize("step", ["_connect", "_versions_of"])
async def test_a_file_that_another_process_replaced_while_it_was_opened_was_a_failure_of_the_disk(
    path, monkeypatch, step
):
    files, other = (sqlite_files.Files(path, LIMIT, "1", FakeClock()) for _ in range(2))
    name, connection = files.open()
    sqlite_files.close(connection)
    real = getattr(files, step)

    def replaced(at_work_on):
        monkeypatch.undo()
        other._begin_anew(name)
        return real(at_work_on)

    monkeypatch.setattr(files, step, replaced)
    second, connection = files.open()
    sqlite_files.close(connection)
    assert (path.readlink().name, second != name, len(named(path, ".*"))) == (second, True, 1)


@pytest.mark.parametrize("version", "12")
async def test_the_log_of_a_file_that_was_replaced_while_it_was_opened_stayed(path, monkeypatch, version):
    old, files, other = (sqlite_files.Files(path, LIMIT, made, FakeClock()) for made in ("1", version, version))
    name, connection = old.open()
    sqlite_files.close(connection)
    versions_of, siblings = files._versions_of, other._siblings

    def replaced(connection):
        monkeypatch.undo()
        versions = []

        def listed(ending):
            found = siblings(ending)
            versions.append(versions_of(connection))  # begins its log
            return found

        monkeypatch.setattr(other, "_siblings", listed)
        other._begin_anew(name)
        return versions[0]

    monkeypatch.setattr(files, "_versions_of", replaced)
    second, connection = files.open()
    sqlite_files.close(connection)
    assert (path.readlink().name, second != name, len(named(path, ".*"))) == (second, True, 1)


async def test_threads_that_begin_at_once_took_each_others_file_for_another_releases(path, monkeypatch):
    files, both, met = sqlite_files.Files(path, LIMIT, "1", FakeClock()), Barrier(2), []
    real = files._versions_of

    def met_there(connection):
        with contextlib.suppress(BrokenBarrierError):
            met.append(both.wait(0.2))
        return real(connection)

    monkeypatch.setattr(files, "_versions_of", met_there)
    with ThreadPoolExecutor(2) as threads:
        opening = [threads.submit(files.open) for _ in range(2)]
    assert ({one.result()[0] for one in opening}, met) == ({path.readlink().name}, [])


async def test_a_log_that_its_last_user_deleted_first_kept_a_file_from_being_replaced(path, monkeypatch):
    files = sqlite_files.Files(path, LIMIT, "1", FakeClock())
    name, connection = files.open()
    real = files._siblings

    def closed_meanwhile(ending):
        found = real(ending)
        sqlite_files.close(connection)
        return found

    monkeypatch.setattr(files, "_siblings", closed_meanwhile)
    files._begin_anew(name)
    assert (path.readlink().name != name, len(named(path, ".*"))) == (True, 1)


async def test_a_file_that_another_process_began_anew_was_taken_for_another_releases(path, monkeypatch):
    old, files, other = (sqlite_files.Files(path, LIMIT, version, FakeClock()) for version in "122")
    name, connection = old.open()
    sqlite_files.close(connection)
    real = files._versions_of

    def begun_anew(connection):
        versions = real(connection)
        monkeypatch.undo()
        sqlite_files.close(other.open()[1])
        return versions

    monkeypatch.setattr(files, "_versions_of", begun_anew)
    second, connection = files.open()
    sqlite_files.close(connection)
    assert (path.readlink().name, second != name, len(named(path, ".*"))) == (second, True, 1)


async def test_keys_that_are_made_otherwise_begin_anew(path):
    for version in ("1", "2", "1"):
        async with opened(path, key_version=version) as store:
            assert await store.get_many([key(1)]) == [None]
            await store.set_many({key(1): entry(1, 1)})
        async with opened(path, key_version=version) as store:
            assert await store.get_many([key(1)]) == [entry(1, 1)]


async def test_another_programs_database_is_left_alone(path):
    path.parent.mkdir()
    sql(path, "CREATE TABLE precious (a)")
    before = path.read_bytes()
    async with opened(path) as store:
        for _ in range(2):
            assert await refused(store, 1, 1) == 2
        with pytest.raises(SqliteError, match="another program's"):
            await store.open()
    assert (path.is_symlink(), path.read_bytes()) == (False, before)


async def test_a_link_to_another_place_is_left_alone(path, tmp_path):
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    async with opened(path) as store:
        with pytest.raises(SqliteError, match="name that place"):
            await store.open()
    assert path.readlink() == tmp_path / "elsewhere"


async def test_a_copy_that_was_put_back_is_used(path, tmp_path):
    async with opened(path) as store:
        await store.set_many({key(1): entry(1, 1)})
    copy = path.read_bytes()
    async with opened(path) as store:
        await store.set_many({key(1): entry(1, 2)})
        path.unlink()
        path.write_bytes(copy)
        assert await store.get_many([key(1)]) == [entry(1, 1)]
        assert path.stat().st_mode & 0o777 == 0o600


async def test_a_busy_file_is_not_set_aside(path, monkeypatch):
    monkeypatch.setattr(sqlite_lane, "_MOST_TRIES", 2)
    async with opened(path) as store:
        await store.set_many({key(1): entry(1, 1)})
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(SqliteError, match="locked"):
                await store.set_many({key(1): entry(1, 2)})
            assert await store.get_many([key(1)]) == [entry(1, 1)]  # reads wait for nobody
        await store.set_many({key(1): entry(1, 3)})
        assert await store.get_many([key(1)]) == [entry(1, 3)]
    assert named(path, ".broken-*") == []


@pytest.mark.parametrize("most_bytes", [2**10, 2**16, 2**17, 2**19])
async def test_no_file_may_grow(path, most_bytes):
    ((line,)) = said(child("write_in_little_room", path, most_bytes))
    kept, not_kept, found = map(int, line.split())
    assert kept + not_kept == 200
    assert (found > 0) == (kept > 0) == (most_bytes > 2**10)  # where there is some room, the oldest make more
    async with opened(path) as store:
        for number in range(200):
            assert await refused(store, number, 1) == 0


def test_a_place_that_cannot_be_written():
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "state"
        folder.mkdir()
        Path(place).chmod(0o711)
        try:
            assert said(child("read_only", folder / "store", folder)) == ["refused 2"] * 3
        finally:
            folder.chmod(0o700)


async def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    async with opened(tmp_path / "file" / "store") as store:
        assert await refused(store, 1, 1) == 2
