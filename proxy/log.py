"""Events → lines in a file or on stdout, off the hot path; nothing here can raise into, or block, a request."""

import fcntl
import logging
import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from proxy import __version__
from proxy.clock import Clock
from proxy.core.format import Format
from proxy.core.log_line import Call, LogLine, call_fields, request_fields

FLUSH_AFTER_S = 0.05
MOST_WAITING = 20_000
"""Lines that may wait for a blocked reader; more are dropped and counted."""


class Log:
    """Renders events and hands them to one writer thread, so that a blocked pipe holds up no request.

    `call_later` is the loop's; without one (outside the loop) every line is handed over at once.
    """

    def __init__(self, form: Format, write: Callable[[bytes], None], clock: Clock) -> None:
        self._form = form
        self._clock = clock
        self._lines: deque[Callable[[], bytes]] = deque()
        self._writer = _Writer(write)
        self._silent = write is nowhere
        self._flush_later: Callable[[], None] | None = None
        self._flush_is_due = False
        self.dropped = 0
        self._dropped_untold = 0
        self._stamped: tuple[int, str] = (0, "")
        self._pid = os.getpid()
        self.events = structlog.wrap_logger(
            _Sink(self._event), processors=[_as_call], wrapper_class=structlog.BoundLogger
        )

    def use_loop(self, call_later: Callable[[float, Callable[[], None]], object]) -> None:
        """Batch lines from now on: they are rendered and written FLUSH_AFTER_S after the first of them."""
        self._flush_later = lambda: (call_later(FLUSH_AFTER_S, self.flush), None)[1]

    def request(self, line: LogLine, event: str = "request") -> None:
        """Log the one line of a client request, or of its `job`, at its end."""
        self._add(event, line.level, lambda: request_fields(line))

    def upstream_call(self, call: Call, request_id: str) -> None:
        """Log the one line of a call upstream, at its end."""
        now = self._clock.timer()
        level = "error" if call.error else "info"
        known = call_fields(call, request_id, now)  # the call may be made again
        self._add("upstream_call", level, lambda: known)

    def failed(self, error: BaseException, request_id: str) -> None:
        """Log what went wrong in a place where it costs nobody an answer."""
        told = {"request_id": request_id} if request_id else {}
        self.events.error("error", error=repr(error), where=_innermost(error), **told)

    def _event(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        known = dict(fields)
        self._add(event, level, lambda: known)
        self.flush()

    def _add(self, event: str, level: str, fields: Callable[[], Mapping[str, Any]]) -> None:
        if self._silent:
            return
        wall = self._clock.wall()
        if len(self._lines) + self._writer.waiting >= MOST_WAITING:
            self.dropped += 1
            self._dropped_untold += 1
            return
        self._lines.append(lambda: self._rendered(wall, event, level, fields()))
        if self._flush_later is None:
            self.flush()
        elif not self._flush_is_due:
            self._flush_is_due = True
            self._flush_later()

    def _rendered(self, wall: float, event: str, level: str, fields: Mapping[str, Any]) -> bytes:
        known: dict[str, Any] = {
            "timestamp": self._timestamp(wall), "level": level, "event": event, "version": __version__, "pid": self._pid,
        }  # fmt: skip
        known.update(fields)
        return self._form.render(known)

    def _timestamp(self, wall: float) -> str:
        second = int(wall)
        if self._stamped[0] != second:  # most lines share their second with the one before
            self._stamped = (second, f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}")
        return f"{self._stamped[1]}.{int((wall - second) * 1_000_000):06}Z"

    def flush(self) -> None:
        """Hand all rendered lines to the writer."""
        self._flush_is_due = False
        if self._dropped_untold and self._writer.waiting < MOST_WAITING:
            count, self._dropped_untold = self._dropped_untold, 0
            wall = self._clock.wall()
            self._lines.append(lambda: self._rendered(wall, "dropped", "warning", {"count": count}))
        if self._lines:
            rendered = []
            while self._lines:  # other threads log as well
                try:
                    rendered.append(self._lines.popleft()())
                except IndexError:
                    break
            self._writer.put(b"".join(rendered), len(rendered))

    def close(self) -> None:
        """Write what is left and stop the writer; waits for a blocked reader at most two seconds."""
        self.flush()
        self._writer.close()


class _Sink:
    """What structlog writes to: any level's call becomes an event of ours."""

    def __init__(self, event: Callable[[str, str, Mapping[str, Any]], None]) -> None:
        self._event = event

    def msg(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        self._event(level, event, fields)

    debug = info = warning = error = critical = msg


def _as_call(_: object, level: str, fields: structlog.typing.EventDict) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (level, str(fields.pop("event", "")), dict(fields)), {}


class StandardLogging(logging.Handler):
    """Sends what libraries log through the standard library down the same pipe."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record as an `error` event."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001  a wrong format is the library's fault, and must not become the caller's
            message = repr(record.msg)
        failed = {"error": repr(record.exc_info[1])} if record.exc_info and record.exc_info[1] else {}
        level = "warning" if record.levelno < logging.ERROR else "error"
        getattr(self._log.events, level)("error", logger=record.name, message=message, **failed)


class _Writer:
    """One daemon thread that writes batches in order."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._batches: queue.SimpleQueue[tuple[bytes, int] | None] = queue.SimpleQueue()
        self._put = 0
        self._written = 0  # each counter has one thread that writes it
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        return self._put - self._written

    def put(self, batch: bytes, lines: int) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="frontrunner-log", daemon=True)
            self._thread.start()
        self._put += lines
        self._batches.put((batch, lines))

    def _run(self) -> None:
        while (item := self._batches.get()) is not None:
            try:
                self._write(item[0])
            except OSError:
                pass  # a closed pipe or a full disk costs log lines, never an answer
            self._written += item[1]

    def close(self) -> None:
        if self._thread is not None:
            self._batches.put(None)
            self._thread.join(timeout=2.0)
            self._thread = None


def _innermost(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def nowhere(_: bytes) -> None:
    """Write nothing."""


def writer_to(place: str, lock: int | None = None) -> Callable[[bytes], None]:
    """Return what writes bytes to `-` (stdout), `off` (nowhere) or a file that is appended to.

    Processes that write to one place share the descriptor of a `lock` file, so that no line is torn by another's. Raises
    OSError where a file cannot be opened.
    """
    if place == "off":
        return nowhere
    descriptor = sys.stdout.fileno() if place == "-" else os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)

    def write(batch: bytes) -> None:
        while batch:
            batch = batch[os.write(descriptor, batch) :]

    if lock is None:
        return write

    def write_alone(batch: bytes) -> None:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        try:
            write(batch)
        finally:
            fcntl.lockf(lock, fcntl.LOCK_UN)

    return write_alone
