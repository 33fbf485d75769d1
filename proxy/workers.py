"""Several processes behind one socket: started, watched, started again, and ended together.

Each is this same command again; the environment tells it which one it is and where it listens. The one that was started
first serves nobody: it waits for its workers and passes signals on, one thing at a time.
"""

import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from proxy.errors import StartError
from proxy.signals import PASSED_ON, hear, held

_WORKER = "FRONTRUNNER_WORKER"
_LEAST_LIFE_S = 1.0
"""Who ends sooner is not started again at once."""
START_S = 60.0
"""Who does not serve by then never will: its disk hangs, say."""
_ENDS = frozenset({signal.SIGTERM, signal.SIGINT})


@dataclass(frozen=True, slots=True)
class Worker:
    """Which worker this process is, the name of the run that it belongs to, and the descriptors that it inherited.

    It tells at `ready` that it serves; `parent` is at its end once the first process is gone; who writes to what all
    write to holds `lock`.
    """

    number: int
    run: str
    listening: int
    ready: int
    parent: int
    lock: int

    def socket(self) -> socket.socket:
        """Return the socket that all workers listen on."""
        return socket.socket(fileno=self.listening)

    def tell_ready(self) -> None:
        """Tell the first process that this one serves, and hears the signals that are passed on."""
        os.write(self.ready, b".")
        os.close(self.ready)


def this_worker() -> Worker | None:
    """Return which worker this process is; None where it is no worker."""
    told = os.environ.get(_WORKER)
    if not told:
        return None
    number, run, *descriptors = told.split(" ")
    return Worker(int(number), run, *map(int, descriptors))


@dataclass(slots=True)
class _Child:
    """One worker as its parent sees it; `ready` is where it tells that it serves, None once that is read to its end."""

    process: subprocess.Popen[bytes]
    began: float
    ready: int | None

    def hear(self) -> None:
        """Hear that it serves; who ended before says nothing."""
        if self.ready is not None and os.read(self.ready, 1):
            self.close()

    def close(self) -> None:
        """Wait for no word any more."""
        if self.ready is not None:
            os.close(self.ready)
            self.ready = None


class Workers:
    """The workers of one run; `command` starts one."""

    def __init__(self, count: int, bound: socket.socket, command: Sequence[str] = ()) -> None:
        self._bound = bound
        self._command = command or [sys.executable, "-m", "proxy", *sys.argv[1:]]
        self._run = secrets.token_hex(4)
        self._running: dict[int, _Child] = {}
        self._due = dict.fromkeys(range(count), 0.0)
        self._came_up = False
        self._has_failed = False
        self._ending = False
        self._interrupted = False

    def serve(self, ready: Callable[[], None]) -> int:
        """Run all workers until a signal ends them; return the exit code.

        `ready` is called once all of them serve. Raises StartError where one does not come up.
        """
        with _signals() as heard, tempfile.TemporaryFile() as lock, _pipe() as (living, _):
            while self._due or self._running:
                self._start_due(living, lock.fileno())
                self._wait(heard)
                self._bury()
                if not (self._came_up or self._ending or self._due or self._starting):
                    self._came_up = True
                    ready()
        if self._has_failed:
            raise StartError("a worker did not come up; the log says why")
        return 130 if self._interrupted else 0

    @property
    def _starting(self) -> list[_Child]:
        return [worker for worker in self._running.values() if worker.ready is not None]

    def _start_due(self, *shared: int) -> None:
        now = time.perf_counter()
        for number in [number for number, due in self._due.items() if due <= now]:
            del self._due[number]
            self._running[number] = self._started(number, shared)

    def _started(self, number: int, shared: tuple[int, ...]) -> _Child:
        reading, writing = os.pipe()
        inherited = (self._bound.fileno(), writing, *shared)
        told = " ".join(map(str, (number, self._run, *inherited)))
        try:
            with held():
                process = subprocess.Popen(  # noqa: S603  this very command
                    self._command, env=os.environ | {_WORKER: told}, pass_fds=inherited
                )
        finally:
            os.close(writing)
        return _Child(process, time.perf_counter(), reading)

    def _wait(self, heard: int) -> None:
        """Wait for whatever comes next: a signal, a worker that serves, the time to start or to give up one."""
        telling = [worker.ready for worker in self._starting if worker.ready is not None]
        times = [*self._due.values(), *[worker.began + START_S for worker in self._starting]]
        pause = max(0.0, min(times) - time.perf_counter()) if times else None
        readable, _, _ = select.select([heard, *telling], [], [], pause)
        for worker in self._starting:
            if worker.ready in readable:
                worker.hear()
        if heard in readable:
            for number in os.read(heard, 4096):
                self._hear(number)

    def _hear(self, number: int) -> None:
        if number in _ENDS:
            self._interrupted = self._interrupted or number == signal.SIGINT
            self._end()
        elif number in PASSED_ON:
            running = sorted(self._running.values(), key=lambda worker: worker.ready is not None)  # who serves first
            # a switch that is turned over is turned over once; the others follow it
            for worker in running[:1] if number == signal.SIGUSR2 else running:
                worker.process.send_signal(number)

    def _end(self) -> None:
        self._ending = True
        self._due.clear()
        for worker in self._running.values():
            worker.process.terminate()

    def _bury(self) -> None:
        """Let go of those that have ended, and have them started again, unless all are to end."""
        now = time.perf_counter()
        for worker in self._starting:
            if now >= worker.began + START_S:
                worker.process.kill()
        for number, worker in list(self._running.items()):
            if worker.process.poll() is None:
                continue
            worker.close()
            del self._running[number]
            if self._ending:
                continue
            if self._came_up:
                self._due[number] = max(now, worker.began + _LEAST_LIFE_S)
            else:
                self._has_failed = True
                self._end()


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """Give the reading and the writing end of a pipe."""
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


@contextmanager
def _signals() -> Iterator[int]:
    """Have signals written to a pipe instead of acted on wherever they come; give its reading end."""
    with _pipe() as (reading, writing):
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        try:
            for number in (*_ENDS, *PASSED_ON, signal.SIGCHLD):
                signal.signal(number, lambda *_: None)
            hear()
            yield reading
        finally:
            signal.set_wakeup_fd(-1)
