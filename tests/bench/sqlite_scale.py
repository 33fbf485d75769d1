"""What a look-up in the sqlite store costs, from await to value: 1 KiB entries, uniform keys, 10,000 and 1,000,000 rows.

    python tests/bench/sqlite_scale.py [--folder FOLDER] [--rows 10000,1000000] [--rounds 15] [--gets 2000]

Each round asks both stores in turn; read the ratio of the medians, for the machine's noise is in both. The files stay
in the folder and are used again. Then: writes one by one, many at once, and what it takes to forget everything.
"""

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from hashlib import blake2b
from pathlib import Path

import uvloop

from proxy.clock import SystemClock
from proxy.core.types import Entry
from proxy.store.sqlite import Sqlite

HEAD = (
    (b"content-type", b"application/json"),
    (b"content-length", b"1024"),
    (b"date", b"Sun, 06 Nov 1994 08:49:37 GMT"),
    (b"cache-control", b"public, max-age=3600"),
    (b"etag", b'"0123456789abcdef"'),
)
LIMIT = 2**32
AT_ONCE = 64


def key(number: int) -> bytes:
    return blake2b(b"%d" % number, digest_size=20).digest()


def entry(number: int) -> Entry:
    return Entry(200, HEAD, b"%016x" % number * 64, time.time(), 3600.0, cost=41.5, rule="bench")


async def filled(path: Path, rows: int) -> Sqlite:
    store = Sqlite(path, LIMIT, SystemClock())
    await store.open()
    began = time.perf_counter()
    missing = rows - store.status().entries
    for at in range(rows - missing, rows, 500):
        await store.set_many({key(number): entry(number) for number in range(at, min(at + 500, rows))})
    took = time.perf_counter() - began
    if missing > 0:
        print(f"{rows:>9,} rows: written in {took:.1f} s, {took / missing * 1e6:.1f} µs each, 500 at a time")
    size = path.stat().st_size
    print(f"{rows:>9,} rows: {size / 2**20:,.0f} MiB on disk, counted as {store.status().bytes / size:.0%} of that")
    return store


async def gets(store: Sqlite, rows: int, number: int) -> float:
    """Return the median of a look-up, in µs."""
    took = []
    for wanted in [random.randrange(rows) for _ in range(number)]:
        name = key(wanted)
        began = time.perf_counter()
        (found,) = await store.get_many((name,))
        took.append(time.perf_counter() - began)
        assert found is not None
    return statistics.median(took) * 1e6


async def gets_at_once(store: Sqlite, rows: int, number: int) -> float:
    """Return what each takes where AT_ONCE ask together, in µs."""
    names = [key(random.randrange(rows)) for _ in range(number)]
    began = time.perf_counter()
    for at in range(0, number, AT_ONCE):
        await asyncio.gather(*[store.get_many((name,)) for name in names[at : at + AT_ONCE]])
    return (time.perf_counter() - began) / number * 1e6


async def sets(store: Sqlite, rows: int, number: int, at_once: int) -> float:
    """Return what each takes, in µs; the keys are there already."""
    began = time.perf_counter()
    for _ in range(number // at_once):
        chosen = [random.randrange(rows) for _ in range(at_once)]
        await asyncio.gather(*[store.set_many({key(one): entry(one)}) for one in chosen])
    return (time.perf_counter() - began) / number * 1e6


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "sqlite_scale")
    parser.add_argument("--rows", default="10000,1000000")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--gets", type=int, default=2000)
    parser.add_argument("--clear", action="store_true", help="end by forgetting everything")
    given = parser.parse_args()
    given.folder.mkdir(exist_ok=True)
    sizes = [int(size) for size in given.rows.split(",")]
    stores = {rows: await filled(given.folder / f"{rows}.sqlite", rows) for rows in sizes}
    one: dict[int, list[float]] = {rows: [] for rows in sizes}
    many: dict[int, list[float]] = {rows: [] for rows in sizes}
    for _ in range(given.rounds):
        for rows, store in stores.items():
            one[rows].append(await gets(store, rows, given.gets))
            many[rows].append(await gets_at_once(store, rows, given.gets))
    for rows, store in stores.items():
        single, grouped = await sets(store, rows, 500, 1), await sets(store, rows, 6400, AT_ONCE)
        print(
            f"{rows:>9,} rows: get {statistics.median(one[rows]):.1f} µs, {AT_ONCE} at once"
            f" {statistics.median(many[rows]):.1f} µs each; set {single:.1f} µs, {AT_ONCE} at once {grouped:.1f} µs each"
        )
    print(f"ratio of the look-ups: {statistics.median(one[sizes[-1]]) / statistics.median(one[sizes[0]]):.2f}")
    for rows, store in stores.items():
        began = time.perf_counter()
        if given.clear:
            await store.clear()
            print(f"{rows:>9,} rows: forgotten in {time.perf_counter() - began:.2f} s")
        await store.close()
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    uvloop.run(main())
