"""The Elastic Common Schema 9.3, written as the ECS logging specification has it."""

from collections.abc import Mapping
from typing import Any

from proxy.core.schema import (
    OWN,
    Row,
    Tables,
    address,
    failure,
    file_of,
    line_of,
    nanoseconds,
    nested,
    span_id,
    summary,
    text,
    trace_id,
    whole,
)  # fmt: skip

VERSION = "9.3.0"
ALWAYS = {"ecs.version": VERSION, "service.name": OWN, "event.dataset": f"{OWN}.log"}
FIRST = ("@timestamp", "log.level", "message")
"""A line begins with them, for people; the level is the one name whose dot must not nest."""

_EVERY = (
    Row("timestamp", "@timestamp", text),
    Row("level", "log.level", text),
    Row("message", "message", text),
    Row("event", "event.action", text),
    Row("version", "service.version", text),
    Row("pid", "process.pid", whole),
    Row("request_id", "http.request.id", text),
    Row("trace_id", "trace.id", trace_id),
    Row("span_id", "span.id", span_id),
    Row("client_ip", "client.ip", address),
)
_ANSWER = (
    Row("method", "http.request.method", text),
    Row("path", "url.path", text),
    Row("status", "http.response.status_code", whole),
    Row("reason", "event.reason", text),
    Row("error", "error.type", text),
    Row("duration_s", "event.duration", nanoseconds),
)
_REQUEST = (
    Row("outcome", "event.outcome", failure),
    Row("bytes_in", "http.request.body.bytes", whole),
    Row("bytes_out", "http.response.body.bytes", whole),
)
_CALL = (
    Row("level", "log.level", text),
    Row("level", "event.outcome", failure),
    Row("bytes_in", "http.response.body.bytes", whole),
    Row("bytes_out", "http.request.body.bytes", whole),
)
_ERROR = (
    Row("error", "error.message", text),
    Row("logger", "log.logger", text),
    Row("where", "log.origin.file.name", file_of),
    Row("where", "log.origin.file.line", line_of),
)
TABLES = Tables(
    _EVERY, request=(_ANSWER, _REQUEST), job=(_ANSWER, _REQUEST), upstream_call=(_ANSWER, _CALL), error=(_ERROR,)
)


class Ecs:
    """One document of Elasticsearch a line."""

    def rename(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the fields under the names of ECS, nested."""
        known, own = TABLES.told(fields)
        known.setdefault("message", summary(fields))
        first = {name: known.pop(name) for name in FIRST if name in known}
        return nested({**first, **ALWAYS, **known}, own, whole=FIRST)
