"""Another process that uses the same sqlite store: `python sqlite_child.py WHAT FOLDER ...`, told by tests."""

import asyncio
import os
import resource
import sys
from pathlib import Path

from proxy.clock import SystemClock
from proxy.core.types import Entry
from proxy.errors import SqliteError
from proxy.store.sqlite import Sqlite

LIMIT = 2**26
KEYS = 400
WRITERS = 16
NOBODY = 65534


def key(number: int) -> bytes:
    return b"%020d" % number


def entry(number: int, version: int) -> Entry:
    """Make an entry whose every byte tells what it should be; some larger than a page."""
    body = b"%d:%d;" % (number, version) * (20 if number % 7 else 2000)
    return Entry(200, ((b"etag", b'"%d"' % version),), body, 1e9 + version, 60.0, rule=f"rule {number % 3}")


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


async def write_for_ever(store: Sqlite, begin: str) -> None:
    """Write the keys again and again, each time their next version; say which once it is kept."""

    async def writer(first: int) -> None:
        for version in range(int(begin), 10**9):
            for number in range(first, KEYS, WRITERS):
                await store.set_many({key(number): entry(number, version)})
                say(f"{number} {version}")

    async with asyncio.TaskGroup() as group:
        for first in range(WRITERS):
            group.create_task(writer(first))


async def write_all(store: Sqlite, version: str) -> None:
    """Write every key, many at once, and read others' meanwhile."""

    async def writer(first: int) -> None:
        for number in range(first, KEYS, WRITERS):
            await store.set_many({key(number): entry(number, int(version))})
            found = await store.get_many([key(number), key(KEYS - number)])
            assert found[0] is not None

    async with asyncio.TaskGroup() as group:
        for first in range(WRITERS):
            group.create_task(writer(first))
    say(f"wrote {version}")


async def take_lease(store: Sqlite, owner: str, lasts_s: str) -> None:
    """Take the lease on key 1 and hold on to it."""
    say(str(await store.lease(key(1), owner, float(lasts_s))))
    await asyncio.sleep(60)


async def write_in_little_room(store: Sqlite, most_bytes: str) -> None:
    """Write until no file may grow; say what is kept and what was refused, and that what is kept can be read."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(most_bytes), int(most_bytes)))
    kept, refused = [], 0
    for number in range(200):
        try:
            await store.set_many({key(number): entry(number, 1)})
            kept.append(number)
        except SqliteError:
            refused += 1
    found = [number for number in kept if await store.get_many([key(number)]) == [entry(number, 1)]]
    say(f"{len(kept)} {refused} {len(found)}")


async def read_only(store: Sqlite, folder: str) -> None:
    """Write, let nobody write any more, and say what is refused."""
    if os.getuid() == 0:  # whom no mode holds back
        os.chown(folder, NOBODY, NOBODY)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    await store.set_many({key(1): entry(1, 1)})
    await store.close()
    for path in Path(folder).iterdir():
        if not path.is_symlink():
            path.chmod(0o400)
    Path(folder).chmod(0o500)
    for path in (Path(folder) / "store", Path(folder) / "other", Path(folder) / "more" / "other"):
        again = Sqlite(path, LIMIT, SystemClock())
        refused = 0
        for asked in (again.open, lambda again=again: again.set_many({key(2): entry(2, 1)})):
            try:
                await asked()
            except SqliteError:
                refused += 1
        try:
            found = await again.get_many([key(1)])
        except SqliteError:
            found = [None]
        assert found in ([None], [entry(1, 1)])
        await again.close()
        say(f"refused {refused}")


async def main(what: str, place: str, *given: str) -> None:
    store = Sqlite(Path(place), LIMIT, SystemClock())
    try:
        await globals()[what](store, *given)
    finally:
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
