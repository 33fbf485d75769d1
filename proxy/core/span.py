"""LogLine or Call → a span, by the semantic conventions of OpenTelemetry for HTTP; no query, no field, no body."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from proxy.core.log_fields import call_fields, request_fields
from proxy.core.log_line import Call, LogLine
from proxy.core.trace_context import Begun, SpanContext

Kind = Literal["SERVER", "CLIENT", "INTERNAL"]
Attribute = str | bool | int | float

METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
)  # http.request.method knows these; a client may send anything
_NAMES: Final = {
    "path": "url.path",
    "status": "http.response.status_code",
    "error": "error.type",
    "client_ip": "client.address",
}
_OF_A_CALL: Final = {"bytes_in": "http.response.body.size", "bytes_out": "http.request.body.size"}
_OF_A_REQUEST: Final = {"bytes_in": "http.request.body.size", "bytes_out": "http.response.body.size"}
MOST_TEXT: Final = 1024
"""Characters of one attribute: many spans may wait."""
_SAID_OTHERWISE: Final = frozenset({"trace_id", "span_id", "duration_s", "method"})


@dataclass(frozen=True, slots=True)
class Span:
    """What was measured of one request or call; `began` and `ended` in seconds of the timer."""

    name: str
    kind: Kind
    context: SpanContext
    parent: SpanContext | None
    began: float
    ended: float
    attributes: Mapping[str, Attribute]
    links: tuple[SpanContext, ...] = ()
    failed: bool = False


def request_span(line: LogLine, begun: Begun, context: SpanContext, event: str = "request") -> Span:
    """Return the span of a client's request that has ended; of a `job`, the one below that."""
    fields = {name: value for name, value in request_fields(line).items() if name not in (line.shown or ())}
    told = _attributes(fields, _NAMES | _OF_A_REQUEST) | _method(line.method)
    is_request = event == "request"
    if begun.scheme:
        told["url.scheme"] = begun.scheme
    failed = line.level == "error" or (line.status or 0) >= 500
    if failed and line.error is None:
        told["error.type"] = str(line.status)
    # who joined another's fetch waited for a call in another trace
    waited_for = line.call.span if line.call is not None and line.flight == "follow" else None
    return Span(
        _name(line) if is_request else f"job {_name(line)}", "SERVER" if is_request else "INTERNAL", context,
        begun.parent if is_request else begun.context, line.began, line.began + line.duration_s, told,
        (*begun.links, waited_for.context) if waited_for is not None else begun.links, failed,
    )  # fmt: skip


def call_span(call: Call, begun: Begun, request_id: str, upstream: Mapping[str, Attribute], now: float) -> Span:
    """Return the span of a call that has ended, to `upstream` (its attributes)."""
    told = {**upstream, **_attributes(call_fields(call, request_id, now), _NAMES | _OF_A_CALL), **_method(call.method)}
    if call.sent > 1:
        told["http.request.resend_count"] = call.sent - 1
    if call.queue_s is not None:
        told["frontrunner.queue_s"] = call.queue_s
    failed = call.failed or (call.status or 0) >= 500
    if failed and not call.failed:
        told["error.type"] = str(call.status)
    ended = now if call.ended is None else call.ended
    return Span(
        _known(call.method), "CLIENT", begun.context, begun.parent, begun.began, ended, told, begun.links, failed
    )


def _attributes(fields: Mapping[str, Attribute], names: Mapping[str, str]) -> dict[str, Attribute]:
    return {
        names.get(name, f"frontrunner.{name}"): value[:MOST_TEXT] if isinstance(value, str) else value
        for name, value in fields.items()
        if name not in _SAID_OTHERWISE
    }


def _method(method: str) -> dict[str, Attribute]:
    if method in METHODS:
        return {"http.request.method": method}
    return {"http.request.method": "_OTHER", "http.request.method_original": method}


def _known(method: str) -> str:
    return method if method in METHODS else "HTTP"


def _name(line: LogLine) -> str:
    # a path would make a name of each question
    return f"{_known(line.method)} {line.rule}" if line.rule else _known(line.method)
