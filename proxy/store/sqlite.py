"""Entries in one file that survives restarts and kill -9, for all processes of one machine; the embedded default.

Two threads, each with a connection: reads never wait for a commit. What is written is answered after its commit, what
has piled up meanwhile goes into one. The write-ahead log is flushed when it is merged: a kill loses nothing that was
answered, a power cut may lose the last seconds.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path

from proxy.clock import Clock
from proxy.core.evict import Evict
from proxy.core.evict.gdsf import Gdsf
from proxy.core.types import Entry
from proxy.store import StoreStatus, sqlite_leases
from proxy.store.record import from_record, to_record
from proxy.store.sqlite_files import ENTRIES, Files
from proxy.store.sqlite_lane import Lane, Together

_ROW_BYTES = 256
"""What a row takes beside its record: key and numbers, and its share of pages that are not full."""
_MOST_READ = 256
"""So many reads are noted together: else each would be a write."""
_MOST_EVICTED = 5_000
"""In one commit: a smaller limit than yesterday's is reached step by step."""
_ROOM = 20
"""A full file lets go of this part of its limit."""
_MOST_QUARANTINED = 64
_MOST_QUARANTINED_BYTES = 2**16

_FIND = "SELECT record FROM entries WHERE id = ? AND key = ?"
_RANKED = "SELECT CAST(hits AS INTEGER), CAST(cost AS REAL), CAST(bytes AS INTEGER) FROM entries WHERE id = ?"
_SET_APART = """INSERT INTO quarantine (key, record, since)
    SELECT key, substr(CAST(record AS BLOB), 1, ?), ? FROM entries WHERE id = ?"""
_LOWEST = "SELECT id, CAST(bytes AS INTEGER), CAST(rank AS REAL) FROM entries ORDER BY rank LIMIT ?"
_RANKING = "SELECT name, value FROM about WHERE name IN ('evict', 'floor')"
_HELD = "SELECT rule, CAST(entries AS INTEGER), CAST(bytes AS INTEGER) FROM held WHERE entries > 0"

Held = Mapping[str, tuple[int, int]]


