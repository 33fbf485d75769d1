"""Google Cloud Logging: `httpRequest` is the published protobuf message in JSON, the severity one of its enum's words."""

import json

import pytest
from google.logging.type.http_request_pb2 import HttpRequest
from google.logging.type.log_severity_pb2 import LogSeverity
from google.protobuf import json_format
from log_events import EVENTS

from proxy.core.format.json import Json
from proxy.core.schema import OWN
from proxy.core.schema.gcp import IS_HIT, SEVERITY, WAS_LOOKED_UP, WAS_VALIDATED, Gcp
from proxy.core.types import Outcome

# Facts from cloud.google.com/logging/docs/structured-logging#special-payload-fields, and from
# cloud.google.com/error-reporting/docs/formatting-error-messages for serviceContext.
SPECIAL = {
    "severity": str,
    "message": str,
    "time": str,
    "httpRequest": dict,
    "logging.googleapis.com/operation": {"id": str, "producer": str, "first": bool, "last": bool},
    "logging.googleapis.com/sourceLocation": {"file": str, "line": str, "function": str},
    "logging.googleapis.com/trace": str,
    "logging.googleapis.com/spanId": str,
    "serviceContext": {"service": str, "version": str},
}

LINES = {
    "request": {
        "time": "2001-09-09T01:46:40.000000Z",
        "severity": "ERROR",
        "message": "POST /query 200 miss",
        "serviceContext": {"service": "frontrunner"},
        "logging.googleapis.com/operation": {"id": "0123456789abcdef0123456789abcdef"},
        "logging.googleapis.com/trace": "4bf92f3577b34da6a3ce929d0e0e4736",
        "logging.googleapis.com/spanId": "00f067aa0ba902b7",
        "httpRequest": {
            "requestMethod": "POST", "requestUrl": "/query", "status": 200, "remoteIp": "192.0.2.7",
            "cacheHit": False, "cacheLookup": True, "requestSize": "12", "responseSize": "77", "latency": "41.2s",
        },
    },
    "upstream_call": {
        "time": "2001-09-09T01:46:40.000000Z",
        "severity": "INFO",
        "message": "upstream_call POST /query 200",
        "serviceContext": {"service": "frontrunner"},
        "logging.googleapis.com/operation": {"id": "0123456789abcdef0123456789abcdef"},
        "httpRequest": {
            "requestMethod": "POST", "requestUrl": "/query", "status": 200,
            "requestSize": "12", "responseSize": "77", "latency": "41s",
        },
    },
}  # fmt: skip
CACHE = {  # outcome: cacheHit, cacheLookup, cacheValidatedWithOriginServer
    "hit": (True, True, False),
    "stale": (True, True, False),
    "revalidated": (True, True, True),
    "miss": (False, True, None),
    "expired": (False, True, None),
    "partial": (False, True, None),
    "collapsed": (False, True, None),
    "passthrough": (False, False, None),
    "error": (None, None, None),
}


def written(name):
    return json.loads(Json(Gcp().rename).render(EVENTS[name]))


@pytest.mark.parametrize("name", EVENTS)
def test_every_gcp_field_is_a_special_one_of_its_type(name):
    line = {field: value for field, value in written(name).items() if field != OWN}
    assert line.keys() <= SPECIAL.keys()
    assert line.keys() >= {"time", "severity", "message", "serviceContext"}
    for field, value in line.items():
        if isinstance(SPECIAL[field], dict):
            assert {inner: type(one) for inner, one in value.items()}.items() <= SPECIAL[field].items()
        else:
            assert type(value) is SPECIAL[field]


@pytest.mark.parametrize("name", [name for name in EVENTS if "httpRequest" in Gcp().rename(EVENTS[name])])
def test_the_gcp_request_is_the_published_message(name):
    """No unknown member, and read back as it was written: numbers of 64 bits as text, the latency as a Duration."""
    told = written(name)["httpRequest"]
    read = json_format.ParseDict(told, HttpRequest())
    again = json_format.MessageToDict(read, always_print_fields_with_no_presence=True)
    assert {field: value for field, value in again.items() if field in told and field != "latency"} == {
        field: value for field, value in told.items() if field != "latency"
    }
    assert read.latency.ToMicroseconds() == round(EVENTS[name]["duration_s"] * 1e6)


def test_the_gcp_severities_are_published_ones():
    assert set(SEVERITY.values()) <= set(LogSeverity.keys())
    assert SEVERITY["warning"] == "WARNING"


@pytest.mark.parametrize("name", LINES)
def test_a_gcp_line(name):
    line = written(name)
    del line["serviceContext"]["version"]
    own = line.pop(OWN)
    assert line == LINES[name]
    assert (own["event"], own["pid"]) == (name, EVENTS[name]["pid"])


@pytest.mark.parametrize(("outcome", "told"), CACHE.items())
def test_what_an_outcome_is_to_gcp(outcome, told):
    request = Gcp().rename({"event": "request", "outcome": Outcome(outcome)}).get("httpRequest", {})
    names = ("cacheHit", "cacheLookup", "cacheValidatedWithOriginServer")
    assert tuple(request.get(name) for name in names) == told


def test_every_outcome_has_its_row():
    assert set(CACHE) == set(Outcome)
    assert set(IS_HIT) == set(WAS_LOOKED_UP) == set(Outcome) - {"error"}
    assert set(WAS_VALIDATED) == {outcome for outcome, is_hit in IS_HIT.items() if is_hit}


def test_an_error_in_gcp_names_its_place():
    place = written("error")["logging.googleapis.com/sourceLocation"]
    assert place == {"file": "/srv/proxy/serve.py", "line": "42"}


def test_an_event_that_is_no_request_has_no_gcp_request():
    assert "httpRequest" not in written("purge")
    assert written("purge")[OWN]["path"] == "/query"
