"""Where lines go: one thread that writes batches in order, to stdout or to a file that may be opened again."""

import fcntl
import os
import queue
import select
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from errno import EBADF
from typing import Protocol


class Place(Protocol):
    """Takes batches of whole lines, from one thread."""

    def write(self, batch: bytes) -> int:
        """Write a batch; return how many of its bytes are written, in whole lines: all, unless no more could be."""
        ...

    def reopen(self) -> None:
        """From now on, write to the file that has this place's name. Raises OSError where there can be none."""
        ...

    def close(self) -> None:
        """Let go of it; idempotent."""
        ...


class Nowhere:
    """Takes everything and keeps nothing."""

    def write(self, batch: bytes) -> int:
        """Write nothing."""
        return len(batch)

    def reopen(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Stdout:
    """The standard output, whoever reads it. Raises OSError where it is closed."""

    def __init__(self) -> None:
        if sys.stdout is None:
            raise OSError(EBADF, "it is closed")
        self._descriptor = sys.stdout.fileno()

    def write(self, batch: bytes) -> int:
        """Write a batch."""
        return _write_lines(self._descriptor, batch)

    def reopen(self) -> None:
        """Do nothing: it has no name."""

    def close(self) -> None:
        """Leave it open: it is not ours."""


class File:
    """A file that lines are appended to. Raises OSError where it cannot be opened."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = self._opened()

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def write(self, batch: bytes) -> int:
        """Write a batch."""
        return _write_lines(self._descriptor, batch)

    def reopen(self) -> None:
        """Open the file of this name, and write to it from now on; what fails changes nothing."""
        before, self._descriptor = self._descriptor, self._opened()
        os.close(before)

    def close(self) -> None:
        """Close it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Locked:
    """A place that several processes write to: no line is torn by another's."""

    def __init__(self, place: Place, lock: int) -> None:
        self._place = place
        self._lock = lock
        self.reopen = place.reopen
        self.close = place.close

    def write(self, batch: bytes) -> int:
        """Write a batch while nobody else does."""
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            return self._place.write(batch)
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)


def place_of(word: str, lock: int | None = None) -> Place:
    """Return the place that `-` (stdout), `off` (nowhere) or a path means.

    Processes that write to one place share the descriptor of a `lock` file. Raises OSError where a file cannot be opened.
    """
    if word == "off":
        return Nowhere()
    place: Place = Stdout() if word == "-" else File(word)
    return place if lock is None else Locked(place, lock)


def _write_lines(descriptor: int, batch: bytes) -> int:
    """Write a batch; return how much of it is written, in whole lines, where a disk is full or nobody reads any more."""
    rest = memoryview(batch)
    try:
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:  # whoever else has the pipe can make it so
                select.select([], [descriptor], [])
    except OSError:
        written = len(batch) - len(rest)
        whole = batch.rfind(b"\n", 0, written) + 1
        with suppress(OSError):
            _shorten(descriptor, written - whole)  # the next line would be torn as well
        return whole
    return len(batch)


def _shorten(descriptor: int, by: int) -> None:
    told = os.fstat(descriptor)
    if by and stat.S_ISREG(told.st_mode):
        os.ftruncate(descriptor, told.st_size - by)
        os.lseek(descriptor, 0, os.SEEK_END)


class _Batch:
    """Lines to be written; the last of them says that `told` others were dropped, where that is not 0."""

    __slots__ = ("lines", "text", "told")

    def __init__(self, text: bytes, lines: int, told: int) -> None:
        self.text, self.lines, self.told = text, lines, told

    def lost(self, written: int) -> int:
        """Return how many lines are lost where so many bytes were written; a word of lost ones loses those, not itself."""
        lost = self.text.count(b"\n", written)
        return lost - 1 + self.told if lost and self.told else lost


class Writer:
    """One daemon thread that writes batches in order, and opens the place again in between.

    Its methods are for one thread at a time.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._due: queue.SimpleQueue[_Batch | Callable[[], None] | None] = queue.SimpleQueue()
        # each counter has one thread that adds to it
        self._put_lines = self._put_bytes = self._written_lines = self._written_bytes = 0
        self.lost = 0
        """Lines that the place did not take."""
        self._thread: threading.Thread | None = None

    @property
    def lines(self) -> int:
        """Return how many lines wait."""
        return self._put_lines - self._written_lines

    @property
    def size(self) -> int:
        """Return how many bytes wait."""
        return self._put_bytes - self._written_bytes

    def put(self, batch: bytes, lines: int, told: int = 0) -> None:
        """Have a batch written behind all others; its last line says that `told` were dropped."""
        self._put_lines += lines
        self._put_bytes += len(batch)
        self._do(_Batch(batch, lines, told))

    def reopen(self, failed: Callable[[OSError], None]) -> None:
        """Have the place opened again behind all batches so far; `failed` is called by the thread where it cannot be."""

        def reopen() -> None:
            try:
                self._place.reopen()
            except OSError as error:
                failed(error)

        self._do(reopen)

    def _do(self, due: "_Batch | Callable[[], None]") -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="frontrunner-log", daemon=True)
            self._thread.start()
        self._due.put(due)

    def _run(self) -> None:
        while (due := self._due.get()) is not None:
            if isinstance(due, _Batch):
                self._write(due)
            else:
                due()

    def _write(self, batch: _Batch) -> None:
        try:
            written = self._place.write(batch.text)
        except OSError:
            written = 0
        self.lost += batch.lost(written)
        self._written_lines += batch.lines
        self._written_bytes += len(batch.text)

    def close(self) -> bool:
        """Write what waits and stop; tell whether all is done: a blocked reader is waited for two seconds at most."""
        if self._thread is None:
            return True
        thread, self._thread = self._thread, None
        self._due.put(None)
        thread.join(timeout=2.0)
        return not thread.is_alive()
