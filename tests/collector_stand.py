"""A stand-in for an OpenTelemetry collector: takes what is sent by OTLP over HTTP, and takes it apart."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent


@dataclass
class Known:
    """One span as the collector got it; ids in hex, times in seconds."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent: str
    began: float
    ended: float
    failed: bool
    links: list[tuple[str, str]]
    attributes: dict[str, Any]
    resource: dict[str, Any]
    parent_is_remote: bool


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def _known(span: Any, resource: dict[str, Any]) -> Known:
    return Known(
        span.name, Sent.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"), span.trace_id.hex(), span.span_id.hex(),
        span.parent_span_id.hex(), span.start_time_unix_nano / 1e9, span.end_time_unix_nano / 1e9,
        span.status.code == 2, [(one.trace_id.hex(), one.span_id.hex()) for one in span.links],
        _attributes(span.attributes), resource, bool(span.flags & 0x200),
    )  # fmt: skip


Answering = Callable[[BaseHTTPRequestHandler], None]


def fine(asked: BaseHTTPRequestHandler) -> None:
    """Take what was sent."""
    asked.send_response(200)
    asked.send_header("content-length", "0")
    asked.end_headers()


@dataclass
class CollectorStand:
    """Listens on a free port; `answer` answers, `spans` are those that came, `heads` the fields that came with them."""

    answer: Answering = fine
    spans: list[Known] = field(default_factory=list)
    heads: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Begin to listen."""
        stand, came = self, threading.Condition()
        self._came = came

        class Asked(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                told = ExportTraceServiceRequest.FromString(body)
                with came:
                    stand.heads.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                    for one in told.resource_spans:
                        resource = _attributes(one.resource.attributes)
                        stand.spans += [_known(span, resource) for scope in one.scope_spans for span in scope.spans]
                    came.notify_all()
                stand.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Asked)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        return self

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def wait(self, batches: int, within: float = 10.0) -> None:
        """Wait until so many batches have come."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.heads) >= batches, within)

    def of(self, kind: str) -> list[Known]:
        """Return the spans of one kind, in the order in which they began."""
        return sorted([span for span in self.spans if span.kind == kind], key=lambda span: span.began)

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