class Sqlite:
    """Keeps at most `limit_bytes` of entries in the file at `path`; `evict` tells which go first.

    `key_version` tells how keys are made: entries of other versions would never be found. Raises SqliteError where the
    file is busy, full, broken or out of reach; then a call may be made again.
    """

    def __init__(
        self, path: Path, limit_bytes: int, clock: Clock, key_version: str = "1", evict: Evict | None = None
    ) -> None:
        files = Files(path, limit_bytes, key_version, clock)
        self._limit = limit_bytes
        self._clock = clock
        self._reads = Lane("sqlite reads", files)
        self._writes = Together("sqlite writes", files, self._before_commit, self._make_room)
        self._held: Held = {}
        self._evictions = 0
        self._evict = evict or Gdsf()
        self._read: dict[int, int] = {}

    async def open(self) -> None:
        """Make the file where there is none, and see that it can be written; any call does so where this was not."""
        await self._writes.ask(lambda _: None)

    async def get_many(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return what is stored at each key, in order; None where nothing is."""
        self._writes.start()  # it takes what the reads find: broken rows, and who was read last
        return await self._reads.ask(partial(self._found, keys)) if keys else []

    def _found(self, keys: Sequence[bytes], connection: sqlite3.Connection) -> list[Entry | None]:
        if len(keys) == 1:
            return [self._entry(connection, keys[0])]
        connection.execute("BEGIN")  # all as they were at one moment
        try:
            return [self._entry(connection, key) for key in keys]
        finally:
            connection.execute("COMMIT")

    def _entry(self, connection: sqlite3.Connection, key: bytes) -> Entry | None:
        rows = connection.execute(_FIND, (_id(key), key)).fetchall()
        if not rows:
            return None
        entry = _whole(key, rows[0][0])
        if entry is None:
            self._writes.tell(partial(self._quarantine, key))
        else:
            self._note(key, 1)
        return entry

    def _note(self, key: bytes, hits: int) -> None:
        """Have it known that an entry was read; the next commit takes that along."""
        if len(self._read) < _MOST_READ:  # else nothing can be written just now
            self._read[_id(key)] = self._read.get(_id(key), 0) + hits
            if len(self._read) == _MOST_READ:
                self._writes.tell(lambda _: None)

    async def touch(self, hits: Mapping[bytes, int]) -> None:
        """Take note of how often these were read elsewhere since the last time; absent ones are fine."""
        self._writes.start()
        for key, number in hits.items():
            self._note(key, number)

    async def set_many(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep all of these; what is larger than the whole store is not kept."""
        if entries:
            size = sum([len(entry.body) + _ROW_BYTES for entry in entries.values()])
            await self._writes.ask(partial(self._keep, dict(entries)), size)

    def _keep(self, entries: Mapping[bytes, Entry], connection: sqlite3.Connection) -> None:
        records = {key: to_record(key, entry) for key, entry in entries.items()}
        known = [connection.execute(_RANKED, (_id(key),)).fetchone() for key in records]
        connection.executemany("DELETE FROM entries WHERE id = ?", [(_id(key),) for key in records])
        sizes = [len(record) + _ROW_BYTES for record in records.values()]
        self._let_go(
            connection, _held_bytes(connection) + sum([one for one in sizes if one <= self._limit]) - self._limit
        )
        floor, now = self._floor(connection), self._clock.wall()
        for (key, record), size, before in zip(records.items(), sizes, known, strict=True):
            if size <= self._limit:
                hits, entry = 1 if before is None else before[0] + 1, entries[key]
                rank = self._evict.rank(hits, entry.cost, size, floor, now)
                row = (_id(key), key, entry.rule, size, entry.cost, hits, rank, record)
                connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    async def delete(self, keys: Sequence[bytes]) -> None:
        """Forget these; absent ones are fine."""
        if keys:
            await self._writes.ask(partial(_delete, keys))

    async def clear(self) -> None:
        """Forget everything; leases and notes stay."""
        await self._writes.ask(_clear)

    def status(self) -> StoreStatus:
        """Tell what was held, by all processes, when this one last wrote."""
        held = self._held.values()
        return StoreStatus(sum([one[0] for one in held]), sum([one[1] for one in held]), self._limit, self._evictions)

    def rules(self) -> Held:
        """Tell how many entries and bytes each rule held then."""
        return self._held

    async def lease(self, key: bytes, owner: str, lasts_s: float) -> int | None:
        """Take or renew the lease on a key; return its fencing token, or None where another has it."""
        return await self._writes.ask(lambda at: sqlite_leases.lease(at, key, owner, self._clock.wall(), lasts_s))

    async def release(self, key: bytes, owner: str) -> None:
        """Give a lease back; nothing happens where another has it by now."""
        await self._writes.ask(lambda at: sqlite_leases.release(at, key, owner))

    async def pin(self, name: str, note: bytes, lasts_s: float) -> None:
        """Put a note on the board, in place of the one of this name."""
        await self._writes.ask(lambda at: sqlite_leases.pin(at, name, note, self._clock.wall(), lasts_s))

    async def notes(self, prefix: str) -> Mapping[str, bytes]:
        """Return the notes whose names begin so."""
        return await self._reads.ask(lambda at: sqlite_leases.notes(at, prefix, self._clock.wall()))

    async def close(self) -> None:
        """Finish what waits to be written and end both threads; the last process to close merges the log."""
        await self._reads.close()
        if self._read:
            self._writes.tell(lambda _: None)
        await self._writes.close()

    def _quarantine(self, key: bytes, connection: sqlite3.Connection) -> None:
        """Keep a broken record for whoever wants to know why; another process may have mended it meanwhile."""
        rows = connection.execute(_FIND, (_id(key), key)).fetchall()
        if not rows or _whole(key, rows[0][0]) is not None:
            return
        wanted = (_MOST_QUARANTINED_BYTES, self._clock.wall(), _id(key))
        newest = connection.execute(_SET_APART, wanted).lastrowid or 0
        connection.execute("DELETE FROM quarantine WHERE id <= ?", (newest - _MOST_QUARANTINED,))
        _delete((key,), connection)

    def _before_commit(self, connection: sqlite3.Connection) -> Callable[[], None]:
        self._rank_again(connection)
        self._let_go(connection, _held_bytes(connection) - self._limit)
        return partial(self._committed, _held(connection))

    def _rank_again(self, connection: sqlite3.Connection) -> None:
        """Write down what was read since the last time."""
        if not self._read:
            return
        read, self._read = self._read, {}
        floor, now = self._floor(connection), self._clock.wall()
        for place, number in list(read.items()):  # at once: another thread may still be adding one
            known = connection.execute(_RANKED, (place,)).fetchone()
            if known is not None:
                hits, cost, size = known
                rank = self._evict.rank(hits + number, cost, max(size, 1), floor, now)
                connection.execute("UPDATE entries SET hits = ?, rank = ? WHERE id = ?", (hits + number, rank, place))

    def _floor(self, connection: sqlite3.Connection) -> float:
        """Return the rank of the last one that had to go; where another policy ranked, all begin alike."""
        about = dict(connection.execute(_RANKING).fetchall())
        if about.get("evict") == repr(self._evict):
            return float(about["floor"])
        connection.execute("UPDATE entries SET rank = 0.0")
        for name, value in (("floor", 0.0), ("evict", repr(self._evict))):
            connection.execute("REPLACE INTO about VALUES (?, ?)", (name, value))
        return 0.0

    def _committed(self, held: Held) -> None:
        self._held = held

    def _make_room(self, connection: sqlite3.Connection, size: int) -> None:
        self._let_go(connection, max(size, self._limit // _ROOM))

    def _let_go(self, connection: sqlite3.Connection, size: int) -> None:
        """Forget those whose rank is lowest, this many bytes of them."""
        if size <= 0:
            return
        self._rank_again(connection)
        gone, floor = [], self._floor(connection)
        lowest = connection.execute(_LOWEST, (_MOST_EVICTED,))
        for place, freed, rank in lowest:
            gone.append((place,))
            floor = max(floor, rank)
            size -= freed
            if size <= 0:
                break
        lowest.close()
        connection.executemany("DELETE FROM entries WHERE id = ?", gone)
        connection.execute("REPLACE INTO about VALUES ('floor', ?)", (floor,))
        self._evictions += len(gone)


def _id(key: bytes) -> int:
    """Return the row of a key: one look-up in one tree. Two keys that share it take each other's place."""
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big", signed=True)


def _whole(key: bytes, record: object) -> Entry | None:
    return from_record(key, record) if isinstance(record, bytes) else None


def _held(connection: sqlite3.Connection) -> Held:
    rows = connection.execute(_HELD).fetchall()
    return {rule: (entries, size) for rule, entries, size in rows}


def _held_bytes(connection: sqlite3.Connection) -> int:
    return sum([size for _, size in _held(connection).values()])


def _delete(keys: Sequence[bytes], connection: sqlite3.Connection) -> None:
    connection.executemany("DELETE FROM entries WHERE id = ? AND key = ?", [(_id(key), key) for key in keys])


def _clear(connection: sqlite3.Connection) -> None:
    for table in ("entries", "held"):
        connection.execute(f"DROP TABLE {table}")
    for statement in ENTRIES:
        connection.execute(statement)
