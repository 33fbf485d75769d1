"""The real proxy as a subprocess: started from a config, watched by its log lines, stopped by SIGTERM."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

import yaml
from wire import Answer, Client, RawUpstream, asked, reply

TOKEN = "token-for-tests-0123456789abcdef"
BEARER = b"Authorization: Bearer " + TOKEN.encode()
Line = dict[str, Any]


class _PlainDumper(yaml.SafeDumper):
    """Writes equal parts out each time: the config has no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        """Say that nothing is ever an alias."""
        return True


class Proxy:
    """One `python -m proxy run`; its log lines are collected by a thread, in order, until it is stopped."""

    def __init__(self, config: Line, folder: Path, *arguments: str) -> None:
        self.config, self.folder, self.arguments = config, folder, arguments
        self.log: list[Line] = []
        self.noise: list[bytes] = []
        self.port = 0
        self._grown = threading.Condition()
        self._ended = False

    def start(self, within: float = 20.0) -> Self:
        """Start it and wait for its first line, which must be `ready`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "config.yaml"
        file.write_text(yaml.dump(self.config, Dumper=_PlainDumper, sort_keys=False))
        state = self.folder / "state"
        environment = os.environ | {"FRONTRUNNER_TOKEN": TOKEN, "XDG_STATE_HOME": str(state), "PYTHONUNBUFFERED": "1"}
        self.errors = self.folder / "stderr"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "proxy", "run", "--config", str(file), "--port", "0", *self.arguments],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()
        with self._grown:
            self._grown.wait_for(lambda: self.log or self.noise or self._ended, within)
        if not self.log or self.log[0].get("event") != "ready":
            self.kill()
            raise AssertionError(f"no ready line first: {self.log} {self.noise} {self.errors.read_text()[-4000:]}")
        self.url: str = self.log[0]["url"]
        self.port = int(self.url.rpartition(":")[2].strip("/"))
        return self

    def _collect(self) -> None:
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            try:
                line = json.loads(raw)
                assert isinstance(line, dict)
            except (ValueError, AssertionError):
                line = None
            with self._grown:
                self.log.append(line) if line is not None else self.noise.append(raw)
                self._grown.notify_all()
        with self._grown:
            self._ended = True
            self._grown.notify_all()

    def found(self, **fields: object) -> list[Line]:
        """Return the log lines so far that have these fields."""
        return [line for line in list(self.log) if _has(line, fields)]

    async def lines(self, count: int = 1, within: float = 10.0, **fields: object) -> list[Line]:
        """Wait until `count` log lines with these fields are there, and return all there are."""

        def wait() -> bool:
            place = seen = 0

            def enough() -> bool:
                nonlocal place, seen
                for line in self.log[place:]:
                    seen += _has(line, fields)
                    place += 1
                return seen >= count or self._ended

            with self._grown:
                return self._grown.wait_for(enough, within)

        await asyncio.to_thread(wait)
        found = self.found(**fields)
        assert len(found) >= count, f"{len(found)} of {count} lines with {fields}; the last ones: {self.log[-5:]}"
        return found

    async def line(self, answer: Answer | str, within: float = 10.0) -> Line:
        """Wait for the one `request` line of an answer (or of a request id)."""
        request_id = answer if isinstance(answer, str) else answer.request_id
        assert request_id, f"no request id in {answer}"
        found = await self.lines(event="request", request_id=request_id, within=within)
        assert len(found) == 1, found
        return found[0]

    async def ask(self, method: str, target: str, *fields: bytes, body: bytes | None = None) -> Answer:
        """Send one ordinary request over a new connection and read its response."""
        async with await Client.to(self.port) as client:
            return await client.ask(asked(method.encode(), target.encode(), *fields, body=body))

    async def admin(self, path: str, *, method: str = "GET", token: str = TOKEN) -> Answer:
        """Ask the admin interface."""
        return await self.ask(method, f"/_frontrunner/{path}", b"Authorization: Bearer " + token.encode())

    def stop(self, within: float = 8.0) -> None:
        """Stop it as an init system does; it must end with 0, in time, with nothing but JSON on stdout."""
        began = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {within} s after SIGTERM: {self.errors.read_text()[-4000:]}") from None
        self._close()
        took = time.perf_counter() - began
        assert code == 0, f"ended with {code} after {took:.1f} s: {self.errors.read_text()[-4000:]}"
        assert not self.noise, f"stdout holds JSON lines only, but: {self.noise[:3]}"

    def kill(self) -> None:
        """End it and its children at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(5)
        self._close()

    def _close(self) -> None:
        self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()


def _has(line: Line, fields: Line) -> bool:
    return all(line.get(name) == value for name, value in fields.items())


def status_of(answer: Answer) -> tuple[str, dict[str, str]]:
    """Take our member of Cache-Status apart: `hit` or the `fwd` word, and all its parameters."""
    ours = [member.strip() for member in answer.value(b"cache-status").decode().split(",") if "Frontrunner" in member]
    assert len(ours) == 1, answer.fields
    name, *rest = [part.strip() for part in ours[0].split(";")]
    assert name == "Frontrunner", ours
    parameters = {key: value for key, _, value in (part.partition("=") for part in rest)}
    return ("hit" if "hit" in parameters else parameters.get("fwd", "")), parameters


def check_problem(answer: Answer, status: int, reason: str) -> None:
    """Check that this is an error of ours: a problem+json with all its fields."""
    assert (answer.status, answer.cut) == (status, False), answer
    assert answer.value(b"content-type") == b"application/problem+json", answer
    problem = answer.json()
    assert {"type", "title", "status", "detail", "request_id", "reason"} <= problem.keys(), problem
    assert (problem["status"], problem["reason"], problem["request_id"]) == (status, reason, answer.request_id), answer
    assert problem["title"], problem
    assert problem["detail"], problem


async def check_next(proxy: Proxy, upstream: RawUpstream) -> None:
    """Check that the next plain request is answered as if nothing had been."""
    upstream.routes[b"/next"] = reply(200, b"as ever")
    after = await proxy.ask("GET", "/next")
    assert (after.status, after.body) == (200, b"as ever"), after
    line = await proxy.line(after)
    assert line["status"] == 200, line
