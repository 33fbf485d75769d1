"""OpenTelemetry: a line of OTLP/JSON (LogsData), its attributes named by the semantic conventions."""

import math
from collections.abc import Mapping
from typing import Any

from proxy.core.plain import plain
from proxy.core.plain import text as shown
from proxy.core.schema import (
    OWN,
    Row,
    Tables,
    file_of,
    line_of,
    span_id,
    summary,
    text,
    trace_id,
    unix_nanoseconds,
    whole,
    word_of,
)  # fmt: skip

RECORD = frozenset({"timeUnixNano", "severityNumber", "severityText", "body", "traceId", "spanId", "eventName"})
"""The names that are members of a LogRecord; `resource …` are attributes of the resource, all others of the record."""
RESOURCE = "resource "
ALWAYS = {RESOURCE + "service.name": OWN}
SEVERITY = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
OTHER = "_OTHER"
_NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


def _known_method(value: Any) -> str | None:
    return None if not isinstance(value, str) else value if value in METHODS else OTHER


def _odd_method(value: Any) -> str | None:
    return value if isinstance(value, str) and value not in METHODS else None


def _event_name(value: Any) -> str | None:
    return f"{OWN}.{value}" if type(value) is str else None


_EVERY = (
    Row("timestamp", "timeUnixNano", unix_nanoseconds),
    Row("level", "severityNumber", word_of(SEVERITY)),
    Row("level", "severityText", text),
    Row("message", "body", text),
    Row("event", "eventName", _event_name),
    Row("version", RESOURCE + "service.version", text),
    Row("pid", RESOURCE + "process.pid", whole),
    Row("trace_id", "traceId", trace_id),
    Row("span_id", "spanId", span_id),
    Row("client_ip", "client.address", text),
)
_ANSWER = (
    Row("method", "http.request.method", _known_method),
    Row("method", "http.request.method_original", _odd_method),
    Row("path", "url.path", text),
    Row("status", "http.response.status_code", whole),
    Row("error", "error.type", text),
)
_REQUEST = (
    Row("bytes_in", "http.request.body.size", whole),
    Row("bytes_out", "http.response.body.size", whole),
)
_CALL = (
    Row("bytes_in", "http.response.body.size", whole),
    Row("bytes_out", "http.request.body.size", whole),
)
_ERROR = (
    Row("error", "exception.message", text),
    Row("where", "code.file.path", file_of),
    Row("where", "code.line.number", line_of),
)
TABLES = Tables(
    _EVERY, request=(_ANSWER, _REQUEST), job=(_ANSWER, _REQUEST), upstream_call=(_ANSWER, _CALL), error=(_ERROR,)
)


class Otel:
    """What the collector's otlpjson receivers read: one LogsData with one LogRecord a line."""

    def rename(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the fields as OTLP/JSON has them."""
        known, own = TABLES.told(fields)
        known.setdefault("body", summary(fields))
        record: dict[str, Any] = {}
        resource = []
        attributes = []
        for name, value in {**ALWAYS, **known}.items():
            if name in RECORD:
                record[name] = value
            elif name.startswith(RESOURCE):
                resource.append({"key": name.removeprefix(RESOURCE), "value": any_value(value)})
            else:
                attributes.append({"key": name, "value": any_value(value)})
        record["body"] = any_value(record["body"])
        attributes += [{"key": _own_name(name), "value": any_value(value)} for name, value in own.items()]
        logs = {"scope": {"name": OWN}, "logRecords": [{**record, "attributes": attributes}]}
        return {"resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": [logs]}]}


def _own_name(name: object) -> str:
    return f"{OWN}.{name if type(name) is str else shown(name)}"


def any_value(value: object) -> dict[str, Any]:
    """Return a value as an AnyValue of OTLP/JSON: numbers of 64 bits are text, bytes are text with escapes."""
    scalar = _scalar(value)
    return _tree(plain(value)) if scalar is None else scalar


def _tree(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"kvlistValue": {"values": [{"key": key, "value": _tree(one)} for key, one in value.items()]}}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_tree(one) for one in value]}}
    scalar = _scalar(value)
    return {"stringValue": shown(value)} if scalar is None else scalar  # a whole number of more than 64 bits


def _scalar(value: object) -> dict[str, Any] | None:
    if isinstance(value, str):
        return {"stringValue": value}
    if type(value) is bool:
        return {"boolValue": value}
    if isinstance(value, float):
        return {"doubleValue": float(value) if math.isfinite(value) else _NOT_FINITE.get(float(value), "NaN")}
    if (number := whole(value)) is not None:
        return {"intValue": str(number)}
    return {} if value is None else None
