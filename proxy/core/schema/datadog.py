"""The reserved and standard attributes of Datadog's log management."""

from collections.abc import Mapping
from typing import Any

from proxy.core.schema import (
    OWN,
    Row,
    Tables,
    address,
    failure,
    nanoseconds,
    nested,
    span_id,
    summary,
    text,
    trace_id,
    whole,
)

ALWAYS = {"service": OWN}

_EVERY = (
    Row("timestamp", "timestamp", text),
    Row("level", "status", text),
    Row("message", "message", text),
    Row("event", "evt.name", text),
    Row("version", "dd.version", text),
    Row("request_id", "http.request_id", text),
    Row("trace_id", "trace_id", trace_id),
    Row("span_id", "span_id", span_id),
    Row("client_ip", "network.client.ip", address),
)
_ANSWER = (
    Row("method", "http.method", text),
    Row("path", "http.url_details.path", text),
    Row("status", "http.status_code", whole),
    Row("error", "error.kind", text),
    Row("duration_s", "duration", nanoseconds),
)
_REQUEST = (
    Row("outcome", "evt.outcome", failure),
    Row("bytes_in", "network.bytes_read", whole),
    Row("bytes_out", "network.bytes_written", whole),
)
_CALL = (
    Row("level", "status", text),
    Row("level", "evt.outcome", failure),
    Row("bytes_in", "network.bytes_written", whole),
    Row("bytes_out", "network.bytes_read", whole),
)
_ERROR = (Row("error", "error.message", text), Row("logger", "logger.name", text))
TABLES = Tables(
    _EVERY, request=(_ANSWER, _REQUEST), job=(_ANSWER, _REQUEST), upstream_call=(_ANSWER, _CALL), error=(_ERROR,)
)


class Datadog:
    """One log event a line."""

    def rename(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the fields under Datadog's names, nested."""
        known, own = TABLES.told(fields)
        known.setdefault("message", summary(fields))
        return nested({**ALWAYS, **known}, own)
