"""Events → lines in a file or on stdout, off the hot path; nothing here can raise into, or block, a request."""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import structlog

from proxy import __version__
from proxy.clock import Clock
from proxy.core.fault import fault
from proxy.core.format import Format
from proxy.core.log_fields import OF_EVERY_EVENT, call_fields, line_fields
from proxy.core.log_line import Call, LogLine
from proxy.core.plain import text
from proxy.core.sampling import Sampling
from proxy.log_writer import Nowhere, Place, Writer

FLUSH_AFTER_S = 0.05
MOST_WAITING = 20_000
"""Lines that may wait for a blocked reader; more are dropped and counted."""
MOST_BYTES = 2**26
"""So are those behind so many bytes."""
_MOST_MESSAGE_CHARS = 500

Told = LogLine | Mapping[str, Any]


class Log:
    """Renders events and hands them to one writer thread, so that a blocked pipe holds up no request.

    `call_later` is the loop's; without one (outside the loop) every line is handed over at once. With `sampling` not all
    request lines are written.
    """

    def __init__(self, form: Format, place: Place, clock: Clock, sampling: Sampling | None = None) -> None:
        self._form = form
        self._clock = clock
        self._lines: deque[tuple[float, str, str, Told]] = deque()
        self._place = place
        self._writer = Writer(place)
        self._turn = threading.RLock()
        self._is_flushing = False
        self._loops_thread = 0
        self._silent = isinstance(place, Nowhere)
        self._sampling = sampling
        self._flush_later: Callable[[], None] | None = None
        self._flush_is_due = False
        self.dropped = 0
        self._dropped_untold = self._lost_counted = 0
        self._stamped: tuple[int, str] = (0, "")
        self._pid = os.getpid()
        self._room = MOST_WAITING
        """Lines that may wait beside those that the writer had when it was last looked at."""
        self.events = structlog.wrap_logger(
            _Sink(self._event), processors=[_as_call], wrapper_class=structlog.BoundLogger
        )

    def use_loop(self, call_later: Callable[[float, Callable[[], None]], object]) -> None:
        """Batch lines from now on: they are rendered and written FLUSH_AFTER_S after the first of them.

        To be called by the loop's thread; the lines of other threads are handed over at once.
        """
        self._loops_thread = threading.get_ident()
        self._flush_later = lambda: (call_later(FLUSH_AFTER_S, self.flush), None)[1]

    def request(self, line: LogLine, event: str = "request") -> None:
        """Log the one line of a client request, or of its `job`, at its end."""
        sampling = self._sampling if event == "request" else None  # what a job cost is told nowhere else
        if self._silent or (sampling is not None and not sampling.keeps(line)):
            return
        self._add(event, line.level if line.error_source is not None else "info", line)

    def upstream_call(self, call: Call, request_id: str) -> None:
        """Log the one line of a call upstream, at its end."""
        if not self._silent:
            now = self._clock.timer()
            level = "error" if call.failed else "info"
            self._add("upstream_call", level, call_fields(call, request_id, now))  # the call may be made again

    def failed(self, error: BaseException, request_id: str) -> None:
        """Log what went wrong in a place where it costs nobody an answer."""
        told = {"request_id": request_id} if request_id else {}
        self.events.error("error", error=fault(error), where=_innermost(error), **told)

    def _event(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        if not self._silent:
            self._put(event, level, fields)
            self.flush()

    def _add(self, event: str, level: str, told: Told) -> None:
        self._put(event, level, told)
        if not self._flush_is_due:
            self._flush_soon()

    def _put(self, event: str, level: str, told: Told) -> None:
        if len(self._lines) >= self._room and not self._finds_room():
            self._drop()
        else:
            self._lines.append((self._clock.wall(), event, level, told))

    def _finds_room(self) -> bool:
        self._room = MOST_WAITING - self._writer.lines if self._writer.size < MOST_BYTES else 0
        return len(self._lines) < self._room

    def _drop(self, count: int = 1) -> None:
        self.dropped += count
        self._dropped_untold += count

    def _flush_soon(self) -> None:
        if self._flush_later is None:
            self.flush()
        else:
            self._flush_is_due = True
            self._flush_later()

    def _rendered(self, wall: float, event: str, level: str, told: Told) -> bytes:
        head = (self._timestamp(wall), level, event, __version__, self._pid)
        if isinstance(told, LogLine):
            return self._form.render(line_fields(told, head))
        return self._form.render({**dict(zip(OF_EVERY_EVENT, head, strict=True)), **told})

    def _timestamp(self, wall: float) -> str:
        second = int(wall)
        if self._stamped[0] != second:  # most lines share their second with the one before
            self._stamped = (second, f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.%06dZ")
        return self._stamped[1] % ((wall - second) * 1_000_000)  # half the price of an f-string

    def flush(self) -> None:
        """Hand all lines, rendered, to the writer."""
        with self._turn:  # other threads log as well
            if self._is_flushing:
                return  # rendering logged something, which is among the lines now
            self._is_flushing, self._flush_is_due = True, False
            try:
                self._hand_over()
            finally:
                self._is_flushing = False
        on_loop = self._flush_later is not None and self._loops_thread == threading.get_ident()
        if self._dropped_untold and on_loop and not self._flush_is_due:
            self._flush_soon()  # once the reader reads again it is to be told, though nothing else may be

    def _hand_over(self) -> None:
        lost, self._lost_counted = self._writer.lost - self._lost_counted, self._writer.lost
        self._drop(lost)
        rendered = BytesIO()  # each line goes into one buffer: to keep them all costs more than to render them
        room, count, told = MOST_BYTES - self._writer.size, 0, 0
        while self._lines:
            line = self._lines.popleft()
            if room <= 0:
                self._drop()
                continue
            room -= rendered.write(self._rendered(*line))
            count += 1
        if self._dropped_untold and room > 0 and self._writer.lines + count < MOST_WAITING:
            told, self._dropped_untold = self._dropped_untold, 0
            rendered.write(self._rendered(self._clock.wall(), "dropped", "warning", {"count": told}))
            count += 1
        if count:
            self._writer.put(rendered.getvalue(), count, told)
        self._finds_room()

    def reopen(self) -> None:
        """Write to the file that has the log's name now: the old one was moved away. What fails is told in the old one."""
        with self._turn:
            self._writer.reopen(self._not_reopened)

    def _not_reopened(self, error: OSError) -> None:
        self.events.error("config", message=f"the log was not opened again: {error}")

    def close(self) -> bool:
        """Write what is left and stop the writer; tell whether all is written: a blocked reader is waited for briefly."""
        self.flush()
        return self._writer.close()

    def let_go(self) -> None:
        """Close it for good: nothing is written any more."""
        if self.close():
            self._place.close()


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
            message = text(record.msg)
        error = record.exc_info[1] if record.exc_info else None
        failed = {"error": fault(error), "where": _innermost(error)} if error is not None else {}
        level = "warning" if record.levelno < logging.ERROR else "error"
        first = message.partition("\n")[0][:_MOST_MESSAGE_CHARS]  # asyncio's others show what an exception holds
        getattr(self._log.events, level)("error", logger=record.name, message=first, **failed)


def _innermost(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def hear_all(log: Log) -> None:
    """Have everything that libraries, warnings and threads have to say written to the log."""
    logging.basicConfig(handlers=[StandardLogging(log)], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    threading.excepthook = lambda told: log.failed(told.exc_value or told.exc_type(), "")
