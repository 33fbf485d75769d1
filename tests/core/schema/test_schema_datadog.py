"""Datadog: each attribute is a reserved or a standard one, of its type."""

import json

import pytest
from log_events import EVENTS, leaves

from proxy.core.format.json import Json
from proxy.core.schema import OWN
from proxy.core.schema.datadog import TABLES, Datadog

# Facts from github.com/DataDog/documentation, content/en/logs/log_configuration/attributes_naming_convention.md (reserved
# attributes, default standard attribute list), and content/en/opentelemetry/correlate/logs_and_traces.md: W3C ids as they are.
PUBLISHED = {
    "timestamp": "string",
    "status": "string",
    "service": "string",
    "message": "string",
    "trace_id": "string",
    "span_id": "string",
    "dd.version": "string",
    "network.client.ip": "string",
    "network.bytes_read": "number",
    "network.bytes_written": "number",
    "http.status_code": "number",
    "http.method": "string",
    "http.request_id": "string",
    "http.url_details.path": "string",
    "logger.name": "string",
    "error.kind": "string",
    "error.message": "string",
    "error.stack": "string",
    "duration": "number",
    "evt.name": "string",
    "evt.outcome": "string",
}
TYPES = {"string": str, "number": int}

LINES = {
    "request": {
        "service": "frontrunner",
        "timestamp": "2001-09-09T01:46:40.000000Z",
        "status": "error",
        "message": "POST /query 200 miss",
        "evt": {"name": "request", "outcome": "success"},
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
        "dd": {},
        "network": {"client": {"ip": "192.0.2.7"}, "bytes_read": 12, "bytes_written": 77},
        "http": {
            "request_id": "0123456789abcdef0123456789abcdef", "method": "POST", "url_details": {"path": "/query"},
            "status_code": 200,
        },
        "error": {"kind": "timeout"},
        "duration": 41_200_000_000,
    },
    "upstream_call": {
        "service": "frontrunner",
        "timestamp": "2001-09-09T01:46:40.000000Z",
        "status": "info",
        "message": "upstream_call POST /query 200",
        "evt": {"name": "upstream_call", "outcome": "success"},
        "dd": {},
        "network": {"bytes_read": 12, "bytes_written": 77},
        "http": {
            "request_id": "0123456789abcdef0123456789abcdef", "method": "POST", "url_details": {"path": "/query"},
            "status_code": 200,
        },
        "duration": 41_000_000_000,
    },
}  # fmt: skip


def written(name):
    return json.loads(Json(Datadog().rename).render(EVENTS[name]))


@pytest.mark.parametrize("name", EVENTS)
def test_every_datadog_attribute_is_a_published_one_of_its_type(name):
    fields = [(field, value) for field, value in leaves(written(name)) if not field.startswith(OWN + ".")]
    assert [field for field, _ in fields if field not in PUBLISHED] == []
    assert [field for field, value in fields if type(value) is not TYPES[PUBLISHED[field]]] == []
    assert dict(fields).keys() >= {"timestamp", "status", "service", "message"}


def test_every_datadog_row_is_a_published_one():
    tables = (TABLES.every, *TABLES.events.values())
    assert {name for table in tables for rows in table.values() for name, _ in rows} <= set(PUBLISHED)


@pytest.mark.parametrize("name", LINES)
def test_a_datadog_line(name):
    line = written(name)
    del line["dd"]["version"]
    assert line.pop(OWN)["pid"] > 0
    assert line == LINES[name]


def test_what_came_from_upstream_is_written_and_not_read():
    """Both attributes are seen from the server's end of a connection."""
    line = Datadog().rename({"event": "upstream_call", "bytes_in": 1, "bytes_out": 2})
    assert line["network"] == {"bytes_written": 1, "bytes_read": 2}


def test_a_failed_call_is_a_failure_for_datadog():
    assert written("failed call")["evt"]["outcome"] == "failure"
    assert written("failed call")["error"] == {"kind": "timeout"}
    assert written("error")["error"] == {"message": "ValueError('no')"}
