"""Entries in one file that survives restarts and kill -9, for all processes of one machine; the embedded default.

Two threads, each with a connection: reads never wait for a commit. What is written is answered after its commit, what
has piled up meanwhile goes into one. The write-ahead log is flushed when it is merged: a kill loses nothing that was
answered, a power cut may lose the last seconds.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from math import inf
from pathlib import Path

from proxy.clock import Clock
from proxy.core.types import Entry
from proxy.store import StoreStatus, sqlite_leases
from proxy.store.record import from_record, to_record
from proxy.store.sqlite_files import ENTRIES, Files
from proxy.store.sqlite_lane import Lane, Together

_ROW_BYTES = 256
"""What a row takes beside its record: key and numbers, and its share of pages that are not full."""
_STAMP_AFTER_MS = 10_000
_STAMP_AGE = 4
"""An entry is made younger when read, if it has this part of the oldest one's age: else each read would be a write."""
_NEARLY_FULL = 0.75
"""Below this part of the limit who was read last does not matter yet."""
_MOST_STAMPS = 256
_MOST_EVICTED = 5_000
"""In one commit: a smaller limit than yesterday's is reached step by step."""
_ROOM = 20
"""A full file lets go of this part of its limit."""
_MOST_QUARANTINED = 64
_MOST_QUARANTINED_BYTES = 2**16

_FIND = "SELECT CAST(used AS INTEGER), record FROM entries WHERE id = ? AND key = ?"
_SET_APART = """INSERT INTO quarantine (key, record, since)
    SELECT key, substr(CAST(record AS BLOB), 1, ?), ? FROM entries WHERE id = ?"""
_OLDEST = "SELECT id, CAST(bytes AS INTEGER) FROM entries ORDER BY used LIMIT ?"
_HELD = "SELECT rule, CAST(entries AS INTEGER), CAST(bytes AS INTEGER) FROM held WHERE entries > 0"

Held = Mapping[str, tuple[int, int]]


class Sqlite:
    """Keeps at most `limit_bytes` of entries in the file at `path`, least recently used out first.

    `key_version` tells how keys are made: entries of other versions would never be found. Raises SqliteError where the
    file is busy, full, broken or out of reach; then a call may be made again.
    """

    def __init__(self, path: Path, limit_bytes: int, clock: Clock, key_version: str = "1") -> None:
        files = Files(path, limit_bytes, key_version, clock)
        self._limit = limit_bytes
        self._clock = clock
        self._reads = Lane("sqlite reads", files)
        self._writes = Together("sqlite writes", files, self._before_commit, self._make_room)
        self._held: Held = {}
        self._evictions = 0
        self._stamps: dict[int, int] = {}
        self._stamp_age_ms: float = inf

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
        used, record = rows[0]
        entry = _whole(key, record)
        if entry is None:
            self._writes.tell(partial(self._quarantine, key))
        elif (now := self._now_ms()) - used > self._stamp_age_ms:
            self._stamp(key, now)
        return entry

    def _stamp(self, key: bytes, now_ms: int) -> None:
        """Have it known that an entry was read; the next commit takes that along."""
        if len(self._stamps) < _MOST_STAMPS:  # else nothing can be written just now
            self._stamps[_id(key)] = now_ms
            if len(self._stamps) == _MOST_STAMPS:
                self._writes.tell(lambda _: None)

    async def set_many(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep all of these; what is larger than the whole store is not kept."""
        if entries:
            size = sum([len(entry.body) + _ROW_BYTES for entry in entries.values()])
            await self._writes.ask(partial(self._keep, dict(entries)), size)

    def _keep(self, entries: Mapping[bytes, Entry], connection: sqlite3.Connection) -> None:
        now = self._now_ms()
        for key, entry in entries.items():
            record = to_record(key, entry)
            row = (_id(key), key, entry.rule, len(record) + _ROW_BYTES, now, record)
            connection.execute("DELETE FROM entries WHERE id = ?", row[:1])
            if row[3] <= self._limit:
                connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", row)

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
        if self._stamps:
            self._writes.tell(lambda _: None)
        await self._writes.close()

    def _now_ms(self) -> int:
        return int(self._clock.wall() * 1000)

    def _quarantine(self, key: bytes, connection: sqlite3.Connection) -> None:
        """Keep a broken record for whoever wants to know why; another process may have mended it meanwhile."""
        rows = connection.execute(_FIND, (_id(key), key)).fetchall()
        if not rows or _whole(key, rows[0][1]) is not None:
            return
        wanted = (_MOST_QUARANTINED_BYTES, self._clock.wall(), _id(key))
        newest = connection.execute(_SET_APART, wanted).lastrowid or 0
        connection.execute("DELETE FROM quarantine WHERE id <= ?", (newest - _MOST_QUARANTINED,))
        _delete((key,), connection)

    def _before_commit(self, connection: sqlite3.Connection) -> Callable[[], None]:
        if self._stamps:
            stamps, self._stamps = self._stamps, {}
            read = list(stamps.items())  # at once: the other thread may still be adding one
            connection.executemany("UPDATE entries SET used = ? WHERE id = ?", [(used, place) for place, used in read])
        held = _held(connection)
        size = sum([size for _, size in held.values()])
        evicted = self._evict(connection, size - self._limit)
        age: float = inf
        if size > self._limit * _NEARLY_FULL:
            (oldest,) = connection.execute("SELECT CAST(min(used) AS INTEGER) FROM entries").fetchone()
            age = max(_STAMP_AFTER_MS, (self._now_ms() - (oldest or 0)) // _STAMP_AGE)
        self._stamp_age_ms = age
        return partial(self._committed, _held(connection) if evicted else held, evicted)

    def _committed(self, held: Held, evicted: int) -> None:
        self._held = held
        self._evictions += evicted

    def _make_room(self, connection: sqlite3.Connection, size: int) -> None:
        self._evictions += self._evict(connection, max(size, self._limit // _ROOM))

    @staticmethod
    def _evict(connection: sqlite3.Connection, size: int) -> int:
        """Forget the least recently used, this many bytes of them; return how many."""
        gone = []
        if size > 0:
            oldest = connection.execute(_OLDEST, (_MOST_EVICTED,))
            for place, freed in oldest:
                gone.append((place,))
                size -= freed
                if size <= 0:
                    break
            oldest.close()
            connection.executemany("DELETE FROM entries WHERE id = ?", gone)
        return len(gone)


def _id(key: bytes) -> int:
    """Return the row of a key: one look-up in one tree. Two keys that share it take each other's place."""
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big", signed=True)


def _whole(key: bytes, record: object) -> Entry | None:
    return from_record(key, record) if isinstance(record, bytes) else None


def _held(connection: sqlite3.Connection) -> Held:
    rows = connection.execute(_HELD).fetchall()
    return {rule: (entries, size) for rule, entries, size in rows}


def _delete(keys: Sequence[bytes], connection: sqlite3.Connection) -> None:
    connection.executemany("DELETE FROM entries WHERE id = ? AND key = ?", [(_id(key), key) for key in keys])


def _clear(connection: sqlite3.Connection) -> None:
    for table in ("entries", "held"):
        connection.execute(f"DROP TABLE {table}")
    for statement in ENTRIES:
        connection.execute(statement)
