"""The slots of one upstream: each call takes one, in this process or among all processes of the machine."""

import errno
import fcntl
import os
import struct
from itertools import count
from pathlib import Path
from typing import Protocol

UNLIMITED = 1 << 30
"""More than there ever are."""

_FLOCK = "hhqqi"  # struct flock on Linux: type, whence, start, length, pid
_TAKEN = {errno.EAGAIN, errno.EACCES}


class Slots(Protocol):
    """Counts who is in flight; never waits. Raises OSError where the kernel is out of locks."""

    def take(self, limit: int) -> int | None:
        """Return the token of a slot where fewer than `limit` are taken."""
        ...

    def give_back(self, token: int) -> None:
        """Free a slot; a second time does nothing."""
        ...

    def in_use(self) -> int:
        """Return how many are taken."""
        ...

    def close(self) -> None:
        """Free all that this object took."""
        ...


class OwnSlots:
    """The slots of this process alone."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._numbers = count()

    def take(self, limit: int) -> int | None:
        """Return the token of a slot where fewer than `limit` are taken."""
        if len(self._taken) >= limit:
            return None
        token = next(self._numbers)
        self._taken.add(token)
        return token

    def give_back(self, token: int) -> None:
        """Free a slot; a second time does nothing."""
        self._taken.discard(token)

    def in_use(self) -> int:
        """Return how many are taken."""
        return len(self._taken)

    def close(self) -> None:
        """Free all."""
        self._taken.clear()


class SharedSlots:
    """The slots of all processes that name the same file: each is one locked byte of it.

    The locks belong to this object's open file (Linux's open file description locks), so that they also exclude
    another object in the same process, and the kernel frees them when the process ends, however it ends. A process
    that is forked without exec would hold them too.

    At most `most` are taken, whatever the limit. Two processes that take at once while the limit lies below what is
    in use may pass the limit, never `most`. Raises OSError where `folder` is not ours alone or its file system has no
    such locks.
    """

    def __init__(self, folder: Path, name: str, most: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        seen = folder.stat()
        if seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
            raise PermissionError(f"{folder} must be yours and closed to others (mode 0700)")
        self._most = most
        self._mine: set[int] = set()
        self._fd = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(self._fd, 0o600)
            self._others(0, most)
        except OSError:
            os.close(self._fd)
            raise

    def take(self, limit: int) -> int | None:
        """Return the token of a slot where fewer than `limit` are taken."""
        limit = min(limit, self._most) if self._fd >= 0 else 0
        if len(self._mine) + self._others(0, self._most) >= limit:
            return None
        for number in range(limit):
            if number not in self._mine and self._lock(number):
                self._mine.add(number)
                return number
        return None

    def give_back(self, token: int) -> None:
        """Free a slot; a second time does nothing."""
        if token in self._mine:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, token, 1))
            self._mine.remove(token)

    def in_use(self) -> int:
        """Return how many are taken, by all processes."""
        return len(self._mine) + self._others(0, self._most)

    def _lock(self, number: int) -> bool:
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK, number, 1))
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            raise
        return True

    def _others(self, first: int, end: int) -> int:
        """Return how many of the bytes from `first` to before `end` others have locked.

        The kernel names any one lock that is in the way: what lies beside it is asked for again.
        """
        taken = 0
        spans = [(first, end)] if self._fd >= 0 else []
        while spans:
            low, high = spans.pop()
            asked = fcntl.fcntl(self._fd, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK, low, high - low))
            kind, _, start, length, _ = struct.unpack_from(_FLOCK, asked)
            if kind == fcntl.F_UNLCK:
                continue
            begin, stop = max(start, low), min(start + length, high)
            taken += stop - begin
            spans += [span for span in ((low, begin), (stop, high)) if span[0] < span[1]]
        return taken

    def close(self) -> None:
        """Free all that this object took; it gives no more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._mine.clear()


def _flock(kind: int, start: int, length: int) -> bytes:
    return struct.pack(_FLOCK + "0q", kind, os.SEEK_SET, start, length, 0)
