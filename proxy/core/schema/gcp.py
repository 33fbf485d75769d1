"""Google Cloud Logging: the special fields of structured logging, `httpRequest` among them."""

from collections.abc import Mapping
from typing import Any

from proxy.core.schema import (
    OWN,
    Row,
    Tables,
    duration,
    file_of,
    line_of,
    nested,
    span_id,
    summary,
    text,
    trace_id,
    whole,
    whole_text,
    word_of,
)  # fmt: skip

ALWAYS = {"serviceContext.service": OWN}
SEVERITY = {word: word.upper() for word in ("debug", "info", "warning", "error", "critical")}
IS_HIT = {
    "hit": True, "stale": True, "revalidated": True,
    "miss": False, "expired": False, "partial": False, "collapsed": False, "passthrough": False,
}  # fmt: skip
WAS_LOOKED_UP = {outcome: outcome != "passthrough" for outcome in IS_HIT}
WAS_VALIDATED = {"hit": False, "stale": False, "revalidated": True}

_SPECIAL = "logging.googleapis.com/"
_EVERY = (
    Row("timestamp", "time", text),
    Row("level", "severity", word_of(SEVERITY)),
    Row("message", "message", text),
    Row("version", "serviceContext.version", text),
    Row("request_id", _SPECIAL + "operation.id", text),
    Row("trace_id", _SPECIAL + "trace", trace_id),
    Row("span_id", _SPECIAL + "spanId", span_id),
)
_ANSWER = (
    Row("method", "httpRequest.requestMethod", text),
    Row("path", "httpRequest.requestUrl", text),
    Row("status", "httpRequest.status", whole),
    Row("client_ip", "httpRequest.remoteIp", text),
    Row("duration_s", "httpRequest.latency", duration),
)
_REQUEST = (
    Row("outcome", "httpRequest.cacheHit", word_of(IS_HIT)),
    Row("outcome", "httpRequest.cacheLookup", word_of(WAS_LOOKED_UP)),
    Row("outcome", "httpRequest.cacheValidatedWithOriginServer", word_of(WAS_VALIDATED)),
    Row("bytes_in", "httpRequest.requestSize", whole_text),
    Row("bytes_out", "httpRequest.responseSize", whole_text),
)
_CALL = (
    Row("bytes_in", "httpRequest.responseSize", whole_text),
    Row("bytes_out", "httpRequest.requestSize", whole_text),
)
_ERROR = (
    Row("where", _SPECIAL + "sourceLocation.file", file_of),
    Row("where", _SPECIAL + "sourceLocation.line", lambda value: whole_text(line_of(value))),
)
TABLES = Tables(
    _EVERY, request=(_ANSWER, _REQUEST), job=(_ANSWER, _REQUEST), upstream_call=(_ANSWER, _CALL), error=(_ERROR,)
)


class Gcp:
    """One LogEntry a line: what is special becomes a member of it, the rest its jsonPayload."""

    def rename(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the fields under the names that the logging agents know."""
        known, own = TABLES.told(fields)
        known.setdefault("message", summary(fields))
        return nested({**known, **ALWAYS}, own)
