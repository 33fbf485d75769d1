"""The fields of log lines: their names, their order, their units."""

from operator import attrgetter
from typing import Any

from proxy.core.log_line import Call, LogLine
from proxy.core.types import Outcome

ORDER = (
    "timestamp", "level", "event", "version", "pid", "request_id", "trace_id", "span_id", "client_ip", "method", "path", "status",
    "rule", "outcome", "arm", "reason", "would", "would_reason", "would_save_s", "would_differ", "error", "error_source", "key_hash", "age_s", "ttl_s", "parts", "parts_hit",
    "upstream_calls", "flight", "translated", "bytes_in", "bytes_out", "duration_s", "ttfb_s", "queue_s", "normalize_s",
    "lookup_s", "upstream_connect_s", "upstream_ttfb_s", "upstream_s", "merge_s", "store_s", "send_s", "overhead_s",
    "saved_s", "sample_rate",
)  # fmt: skip
"""The fields of a `request` line in the order in which they are written."""

_ONE_PER_EVENT = ("timestamp", "level", "event", "version", "pid")
_OWN = tuple(name for name in ORDER if name not in _ONE_PER_EVENT)
_values = attrgetter(*_OWN)


_ABSENT_OF_A_HIT = (
    "trace_id", "span_id", "reason", "call", "arm", "would", "error", "error_source", "parts", "parts_hit", "flight", "translated",
    "merge_s", "shown", "sample_rate", "would_reason", "would_save_s", "would_differ",
)  # fmt: skip
_NOTHING = (None,) * len(_ABSENT_OF_A_HIT)
_KNOWN_OF_A_HIT = (
    "status", "rule", "key_hash", "age_s", "ttl_s", "normalize_s", "lookup_s", "send_s", "first_byte", "cost",
)  # fmt: skip
_absent_of_a_hit, _known_of_a_hit = attrgetter(*_ABSENT_OF_A_HIT), attrgetter(*_KNOWN_OF_A_HIT)


def request_fields(line: LogLine) -> dict[str, Any]:
    """Return the known fields of a `request` line in writing order, durations rounded to microseconds."""
    if line.outcome is Outcome.HIT and _absent_of_a_hit(line) == _NOTHING and not line.sent_before:
        known = _known_of_a_hit(line)
        if None not in known:
            return _hit_fields(line, *known)
    told = {
        name: _micro(value) if type(value) is float else value
        for name, value in zip(_OWN, _values(line), strict=True)
        if value is not None
    }
    return told if line.shown is None else told | line.shown


def _hit_fields(
    line: LogLine, status: int, rule: str, key_hash: str, age_s: float, ttl_s: float, normalize_s: float,
    lookup_s: float, send_s: float, first_byte: float, cost: float,
) -> dict[str, Any]:  # fmt: skip
    """Return what `_values` would, at a third of the price: most lines are those of plain hits."""
    duration_s = int(line.duration_s * 1e6 + 0.5) / 1e6  # six calls of _micro cost as much as all else here
    saved_s = cost - line.duration_s
    return {
        "request_id": line.request_id, "client_ip": line.client_ip, "method": line.method, "path": line.path,
        "status": status, "rule": rule, "outcome": line.outcome, "key_hash": key_hash, "age_s": age_s, "ttl_s": ttl_s,
        "upstream_calls": 0, "bytes_in": line.bytes_in, "bytes_out": line.bytes_out, "duration_s": duration_s,
        "ttfb_s": int((first_byte - line.began) * 1e6 + 0.5) / 1e6,
        "normalize_s": int(normalize_s * 1e6 + 0.5) / 1e6, "lookup_s": int(lookup_s * 1e6 + 0.5) / 1e6,
        "send_s": int(send_s * 1e6 + 0.5) / 1e6, "overhead_s": duration_s,
        "saved_s": int(saved_s * 1e6 + 0.5) / 1e6 if saved_s > 0.0 else 0.0,
    }  # fmt: skip


def _micro(seconds: float) -> float:
    return int(seconds * 1e6 + 0.5) / 1e6  # a third of the price of round()


def call_fields(call: Call, request_id: str, now: float) -> dict[str, Any]:
    """Return the known fields of an `upstream_call` line in writing order."""
    span = call.span.context if call.span is not None and call.span.context.is_sampled else None
    known: dict[str, Any] = {
        "request_id": request_id, "trace_id": span and span.trace_id, "span_id": span and span.span_id, "method": call.method, "path": call.path, "status": call.status, "error": call.error,
        "bytes_in": call.bytes_in, "bytes_out": call.bytes_out, "duration_s": call.duration_s(now),
        "upstream_connect_s": call.connect_s, "upstream_ttfb_s": call.ttfb_s,
    }  # fmt: skip
    return {
        name: round(value, 6) if type(value) is float else value for name, value in known.items() if value is not None
    }
