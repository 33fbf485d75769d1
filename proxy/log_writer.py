"""Where lines go: one thread that writes batches in order, to stdout or to a file that may be opened again."""

import fcntl
import os
import queue
import sys
import threading
from typing import Protocol


class Place(Protocol):
    """Takes batches of whole lines."""

    def write(self, batch: bytes) -> None:
        """Write all of a batch; raises OSError where it cannot."""
        ...

    def reopen(self) -> None:
        """From the next batch on, write to the file that has this place's name now. Raises OSError where there can be none."""
        ...

    def close(self) -> None:
        """Let go of it; idempotent."""
        ...


class Nowhere:
    """Takes everything and keeps nothing."""

    def write(self, batch: bytes) -> None:
        """Write nothing."""

    def reopen(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Stdout:
    """The standard output, whoever reads it."""

    def __init__(self) -> None:
        self._descriptor = sys.stdout.fileno()

    def write(self, batch: bytes) -> None:
        """Write all of a batch."""
        _write_all(self._descriptor, batch)

    def reopen(self) -> None:
        """Do nothing: it has no name."""

    def close(self) -> None:
        """Leave it open: it is not ours."""


class File:
    """A file that lines are appended to. Raises OSError where it cannot be opened."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = self._opened()
        self._next: int | None = None
        self._turn = threading.Lock()

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def write(self, batch: bytes) -> None:
        """Write all of a batch."""
        with self._turn:
            if self._next is not None:
                os.close(self._descriptor)
                self._descriptor, self._next = self._next, None
            _write_all(self._descriptor, batch)

    def reopen(self) -> None:
        """Open the file of this name, and write to it from the next batch on; what fails changes nothing."""
        opened, before = self._opened(), self._next
        self._next = opened
        if before is not None:
            os.close(before)

    def close(self) -> None:
        """Close it."""
        with self._turn:
            for descriptor in {self._descriptor, self._next or self._descriptor} - {-1}:
                os.close(descriptor)
            self._descriptor, self._next = -1, None


class Locked:
    """A place that several processes write to: no line is torn by another's."""

    def __init__(self, place: Place, lock: int) -> None:
        self._place = place
        self._lock = lock
        self.reopen = place.reopen
        self.close = place.close

    def write(self, batch: bytes) -> None:
        """Write all of a batch while nobody else does."""
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            self._place.write(batch)
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


def _write_all(descriptor: int, batch: bytes) -> None:
    while batch:
        batch = batch[os.write(descriptor, batch) :]


class Writer:
    """One daemon thread that writes batches in order."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._batches: queue.SimpleQueue[tuple[bytes, int] | None] = queue.SimpleQueue()
        # each counter has one thread that adds to it
        self._put_lines = self._put_bytes = self._written_lines = self._written_bytes = 0
        self._thread: threading.Thread | None = None

    @property
    def lines(self) -> int:
        """Return how many lines wait."""
        return self._put_lines - self._written_lines

    @property
    def size(self) -> int:
        """Return how many bytes wait."""
        return self._put_bytes - self._written_bytes

    def put(self, batch: bytes, lines: int) -> None:
        """Have a batch written behind all others."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="frontrunner-log", daemon=True)
            self._thread.start()
        self._put_lines += lines
        self._put_bytes += len(batch)
        self._batches.put((batch, lines))

    def _run(self) -> None:
        while (item := self._batches.get()) is not None:
            batch, lines = item
            try:
                self._place.write(batch)
            except OSError:
                pass  # a closed pipe or a full disk costs log lines, never an answer
            self._written_lines += lines
            self._written_bytes += len(batch)

    def close(self) -> None:
        """Write what waits and stop; waits for a blocked reader at most two seconds."""
        if self._thread is not None:
            self._batches.put(None)
            self._thread.join(timeout=2.0)
            self._thread = None
