"""The demo's two child processes: started with their logs in one folder, always stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from proxy.errors import StartError

START_S = 30.0
STOP_S = 12.0
POLL_S = 0.02
SHOWN_LINES = 20


class Child:
    """One `python -m …`; its stdout and stderr are files, so nobody has to drain them."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.out = folder / f"{name}.log"
        self.err = folder / f"{name}.err"
        self.popen: subprocess.Popen[bytes] | None = None

    def start(self, arguments: Sequence[str], env: Mapping[str, str]) -> str:
        """Start it and return the URL of its `ready` line; raises StartError with its stderr."""
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.popen = subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, "-m", *arguments],
                cwd=self.folder,  # a folder named `proxy` where the user stands must not be imported
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,  # Ctrl-C reaches only the demo, which then stops its children in order
            )
        deadline = time.perf_counter() + START_S
        while (url := self._ready()) is None:
            if not self.running:
                raise StartError(f"the {self.name} ended with {self.popen.returncode}\n{self.complaint()}".rstrip())
            if time.perf_counter() > deadline:
                raise StartError(f"the {self.name} was not ready after {START_S:.0f} s\n{self.complaint()}".rstrip())
            time.sleep(POLL_S)
        return url

    @property
    def running(self) -> bool:
        """Return whether the process is there."""
        return self.popen is not None and self.popen.poll() is None

    def complaint(self) -> str:
        """Return the last lines of its stderr."""
        return "\n".join(self.err.read_text("utf-8", "replace").splitlines()[-SHOWN_LINES:])

    def _ready(self) -> str | None:
        for line in self.out.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n") and (url := _ready_url(line)) is not None:
                return url
        return None


def stop(children: Sequence[Child]) -> None:
    """Ask all to end, wait, and kill what is left with everything it started; seconds are bounded by STOP_S."""
    started = [child.popen for child in children if child.popen is not None]
    for popen in started:
        popen.terminate()
    deadline = time.perf_counter() + STOP_S
    for popen in started:
        try:
            popen.wait(max(deadline - time.perf_counter(), POLL_S))
        except subprocess.TimeoutExpired:
            os.killpg(popen.pid, signal.SIGKILL)
            popen.wait()


def _ready_url(line: bytes) -> str | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if isinstance(event, dict) and event.get("event") == "ready" and isinstance(event.get("url"), str):
        return str(event["url"])
    return None
