"""The fields of log lines: their names, their order, their units."""

from operator import attrgetter
from typing import Any

from proxy.core.log_line import Call, LogLine, Purpose
from proxy.core.types import Outcome

ORDER = (
    "timestamp", "level", "event", "version", "pid", "request_id", "trace_id", "span_id", "client_ip", "method", "path", "status",
    "rule", "outcome", "arm", "reason", "would", "would_reason", "would_save_s", "would_differ", "error", "error_source", "key_hash", "age_s", "ttl_s", "parts", "parts_hit",
    "upstream_calls", "flight", "translated", "bytes_in", "bytes_out", "duration_s", "ttfb_s", "queue_s", "normalize_s",
    "lookup_s", "upstream_connect_s", "upstream_ttfb_s", "upstream_s", "merge_s", "store_s", "send_s", "overhead_s",
    "saved_s", "sample_rate",
)  # fmt: skip
"""The fields of a `request` line in the order in which they are written."""

OF_EVERY_EVENT = ("timestamp", "level", "event", "version", "pid")
Head = tuple[str, str, str, str, int]
"""What each line begins with: the values of OF_EVERY_EVENT."""

_NO_HEAD: Head = ("", "", "", "", 0)
_OWN = tuple(name for name in ORDER if name not in OF_EVERY_EVENT)
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
    """Return the fields of a request as its line has them, without those of every event."""
    told = line_fields(line, _NO_HEAD)
    for name in OF_EVERY_EVENT:
        del told[name]
    return told


def line_fields(line: LogLine, head: Head) -> dict[str, Any]:
    """Return the known fields of a `request` line in writing order, durations rounded to microseconds."""
    if line.outcome is Outcome.HIT and _absent_of_a_hit(line) == _NOTHING and not line.sent_before:
        known = _known_of_a_hit(line)
        if None not in known:
            return _hit_fields(line, head, *known)
    told: dict[str, Any] = dict(zip(OF_EVERY_EVENT, head, strict=True))
    for name, value in zip(_OWN, _values(line), strict=True):
        if value is not None:
            told[name] = _micro(value) if type(value) is float else value
    return told if line.shown is None else told | line.shown


def _hit_fields(
    line: LogLine, head: Head, status: int, rule: str, key_hash: str, age_s: float, ttl_s: float, normalize_s: float,
    lookup_s: float, send_s: float, first_byte: float, cost: float,
) -> dict[str, Any]:  # fmt: skip
    """Return what `line_fields` would, at a third of the price: most lines are those of plain hits."""
    timestamp, level, event, version, pid = head  # one dict is made once: to add to another costs as much as the rest
    duration_s = (line.duration_s * 1e6 + 0.5) // 1 / 1e6  # so does calling _micro six times
    saved_s = cost - line.duration_s
    return {
        "timestamp": timestamp, "level": level, "event": event, "version": version, "pid": pid,
        "request_id": line.request_id, "client_ip": line.client_ip, "method": line.method, "path": line.path,
        "status": status, "rule": rule, "outcome": line.outcome, "key_hash": key_hash, "age_s": age_s, "ttl_s": ttl_s,
        "upstream_calls": 0, "bytes_in": line.bytes_in, "bytes_out": line.bytes_out, "duration_s": duration_s,
        "ttfb_s": ((first_byte - line.began) * 1e6 + 0.5) // 1 / 1e6,
        "normalize_s": (normalize_s * 1e6 + 0.5) // 1 / 1e6, "lookup_s": (lookup_s * 1e6 + 0.5) // 1 / 1e6,
        "send_s": (send_s * 1e6 + 0.5) // 1 / 1e6, "overhead_s": duration_s,
        "saved_s": (saved_s * 1e6 + 0.5) // 1 / 1e6 if saved_s > 0.0 else 0.0,
    }  # fmt: skip


def _micro(seconds: float) -> float:
    return (seconds * 1e6 + 0.5) // 1 / 1e6  # a quarter of the price of round()


def call_fields(call: Call, request_id: str, now: float) -> dict[str, Any]:
    """Return the known fields of an `upstream_call` line in writing order."""
    span = call.span.context if call.span is not None and call.span.context.is_sampled else None
    known: dict[str, Any] = {
        "request_id": request_id, "trace_id": span and span.trace_id, "span_id": span and span.span_id, "method": call.method, "path": call.path, "status": call.status,
        "rule": call.rule, "purpose": None if call.purpose is Purpose.CLIENT else call.purpose, "error": call.error if call.failed else None, "reason": None if call.failed else call.error,
        "bytes_in": call.bytes_in, "bytes_out": call.bytes_out, "duration_s": call.duration_s(now),
        "upstream_connect_s": call.connect_s, "upstream_ttfb_s": call.ttfb_s,
    }  # fmt: skip
    return {
        name: round(value, 6) if type(value) is float else value for name, value in known.items() if value is not None
    }
