"""Short messages between the processes of one machine, without a server: a folder of datagram sockets, one for each."""

import asyncio
import errno
import os
import secrets
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MOST_BYTES = 4096
_MOST_PATH_BYTES = 100
"""A socket's address holds 108 bytes on Linux, 104 elsewhere."""

# A kernel holds as few as 10 datagrams for one who does not read: what comes in a burst waits here, not for long.
_MOST_LATE = 512
_AGAIN_S = 0.002
_MOST_TRIES = 500
_MOST_READ_AT_ONCE = 64


@dataclass(slots=True)
class _Late:
    """What one of the others has no room for now; the oldest is dropped first."""

    messages: deque[bytes] = field(default_factory=lambda: deque(maxlen=_MOST_LATE))
    tries: int = 0


class Bus:
    """A wire in `folder`, which only its user may enter; who listens has a socket there.

    Sending never waits: who reads nothing for a second gets nothing of what was sent meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        seen = folder.stat()
        if seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
            raise PermissionError(f"{folder} must be yours and closed to others (mode 0700)")
        self._name = secrets.token_hex(4)
        self._fd: int | None = None
        self._place = str(folder)
        if len(os.fsencode(self._at("." + self._name))) > _MOST_PATH_BYTES:
            # The same folder by a short way. Sockets without a file (Linux's abstract ones) are open to every user.
            self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            self._place = f"/proc/self/fd/{self._fd}"
        self._out: socket.socket | None = None
        self._own: socket.socket | None = None
        self._late: dict[str, _Late] = {}
        self._timer: asyncio.TimerHandle | None = None

    def _at(self, name: str) -> str:
        return f"{self._place}/{name}"

    def listen(self, hear: Callable[[bytes], None]) -> None:
        """Hear what others send from now on, in the running loop; what `hear` raises goes to the loop's own word."""
        own = self._own = _socket()
        hidden = self._at("." + self._name)
        own.bind(hidden)
        Path(hidden).rename(self._at(self._name))  # between its making and its binding it looks dead to others
        asyncio.get_running_loop().add_reader(own, self._read, own, hear)

    def _read(self, own: socket.socket, hear: Callable[[bytes], None]) -> None:
        for _ in range(_MOST_READ_AT_ONCE):
            try:
                message = own.recv(MOST_BYTES)
            except OSError:  # no more for now
                return
            hear(message)

    async def send(self, message: bytes) -> None:
        """Send a message to all others. Raises ValueError for one that is too long."""
        if len(message) > MOST_BYTES:
            raise ValueError(f"a message of {len(message)} bytes; {MOST_BYTES} are the most")
        for name in self._others():
            late = self._late.get(name)
            if late is None and self._post(name, message):
                continue
            if late is None:
                late = self._late[name] = _Late()
                self._later()
            late.messages.append(message)

    def _others(self) -> list[str]:
        try:
            names = os.listdir(self._place)  # noqa: PTH208  half the price of Path.iterdir
        except OSError:  # closed, or the folder is gone
            return []
        return [name for name in names if name != self._name and not name.startswith(".")]

    def _post(self, name: str, message: bytes) -> bool:
        """Hand over a message; False where there is no room for it now."""
        if self._out is None:
            self._out = _socket()
        try:
            self._out.sendto(message, self._at(name))
        except ConnectionRefusedError:  # whose it was has ended without a word
            self._unlink(name)
        except OSError as error:
            return error.errno not in {errno.EAGAIN, errno.ENOBUFS}
        return True

    def _later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_AGAIN_S, self._again)

    def _again(self) -> None:
        self._timer = None
        for name, late in list(self._late.items()):
            late.tries += 1
            while late.messages and self._post(name, late.messages[0]):
                late.messages.popleft()
                late.tries = 0
            if not late.messages or late.tries > _MOST_TRIES:
                del self._late[name]
        if self._late:
            self._later()

    def _unlink(self, name: str) -> None:
        try:
            Path(self._at(name)).unlink()
        except OSError:  # somebody else was quicker
            pass

    async def close(self) -> None:
        """Be silent; idempotent."""
        self._late.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._own is not None:
            asyncio.get_running_loop().remove_reader(self._own)
            self._unlink(self._name)
            self._own.close()
            self._own = None
        if self._out is not None:
            self._out.close()
            self._out = None
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        self._place = ""


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made
