"""A thread with a connection of its own: the event loop asks, the thread does it in order and tells the loop."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from proxy.core.fault import fault
from proxy.errors import SqliteError
from proxy.store.sqlite_files import BUSY_S, Files, close, is_broken, is_busy, is_full

MOST_WAITING_BYTES = 2**26
"""What may wait for a slow disk; beyond it nothing more is taken."""

_CLOSE_S = 5.0
_TRY_MS = 4
_MOST_TRIES = round(BUSY_S * 1000 / _TRY_MS)
_PAGES_BYTES = 2**13  # what even the smallest write adds to the log
_LOG_BYTES = 2**22

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Job:
    """What to do with the connection, and whom to tell; `size` is what it holds in memory meanwhile, in bytes."""

    do: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any] | None = None
    size: int = 0


Outcome = tuple[Job, Any, Exception | None]


class Lane:
    """Does jobs one by one as they come; `Together` does what has piled up in one transaction."""

    _most_at_once = 16

    def __init__(self, name: str, files: Files) -> None:
        self._name = name
        self._files = files
        self._in_use = ""
        self._connection: sqlite3.Connection | None = None
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._waiting_bytes = 0
        self._thread: Thread | None = None
        self._closing: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Start the thread, if that has not been done; it begins with the file."""
        if self._thread is None and self._closing is None:
            loop = asyncio.get_running_loop()
            self._thread = Thread(target=self._run, args=(loop,), name=self._name, daemon=True)
            self._thread.start()
            self.tell(lambda _: None)

    async def ask(self, do: Callable[[sqlite3.Connection], Done], size: int = 0) -> Done:
        """Have this done and return what it gives. Raises SqliteError where it fails; then nothing of it is done."""
        if self._closing is not None:
            raise SqliteError(f"{self._files.path}: closed")
        if size and self._waiting_bytes and self._waiting_bytes + size > MOST_WAITING_BYTES:
            raise SqliteError(f"{self._files.path}: too much waits to be written")
        self.start()
        self._waiting_bytes += size
        future: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._jobs.put(Job(do, future, size))
        return await future

    def tell(self, do: Callable[[sqlite3.Connection], object]) -> None:
        """Have this done at some time; from any thread."""
        self._jobs.put(Job(do))

    async def close(self) -> None:
        """Finish what is waiting and end the thread; of a disk that hangs, take leave."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_future()
            if self._thread is None:
                self._closing.set_result(None)
            self._jobs.put(None)
        await asyncio.wait([self._closing], timeout=_CLOSE_S)
        if self._thread is not None and self._closing.done():
            self._thread.join()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        jobs: list[Job] = []
        while True:
            job = self._jobs.get()
            while job is not None:
                jobs.append(job)
                if len(jobs) >= self._most_at_once or self._jobs.empty():
                    break
                job = self._jobs.get()
            ends = job is None
            del job  # it may hold a large body
            if jobs:
                self._tell(loop, self._settle, self._outcomes(jobs))
                jobs.clear()
                self._tidy()
            if ends:
                break
        self._disconnect()
        self._tell(loop, self._ended)

    def _tidy(self) -> None:
        """Do what nobody waits for."""

    @staticmethod
    def _tell(loop: asyncio.AbstractEventLoop, what: Callable[..., None], *told: object) -> None:
        try:
            loop.call_soon_threadsafe(what, *told)
        except RuntimeError:  # the loop is closed: nobody waits
            pass

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        for job, done, error in outcomes:
            self._waiting_bytes -= job.size
            if job.future is None or job.future.done():
                continue
            if error is None:
                job.future.set_result(done)
            else:
                job.future.set_exception(error)

    def _ended(self) -> None:
        if self._closing is not None and not self._closing.done():
            self._closing.set_result(None)

    def _outcomes(self, jobs: list[Job]) -> list[Outcome]:
        try:
            return self._done(self._connected(), jobs)
        except Exception as error:  # noqa: BLE001  the thread goes on
            return self._failed(jobs, error)

    def _done(self, connection: sqlite3.Connection, jobs: list[Job]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for job in jobs:
            try:
                if job.future is None or not job.future.cancelled():
                    outcomes.append((job, job.do(connection), None))
            except Exception as error:  # noqa: BLE001
                outcomes += self._failed([job], error)
        return outcomes

    def _failed(self, jobs: list[Job], error: Exception) -> list[Outcome]:
        """Tell these that they failed; a broken file is set aside, so that the next job finds an empty one."""
        if is_broken(error):
            known = self._connection is not None
            self._disconnect()
            with suppress(sqlite3.Error, OSError, SqliteError):
                self._files.set_aside(self._in_use if known else self._files.in_use())
        told = str(error) if isinstance(error, SqliteError) else f"{self._files.path}: {fault(error)}"
        return [(job, None, SqliteError(told)) for job in jobs]

    def _connected(self) -> sqlite3.Connection:
        """Return a connection to the file in use now: another process may have replaced the one we had."""
        if self._connection is None or self._files.in_use() != self._in_use:
            self._disconnect()
            self._in_use, self._connection = self._files.open()
        return self._connection

    def _disconnect(self) -> None:
        close(self._connection)
        self._connection = None


class Together(Lane):
    """Does what has piled up in one transaction: all of it is kept, or what can be kept of it.

    `finish` is called before each commit, and what it returns after it. `make_room` forgets at least so many bytes.
    """

    _most_at_once = 64

    def __init__(
        self,
        name: str,
        files: Files,
        finish: Callable[[sqlite3.Connection], Callable[[], None]],
        make_room: Callable[[sqlite3.Connection, int], object],
    ) -> None:
        super().__init__(name, files)
        self._finish = finish
        self._make_room = make_room
        self._written_bytes = 0

    def _done(self, connection: sqlite3.Connection, jobs: list[Job]) -> list[Outcome]:
        try:
            try:
                return self._committed(connection, jobs)
            except sqlite3.Error as error:
                if not is_full(error):
                    raise
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            size = sum([job.size for job in jobs])
            self._committed(connection, [Job(lambda connection: self._make_room(connection, size))])
            return self._committed(connection, jobs)
        except Exception as error:
            if len(jobs) == 1 or is_busy(error) or is_broken(error):
                raise
        return [outcome for job in jobs for outcome in self._one(connection, job)]  # one of them may be to blame

    def _one(self, connection: sqlite3.Connection, job: Job) -> list[Outcome]:
        try:
            return self._committed(connection, [job])
        except Exception as error:  # noqa: BLE001
            return self._failed([job], error)

    def _committed(self, connection: sqlite3.Connection, jobs: list[Job]) -> list[Outcome]:
        _begin(connection)
        try:
            outcomes: list[Outcome] = [(job, job.do(connection), None) for job in jobs]
            committed = self._finish(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite ends it by itself where the disk is full
                connection.execute("ROLLBACK")
            raise
        committed()
        self._written_bytes += sum([job.size + _PAGES_BYTES for job in jobs])
        return outcomes

    def _tidy(self) -> None:
        """Merge the log once it is long: that flushes the disk, for which no answer should wait."""
        if self._written_bytes > _LOG_BYTES and self._connection is not None:
            self._written_bytes = 0
            with suppress(sqlite3.Error):  # the next commit will tell
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").close()


def _begin(connection: sqlite3.Connection) -> None:
    """Begin to write; of several processes that do so all the time, each gets its turn.

    SQLite would sleep up to 100 ms between its tries, and meet another writer each time.
    """
    connection.execute(f"PRAGMA busy_timeout = {_TRY_MS}").close()
    for tried in range(1, _MOST_TRIES + 1):
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if tried == _MOST_TRIES or not is_busy(error):
                raise
