"""OpenTelemetry: each line is a LogsData of the published protocol, each attribute a published semantic convention."""

import base64
import importlib
import json
import pkgutil

import pytest
from google.protobuf import json_format
from hypothesis import given
from log_events import EVENTS
from odd_fields import trees
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData, SeverityNumber
from opentelemetry.semconv import _incubating, attributes
from opentelemetry.semconv._incubating.attributes.http_attributes import HttpRequestMethodValues

from proxy.core.format.json import Json
from proxy.core.schema import OWN
from proxy.core.schema.otel import METHODS, OTHER, RECORD, RESOURCE, SEVERITY, TABLES, Otel, any_value


def conventions():
    """Return all attribute names that OpenTelemetry published, the stable ones and those in development."""
    found = set()
    for package in (attributes, importlib.import_module(f"{_incubating.__name__}.attributes")):
        for module in pkgutil.iter_modules(package.__path__):
            members = vars(importlib.import_module(f"{package.__name__}.{module.name}"))
            found |= {value for name, value in members.items() if name.isupper() and isinstance(value, str)}
    return found


CONVENTIONS = conventions()


def written(fields):
    return json.loads(Json(Otel().rename).render(fields))


def only(fields):
    """Return the one resource and the one record of a line."""
    (logs,) = written(fields)["resourceLogs"]
    (scope,) = logs["scopeLogs"]
    (record,) = scope["logRecords"]
    return logs["resource"], record


def plain(named):
    return {one["key"]: next(iter(one["value"].values()), None) for one in named}


@pytest.mark.parametrize("name", EVENTS)
def test_every_otlp_line_is_a_message_of_the_protocol(name):
    """No member that it does not know, none of another type, and nothing is lost by reading it."""
    line = written(EVENTS[name])
    read = json_format.MessageToDict(json_format.ParseDict(line, LogsData()))
    (record,) = read["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    (told,) = line["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert SeverityNumber.Value(record.pop("severityNumber")) == told.pop("severityNumber")
    for name in {
        "traceId",
        "spanId",
    } & told.keys():  # OTLP's JSON has them in hex (its one difference to protobuf's), which reads as base64
        assert base64.b64encode(base64.b64decode(record.pop(name))).decode() == told.pop(name)
    assert record == told
    assert read["resourceLogs"][0]["resource"] == line["resourceLogs"][0]["resource"]


@given(value=trees)
def test_any_value_is_an_any_value_of_the_protocol(value):
    json_format.ParseDict(written({"event": "another", "field": value, "status": value}), LogsData())


def test_every_otel_row_is_a_published_one():
    tables = (TABLES.every, *TABLES.events.values())
    names = {name.removeprefix(RESOURCE) for table in tables for rows in table.values() for name, _ in rows}
    assert names - RECORD <= CONVENTIONS
    assert {field.json_name for field in LogsData.DESCRIPTOR.file.message_types_by_name["LogRecord"].fields} >= RECORD


@pytest.mark.parametrize("name", EVENTS)
def test_every_otel_attribute_is_a_published_one_or_ours(name):
    resource, record = only(EVENTS[name])
    keys = [one["key"] for one in (*resource["attributes"], *record["attributes"])]
    assert [key for key in keys if key not in CONVENTIONS and not key.startswith(OWN + ".")] == []
    assert len(keys) == len(set(keys))


def test_a_request_in_otel():
    resource, record = only(EVENTS["request"])
    assert plain(resource["attributes"]).keys() == {"service.name", "service.version", "process.pid"}
    attributes = plain(record.pop("attributes"))
    assert record == {
        "timeUnixNano": "1000000000000000000", "severityNumber": 17, "severityText": "error",
        "eventName": "frontrunner.request", "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7",
        "body": {"stringValue": "POST /query 200 miss"},
    }  # fmt: skip
    named = {key: value for key, value in attributes.items() if not key.startswith(OWN)}
    assert named == {
        "client.address": "192.0.2.7", "http.request.method": "POST", "url.path": "/query", "error.type": "timeout",
        "http.response.status_code": "200", "http.request.body.size": "12", "http.response.body.size": "77",
    }  # fmt: skip
    assert attributes["frontrunner.duration_s"] == 41.2
    assert attributes["frontrunner.outcome"] == "miss"
    assert attributes["frontrunner.translated"] is True


def test_a_call_upstream_in_otel():
    _, record = only(EVENTS["upstream_call"])
    attributes = plain(record["attributes"])
    assert record["eventName"] == "frontrunner.upstream_call"
    assert (attributes["http.request.body.size"], attributes["http.response.body.size"]) == ("12", "77")
    assert attributes["frontrunner.upstream_ttfb_s"] == 0.5


def test_an_error_in_otel():
    attributes = plain(only(EVENTS["error"])[1]["attributes"])
    assert attributes["exception.message"] == "ValueError('no')"
    assert (attributes["code.file.path"], attributes["code.line.number"]) == ("/srv/proxy/serve.py", "42")


def test_the_known_methods_are_those_of_the_conventions():
    assert {method.value for method in HttpRequestMethodValues} == {*METHODS, OTHER}


@pytest.mark.parametrize("method", ["get", "PURGE", ""])
def test_another_method_is_told_beside_the_conventions_word_for_it(method):
    attributes = plain(only({"event": "request", "method": method})[1]["attributes"])
    assert attributes == {"http.request.method": "_OTHER", "http.request.method_original": method}


@pytest.mark.parametrize(
    ("level", "number"),
    {"debug": "DEBUG", "info": "INFO", "warning": "WARN", "error": "ERROR", "critical": "FATAL"}.items(),
)
def test_severities_are_those_of_the_protocol(level, number):
    assert SEVERITY[level] == SeverityNumber.Value(f"SEVERITY_NUMBER_{number}")


VALUES = {
    "text": ("a", {"stringValue": "a"}),
    "true": (True, {"boolValue": True}),
    "nought": (0, {"intValue": "0"}),
    "the largest number of 64 bits": (2**63 - 1, {"intValue": "9223372036854775807"}),
    "one of more": (2**63, {"stringValue": "9223372036854775808"}),
    "a fraction": (0.5, {"doubleValue": 0.5}),
    "infinity": (float("inf"), {"doubleValue": "Infinity"}),
    "less than all": (float("-inf"), {"doubleValue": "-Infinity"}),
    "no number": (float("nan"), {"doubleValue": "NaN"}),
    "nothing": (None, {}),
    "bytes": (b"a\xff", {"stringValue": "a\\xff"}),
    "a list": (["a", 1], {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}}),
    "no list": ([], {"arrayValue": {"values": []}}),
    "a mapping": ({"a": {1: None}}, {"kvlistValue": {"values": [
        {"key": "a", "value": {"kvlistValue": {"values": [{"key": "1", "value": {}}]}}},
    ]}}),
}  # fmt: skip


@pytest.mark.parametrize(("value", "made"), VALUES.values(), ids=VALUES)
def test_any_value(value, made):
    assert any_value(value) == made
