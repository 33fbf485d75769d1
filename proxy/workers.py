"""Several processes behind one socket: started, watched, started again, and ended together.

Each is this same command again; the environment tells it which one it is and where it listens. The one that was started
first serves nobody: it waits for its workers and passes signals on.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

from proxy.errors import StartError

_WORKER = "FRONTRUNNER_WORKER"
_LEAST_LIFE_S = 1.0
"""Who ends sooner is not started again at once."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Which worker this process is: its number, what it inherited, and what all of one run share."""

    number: int
    listening: int
    ready: int
    run: str
    lock: str

    def socket(self) -> socket.socket:
        """Return the socket that all workers listen on."""
        return socket.socket(fileno=self.listening)

    def tell_ready(self) -> None:
        """Tell the first process that this one serves."""
        os.write(self.ready, b".")
        os.close(self.ready)


def this_worker() -> Worker | None:
    """Return which worker this process is; None where it is no worker."""
    told = os.environ.get(_WORKER)
    if not told:
        return None
    number, listening, ready, run, lock = told.split(" ", 4)
    return Worker(int(number), int(listening), int(ready), run, lock)


class Workers:
    """The workers of one run."""

    def __init__(self, count: int, bound: socket.socket) -> None:
        self._bound = bound
        self._run = secrets.token_hex(4)
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._began: dict[int, float] = {}
        self._ending = False
        self._interrupted = False
        self._numbers = range(count)

    def serve(self, ready: Callable[[], None]) -> int:
        """Run all workers until a signal ends them; return the exit code.

        `ready` is called once all of them serve. Raises StartError where one does not come up.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, self._heard)
        with tempfile.NamedTemporaryFile(prefix="frontrunner-lock-") as lock:
            if not all([self._start(number, lock.name) for number in self._numbers]) and not self._ending:
                self._end(signal.SIGTERM)
                self._wait()
                raise StartError("a worker did not come up; the log says why")
            if not self._ending:
                ready()
            while self._running:
                self._watch(lock.name)
        return 130 if self._interrupted else 0

    def _start(self, number: int, lock: str) -> bool:
        """Start one worker; tell whether it came up."""
        reading, writing = os.pipe()
        told = f"{number} {self._bound.fileno()} {writing} {self._run} {lock}"
        self._running[number] = subprocess.Popen(  # noqa: S603  this very command
            [sys.executable, "-m", "proxy", *sys.argv[1:]], env=os.environ | {_WORKER: told},
            pass_fds=(self._bound.fileno(), writing),
        )  # fmt: skip
        self._began[number] = time.perf_counter()
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            return pipe.read(1) == b"."  # nothing comes from one that ended

    def _heard(self, number: int, _: object) -> None:
        if number in {signal.SIGTERM, signal.SIGINT}:
            self._interrupted = self._interrupted or number == signal.SIGINT
            self._end(signal.SIGTERM)
            return
        # a switch that is turned over is turned over once; the others follow it
        told = list(self._running.values())[:1] if number == signal.SIGUSR2 else list(self._running.values())
        for worker in told:
            worker.send_signal(number)

    def _end(self, number: int) -> None:
        self._ending = True
        for worker in list(self._running.values()):
            worker.send_signal(number)

    def _wait(self) -> None:
        for worker in list(self._running.values()):
            worker.wait()

    def _watch(self, lock: str) -> None:
        """Wait until a worker ends; start it again unless all are to end."""
        ended, status = os.wait()
        number = next((number for number, worker in self._running.items() if worker.pid == ended), None)
        if number is None:
            return
        self._running.pop(number).returncode = os.waitstatus_to_exitcode(status)
        if self._ending:
            return
        lived = time.perf_counter() - self._began[number]
        if lived < _LEAST_LIFE_S:
            time.sleep(_LEAST_LIFE_S - lived)
        self._start(number, lock)
