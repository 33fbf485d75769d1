"""Spans → an OpenTelemetry collector, by OTLP over HTTP; needs the extra `otel`, which is loaded only here.

A thread sends them in batches. A collector that is down, slow or hostile costs spans and one event, nothing else.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from proxy import __version__
from proxy.clock import Clock
from proxy.core.span import Span
from proxy.core.trace_context import SpanContext
from proxy.errors import StartError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

MOST_WAITING, MOST_AT_ONCE = 4096, 512
"""Spans; more are dropped."""
GATHER_S = 1.0
"""How long a batch grows."""
CLOSE_WITHIN_S = 2.0
AGAIN_S = 60.0
"""How soon it is told again that the collector takes nothing."""
MOST_ANSWER_BYTES = 2**16
_ITS_LOGGERS = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry.exporter.otlp.common.http", "urllib3.connectionpool", "urllib3.connection",
)  # fmt: skip


class Events(Protocol):
    """Takes what operators should know."""

    def warning(self, event: str, **told: Any) -> Any:
        """Tell of what is wrong."""
        ...

    def info(self, event: str, **told: Any) -> Any:
        """Tell of what has changed."""
        ...


class Collector:
    """Sends spans to `url`, as the service `service`, whose process is `name`.

    What OTEL_EXPORTER_OTLP_HEADERS, _TIMEOUT, _COMPRESSION and _CERTIFICATE say counts. Raises StartError.
    """

    def __init__(self, url: str, service: str, name: str, clock: Clock, events: Events) -> None:
        self._url = url
        self._clock = clock
        self._events = events
        self._exporter, self._made = _sdk(url.rstrip("/") + "/v1/traces", service, name)
        self._waiting: deque[tuple[Span, float]] = deque()
        self._due = threading.Event()
        self._closing = threading.Event()
        self._quiet = _Quiet()
        self._thread: threading.Thread | None = None
        self._call: Callable[[Callable[[], None]], object]
        self._lost = 0
        self._gave_up = self._is_down = False
        self._told_at: float | None = None

    def open(self) -> None:
        """Begin to send, for the running loop."""
        self._call = asyncio.get_running_loop().call_soon_threadsafe
        self._thread = threading.Thread(target=self._run, name="frontrunner-spans", daemon=True)
        self._thread.start()

    def export(self, span: Span, epoch: float) -> None:
        """Take one span; where too many wait, it is lost."""
        if len(self._waiting) >= MOST_WAITING:
            self._lost += 1
            return
        self._waiting.append((span, epoch))
        if not self._due.is_set():
            self._due.set()

    async def close(self) -> None:
        """Send what is left, for at most CLOSE_WITHIN_S seconds."""
        self._closing.set()
        self._due.set()
        if self._thread is not None:
            ended, loop = asyncio.Event(), asyncio.get_running_loop()
            threading.Thread(target=self._join, args=(loop, ended), daemon=True).start()
            try:
                async with asyncio.timeout(CLOSE_WITHIN_S):
                    await ended.wait()
            except TimeoutError:
                self._gave_up = True
        self._exporter.shutdown()  # ends what it still tries

    def _join(self, loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
        if self._thread is not None:
            self._thread.join(2 * CLOSE_WITHIN_S)
        _soon(loop.call_soon_threadsafe, ended.set)

    def _run(self) -> None:
        self._quiet.thread = threading.get_ident()
        for name in _ITS_LOGGERS:
            logging.getLogger(name).addFilter(self._quiet)
        try:
            while not self._closing.is_set():
                self._due.wait()
                self._closing.wait(GATHER_S)
                self._due.clear()
                self._send_all()
            self._send_all()
        finally:
            for name in _ITS_LOGGERS:
                logging.getLogger(name).removeFilter(self._quiet)

    def _send_all(self) -> None:
        while self._waiting and not self._gave_up:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
            try:
                is_taken = self._exporter.export([self._made(span, epoch) for span, epoch in batch]).name == "SUCCESS"
            except Exception as error:  # noqa: BLE001  whatever it is, the next batch may fare better
                is_taken, self._quiet.last = False, repr(error)
            if not is_taken:
                self._lost += len(batch)
            self._tell(is_taken=is_taken)

    def _tell(self, *, is_taken: bool) -> None:
        """Say that the collector takes nothing, or takes spans again or not all: at most once in AGAIN_S."""
        now, url = self._clock.timer(), self._url
        if self._told_at is not None and now < self._told_at + AGAIN_S:
            return
        if not is_taken and not self._is_down:
            self._is_down, self._told_at, error = True, now, self._quiet.last[:200]
            self._say(lambda: self._events.warning("tracing", collector=url, taken=False, error=error))
        elif is_taken and self._lost:
            self._is_down, self._told_at, lost, self._lost = False, now, self._lost, 0
            self._say(lambda: self._events.info("tracing", collector=url, taken=True, lost=lost))

    def _say(self, act: Callable[[], object]) -> None:
        _soon(self._call, lambda: (act(), None)[1])


def _soon(call: Callable[[Callable[[], None]], object], act: Callable[[], None]) -> None:
    try:
        call(act)
    except RuntimeError:
        pass  # the loop has ended: nobody is left to tell


class _Quiet(logging.Filter):
    """Keeps what our thread's libraries say out of the log, and the last of it in mind: it would be said each second."""

    thread: int | None = None
    last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let through what other threads say."""
        if record.thread != self.thread:
            return True
        self.last = record.getMessage()
        return False


def _sdk(url: str, service: str, name: str) -> tuple[Any, Callable[[Span, float], "ReadableSpan"]]:
    """Return what sends spans, and what makes a Span one that it can send. Raises StartError."""
    named = {"service.name": service, "service.version": __version__, "service.instance.id": name}
    try:
        return _exporter(url), _maker(named)
    except ImportError as error:
        raise StartError('tracing needs OpenTelemetry: pip install "frontrunner[otel]"') from error
    except ValueError as error:  # a variable of its own that it cannot read
        raise StartError(f"cannot have the exporter of tracing: {error}") from error


def _exporter(url: str) -> Any:
    import requests
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    class Session(requests.Session):
        """Reads no more of an answer than a connection needs to be used again: nobody looks at it."""

        def request(self, *args: Any, **more: Any) -> requests.Response:
            with super().request(*args, **{**more, "stream": True, "allow_redirects": False}) as response:
                response.raw.read(MOST_ANSWER_BYTES, decode_content=False)
                return response

    return OTLPSpanExporter(url, session=Session())


def _maker(named: dict[str, str]) -> Callable[[Span, float], "ReadableSpan"]:
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    resource = Resource.create(named)
    scope = InstrumentationScope("frontrunner", __version__)

    def known(context: SpanContext, *, is_remote: bool = False) -> trace.SpanContext:
        flags = trace.TraceFlags(context.flags)
        return trace.SpanContext(int(context.trace_id, 16), int(context.span_id, 16), is_remote, flags)

    def made(span: Span, epoch: float) -> ReadableSpan:
        return ReadableSpan(
            span.name, known(span.context), known(span.parent, is_remote=span.kind == "SERVER") if span.parent else None,
            resource, span.attributes, links=[trace.Link(known(one)) for one in span.links],
            kind=trace.SpanKind[span.kind],
            status=trace.Status(trace.StatusCode.ERROR if span.failed else trace.StatusCode.UNSET),
            start_time=_ns(span.began + epoch), end_time=_ns(span.ended + epoch), instrumentation_scope=scope,
        )  # fmt: skip

    return made


def _ns(seconds: float) -> int:
    return int(seconds * 1_000_000_000)
